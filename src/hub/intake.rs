//! What agents hand to a hub: who they are, what of it is taken, and when they must wait. A batch is in the store before
//! its agent hears that it is taken, and is judged once, however often it is sent. An agent is never believed about
//! another region than its own. Must not know how it came here.

use std::{sync::Arc, time::Instant};

use aws_lc_rs::{constant_time::verify_slices_are_equal, digest};
use tokio::sync::{Semaphore, mpsc, watch};

use super::{
    Fleet, View,
    batch::{LINES, Speaker, UNPACKED, read, unpack},
    seldom::Seldom,
};
use crate::{
    config::{Agent, Plan},
    metrics::Metrics,
    model::{Handover, Heard, Observation, Subject, Timestamp},
    store::{Store, StoreError},
    uplink::{Refusal, Taken},
};

/// Batches unpacked at once, at most: each may take its size in memory.
const AT_ONCE: usize = 4;
/// Batches that are stored and wait to be judged.
const WAITING: usize = 64;
/// No region hands over more incidents.
const HANDED_OVER: usize = 200;

/// A place in the queue of what is stored and waits to be judged.
type Room = mpsc::OwnedPermit<Vec<Observation>>;

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
    #[error("the batch is too large: at most 1 MiB as it is sent, {} MiB unpacked and {LINES} lines", UNPACKED >> 20)]
    TooLarge,
    /// It cannot be unpacked.
    #[error("the batch cannot be unpacked: {0}")]
    Spoilt(String),
}

impl NotTaken {
    /// The word in metric labels and in the log.
    const fn reason(&self) -> &'static str {
        match self {
            Self::Stranger => "stranger",
            Self::Busy { .. } => "busy",
            Self::TooLarge => "too_large",
            Self::Spoilt(_) => "spoilt",
        }
    }
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
    seldom: Seldom,
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
        (Self { store, plan, view, metrics, judge, places, fleet, seldom: Seldom::default() }, arrived)
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
        known.ok_or_else(|| self.turned_away(NotTaken::Stranger))
    }

    /// Takes a batch: lines of JSON, packed or not. One without lines says that the agent lives.
    ///
    /// # Errors
    /// Why none of it is taken.
    pub async fn take(&self, agent: &Agent, contact: &Contact, body: Vec<u8>, packed: bool) -> Result<Taken, NotTaken> {
        let now = chrono::Utc::now();
        let busy = |why: &str, wait| self.turned_away(NotTaken::Busy { why: why.to_owned(), wait });
        // What is stored while the window is still being rebuilt from the store might be judged or forgotten there.
        if self.judge.is_some() && self.view.borrow().at.is_none() {
            return Err(busy("this hub has not judged anything yet", 1));
        }
        if contact.solo {
            self.note_return(agent, contact, now).await?;
        }
        if body.is_empty() {
            // Nobody should rely on a hub that could keep nothing.
            if let Some(failing) = self.fleet.failing() {
                return Err(busy(&failing, 2));
            }
            return Ok(self.answer(agent, contact, Taken::default(), now));
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
            Ok(Err(why)) => return Err(self.turned_away(why)),
            Err(error) => {
                tracing::error!("reading a batch ended badly: {error}");
                return Err(busy("this hub cannot read batches", 30));
            }
        };
        let count = seen.len() as u64;
        taken.taken = match self.keep(seen, room).await {
            Ok(new) => new,
            Err(why) => {
                self.metrics.store_append_failed();
                return Err(busy(&why, 5));
            }
        };
        taken.duplicate += count - taken.taken;
        if let Some(first) =
            taken.refused.first().filter(|_| self.seldom.says(&format!("of {}", agent.name), Instant::now()))
        {
            let (refused, Refusal { line, why }) = (taken.refused_total, first);
            tracing::warn!(agent = &*agent.name, refused, "observations are refused: line {line}: {why}");
        }
        self.metrics.hub_handed(&agent.name, taken.taken, taken.duplicate, taken.refused_total);
        Ok(self.answer(agent, contact, taken, now))
    }

    /// Stores observations and hands on those that are new; says how many are. By a task of its own: when the agent hangs up
    /// meanwhile, what is in the store must be judged all the same, since it is a duplicate when it comes again.
    async fn keep(&self, seen: Vec<Observation>, room: Option<Room>) -> Result<u64, String> {
        let store = self.store.clone();
        let kept = tokio::spawn(async move {
            let new = store.append_new(seen).await?;
            let count = new.len() as u64;
            if let Some(room) = room.filter(|_| count > 0) {
                room.send(new);
            }
            Ok(count)
        });
        let kept: Result<u64, StoreError> =
            kept.await.map_err(|error| format!("storing a batch ended badly: {error}"))?;
        kept.map_err(|error| error.to_string())
    }

    /// Takes the incidents of a region that judged by itself, for whoever judges.
    ///
    /// # Errors
    /// Why they are not taken.
    pub async fn take_over(&self, agent: &Agent, handover: &Handover) -> Result<(), NotTaken> {
        let its_own = |subject: &Subject| subject.as_vantage().is_none_or(|region| *region == agent.region);
        if handover.incidents.len() > HANDED_OVER || handover.told.len() > HANDED_OVER * 10 {
            return Err(self.turned_away(NotTaken::TooLarge));
        }
        if !handover.incidents.iter().all(|incident| its_own(&incident.subject) && incident.id.len() <= 200) {
            let why = format!("this agent may speak for the region `{}` alone", agent.region);
            return Err(self.turned_away(NotTaken::Spoilt(why)));
        }
        let kept = self.store.hand_over(&agent.region, handover, chrono::Utc::now()).await;
        kept.map_err(|error| self.turned_away(NotTaken::Busy { why: error.to_string(), wait: 2 }))
    }

    /// Hears the agent, and tells it what it should know.
    fn answer(&self, agent: &Agent, contact: &Contact, taken: Taken, now: Timestamp) -> Taken {
        let Some(heard) = heard(agent, contact, now) else { return taken };
        self.fleet.hear(heard);
        let open = self.view.borrow().told();
        let region = Some(self.fleet.region(&agent.region, open, contact.version.as_deref(), now));
        Taken { received_at: Some(now), answered_at: Some(chrono::Utc::now()), region, ..taken }
    }

    /// Whoever judges must know that a region comes back that has judged by itself, before anything comes there that was
    /// seen in it.
    async fn note_return(&self, agent: &Agent, contact: &Contact, now: Timestamp) -> Result<(), NotTaken> {
        let Some(heard) = heard(agent, contact, now) else { return Ok(()) };
        let noted = self.fleet.note_return(heard).await;
        noted.map_err(|error| self.turned_away(NotTaken::Busy { why: error.to_string(), wait: 2 }))
    }

    /// Counts a batch that never got as far as its agent's name, and says so now and then.
    pub fn turned_away(&self, why: NotTaken) -> NotTaken {
        let reason = why.reason();
        self.metrics.hub_turned_away(reason);
        if self.seldom.says(reason, Instant::now()) {
            tracing::warn!(reason, "a batch is turned away: {why} (others are counted, and not said for ten minutes)");
        }
        why
    }
}

/// What is heard of an agent by its asking, where it says which node it is.
fn heard(agent: &Agent, contact: &Contact, now: Timestamp) -> Option<Heard> {
    Some(Heard {
        agent: Arc::clone(&agent.name),
        region: Arc::clone(&agent.region),
        node: Arc::clone(contact.node.as_ref()?),
        at: now,
        build: Arc::clone(&contact.build),
        config: Arc::clone(&contact.config),
        clock_offset: clock_offset(contact, now),
        round_trip: contact.clock.map(|(_, round_trip)| round_trip),
        solo_at: contact.solo.then_some(now),
    })
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

#[cfg(test)]
#[path = "intake_tests.rs"]
mod tests;
