//! The way from an agent to its hubs: observations go to a spool on the local disk first, and from there in batches to
//! one of several hubs, until one has taken them. Must not know how anything was measured or is judged.
//!
//! Two tasks share the spool: one writes down what was seen, the other sends. Neither waits for the network with the
//! spool in its hands, and probing waits for neither.

mod answer;
mod clock;
mod known;
mod line;
mod record;
mod send;
mod spool;
mod way;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, mpsc, watch},
    time::sleep,
};
use url::Url;

pub use answer::{BUILD, CLOCK, CONFIG, NODE, REGION, Refusal, Region, SENT_AT, SOLO, Taken};
pub use line::{Line, Mode};
pub use spool::CannotSpool;

use crate::{
    metrics::Metrics,
    model::{Observation, Secret, Vantage},
    net::Trust,
};
use spool::{Loss, Spool};

/// Where the hubs are, what they know this agent by, and what waits for them where.
#[derive(Debug, Clone)]
pub struct Hubs {
    /// Addresses; the first that answers is kept to.
    pub urls: Vec<Url>,
    /// What the hubs know this agent by.
    pub token: Secret,
    /// The folder of the spool.
    pub spool: PathBuf,
    /// Bytes that the spool may take.
    pub max_bytes: u64,
    /// How long an observation may wait.
    pub max_age: Duration,
    /// When no hub has taken anything for so long, the region judges by itself.
    pub solo_after: Duration,
    /// How the hubs are known, and this agent by them.
    pub tls: HubTls,
    /// Where this agent looks from.
    pub vantage: Vantage,
    /// Hash of the configuration that it runs.
    pub config: Arc<str>,
}

/// How hubs are known, and an agent by them, where they are reached over TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HubTls {
    /// Authorities to trust besides the known ones.
    pub ca_file: Option<PathBuf>,
    /// The agent's own certificate.
    pub client_cert_file: Option<PathBuf>,
    /// The key of that.
    pub client_key_file: Option<PathBuf>,
}

/// What an uplink works with.
pub struct Uplink {
    spool: Arc<Mutex<Spool>>,
    metrics: Arc<Metrics>,
    http: reqwest::Client,
    line: Line,
}

/// Observations written down at once.
const BATCH: usize = 2000;
/// How long observations are collected before they are written down together: a crash of the machine loses no more.
const COLLECT: Duration = Duration::from_millis(200);
/// How long a hub may take to be reached …
const CONNECTED_WITHIN: Duration = Duration::from_secs(5);
/// … and to answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(20);
/// What sending gets when the process ends.
const LAST_WORDS: Duration = Duration::from_millis(1500);

impl Uplink {
    /// Opens the spool, with what the process before has left in it.
    ///
    /// # Errors
    /// When the spool cannot be used, or no connection could be made securely.
    pub fn open(hubs: &Hubs, trust: &Trust, metrics: Arc<Metrics>) -> Result<Self, CannotSpool> {
        let cannot = |why: String| CannotSpool::new(&hubs.spool, why);
        let trust = hubs.tls.ca_file.as_ref().map_or_else(|| Ok(trust.clone()), |file| trust.with_file(file));
        let mine = hubs.tls.client_cert_file.as_deref().zip(hubs.tls.client_key_file.as_deref());
        let tls = trust.and_then(|trust| trust.client_config_with(mine)).map_err(cannot)?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(concat!("usoryou/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECTED_WITHIN)
            .timeout(ANSWERED_WITHIN)
            .build()
            .map_err(|error| cannot(error.without_url().to_string()))?;
        let (spool, loss) = Spool::open(&hubs.spool, hubs.max_bytes, hubs.max_age)?;
        let line = Line::new(hubs, http.clone());
        let uplink = Self { spool: Arc::new(Mutex::new(spool)), metrics, http, line };
        note(&uplink.metrics, &loss);
        uplink.show();
        Ok(uplink)
    }

    /// What others need to know of the way to the hubs.
    #[must_use]
    pub fn line(&self) -> Line {
        self.line.clone()
    }

    /// Takes what was seen until nobody is left who could see anything, writes it down, and sends it all the while to the
    /// hubs that are in force.
    pub async fn run(self, facts: mpsc::Receiver<Observation>, hubs: watch::Receiver<Option<Hubs>>) {
        let uplink = Arc::new(self);
        let more = Arc::new(Notify::new());
        let (stop, stopped) = watch::channel(false);
        let mut sending = tokio::spawn(send::send(Arc::clone(&uplink), hubs, Arc::clone(&more), stopped));
        uplink.write_down(facts, &more).await;
        let _ = stop.send(true);
        more.notify_one();
        if tokio::time::timeout(LAST_WORDS, &mut sending).await.is_err() {
            // What was not sent is on the disk.
            sending.abort();
        }
    }

    async fn write_down(&self, mut facts: mpsc::Receiver<Observation>, more: &Notify) {
        let mut seen = Vec::new();
        let mut well = true;
        while facts.recv_many(&mut seen, BATCH).await > 0 {
            self.line.pass_on(&seen);
            let lines: Vec<Vec<u8>> = seen.drain(..).filter_map(|one| serde_json::to_vec(&one).ok()).collect();
            let (count, spool) = (lines.len() as u64, Arc::clone(&self.spool));
            // The disk may be slow: not on a thread that others need.
            let written = tokio::task::spawn_blocking(move || lock(&spool).append(&lines)).await;
            match written {
                Ok(Ok(loss)) => {
                    if !std::mem::replace(&mut well, true) {
                        tracing::info!("the spool takes observations again");
                    }
                    note(&self.metrics, &loss);
                }
                Ok(Err(error)) => {
                    self.metrics.uplink_dropped("disk", count);
                    if std::mem::replace(&mut well, false) {
                        tracing::error!(
                            "cannot write to the spool: {error}: observations are given up until it can be"
                        );
                    }
                }
                Err(error) => {
                    self.metrics.uplink_dropped("disk", count);
                    tracing::error!("writing to the spool ended badly: {error}");
                }
            }
            self.show();
            more.notify_one();
            sleep(COLLECT).await;
        }
    }

    fn show(&self) {
        let standing = lock(&self.spool).standing();
        self.metrics.uplink_spool(standing.bytes, standing.observations, standing.oldest);
    }
}

fn note(metrics: &Metrics, loss: &Loss) {
    for (reason, count) in [("size", loss.size), ("age", loss.age), ("torn", loss.torn), ("too_large", loss.too_large)]
    {
        if count > 0 {
            metrics.uplink_dropped(reason, count);
            tracing::warn!(observations = count, reason, "observations were given up before a hub took them");
        }
    }
}

/// The spool is whole between any two of its calls, so a panic elsewhere does not make it unusable.
fn lock(spool: &Mutex<Spool>) -> MutexGuard<'_, Spool> {
    spool.lock().unwrap_or_else(PoisonError::into_inner)
}
