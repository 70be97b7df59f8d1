//! How often a probe is really looked at: a stored trace may be older than the configuration that it is judged by, and
//! a vantage point may run what it was last given. Rounds are counted in what is seen, never in less than is configured.

/// So many times from one look to the next tell.
const ENOUGH: usize = 8;

/// The newest times from one good look of a cell to its next, over all cells of a probe, in milliseconds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cadence {
    gaps: [i64; ENOUGH],
    count: usize,
}

impl Cadence {
    /// Takes a time from one look to the next. Says the interval that there is, where it clearly is not the one that is
    /// reckoned with; one that is shorter by chance, after a restart for instance, does not count.
    pub(super) fn note(&mut self, gap: i64, configured: i64, reckoned: i64) -> Option<i64> {
        self.gaps[self.count % ENOUGH] = gap;
        self.count += 1;
        if self.count < ENOUGH {
            return None;
        }
        let mut gaps = self.gaps;
        gaps.sort_unstable();
        let seen = gaps[1].max(configured);
        let differs = seen >= reckoned.saturating_mul(3) / 2 || reckoned >= seen.saturating_mul(3) / 2;
        differs.then_some(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(gaps: &[i64]) -> i64 {
        let (mut cadence, mut reckoned) = (Cadence::default(), 10);
        for gap in gaps {
            reckoned = cadence.note(*gap, 10, reckoned).unwrap_or(reckoned);
        }
        reckoned
    }

    #[test]
    fn what_is_looked_at_less_often_than_configured_has_longer_rounds() {
        assert_eq!(after(&[30; 7]), 10, "not at once");
        assert_eq!(after(&[30; 8]), 30);
        assert_eq!(after(&[30, 30, 60, 30, 3, 30, 30, 90]), 30, "lost looks, and a restart");
    }

    #[test]
    fn what_is_lost_now_and_then_or_looked_at_more_often_changes_nothing() {
        assert_eq!(after(&[10, 20, 10, 20, 20, 20, 20, 20, 20, 10]), 10);
        assert_eq!(after(&[3; 20]), 10);
        assert_eq!(after(&[&[30; 8][..], &[10; 8]].concat()), 10, "as configured again");
    }
}
