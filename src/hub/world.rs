//! The plan as judging and telling see it.

use std::sync::Arc;

use crate::{
    attribution::{World, WorldParty, WorldProbe},
    config::Plan,
    incident::Policy,
    model::{Subject, Timestamp},
    notify::{Hears, Roster},
};

/// Parties and probes as far as judging is concerned.
#[must_use]
pub fn world(plan: &Plan) -> World {
    let parties = plan.parties.iter().map(|(key, party)| {
        let party = WorldParty { kind: party.kind, name: party.name.clone(), depends_on: party.depends_on.clone() };
        (key.clone(), party)
    });
    let probes = plan.probes.iter().map(|probe| {
        let seen = WorldProbe { subject: probe.subject.clone(), interval: probe.interval, timeout: probe.timeout };
        (probe.name.clone(), seen)
    });
    World { parties: parties.collect(), probes: probes.collect() }
}

pub(super) fn roster(plan: &Plan) -> Roster {
    Arc::new(plan.alerts.channels.clone())
}

pub(super) fn routes(plan: &Plan) -> Vec<Hears> {
    plan.alerts.routes.iter().map(|route| Hears { channel: route.to.clone(), party: route.party.clone() }).collect()
}

pub(super) fn policy(plan: &Plan) -> Policy {
    Policy { open_after: plan.alerts.open_after, close_after: plan.alerts.close_after }
}

/// The note of the planned window that covers a subject at an instant.
pub(super) fn muted(plan: &Plan, subject: &Subject, at: Timestamp) -> Option<Arc<str>> {
    plan.maintenance
        .iter()
        .find(|window| window.party == subject.party && window.covers(at))
        .map(|window| window.note.clone())
}
