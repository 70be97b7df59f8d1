//! `/metrics` as Prometheus reads it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read as _, Write as _},
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use usoryou::{
    metrics::{Format, Metrics, ProbeLabels},
    model::{
        Arrival, Came, Cause, Connection, Failure, Kind, Observation, Outcome, Phase, PhaseTimes, Timestamp, TlsFacts,
        Varied, Verdict,
    },
};

use crate::support::{
    peer,
    peers::{Started, encoded, free_port, get, request},
    site::{Site, plan},
};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/metrics.txt");

fn labels(probe: &str) -> ProbeLabels {
    ProbeLabels {
        party: "firebase".into(),
        product: Some("auth".into()),
        probe: probe.into(),
        protocol: "http".into(),
        region: "eu-west".into(),
        node: "n1".into(),
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(seconds, 0).unwrap()
}

fn observation(outcome: Outcome, duration: Duration) -> Observation {
    let json = serde_json::json!({
        "probe": "p", "party": "firebase", "region": "eu-west", "outcome": outcome, "scheduled_at": at(1_795_000_000)
    });
    let mut phases = PhaseTimes::default();
    phases.add(Phase::Connect, duration / 2);
    Observation { duration, phases, ..serde_json::from_value(json).unwrap() }
}

fn failed(outcome: Outcome, phase: Phase, kind: Kind) -> Observation {
    Observation { failure: Some(Failure::new(phase, kind, "")), ..observation(outcome, Duration::from_millis(20)) }
}

fn verdict(party: &str, cause: Cause, regions: &[&str]) -> Verdict {
    serde_json::from_value(serde_json::json!({
        "subject": {"party": party}, "at": at(1_795_000_000), "cause": cause, "regions": regions, "regions_seen": 2,
        "confidence": 1.0, "round": 1
    }))
    .unwrap()
}

/// Figures in which every family has a series.
fn exercised() -> Arc<Metrics> {
    let metrics = Metrics::new("0.1.0");
    let series = metrics.probe(&labels("rtdb-rest"));
    series.record(&Observation {
        tls: Some(TlsFacts { not_after: Some(at(1_800_000_000)), ..TlsFacts::default() }),
        ..observation(Outcome::Up, Duration::from_millis(12))
    });
    series.record(&failed(Outcome::Down, Phase::Tls, Kind::TimedOut));
    series.record(&Observation { connection: Connection::Warm, ..observation(Outcome::Up, Duration::from_millis(3)) });
    series
        .confirmed(&Observation { varied: Some(Varied::Family), ..observation(Outcome::Up, Duration::from_millis(9)) });
    let arrival = Arrival { writer_region: "us-east".into(), came: Came::InOrder, seconds: Some(0.03) };
    series.record(&Observation { arrivals: vec![arrival], ..observation(Outcome::Up, Duration::from_millis(12)) });
    let session = series.session();
    session.opened(None);
    session.dropped(Kind::Reset);
    session.opened(Some(Duration::from_millis(1300)));
    series.missed(2);
    series.late(Duration::from_micros(300));
    metrics.verdicts(&[verdict("firebase", Cause::Path, &["eu-west"]), verdict("api", Cause::Ok, &[])]);
    metrics.incidents_open(1);
    metrics.incident_opened(&"firebase".into(), Cause::Path);
    let feed = serde_json::json!({"party": "firebase", "state": "degraded"});
    metrics.status_feeds(&[serde_json::from_value(feed).unwrap()]);
    let admitted = serde_json::json!({
        "id": "1", "subject": {"party": "firebase"}, "state": "open", "cause": "them", "onset": at(1_795_000_000),
        "admitted_at": at(1_795_000_840), "bad_rounds": 3, "good_rounds": 0, "round": 1,
        "verdict": verdict("firebase", Cause::Them, &[])
    });
    metrics.status_feed_lags(&[serde_json::from_value(admitted).unwrap()]);
    metrics.notification(&"support".into(), "sent");
    metrics.outbox(1, Some(Duration::from_secs(3)));
    metrics.hub_absorbed(3);
    metrics.hub_not_judged("stale");
    metrics.hub_queue(2);
    metrics.hub_round(at(1_795_000_000), Duration::from_micros(700));
    metrics.hub_leading(true);
    metrics.hub_verdict_delay(Duration::from_millis(300));
    metrics.store_size(4096);
    metrics.store_append_failed();
    metrics.store_dropped(1);
    metrics.uplink_spool(2048, 3, Duration::from_secs(2));
    metrics.uplink_sent(5);
    metrics.uplink_bytes(700);
    metrics.uplink_dropped("size", 1);
    metrics.uplink_batch("taken");
    metrics.hub_handed(&"eu-1".into(), 5, 1, 1);
    metrics.hub_turned_away("stranger");
    let living = std::collections::BTreeMap::from([("eu-west".into(), 2)]);
    metrics.hub_agents(living, std::collections::BTreeMap::from([(("eu-1".into(), "n1".into()), -0.01)]));
    metrics.placement(3, 20, 10);
    metrics.solo(false);
    metrics.uplink_clock(Some(-0.01));
    metrics.config_reload(true);
    metrics
}

fn text(metrics: &Arc<Metrics>) -> String {
    String::from_utf8(metrics.encode(Format::Text).unwrap()).unwrap()
}

/// The names, types and label sets of a page: one line a family.
fn catalogue(page: &str) -> String {
    let mut kinds = BTreeMap::new();
    let mut label_sets: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(kinds.insert(name, kind).is_none(), "{name} is announced twice");
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            let family = ["", "_bucket", "_sum", "_count"]
                .iter()
                .find_map(|suffix| name.strip_suffix(suffix).filter(|family| kinds.contains_key(family)));
            let family = family.unwrap_or_else(|| panic!("{name} was not announced"));
            let inside = line.split_once('{').map_or("", |(_, rest)| rest.rsplit_once('}').unwrap().0);
            let names = inside.split("\",").filter_map(|pair| pair.split_once("=\"")).map(|(name, _)| name);
            let names: Vec<&str> = names.filter(|name| *name != "le").collect();
            label_sets.entry(family).or_default().insert(names.join(","));
        }
    }
    let mut out = String::new();
    for (name, kind) in kinds {
        let sets = label_sets.remove(name).unwrap_or_else(|| panic!("{name} has no series"));
        assert_eq!(sets.len(), 1, "{name} has several label sets: {sets:?}");
        out += &format!("{name} {kind} {}\n", sets.first().unwrap()).replace(" \n", "\n");
    }
    out
}

#[test]
fn names_that_stand_in_messages_cannot_make_series_without_end() {
    let metrics = Metrics::new("0.1.0");
    let series = metrics.probe(&labels("mqtt"));
    let from = |region: &str| Arrival { writer_region: region.into(), came: Came::Lost, seconds: None };
    let arrivals = (0..1000).map(|index| from(&format!("r{index}"))).chain([from("eu-west")]).collect();
    series.record(&Observation { arrivals, ..observation(Outcome::Up, Duration::from_millis(12)) });
    let page = text(&metrics);
    let lost: Vec<&str> = page.lines().filter(|line| line.contains("came=\"lost\"")).collect();
    assert_eq!(lost.len(), 34, "{lost:#?}");
    assert!(lost.iter().any(|line| line.contains("writer_region=\"eu-west\"") && line.ends_with(" 1.0")));
    assert!(lost.iter().any(|line| line.contains("writer_region=\"other\"") && line.ends_with(" 968.0")));
}

#[test]
fn names_types_and_labels_are_a_contract() {
    let present = catalogue(&text(&exercised()));
    if std::env::var_os("USORYOU_BLESS").is_some() {
        std::fs::write(GOLDEN, &present).unwrap();
    }
    let agreed = std::fs::read_to_string(GOLDEN).unwrap();
    assert_eq!(present, agreed, "dashboards rely on these; when the change is meant, run with USORYOU_BLESS=1");
}

#[test]
fn every_family_of_the_contract_is_documented() {
    let document = include_str!("../../docs/METRICS.md");
    for line in std::fs::read_to_string(GOLDEN).unwrap().lines() {
        let name = line.split(' ').next().unwrap();
        assert!(document.contains(&format!("`{name}`")), "docs/METRICS.md says nothing of {name}");
    }
}

#[test]
fn every_form_holds_the_same_families() {
    let metrics = exercised();
    let open_metrics = String::from_utf8(metrics.encode(Format::OpenMetrics).unwrap()).unwrap();
    assert!(open_metrics.ends_with("# EOF\n"));
    let protobuf = metrics.encode(Format::Protobuf).unwrap();
    for line in std::fs::read_to_string(GOLDEN).unwrap().lines() {
        let (name, rest) = line.split_once(' ').unwrap();
        let announced = if rest.starts_with("counter") { name.strip_suffix("_total").unwrap() } else { name };
        let kind = rest.split(' ').next().unwrap();
        assert!(open_metrics.contains(&format!("# TYPE {announced} {kind}\n")), "{name}");
        assert!(protobuf.windows(name.len()).any(|window| window == name.as_bytes()), "{name}");
    }
}

#[test]
fn promtool_finds_nothing_to_say() {
    let Some(promtool) = peer("promtool") else { return };
    let metrics = exercised();
    // Names of users may hold anything.
    let hostile = ProbeLabels { probe: "a \"b\" \\ c\nd é".into(), product: None, ..labels("") };
    metrics.probe(&hostile).record(&failed(Outcome::Down, Phase::Resolve, Kind::NameNotFound));
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text(&metrics).as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    assert!(done.status.success() && said.trim().is_empty(), "{said}");
}

#[test]
fn up_is_absent_while_inconclusive_and_a_late_certificate_stays_known() {
    let metrics = Metrics::new("0.1.0");
    let series = metrics.probe(&labels("p"));
    let up = || {
        let page = text(&metrics);
        let line = page.lines().find(|line| line.starts_with("usoryou_probe_up{"));
        line.map(|line| line.rsplit(' ').next().unwrap().to_owned())
    };
    assert_eq!(up(), None, "nothing is known before the first run");
    let expired = TlsFacts { not_after: Some(at(1_600_000_000)), ..TlsFacts::default() };
    series.record(&Observation { tls: Some(expired), ..failed(Outcome::Down, Phase::Tls, Kind::CertificateExpired) });
    assert_eq!(up().as_deref(), Some("0.0"));
    series.record(&observation(Outcome::Degraded, Duration::from_secs(1)));
    assert_eq!(up().as_deref(), Some("1.0"));
    series.record(&failed(Outcome::Inconclusive, Phase::Connect, Kind::Starved));
    assert_eq!(up(), None);
    let page = text(&metrics);
    let expiry = page.lines().find(|line| line.starts_with("usoryou_probe_tls_certificate_expiry_timestamp_seconds{"));
    assert!(expiry.unwrap().ends_with(" 1600000000.0"), "{expiry:?}");
    assert!(page.contains("phase=\"tls\",kind=\"certificate_expired\"} 1"), "{page}");
}

#[test]
fn a_removed_probe_leaves_nothing_behind() {
    let metrics = exercised();
    let kept = metrics.probe(&labels("kept"));
    kept.record(&observation(Outcome::Up, Duration::from_millis(1)));
    assert!(text(&metrics).contains("rtdb-rest"));
    let gone = metrics.probe(&labels("rtdb-rest"));
    metrics.forget(&labels("rtdb-rest"));
    // A run that was under way ends after its probe is gone.
    gone.record(&failed(Outcome::Down, Phase::Connect, Kind::Refused));
    let page = text(&metrics);
    assert!(!page.contains("rtdb-rest"), "{page}");
    assert!(page.contains("probe=\"kept\""));
    metrics.retain(&BTreeSet::new());
    assert!(!text(&metrics).contains("probe=\"kept\""));
}

#[test]
fn the_cause_of_before_vanishes_with_its_verdict() {
    let metrics = Metrics::new("0.1.0");
    let shown = || {
        let page = text(&metrics);
        let lines = page.lines().filter(|line| line.starts_with("usoryou_verdict{")).map(str::to_owned);
        lines.collect::<Vec<_>>()
    };
    metrics.verdicts(&[verdict("firebase", Cause::Probe, &["eu-west", "us-east", "us-east"])]);
    assert_eq!(
        shown(),
        [
            r#"usoryou_verdict{party="firebase",product="",cause="probe",region="eu-west"} 1.0"#,
            r#"usoryou_verdict{party="firebase",product="",cause="probe",region="us-east"} 1.0"#,
        ]
    );
    // Them names regions as well, but is not about them.
    metrics.verdicts(&[verdict("firebase", Cause::Them, &["eu-west", "us-east"])]);
    assert_eq!(shown(), [r#"usoryou_verdict{party="firebase",product="",cause="them",region=""} 1.0"#]);
}

#[test]
fn the_page_comes_in_the_form_that_was_asked_for() {
    let site = Site::start(exercised(), plan(&[]));
    let asked = |headers: &[(&str, &str)]| request(site.address, "GET", "/metrics", headers).unwrap();
    let plain = asked(&[]);
    assert!(plain.status == 200 && plain.head.contains("content-type: text/plain; version=0.0.4"), "{}", plain.head);
    assert!(plain.text().contains("# TYPE usoryou_probe_runs_total counter\n"));
    let open_metrics = asked(&[("Accept", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5")]);
    assert!(open_metrics.head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert!(open_metrics.text().ends_with("# EOF\n"));
    let protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
    assert!(asked(&[("Accept", protobuf)]).head.contains("content-type: application/vnd.google.protobuf; proto="));
    let zipped = asked(&[("Accept-Encoding", "gzip")]);
    assert!(zipped.head.contains("content-encoding: gzip") && zipped.body.len() < plain.body.len() / 4);
    let mut unzipped = String::new();
    flate2::read::GzDecoder::new(&*zipped.body).read_to_string(&mut unzipped).unwrap();
    assert_eq!(catalogue(&unzipped), catalogue(&plain.text()));
}

/// Runs a Prometheus that scrapes `target` until it knows our series, and asks it.
fn prometheus(program: &Path, target: SocketAddr, native: bool) -> (tempfile::TempDir, Started, SocketAddr) {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
         scrape_configs: [{{job_name: usoryou, static_configs: [{{targets: ['{target}']}}]}}]\n"
    );
    let file = folder.path().join("prometheus.yml");
    std::fs::write(&file, config).unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut command = Command::new(program);
    command.arg(format!("--config.file={}", file.display()));
    command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
    command.arg(format!("--web.listen-address={address}"));
    if native {
        command.arg("--enable-feature=native-histograms");
    }
    let started = Started::new(&mut command, folder.path());
    (folder, started, address)
}

fn value(prometheus: SocketAddr, query: &str) -> Option<f64> {
    let answer = get(prometheus, &format!("/api/v1/query?query={}", encoded(query)))?;
    let answer: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
    answer["data"]["result"][0]["value"][1].as_str()?.parse().ok()
}

#[test]
fn prometheus_computes_quantiles_from_classic_and_from_native_buckets() {
    let Some(program) = peer("prometheus") else { return };
    let metrics = Metrics::new("0.1.0");
    let series = metrics.probe(&labels("p"));
    // Classic buckets have nothing between 0.5 and 1: they can only guess the median half way, native ones see it.
    for _ in 0..600 {
        series.record(&observation(Outcome::Up, Duration::from_millis(600)));
    }
    for _ in 0..400 {
        series.record(&observation(Outcome::Up, Duration::from_millis(900)));
    }
    let site = Site::start(metrics, plan(&[]));
    let (_folder_a, mut classic, classic_address) = prometheus(&program, site.address, false);
    let (_folder_b, mut native, native_address) = prometheus(&program, site.address, true);

    let median = "histogram_quantile(0.5, sum by (le) (usoryou_probe_duration_seconds_bucket))";
    let guessed = classic.wait_for("classic quantile", || value(classic_address, median));
    assert!((guessed - (0.5 + 0.5 * 0.5)).abs() < 1e-9, "{guessed}");
    let counted = value(classic_address, "usoryou_probe_duration_seconds_count{connection=\"cold\",outcome=\"up\"}");
    assert_eq!(counted, Some(1000.0));

    let median = "histogram_quantile(0.5, sum(usoryou_probe_duration_seconds))";
    let seen = native.wait_for("native quantile", || value(native_address, median));
    assert!((seen / 0.6 - 1.0).abs() < 0.09, "{seen}");
    let tail = value(native_address, "histogram_quantile(0.99, sum(usoryou_probe_duration_seconds))").unwrap();
    assert!((tail / 0.9 - 1.0).abs() < 0.09, "{tail}");
    let phase = "histogram_quantile(0.5, sum(usoryou_probe_phase_duration_seconds{phase=\"connect\"}))";
    assert!((value(native_address, phase).unwrap() / 0.3 - 1.0).abs() < 0.09);

    // Both accepted the whole page, also what no query asked for.
    for address in [classic_address, native_address] {
        assert_eq!(value(address, "up"), Some(1.0));
        assert_eq!(value(address, "usoryou_probe_runs_total{outcome=\"up\"}"), Some(1000.0));
        assert_eq!(value(address, "usoryou_build_info"), Some(1.0));
    }
}
