//! The rules that people use today, over the same observations: three failures in a row, half of the regions for two
//! rounds, and `avg(probe_success) < 0.5 for 2m`. Each blames whoever owns what fails; none knows a region or a reason.

use std::collections::{BTreeMap, BTreeSet};

use usoryou::model::{Cause, Outcome, PartyKind, Subject, Timestamp};

use super::{
    stream::{Seen, Stream},
    told::{Teller, Told},
    world::World,
};

/// Rounds of good looks after which something that was told is over.
const OVER_AFTER: f64 = 150.0;
/// Seconds after which a look says nothing any more.
const FRESH: f64 = 75.0;

/// When each target has to be told of.
pub trait Rule {
    /// Whether it is met for a target at this instant.
    fn is_met(&mut self, target: usize, cells: &[Cell], now: f64) -> bool;
}

/// The newest looks of a cell.
#[derive(Debug, Clone, Default)]
pub struct Cell {
    at: f64,
    due: i64,
    down: bool,
    /// Failures in a row.
    pub row: u32,
}

impl Cell {
    fn is_fresh(&self, now: f64) -> bool {
        self.at > 0.0 && now - self.at < FRESH
    }
}

/// A rule and what it has told.
pub struct Baseline<R> {
    rule: R,
    owners: Vec<(Subject, PartyKind)>,
    targets: usize,
    cells: Vec<Cell>,
    /// Subjects told of, and when the rule was last met for them.
    open: BTreeMap<Subject, f64>,
    names: u32,
    begin: Option<Timestamp>,
}

impl<R: Rule> Baseline<R> {
    pub fn new(rule: R, world: &World) -> Self {
        let owners = (0..world.targets.len()).map(|target| (world.subject(target), world.kind(target))).collect();
        let (targets, cells) = (world.targets.len(), vec![Cell::default(); world.cells()]);
        Self { rule, owners, targets, cells, open: BTreeMap::new(), names: 0, begin: None }
    }
}

impl<R: Rule> Teller for Baseline<R> {
    fn absorb(&mut self, stream: &Stream<'_>, seen: &Seen, now: Timestamp) {
        let cell = &mut self.cells[seen.cell as usize];
        if seen.outcome == Outcome::Inconclusive || seen.scheduled <= cell.due {
            return;
        }
        self.begin.get_or_insert_with(|| stream.instant(0.0));
        cell.at = stream.seconds(now);
        cell.due = seen.scheduled;
        cell.down = seen.outcome == Outcome::Down;
        cell.row = if cell.down { cell.row + 1 } else { 0 };
    }

    fn judge(&mut self, now: Timestamp, told: &mut Vec<Told>) {
        let Some(begin) = self.begin else { return };
        let at = (now - begin).num_milliseconds() as f64 / 1_000.0;
        for target in 0..self.targets {
            let (subject, kind) = &self.owners[target];
            let cause = match kind {
                PartyKind::Us => Cause::Us,
                PartyKind::Provider => Cause::Them,
                PartyKind::Control => continue,
            };
            let here: Vec<Cell> = self.cells.iter().skip(target).step_by(self.targets).cloned().collect();
            if !self.rule.is_met(target, &here, at) {
                continue;
            }
            let last = self.open.insert(subject.clone(), at);
            if last.is_some_and(|last| at - last < OVER_AFTER) {
                continue;
            }
            self.names += 1;
            told.push(Told {
                at: now,
                incident: format!("{}", self.names).into(),
                opened: true,
                subject: subject.clone(),
                cause,
                regions: BTreeSet::new(),
                alternatives: vec![],
                because_of: None,
                confidence: 1.0,
                onset: now,
                evidence: vec![],
                letter: self.names.to_string(),
            });
        }
    }
}

/// Three failures in a row of any probe from any region.
pub struct ThreeInARow;

impl Rule for ThreeInARow {
    fn is_met(&mut self, _target: usize, cells: &[Cell], now: f64) -> bool {
        cells.iter().any(|cell| cell.is_fresh(now) && cell.row >= 3)
    }
}

/// Half of the regions see it fail, twice in a row each.
pub struct Quorum;

impl Rule for Quorum {
    fn is_met(&mut self, _target: usize, cells: &[Cell], now: f64) -> bool {
        let fresh = cells.iter().filter(|cell| cell.is_fresh(now));
        let (bad, all) = fresh.fold((0, 0), |(bad, all), cell| (bad + u32::from(cell.row >= 2), all + 1));
        all > 0 && bad * 2 >= all
    }
}

/// `avg by (probe) (probe_success) < 0.5 for 2m`.
#[derive(Default)]
pub struct Average(BTreeMap<usize, f64>);

impl Rule for Average {
    fn is_met(&mut self, target: usize, cells: &[Cell], now: f64) -> bool {
        let fresh = cells.iter().filter(|cell| cell.is_fresh(now));
        let (up, all) = fresh.fold((0, 0), |(up, all), cell| (up + u32::from(!cell.down), all + 1));
        if all == 0 || up * 2 >= all {
            self.0.remove(&target);
            return false;
        }
        now - *self.0.entry(target).or_insert(now) >= 120.0
    }
}
