//! What the hub side tells: verdicts, incidents, notifications, the store, the configuration. Rare events all of them,
//! so one lock over plain numbers does.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    Metrics,
    histogram::{Histogram, Scale},
    lock, uplink,
};
use crate::model::{Cause, FeedState, FeedWord, Incident, Timestamp, Verdict};

/// The state behind the figures of the hub side.
#[derive(Debug, Default)]
pub(super) struct Fleet {
    pub(super) verdicts: Vec<VerdictSeries>,
    pub(super) incidents_open: Option<u64>,
    pub(super) incidents: BTreeMap<(Arc<str>, Cause), u64>,
    pub(super) feeds: Vec<(Arc<str>, FeedWord)>,
    pub(super) feed_lags: BTreeMap<Arc<str>, f64>,
    pub(super) notifications: BTreeMap<(Arc<str>, &'static str), u64>,
    pub(super) outbox: Option<(u64, Duration)>,
    pub(super) config: Option<ConfigReload>,
    pub(super) hub: Option<Hub>,
    pub(super) store: Option<Store>,
    pub(super) uplink: Option<uplink::Uplink>,
    pub(super) intake: Option<uplink::Intake>,
}

/// One series of `usoryou_verdict`.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct VerdictSeries {
    pub(super) party: Arc<str>,
    pub(super) product: Option<Arc<str>>,
    pub(super) cause: Cause,
    pub(super) region: Option<Arc<str>>,
}

#[derive(Debug, Default)]
pub(super) struct ConfigReload {
    pub(super) ok: bool,
    pub(super) success: Option<Timestamp>,
}

#[derive(Debug)]
pub(super) struct Hub {
    pub(super) observations: u64,
    /// Not judged, by reason.
    pub(super) unjudged: BTreeMap<&'static str, u64>,
    pub(super) queue: u64,
    pub(super) rounds: Histogram,
    pub(super) last_round: Option<Timestamp>,
    pub(super) leading: Option<bool>,
    pub(super) verdict_delay: Histogram,
}

impl Default for Hub {
    fn default() -> Self {
        let (rounds, verdict_delay) = (Histogram::new(Scale::Latency), Histogram::new(Scale::Latency));
        let unjudged = BTreeMap::new();
        Self { observations: 0, unjudged, queue: 0, rounds, last_round: None, leading: None, verdict_delay }
    }
}

#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) size: Option<u64>,
    pub(super) append_failures: u64,
    pub(super) dropped: u64,
}

impl Metrics {
    /// Shows the present verdicts, all of them: what is not among them vanishes, and so does the cause of before.
    pub fn verdicts(&self, verdicts: &[Verdict]) {
        let mut series = Vec::with_capacity(verdicts.len());
        for verdict in verdicts {
            let one = |region| VerdictSeries {
                party: verdict.subject.party.clone(),
                product: verdict.subject.product.clone(),
                cause: verdict.cause,
                region,
            };
            if matches!(verdict.cause, Cause::Path | Cause::Probe) && !verdict.regions.is_empty() {
                series.extend(verdict.regions.iter().map(|region| one(Some(region.clone()))));
            } else {
                series.push(one(None));
            }
        }
        // The same series twice would make the whole page unreadable for Prometheus.
        series.sort();
        series.dedup();
        lock(&self.fleet).verdicts = series;
    }

    /// How many incidents are open now.
    pub fn incidents_open(&self, open: usize) {
        lock(&self.fleet).incidents_open = Some(open as u64);
    }

    /// Counts an incident that has opened.
    pub fn incident_opened(&self, party: &Arc<str>, cause: Cause) {
        *lock(&self.fleet).incidents.entry((party.clone(), cause)).or_default() += 1;
    }

    /// Shows how the status pages stand, all of them; the state of before vanishes.
    pub fn status_feeds(&self, states: &[FeedState]) {
        let feeds: Vec<_> = states.iter().map(|state| (state.party.clone(), state.state)).collect();
        let mut fleet = lock(&self.fleet);
        fleet.feed_lags.retain(|party, _| feeds.iter().any(|(known, _)| known == party));
        fleet.feeds = feeds;
    }

    /// How long after the onset of these incidents their parties admitted them, of those that did; the newest counts.
    pub fn status_feed_lags(&self, incidents: &[Incident]) {
        let mut admitted: Vec<_> =
            incidents.iter().filter_map(|one| Some((one, one.admitted_at? - one.onset))).collect();
        admitted.sort_by_key(|(incident, _)| incident.onset);
        let mut fleet = lock(&self.fleet);
        for (incident, lag) in admitted {
            #[expect(clippy::cast_precision_loss, reason = "days in milliseconds are far from what a double loses")]
            let seconds = lag.num_milliseconds() as f64 / 1e3;
            fleet.feed_lags.insert(incident.subject.party.clone(), seconds);
        }
    }

    /// Counts an attempt to send; `result` is one of a closed list of words (`sent`, `retry`, `refused` …).
    pub fn notification(&self, channel: &Arc<str>, result: &'static str) {
        *lock(&self.fleet).notifications.entry((channel.clone(), result)).or_default() += 1;
    }

    /// How many letters wait, and for how long the oldest has.
    pub fn outbox(&self, depth: usize, oldest: Option<Duration>) {
        lock(&self.fleet).outbox = Some((depth as u64, oldest.unwrap_or_default()));
    }

    /// Bytes that the store takes.
    pub fn store_size(&self, bytes: u64) {
        lock(&self.fleet).store.get_or_insert_default().size = Some(bytes);
    }

    /// Counts a batch that the store refused.
    pub fn store_append_failed(&self) {
        lock(&self.fleet).store.get_or_insert_default().append_failures += 1;
    }

    /// Counts observations that were given up because the store could not take them.
    pub fn store_dropped(&self, observations: u64) {
        lock(&self.fleet).store.get_or_insert_default().dropped += observations;
    }

    /// Counts observations that the hub has taken.
    pub fn hub_absorbed(&self, observations: u64) {
        lock(&self.fleet).hub.get_or_insert_default().observations += observations;
    }

    /// Counts an observation that the hub has and does not judge; `reason` is one of a closed list of words.
    pub fn hub_not_judged(&self, reason: &'static str) {
        *lock(&self.fleet).hub.get_or_insert_default().unjudged.entry(reason).or_default() += 1;
    }

    /// How many observations were taken and wait to be written.
    pub fn hub_queue(&self, waiting: usize) {
        lock(&self.fleet).hub.get_or_insert_default().queue = waiting as u64;
    }

    /// Notes a round of judging: when it began and how long it took.
    pub fn hub_round(&self, at: Timestamp, took: Duration) {
        let mut fleet = lock(&self.fleet);
        let hub = fleet.hub.get_or_insert_default();
        hub.rounds.observe(took);
        hub.last_round = Some(at);
    }

    /// Notes how long a batch took from its arrival at a hub to the first judgement with it.
    pub fn hub_verdict_delay(&self, took: Duration) {
        lock(&self.fleet).hub.get_or_insert_default().verdict_delay.observe(took);
    }

    /// Whether this hub is the one that judges and tells.
    pub fn hub_leading(&self, leading: bool) {
        lock(&self.fleet).hub.get_or_insert_default().leading = Some(leading);
    }

    /// Notes whether the configuration read last was taken. The first load counts too.
    pub fn config_reload(&self, ok: bool) {
        let mut fleet = lock(&self.fleet);
        let config = fleet.config.get_or_insert_default();
        config.ok = ok;
        if ok {
            config.success = Some(chrono::Utc::now());
        }
    }
}
