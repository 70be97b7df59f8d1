//! The places of what is seen: regions, cells, and the parts of the world that cover them. Made when something first comes
//! from there, and forgotten when nothing has come for long. Bounded.

use std::collections::{HashMap, VecDeque};

use super::{
    absorb::{Changed, Region, Runs, Seen},
    cell::Cell,
    part::{Part, Scope},
    spells::Spells,
    vantage::FORGOTTEN,
};
use crate::model::{PartyKind, Sighting};

/// Cells at most: 1,000 regions of honest probes fit; a flood of made-up names does not grow the process.
const CELLS: usize = 200_000;

impl Seen {
    /// Whether there is a place for an observation: its own, or room for another.
    pub(super) fn has_room_for(&self, probe: usize, seen: &Sighting<'_>, warm: bool) -> bool {
        if self.by_key.len() < CELLS && !self.names.is_full() {
            return true;
        }
        let (region, node) = (self.names.known(seen.region), self.names.known(seen.node));
        let region = region.and_then(|region| self.by_region.get(&region));
        // What has no name because there are too many shares a place with others like it.
        let node = node.or(self.names.is_full().then_some(0));
        let is_known = |(region, node): (&usize, u32)| self.by_key.contains_key(&(probe, *region, node, warm));
        region.zip(node).is_some_and(is_known) || region.is_some() && self.by_key.len() < CELLS
    }

    /// Forgets the cells from which nothing has come for a day while their region was heard of: nodes come and go.
    pub(super) fn forget_what_is_gone(&mut self) {
        let gone = |cell: &Cell| {
            let newest = cell.samples.back().map_or(i64::MIN, |sample| sample.at);
            let seldom = self.index.probes[cell.probe].interval.saturating_mul(4);
            newest < self.regions[cell.region].newest.saturating_sub(FORGOTTEN.max(seldom))
        };
        let gone: Vec<bool> = self.cells.iter().map(gone).collect();
        let before = self.by_key.len();
        self.by_key.retain(|_, cell| !gone[*cell]);
        if self.by_key.len() == before {
            return;
        }
        let parts = self.parts.iter_mut().map(|part| &mut part.cells);
        for cells in parts.chain(&mut self.cells_of).chain(&mut self.cells_of_subject) {
            cells.retain(|cell| !gone[*cell]);
        }
        self.free = (0..self.cells.len()).filter(|cell| gone[*cell]).collect();
        for cell in &self.free {
            self.cells[*cell].samples = VecDeque::new();
        }
    }

    /// Takes over what another has seen of the probes that both know.
    pub(super) fn inherit(&mut self, old: &Self) {
        for region in &old.regions {
            let number = self.region(&region.name);
            let runs = region.runs.iter().map(|(node, runs)| {
                let (build, config) = (self.number(old.name(runs.build)), self.number(old.name(runs.config)));
                (self.number(old.name(*node)), Runs { build, config })
            });
            let runs = runs.collect();
            let changed = region.changed.map(|changed| Changed { to: self.number(old.name(changed.to)), ..changed });
            let guilty = region.guilty.map(|guilty| Changed { to: self.number(old.name(guilty.to)), ..guilty });
            let (name, everything) = (region.name.clone(), self.regions[number].everything);
            self.regions[number] = Region { name, everything, runs, changed, guilty, ..region.clone() };
        }
        let mut keys: Vec<_> = old.by_key.iter().collect();
        keys.sort_unstable();
        for ((probe, region, node, warm), cell) in keys {
            let Some(probe) = self.index.probe(&old.index.probes[*probe].name) else { continue };
            let region = self.region(&old.regions[*region].name);
            let node = self.number(old.name(*node));
            let number = self.cell(probe, region, node, *warm);
            let mut cell = old.cells[*cell].clone();
            for sample in &mut cell.samples {
                sample.build = self.number(old.name(sample.build));
                sample.config = self.number(old.name(sample.config));
                sample.credential = self.number(old.name(sample.credential));
            }
            let samples = cell.samples.clone();
            let mine = &mut self.cells[number];
            (cell.probe, cell.region, cell.parts) = (mine.probe, mine.region, std::mem::take(&mut mine.parts));
            *mine = cell;
            for sample in samples {
                self.give(number, &sample);
            }
        }
    }

    pub(super) fn region(&mut self, name: &str) -> usize {
        let number = self.number(name);
        if let Some(region) = self.by_region.get(&number) {
            return *region;
        }
        let region = self.regions.len();
        let everything = self.part(Scope::Everything, Some(region));
        self.regions.push(Region {
            name: self.names.name(number).into(),
            newest: i64::MIN,
            heard: i64::MIN,
            everything,
            runs: HashMap::default(),
            changed: None,
            guilty: None,
            blamed: i64::MIN / 2,
            blind: Spells::default(),
            doubtful: Spells::default(),
            slow: Spells::default(),
            slow_at: i64::MIN / 2,
        });
        self.by_region.insert(number, region);
        region
    }

    pub(super) fn number(&mut self, name: &str) -> u32 {
        self.names.number(name)
    }

    pub(super) fn name(&self, number: u32) -> &str {
        self.names.name(number)
    }

    pub(super) fn cell(&mut self, probe: usize, region: usize, node: u32, warm: bool) -> usize {
        if let Some(cell) = self.by_key.get(&(probe, region, node, warm)) {
            return *cell;
        }
        let number = self.free.pop().unwrap_or(self.cells.len());
        let (subject, party, interval) = {
            let ix = &self.index.probes[probe];
            (ix.subject, ix.party, ix.interval)
        };
        let mut scopes = vec![Scope::Probe(probe)];
        // A control answers for itself alone: controls are unrelated to each other.
        if self.index.kind_of(probe) != PartyKind::Control {
            scopes.extend([Scope::Subject(subject), Scope::Party(party)]);
            let single = |scope: &Scope| match scope {
                Scope::Probe(_) => self.index.subjects[subject].probes.len() > 1,
                Scope::Subject(_) => self.index.parties[party].subjects.len() > 1,
                _ => true,
            };
            // What is the same as the next larger is not looked at twice.
            scopes.retain(single);
        }
        let mut parts = vec![];
        for scope in scopes {
            parts.extend([self.part(scope, None), self.part(scope, Some(region))]);
        }
        parts.push(self.regions[region].everything);
        for part in &parts {
            self.parts[*part].cover(number, interval);
        }
        put_in_order(&mut self.cells_of[party], number);
        put_in_order(&mut self.cells_of_subject[subject], number);
        let cell = Cell::new(probe, region, parts);
        match self.cells.get_mut(number) {
            Some(free) => *free = cell,
            None => self.cells.push(cell),
        }
        self.by_key.insert((probe, region, node, warm), number);
        number
    }

    fn part(&mut self, scope: Scope, region: Option<usize>) -> usize {
        if let Some(part) = self.by_scope.get(&(scope, region)) {
            return *part;
        }
        let number = self.parts.len();
        self.parts.push(Part::new(scope, region, self.wanted));
        self.by_scope.insert((scope, region), number);
        if let Some(party) = self.index.party_of(scope) {
            self.parts_of[party].push(number);
        }
        if let Some(region) = region
            && let Some(unit) = self.units.iter_mut().find(|unit| unit.scope == scope)
        {
            unit.parts.resize(unit.parts.len().max(region + 1), None);
            unit.parts[region] = Some(number);
        }
        number
    }
}

/// Puts a number among others that are in order.
pub(super) fn put_in_order(numbers: &mut Vec<usize>, number: usize) {
    let place = numbers.partition_point(|other| *other < number);
    numbers.insert(place, number);
}
