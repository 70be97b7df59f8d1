//! One step: yesterday's incidents and today's verdicts make today's incidents, and what changed on the way.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::Incidents;
use crate::model::{Cause, Incident, IncidentState, Subject, Timestamp, Transition, Verdict};

/// A vantage point that was silent for so long will not tell us any more that it has recovered.
const GONE: Duration = Duration::from_hours(1);

/// How patient we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Bad rounds in a row before an incident opens.
    pub open_after: u32,
    /// Good rounds in a row before it closes.
    pub close_after: u32,
}

/// What became of an incident in a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The incident as it is now.
    pub incident: Incident,
    /// What happened to it.
    pub transition: Transition,
    /// The cause that was told before, when it has changed.
    pub was: Option<Cause>,
}

/// The result of a step.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Step {
    /// The incidents that are not over.
    pub incidents: Incidents,
    /// What happened, in the order of the verdicts.
    pub changes: Vec<Change>,
    /// Incidents whose row has changed, whether or not anything happened that is worth a change.
    pub touched: Vec<Incident>,
    /// Suspicions that came to nothing: their ids are free again.
    pub dropped: Vec<Arc<str>>,
}

/// Takes the verdicts of one moment. A round counts once, however often it is judged; a verdict without fresh evidence
/// counts neither way.
#[must_use]
pub fn step(incidents: &Incidents, verdicts: &[Verdict], policy: Policy, now: Timestamp) -> Step {
    let mut step = Step { incidents: incidents.clone(), ..Step::default() };
    step.incidents.forget_ids_before(now);
    for verdict in verdicts {
        step.take(verdict, policy, now);
    }
    step.close_what_is_gone(verdicts, now);
    step
}

/// What a verdict means for an incident.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Bad,
    /// Bad, but somebody else's incident.
    Explained,
    Good,
    Nothing,
}

fn word(verdict: &Verdict) -> Word {
    match verdict {
        v if !v.has_evidence() => Word::Nothing,
        // Slow is not down: it opens nothing, and something that was down and is slow now is over.
        v if !v.is_bad() || v.degraded => Word::Good,
        v if v.because_of.is_some() => Word::Explained,
        _ => Word::Bad,
    }
}

impl Step {
    fn take(&mut self, verdict: &Verdict, policy: Policy, now: Timestamp) {
        let word = word(verdict);
        let state = self.incidents.current.get(&verdict.subject).map(|incident| incident.state);
        match (state, word) {
            (_, Word::Nothing) | (None, Word::Good | Word::Explained) => {}
            (None, Word::Bad) => self.suspect(verdict, policy, now),
            (Some(IncidentState::Suspected), Word::Bad) => self.another_bad_round(verdict, policy, now),
            (Some(IncidentState::Suspected), Word::Good | Word::Explained) => self.drop_suspicion(&verdict.subject),
            (Some(_), Word::Bad | Word::Explained) => self.still_bad(verdict),
            (Some(_), Word::Good) => self.getting_better(verdict, policy, now),
        }
    }

    fn suspect(&mut self, verdict: &Verdict, policy: Policy, now: Timestamp) {
        let onset = verdict.onset.unwrap_or(now);
        let incident = Incident {
            id: self.incidents.new_id(&verdict.subject, onset),
            subject: verdict.subject.clone(),
            state: IncidentState::Suspected,
            cause: verdict.cause,
            severity: verdict.severity(),
            onset,
            opened_at: None,
            recovered_at: None,
            closed_at: None,
            bad_rounds: 1,
            good_rounds: 0,
            round: verdict.round,
            verdict: verdict.clone(),
            told: vec![],
            muted: false,
            note: None,
            admitted_at: None,
            admission: None,
            flaps: 0,
            turning: None,
            history: vec![],
            told_at: None,
            owed: None,
            digest: None,
        };
        self.incidents.current.insert(verdict.subject.clone(), incident);
        if policy.open_after <= 1 {
            self.open(&verdict.subject, now);
        } else {
            self.note(&verdict.subject, Transition::Suspected, None);
        }
    }

    fn another_bad_round(&mut self, verdict: &Verdict, policy: Policy, now: Timestamp) {
        let Some(incident) = self.incidents.current.get_mut(&verdict.subject) else { return };
        let new_round = incident.round != verdict.round;
        incident.onset = incident.onset.min(verdict.onset.unwrap_or(now));
        incident.cause = verdict.cause;
        incident.verdict = verdict.clone();
        incident.round = verdict.round;
        if !new_round {
            return;
        }
        incident.bad_rounds += 1;
        if incident.bad_rounds >= policy.open_after {
            self.open(&verdict.subject, now);
        } else {
            self.touch(&verdict.subject);
        }
    }

    fn open(&mut self, subject: &Subject, now: Timestamp) {
        if let Some(incident) = self.incidents.current.get_mut(subject) {
            incident.state = IncidentState::Open;
            incident.opened_at = Some(now);
        }
        self.note(subject, Transition::Opened, None);
    }

    fn drop_suspicion(&mut self, subject: &Subject) {
        if let Some(mut incident) = self.incidents.current.remove(subject) {
            self.dropped.push(incident.id.clone());
            incident.state = IncidentState::Closed;
            self.changes.push(Change { incident, transition: Transition::None, was: None });
        }
    }

    fn still_bad(&mut self, verdict: &Verdict) {
        let Some(incident) = self.incidents.current.get_mut(&verdict.subject) else { return };
        // When no vantage point can see it, the incident waits: it is neither worse nor better.
        if verdict.because_of.as_ref().is_some_and(|subject| subject.as_vantage().is_some()) {
            return;
        }
        let relapsed = incident.state == IncidentState::Recovering;
        let new_round = incident.round != verdict.round;
        // While regions recover one after the other the same round looks like another cause: only a new round tells.
        if !relapsed && !new_round {
            return;
        }
        let was = (incident.cause != verdict.cause).then_some(incident.cause);
        incident.state = IncidentState::Open;
        incident.recovered_at = None;
        incident.good_rounds = 0;
        incident.bad_rounds += u32::from(new_round);
        incident.round = verdict.round;
        incident.cause = verdict.cause;
        incident.verdict = verdict.clone();
        if relapsed || was.is_some() {
            self.note(&verdict.subject, Transition::Updated, was);
        } else {
            self.touch(&verdict.subject);
        }
    }

    fn getting_better(&mut self, verdict: &Verdict, policy: Policy, now: Timestamp) {
        let Some(incident) = self.incidents.current.get_mut(&verdict.subject) else { return };
        let first = incident.state == IncidentState::Open;
        if !first && incident.round == verdict.round {
            return;
        }
        incident.round = verdict.round;
        incident.state = IncidentState::Recovering;
        incident.good_rounds += 1;
        // What comes back last says when it was over.
        incident.recovered_at = incident.recovered_at.max(verdict.onset).or(Some(now));
        if incident.good_rounds >= policy.close_after {
            incident.state = IncidentState::Closed;
            incident.closed_at = Some(now);
            self.note(&verdict.subject, Transition::Closed, None);
            self.incidents.close(&verdict.subject);
        } else if first {
            self.note(&verdict.subject, Transition::Recovering, None);
        } else {
            self.touch(&verdict.subject);
        }
    }

    /// A subject that the configuration no longer has gets no verdict: its incident ends without a word to anybody.
    fn close_what_is_gone(&mut self, verdicts: &[Verdict], now: Timestamp) {
        let judged: BTreeSet<&Subject> = verdicts.iter().map(|verdict| &verdict.subject).collect();
        let gone: Vec<Subject> = self
            .incidents
            .current
            .values()
            .filter(|incident| !judged.contains(&incident.subject))
            .filter(|incident| incident.subject.as_vantage().is_none() || incident.verdict.at + GONE < now)
            .map(|incident| incident.subject.clone())
            .collect();
        for subject in gone {
            let Some(incident) = self.incidents.current.get_mut(&subject) else { continue };
            if incident.state == IncidentState::Suspected {
                self.drop_suspicion(&subject);
                continue;
            }
            incident.state = IncidentState::Closed;
            incident.closed_at = Some(now);
            incident.note = Some("closed because nothing looks at it any more".to_owned());
            // Nobody is told of an end that nobody saw.
            self.note(&subject, Transition::None, None);
            self.incidents.close(&subject);
        }
    }

    fn note(&mut self, subject: &Subject, transition: Transition, was: Option<Cause>) {
        if let Some(incident) = self.incidents.current.get(subject).cloned() {
            self.touched.push(incident.clone());
            self.changes.push(Change { incident, transition, was });
        }
    }

    fn touch(&mut self, subject: &Subject) {
        self.touched.extend(self.incidents.current.get(subject).cloned());
    }
}

#[cfg(test)]
#[path = "step_tests.rs"]
mod tests;
