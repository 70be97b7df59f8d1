//! The hub: takes observations, keeps them, judges every second, and sees to it that people are told. Owns the state
//! between two judgements; must not know how anything was measured or shown.
//!
//! Three tasks that never wait for each other: this one takes and judges in memory; the keeper writes to the store as
//! soon as the store can; the outbox sends. A store that fails therefore stops neither judging nor probing.

mod adopt;
mod course;
mod feeds;
mod fleet;
mod intake;
mod keeper;
mod noticing;
mod ourselves;
mod rounds;
mod said;
mod view;
mod world;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval, sleep, timeout},
};

pub use course::{Alone, Course, Turn};
pub use fleet::{AgentView, ClockOff, Fleet, releases};
pub use intake::{Contact, Intake, NotTaken};
pub use noticing::Noticing;
pub use ourselves::Ourselves;
pub use view::{StoreHealth, View};
pub use world::world;

use crate::{
    config::Plan,
    feed,
    incident::Incidents,
    metrics::Metrics,
    model::{Incident, Observation, Timestamp},
    notify::{Outbox, Patience},
    store::{Store, StoreError},
};
use keeper::Keeper;
use rounds::Rounds;

/// How often the hub does what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Between two judgements.
    pub judge_every: Duration,
    /// How long observations are collected before they are written together.
    pub write_every: Duration,
    /// Between two attempts at a store that fails.
    pub retry_every: Duration,
    /// Between two cuts of the history.
    pub trim_every: Duration,
    /// What writing gets when the process ends.
    pub flush_within: Duration,
    /// How patient the outbox is.
    pub patience: Patience,
    /// How often status feeds are read.
    pub feeds: feed::Pace,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            judge_every: Duration::from_secs(1),
            write_every: Duration::from_millis(200),
            retry_every: Duration::from_secs(1),
            trim_every: Duration::from_mins(5),
            flush_within: Duration::from_secs(2),
            patience: Patience::default(),
            feeds: feed::Pace::default(),
        }
    }
}

/// What a hub works with.
pub struct Hub {
    /// The configuration in force.
    pub plan: watch::Receiver<Arc<Plan>>,
    /// What survives a restart.
    pub store: Store,
    /// Observations on their way in. Whoever fills it decides what happens when it is full.
    pub inbox: mpsc::Receiver<Observation>,
    /// What agents elsewhere have handed in: it is in the store already. Nothing where none may, see [`Intake`].
    pub arrived: Option<mpsc::Receiver<Vec<Observation>>>,
    /// Who the agents are, where they may; nothing otherwise.
    pub fleet: Option<Fleet>,
    /// Where one region is judged alone, because its hub cannot be reached; nothing where this is the hub.
    pub alone: Option<Alone>,
    /// What pages and terminals show.
    pub view: watch::Sender<View>,
    /// Figures.
    pub metrics: Arc<Metrics>,
    /// How messages travel, see [`crate::notify::http_client`].
    pub http: reqwest::Client,
    /// How often to do what; [`Pace::default`] outside of tests.
    pub pace: Pace,
}

/// Observations taken from the inbox at once.
const BATCH: usize = 500;
/// A short rest after each batch, so that the next is one: waking up for every single observation costs as much
/// processor time as measuring a port. The inbox holds far more than can come meanwhile.
const REST: Duration = Duration::from_millis(20);

/// Runs until `stop` turns true (or its sender goes away): then takes what is in the inbox, writes it, and ends.
pub async fn run(hub: Hub, stop: watch::Receiver<bool>) {
    let mut stopping = stop.clone();
    let Some((incidents, window)) = recall(&hub, &mut stopping).await else { return };
    let keeper = Arc::new(Keeper::new(hub.store.clone(), hub.metrics.clone(), hub.pace));
    let (roster, roster_seen) = watch::channel(world::roster(&hub.plan.borrow()));
    let outbox = Outbox {
        store: hub.store.clone(),
        http: hub.http.clone(),
        roster: roster_seen,
        posted: keeper.posted(),
        metrics: hub.metrics.clone(),
        patience: hub.pace.patience,
    };
    let sending = tokio::spawn(outbox.run(stop.clone()));
    let trimming = tokio::spawn(trim(hub.store.clone(), hub.plan.clone(), hub.metrics.clone(), hub.pace, stop.clone()));
    let (readings, read) = watch::channel(feeds::Readings::new());
    let (hurry, hurried) = watch::channel(feed::Hurry::new());
    let pace = hub.pace.feeds;
    let reading =
        tokio::spawn(feeds::follow(hub.plan.clone(), hub.http.clone(), pace, readings, hurried, stop.clone()));
    // Whoever judges alone has nobody who hands over.
    let (adopt, adopted) = mpsc::channel(1);
    let adopting = tokio::spawn(adopt::follow(hub.store.clone(), adopt, hub.pace, hub.alone.is_none(), stop.clone()));
    let (flush, flushing) = watch::channel(false);
    let writing = tokio::spawn({
        let keeper = keeper.clone();
        async move { keeper.run(flushing).await }
    });

    let rounds = {
        let pages = feeds::Pages::new(read, hurry);
        let given = (pages, hub.fleet.clone());
        Rounds::new(&hub.plan.borrow(), incidents, &window, given, hub.alone.as_ref(), chrono::Utc::now())
    };
    judging(hub, rounds, adopted, &keeper, &roster, stopping).await;

    // Nobody is left to add anything: the keeper writes what it has and ends.
    let _ = flush.send(true);
    for (task, name) in [
        (writing, "writing"),
        (sending, "sending"),
        (trimming, "trimming"),
        (reading, "reading status feeds"),
        (adopting, "adopting"),
    ] {
        if let Err(error) = task.await {
            tracing::error!("{name} ended badly: {error}");
        }
    }
}

/// Takes and judges until the process ends.
async fn judging(
    mut hub: Hub,
    mut rounds: Rounds,
    mut adopted: mpsc::Receiver<Vec<Incident>>,
    keeper: &Keeper,
    roster: &watch::Sender<crate::notify::Roster>,
    mut stop: watch::Receiver<bool>,
) {
    let mut tick = interval(hub.pace.judge_every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut batch = Vec::with_capacity(BATCH);
    let mut planless = false;
    let mut rested = tokio::time::Instant::now();
    loop {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            _ = tick.tick() => {
                rounds.silence(hub.store.silences());
                rounds.judge(keeper, &hub.view, &hub.metrics, chrono::Utc::now());
            }
            changed = hub.plan.changed(), if !planless => match changed {
                Ok(()) => {
                    let plan = hub.plan.borrow_and_update().clone();
                    roster.send_replace(world::roster(&plan));
                    rounds.adopt(&plan);
                }
                // Nobody will ever give us another plan; the present one stays.
                Err(_) => planless = true,
            },
            taken = after(rested, hub.inbox.recv_many(&mut batch, BATCH)) => {
                // A full batch means that more is waiting.
                rested = tokio::time::Instant::now() + if taken < BATCH { REST } else { Duration::ZERO };
                if taken == 0 {
                    // Whoever measures has ended; there is nothing more to judge.
                    break;
                }
                take(&mut batch, &mut rounds, keeper, &hub.metrics);
                hub.metrics.hub_queue(hub.inbox.len());
            }
            Some(incidents) = adopted.recv() => rounds.adopt_incidents(&incidents, keeper, chrono::Utc::now()),
            Some(arrived) = next(&mut hub.arrived) => absorb(&arrived, &mut rounds, &hub.metrics),
        }
    }
    while hub.inbox.try_recv().map(|seen| batch.push(seen)).is_ok() {
        if batch.len() == BATCH {
            take(&mut batch, &mut rounds, keeper, &hub.metrics);
        }
    }
    take(&mut batch, &mut rounds, keeper, &hub.metrics);
    rounds.judge(keeper, &hub.view, &hub.metrics, chrono::Utc::now());
}

/// Waits until an instant, then for the work.
async fn after<T>(at: tokio::time::Instant, work: impl Future<Output = T>) -> T {
    tokio::time::sleep_until(at).await;
    work.await
}

/// The next batch that agents have handed in, where they may.
async fn next(arrived: &mut Option<mpsc::Receiver<Vec<Observation>>>) -> Option<Vec<Observation>> {
    match arrived {
        Some(arrived) => arrived.recv().await,
        None => std::future::pending().await,
    }
}

fn absorb(seen: &[Observation], rounds: &mut Rounds, metrics: &Metrics) {
    let now = chrono::Utc::now();
    for seen in seen {
        rounds.absorb(seen, now);
    }
    metrics.hub_absorbed(seen.len() as u64);
}

fn take(batch: &mut Vec<Observation>, rounds: &mut Rounds, keeper: &Keeper, metrics: &Metrics) {
    absorb(batch, rounds, metrics);
    keeper.keep(batch.drain(..));
}

/// What the store knows of the time before: incidents, and the observations that the window needs.
async fn recall(hub: &Hub, stop: &mut watch::Receiver<bool>) -> Option<(Incidents, Vec<Observation>)> {
    let remembered = async || -> Result<_, StoreError> {
        let now = chrono::Utc::now();
        let stored = hub.store.incidents(now - chrono::Days::new(3)).await?;
        let window = hub.store.since(crate::attribution::Judge::reaches_back_to(now)).await?;
        Ok((stored, window))
    };
    let mut said = false;
    loop {
        match remembered().await {
            Ok((stored, window)) => {
                hub.view.send_modify(|view| view.remember(&stored));
                return Some((Incidents::from_stored(stored), window));
            }
            // Judging without knowing what is open would tell it all again.
            Err(error) if !std::mem::replace(&mut said, true) => {
                tracing::error!("{error}: nothing is judged until it can be");
            }
            Err(_) => {}
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return None,
            () = sleep(hub.pace.retry_every) => {}
        }
    }
}

/// Cuts the history now and then.
async fn trim(
    store: Store,
    plan: watch::Receiver<Arc<Plan>>,
    metrics: Arc<Metrics>,
    pace: Pace,
    mut stop: watch::Receiver<bool>,
) {
    let mut well = true;
    loop {
        let keep = plan.borrow().keep;
        let began = Instant::now();
        // Ending must not wait for a large cut: what is left is cut next time.
        let cut = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            cut = store.trim(keep.age, keep.bytes, now()) => cut,
        };
        match cut {
            Ok(0) => well = true,
            Ok(deleted) => {
                well = true;
                tracing::debug!(deleted, took = ?began.elapsed(), "history cut");
            }
            Err(error) => {
                if std::mem::take(&mut well) {
                    tracing::warn!("{error}: history is not cut until it can be");
                }
            }
        }
        if let Ok(size) = store.size().await {
            metrics.store_size(size);
        }
        let pause = timeout(pace.trim_every, stop.wait_for(|stop| *stop)).await;
        if pause.is_ok() {
            return;
        }
    }
}

fn now() -> Timestamp {
    chrono::Utc::now()
}
