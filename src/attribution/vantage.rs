//! Whether a region can see: a region that has lost its network or its resolver, is starved, runs a bad release or has
//! fallen silent says nothing about others, and is a fault of its own.

use super::{
    absorb::Seen,
    cell::Cell,
    faults::{Fault, Look, fault, is_slow, looks},
    judge::{good, instant},
    lasting::settle,
    part::Channel,
    silence,
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
pub(super) const FORGOTTEN: i64 = 24 * 3_600_000;

/// A region and what can be said of it.
pub(super) struct Sight {
    pub(super) verdict: Verdict,
    /// Whether its observations count, and whether also how long they took.
    pub(super) sound: bool,
    pub(super) steady: bool,
    /// Whether that is not sure yet: a single bad round.
    pub(super) doubtful: bool,
    /// Whether it is worth a verdict at all.
    pub(super) known: bool,
}

/// Every region, in the order in which they were first heard of.
pub(super) fn sights(seen: &mut Seen, attention: Attention, now: i64) -> Vec<Sight> {
    let newest = seen.regions.iter().map(|region| region.newest).max().unwrap_or(i64::MIN);
    let is_slow = seen.regions.iter().any(|region| !seen.parts[region.everything].is_idle(Channel::Slow));
    let slow = if is_slow { looks(seen, Channel::Slow, now) } else { vec![] };
    let looks = Looks { failing: looks(seen, Channel::Failing, now), slow };
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

/// How everything looks from everywhere.
struct Looks {
    failing: Vec<Vec<Look>>,
    slow: Vec<Vec<Look>>,
}

fn sight(seen: &mut Seen, looks: &Looks, region: usize, newest: i64, attention: Attention, now: i64) -> Sight {
    let name = seen.regions[region].name.clone();
    let interval = seen.parts[seen.regions[region].everything].interval.max(1);
    let mut verdict = Verdict::ok(Subject::vantage(&name), instant(now));
    let silent_for = now - seen.regions[region].newest;
    // Clocks differ a little: a region counts as silent when others are heard of that are so much newer.
    let behind = newest - seen.regions[region].newest;
    // One that nothing is looked at from any more, or not yet again, says nothing.
    if silent_for > FORGOTTEN || seen.cells_in(region).next().is_none() {
        return Sight { verdict, sound: false, steady: false, doubtful: false, known: false };
    }
    let fresh = seen.cells_in(region).any(|cell| seen.fresh(cell, now).is_some());
    // What nobody else is heard after is silence all the same, when somebody has listened for it all the while.
    let alone = seen.has_one_region(now);
    let listened = now - attention.since.max(seen.regions[region].newest);
    // Whoever could not be heard for a while comes back in its own time.
    let back = now - attention.since > (interval * 2).max(COMES_BACK);
    let remarkable = if alone { listened > (interval * 3).max(ALONE_SILENT) } else { behind > interval * 2 && back };
    if !fresh && silent_for > interval * 2 && remarkable {
        be_silent(seen, region, &mut verdict, (newest, if alone { Some(listened) } else { None }), now);
        return Sight { verdict, sound: false, steady: false, doubtful: false, known: true };
    }
    if let Some(fault) = starvation(seen, region, &mut verdict) {
        blame(&mut verdict, fault, &name, interval, now);
        return Sight { verdict, sound: false, steady: false, doubtful: false, known: true };
    }
    verdict.regions_seen = usize::from(fresh);
    if !fresh {
        verdict.cause = Cause::Unknown;
        verdict.evidence.push("Nothing fresh has come from there.".to_owned());
        return Sight { verdict, sound: false, steady: false, doubtful: false, known: true };
    }
    match fault(seen, &looks.failing, region, now) {
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
            Sight { verdict, sound: false, steady: false, doubtful, known: true }
        }
        None => {
            sees_again(seen, region, &mut verdict, interval);
            // What was blind a round ago may be so again: what others look like from there is believed a little later.
            let blamed = seen.regions[region].blamed;
            let sound = now - blamed > interval * 5 / 2;
            if !sound {
                seen.regions[region].blind(blamed, now);
            }
            // The same of what was slow.
            let slow = is_slow(seen, &looks.slow, region, now);
            let here = &mut seen.regions[region];
            if let Some(fault) = &slow {
                here.slow_down(fault.since, now);
                here.slow_at = now;
            }
            let steady = now - here.slow_at > interval * 5 / 2;
            if !steady {
                here.slow_down(here.slow_at, now);
            }
            if let Some(fault) = slow {
                blame(&mut verdict, fault, &name, interval, now);
                verdict.degraded = true;
            }
            Sight { verdict, sound, steady, doubtful: false, known: true }
        }
    }
}

/// Says that nothing comes from a region: while others were heard of until `newest`, or with nobody else to be heard, after
/// having listened for so long.
fn be_silent(seen: &Seen, region: usize, verdict: &mut Verdict, (newest, alone): (i64, Option<i64>), now: i64) {
    let here = &seen.regions[region];
    let interval = seen.parts[here.everything].interval.max(1);
    let late = now - here.heard <= interval * 2;
    #[expect(clippy::cast_precision_loss, reason = "shares of rounds")]
    let rounds_of = |millis: i64| millis as f32 / interval as f32 - 1.0;
    let rounds = match alone {
        Some(listened) => rounds_of(listened),
        None => {
            // Only what others have said meanwhile makes its silence remarkable.
            let heard_since = |cell: &Cell| cell.since(here.newest + interval).count();
            let heard = seen.cells.iter().filter(|cell| cell.region != region).map(heard_since).max();
            let heard = f32::from(u16::try_from(heard.unwrap_or_default()).unwrap_or(u16::MAX));
            rounds_of(now - here.newest).min(heard)
        }
    };
    verdict.cause = Cause::Probe;
    verdict.reason = Some(Reason::Silence);
    verdict.confidence = 0.9;
    verdict.regions = vec![here.name.clone()];
    verdict.regions_seen = 1;
    verdict.onset = Some(instant(here.newest + interval));
    verdict.weight = Some(f64::from(rounds.max(0.0)).min(silence::worth(now - here.newest)));
    verdict.round = now.div_euclid(interval);
    verdict.failure = Some(Failure::new(Phase::Exchange, Kind::NotDelivered, ""));
    let others = seen.regions.iter().filter(|other| newest - other.newest <= interval * 2).count();
    verdict.evidence = vec![match (alone, others) {
        (Some(_), _) if late => "What comes from there is dated long before it comes: its clock is off.".to_owned(),
        (Some(_), _) => "Nothing has come from the only region there is.".to_owned(),
        (None, 1) => "One other region still reports.".to_owned(),
        (None, _) => format!("{others} other regions still report."),
    }];
}

/// Most of what is looked at from a region ends inconclusively.
fn starvation(seen: &mut Seen, region: usize, verdict: &mut Verdict) -> Option<Fault> {
    let everything = &mut seen.parts[seen.regions[region].everything];
    if !everything.alarm(Channel::Inconclusive) {
        return None;
    }
    let strength = everything.strength(Channel::Inconclusive).filter(|strength| strength.severity > 0)?;
    let samples = || seen.cells_in(region).flat_map(|cell| cell.since(strength.since));
    let inconclusive = samples().filter(|sample| !sample.is_conclusive()).count();
    let share = format!("{inconclusive} of its last {} looks ended inconclusively.", samples().count());
    let failure = seen.cells_in(region).filter_map(|cell| cell.samples.back()).find_map(|sample| sample.failure);
    verdict.failure = failure.map(|(phase, kind)| Failure::new(phase, kind, ""));
    Some(Fault {
        reason: Reason::Starvation,
        confidence: 0.95,
        alternatives: vec![],
        evidence: vec![share],
        rounds: strength.rounds,
        since: strength.since,
    })
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
    good(verdict, &witnesses, interval);
}
