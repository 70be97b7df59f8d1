//! `GET /probe` beside a real blackbox_exporter.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::json;
use usoryou::metrics::Metrics;

use crate::support::{
    peer,
    peers::{Started, encoded, free_port, get, request},
    site::{Site, plan},
    targets::{HOLD, Targets},
};

/// A module under one name in both programs: ours as a check, theirs as it is written there. Ours is nothing where the
/// built-in one is meant.
type Module<'a> = (&'static str, Option<serde_json::Value>, &'a str);

/// Both programs, with the same modules.
struct Pair {
    ours: Site,
    theirs: SocketAddr,
    _blackbox: Started,
}

impl Pair {
    /// Nothing where blackbox_exporter is not installed.
    fn start(modules: &[Module<'_>], folder: &Path) -> Option<Self> {
        let program = peer("prometheus-blackbox-exporter")?;
        let theirs = modules.iter().map(|(name, _, theirs)| format!("  {name}: {{{theirs}}}\n"));
        let theirs = format!("modules:\n{}", theirs.collect::<String>());
        let (blackbox, theirs) = blackbox(&program, &theirs, folder);
        let ours: Vec<_> = modules.iter().filter_map(|(name, ours, _)| Some((*name, ours.clone()?))).collect();
        Some(Self { ours: Site::start(Metrics::new("test"), plan(&ours)), theirs, _blackbox: blackbox })
    }

    /// Asks both about each target and fails with everything in which they differ.
    fn compare(&self, cases: &[Case<'_>]) {
        let mut found = String::new();
        for Case { module, target, success, allowed } in cases {
            let (ours, theirs) = (ask(self.ours.address, module, target), ask(self.theirs, module, target));
            let expected = f64::from(u8::from(*success));
            assert_eq!(theirs["probe_success{}"], expected, "{module} {target}: the case is not what it should be");
            let differences = differences(&ours, &theirs, allowed);
            if !differences.is_empty() {
                found += &format!("{module} {target}\n  {}\n", differences.join("\n  "));
            }
            let failed = ours.keys().any(|series| series.starts_with("usoryou_probe_failure_info{"));
            assert_eq!(failed, !success, "{module} {target}: {ours:?}");
        }
        assert!(found.is_empty(), "{found}");
    }
}

/// One target to ask both about.
struct Case<'a> {
    module: &'a str,
    target: String,
    success: bool,
    /// Beginnings of series that only one of the two may have.
    allowed: &'a [&'a str],
}

fn up(module: &'static str, target: impl ToString) -> Case<'static> {
    Case { module, target: target.to_string(), success: true, allowed: &[] }
}

fn down(module: &'static str, target: impl ToString) -> Case<'static> {
    Case { module, target: target.to_string(), success: false, allowed: &[] }
}

/// A certificate that is not trusted: we show it, blackbox_exporter does not.
fn untrusted(module: &'static str, target: impl ToString) -> Case<'static> {
    Case { allowed: &["probe_ssl_", "probe_tls_"], ..down(module, target) }
}

/// The servers listen on IPv4 alone, and blackbox_exporter asks one family alone: where `localhost` has an IPv6 address
/// it needs to be told.
fn by_name(address: SocketAddr) -> String {
    format!("localhost:{}", address.port())
}

fn blackbox(program: &Path, config: &str, folder: &Path) -> (Started, SocketAddr) {
    let file = folder.join("blackbox.yml");
    std::fs::write(&file, config).unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut command = Command::new(program);
    command.arg(format!("--config.file={}", file.display())).arg(format!("--web.listen-address={address}"));
    let mut started = Started::new(&mut command, folder);
    started.wait_for("blackbox_exporter", || get(address, "/-/healthy"));
    (started, address)
}

type Page = BTreeMap<String, f64>;

/// Series to value; labels sorted, so that their order does not matter.
fn read(text: &str) -> Page {
    let series = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let mut labels: Vec<&str> = labels.trim_end_matches("\"}").split("\",").collect();
        labels.sort_unstable();
        let labels = labels.join("\",");
        let closing = if labels.is_empty() { "" } else { "\"" };
        (format!("{name}{{{labels}{closing}}}"), value.parse().unwrap())
    });
    series.collect()
}

fn ask(address: SocketAddr, module: &str, target: &str) -> Page {
    let path = format!("/probe?module={module}&target={}", encoded(target));
    let answer = request(address, "GET", &path, &[("X-Prometheus-Scrape-Timeout-Seconds", "5")]).unwrap();
    assert_eq!(answer.status, 200, "{module} {target}: {}", answer.text());
    read(&answer.text())
}

/// A figure that measures time: two measurements are never the same.
fn is_measured(series: &str) -> bool {
    let name = series.split('{').next().unwrap();
    name.ends_with("duration_seconds") || name == "probe_dns_lookup_time_seconds"
}

/// Everything in which two pages differ; `allowed` are beginnings of series that only one of them may have.
fn differences(ours: &Page, theirs: &Page, allowed: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let is_allowed = |series: &str| allowed.iter().any(|allowed| series.starts_with(allowed));
    for (series, value) in ours {
        match theirs.get(series) {
            None if series.starts_with("usoryou_") || is_allowed(series) => {}
            None => found.push(format!("only ours: {series} {value}")),
            Some(other) if is_measured(series) => {
                if (value - other).abs() > 0.3 {
                    found.push(format!("too far apart: {series} {value}, theirs {other}"));
                }
            }
            Some(other) if value == other || is_allowed(series) => {}
            Some(other) => found.push(format!("{series} is {value}, theirs {other}")),
        }
    }
    let missing = theirs.iter().filter(|(series, _)| !ours.contains_key(*series) && !is_allowed(series));
    found.extend(missing.map(|(series, value)| format!("only theirs: {series} {value}")));
    found
}

#[test]
fn http_is_answered_as_blackbox_exporter_answers() {
    let folder = tempfile::tempdir().unwrap();
    let targets = Targets::start(folder.path());
    let ca = format!(
        "prober: http, http: {{preferred_ip_protocol: ip4, tls_config: {{ca_file: {}}}}}",
        targets.ca_file.display()
    );
    let http = |more: serde_json::Value| {
        let mut check = json!({"url": "http://x.invalid/"});
        check.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Some(json!({ "http": check }))
    };
    let known = "prober: http, http: {fail_if_body_not_matches_regexp: ['body is kn..n']}";
    let other = "prober: http, http: {fail_if_body_not_matches_regexp: ['something else']}";
    let modules: [Module<'_>; 7] = [
        ("http_2xx", None, "prober: http, http: {preferred_ip_protocol: ip4}"),
        ("http_post_2xx", None, "prober: http, http: {method: POST}"),
        ("https_ca", http(json!({"tls": {"ca_file": targets.ca_file}})), &ca),
        ("http_no_redirect", http(json!({"redirects": 0})), "prober: http, http: {follow_redirects: false}"),
        ("http_any", http(json!({"expect": {"status": [500]}})), "prober: http, http: {valid_status_codes: [500]}"),
        ("http_known", http(json!({"expect": {"body_regex": "body is kn..n"}})), known),
        ("http_other", http(json!({"expect": {"body_regex": "something else"}})), other),
    ];
    let Some(pair) = Pair::start(&modules, folder.path()) else { return };
    let web = |path: &str| format!("http://{}{path}", targets.http);
    pair.compare(&[
        up("http_2xx", web("/")),
        up("http_2xx", targets.http),
        up("http_2xx", format!("http://{}/", by_name(targets.http))),
        up("http_2xx", web("/redirect")),
        down("http_2xx", web("/500")),
        up("http_2xx", web("/dated")),
        up("http_2xx", web("/chunked")),
        up("http_2xx", web("/slow")),
        down("http_2xx", format!("http://{}/", targets.closed)),
        untrusted("http_2xx", format!("https://{}/", by_name(targets.https))),
        up("http_post_2xx", web("/")),
        up("https_ca", format!("https://{}/", by_name(targets.https))),
        untrusted("https_ca", format!("https://{}/", by_name(targets.https_other_name))),
        down("http_no_redirect", web("/redirect")),
        up("http_any", web("/500")),
        up("http_known", web("/")),
        down("http_other", web("/")),
    ]);
    for address in [pair.ours.address, pair.theirs] {
        let processing = ask(address, "http_2xx", &web("/slow"))["probe_http_duration_seconds{phase=\"processing\"}"];
        assert!(processing >= HOLD.as_secs_f64() && processing < HOLD.as_secs_f64() + 0.3, "{processing}");
    }
}

#[test]
fn tcp_and_tls_are_answered_as_blackbox_exporter_answers() {
    let folder = tempfile::tempdir().unwrap();
    let targets = Targets::start(folder.path());
    let ca = format!(
        "prober: tcp, tcp: {{preferred_ip_protocol: ip4, tls: true, tls_config: {{ca_file: {}}}}}",
        targets.ca_file.display()
    );
    let expecting = |pattern: &str| Some(json!({"tcp": {"address": "x.invalid:1", "expect_regex": pattern}}));
    let modules: [Module<'_>; 5] = [
        ("tcp_connect", None, "prober: tcp, tcp: {preferred_ip_protocol: ip4}"),
        ("tls_connect", None, "prober: tcp, tcp: {preferred_ip_protocol: ip4, tls: true}"),
        ("tls_ca", Some(json!({"tls": {"address": "x.invalid:1", "tls": {"ca_file": targets.ca_file}}})), &ca),
        ("banner", expecting("^220 "), "prober: tcp, tcp: {query_response: [{expect: '^220 '}]}"),
        (
            "other_banner",
            expecting("^SSH"),
            "prober: tcp, tcp: {query_response: [{expect: '^220 '}, {expect: '^SSH'}]}",
        ),
    ];
    let Some(pair) = Pair::start(&modules, folder.path()) else { return };
    pair.compare(&[
        up("tcp_connect", targets.http),
        up("tcp_connect", by_name(targets.http)),
        down("tcp_connect", targets.closed),
        up("tls_ca", by_name(targets.https)),
        untrusted("tls_ca", by_name(targets.https_other_name)),
        untrusted("tls_connect", by_name(targets.https)),
        down("tls_connect", by_name(targets.http)),
        up("banner", targets.banner),
    ]);
}

#[test]
fn dns_is_answered_as_blackbox_exporter_answers() {
    let folder = tempfile::tempdir().unwrap();
    let targets = Targets::start(folder.path());
    let ours = |name: &str, transport: &str| {
        Some(json!({"dns": {"name": name, "server": "x.invalid", "transport": transport}}))
    };
    let modules: [Module<'_>; 4] = [
        (
            "a",
            ours("example.test", "udp"),
            "prober: dns, dns: {preferred_ip_protocol: ip4, query_name: example.test, query_type: A}",
        ),
        (
            "a_tcp",
            ours("example.test", "tcp"),
            "prober: dns, dns: {query_name: example.test, query_type: A, transport_protocol: tcp}",
        ),
        ("missing", ours("nothing.test", "udp"), "prober: dns, dns: {query_name: nothing.test, query_type: A}"),
        ("dns_udp", None, "prober: dns, dns: {query_name: ., query_type: NS}"),
    ];
    let Some(pair) = Pair::start(&modules, folder.path()) else { return };
    pair.compare(&[
        up("a", targets.dns),
        up("a", by_name(targets.dns)),
        up("a_tcp", targets.dns),
        down("missing", targets.dns),
        down("a", targets.closed),
        down("a_tcp", targets.closed),
        up("dns_udp", targets.dns),
    ]);
}

#[test]
fn icmp_is_answered_as_blackbox_exporter_answers() {
    let folder = tempfile::tempdir().unwrap();
    let Some(pair) = Pair::start(&[("icmp", None, "prober: icmp")], folder.path()) else { return };
    if ask(pair.theirs, "icmp", "127.0.0.1")["probe_success{}"] == 0.0 {
        eprintln!("skipped: echo requests are not permitted here");
        return;
    }
    pair.compare(&[up("icmp", "127.0.0.1")]);
}

#[test]
fn a_request_that_cannot_be_meant_is_refused_in_the_same_words() {
    let folder = tempfile::tempdir().unwrap();
    let Some(pair) = Pair::start(&[("http_2xx", None, "prober: http")], folder.path()) else { return };
    for path in ["/probe", "/probe?module=http_2xx", "/probe?target=&module=http_2xx", "/probe?module=nope&target=x"] {
        let (ours, theirs) = (get(pair.ours.address, path).unwrap(), get(pair.theirs, path).unwrap());
        assert_eq!((ours.status, ours.text()), (theirs.status, theirs.text()), "{path}");
    }
}

#[test]
fn a_silent_target_is_given_up_before_the_scraper_gives_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let site = Site::start(Metrics::new("test"), plan(&[]));
    let path = format!("/probe?target=http://{}/", silent.local_addr().unwrap());
    let begun = Instant::now();
    let answer = request(site.address, "GET", &path, &[("X-Prometheus-Scrape-Timeout-Seconds", "1.5")]).unwrap();
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(1) && took < Duration::from_millis(1500), "{took:?}");
    let page = read(&answer.text());
    assert_eq!(page["probe_success{}"], 0.0);
    assert!(page.contains_key("usoryou_probe_failure_info{kind=\"timed_out\",phase=\"first_byte\"}"), "{page:?}");
}

#[test]
fn debug_explains_and_shows_the_page_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let targets = Targets::start(folder.path());
    let site = Site::start(Metrics::new("test"), plan(&[]));
    let text =
        get(site.address, &format!("/probe?debug=true&module=tcp_connect&target={}", targets.closed)).unwrap().text();
    assert!(text.starts_with("Logs for the probe:\n"), "{text}");
    assert!(text.contains("\nMetrics that would have been returned:\n# HELP ") && text.contains("refused"), "{text}");
}
