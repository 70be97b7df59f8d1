//! What agents hand to a hub: who they are, what of it is taken, and when they must wait. A batch is in the store before
//! its agent hears that it is taken, and is judged once, however often it is sent. An agent is never believed about
//! another region than its own. Must not know how it came here.

use std::{
    collections::HashSet,
    io::{self, Read as _},
    sync::Arc,
    time::Duration,
};

use aws_lc_rs::{constant_time::verify_slices_are_equal, digest};
use flate2::read::MultiGzDecoder;
use tokio::sync::{Semaphore, mpsc, watch};
use uuid::Uuid;

use super::{Fleet, View};
use crate::{
    config::{Agent, Plan},
    metrics::Metrics,
    model::{Handover, Heard, IncidentState, Observation, Subject, Timestamp, Vantage, first_try, observation_id},
    store::Store,
    uplink::{Refusal, Taken},
};

/// No batch is larger once it is unpacked.
const UNPACKED: usize = 8 << 20;
/// No honest line is longer.
const LINE: usize = 64 << 10;
/// No batch has more lines.
const LINES: usize = 20_000;
/// Lines that are refused one by one in an answer; the rest is only counted.
const TOLD: usize = 100;
/// Batches unpacked at once, at most: each may take its size in memory.
const AT_ONCE: usize = 4;
/// Batches that are stored and wait to be judged.
const WAITING: usize = 64;
/// What is due later than this was made by a clock that is wrong.
const AHEAD: chrono::TimeDelta = chrono::TimeDelta::minutes(10);
/// An id is looked for among so many tries of its round …
const TRIES: u32 = 16;
/// … and turns of a check …
const TURNS: u32 = 12;
/// … and among the confirmations of so many runs.
const RUNS: u32 = 8;
/// No region hands over more incidents.
const HANDED_OVER: usize = 200;

/// Why a batch is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// Nobody knows the token.
    #[error("no agent has this token")]
    Stranger,
    /// Not now: the agent may come again after so many seconds.
    #[error("{why}")]
    Busy {
        /// Why not.
        why: String,
        /// Seconds.
        wait: u64,
    },
    /// More than any agent sends.
    #[error("the batch is too large: at most {} MiB and {LINES} lines", UNPACKED >> 20)]
    TooLarge,
    /// It cannot be unpacked.
    #[error("the batch cannot be unpacked: {0}")]
    Spoilt(String),
}

/// What an agent says of itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Contact {
    /// Its node; nothing from one that does not say.
    pub node: Option<Arc<str>>,
    /// The version of its program.
    pub build: Arc<str>,
    /// The hash of its configuration.
    pub config: Arc<str>,
    /// When it sent the batch, by its own clock.
    pub sent_at: Option<Timestamp>,
    /// How far its clock is ahead of ours, and the round trip in which it learned that, in seconds.
    pub clock: Option<(f64, f64)>,
    /// Which word of its region it knows.
    pub version: Option<String>,
    /// Its region has judged by itself.
    pub solo: bool,
}

/// Where agents hand in what they saw; clones share it.
#[derive(Clone)]
pub struct Intake {
    store: Store,
    plan: watch::Receiver<Arc<Plan>>,
    view: watch::Receiver<View>,
    metrics: Arc<Metrics>,
    /// Where it is judged; nothing over a store of several hubs, whose leader reads it from there.
    judge: Option<mpsc::Sender<Vec<Observation>>>,
    places: Arc<Semaphore>,
    fleet: Fleet,
}

impl Intake {
    /// An intake, and where the hub finds what it has stored.
    #[must_use]
    pub fn new(
        store: Store,
        plan: watch::Receiver<Arc<Plan>>,
        view: watch::Receiver<View>,
        metrics: Arc<Metrics>,
        fleet: Fleet,
    ) -> (Self, mpsc::Receiver<Vec<Observation>>) {
        let (judge, arrived) = mpsc::channel(WAITING);
        let judge = (!store.is_shared()).then_some(judge);
        let places = Arc::new(Semaphore::new(AT_ONCE));
        (Self { store, plan, view, metrics, judge, places, fleet }, arrived)
    }

    /// The agent that has a token.
    ///
    /// # Errors
    /// When there is none.
    pub fn agent(&self, token: &str) -> Result<Agent, NotTaken> {
        let hash = digest::digest(&digest::SHA256, token.as_bytes());
        let plan = self.plan.borrow();
        let has_it =
            |agent: &&Agent| agent.tokens.iter().any(|one| verify_slices_are_equal(one, hash.as_ref()).is_ok());
        let known = plan.agents.iter().find(has_it).cloned();
        known.ok_or_else(|| self.turned_away("stranger", NotTaken::Stranger))
    }

    /// Takes a batch: lines of JSON, packed or not. One without lines says that the agent lives.
    ///
    /// # Errors
    /// Why none of it is taken.
    pub async fn take(&self, agent: &Agent, contact: &Contact, body: Vec<u8>, packed: bool) -> Result<Taken, NotTaken> {
        let now = chrono::Utc::now();
        let busy = |why: &str, wait| self.turned_away("busy", NotTaken::Busy { why: why.to_owned(), wait });
        // What is stored while the window is still being rebuilt from the store might be judged or forgotten there.
        if self.judge.is_some() && self.view.borrow().at.is_none() {
            return Err(busy("this hub has not judged anything yet", 1));
        }
        if body.is_empty() {
            // Nobody should rely on a hub that could keep nothing.
            if let Some(failing) = self.fleet.failing() {
                return Err(busy(&failing, 2));
            }
            return self.answer(agent, contact, Taken::default(), now).await;
        }
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return Err(busy("this hub takes other batches at the moment", 1));
        };
        // Room where it is judged comes before the store: what is in the store is not sent again.
        let room = match self.judge.clone().map(mpsc::Sender::try_reserve_owned) {
            Some(Ok(room)) => Some(room),
            None => None,
            Some(Err(_)) => return Err(busy("this hub has more to judge than it can", 2)),
        };
        let region = Arc::clone(&agent.region);
        let plan = self.plan.borrow().clone();
        let intervals = move |probe: &str| plan.probes.iter().find(|one| *one.name == *probe).map(|one| one.interval);
        let read = tokio::task::spawn_blocking(move || {
            let read = unpack(&body, packed)
                .and_then(|lines| read(&lines, &Speaker { region: &region, intervals: &intervals }, now));
            drop(place);
            read
        });
        let (seen, mut taken) = match read.await {
            Ok(Ok(read)) => read,
            Ok(Err(why)) => return Err(self.turned_away("spoilt", why)),
            Err(error) => {
                tracing::error!("reading a batch ended badly: {error}");
                return Err(busy("this hub cannot read batches", 30));
            }
        };
        let count = seen.len() as u64;
        let new = match self.store.append_new(seen).await {
            Ok(new) => new,
            Err(error) => {
                self.metrics.store_append_failed();
                return Err(busy(&error.to_string(), 5));
            }
        };
        taken.taken = new.len() as u64;
        taken.duplicate += count - taken.taken;
        if let Some(room) = room.filter(|_| !new.is_empty()) {
            room.send(new);
        }
        self.metrics.hub_handed(&agent.name, taken.taken, taken.duplicate, taken.refused_total);
        self.answer(agent, contact, taken, now).await
    }

    /// Takes the incidents of a region that judged by itself, for whoever judges.
    ///
    /// # Errors
    /// Why they are not taken.
    pub async fn take_over(&self, agent: &Agent, handover: &Handover) -> Result<(), NotTaken> {
        let its_own = |subject: &Subject| subject.as_vantage().is_none_or(|region| *region == agent.region);
        if handover.incidents.len() > HANDED_OVER || handover.told.len() > HANDED_OVER * 10 {
            return Err(self.turned_away("too_large", NotTaken::TooLarge));
        }
        if !handover.incidents.iter().all(|incident| its_own(&incident.subject) && incident.id.len() <= 200) {
            let why = format!("this agent may speak for the region `{}` alone", agent.region);
            return Err(self.turned_away("spoilt", NotTaken::Spoilt(why)));
        }
        let kept = self.store.hand_over(&agent.region, handover, chrono::Utc::now()).await;
        kept.map_err(|error| self.turned_away("busy", NotTaken::Busy { why: error.to_string(), wait: 2 }))
    }

    /// Hears the agent, and tells it what it should know.
    async fn answer(&self, agent: &Agent, contact: &Contact, taken: Taken, now: Timestamp) -> Result<Taken, NotTaken> {
        let Some(node) = &contact.node else { return Ok(taken) };
        let heard = Heard {
            agent: Arc::clone(&agent.name),
            region: Arc::clone(&agent.region),
            node: Arc::clone(node),
            at: now,
            build: Arc::clone(&contact.build),
            config: Arc::clone(&contact.config),
            clock_offset: clock_offset(contact, now),
            round_trip: contact.clock.map(|(_, round_trip)| round_trip),
            solo_at: contact.solo.then_some(now),
        };
        if contact.solo {
            // Whoever judges must know of it before anything of the agent's comes there.
            let noted = self.fleet.note_return(&heard).await;
            noted.map_err(|error| self.turned_away("busy", NotTaken::Busy { why: error.to_string(), wait: 2 }))?;
        }
        self.fleet.hear(heard);
        let open: Vec<Subject> = {
            let view = self.view.borrow();
            let told = view.incidents.iter().filter(|incident| incident.state != IncidentState::Suspected);
            told.map(|incident| incident.subject.clone()).collect()
        };
        let region = Some(self.fleet.region(&agent.region, open, contact.version.as_deref(), now));
        Ok(Taken { received_at: Some(now), answered_at: Some(chrono::Utc::now()), region, ..taken })
    }

    /// Counts a batch that never got as far as its agent's name.
    pub fn turned_away(&self, reason: &'static str, why: NotTaken) -> NotTaken {
        self.metrics.hub_turned_away(reason);
        why
    }
}

/// How far the agent's clock is ahead, as it says itself, as far as that can be: what was sent before it came cannot have been sent
/// later, nor longer ago than the way takes.
fn clock_offset(contact: &Contact, now: Timestamp) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "an estimate; a clock that is years off may be off by more")]
    let least = (contact.sent_at? - now).num_microseconds()? as f64 / 1e6;
    match contact.clock {
        Some((ahead, round_trip)) if ahead.is_finite() && (0.0..60.0).contains(&round_trip) => {
            // It was learned some batches ago, and this one may have taken much longer.
            let most = least + round_trip.max(1.0);
            Some(if ahead < least || (ahead > most && least.abs() > 60.0) { least } else { ahead })
        }
        _ => Some(least),
    }
}

/// Who speaks.
struct Speaker<'a> {
    region: &'a str,
    /// The intervals of probes, as far as they are known here.
    intervals: &'a dyn Fn(&str) -> Option<Duration>,
}

fn unpack(body: &[u8], packed: bool) -> Result<Vec<u8>, NotTaken> {
    if !packed {
        return if body.len() > UNPACKED { Err(NotTaken::TooLarge) } else { Ok(body.to_vec()) };
    }
    let mut lines = Vec::new();
    let unpacked = MultiGzDecoder::new(body).take(UNPACKED as u64 + 1).read_to_end(&mut lines);
    unpacked.map_err(|error: io::Error| NotTaken::Spoilt(error.to_string()))?;
    if lines.len() > UNPACKED { Err(NotTaken::TooLarge) } else { Ok(lines) }
}

/// The observations of a batch, each once, and what is to be said of its other lines.
fn read(lines: &[u8], speaker: &Speaker<'_>, now: Timestamp) -> Result<(Vec<Observation>, Taken), NotTaken> {
    let (mut seen, mut taken, mut ids) = (Vec::new(), Taken::default(), HashSet::new());
    for (index, line) in lines.split(|byte| *byte == b'\n').enumerate() {
        if line.is_empty() {
            continue;
        }
        if index >= LINES {
            return Err(NotTaken::TooLarge);
        }
        match observation(line, speaker, now) {
            Ok(one) if ids.insert(one.id) => seen.push(one),
            Ok(_) => taken.duplicate += 1,
            Err(why) => {
                taken.refused_total += 1;
                if taken.refused.len() < TOLD {
                    taken.refused.push(Refusal { line: index + 1, why });
                }
            }
        }
    }
    Ok((seen, taken))
}

fn observation(line: &[u8], speaker: &Speaker<'_>, now: Timestamp) -> Result<Observation, String> {
    let region = speaker.region;
    if line.len() > LINE {
        return Err(format!("it is longer than {} KiB", LINE >> 10));
    }
    let mut seen: Observation =
        serde_json::from_slice(line).map_err(|error| format!("it is no observation: {error}"))?;
    if *seen.region != *region {
        return Err(format!("this agent may speak for the region `{region}` alone"));
    }
    let names = [&seen.probe, &seen.party, &seen.node].into_iter().chain(&seen.product);
    if names.into_iter().any(|name| name.len() > 64) {
        return Err("a name in it is longer than 64 characters".to_owned());
    }
    if seen.scheduled_at > now + AHEAD {
        return Err("it was due in the future: the agent's clock is wrong".to_owned());
    }
    let vantage = Vantage { region: seen.region.clone(), node: seen.node.clone() };
    if seen.id.is_nil() {
        seen.id = observation_id(&seen.probe, &vantage, seen.scheduled_at.timestamp_micros(), 0);
    } else if !is_its_own(&seen, &vantage, speaker) {
        // It might be that of another region's, which would then be taken for sent twice.
        seen.id = Uuid::new_v5(&seen.id, region.as_bytes());
    }
    seen.received_at = Some(now);
    Ok(seen)
}

/// Whether an id is that of a round of this vantage point.
fn is_its_own(seen: &Observation, vantage: &Vantage, speaker: &Speaker<'_>) -> bool {
    let own = |attempt: u32| observation_id(&seen.probe, vantage, seen.round, attempt) == seen.id;
    let first = || {
        let interval = (speaker.intervals)(&seen.probe).and_then(|one| i64::try_from(one.as_micros()).ok());
        interval.map(|interval| first_try(seen.scheduled_at.timestamp_micros(), seen.round, interval))
    };
    let first_of = |of: &dyn Fn(u32) -> bool| first().is_some_and(of);
    match seen.varied {
        None => {
            let of_turns = |first: u32| (1..=TURNS).any(|turns| (0..turns).any(|turn| own(first * turns + turn)));
            (0..TRIES).any(own) || first_of(&of_turns) || (TRIES..TRIES * 10).any(own)
        }
        Some(varied) => {
            let of_run = |run: u32| own(((run + 1) << 16).wrapping_add(varied as u32));
            (0..RUNS).any(of_run) || first_of(&of_run)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-22T10:32:00Z".parse().unwrap()
    }

    const EU: Speaker<'static> = Speaker { region: "eu", intervals: &|_| Some(Duration::from_secs(10)) };

    #[test]
    fn an_id_is_its_own_or_made_its_own() {
        let of = |region: &str, round: i64, attempt: u32, due: &str, varied: &str| {
            let vantage = Vantage { region: region.into(), node: "n1".into() };
            let id = observation_id("a", &vantage, round, attempt);
            let line = format!(
                r#"{{"id":"{id}","probe":"a","party":"p","region":"eu","node":"n1","round":{round},"outcome":"up","scheduled_at":"{due}"{varied}}}"#
            );
            let seen = observation(line.as_bytes(), &EU, now()).unwrap();
            (id, seen.id)
        };
        let due = "2026-11-22T10:31:03.210Z";
        let at = due.parse::<Timestamp>().unwrap().timestamp_micros() + 999;
        let round = at / 10_000_000;
        let first = first_try(at, round, 10_000_000);
        for (attempt, varied) in [
            (0, ""),
            (31, ""),
            (first, ""),
            (first * 3 + 2, ""),
            (1 << 16, r#","varied":"again""#),
            (((first + 1) << 16) + 1, r#","varied":"address""#),
        ] {
            let (sent, taken) = of("eu", round, attempt, due, varied);
            assert_eq!(sent, taken, "{attempt} {varied}");
        }
        let (sent, taken) = of("us", round, 0, due, "");
        assert_ne!(sent, taken, "no agent can take the place of another region's observation");
        assert_eq!(taken, of("us", round, 0, due, "").1, "sent twice it is the same");
    }

    fn line(probe: &str, region: &str, due: &str) -> String {
        format!(
            r#"{{"probe":"{probe}","party":"p","region":"{region}","outcome":"up","scheduled_at":"{due}","new":1}}"#
        )
    }

    #[test]
    fn what_is_wrong_with_one_line_is_said_of_that_line_alone() {
        let good = line("a", "eu", "2026-11-22T10:31:00Z");
        let batch = [
            good.clone(),
            "{not json".to_owned(),
            line("a", "us", "2026-11-22T10:31:00Z"),
            line("a", "eu", "2026-11-22T11:00:00Z"),
            line(&"long".repeat(20), "eu", "2026-11-22T10:31:00Z"),
            good,
            format!("{{\"x\":\"{}\"}}", "y".repeat(LINE)),
        ];
        let (seen, taken) = read(batch.join("\n").as_bytes(), &EU, now()).unwrap();
        assert_eq!((seen.len(), taken.duplicate, taken.refused_total), (1, 1, 5));
        assert_eq!(seen[0].received_at, Some(now()));
        assert!(!seen[0].id.is_nil());
        let lines: Vec<usize> = taken.refused.iter().map(|refusal| refusal.line).collect();
        assert_eq!(lines, [2, 3, 4, 5, 7]);
        assert_eq!(taken.refused[1].why, "this agent may speak for the region `eu` alone");
    }

    #[test]
    fn nothing_is_unpacked_beyond_its_bound() {
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        packer.write_all(&vec![b'\n'; UNPACKED + 1]).unwrap();
        let bomb = packer.finish().unwrap();
        assert!(bomb.len() < 64 << 10);
        assert_eq!(unpack(&bomb, true), Err(NotTaken::TooLarge));
        assert!(matches!(unpack(b"no gzip", true), Err(NotTaken::Spoilt(_))));
        assert!(unpack(&bomb[..bomb.len() / 2], true).is_err());
        assert_eq!(read(&b"{}\n".repeat(LINES + 1), &EU, now()).unwrap_err(), NotTaken::TooLarge);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000), packed: bool) {
            if let Ok(lines) = unpack(&bytes, packed) {
                let _ = read(&lines, &EU, now());
            }
        }
    }
}
