//! The series of one probe. Recording takes no lock that a scrape holds for long and, once an outcome or phase has been
//! seen, allocates nothing.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use super::{
    histogram::Histogram,
    lock,
    session::{Session, SessionSeries},
};
use crate::model::{Arrival, Came, Connection, Failure, Kind, Observation, Outcome, Phase, Varied};

/// Upper bounds in seconds for anything that a network does.
pub(super) const LATENCY: [f64; 15] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Upper bounds in seconds for our own lateness, which should be far below a network's.
const LATENESS: [f64; 12] = [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.02, 0.05, 0.25, 1.0, 5.0];
/// The labels on every series of a probe. Their values come from the configuration only.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProbeLabels {
    /// Party that answers for the target.
    pub party: Arc<str>,
    /// Product of the party; an empty label where there is none.
    pub product: Option<Arc<str>>,
    /// Name of the probe.
    pub probe: Arc<str>,
    /// Key of the check.
    pub protocol: Arc<str>,
    /// Region of the vantage point.
    pub region: Arc<str>,
    /// Node of the vantage point.
    pub node: Arc<str>,
}

impl ProbeLabels {
    /// The labels of the series that an observation belongs to.
    #[must_use]
    pub fn of(seen: &Observation) -> Self {
        Self {
            party: Arc::clone(&seen.party),
            product: seen.product.clone(),
            probe: Arc::clone(&seen.probe),
            protocol: Arc::clone(&seen.protocol),
            region: Arc::clone(&seen.region),
            node: Arc::clone(&seen.node),
        }
    }
}

/// The series of one probe at one vantage point; clones share them.
#[derive(Debug, Clone)]
pub struct ProbeSeries(Arc<Series>);

#[derive(Debug)]
pub(super) struct Series {
    pub(super) labels: ProbeLabels,
    pub(super) durations: [[OnceLock<Box<Histogram>>; CONNECTIONS.len()]; Outcome::ALL.len()],
    pub(super) phases: [[OnceLock<Box<Histogram>>; CONNECTIONS.len()]; Phase::ALL.len()],
    pub(super) runs: [AtomicU64; Outcome::ALL.len()],
    pub(super) failures: Mutex<BTreeMap<(Phase, Kind), u64>>,
    pub(super) confirmations: Mutex<BTreeMap<(Varied, Outcome), u64>>,
    pub(super) deliveries: Mutex<BTreeMap<Arc<str>, Deliveries>>,
    pub(super) missed: AtomicU64,
    pub(super) lateness: Histogram,
    pub(super) session: Mutex<Option<Arc<Session>>>,
    up: AtomicU8,
    last_run_micros: AtomicI64,
    certificate_expiry: AtomicI64,
}

/// Regions that are told apart by who wrote a message; the rest are counted together.
const WRITER_REGIONS: usize = 32;
const OTHER_WRITERS: &str = "other";

pub(super) const CONNECTIONS: [Connection; 2] = [Connection::Cold, Connection::Warm];
/// Stands for "nothing yet" where an instant is kept.
const NEVER: i64 = i64::MIN;
const UP_UNKNOWN: u8 = 2;

impl ProbeSeries {
    pub(super) fn new(labels: ProbeLabels) -> Self {
        Self(Arc::new(Series {
            labels,
            durations: Default::default(),
            phases: Default::default(),
            runs: Default::default(),
            failures: Mutex::default(),
            confirmations: Mutex::default(),
            deliveries: Mutex::default(),
            missed: AtomicU64::new(0),
            lateness: Histogram::new(&LATENESS),
            session: Mutex::default(),
            up: AtomicU8::new(UP_UNKNOWN),
            last_run_micros: AtomicI64::new(NEVER),
            certificate_expiry: AtomicI64::new(NEVER),
        }))
    }

    /// Counts one observation of the probe.
    pub fn record(&self, seen: &Observation) {
        let series = &*self.0;
        let connection = seen.connection as usize;
        let latency = |slot: &OnceLock<Box<Histogram>>, took: Duration| {
            slot.get_or_init(|| Box::new(Histogram::new(&LATENCY))).observe(took.as_secs_f64());
        };
        latency(&series.durations[seen.outcome as usize][connection], seen.duration);
        for (phase, took) in seen.phases.iter() {
            latency(&series.phases[phase as usize][connection], took);
        }
        series.runs[seen.outcome as usize].fetch_add(1, Relaxed);
        if let Some(Failure { phase, kind, .. }) = seen.failure {
            *lock(&series.failures).entry((phase, kind)).or_default() += 1;
        }
        for arrival in &seen.arrivals {
            series.delivered(arrival);
        }
        let up = match seen.outcome {
            Outcome::Up | Outcome::Degraded => 1,
            Outcome::Down => 0,
            Outcome::Inconclusive => UP_UNKNOWN,
        };
        series.up.store(up, Relaxed);
        series.last_run_micros.store(seen.started_at.unwrap_or(seen.scheduled_at).timestamp_micros(), Relaxed);
        if let Some(end) = seen.tls.as_ref().and_then(|tls| tls.not_after) {
            series.certificate_expiry.store(end.timestamp(), Relaxed);
        }
    }

    /// Counts a confirmation; it is no run.
    pub fn confirmed(&self, seen: &Observation) {
        if let Some(varied) = seen.varied {
            *lock(&self.0.confirmations).entry((varied, seen.outcome)).or_default() += 1;
        }
    }

    /// Counts runs that were due and did not take place.
    pub fn missed(&self, runs: u64) {
        self.0.missed.fetch_add(runs, Relaxed);
    }

    /// The series of the connection that the probe holds, for whoever keeps it.
    #[must_use]
    pub fn session(&self) -> SessionSeries {
        SessionSeries::new(self.clone())
    }

    /// Notes how much later than due a run began.
    pub fn late(&self, by: Duration) {
        self.0.lateness.observe(by.as_secs_f64());
    }

    pub(super) fn series(&self) -> &Series {
        &self.0
    }
}

/// What became of the messages that one region wrote.
#[derive(Debug, Clone)]
pub(super) struct Deliveries {
    pub(super) seconds: Arc<Histogram>,
    pub(super) came: [u64; Came::ALL.len()],
}

impl Series {
    /// The name of a region stands in the message, which anybody may have written: there are only so many.
    fn delivered(&self, arrival: &Arrival) {
        let mut deliveries = lock(&self.deliveries);
        let is_new = !deliveries.contains_key(&arrival.writer_region);
        let writer = if is_new && arrival.writer_region != self.labels.region && deliveries.len() >= WRITER_REGIONS {
            OTHER_WRITERS.into()
        } else {
            Arc::clone(&arrival.writer_region)
        };
        let none = || Deliveries { seconds: Arc::new(Histogram::new(&LATENCY)), came: Default::default() };
        let known = deliveries.entry(writer).or_insert_with(none);
        known.came[arrival.came as usize] += 1;
        if let Some(took) = arrival.took() {
            known.seconds.observe(took.as_secs_f64());
        }
    }

    /// 1 or 0; nothing while the last run was inconclusive.
    pub(super) fn up(&self) -> Option<f64> {
        match self.up.load(Relaxed) {
            UP_UNKNOWN => None,
            up => Some(f64::from(up)),
        }
    }

    /// When the last run began, as a Unix time.
    #[expect(clippy::cast_precision_loss, reason = "microseconds since 1970 fit a double for 285 years")]
    pub(super) fn last_run(&self) -> Option<f64> {
        known(&self.last_run_micros).map(|micros| micros as f64 / 1e6)
    }

    /// When the certificate seen last ends, as a Unix time.
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit a double")]
    pub(super) fn certificate_expiry(&self) -> Option<f64> {
        known(&self.certificate_expiry).map(|seconds| seconds as f64)
    }
}

fn known(instant: &AtomicI64) -> Option<i64> {
    Some(instant.load(Relaxed)).filter(|at| *at != NEVER)
}
