//! Fills in `${VAR}`, `${VAR:-default}` and `{file: /path}` on the tree, and reports each that cannot be filled in. What
//! it fills in is never shown to anyone: messages about such a value speak of what stands in the file.
//!
//! In a list of steps that save something (items with a mapping `save`) the names that are saved are not the environment's:
//! `${name}` stays as it is, for whoever runs the steps.

use std::{
    collections::{HashMap, HashSet},
    io::Read,
    ops::Range,
    path::Path,
    sync::Arc,
};

use super::{
    elsewhere::Outside,
    fault::Fault,
    tree::{Content, FILE, Id, Node, Scalar, Tree},
};

/// A secret file may not be larger.
const MAX_SECRET: u64 = 64 * 1024;

/// Where values come from.
pub(super) struct Sources<'a> {
    pub(super) outside: Outside<'a>,
    /// The folder of the configuration: relative paths in it start there.
    pub(super) folder: &'a Path,
    pub(super) text: &'a str,
}

/// Fills in everything that can be filled in; tells the mistakes and the values that are not to be looked at again.
pub(super) fn fill(tree: &mut Tree, sources: &Sources<'_>) -> (Vec<Fault>, HashSet<Id>) {
    let (mut faults, mut bad) = (Vec::new(), HashSet::new());
    let saved = saved(tree);
    for (id, node) in tree.nodes_mut().iter_mut().enumerate() {
        if let Content::Scalar(scalar) = &node.content
            && scalar.text.contains('$')
        {
            let so_far = faults.len();
            let filled = sources.fill(scalar, &node.span, saved.get(&id).map(|names| &**names), &mut faults);
            node.content = Content::Scalar(filled);
            if faults.len() > so_far {
                bad.insert(id);
            }
        }
    }
    let files: Vec<(Id, Id)> = (0..tree.nodes().len()).filter_map(|id| Some((id, only_file(tree, id)?))).collect();
    for (id, path) in files {
        if bad.contains(&path) {
            bad.insert(id);
            continue;
        }
        let contents = match &tree.node(path).content {
            Content::Scalar(scalar) if scalar.text.is_empty() => Err("`file` takes the path of a file".to_owned()),
            Content::Scalar(scalar) => {
                let made_up = |message| sources.outside.unread.map(str::to_owned).ok_or(message);
                read_secret(sources.folder, scalar).or_else(made_up)
            }
            _ => Err("`file` takes the path of a file".to_owned()),
        };
        let text = contents.unwrap_or_else(|message| {
            faults.push(Fault::error(tree.place(path), message));
            bad.insert(id);
            String::new()
        });
        let scalar = Scalar { text: text.into(), plain: false, written: Some(FILE.into()) };
        if let Some(node) = tree.nodes_mut().get_mut(id) {
            node.content = Content::Scalar(scalar);
        }
    }
    relative_paths(tree, sources.folder);
    (faults, bad)
}

type Names = Arc<HashSet<Arc<str>>>;

/// The names that steps save, for every value in those steps.
fn saved(tree: &Tree) -> HashMap<Id, Names> {
    let mut known = HashMap::new();
    for id in 0..tree.nodes().len() {
        let Content::List(items) = &tree.node(id).content else { continue };
        let saves = items.iter().filter_map(|&item| tree.get(item, "save"));
        let names: HashSet<Arc<str>> = saves.flat_map(|save| tree.keys(save)).map(Arc::from).collect();
        if names.is_empty() {
            continue;
        }
        let names = Arc::new(names);
        let mut waiting = items.clone();
        while let Some(id) = waiting.pop() {
            // What an alias repeats is seen to once.
            if known.insert(id, Arc::clone(&names)).is_some() {
                continue;
            }
            match &tree.node(id).content {
                Content::Scalar(_) => {}
                Content::List(items) => waiting.extend(items),
                Content::Map(entries) => waiting.extend(entries.iter().map(|entry| entry.value)),
            }
        }
    }
    known
}

/// What may have been meant among steps that save something.
fn saves(names: &HashSet<Arc<str>>) -> String {
    let mut names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.sort_unstable();
    format!("the steps here save {}", names.join(", "))
}

/// The value of `file` in a mapping that has no other key.
fn only_file(tree: &Tree, id: Id) -> Option<Id> {
    match &tree.node(id).content {
        Content::Map(entries) => match entries.as_slice() {
            [only] if &*only.key == "file" => Some(only.value),
            _ => None,
        },
        _ => None,
    }
}

fn read_secret(folder: &Path, scalar: &Scalar) -> Result<String, String> {
    // What a variable brought into the path may be no path at all, but a secret.
    let shown = scalar.written.as_ref().unwrap_or(&scalar.text);
    let cannot = |error: std::io::Error| format!("cannot read the file `{shown}`: {}", reason(&error));
    let path = folder.join(&*scalar.text);
    // A pipe or a device would keep us waiting.
    if !std::fs::metadata(&path).map_err(cannot)?.is_file() {
        return Err(format!("cannot read the file `{shown}`: it is not a regular file"));
    }
    let mut text = String::new();
    std::fs::File::open(&path).and_then(|file| file.take(MAX_SECRET + 1).read_to_string(&mut text)).map_err(cannot)?;
    if text.len() as u64 > MAX_SECRET {
        return Err(format!("cannot use the file `{shown}`: it is larger than {} KiB", MAX_SECRET / 1024));
    }
    Ok(text.trim().to_owned())
}

/// Why a file cannot be read, without the number of the error.
pub(super) fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        std::io::ErrorKind::InvalidData => "it is not UTF-8 text".to_owned(),
        std::io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        _ => error.to_string(),
    }
}

/// A key that ends in `_file` holds a path; a relative one starts at the configuration, wherever the program runs.
fn relative_paths(tree: &mut Tree, folder: &Path) {
    let paths: Vec<Id> = (0..tree.nodes().len())
        .filter_map(|id| match &tree.node(id).content {
            Content::Map(entries) => Some(entries.iter().filter(|entry| entry.key.ends_with("_file"))),
            _ => None,
        })
        .flatten()
        .map(|entry| entry.value)
        .collect();
    for id in paths {
        if let Some(Node { content: Content::Scalar(scalar), .. }) = tree.nodes_mut().get_mut(id)
            && !scalar.is_null()
        {
            scalar.text = folder.join(&*scalar.text).to_string_lossy().into();
            scalar.plain = false;
        }
    }
}

impl Sources<'_> {
    fn fill(
        &self,
        scalar: &Scalar,
        span: &Range<usize>,
        saved: Option<&HashSet<Arc<str>>>,
        faults: &mut Vec<Fault>,
    ) -> Scalar {
        let written = Arc::clone(&scalar.text);
        let base = self.base(&written, span);
        let place = |from: usize, to: usize| base.map_or_else(|| span.clone(), |base| base + from..base + to);
        let (mut text, mut rest, mut at, mut from_outside) = (String::new(), &*written, 0, false);
        while let Some(dollar) = rest.find('$') {
            let (before, after) = rest.split_at(dollar);
            text.push_str(before);
            at += dollar;
            let used = if after.starts_with("$$") {
                text.push_str(if saved.is_some() && after.starts_with("$${") { "$$" } else { "$" });
                2
            } else if !after.starts_with("${") {
                // Regular expressions end in one.
                text.push('$');
                1
            } else if let Some(length) = after.find('}') {
                let used = length + 1;
                let inside = after.get(2..length).unwrap_or_default();
                if saved.is_some_and(|names| names.contains(inside)) {
                    text.push_str(after.get(..used).unwrap_or_default());
                    at += used;
                    rest = after.get(used..).unwrap_or_default();
                    continue;
                }
                match self.value(after.get(2..length).unwrap_or_default()) {
                    // Only what stands in the file can be the name of something saved.
                    Ok(value) if saved.is_some() => text.push_str(&value.replace("${", "$${")),
                    Ok(value) => text.push_str(&value),
                    Err((message, help)) => {
                        let (message, help) = match saved {
                            None => (message, help),
                            Some(names) => (message + ", and no step saves it", format!("{help}; {}", saves(names))),
                        };
                        faults.push(Fault::error(place(at, at + used), message).help(help));
                    }
                }
                from_outside = true;
                used
            } else {
                faults.push(
                    Fault::error(place(at, written.len()), "this `${` is never closed")
                        .help("write `${NAME}` or `${NAME:-default}`; `$$` stands for a single `$`"),
                );
                after.len()
            };
            at += used;
            rest = after.get(used..).unwrap_or_default();
        }
        text.push_str(rest);
        Scalar { text: text.into(), plain: scalar.plain, written: from_outside.then_some(written) }
    }

    /// What a `${…}` stands for, or what is wrong with it and what to do.
    fn value(&self, inside: &str) -> Result<String, (String, String)> {
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_name {
            let message = "`${…}` takes the name of a variable: letters, digits and `_`".to_owned();
            return Err((message, "write `${NAME}` or `${NAME:-default}`; `$$` stands for a single `$`".to_owned()));
        }
        // As in a shell, `:-` also replaces a variable that is set to nothing.
        match ((self.outside.env)(name), default) {
            (Some(value), None) => Ok(value),
            (Some(value), Some(_)) if !value.is_empty() => Ok(value),
            (_, Some(default)) => Ok(default.to_owned()),
            (None, None) => Err((
                format!("the variable `{name}` is not set"),
                format!("set it, or say what to use without it: `${{{name}:-…}}`"),
            )),
        }
    }

    /// Where the text of a scalar begins in the file, if it stands there as it is.
    fn base(&self, written: &str, span: &Range<usize>) -> Option<usize> {
        let raw = self.text.get(span.clone())?;
        raw.find(written).map(|skipped| span.start + skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse::parse;

    fn filled(yaml: &str) -> (Tree, Vec<Fault>) {
        let env = |name: &str| match name {
            "SET" => Some("value".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let (tree, faults) = parse(yaml);
        assert_eq!(faults, []);
        let mut tree = tree.unwrap();
        let (faults, _) = fill(
            &mut tree,
            &Sources { outside: Outside { env: &env, unread: None }, folder: Path::new("/nowhere"), text: yaml },
        );
        (tree, faults)
    }

    fn text(tree: &Tree, key: &str) -> String {
        match &tree.node(tree.get(tree.root, key).unwrap()).content {
            Content::Scalar(scalar) => scalar.text.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn variables_defaults_and_single_dollars() {
        for (written, expected) in [
            ("${SET}", "value"),
            ("a${SET}b${SET}", "avaluebvalue"),
            ("${EMPTY}", ""),
            ("${EMPTY:-default}", "default"),
            ("${UNSET:-a:-b}", "a:-b"),
            ("${SET:-default}", "value"),
            ("$${SET}", "${SET}"),
            ("^220$", "^220$"),
            ("$5 $$ $", "$5 $ $"),
        ] {
            let (tree, faults) = filled(&format!("k: \"{written}\""));
            assert_eq!(faults, []);
            assert_eq!(text(&tree, "k"), expected, "{written}");
        }
    }

    #[test]
    fn what_steps_save_is_left_to_them() {
        let yaml = "steps:\n- { save: { SET: $.id }, k: \"${SET} ${EMPTY:-${SET}\" }\n- k: \"a ${SET} $${SET} ${DOLLAR}\"\nk: \"${SET}\"\n";
        let env = |name: &str| match name {
            "DOLLAR" => Some("${SET}".to_owned()),
            _ => Some("outside".to_owned()).filter(|_| name == "SET"),
        };
        let mut tree = parse(yaml).0.unwrap();
        let (faults, _) = fill(
            &mut tree,
            &Sources { outside: Outside { env: &env, unread: None }, folder: Path::new("/nowhere"), text: yaml },
        );
        assert_eq!(faults, []);
        let k = |path: &[&str]| match &tree.node(tree.descend(tree.root, path.iter().copied())).content {
            Content::Scalar(scalar) => scalar.text.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(k(&["steps", "0", "k"]), "${SET} $${SET");
        assert_eq!(k(&["steps", "1", "k"]), "a ${SET} $${SET} $${SET}");
        assert_eq!(k(&["k"]), "outside");
    }

    #[test]
    fn each_mistake_has_its_place() {
        let (_, faults) = filled("k: \"x ${UNSET} ${OTHER}\"\nl: ${no name}\nm: '${'\nn: {file: gone}\n");
        let found: Vec<_> = faults.iter().map(|fault| (fault.at.clone().unwrap(), fault.message.as_str())).collect();
        assert_eq!(
            found,
            [
                (6..14, "the variable `UNSET` is not set"),
                (15..23, "the variable `OTHER` is not set"),
                (28..38, "`${…}` takes the name of a variable: letters, digits and `_`"),
                (43..45, "this `${` is never closed"),
                (57..61, "cannot read the file `gone`: there is no such file"),
            ]
        );
    }

    #[test]
    fn a_file_gives_its_trimmed_contents_and_paths_start_at_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "s3cret\n\n").unwrap();
        let yaml = "token: { file: token }\nca_file: ca.pem\n";
        let mut tree = parse(yaml).0.unwrap();
        let (faults, _) = fill(
            &mut tree,
            &Sources { outside: Outside { env: &|_| None, unread: None }, folder: folder.path(), text: yaml },
        );
        assert_eq!(faults, []);
        assert_eq!(text(&tree, "token"), "s3cret");
        assert_eq!(Path::new(&text(&tree, "ca_file")), folder.path().join("ca.pem"));
    }
}
