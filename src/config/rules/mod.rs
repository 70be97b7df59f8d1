//! The rules that look at more than one value: references, names, times. One function a rule; each adds its mistakes at
//! their places. Rules that conclude from something's absence keep still while parts of the file could not be read.

mod absences;
mod names;
mod numbers;
mod references;

use std::{collections::BTreeSet, time::Duration};

pub(super) use self::names::is_name;
use super::{
    Severity,
    at::At,
    fault::Fault,
    file::{File, ProbeFile},
    tree::Tree,
};

/// From one start to the next, where nothing is said.
pub(super) const INTERVAL: Duration = Duration::from_secs(10);
/// Deadline of a run, where nothing is said and the interval is not shorter.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);
/// Nodes of a region that run a probe, where nothing is said.
const VANTAGES: usize = 2;

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
    let of_what_is_there: [Rule; 16] = [
        names::names,
        names::probe_names_are_unique,
        references::parties_exist,
        references::dependencies_have_no_circle,
        references::channels_exist,
        references::routes_lead_somewhere,
        numbers::intervals_fit,
        numbers::timeouts_fit,
        numbers::counts_fit,
        numbers::confirmations_fit,
        crate::config::session::holds_fit,
        crate::config::feeds::feeds_make_sense,
        crate::config::hubs::hubs_can_be_reached,
        crate::config::hubs::stores_can_be_used,
        crate::config::hubs::questions_are_signed,
        crate::config::hubs::agents_are_told_apart,
    ];
    let of_what_is_not: [Rule; 3] =
        [absences::something_is_probed, absences::everything_is_used, absences::providers_can_be_compared];
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

/// Nodes of a region that run a probe.
pub(super) fn vantages(file: &File, probe: &ProbeFile) -> usize {
    let wanted = probe.vantages_per_region.as_ref().or(file.defaults.vantages_per_region.as_ref());
    wanted.map_or(VANTAGES, |wanted| wanted.value as usize)
}

/// The interval of a probe, and its timeout.
pub(super) fn times(file: &File, probe: &ProbeFile) -> (Duration, Duration) {
    let span = |one: &Option<At<crate::protocol::Span>>| one.as_ref().map(|at| at.value.0);
    let interval = span(&probe.interval).or(span(&file.defaults.interval)).unwrap_or(INTERVAL);
    // A timeout that is only a default gives way to a short interval.
    let timeout = span(&probe.timeout).unwrap_or(span(&file.defaults.timeout).unwrap_or(TIMEOUT).min(interval));
    (interval, timeout)
}
