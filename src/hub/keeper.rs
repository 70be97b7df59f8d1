//! The keeper: what is to be written waits here until the store can take it. Bounded: observations beyond the bound are
//! given up, the oldest first, and counted; incidents and letters never are.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, timeout},
};

use super::{Pace, StoreHealth};
use crate::{
    metrics::Metrics,
    model::{Incident, Letter, LetterKind, Observation},
    store::{Store, StoreError},
};

/// Observations that may wait, about a kilobyte each.
const ROOM: usize = 20_000;
/// Observations written at once.
const BATCH: usize = 500;

pub(super) struct Keeper {
    store: Store,
    metrics: Arc<Metrics>,
    pace: Pace,
    backlog: Mutex<Backlog>,
    more: Notify,
    posted: watch::Sender<u64>,
}

#[derive(Default)]
struct Backlog {
    facts: VecDeque<Observation>,
    changes: Changes,
    /// How to write changes: as the leader; nothing while another hub leads.
    leading: Option<Store>,
    /// How often that has changed.
    reign: u64,
    failing: Option<StoreError>,
    /// Since when.
    failing_since: Option<Instant>,
    lost: u64,
    /// Of these, since the store last took everything.
    given_up: u64,
}

/// What is known of incidents and not written yet: the newest state of each.
#[derive(Debug, Clone, Default, PartialEq)]
struct Changes {
    incidents: BTreeMap<Arc<str>, Incident>,
    dropped: BTreeSet<Arc<str>>,
    letters: Vec<Letter>,
}

impl Changes {
    fn is_empty(&self) -> bool {
        self.incidents.is_empty() && self.dropped.is_empty() && self.letters.is_empty()
    }
}

impl Keeper {
    pub(super) fn new(store: Store, metrics: Arc<Metrics>, pace: Pace) -> Self {
        Self { store, metrics, pace, backlog: Mutex::default(), more: Notify::new(), posted: watch::Sender::new(0) }
    }

    /// Changes when letters have been written.
    pub(super) fn posted(&self) -> watch::Receiver<u64> {
        self.posted.subscribe()
    }

    /// Writes changes as the leader from now on, or no longer: what is not written of the reign before is another's now.
    pub(super) fn serve(&self, leading: Option<Store>) {
        let mut backlog = self.backlog();
        backlog.changes = Changes::default();
        backlog.leading = leading;
        backlog.reign += 1;
    }

    /// Takes observations to be written.
    pub(super) fn keep(&self, seen: impl Iterator<Item = Observation>) {
        let mut backlog = self.backlog();
        backlog.facts.extend(seen);
        let over = backlog.facts.len().saturating_sub(ROOM);
        if over > 0 {
            backlog.facts.drain(..over);
            if backlog.give_up(over as u64) {
                tracing::error!("the store takes too little: the oldest observations that wait for it are given up");
            }
            self.metrics.store_dropped(over as u64);
        }
        drop(backlog);
        self.more.notify_one();
    }

    /// Takes the newest state of incidents, and letters, to be written together.
    pub(super) fn record(
        &self,
        incidents: impl Iterator<Item = Incident>,
        dropped: Vec<Arc<str>>,
        letters: Vec<Letter>,
    ) {
        let mut backlog = self.backlog();
        for id in dropped {
            backlog.changes.incidents.remove(&id);
            backlog.changes.dropped.insert(id);
        }
        for incident in incidents {
            // An id that was dropped may have been given again.
            backlog.changes.incidents.insert(incident.id.clone(), incident);
        }
        backlog.changes.letters.extend(letters);
        let anything = !backlog.changes.is_empty();
        drop(backlog);
        if anything {
            self.more.notify_one();
        }
    }

    pub(super) fn health(&self) -> StoreHealth {
        let backlog = self.backlog();
        StoreHealth {
            failing: backlog.failing.as_ref().map(ToString::to_string),
            waiting: backlog.facts.len(),
            lost: backlog.lost,
        }
    }

    /// For how long the store has not taken everything.
    pub(super) fn failing_for(&self) -> Option<Duration> {
        self.backlog().failing_since.map(|since| since.elapsed())
    }

    /// Gives away the letters that tell of something new. Whoever takes them gives back those that nobody got.
    pub(super) fn lend(&self) -> Vec<Letter> {
        let mut backlog = self.backlog();
        let letters = std::mem::take(&mut backlog.changes.letters);
        let (new, rest) = letters.into_iter().partition(|one| one.kind == LetterKind::Opened && !one.edits);
        backlog.changes.letters = rest;
        new
    }

    /// Writes until `stop` turns true, then what is left, within the time that is given for that.
    pub(super) async fn run(&self, mut stop: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                () = self.more.notified() => {}
            }
            // What comes in meanwhile is written in the same transaction; a change of an incident does not wait.
            let hurry = !self.backlog().changes.is_empty();
            if !hurry {
                let _ = timeout(self.pace.write_every, stop.wait_for(|stop| *stop)).await;
            }
            if !self.write().await {
                self.more.notify_one();
                let _ = timeout(self.pace.retry_every, stop.wait_for(|stop| *stop)).await;
            }
        }
        let until = Instant::now() + self.pace.flush_within;
        while !timeout(self.pace.flush_within, self.write()).await.unwrap_or(false) && Instant::now() < until {
            sleep(self.pace.write_every).await;
        }
        let left = self.backlog().facts.len();
        if left > 0 {
            tracing::error!(observations = left, "the store could not take the last observations");
        }
    }

    /// Writes everything that waits. Says whether the store took it.
    async fn write(&self) -> bool {
        // A full disk may refuse a batch and still take an incident, which matters more: each is tried by itself.
        let facts = self.write_facts().await;
        let changes = self.write_changes().await;
        let failing = facts.err().or(changes.err());
        let mut backlog = self.backlog();
        let given_up = if failing.is_none() { backlog.all_taken() } else { 0 };
        match (&failing, &backlog.failing) {
            (Some(error), None) => tracing::error!("{error}: going on in memory"),
            (Some(error), Some(before)) if error != before => tracing::error!("{error}: going on in memory"),
            (None, Some(_)) => tracing::info!(given_up, "the store takes everything again"),
            _ => {}
        }
        let well = failing.is_none();
        backlog.failing_since = failing.is_some().then(|| backlog.failing_since.unwrap_or_else(Instant::now));
        backlog.failing = failing;
        well
    }

    async fn write_facts(&self) -> Result<(), StoreError> {
        loop {
            let batch: Vec<Observation> = {
                let mut backlog = self.backlog();
                let size = backlog.facts.len().min(BATCH);
                backlog.facts.drain(..size).collect()
            };
            if batch.is_empty() {
                return Ok(());
            }
            if let Err(error) = self.store.append(&batch).await {
                self.metrics.store_append_failed();
                let mut backlog = self.backlog();
                for seen in batch.into_iter().rev() {
                    backlog.facts.push_front(seen);
                }
                return Err(error);
            }
            if !self.backlog().changes.is_empty() {
                self.write_changes().await?;
            }
        }
    }

    async fn write_changes(&self) -> Result<(), StoreError> {
        let (changes, leading, reign) = {
            let mut backlog = self.backlog();
            (std::mem::take(&mut backlog.changes), backlog.leading.clone(), backlog.reign)
        };
        let Some(leading) = leading.filter(|_| !changes.is_empty()) else { return Ok(()) };
        let incidents: Vec<Incident> = changes.incidents.values().cloned().collect();
        let dropped: Vec<Arc<str>> = changes.dropped.iter().cloned().collect();
        match leading.apply(&incidents, &dropped, &changes.letters).await {
            Ok(()) => {
                if !changes.letters.is_empty() {
                    self.posted.send_modify(|posted| *posted += 1);
                }
                Ok(())
            }
            // Whoever leads now comes to its own changes, from the same observations.
            Err(StoreError::Deposed) => Ok(()),
            Err(error) => {
                let mut backlog = self.backlog();
                if backlog.reign == reign {
                    backlog.put_back(changes);
                }
                Err(error)
            }
        }
    }

    fn backlog(&self) -> MutexGuard<'_, Backlog> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backlog {
    /// Counts observations that are given up. Says whether that is news.
    const fn give_up(&mut self, count: u64) -> bool {
        let is_news = self.given_up == 0;
        self.lost += count;
        self.given_up += count;
        is_news
    }

    /// The store takes everything: what is given up later is news again. Says how many were.
    const fn all_taken(&mut self) -> u64 {
        std::mem::replace(&mut self.given_up, 0)
    }

    /// Puts back what could not be written, under what has come since.
    fn put_back(&mut self, mut old: Changes) {
        let new = std::mem::take(&mut self.changes);
        for id in &new.dropped {
            old.incidents.remove(id);
        }
        old.incidents.extend(new.incidents);
        old.dropped.extend(new.dropped);
        old.letters.extend(new.letters);
        self.changes = old;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_up_is_said_once_for_each_time_that_the_store_fails() {
        let mut backlog = Backlog::default();
        assert_eq!([backlog.give_up(3), backlog.give_up(2)], [true, false]);
        assert_eq!((backlog.all_taken(), backlog.lost), (5, 5));
        assert_eq!(backlog.all_taken(), 0);
        assert_eq!([backlog.give_up(1), backlog.give_up(1)], [true, false]);
        assert_eq!((backlog.all_taken(), backlog.lost), (2, 7));
    }
}
