//! The lane of one probe: at most one run of it is under way. Owns what outlives a run (its series, what it was like
//! last, until when it was asked to be quiet) and one run from permit to delivery; must not know what is due when.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU8, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    sync::{Semaphore, mpsc},
    time::Instant,
};

use super::{
    Due, Mark, Observer,
    budget::Budget,
    confirm::Burst,
    schedule::Planned,
    session::{Keeper, Seat},
};
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
    /// Where failures go that are to be confirmed. When it is full they are not.
    pub(super) confirm: mpsc::Sender<Burst>,
}

/// One probe as long as its definition stays.
pub(super) struct Lane {
    pub(super) probe: Arc<Probe>,
    /// What confirmations may cost the host.
    pub(super) budget: Arc<Budget>,
    series: ProbeSeries,
    state: AtomicU8,
    last: AtomicU8,
    quiet_until: AtomicI64,
    /// Whether the last conclusive round was bad, over a cold and over a warm connection.
    bad: [AtomicBool; 2],
    confirmed: Mutex<Option<Instant>>,
    /// Where the keeper of the session is met, of a probe that holds one.
    seat: Option<Arc<Seat>>,
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.leave();
    }
}

const IDLE: u8 = 0;
const RUNNING: u8 = 1;
const RUNNING_FIRST: u8 = 2;
const NOT_SEEN: u8 = u8::MAX;

impl Lane {
    pub(super) fn new(probe: Arc<Probe>, series: ProbeSeries, budget: Arc<Budget>) -> Self {
        Self {
            probe,
            budget,
            series,
            state: AtomicU8::new(IDLE),
            last: AtomicU8::new(NOT_SEEN),
            quiet_until: AtomicI64::new(i64::MIN),
            bad: Default::default(),
            confirmed: Mutex::default(),
            seat: None,
        }
    }

    /// The labels of its series.
    pub(super) fn labels(&self) -> &ProbeLabels {
        self.series.labels()
    }

    /// The keeper of the connection that the probe holds, if it does; to be asked for once.
    pub(super) fn keeper(&mut self) -> Option<Keeper> {
        self.probe.session.filter(|_| self.probe.check.hold().is_some())?;
        let seat = Arc::clone(self.seat.insert(Arc::default()));
        let slots = Arc::clone(&self.budget.returning);
        Some(Keeper::new(Arc::clone(&self.probe), self.series.session(), seat, slots))
    }

    /// Whether a round asks on an open connection.
    pub(super) fn holds_a_session(&self) -> bool {
        self.seat.is_some()
    }

    /// Ends the session that the probe holds, if it does.
    pub(super) fn leave(&self) {
        if let Some(seat) = &self.seat {
            seat.leave();
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

    /// Counts a confirmation, and nothing else: it is no round.
    pub(super) fn note_confirmation(&self, seen: &Observation, now: Timestamp) {
        self.series.confirmed(seen);
        self.heed(seen, now);
    }

    /// Hears when the target has too many requests.
    fn heed(&self, seen: &Observation, now: Timestamp) {
        self.budget.heed(seen);
        if let (Some(Kind::RateLimited), Some(wait)) =
            (seen.failure.as_ref().map(|failure| failure.kind), seen.retry_after)
        {
            let wait = i64::try_from(wait.min(QUIET_AT_MOST)).unwrap_or(0) * 1_000_000;
            self.quiet_until.store(now.timestamp_micros() + wait, Relaxed);
        }
    }

    fn note(&self, seen: &Observation, now: Timestamp) {
        self.series.record(seen);
        self.heed(seen, now);
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

/// What is known of a run when it has failed and may be confirmed.
struct Ran<'a> {
    crew: &'a Arc<Crew>,
    due: Due,
    /// Our own health when it began.
    mark: Mark,
    /// Whether it ran when it was due, after the one before it.
    in_time: bool,
}

impl Lane {
    /// Has the first bad round after a good one confirmed, or the first of all: not too often, and not while we are
    /// late for our own rounds.
    fn confirm(self: &Arc<Self>, seen: &Observation, ran: &Ran<'_>) {
        let bad = match seen.outcome {
            Outcome::Inconclusive => return,
            outcome => outcome == Outcome::Down,
        };
        let was_bad = self.bad[seen.connection as usize].swap(bad, Relaxed);
        let Some(confirm) = self.probe.confirm.filter(|_| bad && !was_bad && ran.in_time) else { return };
        if self.budget.is_throttled() || ran.crew.permits.available_permits() == 0 {
            return;
        }
        let at = Instant::now();
        let mut confirmed = self.confirmed.lock().unwrap_or_else(PoisonError::into_inner);
        if confirmed.is_some_and(|last| at.duration_since(last) < confirm.per) {
            return;
        }
        let (lane, crew, failed) = (Arc::clone(self), Arc::clone(ran.crew), seen.clone());
        let burst = Burst { lane, crew, confirm, due: ran.due, failed, mark: ran.mark, at };
        if ran.crew.confirm.try_send(burst).is_ok() {
            *confirmed = Some(at);
        }
    }
}

/// A lane that a run has taken; free again when this is dropped, however the run ends.
pub(super) struct Taken(Arc<Lane>);

impl Taken {
    /// Runs: waits for a permit for as long as the run has patience, observes, records, delivers.
    pub(super) async fn run(self, crew: Arc<Crew>, run: Planned<Arc<Lane>>) {
        let asked = Instant::now();
        let lane = &self.0;
        let mut in_time = run.missed == 0;
        let permit = match crew.permits.try_acquire() {
            Ok(permit) => permit,
            Err(_) => match tokio::time::timeout(run.patience.saturating_sub(MARGIN), crew.permits.acquire()).await {
                Ok(Ok(permit)) => {
                    in_time = false;
                    permit
                }
                _ => return lane.missed(1),
            },
        };
        lane.series.late(run.late + asked.elapsed());
        let ran = Ran { crew: &crew, due: run.due, mark: crew.observer.health.mark(), in_time };
        let seen = match &lane.seat {
            Some(seat) => seat.round(Arc::clone(&crew), run.due).await,
            None => crew.observer.observe(&lane.probe, run.due).await,
        };
        if seen.is_empty() {
            lane.missed(1);
        }
        for seen in seen {
            lane.note(&seen.observation, crew.observer.clock.wall());
            lane.confirm(&seen.observation, &ran);
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
