//! The series of one probe. Recording takes no lock that a scrape holds for long and, once an outcome or phase has been
//! seen, allocates nothing.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use super::{
    histogram::{Histogram, Scale},
    lock,
    session::{Session, SessionSeries},
};
use crate::model::{Arrival, Came, Connection, Failure, Kind, Observation, Outcome, Phase, Varied};

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
    pub(super) labels: Arc<ProbeLabels>,
    /// In the order in which they were first seen.
    pub(super) latencies: Mutex<Vec<(Of, Histogram)>>,
    pub(super) runs: [AtomicU64; Outcome::ALL.len()],
    pub(super) failures: Mutex<BTreeMap<(Phase, Kind), u64>>,
    pub(super) confirmations: Mutex<BTreeMap<(Varied, Outcome), u64>>,
    pub(super) deliveries: Mutex<BTreeMap<Arc<str>, Deliveries>>,
    pub(super) missed: AtomicU64,
    pub(super) lateness: Mutex<Histogram>,
    pub(super) session: Mutex<Option<Arc<Session>>>,
    up: AtomicU8,
    last_run_micros: AtomicI64,
    certificate_expiry: AtomicI64,
}

/// What a latency is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Of {
    /// A run that came to this.
    Run(Outcome, Connection),
    /// One phase of a run.
    Phase(Phase, Connection),
}

/// Regions that are told apart by who wrote a message; the rest are counted together.
const WRITER_REGIONS: usize = 32;
const OTHER_WRITERS: &str = "other";

/// Stands for "nothing yet" where an instant is kept.
const NEVER: i64 = i64::MIN;
const UP_UNKNOWN: u8 = 2;

impl ProbeSeries {
    pub(super) fn new(labels: Arc<ProbeLabels>) -> Self {
        Self(Arc::new(Series {
            labels,
            latencies: Mutex::default(),
            runs: Default::default(),
            failures: Mutex::default(),
            confirmations: Mutex::default(),
            deliveries: Mutex::default(),
            missed: AtomicU64::new(0),
            lateness: Mutex::new(Histogram::new(Scale::Lateness)),
            session: Mutex::default(),
            up: AtomicU8::new(UP_UNKNOWN),
            last_run_micros: AtomicI64::new(NEVER),
            certificate_expiry: AtomicI64::new(NEVER),
        }))
    }

    /// What is on each of them.
    #[must_use]
    pub fn labels(&self) -> &ProbeLabels {
        &self.0.labels
    }

    /// Counts one observation of the probe.
    pub fn record(&self, seen: &Observation) {
        let series = &*self.0;
        let mut latencies = lock(&series.latencies);
        let mut latency = |of: Of, took: Duration| {
            let at = latencies.iter().position(|(known, _)| *known == of).unwrap_or_else(|| {
                // There are few, and they soon are as many as there will be.
                latencies.reserve_exact(1);
                latencies.push((of, Histogram::new(Scale::Latency)));
                latencies.len() - 1
            });
            latencies[at].1.observe(took);
        };
        latency(Of::Run(seen.outcome, seen.connection), seen.duration);
        for (phase, took) in seen.phases.iter() {
            latency(Of::Phase(phase, seen.connection), took);
        }
        drop(latencies);
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
        lock(&self.0.lateness).observe(by);
    }

    pub(super) fn series(&self) -> &Series {
        &self.0
    }
}

/// What became of the messages that one region wrote.
#[derive(Debug, Clone)]
pub(super) struct Deliveries {
    pub(super) seconds: Histogram,
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
        let none = || Deliveries { seconds: Histogram::new(Scale::Latency), came: Default::default() };
        let known = deliveries.entry(writer).or_insert_with(none);
        known.came[arrival.came as usize] += 1;
        if let Some(took) = arrival.took() {
            known.seconds.observe(took);
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
