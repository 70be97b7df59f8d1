//! The lane of one probe: at most one run of it is under way. Owns what outlives a run (its series, what it was like
//! last, until when it was asked to be quiet) and one run from permit to delivery; must not know what is due when.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU8, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    sync::{Semaphore, mpsc},
    time::Instant,
};

use super::{Observer, schedule::Planned};
use crate::{
    config::Probe,
    metrics::{ProbeLabels, ProbeSeries},
    model::{Kind, Observation, Outcome, Timestamp},
};

/// A target that asks us to wait longer than this is asked again all the same.
const QUIET_AT_MOST: u64 = 3600;
/// A run that waits for a permit gives up this much before the next is due, which then has a clear lane.
const MARGIN: Duration = Duration::from_millis(5);

/// What all runs under one plan share.
pub(super) struct Crew {
    pub(super) observer: Observer,
    /// As many as may be under way at once.
    pub(super) permits: Semaphore,
    /// Where facts go. When it is full a run waits and keeps its permit: facts are not lost, and the rounds that
    /// cannot run meanwhile are counted as missed.
    pub(super) sink: mpsc::Sender<Observation>,
}

/// One probe as long as its definition stays.
pub(super) struct Lane {
    pub(super) probe: Arc<Probe>,
    pub(super) labels: ProbeLabels,
    series: ProbeSeries,
    state: AtomicU8,
    last: AtomicU8,
    quiet_until: AtomicI64,
}

const IDLE: u8 = 0;
const RUNNING: u8 = 1;
const RUNNING_FIRST: u8 = 2;
const NOT_SEEN: u8 = u8::MAX;

impl Lane {
    pub(super) fn new(probe: Arc<Probe>, labels: ProbeLabels, series: ProbeSeries) -> Self {
        Self {
            probe,
            labels,
            series,
            state: AtomicU8::new(IDLE),
            last: AtomicU8::new(NOT_SEEN),
            quiet_until: AtomicI64::new(i64::MIN),
        }
    }

    /// Counts rounds that did not run.
    pub(super) fn missed(&self, rounds: u64) {
        if rounds > 0 {
            self.series.missed(rounds);
        }
    }

    /// Takes the lane for a run, or counts the run as missed: the one before is still under way, or the target has
    /// asked us to wait.
    pub(super) fn enter(self: &Arc<Self>, run: &Planned<Arc<Self>>) -> Option<Taken> {
        self.missed(run.missed);
        if run.due.scheduled_at.timestamp_micros() < self.quiet_until.load(Relaxed) {
            self.missed(1);
            return None;
        }
        let wanted = if run.first { RUNNING_FIRST } else { RUNNING };
        match self.state.compare_exchange(IDLE, wanted, Relaxed, Relaxed) {
            Ok(_) => Some(Taken(Arc::clone(self))),
            // The extra first run stands for the round that it runs into.
            Err(RUNNING_FIRST) => None,
            Err(_) => {
                self.missed(1);
                None
            }
        }
    }

    fn note(&self, seen: &Observation, now: Timestamp) {
        self.series.record(seen);
        if let (Some(Kind::RateLimited), Some(wait)) =
            (seen.failure.as_ref().map(|failure| failure.kind), seen.retry_after)
        {
            let wait = i64::try_from(wait.min(QUIET_AT_MOST)).unwrap_or(0) * 1_000_000;
            self.quiet_until.store(now.timestamp_micros() + wait, Relaxed);
        }
        let before = self.last.swap(seen.outcome as u8, Relaxed);
        if before == seen.outcome as u8 {
            return;
        }
        let (probe, outcome) = (&*seen.probe, seen.outcome);
        match (&seen.failure, outcome) {
            (_, Outcome::Up) if before == NOT_SEEN => tracing::debug!("probe {probe} is up"),
            (None, _) => tracing::info!("probe {probe} is {outcome}"),
            (Some(failure), _) => tracing::warn!("probe {probe} is {outcome}: {failure}"),
        }
    }
}

/// A lane that a run has taken; free again when this is dropped, however the run ends.
pub(super) struct Taken(Arc<Lane>);

impl Taken {
    /// Runs: waits for a permit for as long as the run has patience, observes, records, delivers.
    pub(super) async fn run(self, crew: Arc<Crew>, run: Planned<Arc<Lane>>) {
        let asked = Instant::now();
        let lane = &*self.0;
        let permit = match crew.permits.try_acquire() {
            Ok(permit) => permit,
            Err(_) => match tokio::time::timeout(run.patience.saturating_sub(MARGIN), crew.permits.acquire()).await {
                Ok(Ok(permit)) => permit,
                _ => return lane.missed(1),
            },
        };
        lane.series.late(run.late + asked.elapsed());
        for seen in crew.observer.observe(&lane.probe, run.due).await {
            lane.note(&seen.observation, crew.observer.clock.wall());
            // The other end is gone only when the process stops.
            let _ = crew.sink.send(seen.observation).await;
        }
        drop(permit);
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.state.store(IDLE, Relaxed);
    }
}
