//! One case as it went: what was true, each change of a verdict with its evidence, and what was told.

use std::{collections::BTreeMap, io::Write};

use usoryou::net::Net;

use super::{
    arguments::{Arguments, QUIET_DAYS},
    kit::{
        case::{Case, Name, Pace},
        fault::{Deed, Effect},
        score::{Marker, Said},
    },
};

type Tried = Result<(), Box<dyn std::error::Error>>;

pub fn explain(name: &Name, arguments: &Arguments, out: &mut impl Write) -> Tried {
    let Some(case) = Case::draw(name, &arguments.parameters, arguments.seed, QUIET_DAYS) else {
        return Err(format!("no such fault: {}", name.kind).into());
    };
    let (world, fault) = (&case.world, &case.fault);
    writeln!(out, "{name}: {} regions, {} targets", world.regions.len(), world.targets.len())?;
    for party in &world.parties {
        let on: Vec<&str> = party.depends_on.iter().map(|on| &*world.parties[*on].key).collect();
        writeln!(out, "  {} ({:?}) stands on {on:?}", party.key, party.kind)?;
        for target in world.targets.iter().filter(|t| world.parties[t.party].key == party.key) {
            let product = target.product.as_deref().unwrap_or("-");
            let words = [(target.credentialed, "credential"), (target.deep, "deep"), (target.flaps > 0.0, "FLAPS")];
            let words: Vec<&str> = words.into_iter().filter(|(is, _)| *is).map(|(_, word)| word).collect();
            writeln!(out, "    {} {product} {} {}", target.probe, target.protocol, words.join(" "))?;
        }
    }
    for truth in &fault.truths {
        let regions: Vec<&str> = truth.regions.iter().map(|r| &*world.regions[*r].name).collect();
        writeln!(out, "true: {} about {:?} {regions:?} optional {}", truth.cause, truth.about, truth.optional)?;
    }
    writeln!(out, "from {:.0} s to {:.0} s", fault.onset, fault.end)?;
    for effect in &fault.effects {
        writeln!(out, "  {}", effect_in_words(effect, &case))?;
    }
    let marker = Marker { world, fault };
    let mut before: BTreeMap<String, String> = BTreeMap::new();
    let mut lines: Vec<(f64, String)> = Vec::new();
    let results = case.run(
        &arguments.parameters,
        &mut [case.product(&Net::system(vec![])?)?],
        Pace::Thrifty,
        &mut |at, stream, teller, told| {
            for verdict in teller.verdicts() {
                let alternatives: Vec<&str> = verdict.alternatives.iter().map(|cause| cause.word()).collect();
                let regions: Vec<&str> = verdict.regions.iter().map(|region| &**region).collect();
                let because = verdict.because_of.as_ref().map(|of| format!(" because of {of}")).unwrap_or_default();
                let degraded = if verdict.degraded { " degraded" } else { "" };
                let state =
                    format!("{}{degraded} {}{because} or {}", verdict.cause, regions.join(","), alternatives.join(","));
                let key = verdict.subject.to_string();
                let known = before.get(&key).map_or("ok  or ", String::as_str);
                if known != state {
                    let line = format!("{key}: {state} ({:.2}) {}", verdict.confidence, verdict.evidence.join(" "));
                    lines.push((at, format!("verdict  {line}")));
                    before.insert(key, state);
                }
            }
            for one in told {
                let mark = marker.mark(&Said::from(one), &stream.stalled(at));
                let regions: Vec<&str> = one.regions.iter().map(|region| &**region).collect();
                let what = if one.opened { "OPENED" } else { "UPDATED" };
                lines.push((
                    at,
                    format!(
                        "{what} at {} {} {}: {} {} or {:?} ({:.2}) because of {:?} => {mark:?}\n             {}",
                        one.at.format("%H:%M:%S"),
                        one.incident,
                        one.subject,
                        one.cause,
                        regions.join(","),
                        one.alternatives,
                        one.confidence,
                        one.because_of,
                        one.evidence.join(" "),
                    ),
                ));
            }
        },
    );
    let outcome = &results[0].outcome;
    let pages: Vec<f64> = lines.iter().filter(|(_, line)| line.starts_with("OPENED")).map(|(at, _)| *at).collect();
    // Of a long quiet time only what surrounds a page.
    let near = |at: f64| {
        fault.onset < f64::MAX && at > fault.onset - 300.0 || pages.iter().any(|page| (page - at).abs() < 300.0)
    };
    let mut said_onset = false;
    for (at, line) in lines.iter().filter(|(at, _)| near(*at)) {
        if !said_onset && *at >= fault.onset {
            writeln!(out, "---- {:.0} s: onset", fault.onset)?;
            said_onset = true;
        }
        writeln!(out, "{:+9.0} s  {line}", if fault.onset < f64::MAX { at - fault.onset } else { *at })?;
    }
    writeln!(
        out,
        "=> {:?}, finally {:?}, delay {:?}, {} pages, {} false ones",
        outcome.grade, outcome.finally, outcome.delay, outcome.pages, outcome.false_pages
    )?;
    Ok(())
}

fn effect_in_words(effect: &Effect, case: &Case) -> String {
    let world = &case.world;
    let mut regions: Vec<&str> = vec![];
    let mut probes: Vec<&str> = vec![];
    for (cell, _) in effect.cells.iter().enumerate().filter(|(_, hit)| **hit) {
        let (region, target) =
            (&*world.regions[cell / world.targets.len()].name, &*world.targets[cell % world.targets.len()].probe);
        if !regions.contains(&region) {
            regions.push(region);
        }
        if !probes.contains(&target) {
            probes.push(target);
        }
    }
    let deed = match &effect.deed {
        Deed::Fail(symptoms) => {
            let ways: Vec<String> = symptoms.iter().map(|s| format!("{}:{} {:?}", s.phase, s.kind, s.status)).collect();
            format!("fails {}", ways.join(" | "))
        }
        other => format!("{other:?}"),
    };
    let spans: Vec<String> = effect
        .spans
        .iter()
        .map(|s| format!("{:+.0}..{:+.0}", s[0] - case.fault.onset, s[1] - case.fault.onset))
        .collect();
    format!("{:.2} of {} in {} {}: {deed}", effect.share, probes.join(","), regions.join(","), spans.join(" "))
}
