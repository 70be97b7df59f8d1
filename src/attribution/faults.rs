//! The ways in which a region cannot see, one function each: what fails from there and not elsewhere, and what that has
//! in common. Each says what is wrong with the region, or nothing.

use super::{
    absorb::{self, Seen},
    inquiry::FULL,
    part::{Channel, Part, Strength},
    sort,
    surroundings::{Standing, Tally},
};
use crate::model::{Cause, Kind, Phase, Reason};

/// A release explains what begins so soon after it.
const RELEASE: i64 = 10 * 60_000;
/// With nobody else to compare with, what begins within so many rounds of another begins with it.
const TOGETHER: i64 = 6;
/// What was blind so lately is still, where much of it fails.
const STILL: i64 = 5 * 60_000;
/// One that was found guilty explains what begins anew so long after it.
const GUILTY: i64 = 60 * 60_000;

/// Something that fails by itself: a party, or a control.
struct Unit {
    control: bool,
    strength: Option<Strength>,
    /// Bad here and not in most of the other regions.
    local: bool,
}

/// What was found wrong with a region.
pub(super) struct Fault {
    pub(super) reason: Reason,
    pub(super) confidence: f64,
    pub(super) alternatives: Vec<Cause>,
    pub(super) evidence: Vec<String>,
    /// Rounds' worth of evidence.
    pub(super) rounds: f32,
    pub(super) since: i64,
}

/// What is wrong with a region, if anything is: the surest first.
pub(super) fn fault(seen: &Seen, looks: &[Vec<Look>], region: usize, now: i64) -> Option<Fault> {
    let units = units(looks, region);
    let bad: Vec<&Unit> = units.iter().filter(|unit| unit.strength.is_some()).collect();
    if bad.is_empty() {
        return None;
    }
    resolver_is_gone(seen, region, &bad, now)
        .or_else(|| no_control_answers(seen, region, &units, now))
        .or_else(|| bad_release(seen, region, &units, now))
        .or_else(|| loses_much(seen, region, &units, now))
        .or_else(|| several_at_once(seen, region, &units, now))
        .or_else(|| goes_on(seen, region, &units, now))
}

/// How a unit looks from a region.
pub(super) struct Look {
    control: bool,
    /// Whether it is looked at from there.
    fresh: bool,
    strength: Option<Strength>,
    /// Whether it was bad there until lately.
    lately: bool,
}

/// Every unit from every region; nothing where nothing is suspicious, as it is most of the time.
pub(super) fn looks(seen: &Seen, channel: Channel, now: i64) -> Vec<Vec<Look>> {
    let from = |unit: &absorb::Unit, region: usize| {
        let part = unit.parts.get(region).copied().flatten().map(|part| &seen.parts[part]);
        let is_fresh = |part: &Part| part.cells.iter().any(|cell| seen.fresh(&seen.cells[*cell], now).is_some());
        Look {
            control: unit.control,
            fresh: part.is_some_and(is_fresh),
            strength: part.and_then(|part| part.suspicion(channel, now)),
            lately: part.is_some_and(|part| part.rang_since(channel, now - 6 * part.interval)),
        }
    };
    let units = seen.units.iter().filter(|_| !seen.stirred.is_empty());
    units.map(|unit| (0..seen.regions.len()).map(|region| from(unit, region)).collect()).collect()
}

/// The units that are looked at from a region, and which of them are bad there.
fn units(looks: &[Vec<Look>], region: usize) -> Vec<Unit> {
    if looks.iter().all(|unit| unit[region].strength.is_none()) {
        return vec![];
    }
    let of = |unit: &Vec<Look>| {
        let here = unit.get(region).filter(|here| here.fresh)?;
        let others = || unit.iter().enumerate().filter(|(other, look)| *other != region && look.fresh);
        // What has only just ended elsewhere is no fault of this region because it ends later here.
        let bad = others().filter(|(_, other)| other.strength.is_some() || other.lately).count();
        let all = others().count();
        let local = here.strength.is_some() && all > 0 && bad * 3 <= all;
        Some(Unit { control: here.control, strength: here.strength, local })
    };
    looks.iter().filter_map(of).collect()
}

/// The evidence of the second strongest: what two of them have in common.
fn second(units: &[&Unit]) -> Option<(f32, i64)> {
    let mut strengths: Vec<Strength> = units.iter().filter_map(|unit| unit.strength).collect();
    strengths.sort_by(|one, other| other.rounds.total_cmp(&one.rounds));
    let rounds = strengths.get(1).or(strengths.first())?.rounds;
    Some((rounds, strengths.iter().map(|strength| strength.since).min()?))
}

/// The controls that fail, and what began to fail with them here and not elsewhere: what failed before, or fails in other
/// regions too, says nothing about this one.
fn witnesses<'a>(seen: &Seen, region: usize, units: &'a [Unit], now: i64) -> Vec<&'a Unit> {
    let alone = seen.has_one_region(now);
    let interval = seen.parts[seen.regions[region].everything].interval;
    let controls = units.iter().filter(|unit| unit.control).filter_map(|unit| unit.strength);
    let first = controls.map(|strength| strength.since).min().unwrap_or(i64::MIN);
    let began_with = |unit: &Unit| unit.strength.is_some_and(|strength| strength.since >= first - 2 * interval);
    let bears = |unit: &&Unit| unit.strength.is_some() && (unit.control || (unit.local || alone) && began_with(unit));
    units.iter().filter(bears).collect()
}

/// Everything that fails, fails at its name, with unrelated parties among it, and no name resolves.
fn resolver_is_gone(seen: &Seen, region: usize, bad: &[&Unit], now: i64) -> Option<Fault> {
    let newest = || seen.cells_in(region).filter_map(|cell| seen.fresh(cell, now));
    let at_the_name = |failure: Option<(Phase, Kind)>| {
        matches!(failure, Some((Phase::Resolve, Kind::ResolverFailed | Kind::TimedOut)))
    };
    let down: Vec<_> = newest().filter(|sample| sample.is_down()).collect();
    let names = down.iter().filter(|sample| at_the_name(sample.failure)).count();
    let resolves = newest().any(|sample| !sample.is_down() && sample.resolved);
    if bad.len() < 2 || names == 0 || names * 10 < down.len() * 9 || resolves {
        return None;
    }
    let (rounds, since) = second(bad)?;
    let evidence = format!("No name resolves here: {names} probes of {} parties fail at resolve.", bad.len());
    Some(Fault {
        reason: Reason::Resolver,
        confidence: 0.97,
        alternatives: vec![],
        evidence: vec![evidence],
        rounds,
        since,
    })
}

/// Controls are unrelated to everything else: when all of them fail together with most of the rest, or most of them with
/// all of the rest, the network here is what they share. Controls that fail while the rest lives are nobody's fault.
fn no_control_answers(seen: &Seen, region: usize, units: &[Unit], now: i64) -> Option<Fault> {
    let Tally { up, all } = seen.controls(region, now);
    let bad_of = |control: bool| units.iter().filter(|unit| unit.control == control && unit.strength.is_some()).count();
    let all_of = |control: bool| units.iter().filter(|unit| unit.control == control).count();
    let (bad_controls, bad, others) = (bad_of(true), bad_of(false), all_of(false));
    let alone = seen.has_one_region(now);
    // Controls that are down wherever somebody looks say nothing about this region: everything else must.
    let only_here = alone || units.iter().any(|unit| unit.control && unit.local);
    let enough = if bad_controls == all_of(true) && only_here { bad * 2 >= others } else { bad == others };
    if bad_controls * 2 <= all_of(true) || bad < if only_here { 1 } else { 2 } || !enough {
        return None;
    }
    let bears = if only_here {
        witnesses(seen, region, units, now)
    } else {
        units.iter().filter(|unit| unit.strength.is_some()).collect()
    };
    let (rounds, since) = second(&bears)?;
    // However long the controls have been down, the rest is what makes it more than a fault of theirs: what fails here alone,
    // if anything does.
    let others: Vec<&Unit> = bears.iter().copied().filter(|unit| !unit.control).collect();
    let is_local = others.iter().any(|unit| unit.local);
    let counted = || others.iter().filter(|unit| unit.local || !is_local).filter_map(|unit| unit.strength);
    let rounds = rounds.min(counted().map(|strength| strength.rounds).max_by(f32::total_cmp)?);
    if alone {
        let interval = seen.parts[seen.regions[region].everything].interval;
        let controls = bears.iter().filter(|unit| unit.control).filter_map(|unit| unit.strength);
        let last = controls.map(|strength| strength.since).max()?;
        if counted().all(|strength| strength.since > last + TOGETHER * interval) {
            return None;
        }
    }
    let subjects: Vec<bool> = seen
        .accountable()
        .filter_map(|subject| seen.standings(subject, now)[region])
        .map(|standing| standing == Standing::Bad)
        .collect();
    let down = subjects.iter().filter(|bad| **bad).count();
    let evidence = vec![format!("Controls {up}/{all} up, {down} of {} others down too.", subjects.len())];
    // A control that answers leaves room for several parties that fail at once.
    let alternatives = if up > 0 { vec![Cause::Them] } else { vec![] };
    Some(Fault {
        reason: Reason::Network,
        confidence: if up > 0 { 0.85 } else { 0.97 },
        alternatives,
        evidence,
        rounds,
        since,
    })
}

/// What began right after another build or configuration came to this region alone is that release's fault.
fn bad_release(seen: &Seen, region: usize, units: &[Unit], now: i64) -> Option<Fault> {
    let here = &seen.regions[region];
    let changed = here.changed.filter(|changed| now - changed.at < GUILTY)?;
    let interval = seen.parts[here.everything].interval;
    // One that has been silent since before the release cannot be compared with.
    let alone = seen.regions.iter().filter(|region| now - region.newest < 10 * interval).count() == 1;
    let guilty = |unit: &&Unit| {
        unit.strength.is_some_and(|strength| {
            let after = strength.since - changed.at;
            // What a release has been found guilty of it goes on being guilty of.
            let within = if here.guilty == Some(changed) { GUILTY } else { RELEASE.max(3 * interval) };
            (unit.local || alone) && after >= -interval && after <= within
        })
    };
    let bad: Vec<&Unit> = units.iter().filter(guilty).collect();
    let accountable = bad.iter().filter(|unit| !unit.control).count();
    let known = here.guilty == Some(changed);
    // One region alone cannot say that others are fine: it must look like a mistake of ours, and have begun at once or
    // with more than one party.
    let at_once = |unit: &&Unit| unit.strength.is_some_and(|strength| strength.since - changed.at <= 2 * interval);
    let is_likely = || {
        let failed =
            || seen.cells_in(region).flat_map(|cell| cell.since(changed.at - interval)).filter(|s| s.is_down());
        let mistakes = failed().filter(|sample| sort::is_our_mistake(sample)).count();
        known || mistakes * 2 >= failed().count() && (bad.len() > 1 || bad.iter().all(at_once))
    };
    if accountable == 0 || alone && !is_likely() {
        return None;
    }
    let soon = known
        || bad.iter().filter_map(|unit| unit.strength).all(|strength| strength.since - changed.at <= 4 * interval);
    let rounds = bad.iter().filter_map(|unit| unit.strength).map(|s| s.rounds).fold(0.0, f32::max);
    let since = bad.iter().filter_map(|unit| unit.strength).map(|s| s.since).min()?;
    let what = if changed.build { "build" } else { "configuration" };
    let to = seen.name(changed.to);
    let to: String = to.chars().take(24).collect();
    let mut evidence =
        format!("It began {} s after {what} {to} came to this region", (since - changed.at).max(0) / 1_000);
    evidence.push_str(if alone { "." } else { "; the other regions are fine." });
    let (confidence, alternatives) = match (soon, bad.len()) {
        (true, 2..) => (0.95, vec![]),
        (true, _) if alone => (0.75, vec![Cause::Them, Cause::Path]),
        (true, _) => (0.85, vec![Cause::Path]),
        (false, 2..) => (0.85, vec![Cause::Path]),
        (false, _) => return None,
    };
    Some(Fault { reason: Reason::Release, confidence, alternatives, evidence: vec![evidence], rounds, since })
}

/// With nobody else to compare with: controls and parties begin to fail at about the same time, all of them in part. They
/// share nothing but the network here.
fn loses_much(seen: &Seen, region: usize, units: &[Unit], now: i64) -> Option<Fault> {
    if !seen.has_one_region(now) {
        return None;
    }
    let bad: Vec<&Unit> = units.iter().filter(|unit| unit.strength.is_some()).collect();
    let controls = bad.iter().filter(|unit| unit.control).count();
    let began = || bad.iter().filter_map(|unit| unit.strength).map(|strength| strength.since);
    let interval = seen.parts[seen.regions[region].everything].interval;
    // Controls may have something in common that nobody else has.
    let only_one_side = controls == 0 || controls == bad.len();
    if only_one_side || bad.len() < 3 || began().max()? - began().min()? > TOGETHER * interval {
        return None;
    }
    let (rounds, since) = second(&bad)?;
    // A control that missed one look while others are down says little.
    let of_controls = bad.iter().filter(|unit| unit.control).filter_map(|unit| unit.strength).map(|s| s.rounds);
    let rounds = rounds.min(of_controls.fold(0.0, f32::max) + 1.0);
    let Tally { up, all } = seen.controls(region, now);
    let evidence = vec![
        format!("{} of {} unrelated parties and controls began to fail together.", bad.len(), units.len()),
        format!("Controls {up}/{all} up."),
    ];
    Some(Fault { reason: Reason::Network, confidence: 0.8, alternatives: vec![Cause::Them], evidence, rounds, since })
}

/// What was only just found out to lose its network, and where unrelated parties still fail together, is not well yet: a
/// network that loses half of everything lets a control through now and then.
fn goes_on(seen: &Seen, region: usize, units: &[Unit], now: i64) -> Option<Fault> {
    let alone = seen.has_one_region(now);
    let bad: Vec<&Unit> = units.iter().filter(|unit| unit.strength.is_some() && (unit.local || alone)).collect();
    if now - seen.regions[region].blamed > STILL || bad.len() < 2 || bad.len() * 2 < units.len() {
        return None;
    }
    let (rounds, since) = second(&bad)?;
    let Tally { up, all } = seen.controls(region, now);
    let evidence = vec![
        format!("{} of {} unrelated parties and controls still fail together.", bad.len(), units.len()),
        format!("Controls {up}/{all} up."),
    ];
    Some(Fault { reason: Reason::Network, confidence: 0.8, alternatives: vec![Cause::Them], evidence, rounds, since })
}

/// Most of what has nothing to do with each other, controls among it, has become slow here and nowhere else: what it shares
/// is the network of this region. With nobody else to compare with all of it must have.
pub(super) fn is_slow(seen: &Seen, looks: &[Vec<Look>], region: usize, now: i64) -> Option<Fault> {
    let (units, alone) = (units(looks, region), seen.has_one_region(now));
    let slow: Vec<&Unit> = units.iter().filter(|unit| unit.strength.is_some() && (unit.local || alone)).collect();
    let controls = slow.iter().filter(|unit| unit.control).count();
    let most = if alone { slow.len() == units.len() } else { slow.len() * 10 >= units.len() * 6 };
    if slow.len() < 3 || controls == 0 || controls == slow.len() || !most {
        return None;
    }
    let (rounds, since) = second(&slow)?;
    let how = if alone { "have become slow together" } else { "are slow from there, and not elsewhere" };
    let evidence = format!("{} of {} unrelated parties and controls {how}.", slow.len(), units.len());
    Some(Fault {
        reason: Reason::Network,
        confidence: 0.9,
        alternatives: vec![],
        evidence: vec![evidence],
        rounds,
        since,
    })
}

/// Parties that have nothing to do with each other begin to fail here and nowhere else: what they share is this region.
fn several_at_once(seen: &Seen, region: usize, units: &[Unit], now: i64) -> Option<Fault> {
    let local: Vec<&Unit> = units.iter().filter(|unit| unit.local && unit.strength.is_some()).collect();
    let accountable = local.iter().filter(|unit| !unit.control).count();
    if local.len() < 2 || accountable == 0 {
        return None;
    }
    let (rounds, since) = second(&local)?;
    let most = local.len() * 10 >= units.len() * 6;
    // A region that reaches its controls can see. One that loses a part of everything lets all of them through now and then.
    let reaches_controls = accountable == local.len() && units.iter().any(|unit| unit.control);
    let is_total = |unit: &&Unit| unit.strength.is_some_and(|strength| strength.severity == FULL);
    if reaches_controls && (!most || local.iter().all(is_total)) {
        return None;
    }
    let Tally { up, all } = seen.controls(region, now);
    let evidence = vec![
        format!(
            "{} of {} unrelated parties and controls fail from there, and not elsewhere.",
            local.len(),
            units.len()
        ),
        format!("Controls {up}/{all} up."),
    ];
    // It reaches some of its controls, or they would have told: however much fails, it may be in each way.
    let (confidence, alternatives) = (if most { 0.95 } else { 0.75 }, vec![Cause::Path]);
    Some(Fault { reason: Reason::Network, confidence, alternatives, evidence, rounds, since })
}
