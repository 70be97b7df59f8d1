//! The series of a connection that is held: whether it is open and since when, how it ended, how long it took to come
//! back.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{
    histogram::{Histogram, Scale},
    lock,
    probe::ProbeSeries,
};
use crate::model::Kind;

/// What the keeper of a session says of it.
#[derive(Debug)]
pub struct SessionSeries {
    probe: ProbeSeries,
    session: Arc<Session>,
}

/// The figures of the session of one probe.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// Whether it has been tried to open it: before that there is nothing to say.
    tried: AtomicBool,
    since: Mutex<Option<Instant>>,
    pub(super) drops: Mutex<BTreeMap<Kind, u64>>,
    pub(super) reconnects: Mutex<Option<Box<Histogram>>>,
}

impl SessionSeries {
    pub(super) fn new(probe: ProbeSeries) -> Self {
        let session = Arc::new(Session::default());
        *lock(&probe.series().session) = Some(Arc::clone(&session));
        Self { probe, session }
    }

    /// It is open; when it had been so before, with the time that this took.
    pub fn opened(&self, again_after: Option<Duration>) {
        self.set(Some(Instant::now()));
        if let Some(took) = again_after {
            lock(&self.session.reconnects)
                .get_or_insert_with(|| Box::new(Histogram::new(Scale::Latency)))
                .observe(took);
        }
    }

    /// It could not be opened.
    pub fn down(&self) {
        self.set(None);
    }

    /// It was ended, and not by us.
    pub fn dropped(&self, kind: Kind) {
        self.set(None);
        *lock(&self.session.drops).entry(kind).or_default() += 1;
    }

    /// We have ended it.
    pub fn ended_by_us(&self) {
        self.set(None);
    }

    /// Nobody keeps it any more: its series vanish, unless another keeper has taken over.
    pub fn is_over(&self) {
        let mut present = lock(&self.probe.series().session);
        if present.as_ref().is_some_and(|present| Arc::ptr_eq(present, &self.session)) {
            *present = None;
        }
    }

    fn set(&self, since: Option<Instant>) {
        *lock(&self.session.since) = since;
        self.session.tried.store(true, Relaxed);
    }
}

impl Session {
    /// 1 while it is open, 0 while it is not; nothing before the first try.
    pub(super) fn up(&self) -> Option<f64> {
        self.tried.load(Relaxed).then(|| f64::from(u8::from(lock(&self.since).is_some())))
    }

    /// For how long it has been open.
    pub(super) fn age(&self) -> Option<f64> {
        lock(&self.since).map(|since| since.elapsed().as_secs_f64())
    }
}
