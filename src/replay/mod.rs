//! Stored observations once more: through the same judging, the same incidents and the same policy as live, on the
//! clock of the trace. Pure and synchronous, but for the thread that reads ahead (`ahead`); must not know where bytes come
//! from or how lines are shown.
//!
//! The clock is that of a hub: an observation is known when it was received, or, where a file does not say, when it was
//! due. It never goes back. What became known is judged at the next whole second, as a hub would that judges every
//! second; while nothing comes it is judged now and then as well, because silence is evidence too.

mod ahead;
mod fields;
mod instant;
mod line;
mod lines;
mod number;
mod order;
mod parse;
mod peers;
mod raw;
mod scan;
mod template;
mod trace;
mod values;

pub use line::Line;
pub use parse::{NoObservation, Parsed, Parser};
pub use trace::{Odd, Taker, Tally, read};

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::{
    attribution::{Absorbed, World},
    config::Plan,
    hub::{Course, Turn},
    incident::{Change, Incidents, News},
    model::{Cause, Incident, Letter, LetterKind, Sighting, Subject, Timestamp, Transition, Verdict},
};
use chrono::TimeDelta;

/// A trace on its way through a plan.
pub struct Replay {
    course: Course,
    /// What was last told of each subject.
    stands: BTreeMap<Subject, Stand>,
    clock: Timestamp,
    /// The second at which what was taken since the last judgement is judged.
    due: Option<Timestamp>,
    judged: Option<Timestamp>,
    /// While nothing comes it is not judged again before this.
    rests_until: Timestamp,
    /// The last second at which something new was judged.
    heard: Timestamp,
    pulse: TimeDelta,
    lines: Vec<Line>,
}

/// What of a verdict is worth a line when it changes.
#[derive(Debug, Clone, PartialEq)]
struct Stand {
    cause: Cause,
    degraded: bool,
    regions: Vec<Arc<str>>,
    because_of: Option<Subject>,
}

impl Replay {
    /// A trace from its beginning, with nothing open. Where the plan tells nobody, somebody hears of everything.
    #[must_use]
    pub fn new(plan: &Arc<Plan>) -> Self {
        let mut course = Course::new(plan, Incidents::default());
        course.tell_somebody();
        let shortest = plan.probes.iter().map(|probe| probe.interval).min().unwrap_or_default();
        let pulse = shortest.clamp(Duration::from_secs(1), Duration::from_mins(1));
        Self {
            course,
            stands: BTreeMap::new(),
            clock: Timestamp::MIN_UTC,
            due: None,
            judged: None,
            rests_until: Timestamp::MIN_UTC,
            heard: Timestamp::MIN_UTC,
            pulse: TimeDelta::from_std(pulse).unwrap_or(TimeDelta::minutes(1)),
            lines: vec![],
        }
    }

    /// The parties and probes that are judged.
    #[must_use]
    pub const fn world(&self) -> &World {
        self.course.world()
    }

    /// Whether there is anything to judge an observation of this probe by.
    #[must_use]
    pub fn knows(&self, probe: &str) -> bool {
        self.course.knows(probe)
    }

    /// Takes an observation that was known at an instant: what was said until just before, and whether it counts.
    pub fn take(&mut self, seen: &Sighting<'_>, known_at: Timestamp) -> (std::vec::Drain<'_, Line>, Absorbed) {
        let now = self.clock.max(known_at);
        if now > self.clock {
            self.judge_before(now);
            self.clock = now;
        }
        let absorbed = self.course.absorb(seen, now);
        if self.due.is_none() {
            self.due = Some(next_second(now));
        }
        (self.lines.drain(..), absorbed)
    }

    /// Nothing more comes before an instant: what is said until just before it.
    pub fn until(&mut self, at: Timestamp) -> std::vec::Drain<'_, Line> {
        let now = self.clock.max(at);
        self.judge_before(now);
        self.clock = now;
        self.lines.drain(..)
    }

    /// The trace is over: what is said at last.
    pub fn finish(&mut self) -> std::vec::Drain<'_, Line> {
        if let Some(due) = self.due.take() {
            self.judge(due);
        }
        self.lines.drain(..)
    }

    /// Whose fault it is at an instant, after all that was taken.
    pub fn verdicts(&mut self, at: Timestamp) -> Vec<Verdict> {
        self.judge_before(at);
        self.course.turn(at).verdicts
    }

    /// The incidents that are not over.
    pub fn current(&self) -> impl Iterator<Item = &Incident> {
        self.course.incidents().current()
    }

    fn judge_before(&mut self, now: Timestamp) {
        match self.due {
            Some(due) if due < now => {
                self.due = None;
                self.heard = due;
                self.judge(due);
            }
            Some(_) => return,
            None => {}
        }
        let Some(mut last) = self.judged.filter(|_| now > self.rests_until) else { return };
        loop {
            let quiet = last - self.heard;
            // The longer nothing has come, the less is left that could change by itself.
            let longest = if quiet < TimeDelta::days(1) { TimeDelta::minutes(10) } else { TimeDelta::days(1) };
            let pause = (quiet / 4).min(longest).max(self.pulse);
            match last.checked_add_signed(pause) {
                Some(next) if next < now => last = next_second(next),
                _ => return,
            }
            self.judge(last);
        }
    }

    fn judge(&mut self, now: Timestamp) {
        self.judged = Some(now);
        self.rests_until = after(now, self.pulse);
        let Some(turn) = self.course.look(now) else { return };
        let mut told: Vec<&Subject> = Vec::new();
        for change in &turn.changes {
            let subject = &change.incident.subject;
            let verdict = turn.verdicts.iter().find(|verdict| verdict.subject == *subject);
            let verdict = verdict.unwrap_or(&change.incident.verdict);
            self.lines.push(Line::of_change(now, change, verdict, headline(&turn, &change.incident)));
            told.push(subject);
        }
        // What is told later than it happened: an incident that has outlasted a planned window, for instance.
        for incident in turn.planned.amended.iter().filter(|one| !turn.changes.iter().any(|c| c.incident.id == one.id))
        {
            let Some(headline) = headline(&turn, incident) else { continue };
            told.push(&incident.subject);
            let change =
                Change { incident: incident.clone(), transition: Transition::None, was: None, news: News::Look };
            self.lines.push(Line::of_change(now, &change, &incident.verdict, Some(headline)));
        }
        for verdict in &turn.verdicts {
            if !changed(&mut self.stands, verdict) || told.contains(&&verdict.subject) {
                continue;
            }
            let incident = self.course.incidents().current().find(|one| one.subject == verdict.subject);
            self.lines.push(Line::of_verdict(now, verdict, incident));
        }
    }
}

/// What people are told of an incident now that makes them get up: nothing good, no reminder, no mere edit.
fn headline(turn: &Turn, incident: &Incident) -> Option<String> {
    let pages = |letter: &&Letter| {
        !letter.good_news && !letter.edits && matches!(letter.kind, LetterKind::Opened | LetterKind::Updated)
    };
    let about =
        |letter: &&Letter| letter.incident == incident.id || letter.about.iter().any(|one| one.id == incident.id);
    turn.planned.letters.iter().filter(pages).find(about).map(|letter| letter.headline.clone())
}

/// Whether a verdict differs from what was told of its subject; remembers it then.
fn changed(stands: &mut BTreeMap<Subject, Stand>, verdict: &Verdict) -> bool {
    // That all is well, or that nothing is known yet, is what everybody believes at the beginning.
    let news = match stands.get(&verdict.subject) {
        Some(stand) if stand.is(verdict) => return false,
        Some(_) => true,
        None if !verdict.has_evidence() => return false,
        None => verdict.is_bad(),
    };
    stands.insert(verdict.subject.clone(), Stand::of(verdict));
    news
}

impl Stand {
    fn of(verdict: &Verdict) -> Self {
        Self {
            cause: verdict.cause,
            degraded: verdict.degraded,
            regions: if verdict.is_bad() { verdict.regions.clone() } else { vec![] },
            because_of: verdict.because_of.clone(),
        }
    }

    fn is(&self, verdict: &Verdict) -> bool {
        self.cause == verdict.cause
            && (!verdict.is_bad()
                || (self.degraded == verdict.degraded
                    && self.regions == verdict.regions
                    && self.because_of == verdict.because_of))
    }
}

/// So much later, as far as there are instants.
fn after(at: Timestamp, pause: TimeDelta) -> Timestamp {
    at.checked_add_signed(pause).unwrap_or(Timestamp::MAX_UTC)
}

/// The first whole second that is not before an instant.
fn next_second(at: Timestamp) -> Timestamp {
    if at.timestamp_subsec_nanos() == 0 {
        return at;
    }
    Timestamp::from_timestamp(at.timestamp() + 1, 0).unwrap_or(at)
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
