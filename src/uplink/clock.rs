//! How far the clock of an agent is ahead of the hubs', from when it asked and they answered. Pure.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use crate::model::Timestamp;

/// Answers that are remembered …
const ANSWERS: usize = 16;
/// … for so long: clocks drift.
const REMEMBERED: Duration = Duration::from_mins(5);

/// An estimate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Offset {
    /// How far the agent is ahead, in seconds …
    pub(super) ahead: f64,
    /// … give or take half of this.
    pub(super) round_trip: f64,
}

/// The last answers.
#[derive(Debug, Default)]
pub(super) struct Clock {
    answers: VecDeque<(Instant, Offset)>,
}

/// One question and its answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exchange {
    /// When it was asked, by the agent's clock.
    pub(super) sent_at: Timestamp,
    /// When the hub had the question, by its own clock.
    pub(super) received_at: Timestamp,
    /// When the hub answered.
    pub(super) answered_at: Timestamp,
    /// From the question to the answer, as the agent felt it.
    pub(super) took: Duration,
}

impl Clock {
    /// Learns from an exchange. What contradicts the answers before it was made by another clock: one of the two was set.
    pub(super) fn learn(&mut self, exchange: &Exchange, now: Instant) {
        let Some(offset) = exchange.offset() else { return };
        let contradicts =
            |other: &Offset| (other.ahead - offset.ahead).abs() > (other.round_trip + offset.round_trip) / 2.0 + 0.01;
        if self.answers.iter().any(|(_, other)| contradicts(other)) {
            self.answers.clear();
        }
        if self.answers.len() == ANSWERS {
            self.answers.pop_front();
        }
        self.answers.push_back((now, offset));
    }

    /// The best of the last answers: the one that came quickest leaves the least room.
    pub(super) fn offset(&self, now: Instant) -> Option<Offset> {
        let fresh = self.answers.iter().filter(|(at, _)| now.duration_since(*at) < REMEMBERED);
        fresh.map(|(_, offset)| *offset).min_by(|one, other| one.round_trip.total_cmp(&other.round_trip))
    }
}

impl Exchange {
    fn offset(&self) -> Option<Offset> {
        let seconds = |from: Timestamp, to: Timestamp| -> Option<f64> {
            let micros = (to - from).num_microseconds()?;
            #[expect(clippy::cast_precision_loss, reason = "an estimate; a clock that is years off may be off by more")]
            Some(micros as f64 / 1e6)
        };
        let held = seconds(self.received_at, self.answered_at)?;
        let took = self.took.as_secs_f64();
        if !(0.0..=took).contains(&held) {
            return None;
        }
        // As far as it took there as it took back: what is not so cannot be more than half of it.
        let there = seconds(self.received_at, self.sent_at)?;
        let round_trip = took - held;
        Some(Offset { ahead: there + round_trip / 2.0, round_trip })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_timestamp_millis(1_795_000_000_000 + millis).unwrap()
    }

    /// An agent that is `ahead`, and ways of so many milliseconds there and back.
    fn exchange(ahead: i64, there: i64, back: i64) -> Exchange {
        Exchange {
            sent_at: at(ahead),
            received_at: at(there),
            answered_at: at(there + 7),
            took: Duration::from_millis((there + 7 + back).unsigned_abs()),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_quickest_answer_counts_and_a_clock_that_is_set_is_noticed() {
        let (mut clock, now) = (Clock::default(), Instant::now());
        clock.learn(&exchange(1500, 200, 20), now);
        let slow = clock.offset(now).unwrap();
        assert!((slow.ahead - 1.5).abs() <= slow.round_trip / 2.0);
        clock.learn(&exchange(1500, 10, 10), now);
        clock.learn(&exchange(1500, 10, 300), now);
        let best = clock.offset(now).unwrap();
        assert!((best.ahead - 1.5).abs() < 1e-9 && (best.round_trip - 0.02).abs() < 1e-9, "{best:?}");
        clock.learn(&exchange(-3000, 40, 10), now);
        let set = clock.offset(now).unwrap();
        assert!((set.ahead + 3.0).abs() < 0.03, "{set:?}");
        tokio::time::advance(REMEMBERED).await;
        assert_eq!(clock.offset(Instant::now()), None);
    }

    #[test]
    fn a_hub_that_makes_no_sense_teaches_nothing() {
        let mut clock = Clock::default();
        let now = Instant::now();
        let backwards = Exchange { answered_at: at(-5), ..exchange(0, 10, 10) };
        let longer_than_it_took = Exchange { answered_at: at(5000), ..exchange(0, 10, 10) };
        for exchange in [backwards, longer_than_it_took] {
            clock.learn(&exchange, now);
        }
        assert_eq!(clock.offset(now), None);
    }
}
