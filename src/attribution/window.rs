//! The last minutes of each cell, in memory: a cell is one probe seen from one vantage point over one kind of connection.
//! Bounded in cells and in samples per cell; takes anything and counts what it does not believe.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use crate::model::{Connection, Failure, Kind, Outcome, Phase, Sighting, Timestamp};

/// Older observations say nothing about now.
const REACH: Duration = Duration::from_mins(20);
/// No honest clock is further ahead than this.
const AHEAD: Duration = Duration::from_mins(2);
/// Samples kept per cell, whatever their age: slow probes need some past too.
const SAMPLES: usize = 32;
/// Cells at most: 1,000 regions of honest probes fit; a flood of made-up names does not grow the process.
const CELLS: usize = 200_000;

/// One probe seen from one vantage point over one kind of connection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CellKey {
    pub(super) probe: Arc<str>,
    pub(super) region: Arc<str>,
    pub(super) node: Arc<str>,
    warm: bool,
}

/// What stays of an observation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) at: Timestamp,
    pub(super) outcome: Outcome,
    pub(super) failure: Option<(Phase, Kind)>,
    /// Whether a name was resolved on the way.
    pub(super) resolved: bool,
}

/// The newest samples of a cell, oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Cell {
    pub(super) samples: VecDeque<Sample>,
    /// The failure of the newest sample in full.
    pub(super) failure: Option<Failure>,
}

/// What became of an observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absorbed {
    /// It counts.
    Taken,
    /// Seen before.
    Duplicate,
    /// Older than one that the cell has already.
    OutOfOrder,
    /// Too old to say anything about now.
    Stale,
    /// Due further in the future than any honest clock is wrong.
    Absurd,
    /// No room for another cell.
    Full,
    /// A confirmation of a round, not a round.
    Confirmation,
}

/// The last minutes of every cell.
#[derive(Debug, Clone, Default)]
pub struct Window {
    pub(super) cells: BTreeMap<CellKey, Cell>,
    ignored: u64,
}

impl Window {
    /// Takes one observation, or says why not.
    pub fn absorb(&mut self, seen: &Sighting<'_>, now: Timestamp) -> Absorbed {
        let absorbed = self.try_absorb(seen, now);
        self.ignored += u64::from(!matches!(absorbed, Absorbed::Taken | Absorbed::Confirmation));
        absorbed
    }

    fn try_absorb(&mut self, seen: &Sighting<'_>, now: Timestamp) -> Absorbed {
        if seen.scheduled_at > now + AHEAD {
            return Absorbed::Absurd;
        }
        if seen.scheduled_at < now - REACH {
            return Absorbed::Stale;
        }
        if seen.varied.is_some() {
            return Absorbed::Confirmation;
        }
        let key = CellKey {
            probe: seen.probe.into(),
            region: seen.region.into(),
            node: seen.node.into(),
            warm: seen.connection == Connection::Warm,
        };
        if self.cells.len() >= CELLS && !self.cells.contains_key(&key) {
            return Absorbed::Full;
        }
        let cell = self.cells.entry(key).or_default();
        match cell.samples.back().map(|newest| seen.scheduled_at.cmp(&newest.at)) {
            Some(std::cmp::Ordering::Equal) => return Absorbed::Duplicate,
            Some(std::cmp::Ordering::Less) => return Absorbed::OutOfOrder,
            Some(std::cmp::Ordering::Greater) | None => {}
        }
        if cell.samples.len() == SAMPLES {
            cell.samples.pop_front();
        }
        cell.samples.push_back(Sample {
            at: seen.scheduled_at,
            outcome: seen.outcome,
            failure: seen.failure,
            resolved: seen.resolve.is_some(),
        });
        cell.failure = seen.failure_in_full();
        Absorbed::Taken
    }

    /// Observations that did not count since the window was made.
    #[must_use]
    pub const fn ignored(&self) -> u64 {
        self.ignored
    }

    /// Whether the newest sample of a cell of such a probe is down.
    pub(super) fn any_down(&self, probe: impl Fn(&Arc<str>) -> bool) -> bool {
        let down = |cell: &Cell| cell.samples.back().is_some_and(|newest| newest.outcome == Outcome::Down);
        self.cells.iter().any(|(key, cell)| down(cell) && probe(&key.probe))
    }

    /// Forgets cells of probes that are gone and cells that nothing was heard of for long; a slow probe's cell lives as
    /// long as it can still be fresh.
    pub fn prune(&mut self, world: &super::World, now: Timestamp) {
        self.cells.retain(|key, cell| {
            world.probes.get(&key.probe).is_some_and(|probe| {
                let reach = REACH.max(probe.interval * 3);
                cell.samples.back().is_some_and(|newest| newest.at > now - reach)
            })
        });
    }

    /// From when on stored observations are needed to make the same window again.
    #[must_use]
    pub fn reaches_back_to(now: Timestamp) -> Timestamp {
        now - REACH
    }
}

#[cfg(test)]
#[path = "window_tests.rs"]
mod tests;
