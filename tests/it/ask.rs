//! `usoryou ask` and `usoryou report` against a hub that runs, and against its store.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    path::Path,
    process::Output,
};

use serde_json::Value;

use crate::support::program::{Answering, Program, eventually, usoryou};

/// A provider with one product that refuses and one that answers, and controls.
fn config(answering: &Answering) -> String {
    // A port that was free a moment ago refuses.
    let refusing = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let well = answering.address;
    format!(
        r#"
vantage: {{ region: eu-west, node: n1 }}
defaults: {{ interval: 200ms, timeout: 150ms }}
parties:
  firebase: {{ kind: provider, name: "Fire & <Base>" }}
  firestorm: {{ kind: provider, name: Storm }}
  internet: {{ kind: control }}
probes:
  - {{ name: rtdb, party: firebase, product: realtime-database, check: {{ tcp: {{ address: "{refusing}" }} }} }}
  - {{ name: auth, party: firebase, product: auth, check: {{ tcp: {{ address: "{well}" }} }} }}
  - {{ name: storm, party: firestorm, check: {{ tcp: {{ address: "{well}" }} }} }}
  - {{ name: control, party: internet, check: {{ tcp: {{ address: "{well}" }} }} }}
  - {{ name: control-too, party: internet, check: {{ tcp: {{ address: "{well}" }} }} }}
alerts: {{ open_after: 2 }}
"#
    )
}

struct Hub {
    directory: tempfile::TempDir,
    program: Program,
    _answering: Answering,
}

impl Hub {
    fn start() -> Self {
        let (directory, answering) = (tempfile::tempdir().unwrap(), Answering::start());
        std::fs::write(directory.path().join("probes.yaml"), config(&answering)).unwrap();
        let mut program = Program::start(directory.path());
        program.logs("realtime-database is down");
        eventually("an open incident", || {
            let (_, incidents) = program.get("/api/v1/incidents?state=open");
            if incidents.contains("firebase-1") { Ok(()) } else { Err(incidents) }
        });
        Self { directory, program, _answering: answering }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let hub = format!("http://{}", self.program.address);
        usoryou(self.directory.path()).env("USORYOU_HUB", hub).args(arguments).output().unwrap()
    }
}

fn told(output: &Output) -> (Option<i32>, String) {
    let text = [&*output.stdout, &*output.stderr].map(String::from_utf8_lossy).concat();
    (output.status.code(), text)
}

#[test]
fn the_hub_is_asked_by_key_name_and_beginning() {
    let hub = Hub::start();
    for name in ["firebase", "FIREBASE", "fireb", "fire &", "firebase/realtime-database", "Fire & <Base>/real"] {
        let (code, text) = told(&hub.run(&["ask", name]));
        assert_eq!(code, Some(1), "{name}: {text}");
        assert!(text.starts_with("It's them: Fire & <Base> realtime-database is down since"), "{name}: {text}");
        assert!(text.contains("  since     20") && text.contains("  incident  20"), "{text}");
    }
    assert_eq!(told(&hub.run(&["ask", "firestorm"])), (Some(0), "Storm is up.\n".to_owned()));
    assert_eq!(told(&hub.run(&["ask", "firebase/auth"])).0, Some(0));
    for unclear in ["fire", "nobody", "firebase/nothing", ""] {
        let (code, text) = told(&hub.run(&["ask", unclear]));
        assert_eq!(code, Some(2), "{unclear}: {text}");
        assert!(text.contains("firebase/auth, firebase/realtime-database"), "{unclear}: {text}");
    }
    // Whoever has nobody in mind hears of all that is not well.
    let (code, text) = told(&hub.run(&["ask"]));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.starts_with("It's them: Fire & <Base> realtime-database is down since"), "{text}");
    assert!(!text.contains("Storm is up"), "{text}");
    assert!(text.ends_with("Ask about one of: firebase/auth, firebase/realtime-database, firestorm.\n"), "{text}");
    let json: Value = serde_json::from_slice(&hub.run(&["ask", "firebase", "--output", "json"]).stdout).unwrap();
    assert_eq!(json["verdicts"].as_array().unwrap().len(), 2);
    assert_eq!(json["incidents"][0]["subject"]["product"], "realtime-database");
    let (code, text) = told(&hub.run(&["ask", "firebase", "--report", "ABCD"]));
    assert_eq!(code, Some(2), "{text}");
}

#[test]
fn the_verdict_of_then_is_judged_again_from_what_was_seen() {
    let hub = Hub::start();
    // The store writes a moment later.
    eventually("the verdict of a second ago", || {
        let (code, text) = told(&hub.run(&["ask", "firebase/realtime-database", "--at", "1s ago"]));
        let good = code == Some(1) && text.starts_with("At 20") && text.contains("realtime-database is down");
        if good { Ok(()) } else { Err(text) }
    });
    let (code, text) = told(&hub.run(&["ask", "firebase", "--at", "2h ago"]));
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("nothing fresh has been seen"), "{text}");
    assert_eq!(told(&hub.run(&["ask", "firebase", "--at", "2999-01-01"])).0, Some(2));
    assert_eq!(told(&hub.run(&["ask", "firebase", "--at", "noon"])).0, Some(2));
}

#[test]
fn a_hub_that_is_not_there_is_no_answer() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ask = |hub: &str| usoryou(Path::new("/")).args(["ask", "x", "--hub", hub]).output().unwrap();
    let (code, text) = told(&ask(&format!("http://user:hunter2@{nobody}")));
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("cannot ask the hub at http://127.0.0.1") && !text.contains("hunter2"), "{text}");
    let hub = format!("http://user:hunter2@{nobody}");
    let (code, text) = told(&usoryou(Path::new("/")).args(["silence", "--hub", &hub, "list"]).output().unwrap());
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("127.0.0.1") && !text.contains("hunter2"), "{text}");
    assert_eq!(told(&ask("ftp://127.0.0.1")).0, Some(2));
    let page = Answering::start();
    assert_eq!(told(&ask(&format!("http://{}", page.address))).0, Some(3));
    // The system takes the connection, and nobody ever says a word.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let began = std::time::Instant::now();
    let (code, text) = told(&ask(&format!("http://{}", silent.local_addr().unwrap())));
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("it does not answer in time") && began.elapsed().as_secs() < 10, "{text}");
}

/// A hub that shows what another thought an hour ago does not know that all is well now.
#[test]
fn what_was_judged_long_ago_is_no_good_news() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let hub = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut asked = [0; 1024];
            let length = stream.read(&mut asked).unwrap();
            let body = match asked[..length].windows(8).any(|part| part == b"verdicts") {
                true => {
                    r#"[{"subject":{"party":"api"},"at":"2026-11-22T10:00:00Z","cause":"ok","regions":[],"regions_seen":1,
                        "confidence":0.99,"round":7,"party_name":"Our API","sentence":"Our API is up."}]"#
                }
                false => "[]",
            };
            let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        }
    });
    let (code, text) = told(&usoryou(Path::new("/")).args(["ask", "api", "--hub", &hub]).output().unwrap());
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("This was judged at 2026-11-22 10:00:00 UTC, and nothing since."), "{text}");
}

/// As with curl: from behind a proxy a hub elsewhere can be asked, and the one on this machine is not asked for there.
#[test]
fn a_hub_elsewhere_is_asked_through_a_proxy_and_one_here_is_not() {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let through = format!("http://{}", proxy.local_addr().unwrap());
    let ask = |hub: &str| {
        let asking = usoryou(Path::new("/"))
            .args(["ask", "firebase", "--hub", hub])
            .env("HTTP_PROXY", &through)
            .output()
            .unwrap();
        told(&asking)
    };
    assert!(matches!(ask(&format!("http://{nobody}")), (Some(3), why) if why.contains("refused")));
    proxy.set_nonblocking(true).unwrap();
    assert!(proxy.accept().is_err(), "asked for what is here");
    proxy.set_nonblocking(false).unwrap();
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = proxy.accept().unwrap();
        let mut line = [0; 40];
        stream.read_exact(&mut line).unwrap();
        String::from_utf8_lossy(&line).into_owned()
    });
    assert_eq!(ask("http://hub.test:9797").0, Some(3));
    assert!(asked.join().unwrap().starts_with("GET http://hub.test:9797/api/v1/"));
}

#[test]
fn a_report_is_the_same_from_the_hub_and_from_its_store_while_it_runs() {
    let hub = Hub::start();
    std::thread::sleep(std::time::Duration::from_secs(2));
    let of_hub: Value = serde_json::from_slice(&hub.run(&["report", "--last", "1h", "-o", "json"]).stdout).unwrap();
    let store = ["report", "--last", "1h", "--store", "sqlite:usoryou.db", "-o", "json"];
    let of_store: Value = serde_json::from_slice(&hub.run(&store).stdout).unwrap();
    for report in [&of_hub, &of_store] {
        let parties = report["parties"].as_array().unwrap();
        let keys: Vec<&str> = parties.iter().map(|party| party["party"].as_str().unwrap()).collect();
        assert_eq!(keys, ["firebase", "firestorm"], "{report:#}");
        let products = &parties[0]["products"];
        assert_eq!(
            (&products[0]["product"], &products[0]["figures"]["raw_availability"]),
            (&"auth".into(), &1.0.into())
        );
        let database = &products[1]["figures"];
        assert!(database["raw_availability"].as_f64().unwrap() < 0.1, "{database}");
        assert!(products[0]["figures"]["p50"].as_f64().unwrap() < 0.2);
        assert!(report["data_from"].is_string() && report["observations"].as_u64().unwrap() > 10);
        assert_eq!(report["incidents"][0]["product"], "realtime-database");
    }
    let (code, text) = told(&hub.run(&["report"]));
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("Observations exist only since") && text.contains("realtime-database"), "{text}");
    let (_, csv) = told(&hub.run(&["report", "--output", "csv", "--party", "firestorm"]));
    assert_eq!(csv.lines().count(), 3, "{csv}");
    assert!(csv.lines().all(|line| line.split(',').count() == 23), "{csv}");
    let (_, page) = told(&hub.run(&["report", "--output", "html"]));
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("Fire &amp; &lt;Base&gt;"), "{page}");
    assert!(!page.contains("<Base>") && !page.contains("<script") && !page.contains("http"), "{page}");
    let direct = hub.program.get("/api/v1/reports?format=html&from=1h").1;
    assert!(direct.starts_with("<!DOCTYPE html>"), "{direct}");
    assert_eq!(hub.program.get("/api/v1/reports?from=1h&to=2h").0, 400);
    // Nothing is known of what is still to come, and of before there was anything.
    let ahead: Value = serde_json::from_str(&hub.program.get("/api/v1/reports?to=2999-01-01T00:00:00Z").1).unwrap();
    let to: chrono::DateTime<chrono::Utc> = ahead["to"].as_str().unwrap().parse().unwrap();
    assert!(to <= chrono::Utc::now(), "{to}");
    assert_eq!(hub.program.get("/api/v1/reports?to=-8334601228800").0, 400);
}

#[test]
fn periods_are_understood_or_refused() {
    let directory = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let store = ["report", "--store", "sqlite::memory:"];
        told(&usoryou(directory.path()).args([&store[..], arguments].concat()).output().unwrap())
    };
    let (code, text) = run(&["--month", "2025-10"]);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("2025-10-01 00:00 to 2025-11-01 00:00 UTC"), "{text}");
    assert!(
        run(&["--from", "2025-10-05", "--to", "2025-10-06"]).1.contains("2025-10-05 00:00 to 2025-10-06 00:00 UTC")
    );
    for wrong in [
        &["--month", "2025-13"][..],
        &["--month", "2025-10", "--last", "3d"],
        &["--from", "2999-01-01"],
        &["--last", "soon"],
    ] {
        assert_eq!(run(wrong).0, Some(2), "{wrong:?}");
    }
    let missing = usoryou(directory.path()).args(["report", "--store", "sqlite:none.db"]).output().unwrap();
    assert_eq!(told(&missing).0, Some(2));
    assert!(!directory.path().join("none.db").exists());
}
