//! Whether a region can see: a region that has lost its network or its resolver, is starved, runs a bad release or has
//! fallen silent says nothing about others, and is a fault of its own.

use super::{
    absorb::{self, Seen},
    cell::Cell,
    judge::{good, instant},
    lasting::settle,
    part::{Channel, Part, Strength},
    silence, sort,
    surroundings::Tally,
    watched::Watched,
};
use crate::model::{Cause, Failure, Kind, PartyKind, Phase, Reason, Subject, Verdict};

/// With nobody else to be heard, silence is no news before this.
const ALONE_SILENT: i64 = 70_000;
/// So long may a region take to be heard again, after nobody could be.
const COMES_BACK: i64 = 60_000;
/// Whoever looks again after so long a time may have slept in between.
const BREAK: i64 = 60_000;
/// A vantage point that was silent for so long is no longer ours.
const FORGOTTEN: i64 = 24 * 3_600_000;
/// A release explains what begins so soon after it.
const RELEASE: i64 = 10 * 60_000;
/// With nobody else to compare with, what begins within so many rounds of another begins with it.
const TOGETHER: i64 = 6;
/// What was blind so lately is still, where much of it fails.
const STILL: i64 = 5 * 60_000;
/// One that was found guilty explains what begins anew so long after it.
const GUILTY: i64 = 60 * 60_000;

/// A region and what can be said of it.
pub(super) struct Sight {
    pub(super) verdict: Verdict,
    /// Whether its observations count.
    pub(super) sound: bool,
    /// Whether that is not sure yet: a single bad round.
    pub(super) doubtful: bool,
    /// Whether it is worth a verdict at all.
    pub(super) known: bool,
}

/// Something that fails by itself: a party, or a control.
struct Unit {
    control: bool,
    strength: Option<Strength>,
    /// Bad here and not in most of the other regions.
    local: bool,
}

/// What was found wrong with a region.
struct Fault {
    reason: Reason,
    confidence: f64,
    alternatives: Vec<Cause>,
    evidence: Vec<String>,
    /// Rounds' worth of evidence.
    rounds: f32,
    since: i64,
}

/// Every region, in the order in which they were first heard of.
pub(super) fn sights(seen: &mut Seen, attention: Attention, now: i64) -> Vec<Sight> {
    let newest = seen.regions.iter().map(|region| region.newest).max().unwrap_or(i64::MIN);
    let looks = looks(seen, now);
    (0..seen.regions.len()).map(|region| sight(seen, &looks, region, newest, attention, now)).collect()
}

/// Since when somebody has been listening without a break. One who slept has heard nothing, and nobody was silent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attention {
    since: i64,
    last: i64,
}

impl Default for Attention {
    fn default() -> Self {
        Self { since: i64::MAX, last: i64::MIN }
    }
}

impl Attention {
    /// Could not listen until now.
    pub(super) fn miss(&mut self, now: i64) {
        (self.since, self.last) = (now, now);
    }

    /// Listens now.
    pub(super) fn pay(&mut self, now: i64) {
        let slept = now.saturating_sub(self.last).saturating_sub(BREAK).max(0);
        self.since = self.since.saturating_add(slept).min(now);
        self.last = now;
    }
}

fn sight(seen: &mut Seen, looks: &[Vec<Look>], region: usize, newest: i64, attention: Attention, now: i64) -> Sight {
    let name = seen.regions[region].name.clone();
    let interval = seen.parts[seen.regions[region].everything].interval.max(1);
    let mut verdict = Verdict::ok(Subject::vantage(&name), instant(now));
    let silent_for = now - seen.regions[region].newest;
    // Clocks differ a little: a region counts as silent when others are heard of that are so much newer.
    let behind = newest - seen.regions[region].newest;
    let everything = seen.regions[region].everything;
    if silent_for > FORGOTTEN {
        return Sight { verdict, sound: false, doubtful: false, known: false };
    }
    let fresh = seen.cells_in(region).any(|cell| seen.fresh(cell, now).is_some());
    // What nobody else is heard after is silence all the same, when somebody has listened for it all the while.
    let alone = seen.regions.iter().filter(|other| now - other.newest <= FORGOTTEN).count() == 1;
    let listened = now - attention.since.max(seen.regions[region].newest);
    // Whoever could not be heard for a while comes back in its own time.
    let back = now - attention.since > (interval * 2).max(COMES_BACK);
    let remarkable = if alone { listened > (interval * 3).max(ALONE_SILENT) } else { behind > interval * 2 && back };
    if !fresh && silent_for > interval * 2 && remarkable {
        let late = now - seen.regions[region].heard <= interval * 2;
        #[expect(clippy::cast_precision_loss, reason = "shares of rounds")]
        let (silent_for, listened, interval, round) = (silent_for as f32, listened as f32, interval as f32, interval);
        let rounds = if alone {
            listened / interval - 1.0
        } else {
            // Only what others have said meanwhile makes its silence remarkable.
            let begin = seen.regions[region].newest + round;
            let heard_since = |cell: &Cell| cell.since(begin).count();
            let heard = seen.cells.iter().filter(|cell| cell.region != region).map(heard_since).max();
            (silent_for / interval - 1.0).min(f32::from(u16::try_from(heard.unwrap_or_default()).unwrap_or(u16::MAX)))
        };
        let rounds = f64::from(rounds.max(0.0)).min(silence::worth(now - seen.regions[region].newest));
        verdict.cause = Cause::Probe;
        verdict.reason = Some(Reason::Silence);
        verdict.confidence = 0.9;
        verdict.regions = vec![name];
        verdict.regions_seen = 1;
        verdict.onset = Some(instant(seen.regions[region].newest + round));
        verdict.weight = Some(rounds);
        verdict.round = now.div_euclid(round);
        verdict.failure = Some(Failure::new(Phase::Exchange, Kind::NotDelivered, ""));
        let others = seen.regions.iter().filter(|other| newest - other.newest <= round * 2).count();
        verdict.evidence = vec![match (alone, others) {
            (true, _) if late => "What comes from there is dated long before it comes: its clock is off.".to_owned(),
            (true, _) => "Nothing has come from the only region there is.".to_owned(),
            (false, 1) => "One other region still reports.".to_owned(),
            (false, _) => format!("{others} other regions still report."),
        }];
        return Sight { verdict, sound: false, doubtful: false, known: true };
    }
    if seen.parts[everything].alarm(Channel::Inconclusive)
        && let Some(strength) = seen.parts[everything].strength(Channel::Inconclusive).filter(|s| s.severity > 0)
    {
        let samples = || seen.cells_in(region).flat_map(|cell| cell.since(strength.since));
        let inconclusive = samples().filter(|sample| !sample.is_conclusive()).count();
        let share = format!("{inconclusive} of its last {} looks ended inconclusively.", samples().count());
        let failure = seen.cells_in(region).filter_map(|cell| cell.samples.back()).find_map(|sample| sample.failure);
        verdict.failure = failure.map(|(phase, kind)| Failure::new(phase, kind, ""));
        let fault = Fault {
            reason: Reason::Starvation,
            confidence: 0.95,
            alternatives: vec![],
            evidence: vec![share],
            rounds: strength.rounds,
            since: strength.since,
        };
        blame(&mut verdict, fault, &name, interval, now);
        return Sight { verdict, sound: false, doubtful: false, known: true };
    }
    verdict.regions_seen = usize::from(fresh);
    if !fresh {
        verdict.cause = Cause::Unknown;
        verdict.evidence.push("Nothing fresh has come from there.".to_owned());
        return Sight { verdict, sound: false, doubtful: false, known: true };
    }
    match fault(seen, looks, region, now) {
        Some(fault) => {
            let bad: Vec<&Cell> = seen.cells_in(region).collect();
            let watch = |cell| Watched::new((0, cell), (0, interval), (Channel::Failing, fault.since), |_| true);
            let watched: Vec<Watched<'_>> = bad.iter().copied().map(watch).collect();
            let span = settle(&watched.iter().collect::<Vec<_>>(), fault.since, 0, Channel::Failing);
            let (since, rounds) = span.map_or((fault.since, fault.rounds), |span| (span.onset, span.rounds));
            let fault = Fault { since, rounds: fault.rounds.min(rounds), ..fault };
            verdict.failure = seen.commonest_failure(bad.into_iter(), since);
            blame(&mut verdict, fault, &name, interval, now);
            let here = &mut seen.regions[region];
            let doubtful = verdict.weight.is_some_and(|weight| weight < 2.0);
            if doubtful {
                here.doubt(since, now);
            } else {
                here.blind(since, now);
                here.blamed = now;
                if verdict.reason == Some(Reason::Release) {
                    here.guilty = here.changed;
                }
            }
            Sight { verdict, sound: false, doubtful, known: true }
        }
        None => {
            sees_again(seen, region, &mut verdict, interval);
            // What was blind a round ago may be so again: what others look like from there is believed a little later.
            let blamed = seen.regions[region].blamed;
            let sound = now - blamed > interval * 5 / 2;
            if !sound {
                seen.regions[region].blind(blamed, now);
            }
            Sight { verdict, sound, doubtful: false, known: true }
        }
    }
}

fn blame(verdict: &mut Verdict, fault: Fault, name: &std::sync::Arc<str>, interval: i64, now: i64) {
    verdict.cause = Cause::Probe;
    verdict.reason = Some(fault.reason);
    verdict.confidence = fault.confidence;
    verdict.alternatives = fault.alternatives;
    verdict.evidence = fault.evidence;
    verdict.regions = vec![name.clone()];
    verdict.regions_seen = 1;
    verdict.onset = Some(instant(fault.since));
    verdict.weight = Some(f64::from(fault.rounds));
    verdict.round = now.div_euclid(interval);
}

/// A good verdict: what had failed must come through a round before the round counts as good.
fn sees_again(seen: &Seen, region: usize, verdict: &mut Verdict, interval: i64) {
    let control = |cell: &&Cell| seen.index.kind_of(cell.probe) == PartyKind::Control;
    let controls: Vec<&Cell> = seen.cells_in(region).filter(control).collect();
    let witnesses = if controls.is_empty() { seen.cells_in(region).collect() } else { controls };
    good(verdict, witnesses, interval);
}

fn fault(seen: &Seen, looks: &[Vec<Look>], region: usize, now: i64) -> Option<Fault> {
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
struct Look {
    control: bool,
    /// Whether it is looked at from there.
    fresh: bool,
    strength: Option<Strength>,
    /// Whether it was bad there until lately.
    lately: bool,
}

/// Every unit from every region; nothing where nothing is suspicious, as it is most of the time.
fn looks(seen: &Seen, now: i64) -> Vec<Vec<Look>> {
    let from = |unit: &absorb::Unit, region: usize| {
        let part = unit.parts.get(region).copied().flatten().map(|part| &seen.parts[part]);
        let is_fresh = |part: &Part| part.cells.iter().any(|cell| seen.fresh(&seen.cells[*cell], now).is_some());
        Look {
            control: unit.control,
            fresh: part.is_some_and(is_fresh),
            strength: part.and_then(|part| part.suspicion(Channel::Failing, now)),
            lately: part.is_some_and(|part| part.rang_since(Channel::Failing, now - 6 * part.interval)),
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
    let alone = seen.regions.iter().filter(|other| now - other.newest <= FORGOTTEN).count() == 1;
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
    let alone = seen.regions.iter().filter(|other| now - other.newest <= FORGOTTEN).count() == 1;
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
        .filter_map(|subject| seen.standing(subject, region, now))
        .map(|standing| standing == super::surroundings::Standing::Bad)
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
    let changed = here.changed.filter(|changed| now - changed.at < 60 * 60_000)?;
    let interval = seen.parts[here.everything].interval;
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
    if seen.regions.iter().filter(|other| now - other.newest <= FORGOTTEN).count() > 1 {
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
    let alone = seen.regions.iter().filter(|other| now - other.newest <= FORGOTTEN).count() == 1;
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

/// Parties that have nothing to do with each other begin to fail here and nowhere else: what they share is this region.
fn several_at_once(seen: &Seen, region: usize, units: &[Unit], now: i64) -> Option<Fault> {
    let local: Vec<&Unit> = units.iter().filter(|unit| unit.local && unit.strength.is_some()).collect();
    let accountable = local.iter().filter(|unit| !unit.control).count();
    if local.len() < 2 || accountable == 0 {
        return None;
    }
    let (rounds, since) = second(&local)?;
    let most = local.len() * 10 >= units.len() * 6;
    let Tally { up, all } = seen.controls(region, now);
    let evidence = vec![
        format!(
            "{} of {} unrelated parties and controls fail from there, and not elsewhere.",
            local.len(),
            units.len()
        ),
        format!("Controls {up}/{all} up."),
    ];
    let (confidence, alternatives) = if most { (0.95, vec![]) } else { (0.75, vec![Cause::Path]) };
    Some(Fault { reason: Reason::Network, confidence, alternatives, evidence, rounds, since })
}
