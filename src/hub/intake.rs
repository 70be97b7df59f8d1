//! What agents hand to a hub: who they are, what of it is taken, and when they must wait. A batch is in the store before
//! its agent hears that it is taken, and is judged once, however often it is sent. An agent is never believed about
//! another region than its own. Must not know how it came here.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    io::{self, Read as _},
    sync::{Arc, Mutex, PoisonError},
};

use aws_lc_rs::{constant_time::verify_slices_are_equal, digest};
use flate2::read::MultiGzDecoder;
use tokio::sync::{Semaphore, mpsc, watch};

use super::View;
use crate::{
    config::{Agent, Plan},
    metrics::Metrics,
    model::{Observation, Timestamp, Vantage, observation_id},
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
/// Batches whose clocks are remembered.
const CLOCKS: usize = 16;

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

/// Where agents hand in what they saw; clones share it.
#[derive(Clone)]
pub struct Intake {
    store: Store,
    plan: watch::Receiver<Arc<Plan>>,
    view: watch::Receiver<View>,
    metrics: Arc<Metrics>,
    judge: mpsc::Sender<Vec<Observation>>,
    places: Arc<Semaphore>,
    /// How far the clocks of agents seemed to be ahead, newest last.
    clocks: Arc<Mutex<BTreeMap<Arc<str>, VecDeque<f64>>>>,
}

impl Intake {
    /// An intake, and where the hub finds what it has stored.
    #[must_use]
    pub fn new(
        store: Store,
        plan: watch::Receiver<Arc<Plan>>,
        view: watch::Receiver<View>,
        metrics: Arc<Metrics>,
    ) -> (Self, mpsc::Receiver<Vec<Observation>>) {
        let (judge, arrived) = mpsc::channel(WAITING);
        let places = Arc::new(Semaphore::new(AT_ONCE));
        (Self { store, plan, view, metrics, judge, places, clocks: Arc::default() }, arrived)
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

    /// Takes a batch: lines of JSON, packed or not, which the agent sent when its own clock said so.
    ///
    /// # Errors
    /// Why none of it is taken.
    pub async fn take(
        &self,
        agent: &Agent,
        body: Vec<u8>,
        packed: bool,
        sent_at: Option<Timestamp>,
    ) -> Result<Taken, NotTaken> {
        let now = chrono::Utc::now();
        self.note_clock(agent, sent_at, now);
        let busy = |why: &str, wait| self.turned_away("busy", NotTaken::Busy { why: why.to_owned(), wait });
        // What is stored while the window is still being rebuilt from the store might be judged or forgotten there.
        if self.view.borrow().at.is_none() {
            return Err(busy("this hub has not judged anything yet", 1));
        }
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return Err(busy("this hub takes other batches at the moment", 1));
        };
        // Room where it is judged comes before the store: what is in the store is not sent again.
        let Ok(room) = self.judge.clone().try_reserve_owned() else {
            return Err(busy("this hub has more to judge than it can", 2));
        };
        let region = Arc::clone(&agent.region);
        let read = tokio::task::spawn_blocking(move || {
            let read = unpack(&body, packed).and_then(|lines| read(&lines, &region, now));
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
        if !new.is_empty() {
            room.send(new);
        }
        self.metrics.hub_handed(&agent.name, taken.taken, taken.duplicate, taken.refused_total);
        Ok(taken)
    }

    /// Counts a batch that never got as far as its agent's name.
    pub fn turned_away(&self, reason: &'static str, why: NotTaken) -> NotTaken {
        self.metrics.hub_turned_away(reason);
        why
    }

    fn note_clock(&self, agent: &Agent, sent_at: Option<Timestamp>, now: Timestamp) {
        let Some(ahead) = sent_at.and_then(|sent| (sent - now).num_microseconds()) else { return };
        let mut clocks = self.clocks.lock().unwrap_or_else(PoisonError::into_inner);
        let known = clocks.entry(Arc::clone(&agent.name)).or_default();
        if known.len() == CLOCKS {
            known.pop_front();
        }
        #[expect(clippy::cast_precision_loss, reason = "an estimate; a clock that is years off may be off by more")]
        known.push_back(ahead as f64 / 1e6);
        // The way makes a batch look older than it is: the one that came fastest tells most.
        let offset = known.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        self.metrics.hub_clock_offset(&agent.name, offset);
    }
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
fn read(lines: &[u8], region: &str, now: Timestamp) -> Result<(Vec<Observation>, Taken), NotTaken> {
    let (mut seen, mut taken, mut ids) = (Vec::new(), Taken::default(), HashSet::new());
    for (index, line) in lines.split(|byte| *byte == b'\n').enumerate() {
        if line.is_empty() {
            continue;
        }
        if index >= LINES {
            return Err(NotTaken::TooLarge);
        }
        match observation(line, region, now) {
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

fn observation(line: &[u8], region: &str, now: Timestamp) -> Result<Observation, String> {
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
    if seen.id.is_nil() {
        let vantage = Vantage { region: seen.region.clone(), node: seen.node.clone() };
        seen.id = observation_id(&seen.probe, &vantage, seen.scheduled_at.timestamp_micros(), 0);
    }
    seen.received_at = Some(now);
    Ok(seen)
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
        let (seen, taken) = read(batch.join("\n").as_bytes(), "eu", now()).unwrap();
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
        assert_eq!(read(&b"{}\n".repeat(LINES + 1), "eu", now()).unwrap_err(), NotTaken::TooLarge);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000), packed: bool) {
            if let Ok(lines) = unpack(&bytes, packed) {
                let _ = read(&lines, "eu", now());
            }
        }
    }
}
