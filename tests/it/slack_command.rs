//! `/usoryou firebase` in Slack: who is answered, and that the answer is that of `usoryou ask`.

use std::net::SocketAddr;

use aws_lc_rs::hmac;
use serde_json::Value;
use usoryou::{metrics::Metrics, model::Secret};

use crate::support::{
    peers::{Answer, encoded, get, post},
    program::{Answering, Program, eventually, usoryou, write},
    site::{Site, plan},
};

const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";

fn signature(secret: &str, at: i64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("v0:{at}:{body}").as_bytes());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("v0={hex}")
}

fn send(address: SocketAddr, at: i64, signature: &str, body: &str) -> Answer {
    let at = at.to_string();
    let headers = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("X-Slack-Request-Timestamp", &at),
        ("X-Slack-Signature", signature),
    ];
    post(address, "/slack/command", &headers, body.as_bytes()).unwrap()
}

/// What Slack shows to whoever writes `/usoryou TEXT`.
fn ask(address: SocketAddr, text: &str) -> String {
    let body = format!("team_id=T1&user_name=ann&command=%2Fusoryou&text={}", encoded(text));
    let now = chrono::Utc::now().timestamp();
    let answer = send(address, now, &signature(SECRET, now, &body), &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(answer["response_type"], "ephemeral");
    answer["text"].as_str().unwrap().to_owned()
}

#[test]
fn the_answer_in_slack_is_that_of_ask() {
    let (directory, answering) = (tempfile::tempdir().unwrap(), Answering::start());
    let (well, refusing) =
        (answering.address, std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let config = format!(
        r#"
vantage: {{ region: eu-west, node: n1 }}
defaults: {{ interval: 200ms, timeout: 150ms }}
parties:
  firebase: {{ kind: provider, name: "Fire & <Base>" }}
  storm: {{ kind: provider, name: Storm }}
  internet: {{ kind: control }}
probes:
  - {{ name: rtdb, party: firebase, product: rtdb, check: {{ tcp: {{ address: "{refusing}" }} }} }}
  - {{ name: auth, party: firebase, product: auth, check: {{ tcp: {{ address: "{well}" }} }} }}
  - {{ name: storm, party: storm, check: {{ tcp: {{ address: "{well}" }} }} }}
  - {{ name: control, party: internet, check: {{ tcp: {{ address: "{well}" }} }} }}
  - {{ name: control-too, party: internet, check: {{ tcp: {{ address: "{well}" }} }} }}
alerts: {{ open_after: 2 }}
hub: {{ slack_signing_secret: {{ file: secret }} }}
"#
    );
    write(directory.path(), "secret", &format!("{SECRET}\n"));
    write(directory.path(), "probes.yaml", &config);
    let program = Program::start(directory.path());
    let address = program.address;
    eventually("an open incident", || {
        let (_, incidents) = program.get("/api/v1/incidents?state=open");
        if incidents.contains("firebase-1") { Ok(()) } else { Err(incidents) }
    });
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let asked = |party: &str| {
        let hub = format!("http://{address}");
        let output = usoryou(directory.path()).env("USORYOU_HUB", hub).args(["ask", party]).output().unwrap();
        escaped(&String::from_utf8_lossy(&[output.stdout, output.stderr].concat()))
    };
    assert_eq!(ask(address, "storm"), "Storm is up.");
    assert_eq!(asked("storm"), "Storm is up.\n");
    // The figures behind a sentence change from one moment to the next; its beginning stays.
    let (here, there) = (ask(address, " firebase/rtdb "), asked("firebase/rtdb"));
    let beginning = there.split(". ").next().unwrap();
    assert!(beginning.contains("Fire &amp; &lt;Base&gt; rtdb is down since"), "{there}");
    assert!(
        here.starts_with(beginning) && here.contains("\n• since: 20") && here.contains("\n• incident: 20"),
        "{here}"
    );
    assert!(ask(address, "fire").contains("Fire &amp; &lt;Base&gt; auth is up."));
    let unknown = ask(address, "nobody");
    assert_eq!(unknown, "The hub knows no party `nobody`: firebase/auth, firebase/rtdb, storm.");
    assert!(asked("nobody").contains("the hub knows no party `nobody`: firebase/auth, firebase/rtdb, storm"));
    let all = ask(address, "");
    assert!(all.contains("rtdb is down since") && !all.contains("Storm is"), "{all}");
    assert!(all.ends_with("Ask about one of: firebase/auth, firebase/rtdb, storm."), "{all}");
    assert!(!program.log().contains(SECRET));
}

#[test]
fn nobody_but_slack_is_answered() {
    let mut signed = plan(&[]);
    signed.slack_signing_secret = Some(Secret::new(SECRET));
    let site = Site::start(Metrics::new("test"), signed);
    assert!(ask(site.address, "x").starts_with("Nothing has been judged here yet."));
    let (now, body) = (chrono::Utc::now().timestamp(), "text=x");
    let refused = |at: i64, signature: &str, body: &str| {
        let answer = send(site.address, at, signature, body);
        assert_eq!((answer.status, &*answer.text()), (401, "not signed by Slack\n"));
    };
    refused(now, &signature("another secret than ours", now, body), body);
    refused(now, &signature(SECRET, now, body), "text=y");
    refused(now, &signature(SECRET, now, body).to_ascii_uppercase(), body);
    refused(now, "", body);
    for old in [now - 400, now + 400, 0] {
        refused(old, &signature(SECRET, old, body), body);
    }
    assert_eq!(post(site.address, "/slack/command", &[], body.as_bytes()).unwrap().status, 401);
    let large = format!("text={}", "x".repeat(16 << 10));
    assert_eq!(send(site.address, now, &signature(SECRET, now, &large), &large).status, 413);
    assert_eq!(get(site.address, "/slack/command").unwrap().status, 405);
}

#[test]
fn without_a_secret_there_is_no_such_page() {
    let site = Site::start(Metrics::new("test"), plan(&[]));
    let (now, body) = (chrono::Utc::now().timestamp(), "text=x");
    let answer = send(site.address, now, &signature("", now, body), body);
    assert_eq!((answer.status, answer.text()), (404, get(site.address, "/nothing").unwrap().text()));
}
