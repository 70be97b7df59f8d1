//! From cells to a picture: how each subject stands in each region, by fresh evidence alone. Takes no side.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    World,
    window::{Cell, CellKey, Sample, Window},
};
use crate::model::{Failure, Kind, Outcome, PartyKind, Phase, Subject, Timestamp, round_of};

/// One cell's fresh, conclusive evidence.
#[derive(Debug, Clone)]
pub(super) struct Look<'a> {
    pub(super) region: &'a Arc<str>,
    pub(super) subject: &'a Subject,
    pub(super) kind: PartyKind,
    newest: Sample,
    cell: &'a Cell,
}

/// How a subject stands in a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Good,
    Degraded,
    Bad,
}

/// Everything fresh, by region and by subject.
pub(super) struct Matrix<'a> {
    pub(super) world: &'a World,
    pub(super) looks: Vec<Look<'a>>,
    /// Every region that the window remembers, fresh or not.
    pub(super) regions: Vec<&'a Arc<str>>,
    pub(super) subjects: BTreeMap<Subject, Duration>,
    by_place: BTreeMap<(&'a Subject, &'a Arc<str>), Vec<usize>>,
    places: BTreeMap<&'a Arc<str>, Place<'a>>,
    nowhere: Place<'a>,
}

/// What answers in a region, over all subjects.
#[derive(Debug, Default)]
pub(super) struct Place<'a> {
    /// The controls.
    pub(super) controls: Tally,
    /// Looks that were not down, by party.
    up: BTreeMap<&'a Arc<str>, usize>,
}

impl Place<'_> {
    /// Looks at anybody but this party that were not down.
    pub(super) fn up_besides(&self, party: &Arc<str>) -> usize {
        self.up.iter().filter(|(other, _)| **other != party).map(|(_, up)| up).sum()
    }
}

impl<'a> Matrix<'a> {
    pub(super) fn of(world: &'a World, window: &'a Window, now: Timestamp) -> Self {
        let mut regions: Vec<&Arc<str>> = window.cells.keys().map(|key| &key.region).collect();
        regions.sort();
        regions.dedup();
        let looks: Vec<Look<'a>> = window.cells.iter().filter_map(|(key, cell)| look(world, key, cell, now)).collect();
        let mut by_place: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        let mut places: BTreeMap<_, Place<'a>> = BTreeMap::new();
        for (index, look) in looks.iter().enumerate() {
            by_place.entry((look.subject, look.region)).or_default().push(index);
            let (place, up) = (places.entry(look.region).or_default(), usize::from(!look.is_down()));
            *place.up.entry(&look.subject.party).or_default() += up;
            if look.kind == PartyKind::Control {
                place.controls = place.controls + Tally { up, all: 1 };
            }
        }
        Self { world, looks, regions, subjects: world.subjects(), by_place, places, nowhere: Place::default() }
    }

    /// The fresh evidence about a subject, in every region.
    pub(super) fn about<'s>(&'s self, subject: &'s Subject) -> impl Iterator<Item = &'s Look<'a>> {
        self.regions.iter().flat_map(move |region| self.about_in(subject, region))
    }

    /// The fresh evidence about a subject in one region.
    pub(super) fn about_in<'s>(
        &'s self,
        subject: &'s Subject,
        region: &'s Arc<str>,
    ) -> impl Iterator<Item = &'s Look<'a>> {
        self.by_place.get(&(subject, region)).into_iter().flatten().map(|index| &self.looks[*index])
    }

    /// How a subject stands in a region; nothing without fresh evidence.
    pub(super) fn standing(&self, subject: &Subject, region: &Arc<str>) -> Option<Standing> {
        let places = self.by_place.get(&(subject, region))?;
        let count = |outcome| places.iter().filter(|index| self.looks[**index].newest.outcome == outcome).count();
        let (down, degraded) = (count(Outcome::Down), count(Outcome::Degraded));
        Some(if down > 0 && down * 2 >= places.len() {
            Standing::Bad
        } else if degraded > 0 && (down + degraded) * 2 >= places.len() {
            Standing::Degraded
        } else {
            Standing::Good
        })
    }

    /// What answers in a region, over all subjects.
    pub(super) fn place(&self, region: &Arc<str>) -> &Place<'a> {
        self.places.get(region).unwrap_or(&self.nowhere)
    }

    /// Subjects that are not controls.
    pub(super) fn accountable(&self) -> impl Iterator<Item = (&Subject, Duration)> {
        let kind = |subject: &Subject| self.world.kind(&subject.party);
        self.subjects.iter().filter(move |(subject, _)| kind(subject) != PartyKind::Control).map(|(s, i)| (s, *i))
    }
}

/// How many looks were up, of how many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) up: usize,
    pub(super) all: usize,
}

impl Tally {
    pub(super) const fn all_down(self) -> bool {
        self.all > 0 && self.up == 0
    }

    pub(super) const fn mostly_down(self) -> bool {
        self.up * 2 < self.all
    }
}

impl std::ops::Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { up: self.up + other.up, all: self.all + other.all }
    }
}

impl Look<'_> {
    pub(super) fn is_down(&self) -> bool {
        self.newest.outcome == Outcome::Down
    }

    pub(super) fn is_degraded(&self) -> bool {
        self.newest.outcome == Outcome::Degraded
    }

    /// Whether a name was resolved and all went well.
    pub(super) const fn resolved_well(&self) -> bool {
        matches!(self.newest.outcome, Outcome::Up | Outcome::Degraded) && self.newest.resolved
    }

    pub(super) const fn at(&self) -> Timestamp {
        self.newest.at
    }

    pub(super) fn round(&self, interval: Duration) -> i64 {
        round_of(self.newest.at, interval)
    }

    pub(super) const fn failure(&self) -> Option<(Phase, Kind)> {
        self.newest.failure
    }

    /// The failure in full, when it is the newest sample's.
    fn failure_in_full(&self) -> Option<Failure> {
        let (phase, kind) = self.newest.failure?;
        match &self.cell.failure {
            Some(full) if full.phase == phase && full.kind == kind => Some(full.clone()),
            _ => Some(Failure::new(phase, kind, "")),
        }
    }

    /// When the present row of samples of the same sort began: bad ones for a bad look, good ones for a good look that
    /// follows a bad one. Nothing for a look that has never been bad as far as we remember.
    pub(super) fn since(&self) -> Option<Timestamp> {
        let bad = |sample: &&Sample| sample.outcome == self.newest.outcome;
        let conclusive = self.cell.samples.iter().rev().filter(|sample| sample.outcome != Outcome::Inconclusive);
        if matches!(self.newest.outcome, Outcome::Down | Outcome::Degraded) {
            return conclusive.take_while(bad).last().map(|sample| sample.at);
        }
        self.has_failed()
            .then(|| conclusive.take_while(|sample| sample.outcome != Outcome::Down).last().map(|s| s.at))?
    }

    /// Whether a failure is remembered.
    pub(super) fn has_failed(&self) -> bool {
        self.cell.samples.iter().any(|sample| sample.outcome == Outcome::Down)
    }
}

/// The failure that most of these looks show, in full.
pub(super) fn commonest_failure<'a>(looks: impl Iterator<Item = &'a Look<'a>>) -> Option<Failure> {
    let mut counts: BTreeMap<(Phase, Kind), (usize, &Look<'a>)> = BTreeMap::new();
    for look in looks {
        if let Some(failure) = look.failure() {
            counts.entry(failure).or_insert((0, look)).0 += 1;
        }
    }
    let (_, look) = counts.into_values().max_by_key(|(count, _)| *count)?;
    look.failure_in_full()
}

/// The newest conclusive sample of a cell, if it is fresh: two intervals and a timeout is what an honest one can take.
fn look<'a>(world: &'a World, key: &'a CellKey, cell: &'a Cell, now: Timestamp) -> Option<Look<'a>> {
    let probe = world.probes.get(&key.probe)?;
    let newest = *cell.samples.iter().rev().find(|sample| sample.outcome != Outcome::Inconclusive)?;
    let fresh = newest.at + probe.interval * 2 + probe.timeout >= now;
    let kind = world.kind(&probe.subject.party);
    fresh.then_some(Look { region: &key.region, subject: &probe.subject, kind, newest, cell })
}
