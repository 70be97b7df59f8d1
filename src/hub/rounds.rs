//! The state between two judgements, and one judgement: judge, step, plan, hand over to the keeper. Never waits.

use std::{collections::BTreeSet, sync::Arc, time::Instant};

use tokio::sync::watch;

use super::{View, keeper::Keeper, world};
use crate::{
    attribution::Judge,
    config::Plan,
    incident::{self, Change, Incidents, Policy},
    metrics::Metrics,
    model::{Incident, Observation, Sighting, Subject, Timestamp, Transition},
    notify::{self, Audience, words},
};

pub(super) struct Rounds {
    plan: Arc<Plan>,
    judge: Judge,
    policy: Policy,
    incidents: Incidents,
    /// Controls that are down by themselves: a line in the log when that changes.
    silent_controls: BTreeSet<(Subject, Arc<str>)>,
}

impl Rounds {
    pub(super) fn new(plan: &Arc<Plan>, incidents: Incidents, remembered: &[Observation], now: Timestamp) -> Self {
        let mut rounds = Self {
            plan: plan.clone(),
            judge: Judge::new(world::world(plan)),
            policy: world::policy(plan),
            incidents,
            silent_controls: BTreeSet::new(),
        };
        for seen in remembered {
            rounds.absorb(seen, now);
        }
        rounds
    }

    /// Goes on under another plan; what was seen and what is open stays.
    pub(super) fn adopt(&mut self, plan: &Arc<Plan>) {
        self.plan = plan.clone();
        self.judge.adopt(world::world(plan));
        self.policy = world::policy(plan);
    }

    pub(super) fn absorb(&mut self, seen: &Observation, now: Timestamp) {
        self.judge.absorb(&Sighting::from(seen), now);
    }

    pub(super) fn judge(&mut self, keeper: &Keeper, view: &watch::Sender<View>, metrics: &Metrics, now: Timestamp) {
        let began = Instant::now();
        let verdicts = self.judge.judge(now);
        let step = incident::step(&self.incidents, &verdicts, self.policy, now);
        self.incidents = step.incidents;
        let planned = self.letters(&step.changes, now);
        for amended in &planned.amended {
            self.incidents.amend(amended);
        }
        self.say(&step.changes, &planned.amended, metrics);
        self.say_controls(now);
        metrics.verdicts(&verdicts);
        metrics.incidents_open(self.incidents.open().count());
        let touched = step.touched.into_iter().chain(planned.amended);
        keeper.record(touched, step.dropped, planned.letters);
        let closed =
            step.changes.into_iter().map(|change| change.incident).filter(|incident| incident.closed_at.is_some());
        view.send_modify(|view| {
            view.at = Some(now);
            view.sentences = verdicts.iter().map(|verdict| words::sentence(self.judge.world(), verdict)).collect();
            view.verdicts = verdicts;
            view.incidents = self.incidents.current().cloned().collect();
            view.store = keeper.health();
            closed.for_each(|incident| view.close(incident));
        });
        metrics.hub_round(now, began.elapsed());
    }

    fn letters(&self, changes: &[Change], now: Timestamp) -> notify::Planned {
        let muted = |incident: &Incident| world::muted(&self.plan, incident, now);
        let alerts = &self.plan.alerts;
        let world = self.judge.world();
        let audience = Audience { world, routes: &alerts.routes, muted: &muted, habits: alerts.habits };
        notify::plan(changes, &self.incidents, &audience, now)
    }

    /// The log says of each incident what people are told, also when there is no channel to tell them by.
    fn say(&self, changes: &[Change], amended: &[Incident], metrics: &Metrics) {
        for Change { incident, transition, .. } in changes {
            let id = &*incident.id;
            match transition {
                Transition::Opened => {
                    metrics.incident_opened(&incident.subject.party, incident.cause);
                    let note = amended.iter().find(|one| one.id == incident.id).and_then(|one| one.note.as_deref());
                    let said = words::opening(self.judge.world(), incident).headline;
                    tracing::warn!(incident = id, note, "{said}");
                }
                Transition::Closed => {
                    tracing::info!(incident = id, "{}", words::closing(self.judge.world(), incident).headline);
                }
                Transition::None if incident.note.is_some() => {
                    tracing::info!(incident = id, note = incident.note, "incident ended");
                }
                // Verdicts are told in the log as they change; of incidents only what people hear.
                Transition::Suspected | Transition::Updated | Transition::Recovering | Transition::None => {}
            }
        }
    }

    fn say_controls(&mut self, now: Timestamp) {
        let silent = self.judge.silent_controls(now);
        for (subject, region) in silent.difference(&self.silent_controls) {
            tracing::info!(control = %subject, region = &**region, "a control is down by itself: nobody's verdict");
        }
        for (subject, region) in self.silent_controls.difference(&silent) {
            tracing::info!(control = %subject, region = &**region, "the control is no longer down by itself");
        }
        self.silent_controls = silent;
    }
}
