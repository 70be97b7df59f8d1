//! Evidence that adds up round by round (a CUSUM, Page 1954), clipped: cells that fail together in one round are one event,
//! not many, and a fault that is only partial may rest for a round.

use std::collections::VecDeque;

use super::noise::{FULL, SEVERITIES};

/// Evidence that one round can give at most, in nats.
const CLIP: f32 = 3.0;
/// Rounds kept apart; older ones are one figure.
const ROUNDS: usize = 24;
/// Partial faults need more evidence: what looks like them happens by chance more often.
const DEMAND: [f32; SEVERITIES.len()] = [1.4, 1.15, 1.0];
/// What a round in which all is well takes away at most, in nats: a partial fault may rest.
const RESTS: [f32; SEVERITIES.len()] = [1.5, 1.5, CLIP];
/// More evidence than this beyond what raises an alarm is not kept, in rounds' worth: what was bad for long must be seen
/// to be good again soon.
const MORE: f32 = 0.7;
/// An alarm ends when so much of what is kept is gone: a good round of a full fault, a few of a partial one.
const SLACK: [f32; SEVERITIES.len()] = [1.8, 1.4, 0.8];

/// How far evidence goes, in nats.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// What is kept at most.
    enough: f32,
    /// What one round takes away at most.
    rests: f32,
}

impl Limits {
    fn of(wanted: f32, severity: usize) -> Self {
        Self { enough: (wanted + MORE) * CLIP * DEMAND[severity], rests: RESTS[severity] }
    }

    fn add(self, sum: f32, round: f32) -> f32 {
        (sum + round.clamp(-self.rests, CLIP)).clamp(0.0, self.enough)
    }
}

/// A row of rounds that speaks for a fault of one severity.
#[derive(Debug, Clone)]
pub(super) struct Run {
    /// When its first round began, in milliseconds.
    anchor: i64,
    /// Of the rounds before the first that is kept.
    base: f32,
    /// Number of the first round that is kept.
    first: i64,
    rounds: VecDeque<f32>,
    /// The sum of all rounds, and of all but the newest: evidence mostly comes to the newest.
    sum: f32,
    sum_before: f32,
}

impl Run {
    pub(super) fn begin(at: i64, evidence: f32, severity: usize, wanted: f32) -> Self {
        let sum = Limits::of(wanted, severity).add(0.0, evidence);
        Self { anchor: at, base: 0.0, first: 0, rounds: VecDeque::from([evidence]), sum, sum_before: 0.0 }
    }

    pub(super) fn feed(&mut self, at: i64, evidence: f32, interval: i64, severity: usize, wanted: f32) {
        // What is a little older than the first bad sample belongs to its round; what is older than all that is kept
        // has had its say.
        let round = (at - self.anchor).div_euclid(interval).max(0);
        if round < self.first {
            return;
        }
        let mut place = round - self.first;
        if place > 4 * ROUNDS as i64 {
            // A long silence: what was is no evidence any more.
            *self = Self::begin(at, evidence, severity, wanted);
            return;
        }
        let limits = Limits::of(wanted, severity);
        while place >= self.rounds.len() as i64 {
            self.rounds.push_back(0.0);
            self.sum_before = self.sum;
            if self.rounds.len() > ROUNDS {
                let oldest = self.rounds.pop_front().unwrap_or_default();
                self.base = limits.add(self.base, oldest);
                self.first += 1;
                place -= 1;
            }
        }
        let Some(round) = usize::try_from(place).ok().and_then(|place| self.rounds.get_mut(place)) else { return };
        *round += evidence;
        let newest = self.rounds.len() - 1;
        if place < newest as i64 {
            self.sum_before = self.rounds.iter().take(newest).fold(self.base, |sum, round| limits.add(sum, *round));
        }
        self.sum = limits.add(self.sum_before, self.rounds[newest]);
    }

    /// When its first round began, in milliseconds.
    pub(super) const fn anchor(&self) -> i64 {
        self.anchor
    }

    /// In rounds' worth: a round in which all that is covered fails is worth one.
    pub(super) fn rounds(&self, severity: usize) -> f32 {
        self.sum / CLIP / DEMAND[severity]
    }

    /// Whether nothing of it is left.
    pub(super) const fn is_nothing(&self) -> bool {
        self.sum <= 0.0
    }
}

/// Rounds' worth of evidence in these rounds, whose evidence is given in nats.
pub(super) fn worth(rounds: impl Iterator<Item = f32>, severity: usize, wanted: f32) -> f32 {
    let limits = Limits::of(wanted, severity);
    rounds.fold(0.0, |sum, round| limits.add(sum, round)) / CLIP / DEMAND[severity]
}

/// The same at its height.
pub(super) fn height(rounds: impl Iterator<Item = f32>, severity: usize, wanted: f32) -> f32 {
    let limits = Limits::of(wanted, severity);
    let sums = rounds.scan(0.0, |sum, round| {
        *sum = limits.add(*sum, round);
        Some(*sum)
    });
    sums.fold(0.0, f32::max) / CLIP / DEMAND[severity]
}

/// Rounds' worth of evidence when what is normal for each cell counts in full: three failures in a row of a cell that
/// often fails are worth less than three of one that never does.
pub(super) fn full_worth(rounds: impl Iterator<Item = f32>, severity: usize) -> f32 {
    rounds.fold(0.0_f32, |sum, round| (sum + round.clamp(-2.0 * CLIP, 2.0 * CLIP)).max(0.0)) / FULL / DEMAND[severity]
}

/// What must be left of an alarm, in rounds' worth.
pub(super) fn holds(severity: usize, wanted: f32) -> f32 {
    wanted + MORE - SLACK[severity]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_sum_is_that_of_all_rounds_in_whichever_order_evidence_comes(
            looks in prop::collection::vec((0_i64..60, -3.0_f32..4.0), 1..80),
            severity in 0..SEVERITIES.len(),
        ) {
            const WANTED: f32 = 2.67;
            let mut run = Run::begin(0, 1.0, severity, WANTED);
            for (at, evidence) in looks {
                run.feed(at, evidence, 1, severity, WANTED);
                let limits = Limits::of(WANTED, severity);
                let all = run.rounds.iter().fold(run.base, |sum, round| limits.add(sum, *round));
                prop_assert_eq!(run.sum.to_bits(), all.to_bits());
            }
        }
    }
}
