//! Shared fate: a service that fails because something that it stands on fails is not to blame, and has no incident of
//! its own.

use std::{collections::BTreeMap, time::Duration};

use chrono::TimeDelta;

use super::{World, absorb::Seen, index::SubjectIx};
use crate::model::{Cause, PartyKind, Subject, Timestamp, Verdict};

/// How long after a dependency has come back what stands on it may still be catching up.
const CATCHING_UP: Duration = Duration::from_mins(1);

/// Whose fate was shared last, by subject: an explanation holds as long as both are bad.
pub(super) type Shared = BTreeMap<Subject, Subject>;

/// Explains those verdicts that another one explains.
pub(super) fn share(
    world: &World,
    seen: &Seen,
    verdicts: &mut BTreeMap<Subject, Verdict>,
    before: &mut Shared,
    now: Timestamp,
) {
    before.retain(|subject, _| verdicts.get(subject).is_some_and(|verdict| verdict.cause != Cause::Ok));
    let explained: Vec<Verdict> = verdicts
        .values()
        .filter_map(|verdict| {
            let known = before.get(&verdict.subject).and_then(|root| verdicts.get(root));
            shared(world, seen, verdicts, verdict, now).or_else(|| still_shared(world, verdict, known?, now))
        })
        .collect();
    for verdict in explained {
        let told = |root: &&Subject| {
            verdicts.get(root).is_some_and(|root| weight_of(root) + 1.0 / 3.0 >= f64::from(world.open_after))
        };
        if let Some(root) = verdict.because_of.as_ref().filter(told) {
            before.insert(verdict.subject.clone(), root.clone());
        }
        verdicts.insert(verdict.subject.clone(), verdict);
    }
}

/// What was explained by another stays so while that is bad, and for as long as it takes to catch up.
fn still_shared(world: &World, verdict: &Verdict, root: &Verdict, now: Timestamp) -> Option<Verdict> {
    let bad = root.is_bad() && root.has_evidence() && (!root.degraded || verdict.degraded);
    let just_back = root.cause == Cause::Ok && root.onset.is_some_and(|back| back + CATCHING_UP * 3 >= now);
    if !verdict.is_bad() || verdict.because_of.is_some() || !(bad || just_back) {
        return None;
    }
    let mut explained = verdict.clone();
    explained.cause = if world.kind(&root.subject.party) == PartyKind::Us { Cause::Us } else { Cause::Them };
    explained.alternatives.retain(|cause| *cause != explained.cause);
    let name = world.subject_name(&root.subject);
    explained.evidence.insert(0, format!("It began with a fault of {name}."));
    explained.because_of = Some(root.subject.clone());
    Some(explained)
}

/// The verdict of a subject whose fault lies with something that it stands on, or that must wait for word of that.
fn shared(
    world: &World,
    seen: &Seen,
    verdicts: &BTreeMap<Subject, Verdict>,
    verdict: &Verdict,
    now: Timestamp,
) -> Option<Verdict> {
    if !matches!(verdict.cause, Cause::Us | Cause::Them | Cause::Unknown | Cause::Path) || !verdict.has_evidence() {
        return None;
    }
    let onset = verdict.onset?;
    let party = &verdict.subject.party;
    let under = world.depends_on(party);
    if under.is_empty() {
        return coincident(world, seen, verdicts, verdict);
    }
    // Two parties that stand on each other cannot both be explained by the other.
    let below: Vec<&Verdict> = verdicts
        .values()
        .filter(|other| under.contains(&other.subject.party))
        .filter(|other| !world.depends_on(&other.subject.party).contains(party))
        .collect();
    let explains = |other: &&&Verdict| {
        let guilty = matches!(other.cause, Cause::Them | Cause::Us | Cause::Unknown)
            // What only some regions cannot reach explains what fails from these.
            || other.cause == Cause::Path && verdict.regions.iter().all(|region| other.regions.contains(region));
        // Slowness below explains slowness, and not that nothing answers.
        // What is only suspected, and began long after what it should explain or is a fainter suspicion, explains nothing.
        let told = weight_of(other) + 1.0 / 3.0 >= f64::from(world.open_after);
        let began = other.onset.is_none_or(|began| began <= onset + seen.patience(&other.subject));
        // What is looked at more rarely cannot weigh as much yet.
        let so_far = other.onset.map_or(0.0, |began| rounds_of(now - began, seen.patience(&other.subject) / 4));
        let heavy = weight_of(other) * 2.0 >= weight_of(verdict) || weight_of(other) >= 0.8 * so_far;
        let before = told || began && heavy;
        let failing = other.has_evidence() && guilty && before && (!other.degraded || verdict.degraded);
        let just_back = other.cause == Cause::Ok
            && !verdict.degraded
            && other.onset.is_some_and(|back| back >= onset && back + CATCHING_UP >= now);
        failing || just_back
    };
    let guilty: Vec<&Verdict> = below.iter().filter(explains).copied().collect();
    let is_root = |one: &&&Verdict| {
        let under = world.depends_on(&one.subject.party);
        one.because_of.is_none() && !guilty.iter().any(|other| under.contains(&other.subject.party))
    };
    let mut explained = verdict.clone();
    let heaviest = guilty.iter().filter(is_root).max_by(|one, other| weight_of(one).total_cmp(&weight_of(other)));
    if let Some(root) = heaviest.or(guilty.first()) {
        let name = world.subject_name(&root.subject);
        explained.cause = match root.cause {
            Cause::Unknown | Cause::Path => root.cause,
            _ if world.kind(&root.subject.party) == PartyKind::Us => Cause::Us,
            _ => Cause::Them,
        };
        explained.alternatives.retain(|cause| *cause != explained.cause);
        explained.evidence.insert(
            0,
            match (root.is_bad(), root.degraded) {
                (true, false) => format!("It stands on {name}, which is down."),
                (true, true) => format!("It stands on {name}, which is slow."),
                (false, _) => format!("It stands on {name}, which has only just come back."),
            },
        );
        explained.because_of = Some(root.subject.clone());
        return Some(explained);
    }
    // What it stands on was last looked at before this began: as long as nobody has looked again, nothing more is known
    // than in the first bad round, so the verdict weighs no more than that.
    let older = |other: &&&Verdict| {
        other.has_evidence() && seen.newest_of(&other.subject).is_some_and(|at| at < onset.timestamp_millis())
    };
    let Some(pending) = below.iter().find(older) else { return coincident(world, seen, verdicts, verdict) };
    explained.weight = explained.weight.map(|weight| weight.min(1.0));
    explained.evidence.push(format!("{} has not been looked at since.", world.subject_name(&pending.subject)));
    if !explained.alternatives.contains(&Cause::Them) && explained.cause != Cause::Them {
        explained.alternatives.push(Cause::Them);
    }
    Some(explained)
}

/// A service of ours that begins to fail together with a provider that it is not known to stand on: two faults that have
/// nothing to do with each other hardly begin in the same minute, and `depends_on` is easily left incomplete.
fn coincident(world: &World, seen: &Seen, verdicts: &BTreeMap<Subject, Verdict>, verdict: &Verdict) -> Option<Verdict> {
    let onset = verdict.onset?;
    if world.kind(&verdict.subject.party) != PartyKind::Us || !matches!(verdict.cause, Cause::Us | Cause::Unknown) {
        return None;
    }
    let together = |other: &&Verdict| {
        let provider = world.kind(&other.subject.party) == PartyKind::Provider;
        let round = seen.patience(&other.subject) / 4;
        let soon = other.onset.is_some_and(|began| began <= onset + round && onset <= began + round * 3);
        let heavy = weight_of(other) >= 1.5 && weight_of(other) >= weight_of(verdict) * 0.7;
        provider && soon && heavy && other.cause == Cause::Them && (!other.degraded || verdict.degraded)
    };
    let of_it: Vec<&Verdict> = verdicts.values().filter(together).filter(|one| one.because_of.is_none()).collect();
    let root = of_it.iter().max_by(|one, other| weight_of(one).total_cmp(&weight_of(other)))?;
    let mut explained = verdict.clone();
    explained.cause = Cause::Them;
    explained.confidence = verdict.confidence.min(0.75);
    explained.alternatives.retain(|cause| *cause != Cause::Them);
    if !explained.alternatives.contains(&Cause::Us) {
        explained.alternatives.insert(0, Cause::Us);
    }
    let name = world.subject_name(&root.subject);
    explained.evidence.insert(0, format!("It began together with {name}, which its `depends_on` does not name."));
    explained.because_of = Some(root.subject.clone());
    Some(explained)
}

/// How many whole rounds there are in a time, one at least.
fn rounds_of(time: TimeDelta, interval: TimeDelta) -> f64 {
    f64::from(i32::try_from(time.num_milliseconds() / interval.num_milliseconds().max(1)).unwrap_or(i32::MAX)).max(1.0)
}

/// Rounds' worth of evidence; what does not weigh its evidence has enough.
fn weight_of(verdict: &Verdict) -> f64 {
    if verdict.is_bad() { verdict.weight.unwrap_or(f64::MAX) } else { 0.0 }
}

impl Seen {
    /// How much later than its consequence a fault of a subject may come to be seen.
    fn patience(&self, subject: &Subject) -> TimeDelta {
        let of_it = |one: &&SubjectIx| one.subject == *subject || one.subject.party == subject.party;
        let interval = self.index.subjects.iter().filter(of_it).map(|one| one.interval).max();
        TimeDelta::milliseconds(interval.unwrap_or(30_000).saturating_mul(4))
    }

    /// When the newest conclusive observation of a subject was due.
    fn newest_of(&self, subject: &Subject) -> Option<i64> {
        let of_it = |probe: usize| self.index.subjects[self.index.probes[probe].subject].subject == *subject;
        let newest = self.cells.iter().filter(|cell| of_it(cell.probe)).filter_map(|cell| cell.newest());
        newest.map(|sample| sample.at).max()
    }
}
