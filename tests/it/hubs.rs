//! Several hubs over one Postgres, as real processes: whichever dies, or loses its way to the store, nothing is lost,
//! nothing is told twice, and another leads.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::support::{
    certs,
    postgres::{self, Postgres},
    program::{Program, eventually, usoryou, write},
    slack::Slack,
    way::Way,
};

const TOKENS: [(&str, &str); 2] = [("eu", "eu-agent-token"), ("us", "us-agent-token")];

fn config(slack: Option<&Slack>, store: Option<&str>) -> String {
    let alerts = slack.map_or_else(String::new, |slack| {
        format!(
            "alerts:\n  channels: {{ support: {{ slack: {{ webhook_url: \"{}\" }} }} }}\n  routes: [ {{ to: support }} ]\n",
            slack.webhook
        )
    });
    let agents: String = TOKENS
        .iter()
        .map(|(region, token)| {
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes());
            let hash: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            format!("    - {{ name: {region}-1, region: {region}, token_sha256: \"{hash}\" }}\n")
        })
        .collect();
    let store = store.map_or_else(String::new, |store| format!("  store: \"{store}\"\n"));
    format!(
        r#"
defaults: {{ interval: 1s, timeout: 900ms, confirm: off }}
parties:
  firebase: {{ kind: provider, name: Firebase }}
  internet: {{ kind: control }}
probes:
  - {{ name: rtdb, party: firebase, check: {{ http: {{ url: "http://127.0.0.1:9/" }} }} }}
  - {{ name: net, party: internet, check: {{ icmp: {{ host: 127.0.0.1 }} }} }}
{alerts}hub:
{store}  agents:
{agents}"#
    )
}

fn hub(directory: &Path) -> Program {
    let mut command = usoryou(directory);
    command.args(["hub", "--listen", "127.0.0.1:0"]);
    Program::start_by(command)
}

fn leads(hub: &Program) -> bool {
    hub.get("/readyz").1.contains("this hub leads")
}

/// The one that leads, and the other.
fn ranked(hubs: [Program; 2]) -> (Program, Program) {
    eventually("leader", || if hubs.iter().any(leads) { Ok(()) } else { Err(hubs[0].log()) });
    eventually("follower", || {
        match hubs.iter().filter(|hub| hub.get("/readyz").1.contains(" leads, this hub takes")).count() {
            1 => Ok(()),
            _ => Err(format!("{:?} {:?}", hubs[0].get("/readyz"), hubs[1].get("/readyz"))),
        }
    });
    let [one, other] = hubs;
    if leads(&one) { (one, other) } else { (other, one) }
}

/// Hands in a round of both regions as agents would: the last status and answer.
fn round(hub: SocketAddr, down: bool) -> (u16, String) {
    let mut last = (0, String::new());
    for (region, token) in TOKENS {
        let at = chrono::Utc::now().to_rfc3339();
        let failure = r#","failure":{"phase":"connect","kind":"refused","detail":"by the test"}"#;
        let (outcome, failure) = if down { ("down", failure) } else { ("up", "") };
        let body = format!(
            "{{\"probe\":\"rtdb\",\"party\":\"firebase\",\"region\":\"{region}\",\"node\":\"n\",\"outcome\":\"{outcome}\",\"scheduled_at\":\"{at}\"{failure}}}\n\
             {{\"probe\":\"net\",\"party\":\"internet\",\"region\":\"{region}\",\"node\":\"n\",\"outcome\":\"up\",\"scheduled_at\":\"{at}\"}}\n"
        );
        let Ok(mut stream) = TcpStream::connect(hub) else { return last };
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let head = format!(
            "POST /api/v1/observations HTTP/1.0\r\nHost: {hub}\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        last = (status, answer);
    }
    last
}

/// Rounds, one a second, until something is so.
fn rounds_until(hub: &Program, down: bool, what: &str, is_so: impl Fn() -> bool) -> usize {
    for number in 1..40 {
        assert_eq!(round(hub.address, down).0, 200, "{}", hub.log());
        sleep(Duration::from_secs(1));
        if is_so() {
            return number;
        }
    }
    panic!("no {what}:\n{}", hub.log());
}

#[test]
fn another_hub_goes_on_where_the_leader_died() {
    let Some(url) = postgres::database() else { return };
    let slack = Slack::start();
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "probes.yaml", &config(Some(&slack), Some(&url)));
    let (mut leader, other) = ranked([hub(directory.path()), hub(directory.path())]);
    assert_eq!(leader.figure(&["usoryou_hub_leading"]), Some(1.0));
    assert_eq!(other.figure(&["usoryou_hub_leading"]), Some(0.0));

    // What the follower takes is known to the leader at once.
    assert_eq!(round(other.address, false).0, 200);
    let taken = Instant::now();
    eventually("absorbed batch", || match leader.figure(&["usoryou_hub_observations_total"]) {
        Some(4.0) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert!(taken.elapsed() < Duration::from_millis(500), "{:?}", taken.elapsed());

    rounds_until(&other, true, "opening", || slack.messages().len() == 1);
    // Both show the same.
    let shown = |hub: &Program| -> Value { serde_json::from_str(&hub.get("/api/v1/incidents").1).unwrap() };
    eventually("the same incident", || {
        if shown(&other)[0]["id"].is_string() { Ok(()) } else { Err(other.get("/api/v1/incidents").1) }
    });
    leader.signal("KILL");
    leader.ended();
    let died = Instant::now();
    eventually("takeover", || if leads(&other) { Ok(()) } else { Err(other.log()) });
    assert!(died.elapsed() < Duration::from_secs(5), "{:?}", died.elapsed());
    for _ in 0..3 {
        assert_eq!(round(other.address, true).0, 200);
        sleep(Duration::from_secs(1));
    }
    assert_eq!(slack.messages().len(), 1, "an incident that is known is not told again: {:#?}", slack.messages());
    rounds_until(&other, false, "closing", || slack.messages().len() > 1);
    // A third one comes up and has nothing to add.
    let third = hub(directory.path());
    eventually("third", || if third.get("/readyz").0 == 200 { Ok(()) } else { Err(third.get("/readyz").1) });
    sleep(Duration::from_secs(2));
    let told = slack.messages();
    assert_eq!(told.len(), 2, "{told:#?}");
    assert!(told[0].text.contains("down") && !told[1].text.contains("is down"), "{told:#?}");
    let incidents = postgres::ask(&url, "select count(*), count(*) filter (where state = 'closed') from incident");
    assert_eq!(incidents, "1|1");
    assert_eq!(
        postgres::ask(&url, "select count(*) from observation"),
        postgres::ask(&url, "select count(distinct id) from observation")
    );
}

#[test]
fn a_leader_that_ends_in_order_is_followed_at_once() {
    let Some(url) = postgres::database() else { return };
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "probes.yaml", &config(None, Some(&url)));
    let (mut leader, other) = ranked([hub(directory.path()), hub(directory.path())]);
    leader.signal("TERM");
    let asked = Instant::now();
    assert!(leader.ended().0.success(), "{}", leader.log());
    eventually("takeover", || if leads(&other) { Ok(()) } else { Err(other.log()) });
    assert!(asked.elapsed() < Duration::from_millis(2500), "{:?}", asked.elapsed());
}

#[test]
fn a_leader_that_stood_still_changes_nothing_when_it_wakes() {
    let Some(url) = postgres::database() else { return };
    let slack = Slack::start();
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "probes.yaml", &config(Some(&slack), Some(&url)));
    let (leader, other) = ranked([hub(directory.path()), hub(directory.path())]);
    rounds_until(&other, true, "opening", || slack.messages().len() == 1);
    leader.signal("STOP");
    eventually("takeover", || if leads(&other) { Ok(()) } else { Err(other.log()) });
    rounds_until(&other, false, "closing", || slack.messages().len() > 1);
    leader.signal("CONT");
    eventually("deposed", || if leads(&leader) { Err(leader.log()) } else { Ok(()) });
    for _ in 0..3 {
        assert_eq!(round(leader.address, false).0, 200);
        sleep(Duration::from_secs(1));
    }
    assert_eq!(slack.messages().len(), 2, "{:#?}", slack.messages());
    assert!(leads(&other) && !leads(&leader));
}

/// The lead was lost and won again while it stood still: what the other hub did meanwhile is its own now.
#[test]
fn a_leader_that_stood_still_and_leads_again_goes_on_where_the_other_died() {
    let Some(url) = postgres::database() else { return };
    let slack = Slack::start();
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "probes.yaml", &config(Some(&slack), Some(&url)));
    let (leader, mut other) = ranked([hub(directory.path()), hub(directory.path())]);
    leader.signal("STOP");
    eventually("takeover", || if leads(&other) { Ok(()) } else { Err(other.log()) });
    rounds_until(&other, true, "opening", || slack.messages().len() == 1);
    other.signal("KILL");
    other.ended();
    let lapsed = "select count(*) from lease where until < clock_timestamp()";
    eventually("lapsed lease", || match postgres::ask(&url, lapsed).as_str() {
        "1" => Ok(()),
        other => Err(other.to_owned()),
    });
    leader.signal("CONT");
    rounds_until(&leader, false, "closing", || slack.messages().len() > 1);
    let told = slack.messages();
    assert_eq!(told.len(), 2, "{told:#?}");
    assert!(told[0].text.contains("down") && told[1].text.contains("Over"), "{told:#?}");
    assert!(leads(&leader));
}

#[test]
fn a_store_that_is_away_is_waited_for() {
    let Some(mut server) = Postgres::start(&[]) else { return };
    let url = server.database();
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "probes.yaml", &config(None, Some(&url)));
    let hub = hub(directory.path());
    eventually("leader", || if leads(&hub) { Ok(()) } else { Err(hub.log()) });
    let taken = |hub: &Program| -> u32 {
        let figure = hub.figure(&["usoryou_hub_agent_observations_total", "eu-1", "result=\"taken\""]);
        figure.unwrap_or_default() as u32
    };
    for away in ["stopped", "paused"] {
        assert_eq!(round(hub.address, false).0, 200, "{away}: {}", hub.log());
        if away == "stopped" {
            server.stop()
        } else {
            server.pause()
        }
        let asked = Instant::now();
        let (status, answer) = round(hub.address, false);
        assert_eq!(status, 503, "{away}: {answer}");
        assert!(answer.to_ascii_lowercase().contains("\r\nretry-after: "), "{answer}");
        assert!(asked.elapsed() < Duration::from_secs(40), "{:?}", asked.elapsed());
        eventually("honest answer", || match hub.get("/readyz") {
            (503, why) if why.contains("store") => Ok(()),
            other => Err(format!("{away}: {other:?}")),
        });
        assert_eq!(hub.get("/healthz").0, 200);
        if away == "stopped" {
            server.go_on()
        } else {
            server.wake()
        }
        eventually("return", || match (hub.get("/readyz"), round(hub.address, false).0) {
            ((200, _), 200) if leads(&hub) => Ok(()),
            other => Err(format!("{away}: {other:?} {}", hub.log())),
        });
    }
    let stored: u32 = postgres::ask(&url, "select count(*) from observation where region = 'eu'").parse().unwrap();
    assert!(stored >= taken(&hub) && taken(&hub) >= 8, "{stored} stored, {} said to be taken", taken(&hub));
}

#[test]
fn a_hub_may_start_before_its_store() {
    let Some(mut server) = Postgres::start(&[]) else { return };
    let url = server.database();
    server.stop();
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "probes.yaml", &config(None, Some(&url)));
    let mut hub = hub(directory.path());
    hub.logs("cannot reach the store");
    assert_eq!((hub.get("/healthz").0, hub.get("/readyz").0, round(hub.address, false).0), (200, 503, 503));
    server.go_on();
    eventually("return", || if leads(&hub) { Ok(()) } else { Err(hub.log()) });
    assert_eq!(round(hub.address, false).0, 200);
}

#[test]
fn a_leader_whose_way_to_the_store_is_cut_is_followed_and_comes_back_as_one_of_the_others() {
    let Some(url) = postgres::database() else { return };
    let slack = Slack::start();
    let server = url::Url::parse(&url).unwrap();
    let way = Way::to(SocketAddr::from(([127, 0, 0, 1], server.port().unwrap())));
    let (near, far) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut over_the_way = server;
    over_the_way.set_port(Some(way.address.port())).unwrap();
    write(far.path(), "probes.yaml", &config(Some(&slack), Some(over_the_way.as_str())));
    write(near.path(), "probes.yaml", &config(Some(&slack), Some(&url)));
    let leader = hub(far.path());
    eventually("leader", || if leads(&leader) { Ok(()) } else { Err(leader.log()) });
    let other = hub(near.path());
    rounds_until(&other, true, "opening", || slack.messages().len() == 1);
    way.cut(true);
    let cut = Instant::now();
    eventually("takeover", || if leads(&other) { Ok(()) } else { Err(other.log()) });
    assert!(cut.elapsed() < Duration::from_secs(5), "{:?}", cut.elapsed());
    assert_eq!(round(leader.address, true).0, 503);
    assert_eq!(leader.get("/readyz").0, 503);
    rounds_until(&other, false, "closing", || slack.messages().len() > 1);
    way.cut(false);
    eventually("return", || match leader.get("/readyz") {
        (200, text) if text.contains(" leads, this hub takes") => Ok(()),
        answer => Err(format!("{answer:?}\n{}", leader.log())),
    });
    assert_eq!(round(leader.address, false).0, 200);
    sleep(Duration::from_secs(2));
    assert_eq!(slack.messages().len(), 2, "{:#?}", slack.messages());
}

#[test]
fn a_server_is_known_by_its_certificate_and_nobody_learns_the_password() {
    let folder = tempfile::tempdir().unwrap();
    let authority = certs::Authority::new();
    let (certificate, key) = authority.files(folder.path(), "localhost");
    let Some(server) = Postgres::start(&[]) else { return };
    server.show_certificate(&certificate, &key);
    let plain = server.database();
    postgres::ask(&plain, "create user agent password 'hunter2'; grant all on schema public to agent");
    server.ask_for_passwords();
    let port = url::Url::parse(&plain).unwrap().port().unwrap();
    let database = plain.rsplit('/').next().unwrap().to_owned();
    let open = |password: &str, host: &str, rest: &str| {
        let url = format!("postgres://agent:{password}@{host}:{port}/{database}?sslmode=verify-full{rest}");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let opened = runtime.block_on(usoryou::store::Store::open(&url)).map(|_| ());
        opened.map_err(|error| error.to_string())
    };
    let trusted = format!("&sslrootcert={}", authority.file().display());
    assert_eq!(open("hunter2", "localhost", &trusted), Ok(()));
    for (what, refused) in [
        ("a stranger's certificate", open("hunter2", "localhost", "")),
        ("another name", open("hunter2", "127.0.0.1", &trusted)),
        ("a wrong password", open("hunter3", "localhost", &trusted)),
    ] {
        let why = refused.unwrap_err();
        assert!(why.starts_with("cannot use the store: Postgres at "), "{what}: {why}");
        assert!(!why.contains("hunter"), "{what}: {why}");
        crate::support::say(&format!("{what}: {why}"));
    }
}
