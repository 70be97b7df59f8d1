//! The course of things under one plan: judge, step the incidents, plan what to say. Pure and synchronous, `now` is an
//! argument: the hub goes through it live, and a replay goes through it again with what was stored.

use std::{collections::BTreeSet, sync::Arc};

use super::{Noticing, Ourselves, said::Said, world};
use crate::{
    attribution::{Absorbed, Judge, World},
    config::Plan,
    incident::{self, Change, Incidents, Policy},
    model::{FeedState, Incident, Sighting, Silence, Subject, Timestamp, Verdict},
    notify::{self, Audience, ChannelFile, Hears, Planned, words},
};

/// Everything that lasts from one judgement to the next.
pub struct Course {
    plan: Arc<Plan>,
    judge: Judge,
    ourselves: Ourselves,
    /// What people do not want to hear of for a while.
    silences: Arc<Vec<Silence>>,
    /// Who hears of it where the plan says nothing of that.
    somebody: Vec<Hears>,
    policy: Policy,
    incidents: Incidents,
    said: Said,
    noticing: Noticing,
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
        }
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
        self.noticing.absorb(seen);
        self.ourselves.absorb(self.judge.world(), seen, now);
        self.judge.absorb(seen, now)
    }

    /// Takes note of how the store is: why it cannot be written to, when it cannot.
    pub fn note_store(&mut self, failing: Option<&str>, now: Timestamp) {
        self.ourselves.note_store(failing, now);
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

    /// Whether there is nothing to judge: nothing is suspicious and no incident is under way.
    #[must_use]
    pub fn is_calm(&self, now: Timestamp) -> bool {
        self.incidents.current().next().is_none() && self.judge.is_calm(now)
    }

    /// Judges what is known now, and takes the incidents one step on.
    pub fn turn(&mut self, now: Timestamp) -> Turn {
        let mut verdicts = self.judge.judge(now);
        self.ourselves.judge(&mut verdicts, now);
        self.said.speak(self.judge.world(), &mut verdicts);
        self.noticing.speak(self.judge.world(), &mut verdicts, now);
        let admitted = self.said.admit(&mut self.incidents);
        let step = incident::step(&self.incidents, &verdicts, self.policy, now);
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
            world::muted(&self.plan, incident, now).or_else(planned).or_else(silenced)
        };
        let alerts = &self.plan.alerts;
        let routes = if alerts.routes.is_empty() { &self.somebody } else { &alerts.routes };
        let edits = |channel: &str| alerts.channels.get(channel).is_some_and(ChannelFile::edits);
        let audience =
            Audience { world: self.judge.world(), routes, muted: &muted, edits: &edits, habits: alerts.habits };
        notify::plan(changes, &self.incidents, &audience, now)
    }
}
