//! Shared fate: a service that fails because something that it stands on fails is not to blame, and has no incident of
//! its own.

use std::{collections::BTreeMap, time::Duration};

use chrono::TimeDelta;

use super::{
    World,
    absorb::Seen,
    bonds::{APART, Bond, Fates},
};
use crate::model::{Cause, Kind, PartyKind, Phase, Subject, Timestamp, Verdict, is_enough};

/// How long after a dependency has come back what stands on it may still be catching up.
const CATCHING_UP: Duration = Duration::from_mins(1);
/// What explains a verdict.
struct Root<'a> {
    verdict: &'a Verdict,
    declared: bool,
}

/// Explains those verdicts that another one explains.
pub(super) fn share(
    world: &World,
    seen: &Seen,
    verdicts: &mut BTreeMap<Subject, Verdict>,
    fates: &mut Fates,
    now: Timestamp,
) {
    fates.note(world, seen, verdicts, now);
    let mut explained = vec![];
    for verdict in verdicts.values() {
        let fate = Fate { world, seen, verdicts, fates, verdict, now };
        explained.extend(fate.shared());
    }
    for (verdict, bond) in explained {
        fates.bonds.extend(bond.map(|bond| (verdict.subject.clone(), bond)));
        verdicts.insert(verdict.subject.clone(), verdict);
    }
}

/// The question whose fate one verdict's subject shares.
struct Fate<'a> {
    world: &'a World,
    seen: &'a Seen,
    verdicts: &'a BTreeMap<Subject, Verdict>,
    fates: &'a Fates,
    verdict: &'a Verdict,
    now: Timestamp,
}

impl<'a> Fate<'a> {
    /// The verdict of a subject whose fault lies with something else, or that must wait for word of that; and a bond
    /// when it is new and sure enough to be kept.
    fn shared(&self) -> Option<(Verdict, Option<Bond>)> {
        let verdict = self.verdict;
        if !matches!(verdict.cause, Cause::Us | Cause::Them | Cause::Unknown | Cause::Path)
            || !verdict.has_evidence()
            || verdict.because_of.is_some()
        {
            return None;
        }
        let onset = verdict.onset?;
        if let Some(told) = self.still_shared() {
            return Some((told, None));
        }
        let below = self.below();
        let guilty: Vec<&Verdict> = below.iter().filter(|other| self.explains(other, onset)).copied().collect();
        let is_root = |one: &&&Verdict| {
            let under = self.world.depends_on(&one.subject.party);
            one.because_of.is_none() && !guilty.iter().any(|other| under.contains(&other.subject.party))
        };
        let heaviest = guilty.iter().filter(is_root).max_by(|one, other| weight_of(one).total_cmp(&weight_of(other)));
        let declared = heaviest.or(guilty.first()).map(|verdict| Root { verdict, declared: true });
        // What is known to matter goes first, unless it is only suspected and something else is beyond doubt.
        let sure = |root: &Root<'_>| is_told(self.world, root.verdict);
        let root = match declared {
            Some(root) if sure(&root) => Some(root),
            declared => self.coincident(onset).filter(|root| declared.is_none() || sure(root)).or(declared),
        };
        if let Some(root) = root {
            let bond = (sure(&root) || !root.declared).then(|| Bond {
                root: root.verdict.subject.clone(),
                declared: root.declared,
                sure: sure(&root),
                root_bad: self.now,
                root_failed: (!root.verdict.degraded).then_some(self.now),
                bad: self.now,
                apart: false,
            });
            return Some((self.explained(&root), bond));
        }
        self.pending(&below, onset).map(|waiting| (waiting, None))
    }

    /// What was explained by another stays so while that is bad, and for as long as it takes to catch up.
    fn still_shared(&self) -> Option<Verdict> {
        let bond = self.fates.bonds.get(&self.verdict.subject)?;
        let gone = Verdict::ok(bond.root.clone(), self.now);
        let root = self.verdicts.get(&bond.root).unwrap_or(&gone);
        // What comes back slowly is not what was slow all along.
        if root.is_bad() && root.degraded && !self.verdict.degraded && !bond.has_failed_lately(self.now) {
            return None;
        }
        Some(self.explained(&Root { verdict: root, declared: bond.declared }))
    }

    /// What it stands on. Two parties that stand on each other cannot both be explained by the other.
    fn below(&self) -> Vec<&'a Verdict> {
        let party = &self.verdict.subject.party;
        let under = self.world.depends_on(party);
        let below = self.verdicts.values().filter(|other| under.contains(&other.subject.party));
        below.filter(|other| !self.world.depends_on(&other.subject.party).contains(party)).collect()
    }

    /// Whether something that it stands on explains it.
    fn explains(&self, other: &Verdict, onset: Timestamp) -> bool {
        let guilty = matches!(other.cause, Cause::Them | Cause::Us | Cause::Unknown)
            // What only some regions cannot reach explains what fails from these.
            || other.cause == Cause::Path && self.verdict.regions.iter().all(|region| other.regions.contains(region));
        // What began long after what it should explain, or long before and was lived with, or is a fainter suspicion,
        // explains nothing.
        let latest = onset + self.seen.patience(&other.subject);
        let troubled = self.fates.troubled.get(&other.subject).map(|(began, _)| *began);
        let lived_with = troubled.is_some_and(|began| onset - began > delta(APART));
        let began = other.onset.is_none_or(|began| began <= latest) && !lived_with;
        // What is looked at more rarely cannot weigh as much yet.
        let interval = self.seen.round_of(&other.subject);
        let so_far = other.onset.map_or(0.0, |began| rounds_of(self.now - began, interval));
        let heavy = weight_of(other) * 2.0 >= weight_of(self.verdict) || weight_of(other) >= 0.8 * so_far;
        let before = began && (is_told(self.world, other) || heavy);
        // Slowness below explains slowness, and not that nothing answers.
        let failing = other.has_evidence() && guilty && before && (!other.degraded || self.verdict.degraded);
        let just_back = other.cause == Cause::Ok
            && !self.verdict.degraded
            && self.fates.troubled.get(&other.subject).is_some_and(|(began, _)| *began <= latest)
            && other.onset.is_some_and(|back| back >= onset && back + CATCHING_UP >= self.now);
        failing || just_back
    }

    /// What it stands on was last looked at before this began: as long as nobody has looked again, nothing more is known
    /// than in the first bad round, so the verdict weighs no more than that.
    fn pending(&self, below: &[&Verdict], onset: Timestamp) -> Option<Verdict> {
        let older = |other: &&&Verdict| {
            let newest = self.seen.newest_of(&other.subject);
            other.has_evidence() && newest.is_some_and(|at| at < onset.timestamp_millis())
        };
        // Nobody waits for long.
        let early = weight_of(self.verdict) < f64::from(self.world.open_after) + 1.5;
        let seemed = || below_seemed_bad(self, onset).filter(|_| early);
        let (waits_for, why) = match below.iter().find(older) {
            Some(other) => (&other.subject, "has not been looked at since"),
            None => (seemed()?, "seemed to fail as well a moment ago"),
        };
        let mut waiting = self.verdict.clone();
        waiting.weight = waiting.weight.map(|weight| weight.min(1.0));
        let name = self.world.subject_name(waits_for);
        waiting.evidence.push(format!("{name} {why}."));
        if !waiting.alternatives.contains(&Cause::Them) && waiting.cause != Cause::Them {
            waiting.alternatives.push(Cause::Them);
        }
        Some(waiting)
    }

    /// A service of ours that begins to fail together with a provider that it is not known to stand on: two faults that
    /// have nothing to do with each other hardly begin in the same minute, and `depends_on` is easily left out. Whoever
    /// wrote it is believed.
    fn coincident(&self, onset: Timestamp) -> Option<Root<'a>> {
        let verdict = self.verdict;
        if self.world.kind(&verdict.subject.party) != PartyKind::Us
            || !matches!(verdict.cause, Cause::Us | Cause::Unknown)
            || is_at_the_door(verdict)
            || !self.world.depends_on(&verdict.subject.party).is_empty()
        {
            return None;
        }
        let together = |other: &&Verdict| {
            let provider = self.world.kind(&other.subject.party) == PartyKind::Provider;
            let round = self.seen.round_of(&other.subject);
            let soon = other.onset.is_some_and(|began| began <= onset + round && onset <= began + round * 2);
            let heavy = weight_of(other) >= 1.5 && weight_of(other) >= weight_of(verdict) * 0.7;
            provider && soon && heavy && other.cause == Cause::Them && (!other.degraded || verdict.degraded)
        };
        let of_it = self.verdicts.values().filter(together).filter(|one| one.because_of.is_none());
        let verdict = of_it.max_by(|one, other| weight_of(one).total_cmp(&weight_of(other)))?;
        Some(Root { verdict, declared: false })
    }

    fn explained(&self, root: &Root<'_>) -> Verdict {
        let mut explained = self.verdict.clone();
        let name = self.world.subject_name(&root.verdict.subject);
        explained.cause = match root.verdict.cause {
            Cause::Unknown | Cause::Path => root.verdict.cause,
            _ if self.world.kind(&root.verdict.subject.party) == PartyKind::Us => Cause::Us,
            _ => Cause::Them,
        };
        explained.alternatives.retain(|cause| *cause != explained.cause);
        if !root.declared {
            explained.confidence = explained.confidence.min(0.75);
            if !explained.alternatives.contains(&Cause::Us) {
                explained.alternatives.insert(0, Cause::Us);
            }
        }
        let evidence = match root.verdict {
            _ if !root.declared => format!("It began together with {name}, which its `depends_on` does not name."),
            one if !one.is_bad() => format!("It stands on {name}, which has only just come back."),
            one if one.degraded => format!("It stands on {name}, which is slow."),
            one if one.in_part => format!("It stands on {name}, which fails in part."),
            _ => format!("It stands on {name}, which is down."),
        };
        explained.evidence.insert(0, evidence);
        explained.because_of = Some(root.verdict.subject.clone());
        explained
    }
}

/// What it stands on that looked bad until a moment ago, since about when this began: what works answers sooner than what
/// times out, so that a round of the other looks well until the rest of it is there.
fn below_seemed_bad<'a>(fate: &'a Fate<'_>, onset: Timestamp) -> Option<&'a Subject> {
    let under = fate.world.depends_on(&fate.verdict.subject.party);
    let of_it = fate.fates.lately.iter().filter(|(subject, _)| under.contains(&subject.party));
    let seemed = |(subject, (began, last)): &(&Subject, &(Timestamp, Timestamp))| {
        let round = fate.seen.round_of(subject);
        *began <= onset + round && onset <= *began + round * 2 && fate.now - *last <= round * 5 / 4
    };
    of_it.filter(|one| seemed(one)).map(|(subject, _)| subject).next()
}

/// Whether a service does not even let anybody in: nothing that it stands on makes it refuse connections.
fn is_at_the_door(verdict: &Verdict) -> bool {
    let failure = verdict.failure.as_ref().map(|failure| (failure.phase, failure.kind));
    matches!(failure, Some((Phase::Resolve | Phase::Connect | Phase::Tls, kind)) if kind != Kind::TimedOut)
}

/// How many whole rounds there are in a time, one at least.
fn rounds_of(time: TimeDelta, interval: TimeDelta) -> f64 {
    f64::from(i32::try_from(time.num_milliseconds() / interval.num_milliseconds().max(1)).unwrap_or(i32::MAX)).max(1.0)
}

pub(super) fn delta(time: Duration) -> TimeDelta {
    TimeDelta::from_std(time).unwrap_or(TimeDelta::MAX)
}

/// Whether there is enough evidence for a verdict to be told.
pub(super) fn is_told(world: &World, verdict: &Verdict) -> bool {
    verdict.is_bad() && is_enough(weight_of(verdict), world.open_after)
}

/// Rounds' worth of evidence; what does not weigh its evidence has enough.
pub(super) fn weight_of(verdict: &Verdict) -> f64 {
    if verdict.is_bad() { verdict.weight.unwrap_or(f64::MAX) } else { 0.0 }
}

impl Seen {
    /// How much later than its consequence a fault of a subject may come to be seen.
    pub(super) fn patience(&self, subject: &Subject) -> TimeDelta {
        self.round_of(subject) * 4
    }

    /// A round of what is looked at most seldom of the subject's party.
    pub(super) fn round_of(&self, subject: &Subject) -> TimeDelta {
        let of_it = self.index.subjects.iter().filter(|one| one.subject.party == subject.party);
        TimeDelta::milliseconds(of_it.map(|one| one.interval).max().unwrap_or(30_000))
    }

    /// When the newest conclusive observation of a subject was due.
    fn newest_of(&self, subject: &Subject) -> Option<i64> {
        let of_it = |probe: usize| self.index.subjects[self.index.probes[probe].subject].subject == *subject;
        let newest = self.cells.iter().filter(|cell| of_it(cell.probe)).filter_map(|cell| cell.newest());
        newest.map(|sample| sample.at).max()
    }
}
