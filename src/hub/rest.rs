//! When nobody need judge yet: whoever goes through years of a trace would otherwise judge at each of its seconds. What is
//! put off is only how soon it is said that something is good again of which nobody was told. Pure.

use chrono::TimeDelta;

use super::{Course, Turn};
use crate::model::{Incident, IncidentState, Timestamp};

/// From one look to the next while all is well …
const CALM: TimeDelta = TimeDelta::seconds(50);
/// … and from one judgement to the next.
const WELL: TimeDelta = TimeDelta::minutes(10);
/// The same where something is suspected and nothing more speaks against it, or a third of the shortest round.
const SUSPECTED: TimeDelta = TimeDelta::seconds(10);

/// What the last judgement left to wait for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Rest {
    /// Nothing: something goes on.
    #[default]
    None,
    /// Something is suspected that is far from being told, and not of ourselves: for bad news, or until an instant.
    Suspicion(Timestamp),
    /// All is well: for something suspicious, or until an instant for another look, and until one for another judgement.
    Well { look: Timestamp, judge: Timestamp },
}

impl Course {
    /// Judges where there may be something new to say, and takes the incidents one step on. Called whenever something was
    /// taken, and now and then.
    pub fn look(&mut self, now: Timestamp) -> Option<Turn> {
        match self.rest {
            Rest::Suspicion(until) if now < until && !self.judge.has_bad_news() && self.ourselves.is_calm(now) => {
                return None;
            }
            Rest::Well { look, .. } if now < look && self.is_calm(now) => return None,
            Rest::Well { judge, .. } if now < judge && self.is_calm(now) && self.judge.rests(now) => {
                self.rest = Rest::Well { look: after(now, CALM), judge };
                return None;
            }
            _ => {}
        }
        let turn = self.turn(now);
        self.rest = self.rest_after(&turn, now);
        Some(turn)
    }

    /// Whether there is nothing to judge: nothing is suspicious and no incident is under way.
    fn is_calm(&self, now: Timestamp) -> bool {
        self.incidents.current().next().is_none() && self.ourselves.is_calm(now) && self.judge.is_calm(now)
    }

    fn rest_after(&self, turn: &Turn, now: Timestamp) -> Rest {
        // A party that nothing is seen of is no reason to look more closely.
        let mut bad = turn.verdicts.iter().filter(|verdict| verdict.is_bad() && verdict.has_evidence()).peekable();
        let mut current = self.incidents.current();
        if bad.peek().is_none() && turn.changes.is_empty() && self.is_calm(now) {
            return Rest::Well { look: after(now, CALM), judge: after(now, WELL) };
        }
        let suspected = |incident: &Incident| incident.state == IncidentState::Suspected;
        let far = bad.all(|verdict| !self.judge.is_near(verdict)) && current.all(suspected);
        if far && self.ourselves.is_calm(now) && !self.judge.doubts_a_region(now) {
            let third = TimeDelta::milliseconds(self.judge.shortest_interval() / 3);
            return Rest::Suspicion(after(now, SUSPECTED.min(third)));
        }
        Rest::None
    }
}

/// So much later, as far as there are instants.
fn after(at: Timestamp, pause: TimeDelta) -> Timestamp {
    at.checked_add_signed(pause).unwrap_or(Timestamp::MAX_UTC)
}

#[cfg(test)]
#[path = "rest_tests.rs"]
mod tests;
