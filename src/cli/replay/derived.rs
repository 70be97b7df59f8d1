//! A configuration made from the head of a trace, where there is no other: every party but those that are called like a
//! control is a provider.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    io::{self, Read},
    path::Path,
};

use super::odd::say_odd;
use crate::{
    attribution::Absorbed,
    cli::Stopped,
    model::{Sighting, Timestamp},
    replay::{self, Parser, Taker},
};

/// So much of a trace is looked at.
const HEAD: u64 = 8 << 20;

/// The configuration, and the trace from its beginning again.
pub(super) fn configuration(
    mut source: Box<dyn Read + Send>,
    path: &Path,
) -> Result<(Box<dyn Read + Send>, String), Stopped> {
    let cannot = |error: io::Error| Stopped::Unknown(format!("cannot read {}: {error}", path.display()));
    let mut head = Vec::new();
    source.by_ref().take(HEAD).read_to_end(&mut head).map_err(cannot)?;
    let text = made_of(&head);
    let whole = io::Cursor::new(head).chain(source);
    let Some(text) = text else {
        // What there is instead is said as it is with a configuration.
        let tally = replay::read(whole, &mut Nobody).map_err(cannot)?;
        say_odd(&tally)?;
        let path = path.display();
        return Err(Stopped::Unknown(match tally.observations {
            0 => format!("there is not one observation in {path}"),
            _ => format!("no observation at the head of {path} is of a probe and a party that can be configured"),
        }));
    };
    Ok((Box::new(whole), text))
}

/// Judges nothing.
struct Nobody;

impl Taker for Nobody {
    fn take(&mut self, _: &Sighting<'_>, _: Timestamp) -> Option<Absorbed> {
        Some(Absorbed::Taken)
    }
}

#[derive(Default)]
struct Probe {
    party: String,
    product: Option<String>,
    /// The place that it was first seen from, when it was due there last, and how long after the time before, in milliseconds.
    place: (String, String),
    due: Option<Timestamp>,
    gaps: Vec<i64>,
}

/// So many gaps say how often a probe runs; longer ones than this are pauses, or somebody's clock was wrong.
const GAPS: usize = 200;
const LONGEST: i64 = 86_400_000;

fn made_of(head: &[u8]) -> Option<String> {
    let mut probes: BTreeMap<String, Probe> = BTreeMap::new();
    let mut parser = Parser::default();
    for line in head.split(|byte| *byte == b'\n') {
        let Ok(parsed) = parser.parse(line) else { continue };
        let seen = parsed.sighting;
        let name =
            |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if ![seen.probe, seen.party, seen.product.unwrap_or("none")].into_iter().all(name) {
            continue;
        }
        let probe = probes.entry(seen.probe.to_owned()).or_insert_with(|| Probe {
            party: seen.party.to_owned(),
            product: seen.product.map(str::to_owned),
            place: (seen.region.to_owned(), seen.node.to_owned()),
            ..Probe::default()
        });
        if probe.place.0 == seen.region && probe.place.1 == seen.node {
            let gap = probe.due.map(|before| (seen.scheduled_at - before).num_milliseconds());
            probe.gaps.extend(gap.filter(|gap| (1..=LONGEST).contains(gap) && probe.gaps.len() < GAPS));
            probe.due = Some(seen.scheduled_at);
        }
    }
    let parties: BTreeSet<&str> = probes.values().map(|probe| &*probe.party).collect();
    let mut text = "parties:\n".to_owned();
    for party in parties {
        let control = party == "internet" || party.contains("control");
        let kind = if control { "control" } else { "provider" };
        let _ = writeln!(text, "  \"{party}\": {{ kind: {kind} }}");
    }
    text.push_str("probes:\n");
    for (name, probe) in &mut probes {
        // The middle one: a look that was lost, or is dated by a clock that is wrong, says nothing of the others.
        probe.gaps.sort_unstable();
        let interval = probe.gaps.get(probe.gaps.len() / 2).map_or(30, |gap| (gap + 500) / 1000);
        let product = probe.product.as_ref().map(|product| format!("product: \"{product}\", ")).unwrap_or_default();
        let _ = writeln!(
            text,
            "  - {{ name: \"{name}\", party: \"{}\", {product}interval: {}s, timeout: 1s, check: {{ tcp: {{ address: \
             \"127.0.0.1:1\" }} }} }}",
            probe.party,
            interval.clamp(1, 86_400),
        );
    }
    (!probes.is_empty()).then_some(text)
}
