//! Names: what may be one, and which are taken.

use std::collections::BTreeSet;

use super::Facts;
use crate::{
    config::{decode::shown_key, fault::Fault, wrong::shortened},
    model::Subject,
};

pub(super) fn names(facts: &Facts<'_>, faults: &mut Vec<Fault>) {
    let parties = facts.file.parties.iter().flatten().map(|(key, party)| (key, party.id));
    let channels = facts.file.alerts.channels.iter().map(|(key, channel)| (key, channel.id));
    for (key, id) in parties.chain(channels).filter(|(key, _)| !is_name(key)) {
        let at = facts.tree.node(id).key_span.clone().unwrap_or_else(|| facts.tree.place(id));
        faults.push(bad_name(at, &shown_key(key)));
    }
    let vantage = &facts.file.vantage;
    let values = [&vantage.region, &vantage.node, &vantage.hosted_on].into_iter().flatten();
    let values = values.chain(facts.probes().flat_map(|probe| probe.value.name.iter().chain(&probe.value.product)));
    for name in values.filter(|name| !is_name(&name.value)) {
        faults.push(bad_name(facts.tree.place(name.id), facts.tree.shown(name.id, &name.value)));
    }
    // What is wrong with us as observers is told under these names.
    if let Some((_, party)) = facts.file.parties.iter().flatten().find(|(key, _)| *key == Subject::OBSERVER) {
        let at = facts.tree.node(party.id).key_span.clone().unwrap_or_else(|| facts.tree.place(party.id));
        faults.push(Fault::error(at, format!("`{}` is the name of the observer itself", Subject::OBSERVER)));
    }
    if let Some(region) = vantage.region.as_ref().filter(|region| region.value == Subject::STORE) {
        let at = facts.tree.place(region.id);
        faults.push(Fault::error(
            at,
            format!("no region can be named `{}`: it stands for our own store", Subject::STORE),
        ));
    }
}

/// Names become metric labels, parts of ids and words of messages.
pub(in crate::config) fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

fn bad_name(at: std::ops::Range<usize>, name: &str) -> Fault {
    Fault::error(at, format!("{} cannot be a name", shortened(name)))
        .help("a name is 1 to 64 letters, digits, `.`, `_` or `-`")
}

pub(super) fn probe_names_are_unique(facts: &Facts<'_>, faults: &mut Vec<Fault>) {
    let mut seen = BTreeSet::new();
    for name in facts.probes().filter_map(|probe| probe.value.name.as_ref()) {
        if !seen.insert(name.value.as_str()) {
            let shown = facts.tree.shown(name.id, &name.value);
            faults.push(
                Fault::error(facts.tree.place(name.id), format!("a probe above is named `{shown}` too"))
                    .help("names of probes are unique: they become metric labels"),
            );
        }
    }
}
