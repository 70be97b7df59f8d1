//! Numbers: intervals, timeouts, counts and sizes that make sense, alone and together.

use std::{ops::Range, time::Duration};

use super::{Facts, INTERVAL, times};
use crate::config::{confirm::ConfirmFile, fault::Fault, or_off::OrOff};

const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
/// Confirming more often than this would be a second schedule.
const SHORTEST_PER: Duration = Duration::from_secs(10);
const LONGEST_INTERVAL: Duration = Duration::from_secs(86_400);

pub(super) fn intervals_fit(facts: &Facts<'_>, faults: &mut Vec<Fault>) {
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

pub(super) fn timeouts_fit(facts: &Facts<'_>, faults: &mut Vec<Fault>) {
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
        let may_outlast = probe.value.check.as_ref().is_some_and(|check| check.value.may_outlast());
        if let Some(timeout) = probe.value.timeout.as_ref().filter(|_| !may_outlast) {
            let (interval, timeout_span) = times(facts.file, &probe.value);
            too_long(timeout_span, interval, facts.tree.place(timeout.id), faults);
        }
    }
}

fn too_long(timeout: Duration, interval: Duration, at: Range<usize>, faults: &mut Vec<Fault>) {
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

pub(super) fn counts_fit(facts: &Facts<'_>, faults: &mut Vec<Fault>) {
    let file = facts.file;
    let own = facts.probes().map(|probe| ("vantages_per_region", &probe.value.vantages_per_region, 1000));
    let counts = [
        ("vantages_per_region", &file.defaults.vantages_per_region, 1000),
        ("open_after", &file.alerts.open_after, 1000),
        ("close_after", &file.alerts.close_after, 1000),
        ("concurrency", &file.concurrency, 65_536),
        ("digest_from", &file.alerts.digest_from, 1000),
    ];
    for (key, count, most) in counts.into_iter().chain(own) {
        if let Some(count) = count
            && !(1..=most).contains(&count.value)
        {
            faults
                .push(Fault::error(facts.tree.place(count.id), format!("`{key}` is a whole number from 1 to {most}")));
        }
    }
    if let Some(every) = &file.alerts.remind_every
        && every.value.0 < Duration::from_mins(1)
    {
        faults.push(Fault::error(facts.tree.place(every.id), "`remind_every` is at least 1m"));
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

pub(super) fn confirmations_fit(facts: &Facts<'_>, faults: &mut Vec<Fault>) {
    let own = facts.probes().filter_map(|probe| probe.value.confirm.as_ref());
    for confirm in own.chain(&facts.file.defaults.confirm) {
        let OrOff::On(ConfirmFile { budget, per, .. }) = &confirm.value else { continue };
        let at = |key| facts.tree.place(facts.tree.descend(confirm.id, [key]));
        if budget.is_some_and(|budget| !(1..=100).contains(&budget)) {
            let fault = Fault::error(at("budget"), "`budget` is a whole number from 1 to 100");
            faults.push(fault.help("`confirm: off` asks nothing again"));
        }
        if per.is_some_and(|per| !(SHORTEST_PER..=LONGEST_INTERVAL).contains(&per.0)) {
            faults.push(Fault::error(at("per"), "`per` is from 10s to 1d"));
        }
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
