//! References: every name that is used is given somewhere, and none leads back to itself.

use std::collections::{BTreeSet, HashMap};

use super::Facts;
use crate::{
    config::{
        at::At,
        fault::{Fault, did_you_mean},
        wrong::shortened,
    },
    model::Cause,
};

pub(super) fn parties_exist(facts: &Facts<'_>, faults: &mut Vec<Fault>) {
    let known = facts.written_keys(&["parties"]);
    let parties = facts.file.parties.iter().flatten();
    let dependencies = parties.flat_map(|(_, party)| &party.value.depends_on);
    let named = facts.probes().filter_map(|probe| probe.value.party.as_ref());
    let routed = facts.file.alerts.routes.iter().flat_map(|route| route.party.iter());
    let planned = facts.file.maintenance.iter().filter_map(|window| window.party.as_ref());
    for party in dependencies.chain(named).chain(routed).chain(planned) {
        unknown("party", party, &known, facts, faults);
    }
}

pub(super) fn channels_exist(facts: &Facts<'_>, faults: &mut Vec<Fault>) {
    let known = facts.written_keys(&["alerts", "channels"]);
    for to in facts.file.alerts.routes.iter().flat_map(|route| route.to.iter().flat_map(|to| to.iter())) {
        unknown("channel", to, &known, facts, faults);
    }
}

pub(super) fn routes_lead_somewhere(facts: &Facts<'_>, faults: &mut Vec<Fault>) {
    let products: BTreeSet<&str> =
        facts.probes().filter_map(|probe| probe.value.product.as_ref()).map(|product| product.value.as_str()).collect();
    let routes = &facts.file.alerts.routes;
    for product in routes.iter().flat_map(|route| route.product.iter()).filter(|_| facts.whole) {
        unknown("product", product, &products, facts, faults);
    }
    for cause in routes.iter().flat_map(|route| route.cause.iter()).filter(|cause| cause.value == Cause::Ok) {
        let fault = Fault::error(facts.tree.place(cause.id), "nobody is told that all is well");
        faults.push(fault.help("known here: us, them, path, probe, unknown"));
    }
}

fn unknown(what: &str, name: &At<String>, known: &BTreeSet<&str>, facts: &Facts<'_>, faults: &mut Vec<Fault>) {
    if known.contains(name.value.as_str()) {
        return;
    }
    let help = did_you_mean(&name.value, known.iter().copied()).unwrap_or_else(|| {
        if known.is_empty() {
            format!("no {what} is given in this file")
        } else {
            let known: Vec<&str> = known.iter().copied().take(12).collect();
            format!("known here: {}", known.join(", "))
        }
    });
    let shown = facts.tree.shown(name.id, &name.value);
    let message = format!("there is no {what} named {}", shortened(shown));
    faults.push(Fault::error(facts.tree.place(name.id), message).help(help));
}

pub(super) fn dependencies_have_no_circle(facts: &Facts<'_>, faults: &mut Vec<Fault>) {
    let Some(parties) = &facts.file.parties else { return };
    // 1: on the way from where the walk began; 2: known to lead to no circle.
    let mut state: HashMap<&str, u8> = HashMap::new();
    for start in parties.keys() {
        // The path of the walk, each with the dependencies that are still to be followed.
        let mut path: Vec<(&str, std::slice::Iter<'_, At<String>>)> = Vec::new();
        if let Some((key, party)) = parties.get_key_value(start)
            && !state.contains_key(key.as_str())
        {
            state.insert(key, 1);
            path.push((key, party.value.depends_on.iter()));
        }
        while let Some((here, rest)) = path.last_mut() {
            let Some(next) = rest.next() else {
                state.insert(here, 2);
                path.pop();
                continue;
            };
            match (state.get(next.value.as_str()), parties.get_key_value(&next.value)) {
                (Some(1), _) => {
                    let from = path.iter().position(|(name, _)| *name == next.value).unwrap_or(0);
                    let circle: Vec<&str> = path.iter().skip(from).map(|(name, _)| *name).collect();
                    let message = match circle.as_slice() {
                        [one] => format!("`{one}` cannot depend on itself"),
                        more => {
                            format!("parties depend on each other in a circle: {} > {}", more.join(" > "), next.value)
                        }
                    };
                    faults.push(Fault::error(facts.tree.place(next.id), message));
                }
                (None, Some((key, party))) => {
                    state.insert(key, 1);
                    path.push((key, party.value.depends_on.iter()));
                }
                _ => {}
            }
        }
    }
}
