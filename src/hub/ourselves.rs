//! What is wrong with us as observers: a region that sends nothing, one that measures late, a store that takes nothing.
//! Verdicts like any other, so that they become incidents like any other. Pure, `now` is an argument; must not know how
//! observations travel or how anything is written.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::ClockOff;
use crate::{
    attribution::weight_of_silence,
    incident::Incidents,
    model::{Cause, Failure, Kind, Outcome, Phase, Reason, Sighting, Subject, Timestamp, Verdict},
};

/// A region is not missed sooner than this, however short its intervals are.
const MISSED_AFTER: Duration = Duration::from_mins(1);
/// A region that has sent nothing for so long is not expected to any more.
const EXPECTED_FOR: Duration = Duration::from_hours(24);
/// An observation older than this tells that its region was there then, not that it is there now; in milliseconds.
const FRESH: i64 = 10 * 60_000;
/// A store must have failed for so long before it is said.
const FAILING_FOR: Duration = Duration::from_secs(30);
/// For how long a store that failed is said to be well again.
const WELL_FOR: Duration = Duration::from_mins(15);
/// Less lateness than this is nobody's concern, in milliseconds.
const LATE: i64 = 500;
/// Lateness is counted in slots of this many seconds, or of an interval where that is longer …
const SLOT: i64 = 10;
/// … and so many of them are looked at …
const SLOTS: usize = 6;
/// … of which so many must have something late.
const LATE_SLOTS: usize = 3;

/// What is known of ourselves.
#[derive(Debug, Default)]
pub struct Ourselves {
    regions: BTreeMap<Arc<str>, Heard>,
    store: Option<Standing>,
    /// Until when nothing could be taken from anybody, in milliseconds.
    deaf: Option<i64>,
    /// Clocks that are off, by region and node, and since when that is known.
    clocks: Clocks,
    /// Since when no hub has taken anything of the region that this process judges alone.
    no_hub: Option<(Arc<str>, Timestamp)>,
}

/// Clocks that are off, by region and node: how far ahead, and since when that is known.
type Clocks = BTreeMap<(Arc<str>, Arc<str>), (f64, Timestamp)>;

/// What was heard of a region.
#[derive(Debug)]
struct Heard {
    /// In milliseconds.
    last: i64,
    /// The shortest of its probes'.
    interval: Duration,
    /// How long it may send nothing, in milliseconds.
    missed_after: i64,
    /// How long a slot is, in seconds.
    slot: i64,
    slots: [Slot; SLOTS],
    /// Late looks of all the slots.
    late: u32,
}

/// How punctual a region was in some seconds.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    number: i64,
    looks: u32,
    late: u32,
}

/// How the store stands, since when, and why.
#[derive(Debug)]
struct Standing {
    failing: Option<String>,
    since: Timestamp,
}

impl Ourselves {
    /// Goes on from these incidents: a region that was missing before a restart is still expected.
    #[must_use]
    pub fn resume(incidents: &Incidents) -> Self {
        let mut ourselves = Self::default();
        ourselves.take_up(incidents);
        ourselves
    }

    /// The same, with what was seen meanwhile.
    pub fn take_up(&mut self, incidents: &Incidents) {
        for incident in incidents.current() {
            if let Some(region) = incident.subject.as_vantage() {
                let heard = Heard::new(incident.onset.timestamp_millis(), MISSED_AFTER / 3);
                self.regions.entry(region.clone()).or_insert(heard);
            } else if incident.subject == Subject::store() {
                self.store.get_or_insert(Standing { failing: None, since: incident.onset });
            }
        }
    }

    /// Takes note of an observation of a probe with this interval.
    pub fn absorb(&mut self, interval: Duration, seen: &Sighting<'_>, now: Timestamp) {
        let due = seen.scheduled_at.timestamp_millis();
        let now = now.timestamp_millis();
        let at = if now - due > FRESH { due } else { now };
        let heard = match self.regions.get_mut(seen.region) {
            Some(heard) => heard,
            None => self.regions.entry(seen.region.into()).or_insert(Heard::new(at, interval)),
        };
        heard.last = heard.last.max(at);
        if interval < heard.interval {
            heard.keep_pace(interval);
        }
        let lateness = seen.started_at.map(|started| started.timestamp_millis() - due);
        let is_late = lateness.is_some_and(|late| late > LATE && late > millis(interval) / 2);
        let starved =
            seen.outcome == Outcome::Inconclusive && seen.failure.is_some_and(|(_, kind)| kind == Kind::Starved);
        heard.count(due.div_euclid(1_000 * heard.slot), starved || is_late);
    }

    /// A region is looked at from at another pace than was reckoned with: it is not missed before that.
    pub fn keep_pace(&mut self, region: &Arc<str>, interval: Duration) {
        if let Some(heard) = self.regions.get_mut(region) {
            heard.keep_pace(interval);
        }
    }

    /// Takes note of how the store is: why it cannot be written to, when it cannot.
    pub fn note_store(&mut self, failing: Option<&str>, now: Timestamp) {
        match (&mut self.store, failing) {
            (None, None) => {}
            (Some(store), failing) if store.failing.is_some() == failing.is_some() => {
                store.failing = failing.map(str::to_owned);
            }
            (store, failing) => *store = Some(Standing { failing: failing.map(str::to_owned), since: now }),
        }
        if self.store.as_ref().is_some_and(|store| store.failing.is_none() && store.since + WELL_FOR < now) {
            self.store = None;
        }
    }

    /// Takes note that nothing could be heard until now, of anybody.
    pub fn hears_nothing(&mut self, now: Timestamp) {
        self.deaf = Some(now.timestamp_millis());
    }

    /// Takes note of the clocks that are off now.
    pub fn note_clocks(&mut self, off: &[ClockOff], now: Timestamp) {
        let mut before = std::mem::take(&mut self.clocks);
        for ClockOff { region, node, ahead } in off {
            let place = (region.clone(), node.clone());
            let since = before.remove(&place).map_or(now, |(_, since)| since);
            self.clocks.insert(place, (*ahead, since));
        }
    }

    /// Takes note that this process judges a region alone, because no hub has taken anything of it for so long.
    pub fn judge_alone(&mut self, region: &Arc<str>, since: Timestamp) {
        self.no_hub = Some((region.clone(), since));
    }

    /// At an instant in milliseconds.
    fn is_silent(&self, heard: &Heard, at: i64) -> bool {
        at.saturating_sub(heard.last.max(self.deaf.unwrap_or(i64::MIN))) > heard.missed_after
    }

    /// Whether nothing is wrong with us, nor about to be.
    #[must_use]
    pub fn is_calm(&self, now: Timestamp) -> bool {
        let at = now.timestamp_millis();
        let well = |heard: &Heard| heard.late == 0 && !self.is_silent(heard, at);
        self.clocks.is_empty() && self.no_hub.is_none() && self.store.is_none() && self.regions.values().all(well)
    }

    /// Adds what is wrong with us to what was judged, in the place of what was judged of the same region.
    pub fn judge(&mut self, verdicts: &mut Vec<Verdict>, now: Timestamp) {
        let at = now.timestamp_millis();
        self.regions.retain(|_, heard| at - heard.last < millis(EXPECTED_FOR));
        let reporting = self.regions.values().filter(|heard| !self.is_silent(heard, at)).count();
        let mut ours = Vec::new();
        for (region, heard) in &self.regions {
            if self.is_silent(heard, at) && reporting > 0 {
                ours.push(missing(region, heard, reporting, now));
            } else if let Some((late, looks, since)) = heard.lateness(now) {
                ours.push(late_region(region, heard, (late, looks), since, now));
            }
        }
        let off: BTreeSet<&Arc<str>> = self.clocks.keys().map(|(region, _)| region).collect();
        for region in off {
            // What is dated wrongly looks late or missing: the clock explains that.
            ours.retain(|verdict: &Verdict| verdict.subject != Subject::vantage(region));
            verdicts.retain(|verdict| verdict.subject != Subject::vantage(region));
            ours.push(clock_off(region, &self.clocks, now));
        }
        ours.extend(self.no_hub.as_ref().map(|(region, since)| no_hub(region, *since, now)));
        ours.extend(self.store.as_ref().and_then(|store| of_store(store, now)));
        for verdict in ours {
            match verdicts.iter_mut().find(|other| other.subject == verdict.subject) {
                // A region that cannot see at all is told so already.
                Some(other) if other.cause == Cause::Probe && other.has_evidence() => {}
                Some(other) => *other = verdict,
                None => verdicts.push(verdict),
            }
        }
    }
}

impl Heard {
    fn new(last: i64, interval: Duration) -> Self {
        let mut heard = Self { last, interval, missed_after: 0, slot: SLOT, slots: Default::default(), late: 0 };
        heard.keep_pace(interval);
        heard
    }

    fn keep_pace(&mut self, interval: Duration) {
        self.interval = interval;
        self.missed_after = millis(MISSED_AFTER.max(interval.saturating_mul(3)));
        let slot = ((millis(interval) + 999) / 1_000).max(SLOT);
        if slot != self.slot {
            (self.slot, self.slots, self.late) = (slot, Default::default(), 0);
        }
    }

    /// Counts a look of the slot of this number.
    fn count(&mut self, number: i64, late: bool) {
        let Ok(place) = usize::try_from(number.rem_euclid(SLOTS as i64)) else { return };
        let Some(slot) = self.slots.get_mut(place) else { return };
        if slot.number < number {
            self.late -= slot.late;
            *slot = Slot { number, ..Slot::default() };
        }
        if slot.number == number {
            slot.looks += 1;
            slot.late += u32::from(late);
            self.late += u32::from(late);
        }
    }

    /// How many of how many looks were late, and since when, when that is most of them for several rounds.
    fn lateness(&self, now: Timestamp) -> Option<(u32, u32, Timestamp)> {
        let newest = now.timestamp().div_euclid(self.slot);
        let fresh = || self.slots.iter().filter(|slot| slot.number + (SLOTS as i64) > newest);
        let (looks, late) = fresh().fold((0, 0), |(looks, late), slot| (looks + slot.looks, late + slot.late));
        let slots = fresh().filter(|slot| slot.late > 0).count();
        let first = fresh().filter(|slot| slot.late > 0).map(|slot| slot.number).min()?;
        let since = Timestamp::from_timestamp(first * self.slot, 0)?;
        (slots >= LATE_SLOTS && late * 2 >= looks).then_some((late, looks, since))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn missing(region: &Arc<str>, heard: &Heard, reporting: usize, now: Timestamp) -> Verdict {
    let others = if reporting == 1 {
        "One other region still reports.".to_owned()
    } else {
        format!("{reporting} other regions still report.")
    };
    let failure = Failure::new(Phase::Exchange, Kind::NotDelivered, "");
    let last = Timestamp::from_timestamp_millis(heard.last).unwrap_or(now);
    Verdict {
        onset: Some(last),
        evidence: vec![others],
        // What it has to say may be held up on the way, whichever of its probes are looked at seldom.
        weight: Some(weight_of_silence(now - last)),
        ..bad(Subject::vantage(region), Some(region), failure, now)
    }
}

fn clock_off(region: &Arc<str>, clocks: &Clocks, now: Timestamp) -> Verdict {
    let here = || clocks.iter().filter(|((of, _), _)| of == region);
    let evidence = here().map(|((_, node), (ahead, _))| {
        let (by, way) = (ahead.abs(), if *ahead > 0.0 { "ahead of" } else { "behind" });
        format!("The clock of {node} is {by:.1} s {way} the hub's.")
    });
    let failure = Failure::new(Phase::Exchange, Kind::Internal, "");
    Verdict {
        reason: Some(Reason::Clock),
        onset: here().map(|(_, (_, since))| *since).min(),
        evidence: evidence.collect(),
        ..bad(Subject::vantage(region), Some(region), failure, now)
    }
}

fn no_hub(region: &Arc<str>, since: Timestamp, now: Timestamp) -> Verdict {
    let failure = Failure::new(Phase::Exchange, Kind::NotDelivered, "");
    let evidence = "Until one does, what is said of others is seen from one region only.".to_owned();
    Verdict {
        reason: Some(Reason::Hub),
        onset: Some(since),
        evidence: vec![evidence],
        ..bad(Subject::vantage(region), Some(region), failure, now)
    }
}

fn late_region(
    region: &Arc<str>,
    heard: &Heard,
    (late, looks): (u32, u32),
    since: Timestamp,
    now: Timestamp,
) -> Verdict {
    let failure = Failure::new(Phase::Exchange, Kind::Starved, "");
    let evidence = vec![format!("{late} of its last {looks} looks began late or were starved.")];
    let mut verdict = bad(Subject::vantage(region), Some(region), failure, now);
    verdict.onset = Some(since);
    verdict.evidence = evidence;
    verdict.round = crate::model::round_of(now, heard.interval);
    verdict
}

fn of_store(store: &Standing, now: Timestamp) -> Option<Verdict> {
    let Some(why) = &store.failing else {
        let well = Failure::new(Phase::Exchange, Kind::Internal, "");
        let verdict = bad(Subject::store(), None, well, now);
        return Some(Verdict { cause: Cause::Ok, failure: None, onset: Some(store.since), ..verdict });
    };
    if store.since + FAILING_FOR > now {
        return None;
    }
    let failure = Failure::new(Phase::Exchange, Kind::Internal, why.clone());
    Some(Verdict { onset: Some(store.since), ..bad(Subject::store(), None, failure, now) })
}

fn bad(subject: Subject, region: Option<&Arc<str>>, failure: Failure, now: Timestamp) -> Verdict {
    Verdict {
        cause: Cause::Probe,
        regions: region.into_iter().cloned().collect(),
        regions_seen: 1,
        failure: Some(failure),
        confidence: 0.95,
        // How long it has been so was counted before it was said.
        round: now.timestamp(),
        ..Verdict::ok(subject, now)
    }
}
