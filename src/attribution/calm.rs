//! When there is nothing to judge, or another judgement would say what the last one said.

use super::{
    absorb::{News, Region, Seen},
    judge::Judge,
    memory::Memory,
    vantage::FORGOTTEN,
};
use crate::model::{Reason, Timestamp, Verdict, is_enough};

/// A region that was found at fault is looked at closely for so long.
const AGAIN: i64 = 5 * 60_000;

impl Judge {
    /// Whether nothing is suspicious: no part of the world has any evidence against it that is worth a look, and every
    /// region is heard of that is still expected. While nobody is remembered as bad there is nothing to judge then.
    #[must_use]
    pub fn is_calm(&self, now: Timestamp) -> bool {
        let at = now.timestamp_millis();
        let quiet = |region: &Region| {
            let silent_for = at - region.newest;
            silent_for <= self.seen.parts[region.everything].interval.saturating_mul(2) || silent_for > FORGOTTEN
        };
        self.seen.regions.iter().all(quiet)
            && self.memories.iter().all(Memory::is_calm)
            && !self.seen.is_suspicious(None, at)
    }

    /// Whether nothing speaks against a party, or did when it was last looked at.
    pub(super) fn is_quiet(&self, party: usize, at: i64) -> bool {
        self.memories[party].is_calm() && !self.seen.is_suspicious(Some(party), at)
    }

    /// Listens without judging, where all was well at the last judgement: whether it would say the same now, since nothing
    /// is suspicious and what is fresh is what was fresh then.
    pub fn rests(&mut self, now: Timestamp) -> bool {
        let at = now.timestamp_millis();
        self.listen(at);
        self.is_calm(now) && !self.doubts_a_region(now) && self.seen.is_as_fresh_as_noted(at)
    }

    /// Whether some region was found at fault, or slow, so lately that it may be so again.
    #[must_use]
    pub fn doubts_a_region(&self, now: Timestamp) -> bool {
        let at = now.timestamp_millis();
        self.seen.regions.iter().any(|region| {
            let rounds = self.seen.parts[region.everything].interval.saturating_mul(3);
            at - region.blamed.max(region.slow_at) <= rounds.max(AGAIN)
        })
    }

    /// Whether anything was seen since the last judgement that may speak against somebody.
    #[must_use]
    pub fn has_bad_news(&self) -> bool {
        self.seen.news.contains(&News::Bad)
    }

    /// Whether a verdict may be told as soon as another look makes it surer, or time passes, without any bad news: it lacks
    /// no more than a round. A silence goes on by itself.
    #[must_use]
    pub fn is_near(&self, verdict: &Verdict) -> bool {
        let open_after = self.world().open_after;
        let nearly = |weight| is_enough(weight + 1.0, open_after);
        verdict.is_bad() && (verdict.reason == Some(Reason::Silence) || verdict.weight.is_none_or(nearly))
    }

    /// The shortest time from one look to the next of all probes, in milliseconds.
    #[must_use]
    pub const fn shortest_interval(&self) -> i64 {
        self.seen.shortest
    }
}

impl Seen {
    /// Takes note of which cells are fresh.
    pub(super) fn note_what_is_fresh(&mut self, now: i64) {
        let mut fresh = std::mem::take(&mut self.fresh_then);
        fresh.clear();
        fresh.extend(self.cells.iter().map(|cell| self.fresh(cell, now).is_some()));
        self.fresh_then = fresh;
    }

    /// Whether the cells are fresh that were when that was noted.
    fn is_as_fresh_as_noted(&self, now: i64) -> bool {
        self.cells.iter().map(|cell| self.fresh(cell, now).is_some()).eq(self.fresh_then.iter().copied())
    }
}
