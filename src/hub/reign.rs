//! What only the hub that leads does: sends, cuts the history, reads status pages, shows the others what it thinks. Begun
//! with the lead and ended with it.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};

use super::{
    Lead, Pace, View, adopt, feeds, history, keeper::Keeper, lead::Leading, refuge, rounds::Rounds, stopped, world,
};
use crate::{
    config::Plan,
    feed,
    incident::Incidents,
    metrics::Metrics,
    model::Incident,
    notify::{Outbox, Roster},
    store::{Store, StoreError},
};

/// Between two pictures for the other hubs.
const SHOW_EVERY: Duration = Duration::from_secs(1);

/// What a reign stands on; the same for each.
pub(super) struct Ground {
    pub(super) plan: watch::Receiver<Arc<Plan>>,
    pub(super) http: reqwest::Client,
    pub(super) view: watch::Sender<View>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) pace: Pace,
    pub(super) readings: watch::Sender<feeds::Readings>,
    pub(super) hurried: watch::Receiver<feed::Hurry>,
    /// Where what regions hand over goes that judged by themselves.
    pub(super) adopt: mpsc::Sender<Vec<Incident>>,
    /// Whether this is one of them: it has nobody who hands over.
    pub(super) alone: bool,
}

/// What runs as long as this hub leads.
pub(super) struct Reign {
    /// The handle that it writes by.
    leading: Store,
    over: watch::Sender<bool>,
    tasks: Vec<(&'static str, JoinHandle<()>)>,
}

/// Begins a reign when the lead has come, ends it when it has gone.
pub(super) async fn change(
    reign: Option<Reign>,
    ground: &Ground,
    rounds: &mut Rounds,
    keeper: &Arc<Keeper>,
    lead: &mut watch::Receiver<Leading>,
) -> Option<Reign> {
    let leading = lead.borrow_and_update().clone();
    match (reign, leading) {
        (None, Some(leading)) => begin(ground, rounds, keeper, leading).await,
        (Some(reign), None) => {
            give_up(reign, ground, keeper).await;
            None
        }
        // It was lost and won again in between: what another hub has done meanwhile is to be known, and nothing is taken by
        // the handle of before.
        (Some(reign), Some(leading)) if !leading.is_same_lead(&reign.leading) => {
            give_up(reign, ground, keeper).await;
            begin(ground, rounds, keeper, leading).await
        }
        (reign, _) => reign,
    }
}

async fn give_up(reign: Reign, ground: &Ground, keeper: &Keeper) {
    keeper.serve(None);
    reign.stop();
    reign.end().await;
    // The verdicts are the leader's now.
    ground.metrics.verdicts(&[]);
}

async fn begin(ground: &Ground, rounds: &mut Rounds, keeper: &Arc<Keeper>, leading: Store) -> Option<Reign> {
    // Judging without knowing what is open would tell it all again: the next round tries once more.
    let stored = leading.incidents(chrono::Utc::now() - chrono::Days::new(3)).await;
    let stored = stored.map_err(|error: StoreError| tracing::debug!("{error}")).ok()?;
    ground.view.send_modify(|view| {
        view.remember(&stored);
        view.store.failing = None;
        view.lead = leading.is_shared().then_some(Lead { ours: true, leader: None });
    });
    rounds.lead(Incidents::from_stored(stored));
    keeper.serve(Some(leading.clone()));
    Some(Reign::begin(ground, keeper, leading))
}

impl Reign {
    fn begin(ground: &Ground, keeper: &Arc<Keeper>, leading: Store) -> Self {
        let (over, stop) = watch::channel(false);
        let Ground { plan, http, view, metrics, pace, readings, hurried, adopt, alone } = ground;
        let (roster, roster_seen) = watch::channel(world::roster(&plan.borrow()));
        let outbox = Outbox {
            store: leading.clone(),
            http: http.clone(),
            roster: roster_seen,
            posted: keeper.posted(),
            metrics: metrics.clone(),
            patience: pace.patience,
        };
        let feeds =
            feeds::follow(plan.clone(), http.clone(), pace.feeds, readings.clone(), hurried.clone(), stop.clone());
        let trim = history::trim(leading.clone(), plan.clone(), metrics.clone(), *pace, stop.clone());
        let adopting = adopt::follow(leading.clone(), adopt.clone(), *pace, !alone, stop.clone());
        // Of several hubs another may lead, and agents judge by themselves: they tell people then.
        let refuge = (!leading.is_shared())
            .then(|| refuge::follow(outbox.clone(), keeper.clone(), pace.stand_in_after, stop.clone()));
        let mut tasks = vec![
            ("adopting", tokio::spawn(adopting)),
            ("sending", tokio::spawn(outbox.run(stop.clone()))),
            ("trimming", tokio::spawn(trim)),
            ("reading status feeds", tokio::spawn(feeds)),
            ("following the configuration", tokio::spawn(follow(plan.clone(), roster, stop.clone()))),
        ];
        tasks.extend(refuge.map(|refuge| ("telling from memory", tokio::spawn(refuge))));
        if leading.is_shared() {
            tasks.push(("showing the other hubs", tokio::spawn(show(leading.clone(), view.subscribe(), stop))));
        }
        Self { leading, over, tasks }
    }

    /// Tells everything to end.
    pub(super) fn stop(&self) {
        self.over.send_replace(true);
    }

    /// Waits for its end.
    pub(super) async fn end(self) {
        self.stop();
        for (name, task) in self.tasks {
            if let Err(error) = task.await {
                tracing::error!("{name} ended badly: {error}");
            }
        }
    }
}

/// Hands on the channels of each new plan.
async fn follow(mut plan: watch::Receiver<Arc<Plan>>, roster: watch::Sender<Roster>, mut stop: watch::Receiver<bool>) {
    loop {
        let changed = tokio::select! {
            () = stopped(&mut stop) => return,
            changed = plan.changed() => changed,
        };
        if changed.is_err() {
            // Nobody will ever give us another plan; the present one stays.
            return stopped(&mut stop).await;
        }
        let now = plan.borrow_and_update().clone();
        roster.send_replace(world::roster(&now));
    }
}

/// Shows the other hubs what this one thinks.
async fn show(leading: Store, mut view: watch::Receiver<View>, mut stop: watch::Receiver<bool>) {
    loop {
        let picture = serde_json::to_string(&*view.borrow_and_update()).unwrap_or_default();
        // The others show what they have until the next one.
        let _ = leading.publish(&picture).await;
        let _ = timeout(SHOW_EVERY, stopped(&mut stop)).await;
        tokio::select! {
            () = stopped(&mut stop) => return,
            changed = view.changed() => if changed.is_err() { return },
        }
    }
}
