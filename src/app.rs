//! The composition root of `usoryou run` and `usoryou hub`: builds everything, starts it, and stops it in reverse order. The only place
//! that knows everyone; does no work of its own.

mod base;
mod listen;
mod news;
mod reload;
mod signals;
mod solo;

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

use crate::{
    config::{self, Mistakes, VantageOverrides},
    engine::{Engine, Observer},
    metrics::Metrics,
    net::Net,
    store::{self, StoreError},
    uplink::CannotSpool,
    web::{self, WebState},
};

use base::Ground;
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
    pub store: Option<String>,
    /// `--region`, `--node`.
    pub vantage: VantageOverrides,
    /// The command.
    pub role: Role,
}

/// What this process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It probes, and judges by itself unless the configuration names a hub to report to.
    Agent,
    /// It judges what agents report, and probes nothing.
    Hub,
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
    /// What is seen cannot wait for the hubs.
    #[error(transparent)]
    Spool(#[from] CannotSpool),
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
    let files =
        reload::Source { path: options.config.clone(), net: Arc::clone(&net), vantage: options.vantage.clone() };
    let used = files.content().await;
    let config::Loaded { plan, warnings } = files.read().await.map_err(Stopped::Configuration)?;
    let listener = listen::bind(&options.listen).await?;
    let metrics = Metrics::new(env!("CARGO_PKG_VERSION"));
    metrics.config_reload(true);
    reload::warn(&warnings);
    let address = listener.local_addr().map_or_else(|_| options.listen.clone(), |address| address.to_string());
    let (probes, parties) = (plan.probes.len(), plan.parties.len());

    let observer = Observer::new(Arc::clone(&net), plan.vantage.clone(), Arc::clone(&plan.hash));
    let (plans, plan) = watch::channel(plan);
    let (sink, inbox) = mpsc::channel(FACTS);
    let (wishes, wished) = mpsc::channel(RELOADS);
    let (stop_web, web_stopped) = watch::channel(false);
    let mut parts = Parts::default();

    let ground = Ground { options: &options, address: &address, net: &net, plan: &plan, metrics: &metrics };
    net.kept.stay_in(store::folder_of(&ground.store())?);
    let base = match (options.role, base::hubs(&plan)) {
        (Role::Agent, Some(hubs)) => base::agent(&ground, &hubs, inbox, &mut parts)?,
        _ => base::hub(&ground, inbox, &mut parts).await?,
    };
    tracing::info!("listening on http://{address}, {probes} probes of {parties} parties, facts in {}", base.keeps);
    let web = WebState {
        metrics: Arc::clone(&metrics),
        plan: plan.clone(),
        observer: observer.clone(),
        reload: wishes,
        store: base.store,
        intake: base.intake,
        fleet: base.fleet,
        probing: options.role == Role::Agent,
        view: base.view,
    };
    let hang_ups = signals.reload();
    let reloads = Reloads { source: files, used, plans, metrics: Arc::clone(&metrics), wishes: wished, hang_ups };
    let (stop_engine, engine_stopped) = oneshot::channel::<()>();
    let engine = match options.role {
        Role::Agent => {
            let engine = Engine { observer, metrics, plan, placement: base.placement, sink };
            parts.start("probing", engine.run(async { drop(engine_stopped.await) }))
        }
        // Nobody here sees anything, and yet the inbox stays open until the end.
        Role::Hub => tokio::spawn(async move {
            drop(engine_stopped.await);
            drop(sink);
        }),
    };
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
        // The engine was the last to add to the inbox: what stands below takes what is in it and ends.
        let _ = base.stop.send(true);
        for task in base.tasks {
            let _ = task.await;
        }
        let _ = web.await;
        net.kept.settled().await;
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
