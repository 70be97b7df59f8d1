//! The hub: takes observations, keeps them, judges twice a second, and sees to it that people are told. Owns the state
//! between two judgements; must not know how anything was measured or shown.
//!
//! Tasks that never wait for each other: this one takes and judges in memory; the keeper writes to the store as soon as
//! the store can; the outbox sends. A store that fails therefore stops neither judging nor probing. Of several hubs over
//! one store all take and watch, and one leads: it alone judges and tells (`lead`, `reign`).

mod adopt;
mod arriving;
mod batch;
mod course;
mod feeds;
mod fleet;
mod history;
mod intake;
mod keeper;
mod lead;
mod living;
mod noticing;
mod ourselves;
mod recall;
mod refuge;
mod reign;
mod releases;
mod rest;
mod rounds;
mod said;
mod seldom;
mod unjudged;
mod view;
mod world;

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval},
};

pub use course::{Alone, Course, Turn};
pub use fleet::{AgentView, ClockOff, Fleet};
pub use intake::{Contact, Intake, NotTaken};
pub use noticing::Noticing;
pub use ourselves::Ourselves;
pub use releases::releases;
pub use view::{Lead, StoreHealth, View};
pub use world::world;

use crate::{
    config::Plan,
    feed,
    metrics::Metrics,
    model::{Incident, Observation},
    notify::Patience,
    store::Store,
};
use keeper::Keeper;
use lead::Leading;
use reign::Reign;
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
    /// A store that has taken nothing for so long does not keep people from hearing of what opens.
    pub stand_in_after: Duration,
    /// What writing gets when the process ends.
    pub flush_within: Duration,
    /// For how long a leader is believed without a word of it; it gives one three times as often.
    pub lease: Duration,
    /// How patient the outbox is.
    pub patience: Patience,
    /// How often status feeds are read.
    pub feeds: feed::Pace,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            judge_every: Duration::from_millis(500),
            write_every: Duration::from_millis(200),
            retry_every: Duration::from_secs(1),
            trim_every: Duration::from_mins(5),
            stand_in_after: Duration::from_secs(30),
            flush_within: Duration::from_secs(2),
            lease: Duration::from_secs(3),
            patience: Patience::default(),
            feeds: feed::Pace::default(),
        }
    }
}

/// What a hub works with.
pub struct Hub {
    /// What the other hubs over the same store know it by.
    pub name: Arc<str>,
    /// The configuration in force.
    pub plan: watch::Receiver<Arc<Plan>>,
    /// What survives a restart.
    pub store: Store,
    /// Observations on their way in. Whoever fills it decides what happens when it is full.
    pub inbox: mpsc::Receiver<Observation>,
    /// What agents elsewhere have handed in: it is in the store already. Nothing where none may, see [`Intake`]; over a
    /// store of several hubs it is not used: what any of them was handed is read from there.
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
pub async fn run(mut hub: Hub, stop: watch::Receiver<bool>) {
    let mut stopping = stop.clone();
    let (readings, read) = watch::channel(feeds::Readings::new());
    let (hurry, hurried) = watch::channel(feed::Hurry::new());
    // What regions that judged by themselves hand over, while this hub leads.
    let (adopt, adopted) = mpsc::channel(1);
    let pages = feeds::Pages::new(read, hurry);
    let mut rounds = Rounds::new(&hub.plan.borrow(), pages, hub.fleet.clone(), hub.alone.clone());
    let Some(position) = recall::recall(&hub, &mut rounds, &mut stopping).await else { return };
    let keeper = Arc::new(Keeper::new(hub.store.clone(), hub.metrics.clone(), hub.pace));
    let (flush, flushing) = watch::channel(false);
    let writing = tokio::spawn({
        let keeper = keeper.clone();
        async move { keeper.run(flushing).await }
    });
    if let Some(position) = position {
        hub.arrived = Some(arriving::follow(hub.store.clone(), position, stop.clone()));
    }
    let ground = reign::Ground {
        plan: hub.plan.clone(),
        http: hub.http.clone(),
        view: hub.view.clone(),
        metrics: hub.metrics.clone(),
        pace: hub.pace,
        readings,
        hurried,
        adopt,
        alone: hub.alone.is_some(),
    };
    let leading = lead::strive(&hub);
    let reign = judging(&mut hub, &mut rounds, &keeper, adopted, &ground, leading.lead.clone(), stopping).await;

    // Nobody is left to add anything: the keeper writes what it has and ends, as long as we lead.
    let _ = flush.send(true);
    if let Err(error) = writing.await {
        tracing::error!("writing ended badly: {error}");
    }
    if let Some(reign) = reign {
        reign.end().await;
    }
    leading.give_up().await;
}

/// Takes and judges until the process ends; what is left of the lead then.
async fn judging(
    hub: &mut Hub,
    rounds: &mut Rounds,
    keeper: &Arc<Keeper>,
    mut adopted: mpsc::Receiver<Vec<Incident>>,
    ground: &reign::Ground,
    mut lead: watch::Receiver<Leading>,
    mut stop: watch::Receiver<bool>,
) -> Option<Reign> {
    let mut tick = interval(hub.pace.judge_every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut batch = Vec::with_capacity(BATCH);
    let mut planless = false;
    let mut rested = tokio::time::Instant::now();
    let mut reign: Option<Reign> = None;
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            _ = tick.tick() => {
                let now = chrono::Utc::now();
                reign = reign::change(reign, ground, rounds, keeper, &mut lead).await;
                rounds.silence(hub.store.silences());
                match reign {
                    Some(_) => rounds.judge(keeper, &hub.view, &hub.metrics, now),
                    None => rounds.watch(now),
                }
            }
            changed = hub.plan.changed(), if !planless => match changed {
                Ok(()) => {
                    let plan = hub.plan.borrow_and_update().clone();
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
                take(&mut batch, rounds, keeper, hub);
                hub.metrics.hub_queue(hub.inbox.len());
            }
            Some(incidents) = adopted.recv() => if reign.is_some() {
                rounds.adopt_incidents(&incidents, keeper, chrono::Utc::now());
            },
            Some(arrived) = next(&mut hub.arrived) => absorb(&arrived, rounds, &hub.metrics),
        }
    }
    if let Some(reign) = &reign {
        reign.stop();
    }
    while hub.inbox.try_recv().map(|seen| batch.push(seen)).is_ok() {
        if batch.len() == BATCH {
            take(&mut batch, rounds, keeper, hub);
        }
    }
    take(&mut batch, rounds, keeper, hub);
    if reign.is_some() {
        rounds.judge(keeper, &hub.view, &hub.metrics, chrono::Utc::now());
    }
    reign
}

/// Completes when the process is to end.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone means the same.
    let _ = stop.wait_for(|stop| *stop).await;
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
        rounds.absorb(seen, metrics, now);
    }
    rounds.note_batch(seen);
    metrics.hub_absorbed(seen.len() as u64);
}

fn take(batch: &mut Vec<Observation>, rounds: &mut Rounds, keeper: &Keeper, hub: &Hub) {
    // Whoever leads over a store of several hubs hears of it from there, as of everything.
    if !hub.store.is_shared() {
        absorb(batch, rounds, &hub.metrics);
    }
    keeper.keep(batch.drain(..));
}
