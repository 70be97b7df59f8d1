//! A tree to a typed shape, collecting every mistake. Serde stops at the first, so a value that does not decode is noted
//! and left out, and the rest is decoded again, until it fits. Must not know any key of `probes.yaml`.

use std::{
    borrow::Cow,
    cell::RefCell,
    collections::{HashMap, HashSet},
    ops::Range,
};

use serde::de::DeserializeOwned;

use super::{
    fault::{Fault, nearest},
    tree::{Content, Id, Tree},
    value::Value,
    wrong::Wrong,
};

/// More mistakes than this are not looked for: nobody reads on, and each costs a pass.
const MOST_FAULTS: usize = 100;

/// What became of a tree.
pub(super) struct Decoded<T> {
    /// The shape without what is wrong; `None` when nothing is left of it.
    pub(super) value: Option<T>,
    pub(super) faults: Vec<Fault>,
    /// Values that were looked at as something else than a secret; only these may be shown …
    pub(super) shown: HashSet<Id>,
    /// … unless they were also looked at as a secret.
    pub(super) secret: HashSet<Id>,
}

/// Decodes a tree; `bad` are values that are known to be wrong and have been reported.
pub(super) fn decode<T: DeserializeOwned>(tree: &Tree, bad: HashSet<Id>, shapes: &Shapes) -> Decoded<T> {
    let state = RefCell::new(State { bad, ..State::default() });
    let decoder = Decoder { tree, shapes, state: &state };
    let mut value = None;
    while state.borrow().faults.len() < MOST_FAULTS {
        match T::deserialize(Value::new(&decoder, tree.root)) {
            Ok(whole) => {
                // A value that was wrong as it is, and is right as it is written.
                if decoder.give_up_veiled() {
                    continue;
                }
                value = Some(whole);
                break;
            }
            Err(wrong) => {
                if !decoder.note(wrong) {
                    break;
                }
            }
        }
    }
    let state = state.into_inner();
    Decoded { value, faults: state.faults, shown: state.shown, secret: state.secret }
}

/// What all deserializers of one run share.
pub(super) struct Decoder<'t> {
    pub(super) tree: &'t Tree,
    shapes: &'t Shapes,
    state: &'t RefCell<State>,
}

#[derive(Default)]
struct State {
    /// Left out from now on.
    bad: HashSet<Id>,
    /// Decoded from what stands in the file, so that the message about them does not show what was filled in.
    veiled: HashSet<Id>,
    /// Keys of a mapping that an unknown key was likely meant to be.
    meant: HashMap<Id, Vec<&'static str>>,
    told: HashSet<Range<usize>>,
    faults: Vec<Fault>,
    shown: HashSet<Id>,
    secret: HashSet<Id>,
}

impl Decoder<'_> {
    pub(super) fn is_bad(&self, id: Id) -> bool {
        self.state.borrow().bad.contains(&id)
    }

    /// Whether a value is to be decoded as it stands in the file.
    pub(super) fn is_veiled(&self, id: Id) -> bool {
        self.state.borrow().veiled.contains(&id)
    }

    pub(super) fn looked_at(&self, id: Id, secret: bool) {
        let mut state = self.state.borrow_mut();
        if secret {
            state.secret.insert(id)
        } else {
            state.shown.insert(id)
        };
    }

    /// Reports a key that nobody asked for, and leaves its value out; tells which key was likely meant.
    pub(super) fn unknown_key(&self, map: Id, key: &str, value: Id, known: &[&'static str]) {
        let free = || known.iter().copied().filter(|one| self.tree.get(map, one).is_none());
        let meant = nearest(key, free()).or_else(|| nearest(key, known.iter().copied()));
        let help = match meant {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("known here: {}", known.join(", ")),
        };
        let at = self.tree.node(value).key_span.clone().unwrap_or_else(|| self.tree.place(value));
        let shown = if self.tree.node(value).is_bare_key { "***".into() } else { shown_key(key) };
        self.leave_out(value, Fault::error(at, format!("unknown key `{shown}`")).help(help));
        if let Some(meant) = meant {
            self.state.borrow_mut().meant.entry(map).or_default().push(meant);
        }
    }

    /// Whether each word of a choice has fields below it.
    pub(super) fn have_fields(&self, words: &[&'static str]) -> bool {
        self.shapes.have_fields(words)
    }

    /// Reports a mistake once and leaves the value out.
    pub(super) fn leave_out(&self, value: Id, fault: Fault) {
        let mut state = self.state.borrow_mut();
        state.bad.insert(value);
        state.tell(fault);
    }

    /// Reports the keys that a mapping must have and has not, but for those that were meant by an unknown key.
    pub(super) fn missing_keys(&self, map: Id, fields: &[&'static str]) {
        let mut state = self.state.borrow_mut();
        let meant = state.meant.get(&map).map(Vec::as_slice).unwrap_or_default();
        let is_missing = |key: &&str| self.tree.get(map, key).is_none() && !meant.contains(key);
        let missing: Vec<&str> = self.shapes.required(fields).filter(is_missing).collect();
        if missing.is_empty() {
            return;
        }
        let verb = if missing.len() == 1 { "is" } else { "are" };
        let message = format!("{} {verb} missing", listed(&missing, "and"));
        state.tell(Fault::error(self.tree.place(map), message));
    }

    /// Notes why decoding stopped; `false` when there is nothing left to decode.
    fn note(&self, wrong: Wrong) -> bool {
        let id = wrong.at.unwrap_or(self.tree.root);
        let mut state = self.state.borrow_mut();
        if let Content::Scalar(scalar) = &self.tree.node(id).content
            && scalar.written.is_some()
            && !state.veiled.contains(&id)
        {
            // The message may repeat what was filled in: ask for one about what stands in the file.
            return state.veiled.insert(id);
        }
        // A missing key has been reported by now, unless it is there, or was meant, and was left out.
        let follows = wrong.missing.is_some() && matches!(self.tree.node(id).content, Content::Map(_));
        if !wrong.told && !follows {
            let (message, help) = self.in_words(id, wrong.message);
            let fault = Fault::error(self.tree.place(id), message).maybe_help(wrong.help.or(help));
            state.tell(fault);
        }
        state.bad.insert(id) && id != self.tree.root
    }

    /// Reports values that decode only as they are written; `true` when there were any.
    fn give_up_veiled(&self) -> bool {
        let mut state = self.state.borrow_mut();
        let left: Vec<Id> = state.veiled.difference(&state.bad).copied().collect();
        for &id in &left {
            if let Content::Scalar(scalar) = &self.tree.node(id).content {
                let written = scalar.written.as_deref().unwrap_or_default();
                state.tell(Fault::error(self.tree.place(id), format!("what `{written}` stands for does not fit here")));
            }
            state.bad.insert(id);
        }
        !left.is_empty()
    }

    /// Words for what a type of another crate says: it repeats the value, which may be long and stands right below.
    fn in_words(&self, id: Id, message: String) -> (String, Option<String>) {
        if message.is_empty() {
            return ("this does not fit here".to_owned(), None);
        }
        let Content::Scalar(scalar) = &self.tree.node(id).content else { return (message, None) };
        let text = scalar.written.as_ref().unwrap_or(&scalar.text);
        match message.strip_suffix(&format!(": {:?}", &**text)) {
            Some("relative URL without a base") => {
                let help = "write it with its scheme, such as https://example.com/";
                ("this is not a URL: it has no scheme".to_owned(), Some(help.to_owned()))
            }
            Some(reason) => (format!("this is not a URL: {reason}"), None),
            None => (message, None),
        }
    }
}

impl State {
    fn tell(&mut self, fault: Fault) {
        // An anchored value is decoded at each use, but was written once.
        if fault.at.as_ref().is_none_or(|at| self.told.insert(at.clone())) {
            self.faults.push(fault);
        }
    }
}

/// Which keys each mapping must have, taken from the JSON Schema: serde itself names only the first that is missing.
pub(super) struct Shapes(HashMap<Vec<String>, Vec<String>>);

impl Shapes {
    pub(super) fn of(schema: &serde_json::Value) -> Self {
        let mut shapes = HashMap::new();
        collect(schema, &mut shapes);
        Self(shapes)
    }

    /// Whether the words of a choice have fields below them, all of them.
    fn have_fields(&self, words: &[&'static str]) -> bool {
        words.iter().all(|&word| self.0.contains_key(std::slice::from_ref(&word.to_owned())))
    }

    /// The required ones of a set of fields.
    fn required(&self, fields: &[&'static str]) -> impl Iterator<Item = &str> {
        let mut set: Vec<String> = fields.iter().map(|&field| field.to_owned()).collect();
        set.sort_unstable();
        self.0.get(&set).into_iter().flatten().map(String::as_str)
    }
}

fn collect(schema: &serde_json::Value, shapes: &mut HashMap<Vec<String>, Vec<String>>) {
    match schema {
        serde_json::Value::Object(object) => {
            if let Some(properties) = object.get("properties").and_then(|properties| properties.as_object()) {
                let mut fields: Vec<String> = properties.keys().cloned().collect();
                fields.sort_unstable();
                let required = object.get("required").and_then(|required| required.as_array()).into_iter().flatten();
                let required = required.filter_map(|key| key.as_str().map(str::to_owned)).collect();
                shapes.insert(fields, required);
            }
            object.values().for_each(|inner| collect(inner, shapes));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|inner| collect(inner, shapes)),
        _ => {}
    }
}

/// A key as it may be shown: what is not a word may be a value, even a secret, that lost its colon or its key.
pub(super) fn shown_key(key: &str) -> Cow<'_, str> {
    let is_word = |key: &str| key.len() <= 64 && key.chars().all(|c| c.is_alphanumeric() || "_-./<>".contains(c));
    match key.split_once(' ') {
        _ if key.contains("//") => Cow::Borrowed("***"),
        None if is_word(key) => Cow::Borrowed(key),
        Some((word, _)) if is_word(word) => Cow::Owned(format!("{word} ***")),
        _ => Cow::Borrowed("***"),
    }
}

/// `a`, `b` and `c`.
pub(super) fn listed(words: &[&str], and: &str) -> String {
    match words {
        [] => String::new(),
        [one] => format!("`{one}`"),
        [most @ .., last] => {
            let most: Vec<String> = most.iter().map(|word| format!("`{word}`")).collect();
            format!("{} {and} `{last}`", most.join(", "))
        }
    }
}
