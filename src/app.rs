//! The composition root of `usoryou run`: builds everything, starts it, and stops it in reverse order. The only place
//! that knows everyone; does no work of its own.

mod listen;
mod reload;
mod signals;

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    config::{self, Mistakes, VantageOverrides},
    engine::{Engine, Observer},
    hub::{self, Hub, Pace, View},
    metrics::Metrics,
    net::Net,
    notify,
    store::{Store, StoreError},
    web::{self, WebState},
};

pub use listen::CannotListen;

/// Facts on their way from the engine to the hub: some seconds of a large plan.
const FACTS: usize = 4096;
/// Wishes for a reload that wait for the one under way.
const RELOADS: usize = 8;
/// Everything has stopped after this, or is left behind.
const STOP_WITHIN: Duration = Duration::from_millis(4700);

/// What the command line says.
#[derive(Debug, Clone)]
pub struct Options {
    /// `--config`.
    pub config: PathBuf,
    /// `--listen`.
    pub listen: String,
    /// `--store`.
    pub store: String,
    /// `--region`, `--node`.
    pub vantage: VantageOverrides,
}

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum CannotStart {
    /// The configuration has mistakes, or cannot be read.
    #[error("{0}")]
    Configuration(Mistakes),
    /// The system's resolver or authorities cannot be read.
    #[error("cannot use this machine's network: {0}")]
    Net(String),
    /// The internal listener has no address.
    #[error(transparent)]
    Listen(#[from] CannotListen),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nothing can be sent.
    #[error("cannot send messages: {0}")]
    Send(String),
    /// Signals cannot be received.
    #[error("cannot receive signals: {0}")]
    Signals(std::io::Error),
}

/// Runs until SIGTERM or SIGINT, and stops within five seconds of it.
///
/// # Errors
/// Why nothing was started; once started, only a signal ends it.
pub async fn run(options: Options) -> Result<(), CannotStart> {
    let mut signals = signals::Signals::receive().map_err(CannotStart::Signals)?;
    let net = Net::system(Vec::new()).map_err(CannotStart::Net)?;
    let files = reload::Source { path: options.config, net: Arc::clone(&net), vantage: options.vantage };
    let config::Loaded { plan, warnings } = files.read().await.map_err(CannotStart::Configuration)?;
    let listener = listen::bind(&options.listen).await?;
    let http = notify::http_client(&net.trust).map_err(CannotStart::Send)?;
    let store = Store::open(&options.store).await?;

    let metrics = Metrics::new(env!("CARGO_PKG_VERSION"));
    metrics.config_reload(true);
    reload::warn(&warnings);
    let address = listener.local_addr().map_or_else(|_| options.listen.clone(), |address| address.to_string());
    let (probes, parties) = (plan.probes.len(), plan.parties.len());
    tracing::info!("listening on http://{address}, {probes} probes of {parties} parties, facts in {}", options.store);

    let (stop, stopped) = watch::channel(false);
    let observer = Observer::new(net, plan.vantage.clone(), Arc::clone(&plan.hash));
    let (plans, plan) = watch::channel(plan);
    let (sink, inbox) = mpsc::channel(FACTS);
    let (wishes, wished) = mpsc::channel(RELOADS);
    let (stop_engine, engine_stopped) = oneshot::channel::<()>();

    let (view, viewed) = watch::channel(View::default());
    let (stop_hub, hub_stopped) = watch::channel(false);
    let hub = Hub {
        plan: plan.clone(),
        store: store.clone(),
        inbox,
        view,
        metrics: Arc::clone(&metrics),
        http,
        pace: Pace::default(),
    };
    let hub = tokio::spawn(hub::run(hub, hub_stopped));
    let engine = Engine { observer: observer.clone(), metrics: Arc::clone(&metrics), plan: plan.clone(), sink };
    let engine = tokio::spawn(engine.run(async { drop(engine_stopped.await) }));
    let web = WebState { metrics: Arc::clone(&metrics), plan, observer, reload: wishes, store, view: viewed };
    let web = tokio::spawn(web::serve(listener, web, stopped));
    let reloads = tokio::spawn(reload::follow(files, plans, metrics, wished, signals.reload()));

    signals.stop().await;
    tracing::info!("stopping");
    let stopping = async {
        reloads.abort();
        drop(stop_engine);
        let _ = stop.send(true);
        let _ = engine.await;
        // Only now: what the last runs saw is still taken, judged and written.
        let _ = stop_hub.send(true);
        let _ = hub.await;
        let _ = web.await;
    };
    tokio::select! {
        () = stopping => {}
        () = tokio::time::sleep(STOP_WITHIN) => tracing::warn!("not everything has stopped in time"),
        () = signals.stop() => tracing::warn!("stopped at once by a second signal"),
    }
    Ok(())
}
