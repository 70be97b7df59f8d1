//! The numbers of one writer as they come: which of them have, in which order, and which are missing. Constant memory; knows
//! neither messages nor how long a missing one is waited for.

use std::collections::VecDeque;

use tokio::time::Instant;

use crate::model::Came;

/// Messages of one writer that are told apart, counted back from its newest: older ones are of another time.
pub(super) const REMEMBERED: u32 = u128::BITS;

/// What has come of one writer: its newest number, which of those before it have come, and since when others are missing.
#[derive(Debug)]
pub(super) struct Track {
    newest: u64,
    /// Bit `i` stands for the number `newest - i`.
    came: u128,
    pub(super) missing: VecDeque<(u64, Instant)>,
    /// When something came of it last.
    pub(super) heard: Instant,
}

impl Track {
    /// Whatever was written up to here is none of our business.
    pub(super) const fn begin(before: u64, now: Instant) -> Self {
        Self { newest: before, came: 0, missing: VecDeque::new(), heard: now }
    }

    /// Notes a number; nothing when it is too old to know anything about it.
    pub(super) fn note(&mut self, number: u64, now: Instant) -> Option<Came> {
        self.heard = now;
        if let Some(steps) = number.checked_sub(self.newest).filter(|steps| *steps > 0) {
            if let Some(steps) = u32::try_from(steps).ok().filter(|steps| *steps < REMEMBERED) {
                self.came = self.came << steps | 1;
                self.missing.extend((self.newest + 1..number).map(|missing| (missing, now)));
                let more = self.missing.len().saturating_sub(REMEMBERED as usize);
                self.missing.drain(..more);
            } else {
                // Wider than what one could lose: we were not listening.
                self.came = 1;
                self.missing.clear();
            }
            self.newest = number;
            return Some(Came::InOrder);
        }
        let back = u32::try_from(self.newest - number).ok().filter(|back| *back < REMEMBERED)?;
        let bit = 1_u128 << back;
        if self.came & bit != 0 {
            return Some(Came::Doubled);
        }
        self.came |= bit;
        self.missing.retain(|(missing, _)| *missing != number);
        Some(Came::OutOfOrder)
    }
}
