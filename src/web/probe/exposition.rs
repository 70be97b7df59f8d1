//! The text that `/probe` answers with: names and meanings are blackbox_exporter's, and one figure of our own.

use std::{collections::BTreeMap, fmt::Write as _, net::IpAddr, time::Duration};

use super::succeeded;
use crate::{
    engine::Seen,
    model::{Observation, Outcome, Phase},
    protocol::{Check, Gauge},
};

/// Series of one name.
struct Family {
    help: &'static str,
    series: BTreeMap<String, f64>,
}

/// Families in the order of their names, as exporters print them.
#[derive(Default)]
struct Families(BTreeMap<String, Family>);

/// Writes everything that is known of one run.
pub(super) fn write(check: &dyn Check, seen: &[Seen]) -> String {
    let mut families = Families::default();
    let took: Duration = seen.iter().map(|one| one.observation.duration).sum();
    families.set("probe_success", "Displays whether or not the probe was a success", &[], flag(succeeded(seen)));
    families.set(
        "probe_duration_seconds",
        "Returns how long the probe took to complete in seconds",
        &[],
        took.as_secs_f64(),
    );
    for (name, help) in check.blackbox_zeros() {
        families.set(name, help, &[], 0.0);
    }
    // A check that looks twice, at a fresh connection and at the same again, is shown by the look that decides: the one
    // that failed, else the first, which is what blackbox_exporter would have made.
    let decisive = seen.iter().find(|one| one.observation.outcome == Outcome::Down).or_else(|| seen.first());
    if let Some(Seen { observation, gauges }) = decisive {
        families.add_observation(check, observation);
        for Gauge { name, help, labels, value } in gauges {
            families.set(name, help, labels, *value);
        }
    }
    families.render()
}

impl Families {
    fn add_observation(&mut self, check: &dyn Check, seen: &Observation) {
        let resolve = seen.phases.get(Phase::Resolve).unwrap_or_default().as_secs_f64();
        let lookup = "Returns the time taken for probe dns lookup in seconds";
        self.set("probe_dns_lookup_time_seconds", lookup, &[], resolve);
        let peer = seen.peer.map(|peer| peer.ip());
        self.set(
            "probe_ip_protocol",
            "Specifies whether probe ip protocol is IP4 or IP6",
            &[],
            peer.map_or(0.0, |ip| if ip.is_ipv4() { 4.0 } else { 6.0 }),
        );
        self.set(
            "probe_ip_addr_hash",
            "Specifies the hash of IP address. It's useful to detect if the IP address changes.",
            &[],
            peer.map_or(0.0, |ip| f64::from(fnv1a(ip))),
        );
        let by_phase = format!("probe_{}_duration_seconds", check.key());
        for (word, phases) in check.blackbox_phases() {
            let took: Duration = phases.iter().filter_map(|phase| seen.phases.get(*phase)).sum();
            let label = [("phase", (*word).to_owned())];
            self.set(&by_phase, "Duration by phase, summed over all redirects", &label, took.as_secs_f64());
        }
        if let Some(failure) = &seen.failure {
            let labels = [("phase", failure.phase.word().to_owned()), ("kind", failure.kind.word().to_owned())];
            self.set("usoryou_probe_failure_info", "1 with where and how the probe failed", &labels, 1.0);
        }
    }

    fn set(&mut self, name: &str, help: &'static str, labels: &[(&'static str, String)], value: f64) {
        let family = self.0.entry(name.to_owned()).or_insert_with(|| Family { help, series: BTreeMap::new() });
        family.series.insert(label_text(labels), value);
    }

    fn render(&self) -> String {
        let mut out = String::new();
        for (name, Family { help, series }) in &self.0 {
            // Writing to a String cannot fail.
            let _ =
                writeln!(out, "# HELP {name} {}\n# TYPE {name} gauge", help.replace('\\', "\\\\").replace('\n', "\\n"));
            for (labels, value) in series {
                let _ = match value {
                    value if value.is_nan() => writeln!(out, "{name}{labels} NaN"),
                    value if value.is_infinite() => {
                        writeln!(out, "{name}{labels} {}Inf", if *value > 0.0 { '+' } else { '-' })
                    }
                    value => writeln!(out, "{name}{labels} {value}"),
                };
            }
        }
        out
    }
}

/// `{a="b",c="d"}`, sorted, with everything escaped that a target could have written; nothing for no labels.
fn label_text(labels: &[(&'static str, String)]) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let mut sorted: Vec<_> = labels.iter().collect();
    sorted.sort();
    let pairs = sorted.iter().map(|(name, value)| {
        format!("{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
    });
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
}

const fn flag(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}

/// FNV-1a, 32 bits, over the address's bytes.
fn fnv1a(ip: IpAddr) -> u32 {
    let hash = |bytes: &[u8]| {
        bytes.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
    };
    match ip.to_canonical() {
        IpAddr::V4(ip) => hash(&ip.octets()),
        IpAddr::V6(ip) => hash(&ip.octets()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_an_address_is_the_one_that_blackbox_exporter_prints() {
        assert_eq!(fnv1a("127.0.0.1".parse().unwrap()), 3_668_918_509);
        assert_eq!(fnv1a("::ffff:127.0.0.1".parse().unwrap()), 3_668_918_509);
    }

    #[test]
    fn labels_and_values_are_escaped_and_sorted() {
        let mut families = Families::default();
        let hostile = [("subject", "CN=\"\\\nx".to_owned()), ("issuer", "é".to_owned())];
        families.set("b_info", "Two\nlines", &hostile, f64::NAN);
        families.set("a", "First", &[], -6.213_559_68e10);
        families.set("a", "First", &[], 0.000_019_5);
        assert_eq!(
            families.render(),
            "# HELP a First\n# TYPE a gauge\na 0.0000195\n\
             # HELP b_info Two\\nlines\n# TYPE b_info gauge\nb_info{issuer=\"é\",subject=\"CN=\\\"\\\\\\nx\"} NaN\n"
        );
    }
}
