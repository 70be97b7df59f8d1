//! The rules that look at more than one value: references, names, times. One function a rule; each adds its mistakes at
//! their places. Rules that conclude from something's absence keep still while parts of the file could not be read.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use super::{
    Severity,
    fault::{Fault, did_you_mean},
    file::{File, ProbeFile},
    tree::Tree,
    value::At,
};
use crate::model::PartyKind;

/// From one start to the next, where nothing is said.
pub(super) const INTERVAL: Duration = Duration::from_secs(10);
/// Deadline of a run, where nothing is said and the interval is not shorter.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
const LONGEST_INTERVAL: Duration = Duration::from_secs(86_400);

/// What the rules look at.
pub(super) struct Facts<'a> {
    pub(super) tree: &'a Tree,
    pub(super) file: &'a File,
    /// Every value could be read: what is not there was not written.
    pub(super) whole: bool,
}

type Rule = fn(&Facts<'_>, &mut Vec<Fault>);

/// Every rule.
pub(super) fn check(facts: &Facts<'_>) -> Vec<Fault> {
    let of_what_is_there: [Rule; 9] = [
        names,
        probe_names_are_unique,
        parties_exist,
        dependencies_have_no_circle,
        channels_exist,
        intervals_fit,
        timeouts_fit,
        counts_fit,
        not_in_this_version,
    ];
    let of_what_is_not: [Rule; 3] = [something_is_probed, everything_is_used, providers_can_be_compared];
    let mut faults = Vec::new();
    for rule in of_what_is_there {
        rule(facts, &mut faults);
    }
    // What is missing may be what is mistyped.
    if facts.whole && faults.iter().all(|fault| fault.severity == Severity::Warning) {
        for rule in of_what_is_not {
            rule(facts, &mut faults);
        }
    }
    faults
}

impl<'a> Facts<'a> {
    pub(super) fn probes(&self) -> impl Iterator<Item = &'a At<ProbeFile>> {
        self.file.probes.iter().flatten()
    }

    /// The keys of a mapping as they are written, those with mistakes below them included.
    fn written_keys(&self, path: &[&str]) -> BTreeSet<&'a str> {
        match path.iter().try_fold(self.tree.root, |here, step| self.tree.get(here, step)) {
            Some(id) => self.tree.keys(id).collect(),
            None => BTreeSet::new(),
        }
    }
}

/// The interval of a probe, and its timeout.
pub(super) fn times(file: &File, probe: &ProbeFile) -> (Duration, Duration) {
    let span = |one: &Option<At<crate::protocol::Span>>| one.as_ref().map(|at| at.value.0);
    let interval = span(&probe.interval).or(span(&file.defaults.interval)).unwrap_or(INTERVAL);
    // A timeout that is only a default gives way to a short interval.
    let timeout = span(&probe.timeout).unwrap_or(span(&file.defaults.timeout).unwrap_or(TIMEOUT).min(interval));
    (interval, timeout)
}

fn names(facts: &Facts<'_>, faults: &mut Vec<Fault>) {
    let parties = facts.file.parties.iter().flatten().map(|(key, party)| (key, party.id));
    let channels = facts.file.alerts.channels.iter().map(|(key, channel)| (key, channel.id));
    for (key, id) in parties.chain(channels).filter(|(key, _)| !is_name(key)) {
        let at = facts.tree.node(id).key_span.clone().unwrap_or_else(|| facts.tree.place(id));
        faults.push(bad_name(at, super::decode::shown_key(key)));
    }
    let vantage = &facts.file.vantage;
    let values = [&vantage.region, &vantage.node, &vantage.hosted_on].into_iter().flatten();
    let values = values.chain(facts.probes().flat_map(|probe| probe.value.name.iter().chain(&probe.value.product)));
    for name in values.filter(|name| !is_name(&name.value)) {
        faults.push(bad_name(facts.tree.place(name.id), facts.tree.shown(name.id, &name.value)));
    }
}

/// Names become metric labels, parts of ids and words of messages.
pub(super) fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

fn bad_name(at: std::ops::Range<usize>, name: &str) -> Fault {
    Fault::error(at, format!("{} cannot be a name", super::wrong::shortened(name)))
        .help("a name is 1 to 64 letters, digits, `.`, `_` or `-`")
}

fn probe_names_are_unique(facts: &Facts<'_>, faults: &mut Vec<Fault>) {
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

fn parties_exist(facts: &Facts<'_>, faults: &mut Vec<Fault>) {
    let known = facts.written_keys(&["parties"]);
    let parties = facts.file.parties.iter().flatten();
    let dependencies = parties.flat_map(|(_, party)| &party.value.depends_on);
    let named = facts.probes().filter_map(|probe| probe.value.party.as_ref());
    let routed = facts.file.alerts.routes.iter().filter_map(|route| route.party.as_ref());
    let planned = facts.file.maintenance.iter().filter_map(|window| window.party.as_ref());
    for party in dependencies.chain(named).chain(routed).chain(planned) {
        unknown("party", party, &known, facts, faults);
    }
}

fn channels_exist(facts: &Facts<'_>, faults: &mut Vec<Fault>) {
    let known = facts.written_keys(&["alerts", "channels"]);
    for to in facts.file.alerts.routes.iter().filter_map(|route| route.to.as_ref()) {
        unknown("channel", to, &known, facts, faults);
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
    let message = format!("there is no {what} named {}", super::wrong::shortened(shown));
    faults.push(Fault::error(facts.tree.place(name.id), message).help(help));
}

fn dependencies_have_no_circle(facts: &Facts<'_>, faults: &mut Vec<Fault>) {
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

fn intervals_fit(facts: &Facts<'_>, faults: &mut Vec<Fault>) {
    let own = facts.probes().filter_map(|probe| probe.value.interval.as_ref());
    for interval in own.chain(&facts.file.defaults.interval) {
        let message = if interval.value.0 < SHORTEST_INTERVAL {
            "an interval is at least 100ms"
        } else if interval.value.0 > LONGEST_INTERVAL {
            "an interval is at most 1d"
        } else {
            continue;
        };
        faults.push(Fault::error(facts.tree.place(interval.id), message));
    }
}

fn timeouts_fit(facts: &Facts<'_>, faults: &mut Vec<Fault>) {
    let defaults = &facts.file.defaults;
    let own = facts.probes().filter_map(|probe| probe.value.timeout.as_ref());
    for timeout in own.chain(&defaults.timeout).filter(|timeout| timeout.value.0.is_zero()) {
        faults.push(Fault::error(facts.tree.place(timeout.id), "a timeout is longer than nothing"));
    }
    if let Some(timeout) = &defaults.timeout {
        let interval = defaults.interval.as_ref().map_or(INTERVAL, |interval| interval.value.0);
        too_long(timeout.value.0, interval, facts.tree.place(timeout.id), faults);
    }
    for probe in facts.probes() {
        if let Some(timeout) = &probe.value.timeout {
            let (interval, timeout_span) = times(facts.file, &probe.value);
            too_long(timeout_span, interval, facts.tree.place(timeout.id), faults);
        }
    }
}

fn too_long(timeout: Duration, interval: Duration, at: std::ops::Range<usize>, faults: &mut Vec<Fault>) {
    if timeout > interval {
        let (timeout, interval) = (Seconds(timeout), Seconds(interval));
        faults.push(
            Fault::error(
                at,
                format!("the timeout ({timeout}) is longer than the interval ({interval}): runs would overlap"),
            )
            .help(format!("at most {interval}, or a longer interval")),
        );
    }
}

fn counts_fit(facts: &Facts<'_>, faults: &mut Vec<Fault>) {
    let file = facts.file;
    let counts = [
        ("open_after", &file.alerts.open_after, 1000),
        ("close_after", &file.alerts.close_after, 1000),
        ("concurrency", &file.concurrency, 65_536),
    ];
    for (key, count, most) in counts {
        if let Some(count) = count
            && !(1..=most).contains(&count.value)
        {
            faults
                .push(Fault::error(facts.tree.place(count.id), format!("`{key}` is a whole number from 1 to {most}")));
        }
    }
    if let Some(age) = &file.store.max_age
        && !(Duration::from_secs(3600)..=Duration::from_secs(3660 * 86_400)).contains(&age.value.0)
    {
        faults.push(Fault::error(facts.tree.place(age.id), "`max_age` is from 1h to 3660d"));
    }
    if let Some(size) = &file.store.max_size
        && size.value.0 < 10_000_000
    {
        faults.push(Fault::error(facts.tree.place(size.id), "`max_size` is at least 10MB"));
    }
}

fn something_is_probed(facts: &Facts<'_>, faults: &mut Vec<Fault>) {
    if facts.file.probes.as_ref().is_some_and(Vec::is_empty) {
        let id = facts.tree.descend(facts.tree.root, ["probes"]);
        faults.push(Fault::error(facts.tree.place(id), "there is nothing to probe").help("add a probe"));
    }
}

fn everything_is_used(facts: &Facts<'_>, faults: &mut Vec<Fault>) {
    let probed: BTreeSet<&str> =
        facts.probes().filter_map(|probe| probe.value.party.as_ref()).map(|party| party.value.as_str()).collect();
    for (key, party) in facts.file.parties.iter().flatten().filter(|(key, _)| !probed.contains(key.as_str())) {
        let at = facts.tree.place(party.id);
        faults.push(Fault::warning(at, format!("no probe looks at `{key}`: nothing will ever be said of it")));
    }
    let alerts = &facts.file.alerts;
    let told: BTreeSet<&str> =
        alerts.routes.iter().filter_map(|route| route.to.as_ref()).map(|to| to.value.as_str()).collect();
    for (key, channel) in alerts.channels.iter().filter(|(key, _)| !told.contains(key.as_str())) {
        let at = facts.tree.place(channel.id);
        faults.push(
            Fault::warning(at, format!("no route leads to the channel `{key}`: it will never say anything"))
                .help(format!("add `{{ to: {key} }}` under `routes`")),
        );
    }
}

fn providers_can_be_compared(facts: &Facts<'_>, faults: &mut Vec<Fault>) {
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

fn not_in_this_version(facts: &Facts<'_>, faults: &mut Vec<Fault>) {
    let feeds = facts.file.parties.iter().flatten().filter_map(|(_, party)| party.value.status_feed.as_ref());
    for feed in feeds {
        let at = facts.tree.place(feed.id);
        faults.push(Fault::warning(at, "status feeds are not read by this version: the key has no effect"));
    }
    let hub = &facts.file.hub;
    let has_urls = hub.urls.as_ref().is_some_and(|urls| !urls.value.is_empty());
    if let Some(urls) = hub.urls.as_ref().filter(|_| has_urls) {
        faults.push(
            Fault::error(facts.tree.place(urls.id), "agents of this version cannot report to a hub elsewhere")
                .help("leave `hub` out: this process then judges and tells people itself"),
        );
    } else if let Some(token) = &hub.token {
        let at = facts.tree.node(token.id).key_span.clone().unwrap_or_else(|| facts.tree.place(token.id));
        faults.push(Fault::warning(at, "`hub.token` has no effect without `hub.urls`"));
    }
}

/// A duration the way the configuration writes it.
struct Seconds(Duration);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let millis = self.0.as_millis();
        for (unit, each) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)] {
            if millis >= each && millis.is_multiple_of(each) {
                return write!(f, "{}{unit}", millis / each);
            }
        }
        write!(f, "{millis}ms")
    }
}
