//! A probe seen from one place: how long each look stands for. Pure; must not know what was seen.

use super::span::seconds;
use crate::model::Timestamp;

/// So many of the newest times between two looks tell how far apart they usually are.
const KNOWN: usize = 8;
/// From so many on, one that is shorter by chance is told apart.
const ENOUGH: usize = 3;
/// A look stands for no more than this many of its usual intervals: what lies between was not watched.
const REACH: f64 = 2.0;

/// When a probe was last seen from one place, and how far apart its looks are.
pub(super) struct Cell {
    last: Timestamp,
    gaps: [f64; KNOWN],
    count: usize,
}

impl Cell {
    /// First seen at an instant: how far apart its looks are nobody knows yet.
    pub(super) const fn since(at: Timestamp) -> Self {
        Self { last: at, gaps: [f64::INFINITY; KNOWN], count: 0 }
    }

    /// Takes the next look. Says for how many seconds it stands: those since the last one, as far as they were watched.
    pub(super) fn stands_for(&mut self, at: Timestamp) -> f64 {
        let since = seconds(self.last, at);
        self.last = at.max(self.last);
        if since > 0.0 {
            self.gaps[self.count % KNOWN] = since;
            self.count += 1;
        }
        since.min(self.usual() * REACH)
    }

    /// The second shortest of the newest times: one alone is short when an agent was started anew, and an interval may have
    /// become another.
    fn usual(&self) -> f64 {
        let mut gaps = self.gaps;
        gaps.sort_unstable_by(f64::total_cmp);
        let [shortest, second, ..] = gaps;
        match self.count {
            0 => 0.0,
            1..ENOUGH => shortest,
            _ => second,
        }
    }
}
