//! What parties say of themselves beside verdicts and incidents: it adds to what people are told, and neither opens an
//! incident nor closes one. Pure.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    attribution::World,
    incident::Incidents,
    model::{AdmissionKind, Cause, FeedState, Incident, Timestamp, Verdict},
    notify::admission,
};

/// Planned work that takes longer keeps nobody from being told.
const LONGEST_WORK: chrono::TimeDelta = chrono::TimeDelta::days(31);

/// What the status pages say now, by party.
#[derive(Default)]
pub(super) struct Said(BTreeMap<Arc<str>, FeedState>);

impl From<Vec<FeedState>> for Said {
    fn from(states: Vec<FeedState>) -> Self {
        Self(states.into_iter().map(|state| (state.party.clone(), state)).collect())
    }
}

impl Said {
    /// Adds to bad verdicts what the party at fault says of it, or that it says nothing.
    pub(super) fn speak(&self, world: &World, verdicts: &mut [Verdict]) {
        for verdict in verdicts.iter_mut().filter(|verdict| verdict.is_bad() && verdict.cause != Cause::Probe) {
            let blamed = verdict.because_of.as_ref().unwrap_or(&verdict.subject);
            let Some(state) = self.0.get(&blamed.party) else { continue };
            let since = verdict.onset.unwrap_or(verdict.at);
            verdict.page_says = admission::says(world, state, blamed, &verdict.regions, (since, verdict.at));
        }
    }

    /// Notes in incidents when the party admitted them; the ids of those that have changed.
    pub(super) fn admit(&self, incidents: &mut Incidents) -> Vec<Arc<str>> {
        let is_theirs = |incident: &&Incident| !matches!(incident.cause, Cause::Us | Cause::Probe | Cause::Ok);
        let open = incidents.current().filter(|incident| incident.admitted_at.is_none()).filter(is_theirs);
        let admitted: Vec<Incident> = open.filter_map(|incident| self.admitted(incident)).collect();
        for incident in &admitted {
            incidents.amend(incident);
        }
        admitted.into_iter().map(|incident| incident.id).collect()
    }

    fn admitted(&self, incident: &Incident) -> Option<Incident> {
        let state = self.0.get(&incident.subject.party)?;
        let admissions = state.about(&incident.subject, &incident.verdict.regions);
        let first = admissions
            .filter(|one| one.is_trouble() && one.said_at >= incident.onset - admission::AHEAD)
            .min_by_key(|one| one.said_at)?;
        Some(Incident { admitted_at: Some(first.said_at), admission: Some(first.clone()), ..incident.clone() })
    }

    /// The party's own planned work that covers an incident, for people.
    pub(super) fn planned(&self, world: &World, incident: &Incident, now: Timestamp) -> Option<String> {
        let state = self.0.get(&incident.subject.party)?;
        let covers = |until: Timestamp, since: Timestamp| since <= now && now < until && until - since <= LONGEST_WORK;
        let work = state.about(&incident.subject, &incident.verdict.regions).find(|one| {
            one.kind == AdmissionKind::Maintenance && one.until.is_some_and(|until| covers(until, one.since))
        })?;
        Some(admission::planned(world, work, now))
    }
}
