//! Several agents of one region, with real processes: each probe runs on as many nodes as are wanted, and when a node dies
//! others take over; and what a hub shows of its agents.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::support::{
    certs::Authority,
    peers::{Started, free_port, peer},
    program::{Answering, Program, eventually, usoryou, write},
};

const TOKEN: &str = "eu-token";
const INTERVAL: Duration = Duration::from_secs(3);

fn sha256(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn world(target: SocketAddr, rest: &str) -> String {
    let probes: String = (0..9)
        .map(|number| {
            format!("  - {{ name: p{number}, party: firebase, check: {{ http: {{ url: \"http://{target}/\" }} }} }}\n")
        })
        .collect();
    format!(
        "vantage: {{ region: eu }}\ndefaults: {{ interval: 3s, timeout: 1s, confirm: off, vantages_per_region: 2 }}\n\
         parties: {{ firebase: {{ kind: provider, name: Firebase }} }}\nprobes:\n{probes}hub:\n{rest}"
    )
}

fn hub(directory: &Path, target: SocketAddr) -> Program {
    let agents = format!("  agents: [ {{ name: eu, region: eu, token_sha256: \"{}\" }} ]\n", sha256(TOKEN));
    write(directory, "probes.yaml", &world(target, &agents));
    let mut command = usoryou(directory);
    command.args(["hub", "--listen", "127.0.0.1:0"]);
    Program::start_by(command)
}

fn agent(directory: &Path, target: SocketAddr, hub: SocketAddr, node: &str) -> Program {
    write(directory, "probes.yaml", &world(target, &format!("  urls: [\"http://{hub}\"]\n  token: {TOKEN}\n")));
    Program::start_with(directory, &["--node", node])
}

fn agents(hub: &Program) -> BTreeMap<String, Value> {
    let (status, body) = hub.get("/api/v1/agents");
    assert_eq!(status, 200, "{body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    body["agents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["node"].as_str().unwrap().to_owned(), one.clone()))
        .collect()
}

/// The nodes that each probe ran on, and when for the first time, from an instant on.
fn ran(hub: &Program, from: DateTime<Utc>) -> BTreeMap<String, BTreeMap<String, DateTime<Utc>>> {
    let since = from.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    let (status, body) = hub.get(&format!("/api/v1/observations?limit=5000&since={since}"));
    assert_eq!(status, 200, "{body}");
    let mut ran: BTreeMap<String, BTreeMap<String, DateTime<Utc>>> = BTreeMap::new();
    for one in serde_json::from_str::<Vec<Value>>(&body).unwrap() {
        let at: DateTime<Utc> = one["scheduled_at"].as_str().unwrap().parse().unwrap();
        let first = ran.entry(one["probe"].as_str().unwrap().to_owned()).or_default();
        let first = first.entry(one["node"].as_str().unwrap().to_owned()).or_insert(at);
        *first = at.min(*first);
    }
    ran
}

fn here(agent: &Program) -> f64 {
    agent.figure(&["usoryou_placement_probes", "place=\"here\""]).unwrap_or_default()
}

#[test]
fn each_probe_runs_on_two_nodes_and_others_take_over_from_one_that_dies() {
    let target = Answering::start();
    let folders: Vec<_> = (0..4).map(|_| tempfile::tempdir().unwrap()).collect();
    let hub = hub(folders[3].path(), target.address);
    let mut nodes: Vec<Program> = ["n1", "n2", "n3"]
        .iter()
        .zip(&folders)
        .map(|(node, folder)| agent(folder.path(), target.address, hub.address, node))
        .collect();
    eventually("placement among three", || {
        let told: Vec<_> = nodes.iter().map(|node| node.figure(&["usoryou_placement_nodes"])).collect();
        if told == [Some(3.0); 3] { Ok(()) } else { Err(format!("{told:?}\n{}", hub.log())) }
    });
    assert_eq!(nodes.iter().map(here).sum::<f64>(), 18.0, "nine probes on two nodes each");
    assert!(nodes.iter().all(|node| here(node) < 9.0));

    let settled = Utc::now();
    std::thread::sleep(INTERVAL * 2);
    let placed = ran(&hub, settled);
    assert_eq!(placed.len(), 9);
    assert!(placed.values().all(|nodes| nodes.len() == 2), "{placed:#?}");
    let shown = agents(&hub);
    for (node, agent) in &shown {
        let runs: BTreeSet<&str> = agent["runs"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
        let ran: BTreeSet<&str> =
            placed.iter().filter(|(_, nodes)| nodes.contains_key(node)).map(|(probe, _)| probe.as_str()).collect();
        assert_eq!(runs, ran, "what the hub shows of {node} is what runs there");
        assert_eq!((&agent["lives"], &agent["build"]), (&true.into(), &env!("CARGO_PKG_VERSION").into()));
        assert!(agent["clock_offset"].as_f64().unwrap().abs() < 0.5, "{agent}");
    }

    let mut dead = nodes.remove(0);
    dead.signal("KILL");
    dead.ended();
    let died = Utc::now();
    std::thread::sleep(INTERVAL * 4);
    let within_two = died + INTERVAL * 2;
    let after = ran(&hub, died);
    for (probe, nodes) in &after {
        let living: Vec<_> =
            ["n2", "n3"].iter().map(|node| nodes.get(*node).unwrap_or_else(|| panic!("{probe}: {nodes:?}"))).collect();
        // A node that had it before goes on; one that takes over does so in time.
        assert!(living.iter().all(|first| **first <= within_two), "{probe} of {died}: {nodes:?}");
    }
    assert_eq!(after.len(), 9);
    assert_eq!(agents(&hub)["n1"]["lives"], false);

    // Without a hub the last word stands, also over a restart.
    let began = Instant::now();
    drop(hub);
    let mut left = nodes.remove(0);
    left.signal("TERM");
    left.ended();
    let again = Program::start_with(folders[1].path(), &["--node", "n2"]);
    eventually("placement", || again.figure(&["usoryou_placement_nodes"]).ok_or_else(|| again.log()));
    assert_eq!(again.figure(&["usoryou_placement_nodes"]), Some(2.0), "{:?} after: {}", began.elapsed(), again.log());
}

#[test]
fn a_region_on_another_release_is_shown() {
    let target = Answering::start();
    let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let hub = hub(folders[2].path(), target.address);
    let one = agent(folders[0].path(), target.address, hub.address, "n1");
    let other = world(target.address, &format!("  urls: [\"http://{}\"]\n  token: {TOKEN}\n", hub.address));
    write(folders[1].path(), "probes.yaml", &other.replace("timeout: 1s", "timeout: 2s"));
    let two = Program::start_with(folders[1].path(), &["--node", "n2"]);
    let said = eventually("what runs where", || {
        let (_, body) = hub.get("/api/v1/status");
        let status: Value = serde_json::from_str(&body).unwrap();
        let said = status["releases"][0].as_str().map(str::to_owned);
        said.ok_or_else(|| format!("{body}\n{}{}", one.log(), two.log()))
    });
    assert!(said.starts_with("Region eu runs another configuration on n"), "{said}");
    let mut ask = usoryou(folders[2].path());
    let asked = ask.args(["ask", "firebase", "--hub", &format!("http://{}", hub.address)]).output().unwrap();
    let asked = String::from_utf8_lossy(&asked.stdout).into_owned();
    assert!(asked.contains(&format!("Note: {said}")), "{asked}");
}

/// Posts lines as an agent would.
fn hand_in(hub: SocketAddr, headers: &str, lines: &[String]) {
    let body = lines.join("\n");
    let mut stream = TcpStream::connect(hub).unwrap();
    let length = body.len();
    write!(
        stream,
        "POST /api/v1/observations HTTP/1.0\r\nHost: {hub}\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains(" 200 "), "{answer}");
}

fn verdict(hub: &Program, region: &str) -> Result<Value, String> {
    let (_, body) = hub.get("/api/v1/verdicts");
    let verdicts: Vec<Value> = serde_json::from_str(&body).unwrap_or_default();
    let of = |one: &&Value| one["subject"]["party"] == "usoryou" && one["subject"]["product"] == *region;
    verdicts.iter().find(of).cloned().ok_or(body)
}

#[test]
fn a_clock_that_is_off_is_known_and_told() {
    let target = Answering::start();
    let folder = tempfile::tempdir().unwrap();
    let hub = hub(folder.path(), target.address);
    eventually("judging hub", || if hub.get("/readyz").0 == 200 { Ok(()) } else { Err(hub.log()) });
    let bad = eventually("a clock that is off", || {
        let sent_at = (Utc::now() + chrono::TimeDelta::seconds(61)).to_rfc3339();
        let headers = format!(
            "Authorization: Bearer {TOKEN}\r\nusoryou-node: n1\r\nusoryou-sent-at: {sent_at}\r\nusoryou-clock: 61.2 0.5\r\n"
        );
        hand_in(hub.address, &headers, &[]);
        let known = agents(&hub);
        let offset = known["n1"]["clock_offset"].as_f64().unwrap();
        assert!((60.0..62.0).contains(&offset), "{known:#?}");
        // A claim that cannot be is not believed.
        let headers = headers.replace("n1", "n2").replace("61.2", "-900");
        hand_in(hub.address, &headers, &[]);
        assert!((60.0..62.0).contains(&agents(&hub)["n2"]["clock_offset"].as_f64().unwrap()));
        verdict(&hub, "eu").and_then(|one| if one["reason"] == "clock" { Ok(one) } else { Err(one.to_string()) })
    });
    let said = bad["evidence"].to_string();
    assert!(said.contains("The clock of n1 is 61.2 s ahead of the hub's."), "{said}");
    // Figures are set anew once a round.
    eventually("the offset as a figure", || {
        let figure = hub.figure(&["usoryou_hub_agent_clock_offset_seconds", "node=\"n1\""]);
        if figure == Some(61.2) { Ok(()) } else { Err(format!("{figure:?}")) }
    });
}

#[test]
fn a_release_that_breaks_a_region_is_named_from_what_its_agents_hand_in() {
    let folder = tempfile::tempdir().unwrap();
    let parties = ["one", "two"];
    let probes: String = parties
        .iter()
        .map(|party| format!("  - {{ name: {party}, party: {party}, check: {{ icmp: {{ host: 127.0.0.1 }} }} }}\n"))
        .collect();
    let tokens: String = ["eu", "us"]
        .iter()
        .map(|region| {
            format!(
                "    - {{ name: {region}, region: {region}, token_sha256: \"{}\" }}\n",
                sha256(&format!("{region}-token"))
            )
        })
        .collect();
    let config = format!(
        "defaults: {{ interval: 1s, timeout: 900ms }}\nparties: {{ one: {{ kind: provider }}, two: {{ kind: provider }} }}\nprobes:\n{probes}hub:\n  agents:\n{tokens}"
    );
    write(folder.path(), "probes.yaml", &config);
    let mut command = usoryou(folder.path());
    command.args(["hub", "--listen", "127.0.0.1:0"]);
    let hub = Program::start_by(command);
    eventually("judging hub", || if hub.get("/readyz").0 == 200 { Ok(()) } else { Err(hub.log()) });
    let began = Utc::now();
    let mut done = began - chrono::TimeDelta::seconds(100);
    let verdict = eventually("a bad release", || {
        // What two regions saw since the last time, second by second; the new build came to one of them at the beginning.
        while done < Utc::now() {
            for region in ["eu", "us"] {
                let broken = region == "eu" && done > began - chrono::TimeDelta::seconds(6);
                let (build, outcome) = if broken { ("2", "down") } else { ("1", "up") };
                let failure = if broken { r#","failure":{"phase":"tls","kind":"tls_failed","detail":""}"# } else { "" };
                let lines: Vec<String> = parties
                    .iter()
                    .map(|party| {
                        let at = done.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
                        format!(
                            r#"{{"probe":"{party}","party":"{party}","region":"{region}","node":"n1","round":{},"outcome":"{outcome}","scheduled_at":"{at}","build":"{build}"{failure}}}"#,
                            done.timestamp()
                        )
                    })
                    .collect();
                let headers =
                    format!("Authorization: Bearer {region}-token\r\nusoryou-node: n1\r\nusoryou-build: {build}\r\n");
                hand_in(hub.address, &headers, &lines);
            }
            done += chrono::TimeDelta::seconds(1);
        }
        verdict(&hub, "eu").and_then(|one| if one["reason"] == "release" { Ok(one) } else { Err(one.to_string()) })
    });
    assert_eq!((&verdict["cause"], &verdict["regions"][0]), (&"probe".into(), &"eu".into()));
    assert!(verdict["sentence"].as_str().unwrap().contains("region eu runs a bad release"), "{verdict}");
    let (_, status) = hub.get("/api/v1/status");
    assert!(status.contains("runs another build on n1"), "{status}");
}

#[test]
fn an_agent_shows_its_own_certificate_where_one_is_asked_for() {
    let Some(nginx) = peer("nginx") else { return };
    let (target, authority) = (Answering::start(), Authority::new());
    let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let hub = hub(folders[0].path(), target.address);
    let (front, port) = (folders[1].path(), free_port());
    let (server, server_key) = authority.files(front, "localhost");
    let conf = format!(
        "pid {front}/pid; error_log stderr; events {{}}\nhttp {{ access_log off; client_body_temp_path {front}/body; proxy_temp_path {front}/proxy;\n\
         fastcgi_temp_path {front}/f; uwsgi_temp_path {front}/u; scgi_temp_path {front}/s;\n\
         server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {}; ssl_certificate_key {}; ssl_client_certificate {}; ssl_verify_client on;\n\
         location / {{ proxy_pass http://{}; }} }} }}\n",
        server.display(),
        server_key.display(),
        authority.file().display(),
        hub.address,
        front = front.display(),
    );
    write(front, "nginx.conf", &conf);
    let mut command = Command::new(nginx);
    command.args(["-g", "daemon off; master_process off;", "-c"]).arg(front.join("nginx.conf")).arg("-p").arg(front);
    let mut ends_tls = Started::new(&mut command, front);
    ends_tls.wait_for("nginx", || TcpStream::connect(("127.0.0.1", port)).ok());
    let here = folders[2].path();
    let (mine, my_key) = authority.files(here, "agent");
    let hub_with = |tls: &str| {
        let ca = authority.file();
        let given = format!(
            "  urls: [\"https://localhost:{port}\"]\n  token: {TOKEN}\n  tls: {{ ca_file: {}{tls} }}\n",
            ca.display()
        );
        world(target.address, &given)
    };
    write(here, "probes.yaml", &hub_with(""));
    let mut nobody = Program::start_with(here, &["--node", "n1"]);
    nobody.logs("it answers 400");
    drop(nobody);
    let tls = format!(", client_cert_file: {}, client_key_file: {}", mine.display(), my_key.display());
    write(here, "probes.yaml", &hub_with(&tls));
    let agent = Program::start_with(here, &["--node", "n1"]);
    eventually("observations sent", || match agent.figure(&["usoryou_uplink_observations_sent_total"]) {
        Some(sent) if sent > 0.0 => Ok(()),
        other => Err(format!("{other:?}: {}\n{}", agent.log(), ends_tls.log())),
    });
}
