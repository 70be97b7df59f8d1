//! Every family: name, help, type, labels, and where its values come from. A family without a series is left out.

mod sessions;
mod uplink;

use std::{
    fmt::Error,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, LabelSetEncoder},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

use crate::{
    metrics::{
        Metrics,
        fleet::Fleet,
        histogram::Histogram,
        lock,
        probe::{Of, ProbeLabels, ProbeSeries, Series},
    },
    model::{Came, Outcome},
};

/// All families of one set of figures.
#[derive(Debug)]
pub(super) struct Catalogue(pub(super) Arc<Metrics>);

impl Collector for Catalogue {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), Error> {
        let mut page = Page(&mut encoder);
        self.own(&mut page)?;
        let probes: Vec<ProbeSeries> = lock(&self.0.probes).values().cloned().collect();
        let probes: Vec<&Series> = probes.iter().map(ProbeSeries::series).collect();
        probe_outcomes(&mut page, &probes)?;
        probe_schedule(&mut page, &probes)?;
        sessions::families(&mut page, &probes)?;
        deliveries(&mut page, &probes)?;
        let fleet = lock(&self.0.fleet);
        judgement(&mut page, &fleet)?;
        telling(&mut page, &fleet)?;
        uplink::families(&mut page, &fleet)?;
        keeping(&mut page, &fleet)
    }
}

impl Catalogue {
    fn own(&self, page: &mut Page<'_, '_>) -> Result<(), Error> {
        let version = Labels(vec![("version", &self.0.build.version)]);
        page.gauges("build_info", "Always 1; the labels say what runs", [(version, 1.0)])?;
        let look = self.0.process.look();
        page.counters("process_cpu_seconds", "Processor time spent, user and system", alone(look.cpu_seconds))?;
        page.gauges("process_resident_memory_bytes", "Memory in use", alone(look.resident_bytes))?;
        page.gauges("process_virtual_memory_bytes", "Address space in use", alone(look.virtual_bytes))?;
        page.gauges("process_open_fds", "Open file descriptors", alone(look.open_fds))?;
        page.gauges("process_max_fds", "File descriptors that may be open", alone(look.max_fds))?;
        page.gauges("process_start_time_seconds", "When the process began, as a Unix time", alone(look.start))
    }
}

fn probe_outcomes(page: &mut Page<'_, '_>, probes: &[&Series]) -> Result<(), Error> {
    let mut latencies: Vec<(&Series, Of, Histogram)> = Vec::new();
    for probe in probes {
        latencies.extend(lock(&probe.latencies).iter().map(|(of, histogram)| (*probe, *of, histogram.clone())));
    }
    // Within a probe by what they are of, so that no page is in another order than the one before.
    for of_probe in latencies.chunk_by_mut(|one, next| std::ptr::eq(one.0, next.0)) {
        of_probe.sort_by_key(|(_, of, _)| *of);
    }
    page.histograms(
        "probe_duration_seconds",
        "Duration of a run, whatever its outcome",
        latencies.iter().filter_map(|(probe, of, histogram)| {
            let Of::Run(outcome, connection) = of else { return None };
            let own = [("outcome", outcome.word()), ("connection", connection.word())];
            Some((probe_labels(probe, own), histogram.clone()))
        }),
    )?;
    page.histograms(
        "probe_phase_duration_seconds",
        "Duration of one phase of a run; a phase that did not happen is not counted",
        latencies.iter().filter_map(|(probe, of, histogram)| {
            let Of::Phase(phase, connection) = of else { return None };
            let own = [("phase", phase.word()), ("connection", connection.word())];
            Some((probe_labels(probe, own), histogram.clone()))
        }),
    )?;
    page.counters(
        "probe_runs",
        "Runs by outcome; inconclusive means that the fault is our own",
        probes.iter().flat_map(|probe| {
            let runs = probe.runs.iter().zip(Outcome::ALL);
            runs.map(|(runs, outcome)| (probe_labels(probe, [("outcome", outcome.word())]), whole(runs.load(Relaxed))))
        }),
    )?;
    page.counters(
        "probe_failures",
        "Runs that were not up, by where and how they failed",
        probes.iter().flat_map(|probe| {
            let failures = lock(&probe.failures).clone();
            failures.into_iter().map(|((phase, kind), count)| {
                (probe_labels(probe, [("phase", phase.word()), ("kind", kind.word())]), whole(count))
            })
        }),
    )?;
    page.counters(
        "confirmations",
        "Times that a failure was looked into by asking again with one thing varied, by what that came to; no runs",
        probes.iter().flat_map(|probe| {
            let confirmations = lock(&probe.confirmations).clone();
            confirmations.into_iter().map(|((varied, outcome), count)| {
                (probe_labels(probe, [("varied", varied.word()), ("outcome", outcome.word())]), whole(count))
            })
        }),
    )?;
    page.gauges(
        "probe_up",
        "1 when the last run was up or degraded, 0 when it was down; absent while inconclusive",
        probes.iter().filter_map(|probe| Some((probe_labels(probe, []), probe.up()?))),
    )?;
    page.gauges(
        "probe_tls_certificate_expiry_timestamp_seconds",
        "When the certificate seen last ends, as a Unix time; also when it was not trusted",
        probes.iter().filter_map(|probe| Some((probe_labels(probe, []), probe.certificate_expiry()?))),
    )
}

fn probe_schedule(page: &mut Page<'_, '_>, probes: &[&Series]) -> Result<(), Error> {
    page.gauges(
        "probe_last_run_timestamp_seconds",
        "When the last run began, as a Unix time",
        probes.iter().filter_map(|probe| Some((probe_labels(probe, []), probe.last_run()?))),
    )?;
    page.counters(
        "probe_missed_runs",
        "Runs that were due and did not take place",
        probes.iter().map(|probe| (probe_labels(probe, []), whole(probe.missed.load(Relaxed)))),
    )?;
    page.histograms(
        "probe_start_lateness_seconds",
        "How much later than due a run began",
        probes.iter().map(|probe| (probe_labels(probe, []), lock(&probe.lateness).clone())),
    )
}

fn deliveries(page: &mut Page<'_, '_>, probes: &[&Series]) -> Result<(), Error> {
    let known: Vec<_> = probes.iter().map(|probe| (*probe, lock(&probe.deliveries).clone())).collect();
    page.histograms(
        "delivery_seconds",
        "From writing a message at one end to its arrival at the other, by the region that wrote it",
        known.iter().flat_map(|(probe, writers)| {
            writers
                .iter()
                .map(|(region, known)| (probe_labels(probe, [("writer_region", &**region)]), known.seconds.clone()))
        }),
    )?;
    page.counters(
        "delivery_arrivals",
        "Messages that were waited for, by the region that wrote them and how they came",
        known.iter().flat_map(|(probe, writers)| {
            writers.iter().flat_map(|(region, known)| {
                known.came.iter().zip(Came::ALL).map(|(count, came)| {
                    let own = [("writer_region", &**region), ("came", came.word())];
                    (probe_labels(probe, own), whole(*count))
                })
            })
        }),
    )
}

fn judgement(page: &mut Page<'_, '_>, fleet: &Fleet) -> Result<(), Error> {
    page.gauges(
        "verdict",
        "1 for the present cause of each party and product; region is set for path and probe",
        fleet.verdicts.iter().map(|verdict| {
            let labels = vec![
                ("party", &*verdict.party),
                ("product", verdict.product.as_deref().unwrap_or_default()),
                ("cause", verdict.cause.word()),
                ("region", verdict.region.as_deref().unwrap_or_default()),
            ];
            (Labels(labels), 1.0)
        }),
    )?;
    page.gauges("incidents_open", "Incidents open now", alone(fleet.incidents_open.map(whole)))?;
    page.counters(
        "incidents",
        "Incidents that have opened",
        fleet
            .incidents
            .iter()
            .map(|((party, cause), count)| (Labels(vec![("party", &**party), ("cause", cause.word())]), whole(*count))),
    )?;
    page.gauges(
        "status_feed_state",
        "1 for what the status pages of a party say now; unknown is never evidence",
        fleet.feeds.iter().map(|(party, word)| (Labels(vec![("party", &**party), ("state", word.word())]), 1.0)),
    )?;
    page.gauges(
        "status_feed_lag_seconds",
        "How long after its onset a party admitted the newest incident that it admitted; negative when it was first",
        fleet.feed_lags.iter().map(|(party, lag)| (Labels(vec![("party", &**party)]), *lag)),
    )?;
    let Some(hub) = &fleet.hub else { return Ok(()) };
    page.counters("hub_observations", "Observations taken by the hub", alone(Some(whole(hub.observations))))?;
    page.counters(
        "hub_unjudged_observations",
        "Observations that the hub has and does not judge, by reason",
        hub.unjudged.iter().map(|(reason, count)| (Labels(vec![("reason", *reason)]), whole(*count))),
    )?;
    page.gauges(
        "hub_queue_observations",
        "Observations taken by the hub that wait to be written",
        alone(Some(whole(hub.queue))),
    )?;
    page.gauges(
        "hub_leading",
        "1 when this hub judges and tells, 0 when another one over the same store does",
        alone(hub.leading.map(|leading| f64::from(u8::from(leading)))),
    )?;
    page.histograms(
        "hub_round_duration_seconds",
        "Duration of a round of judging",
        [(Labels(Vec::new()), hub.rounds.clone())],
    )?;
    page.histograms(
        "hub_verdict_delay_seconds",
        "From the arrival of a batch at any hub to the end of the first round of judging with it",
        [(Labels(Vec::new()), hub.verdict_delay.clone())],
    )?;
    let last_round = hub.last_round.map(unix);
    page.gauges(
        "hub_last_round_timestamp_seconds",
        "When the last round of judging began, as a Unix time",
        alone(last_round),
    )
}

fn telling(page: &mut Page<'_, '_>, fleet: &Fleet) -> Result<(), Error> {
    page.counters(
        "notifications",
        "Attempts to send, by channel and what became of them",
        fleet.notifications.iter().map(|((channel, result), count)| {
            (Labels(vec![("channel", &**channel), ("result", *result)]), whole(*count))
        }),
    )?;
    let outbox = fleet.outbox;
    page.gauges(
        "notification_outbox_depth",
        "Letters that wait to be sent",
        alone(outbox.map(|(depth, _)| whole(depth))),
    )?;
    page.gauges(
        "notification_oldest_unsent_seconds",
        "For how long the oldest letter has waited; 0 when none waits",
        alone(outbox.map(|(_, oldest)| oldest.as_secs_f64())),
    )
}

fn keeping(page: &mut Page<'_, '_>, fleet: &Fleet) -> Result<(), Error> {
    if let Some(store) = &fleet.store {
        page.gauges("store_size_bytes", "Size of the store", alone(store.size.map(whole)))?;
        page.counters(
            "store_append_failures",
            "Batches that the store refused",
            alone(Some(whole(store.append_failures))),
        )?;
        page.counters(
            "store_observations_dropped",
            "Observations given up because the store could not take them",
            alone(Some(whole(store.dropped))),
        )?;
    }
    let Some(config) = &fleet.config else { return Ok(()) };
    let ok = f64::from(u8::from(config.ok));
    page.gauges("config_last_reload_successful", "1 when the configuration read last was taken", alone(Some(ok)))?;
    page.gauges(
        "config_last_reload_success_timestamp_seconds",
        "When a configuration was taken last, as a Unix time",
        alone(config.success.map(unix)),
    )
}

/// Writes families of which all values are at hand.
struct Page<'a, 'b>(&'a mut DescriptorEncoder<'b>);

impl Page<'_, '_> {
    fn gauges<'l>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (Labels<'l>, f64)>,
    ) -> Result<(), Error> {
        let series = series.into_iter().map(|(labels, value)| (labels, ConstGauge::new(value)));
        self.family(name, help, MetricType::Gauge, series)
    }

    fn counters<'l>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (Labels<'l>, f64)>,
    ) -> Result<(), Error> {
        let series = series.into_iter().map(|(labels, value)| (labels, ConstCounter::new(value)));
        self.family(name, help, MetricType::Counter, series)
    }

    fn histograms<'l>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (Labels<'l>, Histogram)>,
    ) -> Result<(), Error> {
        self.family(name, help, MetricType::Histogram, series.into_iter())
    }

    fn family<'l, M: EncodeMetric>(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        series: impl Iterator<Item = (Labels<'l>, M)>,
    ) -> Result<(), Error> {
        let mut series = series.peekable();
        if series.peek().is_none() {
            return Ok(());
        }
        let mut family = self.0.encode_descriptor(name, help, None, kind)?;
        for (labels, value) in series {
            if labels.0.is_empty() {
                // Without the braces, which a family of one series does not need.
                return value.encode(family);
            }
            value.encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

/// Label pairs in the order in which they are written.
struct Labels<'a>(Vec<(&'static str, &'a str)>);

impl EncodeLabelSet for Labels<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder) -> Result<(), Error> {
        self.0.as_slice().encode(encoder)
    }
}

fn probe_labels<'a, const N: usize>(probe: &'a Series, own: [(&'static str, &'a str); N]) -> Labels<'a> {
    let ProbeLabels { party, product, probe, protocol, region, node } = &*probe.labels;
    let mut labels = vec![
        ("party", &**party),
        ("product", product.as_deref().unwrap_or_default()),
        ("probe", &**probe),
        ("protocol", &**protocol),
        ("region", &**region),
        ("node", &**node),
    ];
    labels.extend(own);
    Labels(labels)
}

/// The one series of a family without labels, if there is a value.
fn alone(value: Option<f64>) -> Option<(Labels<'static>, f64)> {
    value.map(|value| (Labels(Vec::new()), value))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "Prometheus keeps doubles; counts beyond 2^53 lose their last digit there anyway"
)]
const fn whole(count: u64) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "microseconds since 1970 fit a double for 285 years")]
fn unix(at: crate::model::Timestamp) -> f64 {
    at.timestamp_micros() as f64 / 1e6
}
