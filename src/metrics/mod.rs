//! Our own figures for Prometheus: the only floor that names a metric (`docs/METRICS.md` lists them, a golden file
//! holds them). Everybody else says what happened; nothing here waits, and a scrape never holds up a probe: it takes
//! the list of series under a short lock and encodes from that.

mod encode;
mod fleet;
mod histogram;
mod probe;
mod process;
mod session;
mod uplink;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub use encode::{EncodeError, Format};
pub use probe::{ProbeLabels, ProbeSeries};
pub use session::SessionSeries;

/// Everything that `/metrics` shows.
pub struct Metrics {
    build: Build,
    process: process::Process,
    probes: Mutex<BTreeMap<Arc<ProbeLabels>, ProbeSeries>>,
    fleet: Mutex<fleet::Fleet>,
}

/// What `usoryou_build_info` says.
#[derive(Debug, Clone)]
struct Build {
    version: Arc<str>,
}

impl Metrics {
    /// An empty set of figures; `build_version` goes into `usoryou_build_info`.
    #[must_use]
    pub fn new(build_version: &str) -> Arc<Self> {
        Arc::new(Self {
            build: Build { version: build_version.into() },
            process: process::Process::find(),
            probes: Mutex::default(),
            fleet: Mutex::default(),
        })
    }

    /// The series of one probe at one vantage point: made when a plan is loaded, kept by whoever runs the probe. Asking
    /// again for the same labels gives the same series.
    #[must_use]
    pub fn probe(&self, labels: &ProbeLabels) -> ProbeSeries {
        let mut probes = lock(&self.probes);
        if let Some(known) = probes.get(labels) {
            return known.clone();
        }
        let labels = Arc::new(labels.clone());
        let series = ProbeSeries::new(Arc::clone(&labels));
        probes.insert(labels, series.clone());
        series
    }

    /// Makes all series of a probe vanish. A run that is still under way may go on recording; nobody sees it.
    pub fn forget(&self, labels: &ProbeLabels) {
        lock(&self.probes).remove(labels);
    }

    /// The same for every probe that is not in `keep`.
    pub fn retain(&self, keep: &BTreeSet<ProbeLabels>) {
        lock(&self.probes).retain(|labels, _| keep.contains(&**labels));
    }

    /// Whether any probe has run since the start.
    #[must_use]
    pub fn anything_has_run(&self) -> bool {
        lock(&self.probes).values().any(|probe| probe.series().last_run().is_some())
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").field("build", &self.build).finish_non_exhaustive()
    }
}

/// Nothing here can leave a figure half written, so a panic elsewhere does not make it unusable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
