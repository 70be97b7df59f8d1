//! Taking an observation: to its cell, and from there as evidence to every part of the world that covers the cell.
//! Bounded in cells; takes anything and says what it does not believe.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use super::{
    cadence::Cadence,
    cell::{Cell, Refused, Sample},
    index::{Index, ProbeIx, millis},
    names::{Names, Quick},
    noise::{GOOD, SEVERITIES},
    part::{Channel, Part, Scope},
    spells::Spells,
};
use crate::model::{Connection, Kind, MAY_LACK, Outcome, PartyKind, Sighting, Timestamp};

/// Older observations say nothing about now.
pub(super) const REACH: Duration = Duration::from_mins(20);
/// No honest clock is further ahead than this, in milliseconds.
const AHEAD: i64 = 2 * 60_000;
/// What is inconclusive is counted like this: about once in a hundred is normal, whoever is at fault.
const INCONCLUSIVE: [f32; SEVERITIES.len()] = [3.2, 3.9, 4.0];

/// What became of an observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absorbed {
    /// It counts.
    Taken,
    /// Seen before.
    Duplicate,
    /// Older than everything that is remembered of its cell.
    OutOfOrder,
    /// Too old to say anything about now.
    Stale,
    /// Due further in the future than any honest clock is wrong.
    Absurd,
    /// Nothing is known of such a probe.
    UnknownProbe,
    /// It confirms a round and is none itself.
    Confirmation,
    /// No room for another cell.
    Full,
}

/// What is new of a party.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum News {
    None,
    /// It answers.
    Good,
    /// It does not, or nobody knows.
    Bad,
}

/// A region as far as it was heard of.
#[derive(Debug, Clone)]
pub(super) struct Region {
    pub(super) name: Arc<str>,
    /// When the newest observation from there was due, conclusive or not, and when it came, in milliseconds.
    pub(super) newest: i64,
    pub(super) heard: i64,
    /// The part that covers all of it.
    pub(super) everything: usize,
    /// What runs there, by node, and since when it is another than before.
    pub(super) runs: HashMap<u32, Runs, Quick>,
    pub(super) changed: Option<Changed>,
    /// The change that has been found to be at fault.
    pub(super) guilty: Option<Changed>,
    /// When it was last found at fault with evidence enough to tell.
    pub(super) blamed: i64,
    /// What it saw in these times says nothing about others: it could not see.
    pub(super) blind: Spells,
    /// When it may have been so.
    pub(super) doubtful: Spells,
    /// When everything was slow from there, and when that was last found.
    pub(super) slow: Spells,
    pub(super) slow_at: i64,
}

impl Region {
    /// It cannot see, since then and now.
    pub(super) fn blind(&mut self, since: i64, now: i64) {
        self.blind.add(since, now);
    }

    /// It may be that it cannot see, since then and now.
    pub(super) fn doubt(&mut self, since: i64, now: i64) {
        self.doubtful.add(since, now);
    }

    /// Everything is slow from there, since then and now.
    pub(super) fn slow_down(&mut self, since: i64, now: i64) {
        self.slow.add(since, now);
    }

    /// Whether how long something took that was due at an instant says anything.
    pub(super) fn was_steady(&self, at: i64) -> bool {
        !self.slow.contains(at)
    }

    /// Whether all that it saw counts.
    pub(super) fn always_saw(&self) -> bool {
        [&self.blind, &self.doubtful, &self.slow].iter().all(|spells| spells.is_empty())
    }

    /// Whether what was due at an instant counts.
    pub(super) fn saw(&self, at: i64) -> bool {
        self.may_have_seen(at) && !self.doubtful.contains(at)
    }

    /// Whether it counts where it only bears out what is known.
    pub(super) fn may_have_seen(&self, at: i64) -> bool {
        !self.blind.contains(at)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Runs {
    pub(super) build: u32,
    pub(super) config: u32,
}

/// Another build or configuration has come to a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Changed {
    pub(super) at: i64,
    /// Whether it is the build and not the configuration alone.
    pub(super) build: bool,
    /// What runs now.
    pub(super) to: u32,
}

/// Something that fails by itself, and the parts of it by region.
#[derive(Debug, Clone)]
pub(super) struct Unit {
    pub(super) scope: Scope,
    pub(super) control: bool,
    pub(super) parts: Vec<Option<usize>>,
}

/// Everything that was seen.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) index: Index,
    pub(super) regions: Vec<Region>,
    pub(super) cells: Vec<Cell>,
    pub(super) parts: Vec<Part>,
    /// Cells that are used by nothing.
    pub(super) free: Vec<usize>,
    /// Cells by party and by subject, parts by party; in the order of their numbers.
    pub(super) cells_of: Vec<Vec<usize>>,
    pub(super) cells_of_subject: Vec<Vec<usize>>,
    pub(super) parts_of: Vec<Vec<usize>>,
    /// What is new of each party since it was last looked at.
    pub(super) news: Vec<News>,
    /// By cell, whether it was fresh at the last judgement.
    pub(super) fresh_then: Vec<bool>,
    /// The shortest interval of all, in milliseconds.
    pub(super) shortest: i64,
    /// What fails by itself, seen from one region: a party, or a control.
    pub(super) units: Vec<Unit>,
    /// The parts that there is any evidence against: of the others there is nothing to ask.
    pub(super) stirred: BTreeSet<usize>,
    /// How often each probe is really looked at, and how often that has turned out to be otherwise.
    cadences: Vec<Cadence>,
    pub(super) paces: u32,
    pub(super) wanted: f32,
    pub(super) names: Names,
    pub(super) by_region: HashMap<u32, usize, Quick>,
    pub(super) by_key: HashMap<(usize, usize, u32, bool), usize, Quick>,
    pub(super) by_scope: HashMap<(Scope, Option<usize>), usize, Quick>,
}

impl Seen {
    pub(super) fn new(index: Index, open_after: u32) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "a third")]
        let wanted = f32::from(u16::try_from(open_after).unwrap_or(u16::MAX)).max(1.0) - MAY_LACK as f32;
        let parties = index.parties.len();
        let own = index.parties.iter().enumerate().filter(|(_, party)| party.kind != PartyKind::Control);
        let mut units: Vec<Unit> =
            own.map(|(party, _)| Unit { scope: Scope::Party(party), control: false, parts: vec![] }).collect();
        let controls = (0..index.probes.len()).filter(|probe| index.kind_of(*probe) == PartyKind::Control);
        units.extend(controls.map(|probe| Unit { scope: Scope::Probe(probe), control: true, parts: vec![] }));
        Self {
            wanted,
            shortest: index.probes.iter().map(|probe| probe.interval).min().unwrap_or(1_000),
            units,
            cells_of: vec![vec![]; parties],
            cells_of_subject: vec![vec![]; index.subjects.len()],
            parts_of: vec![vec![]; parties],
            news: vec![News::Bad; parties],
            cadences: vec![Cadence::default(); index.probes.len()],
            index,
            ..Self::default()
        }
    }

    pub(super) fn absorb(&mut self, seen: &Sighting<'_>, now: Timestamp) -> Absorbed {
        let (at, now) = (seen.scheduled_at.timestamp_millis(), now.timestamp_millis());
        if at > now + AHEAD {
            return Absorbed::Absurd;
        }
        if at < now - millis(REACH) {
            return Absorbed::Stale;
        }
        if seen.varied.is_some() {
            return Absorbed::Confirmation;
        }
        let Some(probe) = self.index.probe(seen.probe) else { return Absorbed::UnknownProbe };
        let warm = seen.connection == Connection::Warm;
        if !self.has_room_for(probe, seen, warm) {
            return Absorbed::Full;
        }
        let region = self.region(seen.region);
        let node = self.number(seen.node);
        let cell = self.cell(probe, region, node, warm);
        // Most of the time the same runs there as at the last look.
        let like = self.cells[cell].samples.back().map_or((0, 0, 0), |last| (last.build, last.config, last.credential));
        let names = &mut self.names;
        let mut sample = Sample {
            at,
            outcome: seen.outcome,
            failure: seen.failure,
            slow: seen.outcome == Outcome::Degraded,
            #[expect(clippy::cast_possible_truncation, reason = "a duration needs no more digits than this")]
            duration: seen.duration as f32,
            resolved: seen.resolve.is_some(),
            http_status: seen.http_status.unwrap_or_default(),
            build: names.number_like(seen.build, like.0),
            config: names.number_like(seen.config, like.1),
            credential: seen.credential.map_or(0, |name| names.number_like(name, like.2)),
        };
        let pace = &self.cells[cell].pace;
        sample.slow |= seen.outcome == Outcome::Up && pace.is_slow(sample.duration);
        // An expectation of time that the usual pace does not meet is nothing that has happened now.
        if matches!(seen.failure, Some((_, Kind::TimedOut))) && pace.is_as_usual(sample.duration) {
            sample.slow = false;
        }
        let before = self.cells[cell].samples.back().copied();
        match self.cells[cell].insert(sample) {
            Err(Refused::Duplicate) => return Absorbed::Duplicate,
            Err(Refused::TooOld) => return Absorbed::OutOfOrder,
            Ok(()) => {}
        }
        if sample.is_down() && self.cells[cell].newest().is_some_and(|newest| newest.at == at) {
            self.cells[cell].failure = seen.failure_in_full();
        }
        // Who is told to wait, or waits for an answer, looks less often for a while.
        if let Some(before) = before.filter(|before| before.at < at && !before.is_down() && !sample.is_down()) {
            self.keep_pace(probe, at - before.at);
        }
        self.note_region(region, node, &sample, now);
        // What is only slow wakes nobody.
        self.is_new(probe, if sample.is_up() { News::Good } else { News::Bad });
        self.give(cell, &sample);
        self.learn(cell, &sample);
        Absorbed::Taken
    }

    /// Takes note that something was seen of a probe's party.
    pub(super) fn is_new(&mut self, probe: usize, news: News) {
        let known = &mut self.news[self.index.probes[probe].party];
        *known = news.max(*known);
    }

    /// Counts rounds in what is seen to be one.
    fn keep_pace(&mut self, probe: usize, gap: i64) {
        let ProbeIx { configured, interval, party, .. } = self.index.probes[probe];
        let Some(interval) = self.cadences[probe].note(gap, configured, interval) else { return };
        self.index.set_interval(probe, interval);
        self.paces += 1;
        self.shortest = self.index.probes.iter().map(|probe| probe.interval).min().unwrap_or(interval);
        let everything = self.regions.iter().map(|region| region.everything);
        for part in self.parts_of[party].iter().copied().chain(everything) {
            let cells = self.parts[part].cells.iter().map(|cell| self.index.probes[self.cells[*cell].probe].interval);
            let shortest = cells.min().unwrap_or(interval);
            self.parts[part].count_in(shortest);
        }
    }

    /// Gives the evidence of a sample to everything that covers its cell.
    pub(super) fn give(&mut self, cell: usize, sample: &Sample) {
        let cell = &self.cells[cell];
        // What was not tried, because something else is missing, says nothing of whether the vantage point can see.
        if sample.failure.is_some_and(|(_, kind)| kind == Kind::Blocked) {
            return;
        }
        if !sample.is_conclusive() {
            let everything = self.regions[cell.region].everything;
            self.stirred.insert(everything);
            self.parts[everything].feed(Channel::Inconclusive, sample.at, true, INCONCLUSIVE);
            return;
        }
        if sample.is_down() || sample.slow {
            self.stirred.extend(&cell.parts);
        }
        let is_good = !sample.is_down() && !sample.slow;
        let failing = cell.failing.evidence(sample.is_down());
        let slow = cell.slowness.evidence(sample.slow);
        for part in &cell.parts {
            let part = &mut self.parts[*part];
            // Where nothing speaks against it there is nothing to speak for it.
            if is_good && !part.stirred {
                continue;
            }
            part.feed(Channel::Failing, sample.at, sample.is_down(), failing);
            if !sample.is_down() {
                part.feed(Channel::Slow, sample.at, sample.slow, slow);
            }
            if !part.is_idle(Channel::Inconclusive) {
                part.feed(Channel::Inconclusive, sample.at, false, GOOD);
            }
        }
    }

    fn learn(&mut self, cell: usize, sample: &Sample) {
        let cell = &mut self.cells[cell];
        cell.learn_pace_early(sample);
        // The smallest part that covers it everywhere, and its party in the same region.
        let (probe, party) = match cell.parts[..] {
            [probe, .., party, _] => (probe, party),
            _ => {
                cell.learn(0.0);
                return;
            }
        };
        let around = (self.parts[party].around * 0.7).max(self.parts[probe].elsewhere());
        if let Some(bad) = cell.learn(around) {
            self.parts[party].learn(bad);
            self.parts[probe].learn_everywhere(bad);
        }
    }

    /// Raises and ends alarms. What an alarm covers does not become normal, unless nothing was `told` of the party: what
    /// looks like a fault for a moment and is none must be learned, or it looks like one for ever.
    pub(super) fn sound_alarms(&mut self, told: &[bool], now: i64) {
        for part in &self.stirred {
            let part = &mut self.parts[*part];
            for channel in [Channel::Failing, Channel::Slow] {
                if part.is_idle(channel) || !part.alarm(channel) {
                    continue;
                }
                part.ring(channel, now);
                if channel == Channel::Failing && self.index.party_of(part.scope).is_some_and(|party| !told[party]) {
                    continue;
                }
                let Some(strength) = part.strength(channel) else { continue };
                for cell in &part.cells {
                    self.cells[*cell].excuse(strength.since, now);
                }
            }
        }
        let channels = [Channel::Failing, Channel::Slow, Channel::Inconclusive];
        self.stirred.retain(|part| {
            let part = &mut self.parts[*part];
            part.stirred = channels.iter().any(|channel| !part.is_idle(*channel));
            part.stirred
        });
    }

    /// The cells that look at a subject.
    pub(super) fn cells_of_subject(&self, subject: usize) -> impl Iterator<Item = &Cell> {
        self.cells_of_subject[subject].iter().map(|cell| &self.cells[*cell])
    }

    /// Whether anything that was seen, of a party where one is given, is worth a look.
    pub(super) fn is_suspicious(&self, party: Option<usize>, now: i64) -> bool {
        let mut parts = self.stirred.iter().map(|part| &self.parts[*part]);
        parts.any(|part| (party.is_none() || self.index.party_of(part.scope) == party) && part.is_suspicious(now))
    }

    fn note_region(&mut self, region: usize, node: u32, sample: &Sample, now: i64) {
        let region = &mut self.regions[region];
        region.heard = region.heard.max(now);
        if sample.at < region.newest {
            return;
        }
        region.newest = sample.at;
        let runs = Runs { build: sample.build, config: sample.config };
        if (runs.build, runs.config) == (0, 0) {
            return;
        }
        if let Some(before) = region.runs.insert(node, runs)
            && before != runs
        {
            let build = before.build != runs.build;
            let to = if build { runs.build } else { runs.config };
            region.changed = Some(Changed { at: sample.at, build, to });
        }
    }
}
