//! One judgement of the hub: through the course of things, then to the keeper, the figures, the log and the view. Never
//! waits.

use std::{collections::BTreeSet, sync::Arc, time::Instant};

use tokio::sync::watch;

use super::{
    Alone, Course, Fleet, View,
    course::Turn,
    feeds::Pages,
    keeper::Keeper,
    recall::Way,
    unjudged::{self, Unjudged, Why},
};
use crate::{
    config::Plan,
    incident::{Change, Incidents, News},
    metrics::Metrics,
    model::{Incident, Observation, Severity, Sighting, Silence, Subject, Timestamp, Transition, Verdict},
    notify::words,
};

pub(super) struct Rounds {
    course: Course,
    pages: Pages,
    /// Who reports here, where agents may.
    fleet: Option<Fleet>,
    /// Where one region is judged alone.
    alone: Option<Alone>,
    /// When what is not judged yet came to a hub, one instant for each batch.
    fresh: Vec<Timestamp>,
    /// Controls that are down by themselves: a line in the log when that changes.
    silent_controls: BTreeSet<(Subject, Arc<str>)>,
    /// What the judge does not take.
    unjudged: Unjudged,
}

impl Rounds {
    /// Nothing seen yet, and nothing known of incidents.
    pub(super) fn new(plan: &Arc<Plan>, pages: Pages, fleet: Option<Fleet>, alone: Option<Alone>) -> Self {
        let course = course(plan, alone.as_ref());
        let (fresh, silent_controls, unjudged) = (Vec::new(), BTreeSet::new(), Unjudged::default());
        Self { course, pages, fleet, alone, fresh, silent_controls, unjudged }
    }

    /// Begins anew.
    pub(super) fn forget(&mut self, plan: &Arc<Plan>) {
        self.course = course(plan, self.alone.as_ref());
    }

    /// Goes on from these incidents with what was seen.
    pub(super) fn lead(&mut self, incidents: Incidents) {
        self.course.resume(match &self.alone {
            Some(alone) => incidents.of_region(&alone.region),
            None => incidents,
        });
    }

    /// Keeps up without a judgement of its own: another hub leads.
    pub(super) fn watch(&mut self, now: Timestamp) {
        self.fresh.clear();
        self.unjudged.news(now).iter().for_each(unjudged::News::say);
        self.course.watch(now);
    }

    /// Goes on under another plan; what was seen and what is open stays.
    pub(super) fn adopt(&mut self, plan: &Arc<Plan>) {
        self.course.adopt(plan);
    }

    pub(super) fn absorb(&mut self, seen: &Observation, metrics: &Metrics, now: Timestamp) {
        if let Some(why) = Why::of(self.course.absorb(&Sighting::from(seen), now)) {
            metrics.hub_not_judged(why.word());
            self.unjudged.note(why, seen, now);
        }
    }

    /// Absorbs what was known before this process was there.
    pub(super) fn recall(&mut self, way: &mut Way, seen: &Observation) {
        way.take(&Sighting::from(seen), &mut self.course, chrono::Utc::now());
    }

    /// Begins to listen: whoever was not heard before may have spoken all the same.
    pub(super) fn listen(&mut self) {
        self.course.hears_nothing(chrono::Utc::now());
    }

    /// Notes when a batch came that was absorbed just now.
    pub(super) fn note_batch(&mut self, seen: &[Observation]) {
        self.fresh.extend(seen.iter().filter_map(|seen| seen.received_at).min());
    }

    pub(super) fn silence(&mut self, silences: Arc<Vec<Silence>>) {
        self.course.silence(silences);
    }

    /// Takes the incidents of a region that judged by itself.
    pub(super) fn adopt_incidents(&mut self, incidents: &[Incident], keeper: &Keeper, now: Timestamp) {
        for incident in incidents {
            let Turn { touched, dropped, planned, .. } = self.course.adopt_incident(incident, now);
            keeper.record(touched.into_iter(), dropped, planned.letters);
        }
    }

    pub(super) fn judge(&mut self, keeper: &Keeper, view: &watch::Sender<View>, metrics: &Metrics, now: Timestamp) {
        let began = Instant::now();
        let feeds = self.pages.read(self.course.plan(), now);
        metrics.status_feeds(&feeds);
        self.course.hear(feeds.clone());
        let mut store = keeper.health();
        // Whoever has nothing to write notices by this.
        store.failing = store.failing.or_else(|| self.fleet.as_ref()?.failing());
        self.course.note_store(store.failing.as_deref(), now);
        if let Some(fleet) = &self.fleet {
            self.course.note_clocks(&fleet.clocks_off(now), now);
            self.course.hold(fleet.holds(now));
        }
        let Turn { verdicts, changes, touched, dropped, planned } = self.course.turn(now);
        self.say(&changes, &planned.amended, metrics);
        self.say_controls(now);
        self.unjudged.news(now).iter().for_each(unjudged::News::say);
        metrics.verdicts(&verdicts);
        metrics.status_feed_lags(&touched);
        self.pages.attend(self.course.plan(), self.course.incidents());
        metrics.incidents_open(self.course.incidents().open().count());
        keeper.record(touched.into_iter().chain(planned.amended), dropped, planned.letters);
        let closed = changes.into_iter().map(|change| change.incident).filter(|incident| incident.closed_at.is_some());
        view.send_modify(|view| {
            view.at = Some(now);
            let (world, incidents) = (self.course.world(), self.course.incidents());
            let said = |verdict: &Verdict| words::sentence(world, verdict, incidents.of(&verdict.subject));
            view.sentences = verdicts.iter().map(said).collect();
            view.verdicts = verdicts;
            view.incidents = self.course.incidents().current().cloned().collect();
            view.feeds = feeds;
            view.store = store;
            if let Some(lead) = &mut view.lead {
                lead.ours = true;
            }
            closed.for_each(|incident| view.close(incident));
        });
        metrics.hub_round(now, began.elapsed());
        let ended = chrono::Utc::now();
        let delays = self.fresh.drain(..).filter_map(|came| (ended - came).to_std().ok());
        delays.for_each(|delay| metrics.hub_verdict_delay(delay));
    }

    /// The log says of each incident what people are told, also when there is no channel to tell them by.
    fn say(&self, changes: &[Change], amended: &[Incident], metrics: &Metrics) {
        let world = self.course.world();
        for Change { incident, transition, was, news } in changes {
            let id = &*incident.id;
            match transition {
                Transition::Opened => {
                    metrics.incident_opened(&incident.subject.party, incident.cause);
                    let note = amended.iter().find(|one| one.id == incident.id).and_then(|one| one.note.as_deref());
                    let said = words::opening(world, incident).headline;
                    if incident.severity == Severity::Degraded {
                        tracing::info!(incident = id, note, "{said}");
                    } else {
                        tracing::warn!(incident = id, note, "{said}");
                    }
                }
                Transition::Updated if *news != News::Look => {
                    tracing::warn!(incident = id, "{}", words::turning(world, incident, *news, *was).headline);
                }
                Transition::Closed => tracing::info!(incident = id, "{}", words::closing(world, incident).headline),
                // Verdicts are told in the log as they change; of incidents only what people hear.
                Transition::Suspected | Transition::Updated | Transition::Recovering | Transition::None => {}
            }
        }
    }

    fn say_controls(&mut self, now: Timestamp) {
        let silent = self.course.silent_controls(now);
        for (subject, region) in silent.difference(&self.silent_controls) {
            tracing::info!(control = %subject, region = &**region, "a control is down by itself: nobody's verdict");
        }
        for (subject, region) in self.silent_controls.difference(&silent) {
            tracing::info!(control = %subject, region = &**region, "the control is no longer down by itself");
        }
        self.silent_controls = silent;
    }
}

fn course(plan: &Arc<Plan>, alone: Option<&Alone>) -> Course {
    let course = Course::new(plan, Incidents::default());
    match alone {
        Some(alone) => course.alone(alone),
        None => course,
    }
}
