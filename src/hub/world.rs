//! The plan as judging and telling see it.

use std::sync::Arc;

use crate::{
    attribution::{World, WorldParty, WorldProbe},
    config::Plan,
    incident::Policy,
    model::{Incident, Timestamp},
    notify::Roster,
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
    World { parties: parties.collect(), probes: probes.collect(), open_after: plan.alerts.open_after }
}

pub(super) fn roster(plan: &Plan) -> Roster {
    Arc::new(plan.alerts.channels.clone())
}

pub(super) fn policy(plan: &Plan) -> Policy {
    Policy { open_after: plan.alerts.open_after, close_after: plan.alerts.close_after }
}

/// Why nobody is to be told of an incident at an instant.
pub(super) fn muted(plan: &Plan, incident: &Incident, at: Timestamp) -> Option<String> {
    plan.maintenance
        .iter()
        .find(|window| window.party == incident.subject.party && window.covers(at))
        .map(|window| format!("planned window ({})", window.note))
}
