//! What is due when: pure arithmetic over the wall clock, no waiting and no IO. Owns rounds, slots and what becomes of
//! both when the plan or the clock changes; must not know what a run does or how long it takes.
//!
//! Round `r` of a probe begins at `r × interval` since the Unix epoch, for every vantage point alike. Inside the round
//! each vantage point has its own slot: a hash of its name sets where the first probe goes, and golden-ratio steps spread
//! the others, so that any number of probes is spread evenly and one that comes or goes moves no other. Dues follow
//! from round numbers, never from the last start: nothing drifts.
//!
//! Runs that take next to nothing may be gathered: their slots fall on a grid, so that some sixteen of them begin
//! together where there are many. Waking up costs several times what asking on an open connection does.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use super::Due;
use crate::model::{Timestamp, Vantage, first_try};

/// Microseconds since the Unix epoch on the wall clock, or between two such instants.
type Micros = i64;

/// New probes have their first run within this time, or within their interval where that is shorter.
const FIRST_RUN_WITHIN: Micros = 1_000_000;
/// Gathered runs that begin together where there are enough of them: so many, and fewer than twice as many.
const TOGETHER: u64 = 16;
/// Nothing that is gathered is moved further than this, or than this part of its interval.
const GATHERED_WITHIN: Micros = 100_000;
const LEAST_SLOTS: u64 = 64;
/// A clock that jumps forward counts at most this many missed rounds of a probe: a machine without a battery wakes up
/// in 1970.
const MISSED_AT_MOST: u64 = 100_000;

/// A probe as the schedule wants it.
pub(super) struct Wanted<T> {
    /// Unique name.
    pub(super) name: Arc<str>,
    /// From one round to the next.
    pub(super) interval: Duration,
    /// Whether it may begin together with others.
    pub(super) gathered: bool,
    /// What the caller gets back when it is due.
    pub(super) item: T,
}

/// A run that is due.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Planned<T> {
    /// What was handed over for the probe.
    pub(super) item: T,
    /// Which run.
    pub(super) due: Due,
    /// How long ago it was due.
    pub(super) late: Duration,
    /// How long it may still begin: until the next one is due.
    pub(super) patience: Duration,
    /// Earlier rounds that passed while nobody asked.
    pub(super) missed: u64,
    /// The extra run of a probe that is new.
    pub(super) first: bool,
}

/// When each probe is due.
pub(super) struct Schedule<T> {
    vantage: u64,
    entries: Vec<Entry<T>>,
    heap: BinaryHeap<Reverse<(Micros, usize)>>,
    /// The wall clock had reached this instant before it was set back.
    seen_until: Micros,
    /// How often it was set back.
    generation: u32,
}

struct Entry<T> {
    name: Arc<str>,
    interval: Micros,
    rank: u32,
    phase: Micros,
    next: Slot,
    first: bool,
    item: T,
}

#[derive(Clone, Copy)]
struct Slot {
    at: Micros,
    round: i64,
}

impl<T: Clone> Schedule<T> {
    /// An empty schedule of a vantage point.
    pub(super) fn new(vantage: &Vantage) -> Self {
        let name = format!("{}\u{1f}{}", vantage.region, vantage.node);
        Self {
            vantage: hash(&name),
            entries: Vec::new(),
            heap: BinaryHeap::new(),
            seen_until: Micros::MIN,
            generation: 0,
        }
    }

    /// Takes over a plan. A probe whose name and interval stay keeps its slot and what is due next; a new one has its
    /// first run at once; one that is no longer wanted is gone.
    pub(super) fn replace(&mut self, wanted: impl IntoIterator<Item = Wanted<T>>, now: Timestamp) {
        let now = now.timestamp_micros();
        let mut known: HashMap<Arc<str>, Entry<T>> =
            self.entries.drain(..).map(|entry| (Arc::clone(&entry.name), entry)).collect();
        let mut joining = Vec::new();
        let mut gathered: HashMap<Micros, u64> = HashMap::new();
        for wanted in wanted {
            let interval = Micros::try_from(wanted.interval.as_micros()).unwrap_or(Micros::MAX / 4).max(1);
            *gathered.entry(interval).or_default() += u64::from(wanted.gathered);
            match known.remove(&wanted.name) {
                Some(entry) if entry.interval == interval => {
                    self.entries.push(Entry { item: wanted.item, ..entry });
                }
                before => joining.push((wanted, interval, before.is_none())),
            }
        }
        let mut lowest: HashMap<Micros, u32> = HashMap::new();
        let mut taken: HashMap<Micros, HashSet<u32>> = HashMap::new();
        for entry in &self.entries {
            taken.entry(entry.interval).or_default().insert(entry.rank);
        }
        for (Wanted { name, item, gathered: on_grid, .. }, interval, new) in joining {
            // The smallest rank that no probe of the same interval has.
            let taken = taken.entry(interval).or_default();
            let below = lowest.entry(interval).or_insert(0);
            let rank = (*below..).find(|rank| taken.insert(*rank)).unwrap_or_default();
            *below = rank;
            let spread = rank_fraction(rank);
            let phase = share(interval, hash_step(self.vantage, interval).wrapping_add(spread));
            let phase = if on_grid { phase - phase % grid(interval, gathered[&interval]) } else { phase };
            let mut entry = Entry { name, interval, rank, phase, next: Slot { at: now, round: 0 }, first: new, item };
            entry.next = if new {
                let at = now + share(interval.min(FIRST_RUN_WITHIN), spread);
                Slot { at, round: at.div_euclid(interval) }
            } else {
                entry.slot_after(now)
            };
            self.entries.push(entry);
        }
        self.rebuild();
    }

    /// The next run that is due by now, with the rounds that have passed unseen before it.
    pub(super) fn pop(&mut self, now: Timestamp) -> Option<Planned<T>> {
        let now = now.timestamp_micros();
        let Reverse((at, index)) = *self.heap.peek()?;
        if at > now {
            return None;
        }
        self.heap.pop();
        let entry = &mut self.entries[index];
        let (mut due, mut first, mut missed) = (entry.next, entry.first, 0);
        let mut next = entry.following(due, first);
        if next.at <= now {
            // The newest round that has begun is the one to run.
            let newest = entry.slot_before(now);
            missed = u64::try_from(newest.round - next.round).unwrap_or(0) + 1;
            (due, first, next) = (newest, false, entry.slot(newest.round + 1));
        }
        (entry.next, entry.first) = (next, false);
        let item = entry.item.clone();
        let try_of_first = first.then(|| first_try(due.at, due.round, entry.interval));
        self.heap.push(Reverse((next.at, index)));
        let planned = self.due(due);
        Some(Planned {
            item,
            due: Due { generation: try_of_first.unwrap_or(planned.generation), ..planned },
            late: micros(now - due.at),
            patience: micros(next.at - now),
            missed: missed.min(MISSED_AT_MOST),
            first,
        })
    }

    /// When the next run is due, from now.
    pub(super) fn wait(&self, now: Timestamp) -> Option<Duration> {
        self.heap.peek().map(|Reverse((at, _))| micros(at - now.timestamp_micros()))
    }

    /// Follows a wall clock that was set (or that went on while the machine slept): everything is due in its slot
    /// after `to`. Rounds that a jump forward has passed over are told; rounds that a jump backward makes come again
    /// run again, as another generation.
    pub(super) fn clock_was_set(&mut self, from: Timestamp, to: Timestamp, mut missed: impl FnMut(&T, u64)) {
        let (from, to) = (from.timestamp_micros(), to.timestamp_micros());
        if to < from {
            self.seen_until = self.seen_until.max(from);
            self.generation += 1;
        }
        for entry in &mut self.entries {
            let next = entry.slot_after(to);
            let planned = entry.next;
            if planned.at <= to {
                let passed = u64::try_from(next.round - planned.round).unwrap_or(0).clamp(1, MISSED_AT_MOST);
                missed(&entry.item, passed);
            }
            (entry.next, entry.first) = (next, false);
        }
        self.rebuild();
    }

    fn due(&self, slot: Slot) -> Due {
        Due {
            scheduled_at: Timestamp::from_timestamp_micros(slot.at).unwrap_or_default(),
            round: slot.round,
            generation: if slot.at <= self.seen_until { self.generation } else { 0 },
        }
    }

    fn rebuild(&mut self) {
        self.heap = self.entries.iter().enumerate().map(|(index, entry)| Reverse((entry.next.at, index))).collect();
    }
}

impl<T> Entry<T> {
    const fn slot(&self, round: i64) -> Slot {
        Slot { at: round.saturating_mul(self.interval).saturating_add(self.phase), round }
    }

    /// The first slot after an instant.
    const fn slot_after(&self, at: Micros) -> Slot {
        self.slot((at - self.phase).div_euclid(self.interval) + 1)
    }

    /// The last slot not after an instant.
    const fn slot_before(&self, at: Micros) -> Slot {
        self.slot((at - self.phase).div_euclid(self.interval))
    }

    /// What is due after a run. After the extra first run it is the first slot of another round that leaves half an
    /// interval between the two.
    fn following(&self, run: Slot, first: bool) -> Slot {
        if !first {
            return self.slot(run.round + 1);
        }
        let next = self.slot_after(run.at + self.interval / 2 - 1);
        if next.round > run.round { next } else { self.slot(run.round + 1) }
    }
}

/// From one slot to the next of so many gathered runs of an interval. It changes only when they double, so that one that
/// comes moves few.
fn grid(interval: Micros, gathered: u64) -> Micros {
    let slots = (1 << (gathered / TOGETHER).max(1).ilog2()).max(LEAST_SLOTS);
    (interval / Micros::try_from(slots).unwrap_or(Micros::MAX)).clamp(1, GATHERED_WITHIN)
}

/// The fraction of the circle, as a share of 2^64, at which a rank lies: steps of the golden ratio leave gaps of at most
/// three lengths, however many ranks there are (three-gap theorem).
fn rank_fraction(rank: u32) -> u64 {
    u64::from(rank).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// A share of a span; the share is in parts of 2^64.
fn share(span: Micros, share: u64) -> Micros {
    let span = u128::try_from(span).unwrap_or(0);
    Micros::try_from((span * u128::from(share)) >> 64).unwrap_or(0)
}

/// FNV-1a with a final mix: stable between versions and machines, unlike the standard library's.
fn hash(text: &str) -> u64 {
    let sum = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    mix(sum)
}

/// Where the first probe of an interval goes.
fn hash_step(vantage: u64, interval: Micros) -> u64 {
    mix(vantage ^ interval.unsigned_abs())
}

/// The finalizer of SplitMix64: every bit of the input moves every bit of the output.
const fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

fn micros(span: Micros) -> Duration {
    Duration::from_micros(u64::try_from(span).unwrap_or(0))
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
