//! How old sessions become before the other side ends them: what is usual for a probe is learned, and only a shift is
//! news. Pure; must not know why a session ended.

use std::{collections::VecDeque, time::Duration};

/// Ends that are remembered.
const REMEMBERED: usize = 12;
/// So many ends at about the same age, and that age is usual.
const ENOUGH: usize = 3;
/// A session that does not live so long is never as it should be.
const LEAST: Duration = Duration::from_secs(60);

/// The ages at which a probe's sessions have ended.
#[derive(Debug, Default)]
pub(super) struct Ages(VecDeque<Duration>);

impl Ages {
    /// Notes an end, and says whether it was to be expected. `on_purpose`: the other side said that it ends the session
    /// as it always does.
    pub(super) fn expects(&mut self, age: Duration, on_purpose: bool) -> bool {
        let usual = self.is_usual(age);
        let expected = age >= LEAST && (usual || (on_purpose && !self.is_early(age)));
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(age);
        expected
    }

    /// Whether enough sessions have ended at about this age.
    fn is_usual(&self, age: Duration) -> bool {
        self.0.iter().filter(|known| alike(**known, age)).count() >= ENOUGH
    }

    /// Whether sessions are known to live longer than this.
    fn is_early(&self, age: Duration) -> bool {
        self.0.iter().any(|known| *known > age && !alike(*known, age) && self.is_usual(*known))
    }
}

/// Within a tenth of the longer.
fn alike(one: Duration, other: Duration) -> bool {
    one.abs_diff(other) <= one.max(other) / 10
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_life_of_one_hour_is_learned_and_a_shorter_one_is_news_until_it_is_usual() {
        let mut ages = Ages::default();
        let hour = |off: i32| Duration::from_secs(u64::try_from(3600 + off).unwrap());
        // Cut off without a word: news three times, then known.
        let told: Vec<bool> = [0, 20, -30, 5].map(|off| ages.expects(hour(off), false)).to_vec();
        assert_eq!(told, [false, false, false, true]);
        // A shift.
        let told: Vec<bool> = (0..4).map(|_| ages.expects(5 * MINUTE, false)).collect();
        assert_eq!(told, [false, false, false, true]);
        assert!(ages.expects(hour(0), false), "the old life is still a life");
    }

    #[test]
    fn what_is_done_on_purpose_is_expected_unless_it_comes_earlier_than_ever() {
        let mut ages = Ages::default();
        assert!((0..4).all(|_| ages.expects(60 * MINUTE, true)));
        assert!(!ages.expects(10 * MINUTE, true));
        assert!(ages.expects(90 * MINUTE, true), "longer is no worse");
    }

    #[test]
    fn sessions_that_live_for_moments_are_never_usual() {
        let mut ages = Ages::default();
        assert!((0..50).all(|_| !ages.expects(Duration::from_secs(2), true)));
        assert!(ages.0.len() <= REMEMBERED);
    }
}
