//! The composition root of `usoryou run`: builds everything, starts it, and stops it in reverse order. The only place
//! that knows everyone; does no work of its own.

mod listen;
mod news;
mod reload;
mod signals;

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

use crate::{
    config::{self, Mistakes, VantageOverrides},
    engine::{Engine, Observer},
    hub::{self, Hub, Pace, View},
    metrics::Metrics,
    net::Net,
    notify,
    store::{self, Store, StoreError},
    web::{self, WebState},
};

pub use listen::CannotListen;
use reload::Reloads;

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

/// Why nothing was started, or why it could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
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
    /// Messages cannot be sent.
    #[error("cannot send messages: {0}")]
    Notify(String),
    /// Signals cannot be received.
    #[error("cannot receive signals: {0}")]
    Signals(std::io::Error),
    /// A part ended that never should.
    #[error("cannot go on: {0} has ended, the log says why")]
    Ended(&'static str),
}

/// Runs until SIGTERM or SIGINT, and stops within five seconds of it.
///
/// # Errors
/// Why nothing was started; once started, only a fault of our own ends it before a signal does.
pub async fn run(options: Options) -> Result<(), Stopped> {
    let mut signals = signals::Signals::receive().map_err(Stopped::Signals)?;
    let net = Net::system(Vec::new()).map_err(Stopped::Net)?;
    net.kept.stay_in(store::folder_of(&options.store)?);
    let files = reload::Source { path: options.config, net: Arc::clone(&net), vantage: options.vantage };
    let used = files.content().await;
    let config::Loaded { plan, warnings } = files.read().await.map_err(Stopped::Configuration)?;
    let listener = listen::bind(&options.listen).await?;
    let store = Store::open(&options.store).await?;
    let http = notify::http_client(&net.trust).map_err(Stopped::Notify)?;

    let metrics = Metrics::new(env!("CARGO_PKG_VERSION"));
    metrics.config_reload(true);
    reload::warn(&warnings);
    let address = listener.local_addr().map_or_else(|_| options.listen.clone(), |address| address.to_string());
    let (probes, parties) = (plan.probes.len(), plan.parties.len());
    tracing::info!("listening on http://{address}, {probes} probes of {parties} parties, facts in {}", options.store);

    let observer = Observer::new(net, plan.vantage.clone(), Arc::clone(&plan.hash));
    let (plans, plan) = watch::channel(plan);
    let (sink, inbox) = mpsc::channel(FACTS);
    let (view, views) = watch::channel(View::default());
    let (wishes, wished) = mpsc::channel(RELOADS);
    let (stop_hub, hub_stopped) = watch::channel(false);
    let (stop_engine, engine_stopped) = oneshot::channel::<()>();
    let (stop_web, web_stopped) = watch::channel(false);

    let hub = Hub {
        plan: plan.clone(),
        store: store.clone(),
        inbox,
        view,
        metrics: Arc::clone(&metrics),
        http,
        pace: Pace::default(),
    };
    let engine = Engine { observer: observer.clone(), metrics: Arc::clone(&metrics), plan: plan.clone(), sink };
    let web = WebState {
        metrics: Arc::clone(&metrics),
        plan: plan.clone(),
        observer,
        reload: wishes,
        store,
        view: views.clone(),
    };
    let hang_ups = signals.reload();
    let reloads = Reloads { source: files, used, plans, metrics, wishes: wished, hang_ups };
    let mut parts = Parts::default();
    let news = tokio::spawn(news::tell(views, plan));
    let hub = parts.start("judging", hub::run(hub, hub_stopped));
    let engine = parts.start("probing", engine.run(async { drop(engine_stopped.await) }));
    let reloads = parts.start("reloading", reload::follow(reloads));
    let web = parts.start("serving", web::serve(listener, web, web_stopped));

    let ended = tokio::select! {
        () = signals.stop() => None,
        part = parts.ended() => Some(part),
    };
    tracing::info!("stopping");
    let stopping = async {
        let _ = stop_web.send(true);
        reloads.abort();
        drop(stop_engine);
        let _ = engine.await;
        // The engine was the last to add to the inbox: the hub takes what is in it and ends.
        let _ = stop_hub.send(true);
        let _ = hub.await;
        let _ = news.await;
        let _ = web.await;
    };
    tokio::select! {
        () = stopping => {}
        () = tokio::time::sleep(STOP_WITHIN) => tracing::warn!("not everything has stopped in time"),
        () = signals.stop() => tracing::warn!("stopped at once by a second signal"),
    }
    ended.map_or(Ok(()), |part| Err(Stopped::Ended(part)))
}

/// The tasks that must not end before they are told to.
struct Parts {
    tell: mpsc::Sender<&'static str>,
    told: mpsc::Receiver<&'static str>,
}

impl Default for Parts {
    fn default() -> Self {
        let (tell, told) = mpsc::channel(8);
        Self { tell, told }
    }
}

impl Parts {
    fn start(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        let last_word = LastWord(name, self.tell.clone());
        tokio::spawn(async move {
            let _last_word = last_word;
            work.await;
        })
    }

    /// Waits for a part that ends, by a panic too.
    async fn ended(&mut self) -> &'static str {
        match self.told.recv().await {
            Some(part) => part,
            None => std::future::pending().await,
        }
    }
}

struct LastWord(&'static str, mpsc::Sender<&'static str>);

impl Drop for LastWord {
    fn drop(&mut self) {
        let _ = self.1.try_send(self.0);
    }
}
