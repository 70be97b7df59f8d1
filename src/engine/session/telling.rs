//! What rounds tell of what has happened between them: that a session was opened again, how it ended, what the last try
//! came to. Each is told once.

use std::time::Duration;

use super::{Keeper, TURNS};
use crate::{
    engine::{Due, Seen},
    model::{Dropped, Failure, Observation, Outcome, SessionFacts, observation_id},
};

/// What is kept of messages for a round that does not come.
const ARRIVALS_AT_MOST: usize = 1000;

/// What has happened since the round before.
#[derive(Default)]
pub(super) struct Untold {
    /// The session was opened again.
    pub(super) opened: Option<Box<Seen>>,
    /// How long that took.
    pub(super) took: Option<Duration>,
    /// The last end that was not ours.
    pub(super) dropped: Option<Dropped>,
    /// The same in words, when it was not to be expected.
    pub(super) bad: Option<Failure>,
}

impl Keeper {
    /// What has happened since the round before, as observations of this one.
    pub(super) fn take_untold(&mut self, due: Due) -> Vec<Seen> {
        let Untold { opened, took, dropped, bad } = std::mem::take(&mut self.untold);
        let Some(mut seen) = opened else { return Vec::new() };
        self.restamp(&mut seen.observation, due);
        if let Some(failure) = bad
            && seen.observation.outcome == Outcome::Up
        {
            seen.observation.outcome = Outcome::Degraded;
            let age = dropped.as_ref().map_or(0.0, |dropped| dropped.age);
            let detail = format!("the session ended after {age:.0} s: {}", failure.detail);
            seen.observation.failure = Some(Failure { detail, ..failure });
        }
        let reconnected = took.map(|took| took.as_secs_f64());
        seen.observation.session = Some(SessionFacts { age: Some(0.0), reconnected, dropped });
        vec![*seen]
    }

    /// A try that failed, as the observation of a round.
    pub(super) fn as_round(&mut self, last: &mut Seen, due: Due) -> Vec<Seen> {
        self.untold.bad = None;
        let mut seen = last.clone();
        // What became of messages is told once.
        last.observation.arrivals.clear();
        self.restamp(&mut seen.observation, due);
        seen.observation.session =
            Some(SessionFacts { dropped: self.untold.dropped.take(), ..SessionFacts::default() });
        vec![seen]
    }

    fn restamp(&self, seen: &mut Observation, due: Due) {
        let turns = due.generation * TURNS;
        let Some(crew) = &self.crew else { return };
        seen.id = observation_id(&self.probe.name, &crew.observer.vantage, due.round, turns);
        (seen.round, seen.scheduled_at) = (due.round, due.scheduled_at);
    }
}

/// What became of messages during tries that no round has told of.
pub(super) fn with_arrivals_of(before: Option<Box<Seen>>, mut seen: Seen) -> Seen {
    if let Some(before) = before {
        let mut arrivals = before.observation.arrivals;
        arrivals.append(&mut seen.observation.arrivals);
        arrivals.truncate(ARRIVALS_AT_MOST);
        seen.observation.arrivals = arrivals;
    }
    seen
}
