//! The course of things under one plan: judge, step the incidents, plan what to say. Pure and synchronous, `now` is an
//! argument: the hub goes through it live, and a replay goes through it again with what was stored.

use std::{collections::BTreeSet, sync::Arc};

use super::{ClockOff, Noticing, Ourselves, rest::Rest, said::Said, world};
use crate::{
    attribution::{Absorbed, Judge, World},
    config::Plan,
    incident::{self, Adopted, Change, Incidents, Policy},
    model::{FeedState, Incident, IncidentState, Owed, Sighting, Silence, Subject, Timestamp, Transition, Verdict},
    notify::{self, Audience, ChannelFile, Hears, Planned, words},
};

/// Everything that lasts from one judgement to the next.
pub struct Course {
    plan: Arc<Plan>,
    pub(super) judge: Judge,
    pub(super) ourselves: Ourselves,
    /// What people do not want to hear of for a while.
    silences: Arc<Vec<Silence>>,
    /// Who hears of it where the plan says nothing of that.
    somebody: Vec<Hears>,
    policy: Policy,
    pub(super) incidents: Incidents,
    said: Said,
    noticing: Noticing,
    /// Nothing is opened at the moment.
    holds: bool,
    /// What people have been told of by somebody who cannot be asked now, and who will say how it ends.
    told_elsewhere: BTreeSet<Subject>,
    /// Until when nobody need judge, where somebody only looks.
    pub(super) rest: Rest,
}

/// Where one region judges by itself, because no hub takes anything of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alone {
    /// The region.
    pub region: Arc<str>,
    /// Since when no hub has taken anything.
    pub since: Timestamp,
    /// What the hub had told people of before.
    pub told: Vec<Subject>,
}

/// What one judgement came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Turn {
    /// Whose fault it is, for every subject and every vantage point.
    pub verdicts: Vec<Verdict>,
    /// What happened to incidents.
    pub changes: Vec<Change>,
    /// Incidents whose row has changed, whether or not anything happened that is worth a change.
    pub touched: Vec<Incident>,
    /// Suspicions that came to nothing.
    pub dropped: Vec<Arc<str>>,
    /// What to say.
    pub planned: Planned,
}

impl Course {
    /// Goes on from these incidents.
    #[must_use]
    pub fn new(plan: &Arc<Plan>, incidents: Incidents) -> Self {
        Self {
            plan: plan.clone(),
            judge: Judge::new(world::world(plan)),
            ourselves: Ourselves::resume(&incidents),
            silences: Arc::default(),
            somebody: vec![],
            policy: world::policy(plan),
            incidents,
            said: Said::default(),
            noticing: Noticing::new(plan),
            holds: false,
            told_elsewhere: BTreeSet::new(),
            rest: Rest::default(),
        }
    }

    /// Judges one region alone from now on.
    #[must_use]
    pub fn alone(self, alone: &Alone) -> Self {
        let mut course = Self { incidents: self.incidents.of_region(&alone.region), ..self };
        course.ourselves.judge_alone(&alone.region, alone.since);
        course.told_elsewhere = alone.told.iter().cloned().collect();
        course
    }

    /// Opens nothing from now on, or again what deserves it.
    pub fn hold(&mut self, hold: bool) {
        self.holds = hold;
    }

    /// Takes note of the clocks that are off now.
    pub fn note_clocks(&mut self, off: &[ClockOff], now: Timestamp) {
        self.ourselves.note_clocks(off, now);
    }

    /// Takes an incident of which a region has told by itself. What comes of it is a turn without verdicts.
    pub fn adopt_incident(&mut self, incident: &Incident, now: Timestamp) -> Turn {
        let channels = &self.plan.alerts.channels;
        let told: Vec<Arc<str>> =
            incident.told.iter().filter(|channel| channels.contains_key(*channel)).cloned().collect();
        // What nobody could be told of is still to be told.
        let untold = told.is_empty() && !incident.is_over() && !incident.muted;
        let owed = untold.then_some(Owed { word: Transition::Opened, since: now });
        let mut mine = Incident { told, owed, ..incident.clone() };
        mine.note = Some(format!("told by region {} alone at first", region_of(incident)));
        let mut turn = Turn::default();
        match self.incidents.adopt(&mine) {
            Adopted::Known => {}
            Adopted::GoesOn(suspicion) => {
                tracing::info!(incident = &*mine.id, "taken over from a region that judged by itself");
                turn.dropped.extend(suspicion);
                turn.touched.push(mine);
            }
            Adopted::Joins(into) => {
                tracing::info!(incident = &*mine.id, "of a region that judged by itself: it goes on as {}", into.id);
                turn.planned.letters = notify::joined(self.judge.world(), &mine, &into, now);
                mine.note = Some(Incident::went_on_note(&into.id));
                (mine.state, mine.closed_at) = (IncidentState::Closed, Some(now));
                turn.touched.push(mine);
            }
        }
        turn
    }

    /// Goes on from these incidents with what was seen.
    pub fn resume(&mut self, incidents: Incidents) {
        self.ourselves.take_up(&incidents);
        self.incidents = incidents;
    }

    /// Judges without a consequence, so that whoever takes over later goes on from the same.
    pub fn watch(&mut self, now: Timestamp) {
        let mut verdicts = self.judge.judge(now);
        self.ourselves.judge(&mut verdicts, now);
    }

    /// Goes on under another plan; what was seen and what is open stays.
    pub fn adopt(&mut self, plan: &Arc<Plan>) {
        self.plan = plan.clone();
        self.judge.adopt(world::world(plan));
        self.noticing.adopt(plan);
        self.policy = world::policy(plan);
    }

    /// Lets one channel hear of everything that pages, where the plan tells nobody.
    pub fn tell_somebody(&mut self) {
        self.somebody = vec![Hears::all("somebody")];
    }

    /// Takes what the parties' status pages say from now on, of those that have any.
    pub fn hear(&mut self, feeds: Vec<FeedState>) {
        self.said = Said::from(feeds);
    }

    /// The plan in force.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The parties and probes that are judged.
    #[must_use]
    pub const fn world(&self) -> &World {
        self.judge.world()
    }

    /// The incidents that are not over.
    #[must_use]
    pub const fn incidents(&self) -> &Incidents {
        &self.incidents
    }

    /// Takes one observation, or says why not.
    pub fn absorb(&mut self, seen: &Sighting<'_>, now: Timestamp) -> Absorbed {
        self.note(seen, now);
        self.judged(seen, now)
    }

    /// Takes one observation of the time before, that was known then: the judge is to come to what it came to then, while
    /// nobody was silent because nobody listened.
    pub fn recall(&mut self, seen: &Sighting<'_>, known_at: Timestamp, now: Timestamp) {
        self.note(seen, now);
        self.judged(seen, known_at);
    }

    fn judged(&mut self, seen: &Sighting<'_>, known_at: Timestamp) -> Absorbed {
        let paces = self.judge.paces();
        let absorbed = self.judge.absorb(seen, known_at);
        if self.judge.paces() != paces {
            for (region, interval) in self.judge.intervals_of_regions() {
                self.ourselves.keep_pace(region, interval);
            }
        }
        absorbed
    }

    fn note(&mut self, seen: &Sighting<'_>, now: Timestamp) {
        self.noticing.absorb(seen);
        if let Some(interval) = self.judge.interval_of(seen.probe) {
            self.ourselves.absorb(interval, seen, now);
        }
    }

    /// Whether there is anything to judge an observation of this probe by.
    #[must_use]
    pub fn knows(&self, probe: &str) -> bool {
        self.judge.interval_of(probe).is_some()
    }

    /// Judges as it was judged at an instant before, without a consequence.
    pub fn look_back(&mut self, then: Timestamp) {
        self.judge.look_back(then);
    }

    /// Takes note of how the store is: why it cannot be written to, when it cannot.
    pub fn note_store(&mut self, failing: Option<&str>, now: Timestamp) {
        // What cannot be stored is not taken from agents.
        if failing.is_some() {
            self.hears_nothing(now);
        }
        self.ourselves.note_store(failing, now);
    }

    /// Takes note that nothing could be heard until now, of anybody: nobody was silent.
    pub fn hears_nothing(&mut self, now: Timestamp) {
        self.judge.hears_nothing(now);
        self.ourselves.hears_nothing(now);
    }

    /// Takes the silences that there are now in the place of those before.
    pub fn silence(&mut self, silences: Arc<Vec<Silence>>) {
        self.silences = silences;
    }

    /// Controls that fail in a region that can see.
    #[must_use]
    pub fn silent_controls(&self, now: Timestamp) -> BTreeSet<(Subject, Arc<str>)> {
        self.judge.silent_controls(now)
    }

    /// Judges what is known now, and takes the incidents one step on.
    pub fn turn(&mut self, now: Timestamp) -> Turn {
        self.judge.ask_for_wholes(self.incidents.wholes());
        let mut verdicts = self.judge.judge(now);
        self.ourselves.judge(&mut verdicts, now);
        self.said.speak(self.judge.world(), &mut verdicts);
        self.noticing.speak(self.judge.world(), &mut verdicts, now);
        let admitted = self.said.admit(&mut self.incidents);
        let open_after = if self.holds { u32::MAX } else { self.policy.open_after };
        let step = incident::step(&self.incidents, &verdicts, Policy { open_after, ..self.policy }, now);
        let well = |subject: &Subject| {
            verdicts.iter().any(|verdict| verdict.subject == *subject && verdict.has_evidence() && !verdict.is_bad())
        };
        self.told_elsewhere.retain(|subject| !well(subject));
        self.incidents = step.incidents;
        let planned = self.letters(&step.changes, now);
        for amended in &planned.amended {
            self.incidents.amend(amended);
        }
        // A suspicion that was dropped just now is no longer among them, and must not be written.
        let admitted = self.incidents.current().filter(|incident| admitted.contains(&incident.id));
        let touched = admitted.cloned().chain(step.touched).collect();
        Turn { verdicts, changes: step.changes, touched, dropped: step.dropped, planned }
    }

    fn letters(&self, changes: &[Change], now: Timestamp) -> Planned {
        let muted = |incident: &Incident| {
            let planned = || self.said.planned(self.judge.world(), incident, now);
            let silenced = || words::silenced(&self.silences, incident, now);
            let elsewhere = || {
                let told = self.told_elsewhere.contains(&incident.subject);
                told.then(|| "the hub had told of it before".to_owned())
            };
            world::muted(&self.plan, incident, now).or_else(planned).or_else(silenced).or_else(elsewhere)
        };
        let alerts = &self.plan.alerts;
        let routes = if alerts.routes.is_empty() { &self.somebody } else { &alerts.routes };
        let edits = |channel: &str| alerts.channels.get(channel).is_some_and(ChannelFile::edits);
        let audience =
            Audience { world: self.judge.world(), routes, muted: &muted, edits: &edits, habits: alerts.habits };
        notify::plan(changes, &self.incidents, &audience, now)
    }
}

/// The region that told of an incident, as its id says.
fn region_of(incident: &Incident) -> &str {
    let after = incident.id.split_once("-from-").map_or("", |(_, after)| after);
    after.rsplitn(3, '-').nth(2).unwrap_or(after)
}

#[cfg(test)]
#[path = "course_tests.rs"]
mod tests;
