//! What an engine stands on: a hub of its own over a store, or the way to a hub elsewhere. Builds and starts it, and
//! says how to stop it.

use std::sync::Arc;

use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

use super::{Options, Parts, Stopped, news, solo::Solo};
use crate::{
    config::Plan,
    engine,
    hub::{self, Fleet, Hub, Intake, Pace, View},
    metrics::Metrics,
    model::Observation,
    net::Net,
    notify,
    placement::Placement,
    store::{self, Store},
    uplink::{Hubs, Mode, Uplink},
};

/// What is there already.
pub(super) struct Ground<'a> {
    pub(super) options: &'a Options,
    /// Where this process listens.
    pub(super) address: &'a str,
    pub(super) net: &'a Arc<Net>,
    pub(super) plan: &'a watch::Receiver<Arc<Plan>>,
    pub(super) metrics: &'a Arc<Metrics>,
}

impl Ground<'_> {
    /// Where the store is: the command line goes before the configuration.
    pub(super) fn store(&self) -> String {
        let configured = || self.plan.borrow().store.as_ref().map(|store| store.reveal().to_owned());
        self.options.store.clone().or_else(configured).unwrap_or_else(|| STORE.to_owned())
    }
}

/// Where the store is when nobody says.
const STORE: &str = "sqlite:usoryou.db";

/// What other hubs know this one by: its machine and its port.
fn name(address: &str) -> Arc<str> {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let port = address.rsplit(':').next().unwrap_or_default();
    format!("{}:{port}", host.trim()).into()
}

/// What was started.
pub(super) struct Base {
    /// Where what is seen goes, for people.
    pub(super) keeps: String,
    pub(super) store: Option<Store>,
    pub(super) intake: Option<Intake>,
    pub(super) fleet: Option<Fleet>,
    /// What of the plan runs here.
    pub(super) placement: watch::Receiver<Placement>,
    pub(super) view: watch::Receiver<View>,
    /// Told when nothing more is added to the inbox.
    pub(super) stop: watch::Sender<bool>,
    /// To be waited for, in this order.
    pub(super) tasks: Vec<JoinHandle<()>>,
}

/// A hub in this process, for the engine beside it and for agents elsewhere.
pub(super) async fn hub(
    ground: &Ground<'_>,
    inbox: mpsc::Receiver<Observation>,
    parts: &mut Parts,
) -> Result<Base, Stopped> {
    let Ground { net, plan, metrics, .. } = ground;
    let address = ground.store();
    let store = Store::open(&address).await?;
    let http = notify::http_client(&net.trust).map_err(Stopped::Notify)?;
    let (view, views) = watch::channel(View::default());
    let (stop, stopped) = watch::channel(false);
    let fleet = Fleet::new(store.clone(), (*plan).clone(), Arc::clone(metrics));
    let (intake, arrived) =
        Intake::new(store.clone(), (*plan).clone(), views.clone(), Arc::clone(metrics), fleet.clone());
    let hub = Hub {
        name: name(ground.address),
        plan: (*plan).clone(),
        store: store.clone(),
        inbox,
        arrived: Some(arrived),
        fleet: Some(fleet.clone()),
        alone: None,
        view,
        metrics: Arc::clone(metrics),
        http,
        pace: Pace::default(),
    };
    let hearing = parts.start("hearing agents", fleet.clone().run(stopped.clone()));
    let judging = parts.start("judging", hub::run(hub, stopped));
    let telling = tokio::spawn(news::tell(views.clone(), (*plan).clone()));
    let keeps = store::shown(&address);
    let tasks = vec![judging, hearing, telling];
    let (store, intake, fleet, placement) = (Some(store), Some(intake), Some(fleet), engine::unplaced());
    Ok(Base { keeps, store, intake, fleet, placement, view: views, stop, tasks })
}

/// The way to a hub elsewhere.
pub(super) fn agent(
    ground: &Ground<'_>,
    hubs: &Hubs,
    inbox: mpsc::Receiver<Observation>,
    parts: &mut Parts,
) -> Result<Base, Stopped> {
    let uplink = Uplink::open(hubs, &ground.net.trust, Arc::clone(ground.metrics))?;
    let line = uplink.line();
    let (view, views) = watch::channel(View::default());
    let (stop, stopped) = watch::channel(false);
    let solo = Solo {
        line: line.clone(),
        plan: ground.plan.clone(),
        net: Arc::clone(ground.net),
        metrics: Arc::clone(ground.metrics),
        view,
        folder: hubs.spool.clone(),
    };
    if solo.was_alone() {
        // What the process before told people of goes to the hub before anything that was seen.
        line.go(Mode::Alone);
    }
    let alone = parts.start("judging alone", solo.watch(stopped));
    let (now, in_force) = watch::channel(Some(hubs.clone()));
    let following = tokio::spawn(follow(ground.plan.clone(), now));
    let reporting = parts.start("reporting", async move {
        uplink.run(inbox, in_force).await;
        following.abort();
    });
    let keeps = format!("the spool {}, on their way to {} hubs", hubs.spool.display(), hubs.urls.len());
    let placement = line.placement();
    Ok(Base {
        keeps,
        store: None,
        intake: None,
        fleet: None,
        placement,
        view: views,
        stop,
        tasks: vec![reporting, alone],
    })
}

/// The hubs that the configuration names.
pub(super) fn hubs(plan: &watch::Receiver<Arc<Plan>>) -> Option<Hubs> {
    plan.borrow().hubs.clone()
}

/// Hands on the hubs and the token of each new plan.
async fn follow(mut plan: watch::Receiver<Arc<Plan>>, now: watch::Sender<Option<Hubs>>) {
    while plan.changed().await.is_ok() {
        let hubs = plan.borrow_and_update().hubs.clone();
        if hubs.is_none() {
            tracing::warn!("the new configuration names no hub: what is seen waits in the spool until the next start");
        }
        now.send_replace(hubs);
    }
}
