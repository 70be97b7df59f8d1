//! What is not there, or has no effect: nothing to probe, nothing to compare with, nobody to tell.

use std::collections::BTreeSet;

use super::Facts;
use crate::{config::fault::Fault, model::PartyKind};

pub(super) fn something_is_probed(facts: &Facts<'_>, faults: &mut Vec<Fault>) {
    if facts.file.probes.as_ref().is_some_and(Vec::is_empty) {
        let id = facts.tree.descend(facts.tree.root, ["probes"]);
        faults.push(Fault::error(facts.tree.place(id), "there is nothing to probe").help("add a probe"));
    }
}

pub(super) fn everything_is_used(facts: &Facts<'_>, faults: &mut Vec<Fault>) {
    let probed: BTreeSet<&str> =
        facts.probes().filter_map(|probe| probe.value.party.as_ref()).map(|party| party.value.as_str()).collect();
    for (key, party) in facts.file.parties.iter().flatten().filter(|(key, _)| !probed.contains(key.as_str())) {
        let at = facts.tree.place(party.id);
        faults.push(Fault::warning(at, format!("no probe looks at `{key}`: nothing will ever be said of it")));
    }
    let alerts = &facts.file.alerts;
    let told: BTreeSet<&str> = alerts
        .routes
        .iter()
        .filter_map(|route| route.to.as_ref())
        .flat_map(|to| to.iter())
        .map(|to| to.value.as_str())
        .collect();
    for (key, channel) in alerts.channels.iter().filter(|(key, _)| !told.contains(key.as_str())) {
        let at = facts.tree.place(channel.id);
        faults.push(
            Fault::warning(at, format!("no route leads to the channel `{key}`: it will never say anything"))
                .help(format!("add `{{ to: {key} }}` under `routes`")),
        );
    }
}

pub(super) fn providers_can_be_compared(facts: &Facts<'_>, faults: &mut Vec<Fault>) {
    let Some(parties) = &facts.file.parties else { return };
    let kind = |key: &str| parties.get(key).and_then(|party| party.value.kind);
    let probed: BTreeSet<&str> =
        facts.probes().filter_map(|probe| probe.value.party.as_ref()).map(|party| party.value.as_str()).collect();
    if probed.iter().any(|key| matches!(kind(key), Some(PartyKind::Us | PartyKind::Control))) {
        return;
    }
    for (key, party) in parties
        .iter()
        .filter(|(key, party)| party.value.kind == Some(PartyKind::Provider) && probed.contains(key.as_str()))
    {
        faults.push(
            Fault::warning(
                facts.tree.place(party.id),
                format!("nothing to compare `{key}` with: when it fails, nobody can tell it from our own network"),
            )
            .help("add a party of `kind: control` (or `us`) with a probe"),
        );
    }
}
