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

/// Modules of the same name in both programs: ours as checks, theirs as they are written there.
fn modules(targets: &Targets) -> (Vec<(&'static str, serde_json::Value)>, String) {
    let ca = targets.ca_file.display();
    let ours = vec![
        ("https_ca", json!({"http": {"url": "https://x.invalid/", "tls": {"ca_file": targets.ca_file}}})),
        ("http_no_redirect", json!({"http": {"url": "http://x.invalid/", "redirects": 0}})),
        ("http_any", json!({"http": {"url": "http://x.invalid/", "expect": {"status": [500]}}})),
        ("http_known", json!({"http": {"url": "http://x.invalid/", "expect": {"body_regex": "body is kn..n"}}})),
        ("http_other", json!({"http": {"url": "http://x.invalid/", "expect": {"body_regex": "something else"}}})),
        ("tls_ca", json!({"tls": {"address": "x.invalid:1", "tls": {"ca_file": targets.ca_file}}})),
        ("banner", json!({"tcp": {"address": "x.invalid:1", "expect_regex": "^220 "}})),
        ("other_banner", json!({"tcp": {"address": "x.invalid:1", "expect_regex": "^SSH"}})),
        ("dns_a", json!({"dns": {"name": "example.test", "server": "x.invalid"}})),
        ("dns_a_tcp", json!({"dns": {"name": "example.test", "server": "x.invalid", "transport": "tcp"}})),
        ("dns_missing", json!({"dns": {"name": "nothing.test", "server": "x.invalid"}})),
    ];
    let theirs = format!(
        r"
modules:
  http_2xx: {{prober: http}}
  http_post_2xx: {{prober: http, http: {{method: POST}}}}
  https_ca: {{prober: http, http: {{tls_config: {{ca_file: {ca}}}}}}}
  http_no_redirect: {{prober: http, http: {{follow_redirects: false}}}}
  http_any: {{prober: http, http: {{valid_status_codes: [500]}}}}
  http_known: {{prober: http, http: {{fail_if_body_not_matches_regexp: ['body is kn..n']}}}}
  http_other: {{prober: http, http: {{fail_if_body_not_matches_regexp: ['something else']}}}}
  tcp_connect: {{prober: tcp}}
  tls_connect: {{prober: tcp, tcp: {{tls: true}}}}
  tls_ca: {{prober: tcp, tcp: {{tls: true, tls_config: {{ca_file: {ca}}}}}}}
  banner: {{prober: tcp, tcp: {{query_response: [{{expect: '^220 '}}]}}}}
  other_banner: {{prober: tcp, tcp: {{query_response: [{{expect: '^SSH'}}]}}}}
  icmp: {{prober: icmp}}
  dns_a: {{prober: dns, dns: {{query_name: example.test, query_type: A}}}}
  dns_a_tcp: {{prober: dns, dns: {{query_name: example.test, query_type: A, transport_protocol: tcp}}}}
  dns_missing: {{prober: dns, dns: {{query_name: nothing.test, query_type: A}}}}
"
    );
    (ours, theirs)
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
fn the_answer_is_the_one_of_blackbox_exporter() {
    let Some(program) = peer("prometheus-blackbox-exporter").or_else(|| peer("blackbox_exporter")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let targets = Targets::start(folder.path());
    let (ours, theirs) = modules(&targets);
    let (_blackbox, blackbox) = blackbox(&program, &theirs, folder.path());
    let site = Site::start(Metrics::new("test"), plan(&ours));

    let at = |address: SocketAddr| address.to_string();
    let by_name = |address: SocketAddr| format!("localhost:{}", address.port());
    let web = |path: &str| format!("http://{}{path}", targets.http);
    // The certificate that was not trusted: we show it, blackbox_exporter does not.
    let certificate = &["probe_ssl_", "probe_tls_"][..];
    let cases: [(&str, String, f64, &[&str]); 27] = [
        ("http_2xx", web("/"), 1.0, &[]),
        ("http_2xx", at(targets.http), 1.0, &[]),
        ("http_2xx", format!("http://{}/", by_name(targets.http)), 1.0, &[]),
        ("http_2xx", web("/redirect"), 1.0, &[]),
        ("http_2xx", web("/500"), 0.0, &[]),
        ("http_2xx", web("/dated"), 1.0, &[]),
        ("http_2xx", web("/slow"), 1.0, &[]),
        ("http_2xx", web("/chunked"), 1.0, &[]),
        ("http_2xx", format!("http://{}/", targets.closed), 0.0, &[]),
        ("http_2xx", format!("https://{}/", by_name(targets.https)), 0.0, certificate),
        ("http_post_2xx", web("/"), 1.0, &[]),
        ("https_ca", format!("https://{}/", by_name(targets.https)), 1.0, &[]),
        ("https_ca", format!("https://{}/", by_name(targets.https_other_name)), 0.0, certificate),
        ("http_no_redirect", web("/redirect"), 0.0, &[]),
        ("http_any", web("/500"), 1.0, &[]),
        ("http_known", web("/"), 1.0, &[]),
        ("http_other", web("/"), 0.0, &[]),
        ("tcp_connect", at(targets.http), 1.0, &[]),
        ("tcp_connect", at(targets.closed), 0.0, &[]),
        ("tls_ca", by_name(targets.https), 1.0, &[]),
        ("tls_connect", by_name(targets.https), 0.0, certificate),
        ("tls_connect", by_name(targets.http), 0.0, &[]),
        ("banner", at(targets.banner), 1.0, &[]),
        ("dns_a", at(targets.dns), 1.0, &[]),
        ("dns_a_tcp", at(targets.dns), 1.0, &[]),
        ("dns_missing", at(targets.dns), 0.0, &[]),
        ("dns_a_tcp", at(targets.closed), 0.0, &[]),
    ];
    let mut found = String::new();
    for (module, target, success, allowed) in cases {
        let (ours, theirs) = (ask(site.address, module, &target), ask(blackbox, module, &target));
        assert_eq!(theirs["probe_success{}"], success, "{module} {target}: the case is not what it should be");
        let differences = differences(&ours, &theirs, allowed);
        if !differences.is_empty() {
            found += &format!("{module} {target}\n  {}\n", differences.join("\n  "));
        }
        let failed = ours.keys().any(|series| series.starts_with("usoryou_probe_failure_info{"));
        assert_eq!(failed, success == 0.0, "{module} {target}: {ours:?}");
        if target.ends_with("/slow") {
            for page in [&ours, &theirs] {
                let processing = page["probe_http_duration_seconds{phase=\"processing\"}"];
                assert!(processing >= HOLD.as_secs_f64(), "{processing}");
            }
        }
    }
    assert!(found.is_empty(), "{found}");
}

#[test]
fn echo_requests_are_answered_alike_where_they_are_permitted() {
    let Some(program) = peer("prometheus-blackbox-exporter").or_else(|| peer("blackbox_exporter")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (_blackbox, blackbox) = blackbox(&program, "modules: {icmp: {prober: icmp}}\n", folder.path());
    let site = Site::start(Metrics::new("test"), plan(&[]));
    let (ours, theirs) = (ask(site.address, "icmp", "127.0.0.1"), ask(blackbox, "icmp", "127.0.0.1"));
    if theirs["probe_success{}"] == 0.0 {
        eprintln!("skipped: echo requests are not permitted here");
        return;
    }
    assert_eq!(differences(&ours, &theirs, &[]), [""; 0]);
}

#[test]
fn a_request_that_cannot_be_meant_is_refused_in_the_same_words() {
    let Some(program) = peer("prometheus-blackbox-exporter").or_else(|| peer("blackbox_exporter")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (_blackbox, blackbox) = blackbox(&program, "modules: {http_2xx: {prober: http}}\n", folder.path());
    let site = Site::start(Metrics::new("test"), plan(&[]));
    for path in ["/probe", "/probe?module=http_2xx", "/probe?target=&module=http_2xx", "/probe?module=nope&target=x"] {
        let (ours, theirs) = (get(site.address, path).unwrap(), get(blackbox, path).unwrap());
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
