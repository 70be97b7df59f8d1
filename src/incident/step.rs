//! One step: yesterday's incidents and today's verdicts make today's incidents, and what changed on the way.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::{Incidents, rules, turn};
use crate::model::{Cause, Incident, IncidentState, Moment, Severity, Subject, Timestamp, Transition, Verdict};

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
    /// What is new about it, when it was open before.
    pub news: News,
}

/// What is new about an incident that people know of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum News {
    /// Nothing that is worth a word: only how it looks.
    #[default]
    Look,
    /// It is somebody else's fault than was said.
    Cause,
    /// It is worse than was said.
    Severity,
    /// It seemed to be over and is back.
    Again,
    /// It keeps coming back.
    Flapping,
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
    step.incidents.forget_over(now);
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

fn word(verdict: &Verdict, incident: Option<&Incident>) -> Word {
    // What was down and is slow now is over; what is slow from the beginning is an incident that pages nobody.
    let was_down = |one: &Incident| one.severity > Severity::Degraded && one.state != IncidentState::Suspected;
    match verdict {
        v if !v.has_evidence() => Word::Nothing,
        v if !v.is_bad() || v.degraded && incident.is_some_and(was_down) => Word::Good,
        v if v.because_of.is_some() => Word::Explained,
        _ => Word::Bad,
    }
}

impl Step {
    fn take(&mut self, verdict: &Verdict, policy: Policy, now: Timestamp) {
        let incident = self.incidents.current.get(&verdict.subject);
        let word = word(verdict, incident);
        match (incident.map(|incident| incident.state), word) {
            (_, Word::Nothing) | (None, Word::Good | Word::Explained) => {}
            (None, Word::Bad) => self.suspect(verdict, policy, now),
            (Some(IncidentState::Suspected), Word::Bad) => self.another_bad_round(verdict, policy, now),
            (Some(IncidentState::Suspected), Word::Good | Word::Explained) => self.drop_suspicion(&verdict.subject),
            (Some(IncidentState::Recovering), Word::Bad | Word::Explained) if !rules::is_back(verdict, policy) => {}
            (Some(_), Word::Bad | Word::Explained) => self.still_bad(verdict, policy, now),
            (Some(_), Word::Good) => self.getting_better(verdict, policy, now),
        }
    }

    fn suspect(&mut self, verdict: &Verdict, policy: Policy, now: Timestamp) {
        let onset = verdict.onset.unwrap_or(now);
        let id = self.incidents.new_id(&verdict.subject, onset);
        let incident = Incident::suspected(id, verdict, onset);
        let opens = rules::ready_to_open(incident.bad_rounds, verdict, policy)
            && !rules::is_known_as_a_whole(&self.incidents, verdict);
        self.incidents.current.insert(verdict.subject.clone(), incident);
        if opens {
            self.open(&verdict.subject, now);
        } else {
            self.note(&verdict.subject, Transition::Suspected, now, None);
        }
    }

    fn another_bad_round(&mut self, verdict: &Verdict, policy: Policy, now: Timestamp) {
        let Some(incident) = self.incidents.current.get_mut(&verdict.subject) else { return };
        let new_round = incident.round != verdict.round;
        let as_bad = (incident.severity == Severity::Degraded) == verdict.degraded;
        // What was suspected first may have been something else.
        incident.onset = verdict.onset.unwrap_or(incident.onset);
        incident.cause = verdict.cause;
        incident.severity = verdict.severity();
        incident.verdict = verdict.clone();
        incident.round = verdict.round;
        if new_round {
            // Slow rounds do not add up to one that is down.
            incident.bad_rounds = if as_bad { incident.bad_rounds + 1 } else { 1 };
        }
        // Evidence may become enough within a round.
        if rules::ready_to_open(incident.bad_rounds, verdict, policy)
            && !rules::is_known_as_a_whole(&self.incidents, verdict)
        {
            self.open(&verdict.subject, now);
        } else if new_round {
            self.touch(&verdict.subject);
        }
    }

    fn open(&mut self, subject: &Subject, now: Timestamp) {
        let Some(incident) = self.incidents.current.get_mut(subject) else { return };
        if let Some(closed) = self.incidents.over.get(subject)
            && rules::is_same_again(closed, incident)
        {
            self.reopen(subject, now);
            return;
        }
        incident.state = IncidentState::Open;
        incident.opened_at = Some(now);
        self.note(subject, Transition::Opened, now, None);
    }

    /// Takes an incident that seemed to be over in the place of the suspicion that it is back.
    fn reopen(&mut self, subject: &Subject, now: Timestamp) {
        let (Some(suspicion), Some(closed)) =
            (self.incidents.current.remove(subject), self.incidents.over.remove(subject))
        else {
            return;
        };
        self.dropped.push(suspicion.id.clone());
        // Who has not heard of the end yet need not hear of this.
        let news = if closed.owed.is_none() { News::Again } else { News::Look };
        let was = (closed.cause != suspicion.cause).then_some(closed.cause);
        let alone = closed.owed.is_none() && !rules::is_named_after(&self.incidents, &closed, now);
        self.incidents.current.insert(subject.clone(), turn::again(closed, suspicion, alone, now));
        self.update(subject, now, was, news);
    }

    fn drop_suspicion(&mut self, subject: &Subject) {
        if let Some(mut incident) = self.incidents.current.remove(subject) {
            self.dropped.push(incident.id.clone());
            incident.state = IncidentState::Closed;
            self.changes.push(Change { incident, transition: Transition::None, was: None, news: News::Look });
        }
    }

    fn still_bad(&mut self, verdict: &Verdict, policy: Policy, now: Timestamp) {
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
        if relapsed {
            turn::relapse(incident, verdict);
        }
        incident.good_rounds = 0;
        incident.bad_rounds += u32::from(new_round);
        incident.round = verdict.round;
        let (was, news) = turn::turn(incident, verdict, policy, relapsed);
        let flapping = relapsed && incident.flaps == rules::FLAPPING;
        let as_told = turn::is_as_told(incident, verdict);
        let looks_else = as_told && turn::looks_else(incident, verdict);
        if as_told {
            incident.verdict = verdict.clone();
        }
        match news {
            Some(news) => self.update(&verdict.subject, now, was, news),
            None if flapping => self.update(&verdict.subject, now, None, News::Flapping),
            None if relapsed => self.update(&verdict.subject, now, None, News::Look),
            None if looks_else => self.look(&verdict.subject),
            None => self.touch(&verdict.subject),
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
        incident.turning = None;
        incident.good_rounds += 1;
        // What comes back last says when it was over, and that is not before it began.
        let back = verdict.onset.filter(|back| *back > incident.began(&incident.verdict));
        incident.recovered_at = incident.recovered_at.max(back).or(Some(now));
        if rules::ready_to_close(incident, policy) {
            incident.state = IncidentState::Closed;
            incident.closed_at = Some(now);
            self.note(&verdict.subject, Transition::Closed, now, None);
            self.incidents.close(&verdict.subject);
        } else if first {
            self.note(&verdict.subject, Transition::Recovering, now, None);
        } else {
            self.touch(&verdict.subject);
        }
    }

    /// A subject that the configuration no longer has gets no verdict: its incident ends, and nobody knows how it is.
    fn close_what_is_gone(&mut self, verdicts: &[Verdict], now: Timestamp) {
        let judged: BTreeSet<&Subject> = verdicts.iter().map(|verdict| &verdict.subject).collect();
        let current = self.incidents.current.values();
        let gone: Vec<Subject> = current
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
            incident.recovered_at = None;
            incident.note = Some("closed because nothing looks at it any more".to_owned());
            let gone = rules::is_gone(&subject, &judged);
            self.note(&subject, if gone { Transition::Closed } else { Transition::None }, now, None);
            self.incidents.close(&subject);
        }
    }

    fn note(&mut self, subject: &Subject, transition: Transition, now: Timestamp, was: Option<Cause>) {
        self.change(subject, transition, now, was, News::Look);
    }

    fn update(&mut self, subject: &Subject, now: Timestamp, was: Option<Cause>, news: News) {
        self.change(subject, Transition::Updated, now, was, news);
    }

    /// Something happened: it is kept in the history.
    fn change(&mut self, subject: &Subject, transition: Transition, now: Timestamp, was: Option<Cause>, news: News) {
        let Some(incident) = self.incidents.current.get_mut(subject) else { return };
        let note = incident.note.clone().filter(|_| incident.is_unwatched());
        incident.remember(Moment { at: now, transition, cause: incident.cause, was, note });
        let incident = incident.clone();
        self.touched.push(incident.clone());
        self.changes.push(Change { incident, transition, was, news });
    }

    /// It only looks different.
    fn look(&mut self, subject: &Subject) {
        let Some(incident) = self.incidents.current.get(subject).cloned() else { return };
        self.touched.push(incident.clone());
        self.changes.push(Change { incident, transition: Transition::None, was: None, news: News::Look });
    }

    fn touch(&mut self, subject: &Subject) {
        self.touched.extend(self.incidents.current.get(subject).cloned());
    }
}

#[cfg(test)]
#[path = "step_tests.rs"]
mod tests;
