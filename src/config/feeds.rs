//! What the file says of providers besides probes: status feeds, made ready, with the rules that they keep, and the ways of
//! real clients.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Probe,
    at::{At, Several},
    fault::{Fault, did_you_mean},
    file::{File, NamedFeedFile, PartyFile},
    rules::{Facts, is_name},
    shorthand::ShortOrLong,
    wrong::shortened,
};
use crate::{
    feed::{Feed, Names, Source},
    notify::clients::{Clients, recognise},
};

/// The feeds of a party.
pub(super) fn feeds(file: &File, key: &str, party: &PartyFile) -> Vec<Feed> {
    let probed = || products(file, key).map(Arc::from).collect::<std::collections::BTreeSet<Arc<str>>>();
    let written = party.status_feed.iter();
    let ready = written.map(|feed| {
        let (kind, address) = feed.value.parts();
        let (url, named) = match address {
            ShortOrLong::Short(url) => (url, None),
            ShortOrLong::Long(named) => (&named.url, Some(named)),
        };
        let names = |pick: fn(&NamedFeedFile) -> &Mapping| named.map(|named| told(pick(named))).unwrap_or_default();
        let names = Names {
            products: names(|named| &named.products),
            regions: names(|named| &named.regions),
            probed: probed().into_iter().collect(),
        };
        Feed { source: Arc::new(Source { kind, url: url.value.clone() }), names }
    });
    ready.collect()
}

type Mapping = BTreeMap<String, At<Several<String>>>;

fn told(mapping: &Mapping) -> BTreeMap<Arc<str>, Vec<String>> {
    let theirs = |names: &At<Several<String>>| names.value.values(Clone::clone);
    mapping.iter().map(|(ours, names)| (ours.as_str().into(), theirs(names))).collect()
}

fn products<'a>(file: &'a File, party: &'a str) -> impl Iterator<Item = &'a str> {
    let probes = file.probes.iter().flatten().map(|probe| &probe.value);
    let own = probes.filter(move |probe| probe.party.as_ref().is_some_and(|one| one.value == party));
    own.filter_map(|probe| probe.product.as_ref()).map(|product| product.value.as_str())
}

/// Which way of real clients each probe looks at, as it says or as its target is known for.
pub(super) fn clients(file: &File, probes: &[Arc<Probe>]) -> BTreeMap<Arc<str>, Clients> {
    let given: BTreeMap<&str, Clients> = file
        .probes
        .iter()
        .flatten()
        .filter_map(|probe| Some((probe.value.name.as_ref()?.value.as_str(), probe.value.clients?)))
        .collect();
    let of = |probe: &Probe| given.get(&*probe.name).copied().or_else(|| recognise(&probe.check.target()));
    probes.iter().filter_map(|probe| Some((probe.name.clone(), of(probe)?))).collect()
}

/// Addresses are of the web, names are given for what there is, and no list of names is empty.
pub(super) fn feeds_make_sense(facts: &Facts<'_>, faults: &mut Vec<Fault>) {
    for (key, party) in facts.file.parties.iter().flatten() {
        for feed in party.value.status_feed.iter() {
            let url = match feed.value.parts().1 {
                ShortOrLong::Short(url) => url,
                ShortOrLong::Long(named) => {
                    names_make_sense(facts, key, named, faults);
                    &named.url
                }
            };
            if !matches!(url.value.scheme(), "http" | "https") || url.value.host().is_none() {
                let message = "a status feed is read over http:// or https://";
                faults.push(Fault::error(facts.tree.place(url.id), message));
            }
        }
    }
}

fn names_make_sense(facts: &Facts<'_>, key: &str, named: &NamedFeedFile, faults: &mut Vec<Fault>) {
    let place = |id| facts.tree.node(id).key_span.clone().unwrap_or_else(|| facts.tree.place(id));
    for (ours, theirs) in &named.products {
        let known = || products(facts.file, key).chain([key]);
        if !known().any(|one| one == ours) && facts.whole {
            let help = did_you_mean(ours, known());
            let help =
                help.unwrap_or_else(|| format!("known here: {}", known().take(12).collect::<Vec<_>>().join(", ")));
            let message = format!("no probe looks at a product {} of `{key}`", shortened(ours));
            faults.push(Fault::error(place(theirs.id), message).help(help));
        }
    }
    for (ours, theirs) in &named.regions {
        if !is_name(ours) {
            let message = format!("{} cannot be the name of a region", shortened(ours));
            faults.push(Fault::error(place(theirs.id), message));
        }
    }
    for theirs in named.products.values().chain(named.regions.values()) {
        if theirs.value.iter().all(|name| name.value.trim().is_empty()) {
            let message = "this is never found: it names nothing";
            faults.push(
                Fault::error(facts.tree.place(theirs.id), message)
                    .help("names as they are in the feed, such as [\"Realtime Database\"]"),
            );
        }
    }
}
