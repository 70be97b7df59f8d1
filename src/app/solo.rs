//! A region that no hub takes anything of: one of its nodes judges what is seen there and tells people, until a hub answers again and
//! takes over what was told. Owns when that begins and ends; must not know how anything is judged or sent.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    config::Plan,
    hub::{self, Alone, Hub, Pace, View},
    metrics::Metrics,
    model::{Handover, Incident, IncidentState, Letter, LetterKind, Timestamp, ToldAlone},
    net::Net,
    notify,
    store::{Store, StoreError},
    uplink::{Line, Mode},
};

/// What the store of a region that judges alone is called, beside the spool.
const STORE: &str = "solo.db";
/// Observations that wait for whoever judges.
const FACTS: usize = 4096;
/// Those of a region that do not speak for it let the one go first that does.
const AFTER_YOU: Duration = Duration::from_secs(3);
/// From one attempt to hand over to the next.
const AGAIN: Duration = Duration::from_secs(1);
/// Incidents that are handed over began no longer ago.
const REACH: chrono::Days = chrono::Days::new(1);

/// What it takes to judge alone.
pub(super) struct Solo {
    pub(super) line: Line,
    pub(super) plan: watch::Receiver<Arc<Plan>>,
    pub(super) net: Arc<Net>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) view: watch::Sender<View>,
    /// The folder of the spool.
    pub(super) folder: PathBuf,
}

impl Solo {
    /// Whether the process before was judging alone when it ended.
    pub(super) fn was_alone(&self) -> bool {
        self.store().exists()
    }

    /// Watches until `stop` turns true.
    pub(super) async fn watch(self, mut stop: watch::Receiver<bool>) {
        let mut was_alone = self.was_alone();
        let began = Instant::now();
        loop {
            if !was_alone {
                tokio::select! {
                    () = self.unheard_for_long(began) => {}
                    _ = stop.wait_for(|stop| *stop) => return,
                }
            }
            let mode = if was_alone || self.line.speaks() { Mode::Alone } else { Mode::Quiet };
            was_alone = false;
            self.line.go(mode);
            self.metrics.solo(true);
            match mode {
                Mode::Alone => {
                    tracing::warn!("no hub has taken anything for too long: this node judges its region alone");
                    if !self.alone(&mut stop).await {
                        return;
                    }
                }
                _ => {
                    tracing::warn!("no hub has taken anything for too long: another node judges this region alone");
                    let mut answered = self.line.answered();
                    answered.mark_unchanged();
                    tokio::select! {
                        _ = answered.changed() => {}
                        _ = stop.wait_for(|stop| *stop) => return,
                    }
                    sleep(AFTER_YOU).await;
                }
            }
            tracing::info!("a hub takes again what is seen here");
            self.metrics.solo(false);
            self.line.go(Mode::Together);
        }
    }

    /// Returns when no hub has taken anything for as long as the configuration says.
    async fn unheard_for_long(&self, began: Instant) {
        loop {
            let Some(patience) = self.plan.borrow().hubs.as_ref().map(|hubs| hubs.solo_after) else {
                // Taken out of the configuration: until the next start.
                return std::future::pending().await;
            };
            let last = self.line.answered().borrow().unwrap_or(began);
            if last + patience <= Instant::now() {
                return;
            }
            sleep_until(last + patience).await;
        }
    }

    /// Judges alone until a hub has taken over. Says whether to go on.
    async fn alone(&self, stop: &mut watch::Receiver<bool>) -> bool {
        let mut answered = self.line.answered();
        answered.mark_unchanged();
        loop {
            let Some((store, judging, end)) = self.judge().await else { return true };
            tokio::select! {
                _ = answered.changed() => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
            let _ = self.line.listen(None);
            let _ = end.send(true);
            let _ = judging.await;
            if *stop.borrow() {
                // The next process finds the store and goes on.
                return false;
            }
            if self.hand_over(&store, &mut answered).await {
                drop(store);
                self.forget();
                self.view.send_replace(View::default());
                return true;
            }
        }
    }

    /// Starts a hub for this region alone.
    async fn judge(&self) -> Option<(Store, JoinHandle<()>, watch::Sender<bool>)> {
        let store = match Store::open_apart(self.store().to_string_lossy().into_owned()).await {
            Ok(store) => store,
            Err(error) => {
                tracing::error!("{error}: judging alone in memory");
                Store::open_apart("sqlite::memory:".to_owned()).await.ok()?
            }
        };
        let http = notify::http_client(&self.net.trust).ok()?;
        let plan = self.plan.borrow().clone();
        let patience = plan.hubs.as_ref().map(|hubs| hubs.solo_after).unwrap_or_default();
        let (judge, inbox) = mpsc::channel(FACTS);
        let lately = self.line.listen(Some(judge));
        if let Err(error) = store.append(&lately).await {
            tracing::error!("{error}: judging alone begins with nothing");
        }
        let region = Arc::clone(&plan.vantage.region);
        let since = chrono::Utc::now() - patience;
        let hub = Hub {
            name: "solo".into(),
            plan: self.plan.clone(),
            store: store.clone(),
            inbox,
            arrived: None,
            fleet: None,
            alone: Some(Alone { region, since, told: self.line.open() }),
            view: self.view.clone(),
            metrics: Arc::clone(&self.metrics),
            http,
            pace: Pace::default(),
        };
        let (end, ended) = watch::channel(false);
        Some((store, tokio::spawn(hub::run(hub, ended)), end))
    }

    /// Says whether a hub has taken over; otherwise there is none again.
    async fn hand_over(&self, store: &Store, answered: &mut watch::Receiver<Option<Instant>>) -> bool {
        let lost_after = self.plan.borrow().hubs.as_ref().map(|hubs| hubs.solo_after).unwrap_or_default();
        loop {
            let handed = match handover(store.clone(), chrono::Utc::now()).await {
                Ok(handover) => self.line.hand_over(&handover).await,
                Err(error) => Err(error.to_string()),
            };
            match handed {
                Ok(()) => return true,
                Err(why) => tracing::warn!("cannot hand over what was told here: {why}: trying on"),
            }
            if answered.borrow_and_update().is_none_or(|last| last.elapsed() > lost_after) {
                return false;
            }
            sleep(AGAIN).await;
        }
    }

    fn store(&self) -> PathBuf {
        self.folder.join(STORE)
    }

    fn forget(&self) {
        for ending in ["", "-wal", "-shm", "-lock"] {
            let mut name = self.store().into_os_string();
            name.push(ending);
            let _ = std::fs::remove_file(Path::new(&name));
        }
    }
}

/// Everything that people were told of, as it is now.
fn handover(store: Store, now: Timestamp) -> BoxFuture<'static, Result<Handover, StoreError>> {
    Box::pin(async move {
        let mut handover = Handover::default();
        let incidents = store.incidents(now - REACH).await?;
        for incident in incidents.into_iter().filter(|one| one.state != IncidentState::Suspected) {
            let incident = as_told(&store, incident, &mut handover.told).await?;
            handover.incidents.push(incident);
        }
        Ok(handover)
    })
}

/// An incident with those who have heard of it, and what they have heard.
async fn as_told(store: &Store, mut incident: Incident, told: &mut Vec<ToldAlone>) -> Result<Incident, StoreError> {
    for channel in std::mem::take(&mut incident.told) {
        let thread = Arc::clone(incident.thread(&channel));
        let standing = store.standing(&channel, &thread).await?;
        // What was written and not sent was told to nobody.
        if standing.letter.is_none() && standing.mark.is_none() {
            continue;
        }
        let mark = standing.mark.map(|mark| (mark.by, mark.place));
        told.push(ToldAlone { channel: Arc::clone(&channel), incident: thread, letter: standing.letter, mark });
        incident.told.push(channel);
    }
    // An end that was not told is left to the hub.
    let is_untold = |(letter, state): &(Letter, String)| {
        letter.kind == LetterKind::Closed && !matches!(state.as_str(), "sent" | "dead")
    };
    if incident.is_over() && store.letters(&incident.id).await?.iter().any(is_untold) {
        (incident.state, incident.closed_at) = (IncidentState::Recovering, None);
    }
    Ok(incident)
}
