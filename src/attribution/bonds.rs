//! What is remembered of who stood or fell with whom, from one round to the next.

use std::{collections::BTreeMap, time::Duration};

use chrono::TimeDelta;

use super::{
    World,
    absorb::Seen,
    fate::{delta, is_told, weight_of},
};
use crate::model::{Cause, Subject, Timestamp, Verdict};

/// How long what was told to share the fate of another goes on to do so after that has come back …
const AFTERWARDS: Duration = Duration::from_mins(3);
/// … and for how many rounds, where these are long.
const ROUNDS_AFTERWARDS: i32 = 6;
/// What has been well for so long while the other is still bad does not share its fate any more.
pub(super) const APART: Duration = Duration::from_mins(15);

/// What is remembered of who stood or fell with whom, from one round to the next.
#[derive(Debug, Clone, Default)]
pub(super) struct Fates {
    /// Whose fate a subject shares: an explanation holds as long as both are bad.
    pub(super) bonds: BTreeMap<Subject, Bond>,
    /// Since when and until when a subject was bad enough to be told. A blip that nobody would be told of explains nothing
    /// afterwards.
    pub(super) troubled: BTreeMap<Subject, (Timestamp, Timestamp)>,
    /// What looked bad lately, for a round at least: since when it did, and when last.
    pub(super) lately: BTreeMap<Subject, (Timestamp, Timestamp)>,
}

#[derive(Debug, Clone)]
pub(super) struct Bond {
    pub(super) root: Subject,
    /// How it was first said.
    pub(super) declared: bool,
    /// Whether the root was ever bad enough to be told.
    pub(super) sure: bool,
    /// When either was last bad.
    pub(super) root_bad: Timestamp,
    /// When the root was last bad and not only slow; nothing when it never was.
    pub(super) root_failed: Option<Timestamp>,
    pub(super) bad: Timestamp,
    /// Whether it has been well for some rounds meanwhile, where nothing says that the two belong together.
    pub(super) apart: bool,
}

impl Bond {
    /// Whether the root failed, and was not only slow, until lately.
    pub(super) fn has_failed_lately(&self, now: Timestamp) -> bool {
        self.root_failed.is_some_and(|failed| now - failed <= delta(AFTERWARDS))
    }

    fn holds(&self, round: TimeDelta, now: Timestamp) -> bool {
        // What was only ever suspected explains nothing afterwards.
        let afterwards = if self.sure { delta(AFTERWARDS).max(round * ROUNDS_AFTERWARDS) } else { TimeDelta::zero() };
        !self.apart && now - self.root_bad <= afterwards && now - self.bad <= delta(APART)
    }
}

impl Fates {
    /// Takes note of the verdicts of an instant, before any of them is explained by another.
    pub(super) fn note(&mut self, world: &World, seen: &Seen, verdicts: &BTreeMap<Subject, Verdict>, now: Timestamp) {
        self.troubled.retain(|_, (_, until)| now - *until <= delta(AFTERWARDS));
        // Whoever was only slow explains nothing that does not answer.
        let own_fault = |one: &&Verdict| one.because_of.is_none() && !one.degraded && is_told(world, one);
        for verdict in verdicts.values().filter(own_fault) {
            let onset = verdict.onset.unwrap_or(now);
            // What lasts for long is seen to begin later and later.
            self.troubled.entry(verdict.subject.clone()).or_insert((onset, now)).1 = now;
        }
        let looked_bad = |one: &&Verdict| {
            matches!(one.cause, Cause::Them | Cause::Us | Cause::Unknown | Cause::Path)
                && !one.degraded
                && one.because_of.is_none()
                && weight_of(one) >= 1.0
                && (one.cause != Cause::Path || !is_told(world, one))
        };
        for verdict in verdicts.values().filter(looked_bad) {
            self.lately.insert(verdict.subject.clone(), (verdict.onset.unwrap_or(now), now));
        }
        self.lately.retain(|subject, (_, last)| now - *last <= seen.patience(subject));
        for (subject, bond) in &mut self.bonds {
            if let Some(root) = verdicts.get(&bond.root).filter(|root| root.is_bad() && root.has_evidence()) {
                bond.root_bad = now;
                bond.root_failed = if root.degraded { bond.root_failed } else { Some(now) };
                bond.sure |= is_told(world, root);
            }
            match verdicts.get(subject) {
                Some(verdict) if verdict.is_bad() => bond.bad = now,
                // That they began together is all that is known of the two: what begins again later does not.
                Some(verdict) if verdict.has_evidence() => {
                    bond.apart |= !bond.declared && now - bond.bad >= seen.patience(subject);
                }
                _ => {}
            }
        }
        self.bonds.retain(|subject, bond| bond.holds(seen.round_of(subject), now));
    }
}
