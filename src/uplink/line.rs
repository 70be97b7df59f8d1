//! The way to the hubs as others in this process need it: when a hub last took anything, what runs here, and what becomes of a region
//! that no hub takes anything of. Owns what was seen lately, for whoever has to judge alone.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use reqwest::StatusCode;
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use url::Url;

use super::{
    Hubs,
    answer::Region,
    clock::{Clock, Exchange, Offset},
    known::Known,
};
use crate::{
    model::{Handover, Observation, Secret, Subject},
    placement::Placement,
};

/// What was seen lately: so much of it is kept …
const LATELY: usize = 10_000;
/// … for so long.
const LATELY_SINCE: chrono::TimeDelta = chrono::TimeDelta::minutes(15);
/// What a hub gets to take over incidents.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(10);

/// How an agent stands with its hubs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// They take what is seen.
    #[default]
    Together,
    /// They have taken nothing for too long, and another node speaks for the region.
    Quiet,
    /// They have taken nothing for too long, and this node speaks for the region.
    Alone,
}

/// A handle; clones share it.
#[derive(Clone)]
pub struct Line(Arc<Shared>);

struct Shared {
    http: reqwest::Client,
    known: Mutex<Known>,
    clock: Mutex<Clock>,
    lately: Mutex<Lately>,
    mode: watch::Sender<Mode>,
    /// When a hub last took anything, and which.
    answered: watch::Sender<Option<Instant>>,
    by: Mutex<Option<(Url, Secret)>>,
}

#[derive(Default)]
struct Lately {
    seen: VecDeque<Observation>,
    /// Whoever judges alone.
    judge: Option<mpsc::Sender<Observation>>,
}

impl Line {
    pub(super) fn new(hubs: &Hubs, http: reqwest::Client) -> Self {
        Self(Arc::new(Shared {
            http,
            known: Mutex::new(Known::recall(&hubs.spool, &hubs.vantage)),
            clock: Mutex::default(),
            lately: Mutex::default(),
            mode: watch::Sender::default(),
            answered: watch::Sender::default(),
            by: Mutex::default(),
        }))
    }

    /// What runs here, now and later.
    #[must_use]
    pub fn placement(&self) -> watch::Receiver<Placement> {
        self.known().placement()
    }

    /// When a hub last took anything, now and later.
    #[must_use]
    pub fn answered(&self) -> watch::Receiver<Option<Instant>> {
        self.0.answered.subscribe()
    }

    /// Whether this node speaks for its region when no hub does.
    #[must_use]
    pub fn speaks(&self) -> bool {
        self.known().speaks()
    }

    /// What people had been told of by the hub.
    #[must_use]
    pub fn open(&self) -> Vec<Subject> {
        self.known().open()
    }

    /// Goes over to another mode. Whoever speaks for its region looks at everything.
    pub fn go(&self, mode: Mode) {
        self.known().stand_alone(mode == Mode::Alone);
        self.0.mode.send_replace(mode);
    }

    /// Hands what is seen from now on to whoever judges alone; gives what was seen lately.
    #[must_use]
    pub fn listen(&self, judge: Option<mpsc::Sender<Observation>>) -> Vec<Observation> {
        let mut lately = lock(&self.0.lately);
        lately.judge = judge;
        lately.seen.iter().cloned().collect()
    }

    /// Hands incidents to the hub that answered last.
    ///
    /// # Errors
    /// Why it has not taken them.
    pub async fn hand_over(&self, handover: &Handover) -> Result<(), String> {
        let Some((url, token)) = lock(&self.0.by).clone() else { return Err("no hub has answered".to_owned()) };
        let to = format!("{}/api/v1/handover", url.as_str().trim_end_matches('/'));
        let body = serde_json::to_vec(handover).map_err(|error| error.to_string())?;
        let request = self.0.http.post(to).bearer_auth(token.reveal()).timeout(TAKEN_OVER_WITHIN).body(body);
        let answer = request.send().await.map_err(|error| error.without_url().to_string())?;
        match answer.status() {
            StatusCode::OK => Ok(()),
            // A hub of an earlier version, or one that will not have it: trying again changes nothing.
            status @ (StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE) => {
                tracing::error!("the hub will not take over the incidents of this region: it answers {status}");
                Ok(())
            }
            status => Err(format!("it answers {status}")),
        }
    }

    pub(super) fn mode(&self) -> watch::Receiver<Mode> {
        self.0.mode.subscribe()
    }

    /// How often to be heard.
    pub(super) fn pulse(&self) -> Duration {
        self.known().pulse()
    }

    /// Which word of a hub is known.
    pub(super) fn version(&self) -> String {
        self.known().version().to_owned()
    }

    pub(super) fn offset(&self) -> Option<Offset> {
        lock(&self.0.clock).offset(Instant::now())
    }

    /// Notes that a hub took something, and what it said.
    pub(super) fn note(&self, url: &Url, token: &Secret, exchange: Option<&Exchange>, region: Option<Region>) {
        if let Some(exchange) = exchange {
            lock(&self.0.clock).learn(exchange, Instant::now());
        }
        if let Some(region) = region {
            self.known().learn(region);
        }
        *lock(&self.0.by) = Some((url.clone(), token.clone()));
        self.0.answered.send_replace(Some(Instant::now()));
    }

    /// Keeps what was seen for a while, and hands it to whoever judges alone.
    pub(super) fn pass_on(&self, seen: &[Observation]) {
        let mut lately = lock(&self.0.lately);
        let oldest = chrono::Utc::now() - LATELY_SINCE;
        for one in seen {
            if let Some(judge) = &lately.judge {
                // Who judges too slowly misses something; it waits in the spool all the same.
                let _ = judge.try_send(one.clone());
            }
            if lately.seen.len() >= LATELY {
                lately.seen.pop_front();
            }
            lately.seen.push_back(one.clone());
        }
        while lately.seen.front().is_some_and(|first| first.scheduled_at < oldest) {
            lately.seen.pop_front();
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        lock(&self.0.known)
    }
}

/// Nothing here is left half changed, so a panic elsewhere does not make it unusable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
