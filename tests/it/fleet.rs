//! Several agents of one region, with real processes: each probe runs on as many nodes as are wanted, and when a node dies
//! others take over; and what a hub shows of its agents.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::support::program::{Answering, Program, eventually, usoryou, write};

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
    write(folders[1].path(), "probes.yaml", &format!("{other}# another\n"));
    let two = Program::start_with(folders[1].path(), &["--node", "n2"]);
    let said = eventually("what runs where", || {
        let (_, body) = hub.get("/api/v1/status");
        let status: Value = serde_json::from_str(&body).unwrap();
        let said = status["releases"][0].as_str().map(str::to_owned);
        said.ok_or_else(|| format!("{body}\n{}{}", one.log(), two.log()))
    });
    assert!(said.starts_with("Region eu runs another configuration on n"), "{said}");
}
