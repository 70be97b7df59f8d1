//! What of the file may be shown to people: keys, marks and values that were looked at and are no secrets. Everything
//! else is `***`; comments are left out, for old secrets rest there.

use std::{collections::HashSet, ops::Range};

use serde_json::Value;

use super::{
    credentials::credentials,
    decode::{Decoded, shown_key},
    excerpt::{Line, Piece},
    keys::Keys,
    mistake::Place,
    tree::{Content, FILE, Id, Tree},
};

/// A file as it may be shown.
pub(super) struct Sight<'t> {
    text: &'t str,
    /// Where each line begins.
    lines: Vec<usize>,
    /// Values and keys in the order of the file; `None` for a file that could not be read as YAML.
    parts: Option<Vec<Part>>,
    keys: Keys,
}

#[derive(Debug, Clone, Copy)]
struct Part {
    start: usize,
    end: usize,
    shown: bool,
}

impl<'t> Sight<'t> {
    /// Of a file that has a tree.
    pub(super) fn of<T>(text: &'t str, tree: &Tree, decoded: &Decoded<T>, schema: &Value) -> Self {
        let spans =
            |ids: &HashSet<Id>| -> HashSet<Range<usize>> { ids.iter().map(|&id| tree.node(id).span.clone()).collect() };
        let (shown, secret) = (spans(&decoded.shown), spans(&decoded.secret));
        let mut keys = Keys::of(schema);
        // Where a secret was expected, a list or a mapping may hold it, even as a key.
        let opened: Vec<Range<usize>> = decoded
            .secret
            .iter()
            .map(|&id| tree.node(id))
            .filter(|node| !matches!(node.content, Content::Scalar(_)))
            .map(|node| node.span.clone())
            .collect();
        let is_secret = |span: &Range<usize>| {
            secret.contains(span) || opened.iter().any(|one| one.start <= span.start && span.end <= one.end)
        };
        let mut parts = Vec::new();
        for node in tree.nodes() {
            // Of a file, the path stands here, which is a value of its own.
            if let Content::Scalar(scalar) = &node.content
                && scalar.written.as_deref() != Some(FILE)
            {
                // `${NAME}` and `${NAME:-}` are no secrets, but the name of one.
                let is_name = scalar.written.as_deref().is_some_and(is_variable);
                let looked_at = shown.contains(&node.span);
                let key = node.key_span.clone().and_then(|key| text.get(key)).unwrap_or_default();
                let shown = is_name || !is_secret(&node.span) && (looked_at || keys.are_open(key));
                parts.push(Part::new(&node.span, shown));
            }
            if let Some(key) = &node.key_span {
                let word = text.get(key.clone()).unwrap_or_default().trim_matches(['"', '\'']);
                parts.push(Part::new(key, shown_key(word) == word && !is_secret(key) && !node.is_bare_key));
            }
        }
        // A key is a node too, and would hide itself: what is shown stands before what is not.
        parts.sort_unstable_by_key(|part| (part.start, part.end, !part.shown));
        parts.dedup_by_key(|part| (part.start, part.end));
        Self { text, lines: lines(text), parts: Some(parts), keys }
    }

    /// Of a file without a tree.
    pub(super) fn blind(text: &'t str, schema: &Value) -> Self {
        Self { text, lines: lines(text), parts: None, keys: Keys::of(schema) }
    }

    /// The line at which a range begins, as it may be shown, with what to mark in it.
    pub(super) fn place(&self, at: &Range<usize>) -> Place {
        let start = floor(self.text, at.start.min(self.text.len()));
        let end = floor(self.text, at.end.clamp(start, self.text.len()));
        let line = self.lines.partition_point(|&begin| begin <= start).max(1);
        let begin = self.lines.get(line - 1).copied().unwrap_or(0);
        let stop = self.lines.get(line).map_or(self.text.len(), |next| next - 1);
        let column = self.text.get(begin..start).unwrap_or_default().chars().count() + 1;
        let pieces = match &self.parts {
            Some(parts) => self.pieces(parts, begin..stop),
            None => self.guessed_pieces(begin..stop),
        };
        let mut shown = Line { text: String::new(), mark: None, at: start..end.min(stop) };
        for piece in pieces {
            shown.push(self.text, &piece);
        }
        let (text, mark) = shown.finish();
        Place { line, column, text, mark }
    }

    fn pieces(&self, parts: &[Part], line: Range<usize>) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut here = line.start;
        // Values span lines and never overlap, so those that end before the line begins come first.
        let first = parts.partition_point(|part| part.end <= line.start);
        for part in parts.get(first..).unwrap_or_default().iter().take_while(|part| part.start < line.end) {
            let (start, end) = (part.start.max(here), part.end.min(line.end));
            if start >= end {
                continue;
            }
            if self.push_gap(&mut pieces, here..start) {
                return pieces;
            }
            if part.shown {
                self.push_value(&mut pieces, start..end);
            } else {
                self.push_hidden(&mut pieces, start..end);
            }
            here = end;
        }
        self.push_gap(&mut pieces, here..line.end);
        pieces
    }

    /// What stands between values; `true` when a comment ends the line.
    fn push_gap(&self, pieces: &mut Vec<Piece>, range: Range<usize>) -> bool {
        let gap = self.text.get(range.clone()).unwrap_or_default();
        let end = gap.find('#').map_or(range.end, |comment| range.start + comment);
        pieces.push(Piece::Shown(range.start..end));
        end < range.end
    }

    fn push_hidden(&self, pieces: &mut Vec<Piece>, range: Range<usize>) {
        let raw = self.text.get(range.clone()).unwrap_or_default();
        let indent = raw.len() - raw.trim_start().len();
        let filled = raw.trim_end().len().max(indent);
        pieces.push(Piece::Shown(range.start..range.start + indent));
        if filled > indent {
            pieces.push(Piece::Hidden(range.start + indent..range.start + filled));
        }
        pieces.push(Piece::Shown(range.start + filled..range.end));
    }

    /// A value that may be shown, but for credentials in addresses.
    fn push_value(&self, pieces: &mut Vec<Piece>, range: Range<usize>) {
        let mut here = range.start;
        for hidden in credentials(self.text.get(range.clone()).unwrap_or_default()) {
            let (start, end) = (range.start + hidden.start, range.start + hidden.end);
            pieces.push(Piece::Shown(here..start));
            pieces.push(Piece::Hidden(start..end));
            here = end;
        }
        pieces.push(Piece::Shown(here..range.end));
    }

    /// The pieces of a line nobody has read: values are shown only behind keys that never hold a secret, and of keys
    /// only those that are known, for a text that lost its quotes may look like one.
    fn guessed_pieces(&self, line: Range<usize>) -> Vec<Piece> {
        let raw = self.text.get(line.clone()).unwrap_or_default();
        let raw = raw.split(" #").next().unwrap_or_default();
        let raw = if raw.trim_start().starts_with('#') { "" } else { raw };
        let mut pieces = Vec::new();
        let (mut value, mut open) = (0, false);
        for (colon, _) in raw.match_indices(':') {
            let after = raw.get(colon + 1..).unwrap_or_default();
            let before = raw.get(value..colon).unwrap_or_default().trim_end_matches(['"', '\'']);
            let key = before.rsplit(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or_default();
            let between = before.strip_suffix(key).unwrap_or_default();
            // Within a value only a bracket or a comma makes room for another key.
            let is_inside = value > 0 && !open && !between.contains(['{', '[']) && !between.contains(", ");
            let is_key = after.is_empty() || after.starts_with(char::is_whitespace);
            if !is_key || is_inside || key.is_empty() {
                continue;
            }
            let start = value + between.len();
            self.push_guess(&mut pieces, line.start + value..line.start + start, open);
            open = self.keys.open.contains(key);
            let is_known = open || self.keys.secret.contains(key) || self.keys.more.contains(key);
            self.push_guess(&mut pieces, line.start + start..line.start + colon + 1, is_known);
            value = colon + 1;
        }
        self.push_guess(&mut pieces, line.start + value..line.start + raw.len(), open);
        pieces
    }

    fn push_guess(&self, pieces: &mut Vec<Piece>, range: Range<usize>, open: bool) {
        if open {
            // What follows a comma or a bracket belongs to a key that was not understood.
            let inside = self.text.get(range.clone()).unwrap_or_default();
            let end = inside.find([',', '}', ']']).map_or(range.end, |at| range.start + at);
            self.push_value(pieces, range.start..end);
            return self.push_guess(pieces, end..range.end, false);
        }
        if range.is_empty() {
            return;
        }
        let is_mark = |c: char| c.is_whitespace() || "{}[],-:\"'".contains(c);
        let inside = self.text.get(range.clone()).unwrap_or_default();
        let start = inside.len() - inside.trim_start_matches(is_mark).len();
        let end = inside.trim_end_matches(is_mark).len().max(start);
        pieces.push(Piece::Shown(range.start..range.start + start));
        pieces.push(Piece::Hidden(range.start + start..range.start + end));
        pieces.push(Piece::Shown(range.start + end..range.end));
    }
}

impl Part {
    fn new(span: &Range<usize>, shown: bool) -> Self {
        Self { start: span.start, end: span.end, shown }
    }
}

fn lines(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect()
}

fn is_variable(written: &str) -> bool {
    let bare = written.strip_prefix("Bearer ").or_else(|| written.strip_prefix("Basic ")).unwrap_or(written);
    let name = bare.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    let name = name.map(|name| name.strip_suffix(":-").unwrap_or(name));
    name.is_some_and(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
}

/// The nearest boundary of a character at or before an offset.
fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
