//! The internal listener: health, reload, the API, and clients that behave badly.

use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use usoryou::{
    hub::View,
    metrics::{Metrics, ProbeLabels},
    model::{Incident, Observation, Verdict},
    web::ReloadRefused,
};

use crate::support::{
    peers::{get, request},
    site::{Site, plan},
};

fn observation(probe: &str, second: u32) -> Observation {
    serde_json::from_value(json!({
        "probe": probe, "party": "provider", "region": "eu-west", "outcome": "up",
        "scheduled_at": format!("2026-11-22T10:32:{second:02}.000Z"), "phases": {"connect": 0.01}, "duration": 0.01
    }))
    .unwrap()
}

fn one_probe() -> usoryou::config::Plan {
    plan(&[("echo", json!({"icmp": {"host": "127.0.0.1"}}))])
}

fn json_of(site: &Site, path: &str) -> Value {
    let answer = get(site.address, path).unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    serde_json::from_slice(&answer.body).unwrap()
}

#[test]
fn ready_is_said_only_when_it_is_true() {
    let site = Site::start(Metrics::new("test"), one_probe());
    assert_eq!(get(site.address, "/healthz").unwrap().status, 200);
    let waiting = get(site.address, "/readyz").unwrap();
    assert_eq!((waiting.status, &*waiting.text()), (503, "not ready: no probe has run yet\n"));
    let labels = ProbeLabels {
        party: "provider".into(),
        product: None,
        probe: "echo".into(),
        protocol: "icmp".into(),
        region: "eu-west".into(),
        node: "n1".into(),
    };
    site.metrics.probe(&labels).record(&observation("echo", 0));
    assert_eq!(get(site.address, "/readyz").unwrap().status, 200);
    assert_eq!(json_of(&site, "/api/v1/status")["ready"], true);
}

#[test]
fn a_hub_that_has_not_judged_or_cannot_write_is_not_relied_on() {
    let site = Site::start(Metrics::new("test"), plan(&[]));
    let why = || get(site.address, "/readyz").unwrap().text();
    assert_eq!(why(), "ready\n");
    site.view.send_modify(|view| view.store.failing = Some("cannot write to the store: disk full".to_owned()));
    assert_eq!(why(), "not ready: cannot write to the store: disk full\n");
    site.view.send_replace(View::default());
    assert_eq!(why(), "not ready: nothing has been judged yet\n");
}

fn incident(id: &str, state: &str, onset: &str) -> Incident {
    serde_json::from_value(json!({
        "id": id, "subject": {"party": "firebase"}, "state": state, "cause": "them", "onset": onset,
        "bad_rounds": 3, "good_rounds": 0, "round": 1, "verdict": verdict("firebase", "them")
    }))
    .unwrap()
}

fn verdict(party: &str, cause: &str) -> Verdict {
    serde_json::from_value(json!({
        "subject": {"party": party}, "at": "2026-11-22T10:32:30Z", "cause": cause, "regions": ["eu-west"],
        "regions_seen": 1, "confidence": 0.9, "round": 1
    }))
    .unwrap()
}

#[test]
fn verdicts_come_with_their_sentences_and_status_names_what_is_bad() {
    let site = Site::start(Metrics::new("test"), plan(&[]));
    site.view.send_modify(|view| {
        view.verdicts = vec![verdict("api", "ok"), verdict("firebase", "them")];
        view.sentences = vec!["Our API works.".to_owned(), "It's them: Firebase is down.".to_owned()];
    });
    let verdicts = json_of(&site, "/api/v1/verdicts");
    assert_eq!(
        (&verdicts[1]["cause"], &verdicts[1]["sentence"]),
        (&json!("them"), &json!("It's them: Firebase is down."))
    );
    assert_eq!(json_of(&site, "/api/v1/verdicts?party=api").as_array().unwrap().len(), 1);
    assert_eq!(json_of(&site, "/api/v1/status")["bad"], json!(["It's them: Firebase is down."]));
}

#[test]
fn incidents_are_those_of_the_store_as_the_hub_sees_them_now() {
    let site = Site::start(Metrics::new("test"), plan(&[]));
    let stored = [
        incident("2026-11-21-firebase-1", "closed", "2026-11-21T10:00:00Z"),
        incident("2026-11-22-firebase-1", "open", "2026-11-22T10:00:00Z"),
    ];
    site.wait(site.store.apply(&stored, &[], &[])).unwrap();
    site.view.send_modify(|view| {
        view.incidents = vec![incident("2026-11-22-firebase-1", "recovering", "2026-11-22T10:00:00Z")];
    });
    let told = json_of(&site, "/api/v1/incidents?since=2026-11-01T00:00:00Z");
    let told: Vec<_> = told.as_array().unwrap().iter().map(|one| (one["id"].clone(), one["state"].clone())).collect();
    assert_eq!(
        told,
        [(json!("2026-11-22-firebase-1"), json!("recovering")), (json!("2026-11-21-firebase-1"), json!("closed")),]
    );
    let open = json_of(&site, "/api/v1/incidents?state=closed&since=2026-11-01T00:00:00Z");
    assert_eq!(open.as_array().unwrap().len(), 1);
    assert!(json_of(&site, "/api/v1/incidents?party=api").as_array().unwrap().is_empty());
}

#[test]
fn a_reload_tells_how_it_went() {
    let mut site = Site::start(Metrics::new("test"), plan(&[]));
    let address = site.address;
    let cases = [
        (Ok(()), 200, "reloaded\n"),
        (
            Err(ReloadRefused::Mistakes("probes.yaml:3:5: no such key".to_owned())),
            400,
            "probes.yaml:3:5: no such key\n",
        ),
        (Err(ReloadRefused::Failed("no memory".to_owned())), 500, "no memory\n"),
    ];
    for (result, status, text) in cases {
        let asking = std::thread::spawn(move || request(address, "POST", "/-/reload", &[]).unwrap());
        let asked = site.reloads.blocking_recv().unwrap();
        asked.answer.send(result).unwrap();
        let answer = asking.join().unwrap();
        assert_eq!((answer.status, &*answer.text()), (status, text));
    }
    assert_eq!(get(address, "/-/reload").unwrap().status, 405, "a link must not reload");
}

#[test]
fn observations_are_filtered_bounded_and_come_as_lines_too() {
    let site = Site::start(Metrics::new("test"), plan(&[]));
    let seen: Vec<_> = (0..30).map(|second| observation(if second % 3 == 0 { "a" } else { "b" }, second)).collect();
    site.wait(site.store.append(&seen)).unwrap();
    let of = |query: &str| {
        let answer = json_of(&site, &format!("/api/v1/observations?{query}"));
        let due = |one: &Value| one["scheduled_at"].as_str().unwrap()[17..19].to_owned();
        answer.as_array().unwrap().iter().map(due).collect::<Vec<_>>()
    };
    assert_eq!(of("probe=a&limit=2"), ["27", "24"], "newest first");
    assert_eq!(of("probe=a&since=2026-11-22T10:32:20Z"), ["27", "24", "21"]);
    assert_eq!(of("until=2026-11-22T10:32:02Z"), ["01", "00"]);
    assert!(of("region=us-east").is_empty());
    assert_eq!(of("limit=999999999").len(), 30);

    let lines = get(site.address, "/api/v1/observations?format=jsonl&limit=2").unwrap();
    assert!(lines.head.contains("content-type: application/jsonl"));
    let read: Vec<Observation> = lines.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let due: Vec<_> = read.iter().map(|one| one.scheduled_at.timestamp() % 60).collect();
    assert_eq!(due, [28, 29], "as they happened");

    let many: Vec<_> = (0..6000).map(|nth| observation(&format!("p{nth}"), 40)).collect();
    site.wait(site.store.append(&many)).unwrap();
    let all = get(site.address, "/api/v1/observations?format=jsonl").unwrap().text();
    let read: Vec<Observation> = all.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(read.is_sorted_by_key(|one| one.scheduled_at));
    let probes: BTreeSet<_> = read.iter().map(|one| &*one.probe).collect();
    assert_eq!((read.len(), probes.len()), (6030, 6002), "a file has all, each once");
    let some = get(site.address, "/api/v1/observations?format=jsonl&probe=a").unwrap().text();
    assert_eq!(some.lines().count(), 10);
}

#[test]
fn the_list_names_every_path_of_the_api() {
    let site = Site::start(Metrics::new("test"), plan(&[]));
    let list = get(site.address, "/").unwrap().text();
    let described: Value = serde_json::from_str(include_str!("../../src/web/openapi.json")).unwrap();
    let paths = described["paths"].as_object().unwrap().iter();
    for (path, _) in paths.filter(|(path, methods)| !path.contains('{') && methods.get("get").is_some()) {
        assert!(list.contains(&format!("{path} ")), "{path} is not in the list:\n{list}");
    }
}

#[test]
fn a_question_that_is_not_understood_is_refused_with_the_reason() {
    let site = Site::start(Metrics::new("test"), plan(&[]));
    for (path, status, word) in [
        ("/api/v1/observations?prob=x", 400, "prob"),
        ("/api/v1/observations?since=yesterday", 400, "how long ago"),
        ("/api/v1/verdicts?at=-8334601228800", 400, "before anything was seen"),
        ("/api/v1/verdicts?at=-1", 400, "before anything was seen"),
        ("/api/v1/observations?limit=-1", 400, "limit"),
        ("/api/v1/observations?format=xml", 400, "xml"),
        ("/api/v1/incidents?state=bad", 400, "bad"),
        ("/api/v1/nothing", 404, "no such path"),
    ] {
        let answer = get(site.address, path).unwrap();
        let error: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(answer.status, status, "{path}");
        assert!(error["error"].as_str().unwrap().contains(word), "{path}: {error}");
    }
    assert_eq!(get(site.address, "/nothing").unwrap().status, 404);
}

#[test]
fn probes_are_listed_without_what_could_be_secret() {
    let check = json!({"icmp": {"host": "127.0.0.1"}});
    let site = Site::start(Metrics::new("test"), plan(&[("echo", check)]));
    let probes = json_of(&site, "/api/v1/probes");
    assert_eq!(probes[0]["name"], "echo");
    assert_eq!((&probes[0]["protocol"], &probes[0]["interval"]), (&json!("icmp"), &json!(10.0)));
    let mut names: Vec<_> = probes[0].as_object().unwrap().keys().cloned().collect();
    names.sort();
    assert_eq!(names, ["interval", "kind", "name", "party", "product", "protocol", "target", "timeout"]);
}

#[test]
fn more_probes_on_demand_than_allowed_are_refused_and_the_rest_still_answers() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let site = Site::start(Metrics::new("test"), plan(&[]));
    let (address, port) = (site.address, silent.local_addr().unwrap().port());
    let path = format!("/probe?module=ssh_banner&target=127.0.0.1:{port}");
    let asking: Vec<_> = (0..70)
        .map(|_| {
            let path = path.clone();
            std::thread::spawn(move || {
                request(address, "GET", &path, &[("X-Prometheus-Scrape-Timeout-Seconds", "3")]).unwrap().status
            })
        })
        .collect();
    // While they hang, everything else answers at once.
    let begun = Instant::now();
    assert_eq!(get(address, "/healthz").unwrap().status, 200);
    assert_eq!(get(address, "/metrics").unwrap().status, 200);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let statuses: Vec<u16> = asking.into_iter().map(|asking| asking.join().unwrap()).collect();
    let count = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!((count(200), count(503)), (64, 6), "{statuses:?}");
}

#[test]
fn a_page_of_another_site_cannot_make_us_act() {
    let site = Site::start(Metrics::new("test"), plan(&[]));
    let asked = |method: &str, path: &str, from: &str| {
        request(site.address, method, path, &[("Sec-Fetch-Site", from)]).unwrap().status
    };
    for from in ["cross-site", "same-site", "nonsense"] {
        assert_eq!(asked("POST", "/-/reload", from), 403, "{from}");
        assert_eq!(asked("GET", "/probe?module=tcp_connect&target=127.0.0.1:1", from), 403, "{from}");
    }
    assert_eq!(asked("GET", "/probe?module=tcp_connect&target=127.0.0.1:1", "none"), 200);
}

#[test]
fn a_client_that_misbehaves_hurts_only_itself() {
    let site = Site::start(Metrics::new("test"), plan(&[]));
    let answer_to = |sent: &[u8]| {
        let mut stream = TcpStream::connect(site.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        // The other side may already have closed: that is an answer too.
        let _ = stream.write_all(sent);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    };
    let endless = [b"GET / HTTP/1.1\r\nX: ".as_slice(), &vec![b'a'; 200_000]].concat();
    assert!(answer_to(&endless).starts_with("HTTP/1.1 431"), "{}", answer_to(&endless));
    assert!(answer_to(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 not HTTP\r\n\r\n").starts_with("HTTP/1.1 400"));
    // Clients that say nothing take places, not answers.
    let idle: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(site.address).unwrap()).collect();
    assert_eq!(get(site.address, "/healthz").unwrap().status, 200);
    drop(idle);
}
