//! The agents as hubs have heard of them: who lives in which region, whose clock is off, who runs another release, and which regions
//! come back after they had judged by themselves. Hubs that share a store share what they have heard. Must not know how an agent
//! comes here.

use std::{
    collections::{BTreeMap, BTreeSet, hash_map::DefaultHasher},
    hash::{Hash as _, Hasher as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::living::{Known, Place, Unsettled, key};
use crate::{
    config::Plan,
    metrics::Metrics,
    model::{Heard, Subject, Timestamp},
    placement,
    store::{Store, StoreError},
    uplink::Region,
};

/// A node lives for one interval of the quickest probe after it was heard, but not less than this …
const SHORTEST_LIFE: Duration = Duration::from_secs(2);
/// … and not more than this.
const LONGEST_LIFE: Duration = Duration::from_secs(20);
/// How often a node is heard while it lives.
const PULSES: u32 = 4;
/// Who was alive before a hub was started, or before hubs lost their store, is given so long to be heard again.
const SETTLE: Duration = Duration::from_secs(45);
/// How long a hub may take to tell the others what it has heard.
const SYNC_AT_LEAST: Duration = Duration::from_secs(1);
/// What a store gets to answer.
const STORE: Duration = Duration::from_secs(5);
/// Agents that were not heard for so long are forgotten.
const FORGOTTEN: chrono::TimeDelta = chrono::TimeDelta::days(1);
/// How often they are looked for.
const FORGET_EVERY: chrono::TimeDelta = chrono::TimeDelta::hours(1);
/// A clock that is less off than this is nobody's concern.
const CLOCK_OFF: f64 = 5.0;
/// While a region comes back that had judged by itself nothing is opened for so long, unless it has handed over what it had.
const HOLD: chrono::TimeDelta = chrono::TimeDelta::seconds(20);

/// Who lives; clones share it.
#[derive(Clone)]
pub struct Fleet {
    store: Store,
    plan: watch::Receiver<Arc<Plan>>,
    metrics: Arc<Metrics>,
    known: Arc<Mutex<Known>>,
}

/// An agent as pages show it.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct AgentView {
    /// What is known of it.
    #[serde(flatten)]
    pub heard: Heard,
    /// Whether it lives.
    pub lives: bool,
    /// The probes that run there.
    pub runs: Vec<Arc<str>>,
}

/// A clock that is off.
#[derive(Debug, Clone, PartialEq)]
pub struct ClockOff {
    /// The region.
    pub region: Arc<str>,
    /// The node.
    pub node: Arc<str>,
    /// How far it is ahead, in seconds.
    pub ahead: f64,
}

impl Fleet {
    /// Nobody heard yet.
    #[must_use]
    pub fn new(store: Store, plan: watch::Receiver<Arc<Plan>>, metrics: Arc<Metrics>) -> Self {
        Self { store, plan, metrics, known: Arc::default() }
    }

    /// Shares what is heard with the other hubs until `stop` turns true.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut began = false;
        loop {
            let now = chrono::Utc::now();
            let synced = timeout(STORE, self.sync(now, began)).await;
            let failing = match synced {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("cannot write to the store: it does not answer".to_owned()),
            };
            began |= failing.is_none();
            self.note_store(failing, now);
            self.show(now);
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = sleep(SYNC_AT_LEAST.min(self.life() / PULSES)) => {}
            }
        }
    }

    async fn sync(&self, now: Timestamp, began: bool) -> Result<(), StoreError> {
        let mine: Vec<Heard> = {
            let mut known = self.known();
            let untold = std::mem::take(&mut known.untold);
            untold.iter().filter_map(|key| known.agents.get(key).cloned()).collect()
        };
        let told = if mine.is_empty() { Ok(()) } else { self.store.heard(&mine).await };
        if let Err(error) = told {
            self.known().untold.extend(mine.iter().map(key));
            return Err(error);
        }
        let is_due = |known: &Known| known.pruned_at.is_none_or(|at| at + FORGET_EVERY <= now || at > now);
        if is_due(&self.known()) {
            self.store.forget_agents(now - FORGOTTEN).await?;
            self.known().forget(now - FORGOTTEN, now);
        }
        let theirs = self.store.agents(now - FORGOTTEN).await?;
        let handed_over = self.store.handovers(now - HOLD * 3).await?;
        let mut known = self.known();
        if !began && let Some(newest) = theirs.iter().map(|heard| heard.at).max() {
            known.unsettled = Some(Unsettled { known_until: newest.min(now), since: now, until: now + SETTLE });
        }
        for heard in theirs {
            known.learn(heard);
        }
        // Until its incidents are those of whoever judges, a handover may still be told of twice.
        known.handed_over = handed_over.into_iter().filter(|one| one.taken).map(|one| (one.region, one.at)).collect();
        Ok(())
    }

    fn note_store(&self, failing: Option<String>, now: Timestamp) {
        let mut known = self.known();
        if failing.is_some() || known.failing.is_some() {
            let unsettled = known.unsettled.get_or_insert(Unsettled { known_until: now, since: now, until: now });
            unsettled.until = now + SETTLE;
            if failing.is_some() {
                unsettled.since = now;
            }
        }
        if known.unsettled.is_some_and(|unsettled| unsettled.until < now) {
            known.unsettled = None;
        }
        known.failing = failing;
    }

    /// Why the hubs cannot tell each other whom they hear, when they cannot.
    #[must_use]
    pub fn failing(&self) -> Option<String> {
        self.known().failing.clone()
    }

    /// Hears an agent. Of a region with more nodes than any has, only those that are known; what was not heard for an hour gives
    /// way, and not what merely died: whoever makes up names would be given as many as they like.
    pub fn hear(&self, heard: Heard) {
        let mut known = self.known();
        let place = key(&heard);
        if !known.agents.contains_key(&place) && !known.makes_room(&heard, heard.at - FORGET_EVERY) {
            return;
        }
        known.learn(heard);
        known.untold.insert(place);
    }

    /// Notes an agent that comes back after its region had judged by itself, and returns when every hub knows.
    ///
    /// # Errors
    /// When the store cannot take it.
    pub async fn note_return(&self, heard: Heard) -> Result<(), StoreError> {
        self.store.heard(std::slice::from_ref(&heard)).await?;
        let is_known = {
            let known = self.known();
            let mut of_region = known.agents.values().filter(|one| one.region == heard.region);
            of_region.any(|one| one.solo_at.is_some_and(|back| back + HOLD > heard.at))
        };
        if !is_known && self.store.is_shared() {
            sleep(SYNC_AT_LEAST * 3 / 2).await;
        }
        self.hear(heard);
        Ok(())
    }

    /// What the agents of a region should know; in short when they know it already.
    #[must_use]
    pub fn region(&self, region: &str, open: Vec<Subject>, version: Option<&str>, now: Timestamp) -> Region {
        let life = self.life();
        let nodes = self.known().nodes(region, life, now);
        let mut hasher = DefaultHasher::new();
        (&nodes, &open).hash(&mut hasher);
        let said = format!("{:016x}", hasher.finish());
        let is_news = version != Some(&*said);
        let pulse_ms = u64::try_from((life / PULSES).as_millis()).unwrap_or(1000);
        Region { version: said, pulse_ms, nodes: is_news.then_some(nodes), open: is_news.then_some(open) }
    }

    /// Every agent, and what runs there.
    #[must_use]
    pub fn agents(&self, now: Timestamp) -> Vec<AgentView> {
        let (plan, life) = (self.plan.borrow().clone(), self.life());
        let known = self.known();
        let regions: BTreeSet<&Arc<str>> = known.agents.keys().map(|(region, _)| region).collect();
        let mut runs: BTreeMap<Place, Vec<Arc<str>>> = BTreeMap::new();
        for region in regions {
            let nodes = known.nodes(region, life, now);
            for probe in &plan.probes {
                for node in placement::chosen(&probe.name, &nodes, probe.vantages) {
                    runs.entry((Arc::clone(region), Arc::clone(node))).or_default().push(Arc::clone(&probe.name));
                }
            }
        }
        let view = |(place, heard): (&Place, &Heard)| AgentView {
            heard: heard.clone(),
            lives: known.lives(heard, life, now),
            runs: runs.remove(place).unwrap_or_default(),
        };
        known.agents.iter().map(view).collect()
    }

    /// The clocks that are off, of agents that live.
    #[must_use]
    pub fn clocks_off(&self, now: Timestamp) -> Vec<ClockOff> {
        let life = self.life();
        let known = self.known();
        let off = |heard: &&Heard| {
            let room = CLOCK_OFF + heard.round_trip.unwrap_or_default() / 2.0;
            known.lives(heard, life, now) && heard.clock_offset.is_some_and(|offset| offset.abs() > room)
        };
        let told = |heard: &Heard| ClockOff {
            region: Arc::clone(&heard.region),
            node: Arc::clone(&heard.node),
            ahead: heard.clock_offset.unwrap_or_default(),
        };
        known.agents.values().filter(off).map(told).collect()
    }

    /// Whether nothing should be opened yet, because a region comes back that may have told of it.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        let known = self.known();
        let awaited = |heard: &Heard| {
            let Some(back) = heard.solo_at else { return false };
            let handed_over = known.handed_over.get(&heard.region).is_some_and(|at| *at >= back - HOLD);
            back + HOLD > now && !handed_over
        };
        known.agents.values().any(awaited)
    }

    /// How long a node lives after it was heard.
    fn life(&self) -> Duration {
        let plan = self.plan.borrow();
        let quickest = plan.probes.iter().map(|probe| probe.interval).min().unwrap_or(LONGEST_LIFE);
        quickest.clamp(SHORTEST_LIFE, LONGEST_LIFE)
    }

    fn show(&self, now: Timestamp) {
        let life = self.life();
        let known = self.known();
        let mut living: BTreeMap<Arc<str>, u64> = BTreeMap::new();
        let mut clocks = BTreeMap::new();
        for heard in known.agents.values() {
            let lives = known.lives(heard, life, now);
            *living.entry(Arc::clone(&heard.region)).or_default() += u64::from(lives);
            if let Some(offset) = heard.clock_offset.filter(|_| lives) {
                clocks.insert((Arc::clone(&heard.agent), Arc::clone(&heard.node)), offset);
            }
        }
        self.metrics.hub_agents(living, clocks);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "fleet_tests.rs"]
mod tests;
