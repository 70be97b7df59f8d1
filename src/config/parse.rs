//! The parser's events to a [`Tree`]. Refuses what could hurt (size, depth, aliases that multiply) and goes on after
//! what does not (a key given twice), so that one run reports as much as possible.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
    sync::Arc,
};

use granit_parser::{Event, Parser, ScalarStyle};

use super::{
    decode::shown_key,
    fault::Fault,
    syntax::{scan_fault, too_deep},
    tree::{Content, Entry, Id, Node, Scalar, Tree},
};

/// A file may not be larger; 2,000 probes are about half of it.
pub(super) const MAX_BYTES: u64 = 1 << 20;
/// Values in a file, those that aliases repeat included.
const MAX_NODES: usize = 200_000;
/// Bytes of all texts, those that aliases repeat included.
const MAX_TEXT: usize = 4 << 20;
/// Values inside of values.
pub(super) const MAX_DEPTH: usize = 48;

/// Reads a text. Without a tree there is nothing that further checks could work on.
pub(super) fn parse(text: &str) -> (Option<Tree>, Vec<Fault>) {
    let options = granit_parser::options! {
        emit_comments: false,
        emit_unresolved_aliases: true,
        disallow_directives: true,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut builder = Builder { text, ..Builder::default() };
    for event in Parser::new_from_str_with_options(text, options) {
        let stop = match event {
            Ok((event, span)) => {
                let end = text.len();
                let span = span.byte_range().map_or(end..end, |range| range.start.min(end)..range.end.min(end));
                builder.take(event, span)
            }
            Err(error) => Err(scan_fault(&error, text)),
        };
        if let Err(fault) = stop {
            builder.faults.push(fault);
            return (None, builder.faults);
        }
    }
    let tree = builder.root.map(|root| Tree::new(builder.nodes, root));
    if tree.is_none() && builder.faults.is_empty() {
        builder.faults.push(Fault::error(0..0, "the file is empty").help("`usoryou schema` tells what it can hold"));
    }
    (tree, builder.faults)
}

#[derive(Default)]
struct Builder<'t> {
    text: &'t str,
    nodes: Vec<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, Id>,
    root: Option<Id>,
    documents: usize,
    text_bytes: usize,
    faults: Vec<Fault>,
}

/// A list or mapping whose end has not come yet.
struct Open {
    start: Range<usize>,
    anchor: usize,
    height: usize,
    items: Items,
}

enum Items {
    List(Vec<Id>),
    Map { entries: Vec<Entry>, seen: HashSet<Arc<str>>, key: Option<Key>, merges: Vec<Id> },
}

struct Key {
    text: Option<Arc<str>>,
    span: Range<usize>,
    merge: bool,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: Range<usize>) -> Result<(), Fault> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Fault::error(span, "a second document begins here: a configuration is one document")
                        .help("remove the `---`"));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let as_text = tag.as_ref().is_some_and(|tag| tag.core_suffix() == Some("str"));
                if tag.is_some() && !as_text {
                    self.faults.push(
                        Fault::error(span.clone(), "tags such as `!name` mean nothing here").help("remove the tag"),
                    );
                }
                self.text_bytes += text.len();
                let plain = style == ScalarStyle::Plain && !as_text;
                let scalar = Scalar { text: text.as_ref().into(), plain, written: None };
                let id = self.add(Node::new(Content::Scalar(scalar), span.clone()))?;
                self.anchored(anchor, id);
                self.put(id, span)?;
            }
            Event::SequenceStart(_, anchor, tag) => self.open(span, anchor, tag.is_some(), Items::List(Vec::new()))?,
            Event::MappingStart(_, anchor, tag) => {
                let items = Items::Map { entries: Vec::new(), seen: HashSet::new(), key: None, merges: Vec::new() };
                self.open(span, anchor, tag.is_some(), items)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span)?,
            Event::Alias(anchor) => {
                let Some(&target) = self.anchors.get(&anchor) else {
                    return Err(Fault::error(span, "this alias stands inside of the value that it repeats"));
                };
                let id = self.copy(target, &span)?;
                self.put(id, span)?;
            }
            Event::UnresolvedAlias(name) => {
                self.faults.push(
                    Fault::error(span.clone(), format!("nothing above is marked `&{}`", shown_key(&name)))
                        .help("a text that begins with `*` needs quotes"),
                );
                let nothing = Scalar { text: "".into(), plain: true, written: None };
                let id = self.add(Node::new(Content::Scalar(nothing), span.clone()))?;
                self.put(id, span)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn add(&mut self, node: Node) -> Result<Id, Fault> {
        if self.nodes.len() >= MAX_NODES || self.text_bytes > MAX_TEXT {
            return Err(Fault::error(node.span, "the file holds too much from here on")
                .help(format!("at most {MAX_NODES} values; aliases count each time they are used")));
        }
        self.nodes.push(node);
        Ok(self.nodes.len() - 1)
    }

    fn anchored(&mut self, anchor: usize, id: Id) {
        if anchor != 0 {
            self.anchors.insert(anchor, id);
        }
    }

    fn open(&mut self, start: Range<usize>, anchor: usize, tagged: bool, items: Items) -> Result<(), Fault> {
        if tagged {
            self.faults
                .push(Fault::error(start.clone(), "tags such as `!name` mean nothing here").help("remove the tag"));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep(start));
        }
        self.open.push(Open { start, anchor, height: 1, items });
        Ok(())
    }

    fn close(&mut self, end: Range<usize>) -> Result<(), Fault> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let span = open.start.start..end.end.max(open.start.end).min(self.text.len());
        let mut height = open.height;
        let content = match open.items {
            Items::List(items) => Content::List(items),
            Items::Map { entries, seen, merges, .. } => Content::Map(self.merged(entries, seen, merges, &mut height)),
        };
        let id = self.add(Node::new(content, span.clone()).with_height(height))?;
        self.anchored(open.anchor, id);
        self.put(id, span)
    }

    /// Puts a finished value where it belongs: into the innermost open list or mapping.
    fn put(&mut self, id: Id, span: Range<usize>) -> Result<(), Fault> {
        let height = self.nodes.get(id).map_or(1, Node::height);
        if self.open.len() + height > MAX_DEPTH {
            return Err(too_deep(span));
        }
        let Some(open) = self.open.last_mut() else {
            self.root.get_or_insert(id);
            return Ok(());
        };
        match &mut open.items {
            Items::List(items) => items.push(id),
            Items::Map { key: key @ None, .. } => {
                let written = self.nodes.get(id).and_then(|node| match &node.content {
                    Content::Scalar(scalar) => Some(scalar.clone()),
                    _ => None,
                });
                if written.is_none() {
                    self.faults.push(
                        Fault::error(span.clone(), "a key is a single word")
                            .help("a text that begins with `{` or `[`, `${VARIABLE}` included, needs quotes here"),
                    );
                }
                let merge = written.as_ref().is_some_and(|scalar| scalar.plain && &*scalar.text == "<<");
                *key = Some(Key { text: written.map(|scalar| scalar.text), span, merge });
                return Ok(());
            }
            Items::Map { entries, seen, key: key @ Some(_), merges } => {
                let Some(key) = key.take() else { return Ok(()) };
                if let Some(node) = self.nodes.get_mut(id) {
                    let after = self.text.get(key.span.end..).unwrap_or_default();
                    node.is_bare_key = node.span.is_empty() && !after.trim_start().starts_with(':');
                    node.key_span = Some(key.span.clone());
                }
                match key.text {
                    _ if key.merge => merges.push(id),
                    Some(text) if !seen.insert(Arc::clone(&text)) => {
                        self.faults.push(
                            Fault::error(
                                key.span,
                                format!("`{}` is given twice in the same mapping", shown_key(&text)),
                            )
                            .help("remove one of them, or give it another name"),
                        );
                    }
                    Some(text) => entries.push(Entry { key: text, value: id }),
                    None => {}
                }
            }
        }
        open.height = open.height.max(height + 1);
        Ok(())
    }

    /// Adds what `<<` brings: the mapping's own keys win, then earlier merges.
    fn merged(
        &mut self,
        mut entries: Vec<Entry>,
        mut seen: HashSet<Arc<str>>,
        merges: Vec<Id>,
        height: &mut usize,
    ) -> Vec<Entry> {
        for merge in merges {
            let Some(source) = self.nodes.get(merge).cloned() else { continue };
            let sources = match &source.content {
                Content::List(items) => items.clone(),
                _ => vec![merge],
            };
            for from in sources {
                match self.nodes.get(from).map(|node| node.content.clone()) {
                    Some(Content::Map(more)) => {
                        entries.extend(more.into_iter().filter(|one| seen.insert(Arc::clone(&one.key))));
                        *height = (*height).max(source.height());
                    }
                    _ => self.faults.push(Fault::error(source.span.clone(), "`<<` takes a mapping to copy keys from")),
                }
            }
        }
        entries
    }

    /// A copy of what an alias stands for; each use is checked and decoded by itself.
    fn copy(&mut self, from: Id, used: &Range<usize>) -> Result<Id, Fault> {
        let Some(mut node) = self.nodes.get(from).cloned() else { return Ok(from) };
        match &mut node.content {
            Content::Scalar(scalar) => self.text_bytes += scalar.text.len(),
            Content::List(items) => {
                for item in items {
                    *item = self.copy(*item, used)?;
                }
            }
            Content::Map(entries) => {
                for entry in entries {
                    entry.value = self.copy(entry.value, used)?;
                }
            }
        }
        // The budget is spent at the place that repeats, so that is where the file is refused.
        let defined = node.span.clone();
        node.span = used.clone();
        let id = self.add(node)?;
        if let Some(node) = self.nodes.get_mut(id) {
            node.span = defined;
        }
        Ok(id)
    }
}
