//! Shared fate: a service that fails because something that it stands on fails is not to blame, and has no incident of
//! its own.

use std::{collections::BTreeMap, time::Duration};

use super::{World, absorb::Seen};
use crate::model::{Cause, PartyKind, Subject, Timestamp, Verdict};

/// How long after a dependency has come back what stands on it may still be catching up.
const CATCHING_UP: Duration = Duration::from_mins(1);

/// Explains those verdicts that another one explains.
pub(super) fn share(world: &World, seen: &Seen, verdicts: &mut BTreeMap<Subject, Verdict>, now: Timestamp) {
    let explained: Vec<Verdict> =
        verdicts.values().filter_map(|verdict| shared(world, seen, verdicts, verdict, now)).collect();
    verdicts.extend(explained.into_iter().map(|verdict| (verdict.subject.clone(), verdict)));
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
        return None;
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
        let failing = other.has_evidence() && guilty && (!other.degraded || verdict.degraded);
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
    if let Some(root) = guilty.iter().find(is_root).or(guilty.first()) {
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
    let pending = below.iter().find(older)?;
    explained.weight = explained.weight.map(|weight| weight.min(1.0));
    explained.evidence.push(format!("{} has not been looked at since.", world.subject_name(&pending.subject)));
    if !explained.alternatives.contains(&Cause::Them) && explained.cause != Cause::Them {
        explained.alternatives.push(Cause::Them);
    }
    Some(explained)
}

impl Seen {
    /// When the newest conclusive observation of a subject was due.
    fn newest_of(&self, subject: &Subject) -> Option<i64> {
        let of_it = |probe: usize| self.index.subjects[self.index.probes[probe].subject].subject == *subject;
        let newest = self.cells.iter().filter(|cell| of_it(cell.probe)).filter_map(|cell| cell.newest());
        newest.map(|sample| sample.at).max()
    }
}
