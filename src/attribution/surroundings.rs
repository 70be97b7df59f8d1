//! What else is seen, in sentences: the comparison that makes an explanation believable. Takes no side.

use std::sync::Arc;

use super::{
    World,
    absorb::Seen,
    cell::{Cell, Sample},
    vantage::FORGOTTEN,
};
use crate::model::{Failure, Kind, PartyKind, Phase};

/// How a subject stands in a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Good,
    Degraded,
    Bad,
}

/// How many looks were up, of how many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) up: usize,
    pub(super) all: usize,
}

impl Seen {
    /// The newest conclusive sample of a cell, if it is fresh: two intervals and a timeout is what an honest one can take.
    pub(super) fn fresh<'a>(&self, cell: &'a Cell, now: i64) -> Option<&'a Sample> {
        let probe = &self.index.probes[cell.probe];
        cell.newest().filter(|newest| newest.at + probe.interval * 2 + probe.timeout >= now)
    }

    /// The controls in a region.
    pub(super) fn controls(&self, region: usize, now: i64) -> Tally {
        let mut tally = Tally::default();
        for cell in self.cells_in(region).filter(|cell| self.index.kind_of(cell.probe) == PartyKind::Control) {
            if let Some(newest) = self.fresh(cell, now) {
                tally.up += usize::from(!newest.is_down());
                tally.all += 1;
            }
        }
        tally
    }

    /// Whether there is nobody to compare a region with.
    pub(super) fn has_one_region(&self, now: i64) -> bool {
        self.regions.iter().filter(|region| now - region.newest <= FORGOTTEN).count() == 1
    }

    /// Everything that is seen from a region.
    pub(super) fn cells_in(&self, region: usize) -> impl Iterator<Item = &Cell> {
        self.parts[self.regions[region].everything].cells.iter().map(|cell| &self.cells[*cell])
    }

    /// Whether anybody but this party answers in a region: then the region's own network works.
    pub(super) fn reaches_besides(&self, party: usize, region: usize, now: i64) -> bool {
        self.cells_in(region)
            .filter(|cell| self.index.probes[cell.probe].party != party)
            .any(|cell| self.fresh(cell, now).is_some_and(|newest| !newest.is_down()))
    }

    /// How a subject stands in each region; nothing without fresh evidence.
    pub(super) fn standings(&self, subject: usize, now: i64) -> Vec<Option<Standing>> {
        let mut counts = vec![(0_u32, 0_u32, 0_u32); self.regions.len()];
        for cell in self.cells_of_subject(subject) {
            let Some(newest) = self.fresh(cell, now) else { continue };
            let (all, down, slow) = &mut counts[cell.region];
            *all += 1;
            *down += u32::from(newest.is_down());
            *slow += u32::from(!newest.is_down() && newest.slow);
        }
        let standing = |counts: (u32, u32, u32)| match counts {
            (0, ..) => None,
            (all, down, _) if down > 0 && down * 2 >= all => Some(Standing::Bad),
            (all, down, slow) if slow > 0 && (down + slow) * 2 >= all => Some(Standing::Degraded),
            _ => Some(Standing::Good),
        };
        counts.into_iter().map(standing).collect()
    }

    /// Whether a subject could not be looked at last in a region: how it stood before says nothing of now.
    fn is_blocked(&self, subject: usize, region: usize) -> bool {
        let mut newest = self
            .cells_of_subject(subject)
            .filter(|cell| cell.region == region)
            .filter_map(|cell| cell.samples.back())
            .peekable();
        newest.peek().is_some()
            && newest
                .all(|sample| !sample.is_conclusive() && sample.failure.is_some_and(|(_, kind)| kind == Kind::Blocked))
    }

    /// `Controls 6/6 up, our API up, Firebase auth down.`, from the regions that look at the subject.
    pub(super) fn around(&self, world: &World, but: &[usize], regions: &[usize], now: i64) -> String {
        let mut controls = Tally::default();
        for region in regions {
            let here = self.controls(*region, now);
            controls = Tally { up: controls.up + here.up, all: controls.all + here.all };
        }
        let mut parts = vec![match controls.all {
            0 => "No controls to compare with".to_owned(),
            all => format!("Controls {}/{all} up", controls.up),
        }];
        let others = self.accountable().filter(|subject| !but.contains(subject));
        parts.extend(others.filter_map(|subject| self.word_on(world, subject, regions, now)).take(4));
        format!("{}.", parts.join(", "))
    }

    /// Subjects that are not controls, in the order of their names.
    pub(super) fn accountable(&self) -> impl Iterator<Item = usize> {
        let mut subjects: Vec<usize> = (0..self.index.subjects.len())
            .filter(|subject| self.index.parties[self.index.subjects[*subject].party].kind != PartyKind::Control)
            .collect();
        subjects.sort_by_key(|subject| &self.index.subjects[*subject].subject);
        subjects.into_iter()
    }

    /// `our API up`: how another subject stands in the same regions.
    fn word_on(&self, world: &World, other: usize, regions: &[usize], now: i64) -> Option<String> {
        let looked_at = regions.iter().filter(|region| !self.is_blocked(other, **region));
        let standings = self.standings(other, now);
        let standings: Vec<Standing> = looked_at.filter_map(|region| standings[*region]).collect();
        let count = |wanted| standings.iter().filter(|standing| **standing == wanted).count();
        let word = match (count(Standing::Bad), count(Standing::Degraded), standings.len()) {
            (.., 0) => return None,
            (0, slow, all) if slow == all => "slow".to_owned(),
            (0, ..) => "up".to_owned(),
            (bad, _, all) if bad == all => "down".to_owned(),
            (bad, _, all) => format!("down from {bad} of {all} regions"),
        };
        let name = world.subject_name(&self.index.subjects[other].subject);
        let name = name.strip_prefix("Our ").map_or(name.clone(), |rest| format!("our {rest}"));
        Some(format!("{name} {word}"))
    }

    /// `It takes 850 ms, usually 210 ms.`: of subjects that are slow, from these regions.
    pub(super) fn slowness(&self, subjects: &[usize], regions: &[usize]) -> Option<String> {
        let cells = subjects.iter().flat_map(|subject| self.cells_of_subject(*subject));
        let mut ratios: Vec<(f32, f32, f32)> = cells
            .filter(|cell| regions.contains(&cell.region))
            .filter_map(|cell| {
                let now = cell.newest().filter(|newest| newest.slow)?.duration;
                let usual = cell.pace.usual()?;
                Some((now / usual, now, usual))
            })
            .collect();
        ratios.sort_by(|one, other| one.0.total_cmp(&other.0));
        let (_, now, usual) = ratios.get(ratios.len() / 2)?;
        Some(format!("It takes {:.0} ms, usually {:.0} ms.", now * 1_000.0, usual * 1_000.0))
    }

    pub(super) fn list(&self, regions: &[usize]) -> String {
        self.names(regions).iter().map(|name| &**name).collect::<Vec<_>>().join(", ")
    }

    pub(super) fn names(&self, regions: &[usize]) -> Vec<Arc<str>> {
        let mut names: Vec<Arc<str>> = regions.iter().map(|region| self.regions[*region].name.clone()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// The failure that most of these cells show since an instant, in full.
    pub(super) fn commonest_failure<'a>(&self, cells: impl Iterator<Item = &'a Cell>, since: i64) -> Option<Failure> {
        let mut counts: Vec<((Phase, Kind), usize, &Cell)> = vec![];
        for cell in cells {
            for failure in cell.since(since).filter(|sample| sample.is_conclusive()).filter_map(|sample| sample.failure)
            {
                match counts.iter_mut().find(|(one, ..)| *one == failure) {
                    Some((_, count, _)) => *count += 1,
                    None => counts.push((failure, 1, cell)),
                }
            }
        }
        // Of failures that are equally common the first that was seen.
        let ((phase, kind), _, cell) = counts.into_iter().rev().max_by_key(|(_, count, _)| *count)?;
        match &cell.failure {
            Some(full) if full.phase == phase && full.kind == kind => Some(full.clone()),
            _ => Some(Failure::new(phase, kind, "")),
        }
    }
}
