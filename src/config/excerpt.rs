//! A line that is put together from what may be shown of it, and where in it the mark lands.

use std::ops::Range;

/// A stretch of a line.
pub(super) enum Piece {
    Shown(Range<usize>),
    Hidden(Range<usize>),
}

/// A line that is put together, and where in it the mark lands.
pub(super) struct Line {
    pub(super) text: String,
    pub(super) mark: Option<Range<usize>>,
    pub(super) at: Range<usize>,
}

impl Line {
    pub(super) fn push(&mut self, source: &str, piece: &Piece) {
        let (range, shown) = match piece {
            Piece::Shown(range) => (range, source.get(range.clone()).unwrap_or_default()),
            Piece::Hidden(range) if range.is_empty() => return,
            Piece::Hidden(range) => (range, "***"),
        };
        let before = self.text.len();
        self.text.push_str(shown);
        let is_hidden = matches!(piece, Piece::Hidden(_));
        let inside = |offset: usize| if is_hidden { before } else { before + (offset - range.start) };
        if self.at.start >= range.start && self.at.start < range.end {
            let start = inside(self.at.start);
            self.mark = Some(start..if is_hidden { self.text.len() } else { start });
        }
        if let Some(mark) = &mut self.mark
            && self.at.end > range.start
        {
            let end = if self.at.end >= range.end || is_hidden { self.text.len() } else { inside(self.at.end) };
            mark.end = mark.end.max(end);
        }
    }

    pub(super) fn finish(self) -> (String, Range<usize>) {
        let text = self.text.trim_end().replace('\t', " ");
        let end = text.len();
        let mark = self.mark.map_or(end..end, |mark| mark.start.min(end)..mark.end.min(end));
        let text: String = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        if text.len() == end { (text, mark) } else { (text, 0..0) }
    }
}
