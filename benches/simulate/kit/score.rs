//! What was told, held against what is true. Knows both; must not know how either came about.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use usoryou::model::{Cause, PartyKind, Subject, Verdict};

use super::{
    fault::{Fault, Truth, Whom},
    told::Told,
    world::World,
};

/// Seconds after the end in which being told still counts (two rounds), and in which a wrong word still does harm.
const GRACE: f64 = 60.0;
pub const AFTER: f64 = 480.0;
/// Seconds for which a verdict that pages nobody must have stood to count as given.
const STOOD: f64 = 60.0;

/// What one thing that was told is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// The truth of this number.
    Right(usize),
    /// True, or a consequence that is marked as one.
    Neutral,
    /// Did not commit itself; whether the truth was among the alternatives.
    Unknown(bool),
    Wrong,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    Right,
    Wrong,
    Unknown,
    Missed,
}

/// What came of one case.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub grade: Grade,
    /// By what was believed in the end.
    pub finally: Grade,
    /// Told `unknown` with the truth among the alternatives.
    pub named: bool,
    /// Seconds from the onset until somebody was told the truth; or anything.
    pub delay: Option<f64>,
    pub onset_error: Option<f64>,
    /// Pages from the onset on.
    pub pages: usize,
    /// Things that were at fault, also those that need not be told, which are as many incidents; at least one.
    pub at_fault: usize,
    /// Pages before the onset: nothing was wrong.
    pub false_pages: usize,
    /// Confidence of what was told, and whether it was right.
    pub confidences: Vec<(f64, bool)>,
}

pub struct Marker<'a> {
    pub world: &'a World,
    pub fault: &'a Fault,
}

impl Marker<'_> {
    /// `at` in seconds; `stalled`: regions of which it is true that nothing comes from them.
    pub fn mark(&self, said: &Said<'_>, stalled: &[usize]) -> Mark {
        if let Some(number) = self.fault.truths.iter().position(|truth| !truth.optional && self.says(truth, said)) {
            return Mark::Right(number);
        }
        let also_true = self.fault.truths.iter().any(|truth| truth.optional && self.says(truth, said));
        if also_true || self.is_consequence(said) || self.is_stall(said, stalled) {
            return Mark::Neutral;
        }
        if said.cause == Cause::Unknown && self.touches(said) {
            let named = |truth: &Truth| said.alternatives.contains(&truth.cause);
            return Mark::Unknown(self.fault.truths.iter().any(named));
        }
        Mark::Wrong
    }

    fn says(&self, truth: &Truth, said: &Said<'_>) -> bool {
        // A region that is blind itself is no second witness.
        let blind = self.fault.truths.iter().filter(|truth| matches!(truth.about, Whom::Region(_))).count();
        let alone = self.world.regions.len().saturating_sub(blind) <= 1;
        let region = |index: usize| &self.world.regions[index].name;
        match &truth.about {
            Whom::Nobody => false,
            Whom::Region(index) => {
                let vantage = said.subject.as_vantage().is_some_and(|name| name == region(*index));
                let only = said.regions.len() == 1 && said.regions.contains(region(*index));
                said.cause == Cause::Probe && (vantage || only && said.subject.as_vantage().is_none())
            }
            Whom::Party(party, subjects) => {
                let about = *said.subject.party == *self.world.parties[*party].key
                    && (said.subject.product.is_none() || subjects.contains(said.subject));
                let other = |cause: Cause| alone && said.cause == cause && said.alternatives.contains(&truth.cause);
                about
                    && match truth.cause {
                        Cause::Path => {
                            let names = |name: &Arc<str>| truth.regions.iter().any(|index| region(*index) == name);
                            let placed = !said.regions.is_empty() && said.regions.iter().all(names);
                            said.cause == Cause::Path && placed || other(Cause::Them)
                        }
                        // A refused credential of some regions is not one of the others.
                        Cause::Probe => {
                            let names = |name: &Arc<str>| truth.regions.iter().any(|index| region(*index) == name);
                            said.cause == Cause::Probe && said.regions.iter().all(names)
                        }
                        cause => said.cause == cause || other(Cause::Path),
                    }
            }
        }
    }

    /// Explained by something that is true, or a service of ours of which it is said that it is theirs.
    fn is_consequence(&self, said: &Said<'_>) -> bool {
        let guilty = |truth: &Truth| match &truth.about {
            Whom::Party(party, _) => {
                let key = &self.world.parties[*party].key;
                said.because_of.is_some_and(|subject| subject.party == *key)
                    || truth.cause == Cause::Them && said.cause == Cause::Them && self.stands_on(said.subject, *party)
            }
            Whom::Region(index) => {
                let name = &self.world.regions[*index].name;
                said.because_of.is_some_and(|subject| subject.as_vantage() == Some(name))
            }
            Whom::Nobody => false,
        };
        self.fault.truths.iter().any(guilty)
    }

    fn stands_on(&self, subject: &Subject, provider: usize) -> bool {
        let ours = |party: &&super::world::Party| party.kind == PartyKind::Us && party.key == subject.party;
        self.world.parties.iter().find(ours).is_some_and(|party| party.depends_on.contains(&provider))
    }

    fn is_stall(&self, said: &Said<'_>, stalled: &[usize]) -> bool {
        let vantage = said.subject.as_vantage();
        said.cause != Cause::Ok && stalled.iter().any(|index| vantage == Some(&self.world.regions[*index].name))
    }

    fn touches(&self, said: &Said<'_>) -> bool {
        let of_region = |truth: &Truth| {
            matches!(&truth.about, Whom::Region(index)
            if said.subject.as_vantage() == Some(&self.world.regions[*index].name))
        };
        self.fault.truths.iter().any(of_region)
            || self.fault.touched.iter().any(|party| self.world.parties[*party].key == said.subject.party)
    }

    /// Whether somebody must be told of something.
    fn is_asked(&self) -> bool {
        self.fault.truths.iter().any(|truth| !matches!(truth.about, Whom::Nobody))
    }

    fn grade(&self, marks: &BTreeSet<usize>, wrong: bool, unknown: bool) -> Grade {
        let needed: Vec<usize> =
            (0..self.fault.truths.len()).filter(|number| !self.fault.truths[*number].optional).collect();
        let found = |number: &usize| marks.contains(number);
        let enough = if self.fault.any { needed.iter().any(found) } else { needed.iter().all(found) };
        match () {
            () if wrong => Grade::Wrong,
            () if !self.is_asked() || enough => Grade::Right,
            () if unknown => Grade::Unknown,
            () => Grade::Missed,
        }
    }

    /// Judges a case by everything that was told in it, and by how long each verdict stood.
    pub fn outcome(
        &self,
        told: &[(f64, Told)],
        stood: &BTreeMap<Standing, f64>,
        stalled: &dyn Fn(f64) -> Vec<usize>,
        onset_of: &dyn Fn(&Told) -> f64,
    ) -> Outcome {
        let (onset, end) = (self.fault.onset, self.fault.end);
        let mut outcome = Outcome {
            grade: Grade::Missed,
            finally: Grade::Missed,
            named: false,
            delay: None,
            onset_error: None,
            pages: 0,
            at_fault: self.fault.truths.len().max(1),
            false_pages: 0,
            confidences: vec![],
        };
        let (mut found, mut wrong, mut unknown) = (BTreeSet::new(), false, false);
        let mut last: BTreeMap<&Arc<str>, Mark> = BTreeMap::new();
        let mut letters: BTreeSet<&str> = BTreeSet::new();
        for (at, one) in told {
            let mark = self.mark(&Said::from(one), &stalled(*at));
            if *at < onset {
                let counts = one.opened && mark != Mark::Neutral && letters.insert(&*one.letter);
                outcome.false_pages += usize::from(counts);
                continue;
            }
            if one.opened && one.cause != Cause::Unknown && mark != Mark::Neutral {
                outcome.confidences.push((one.confidence, matches!(mark, Mark::Right(_))));
            }
            last.insert(&one.incident, mark);
            outcome.pages += usize::from(one.opened && letters.insert(&*one.letter));
            match mark {
                Mark::Right(number) if *at <= end + GRACE && one.opened => {
                    if outcome.delay.is_none() {
                        outcome.delay = Some(at - onset);
                        outcome.onset_error = Some(onset_of(one) - onset);
                    }
                    found.insert(number);
                }
                Mark::Wrong if one.opened => wrong = true,
                Mark::Unknown(named) => {
                    unknown = true;
                    outcome.named |= named;
                }
                _ => {}
            }
        }
        if self.fault.slow {
            let weight = |wanted: &dyn Fn(Mark) -> bool| -> f64 {
                stood.iter().filter(|(standing, _)| wanted(self.mark(&standing.said(), &[]))).map(|(_, s)| s).sum()
            };
            let right = weight(&|mark| matches!(mark, Mark::Right(_)));
            let astray = weight(&|mark| mark == Mark::Wrong);
            if right >= STOOD && right >= astray {
                found.insert(0);
            } else if astray >= 2.0 * STOOD {
                wrong = true;
            }
            unknown |= weight(&|mark| matches!(mark, Mark::Unknown(_))) >= STOOD;
        }
        outcome.grade = self.grade(&found, wrong, unknown);
        let at_last = |wanted: &dyn Fn(&Mark) -> bool| last.values().any(wanted);
        found.extend(last.values().filter_map(|mark| match mark {
            Mark::Right(number) => Some(*number),
            _ => None,
        }));
        let wrong = at_last(&|mark| *mark == Mark::Wrong);
        outcome.finally = self.grade(&found, wrong, at_last(&|mark| matches!(mark, Mark::Unknown(_))));
        outcome
    }
}

/// The part of a verdict that is held against the truth.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    pub subject: &'a Subject,
    pub cause: Cause,
    pub regions: &'a BTreeSet<Arc<str>>,
    pub alternatives: &'a [Cause],
    pub because_of: Option<&'a Subject>,
}

impl<'a> From<&'a Told> for Said<'a> {
    fn from(told: &'a Told) -> Self {
        Self {
            subject: &told.subject,
            cause: told.cause,
            regions: &told.regions,
            alternatives: &told.alternatives,
            because_of: told.because_of.as_ref(),
        }
    }
}

/// A bad verdict that stood for some time, told or not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Standing {
    subject: Subject,
    cause: Cause,
    regions: BTreeSet<Arc<str>>,
    alternatives: Vec<Cause>,
    because_of: Option<Subject>,
}

impl Standing {
    /// Of a verdict that is bad by itself.
    pub fn of(verdict: &Verdict) -> Option<Self> {
        (verdict.is_bad() && verdict.has_evidence()).then(|| Self {
            subject: verdict.subject.clone(),
            cause: verdict.cause,
            regions: verdict.regions.iter().cloned().collect(),
            alternatives: verdict.alternatives.clone(),
            because_of: verdict.because_of.clone(),
        })
    }

    fn said(&self) -> Said<'_> {
        Said {
            subject: &self.subject,
            cause: self.cause,
            regions: &self.regions,
            alternatives: &self.alternatives,
            because_of: self.because_of.as_ref(),
        }
    }
}
