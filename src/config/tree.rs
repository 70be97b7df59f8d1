//! YAML text to a tree in which every value knows its place. Owns the parser and all its limits: the rest of the
//! configuration sees only nodes. Knows nothing of what the keys mean.

use std::{ops::Range, sync::Arc};

/// Number of a node in its tree.
pub(super) type Id = usize;

/// The values of a file.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    /// The outermost value.
    pub(super) root: Id,
}

/// A value and its place.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) content: Content,
    /// Bytes of the value.
    pub(super) span: Range<usize>,
    /// Bytes of the key, for a value in a mapping.
    pub(super) key_span: Option<Range<usize>>,
    /// This is the nothing behind a key without a colon, as in `{ word }`: the word may be a value that lost its key.
    pub(super) is_bare_key: bool,
    /// Nodes from here down to the deepest leaf.
    height: usize,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(super) enum Content {
    Scalar(Scalar),
    List(Vec<Id>),
    Map(Vec<Entry>),
}

/// A text that is yet to become a number, a word, a duration …
#[derive(Debug, Clone)]
pub(super) struct Scalar {
    pub(super) text: Arc<str>,
    /// Written without quotes: may be something else than a text.
    pub(super) plain: bool,
    /// What stands in the file, where `text` comes from a variable or another file. Such a text is never shown.
    pub(super) written: Option<Arc<str>>,
}

/// What is shown for the contents of a file.
pub(super) const FILE: &str = "{ file: … }";

/// A key and its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: Arc<str>,
    pub(super) value: Id,
}

impl Tree {
    pub(super) const fn new(nodes: Vec<Node>, root: Id) -> Self {
        Self { nodes, root }
    }

    /// The node of an id. Ids come from this tree alone, so a foreign one is answered with the root.
    pub(super) fn node(&self, id: Id) -> &Node {
        self.nodes.get(id).unwrap_or(&self.nodes[self.root])
    }

    pub(super) fn nodes_mut(&mut self) -> &mut [Node] {
        &mut self.nodes
    }

    pub(super) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The value under a key of a mapping.
    pub(super) fn get(&self, id: Id, key: &str) -> Option<Id> {
        match &self.node(id).content {
            Content::Map(entries) => entries.iter().find(|entry| &*entry.key == key).map(|entry| entry.value),
            _ => None,
        }
    }

    /// The value at a path of keys and list positions, or the deepest one on the way to it.
    pub(super) fn descend<'a>(&self, from: Id, path: impl IntoIterator<Item = &'a str>) -> Id {
        let mut here = from;
        for step in path {
            let next = match &self.node(here).content {
                Content::List(items) => step.parse::<usize>().ok().and_then(|index| items.get(index).copied()),
                _ => self.get(here, step),
            };
            match next {
                Some(next) => here = next,
                None => break,
            }
        }
        here
    }

    /// The keys of a mapping.
    pub(super) fn keys(&self, id: Id) -> impl Iterator<Item = &str> {
        let entries = match &self.node(id).content {
            Content::Map(entries) => entries.as_slice(),
            _ => &[],
        };
        entries.iter().map(|entry| &*entry.key)
    }

    /// A text as a message may repeat it: where a variable brought it in, what stands in the file.
    pub(super) fn shown<'a>(&'a self, id: Id, text: &'a str) -> &'a str {
        match &self.node(id).content {
            Content::Scalar(Scalar { written: Some(written), .. }) => written,
            _ => text,
        }
    }

    /// A value as it stands in the file, but for comments, the order of keys and variables, which stay what they are.
    pub(super) fn as_written(&self, id: Id) -> String {
        match &self.node(id).content {
            Content::Scalar(Scalar { written: Some(text), .. })
            | Content::Scalar(Scalar { text, plain: false, .. }) => {
                format!("{text:?}")
            }
            Content::Scalar(Scalar { text, .. }) => text.to_string(),
            Content::List(items) => {
                let items: Vec<String> = items.iter().map(|item| self.as_written(*item)).collect();
                format!("[{}]", items.join(","))
            }
            Content::Map(entries) => {
                let entry = |entry: &Entry| format!("{:?}:{}", entry.key, self.as_written(entry.value));
                let mut entries: Vec<String> = entries.iter().map(entry).collect();
                entries.sort_unstable();
                format!("{{{}}}", entries.join(","))
            }
        }
    }

    /// Where to point when a whole value is meant: the key of a mapping or list that has one, else the value.
    pub(super) fn place(&self, id: Id) -> Range<usize> {
        let node = self.node(id);
        match (&node.content, &node.key_span) {
            (Content::List(_) | Content::Map(_), Some(key)) => key.clone(),
            (Content::Scalar(_), Some(key)) if node.span.is_empty() => key.clone(),
            _ => node.span.clone(),
        }
    }
}

impl Node {
    pub(super) const fn new(content: Content, span: Range<usize>) -> Self {
        Self { content, span, key_span: None, is_bare_key: false, height: 1 }
    }

    pub(super) const fn height(&self) -> usize {
        self.height
    }

    pub(super) const fn with_height(mut self, height: usize) -> Self {
        self.height = height;
        self
    }
}

impl Scalar {
    /// Whether this is YAML's way of saying nothing.
    pub(super) fn is_null(&self) -> bool {
        match &self.written {
            // `${NODE:-}` that turned out empty says nothing, quoted or not.
            Some(_) => self.text.is_empty(),
            None => self.plain && matches!(&*self.text, "" | "~" | "null" | "Null" | "NULL"),
        }
    }

    /// Whether the text may stand for a number or a word such as `true`.
    pub(super) const fn is_typed(&self) -> bool {
        // A variable is quoted only because `{` demands it inside of `{ }`.
        self.plain || self.written.is_some()
    }
}
