//! From an agent over its spool to a hub elsewhere and to the people there, with real processes: whatever dies, nothing
//! is lost and nothing comes twice; and nobody is believed who should not be.

use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread::sleep,
    time::Duration,
};

use serde_json::Value;

use crate::support::{
    program::{Answering, Program, eventually, usoryou, write},
    slack::Slack,
};

const TOKEN: &str = "eu-agent-token";
const NEXT_TOKEN: &str = "eu-agent-token-of-next-year";
/// SHA-256 in hex, as `sha256sum` writes it.
fn sha256(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Two parties and a control, all on loopback.
fn world(target: SocketAddr, rest: &str) -> String {
    format!(
        r#"
vantage: {{ region: eu, node: n1 }}
defaults: {{ interval: 200ms, timeout: 150ms, confirm: off }}
parties:
  firebase: {{ kind: provider, name: Firebase }}
  internet: {{ kind: control }}
probes:
  - {{ name: rtdb, party: firebase, check: {{ http: {{ url: "http://{target}/" }} }} }}
  - {{ name: net, party: internet, check: {{ icmp: {{ host: 127.0.0.1 }} }} }}
{rest}"#
    )
}

fn hub_config(target: SocketAddr, slack: Option<&Slack>) -> String {
    let alerts = slack.map_or_else(String::new, |slack| {
        format!(
            "alerts:\n  channels: {{ support: {{ slack: {{ webhook_url: \"{}\" }} }} }}\n  routes: [ {{ to: support }} ]\n",
            slack.webhook
        )
    });
    let agents = format!(
        "{alerts}hub:\n  agents:\n    - {{ name: eu-1, region: eu, token_sha256: [\"{}\", \"{}\"] }}\n    - {{ name: us-1, region: us, token_sha256: \"{}\" }}\n",
        sha256(TOKEN),
        sha256(NEXT_TOKEN),
        sha256("us-agent-token"),
    );
    world(target, &agents)
}

fn hub(directory: &Path, listen: &str) -> Program {
    let mut command = usoryou(directory);
    command.args(["hub", "--listen", listen]);
    Program::start_by(command)
}

fn agent_config(target: SocketAddr, urls: &[SocketAddr], token: &str, spool: &str) -> String {
    let urls: Vec<String> = urls.iter().map(|url| format!("\"http://{url}\"")).collect();
    world(target, &format!("hub: {{ urls: [{}], token: {token}, spool: {{ {spool} }} }}\n", urls.join(", ")))
}

/// Everything the hub has of a region, and how many of it are different.
fn observations(hub: &Program) -> Vec<Value> {
    let (status, body) = hub.get("/api/v1/observations?limit=5000");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

/// Posts a batch as an agent would.
fn hand_in(hub: SocketAddr, token: &str, coding: Option<&str>, body: &[u8]) -> (u16, Value) {
    let mut stream = TcpStream::connect(hub).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let coding = coding.map(|coding| format!("Content-Encoding: {coding}\r\n")).unwrap_or_default();
    let head = format!(
        "POST /api/v1/observations HTTP/1.0\r\nHost: {hub}\r\nAuthorization: Bearer {token}\r\n{coding}Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // A hub that has seen enough may close before all is written.
    let _ = stream.write_all(body);
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap_or_default())
}

fn line(region: &str, round: i64) -> String {
    let at = chrono::Utc::now().to_rfc3339();
    let vantage = usoryou::model::Vantage { region: region.into(), node: "n9".into() };
    let id = usoryou::model::observation_id("rtdb", &vantage, round, 0);
    format!(
        r#"{{"id":"{id}","probe":"rtdb","party":"firebase","region":"{region}","node":"n9","outcome":"up","scheduled_at":"{at}"}}"#
    )
}

/// The ids that stand in a file of the spool, however it is written.
fn ids_in(file: &Path) -> Vec<String> {
    let text = String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned();
    text.split("{\"id\":\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

fn ready(hub: &Program) {
    eventually("judging hub", || match hub.get("/readyz") {
        (200, _) => Ok(()),
        (_, why) => Err(why),
    });
}

#[test]
fn what_an_agent_sees_is_judged_and_told_by_the_hub() {
    let (slack, target) = (Slack::start(), Answering::start());
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // Nobody listens there: the provider is down from the beginning.
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // Rounds that are far apart compared to the way from the agent to the hub, as real ones are.
    let slowly = |config: String| config.replace("interval: 200ms, timeout: 150ms", "interval: 1s, timeout: 900ms");
    write(there.path(), "probes.yaml", &slowly(hub_config(target.address, Some(&slack))));
    let hub = hub(there.path(), "127.0.0.1:0");
    write(here.path(), "probes.yaml", &slowly(agent_config(dead, &[hub.address], TOKEN, "")));
    let agent = Program::start(here.path());
    let told = slack.shows(1);
    assert!(told[0].text.contains("Firebase"), "{told:#?}");
    assert_eq!(target.count(), 0, "a hub probes nothing");
    assert!(!here.path().join("usoryou.db").exists(), "an agent needs no store");
    let seen = observations(&hub);
    assert!(seen.iter().all(|one| one["region"] == "eu" && one["received_at"].is_string()), "{:#?}", seen[0]);
    let offset = hub.figure(&["usoryou_hub_agent_clock_offset_seconds", "agent=\"eu-1\""]).unwrap();
    assert!(offset.abs() < 0.5, "{offset}");
    assert!(hub.figure(&["usoryou_hub_agent_observations_total", "result=\"taken\""]).unwrap() > 0.0);
    ready(&agent);
    assert_eq!(agent.get("/api/v1/verdicts").0, 404);
    assert!(!agent.log().contains(TOKEN) && !hub.log().contains(TOKEN));
    assert!(!agent.get("/metrics").1.contains(TOKEN));
}

#[test]
fn a_hub_that_dies_and_an_agent_that_dies_lose_nothing_and_double_nothing() {
    let target = Answering::start();
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(there.path(), "probes.yaml", &hub_config(target.address, None));
    let mut first = hub(there.path(), "127.0.0.1:0");
    let address = first.address;
    write(here.path(), "probes.yaml", &agent_config(target.address, &[address], TOKEN, ""));
    let mut agent = Program::start(here.path());
    eventually("observation", || if observations(&first).is_empty() { Err(String::new()) } else { Ok(()) });
    first.signal("KILL");
    first.ended();
    agent.logs("they wait in the spool");
    sleep(Duration::from_millis(600));
    let waiting = agent.figure(&["usoryou_uplink_spool_observations"]).unwrap();
    assert!(waiting > 0.0);
    agent.signal("KILL");
    agent.ended();
    // A machine that goes down in the middle of a write.
    let mut segments: Vec<_> = std::fs::read_dir(here.path().join("usoryou-spool")).unwrap().flatten().collect();
    segments.retain(|entry| entry.path().extension().is_some_and(|ending| ending == "spool"));
    segments.sort_by_key(std::fs::DirEntry::path);
    let spooled: Vec<String> = segments.iter().flat_map(|entry| ids_in(&entry.path())).collect();
    assert!(spooled.len() > 2, "{spooled:?}");
    let newest = segments.last().unwrap().path();
    std::fs::OpenOptions::new().append(true).open(newest).unwrap().write_all(b"\x30\0\0\0half a rec").unwrap();

    let second = hub(there.path(), &address.to_string());
    let mut agent = Program::start(here.path());
    assert_eq!(agent.figure(&["usoryou_uplink_observations_dropped_total", "reason=\"torn\""]), Some(1.0));
    eventually("empty spool", || {
        let sent = agent.figure(&["usoryou_uplink_observations_sent_total"]).unwrap_or_default();
        let left = agent.figure(&["usoryou_uplink_spool_observations"]).unwrap_or_default();
        if sent > waiting && left < 12.0 { Ok(()) } else { Err(format!("{sent} sent, {left} left of {waiting}")) }
    });
    agent.signal("TERM");
    assert!(agent.ended().0.success(), "{}", agent.log());
    let seen = observations(&second);
    let ids: BTreeSet<&str> = seen.iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), seen.len(), "none twice");
    let lost: Vec<&String> = spooled.iter().filter(|id| !ids.contains(id.as_str())).collect();
    assert!(lost.is_empty(), "{lost:?} of {}", spooled.len());
}

#[test]
fn nobody_is_believed_who_should_not_be() {
    let target = Answering::start();
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "probes.yaml", &hub_config(target.address, None));
    let hub = hub(directory.path(), "127.0.0.1:0");
    ready(&hub);
    let batch = format!("{}\n{}\nnonsense\n", line("eu", 1), line("us", 1));
    assert_eq!(hand_in(hub.address, "guessed", None, batch.as_bytes()).0, 401);
    assert_eq!(hand_in(hub.address, "", None, batch.as_bytes()).0, 401);
    assert!(observations(&hub).is_empty());
    let (status, told) = hand_in(hub.address, TOKEN, None, batch.as_bytes());
    assert_eq!(
        (status, &told["taken"], &told["duplicate"], &told["refused_total"]),
        (200, &1.into(), &0.into(), &2.into())
    );
    assert_eq!(told["refused"][0]["line"], 2);
    assert!(told["refused"][0]["why"].as_str().unwrap().contains("`eu` alone"), "{told}");
    let (_, told) = hand_in(hub.address, NEXT_TOKEN, None, batch.as_bytes());
    assert_eq!((&told["taken"], &told["duplicate"]), (&0.into(), &1.into()), "the second token is valid, too");
    assert_eq!(observations(&hub).len(), 1);

    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..64 {
        packer.write_all(&vec![b' '; 1 << 20]).unwrap();
    }
    let bomb = packer.finish().unwrap();
    let before = hub.status_field("VmRSS:");
    assert_eq!(hand_in(hub.address, TOKEN, Some("gzip"), &bomb).0, 413);
    assert_eq!(hand_in(hub.address, TOKEN, None, &vec![b'x'; 2 << 20]).0, 413);
    assert_eq!(hand_in(hub.address, TOKEN, Some("gzip"), b"no gzip").0, 400);
    assert_eq!(hand_in(hub.address, TOKEN, Some("br"), b"what").0, 415);
    assert!(hub.status_field("VmRSS:") < before + 32_000, "memory stays bounded");
    for (reason, count) in [("stranger", 2.0), ("too_large", 2.0), ("spoilt", 1.0)] {
        let label = format!("reason=\"{reason}\"");
        assert_eq!(hub.figure(&["usoryou_hub_batches_turned_away_total", &label]), Some(count), "{reason}");
    }
    assert_eq!(observations(&hub).len(), 1);
    let log = hub.log();
    let said = |what: &str| log.matches(what).count();
    assert_eq!((said("a batch is turned away"), said("observations are refused: line 2")), (3, 1), "each once: {log}");
}

#[test]
fn a_token_is_revoked_by_a_reload_and_a_hub_that_is_dead_is_passed_over() {
    let target = Answering::start();
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(there.path(), "probes.yaml", &hub_config(target.address, None));
    let hub = hub(there.path(), "127.0.0.1:0");
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    write(here.path(), "probes.yaml", &agent_config(target.address, &[dead, hub.address], TOKEN, ""));
    let mut agent = Program::start(here.path());
    eventually("observation", || if observations(&hub).is_empty() { Err(agent.log()) } else { Ok(()) });
    let revoked = hub_config(target.address, None).replace(&sha256(TOKEN), &"0".repeat(64));
    write(there.path(), "probes.yaml", &revoked);
    assert_eq!(hub.post("/-/reload").0, 200, "{}", hub.log());
    agent.logs("they wait in the spool");
    let before = observations(&hub).len();
    write(here.path(), "probes.yaml", &agent_config(target.address, &[dead, hub.address], NEXT_TOKEN, ""));
    assert_eq!(agent.post("/-/reload").0, 200);
    eventually("observations by the other token", || {
        if observations(&hub).len() > before { Ok(()) } else { Err(agent.log()) }
    });
}

#[test]
fn a_hub_that_is_busy_is_left_alone_for_as_long_as_it_asks() {
    let target = Answering::start();
    let directory = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, asked) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&asked);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 64 << 10]);
            counted.fetch_add(1, SeqCst);
            let _ = stream
                .write_all(b"HTTP/1.1 503 Busy\r\nRetry-After: 60\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    // Room for a few kilobytes: what is oldest goes.
    let small = agent_config(target.address, &[address], TOKEN, "max_size: 3KB");
    write(directory.path(), "probes.yaml", &small);
    let agent = Program::start(directory.path());
    eventually("dropped observations", || {
        match agent.figure(&["usoryou_uplink_observations_dropped_total", "reason=\"size\""]) {
            Some(dropped) if dropped > 0.0 => Ok(()),
            other => Err(format!("{other:?}: {}", agent.log())),
        }
    });
    assert!(agent.figure(&["usoryou_uplink_spool_bytes"]).unwrap() <= 3000.0);
    assert_eq!(asked.load(SeqCst), 1);
    assert_eq!(agent.figure(&["usoryou_uplink_batches_total", "result=\"busy\""]), Some(1.0));
    assert!(agent.figure(&["usoryou_probe_runs_total", "outcome=\"up\""]).unwrap() > 0.0, "probing goes on");
}

/// A disk of its own in memory, gone with this; nothing where that is not permitted.
struct Disk(std::path::PathBuf);

impl Disk {
    fn mount(at: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "none"]).arg(at).output();
        mounted.is_ok_and(|mounted| mounted.status.success()).then(|| Self(at.to_owned()))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[test]
fn a_full_disk_costs_what_it_says_and_stops_no_probe() {
    let target = Answering::start();
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let Some(_disk) = Disk::mount(&here.path().join("disk"), "256k") else { return };
    write(there.path(), "probes.yaml", &hub_config(target.address, None));
    let address = SocketAddr::from(([127, 0, 0, 1], crate::support::peers::free_port()));
    write(here.path(), "probes.yaml", &agent_config(target.address, &[address], TOKEN, "path: disk/spool"));
    let filler = here.path().join("disk/filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    while file.write(&[0; 4096]).is_ok_and(|written| written > 0 && file.metadata().unwrap().len() < 200 << 10) {}
    let agent = Program::start(here.path());
    let sum = |texts: &[&str]| {
        let (_, page) = agent.get("/metrics");
        let wanted = page.lines().filter(|line| !line.starts_with('#') && texts.iter().all(|text| line.contains(text)));
        wanted.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum::<f64>()
    };
    eventually("full disk", || {
        if sum(&["uplink_observations_dropped_total"]) >= 10.0 { Ok(()) } else { Err(agent.log()) }
    });
    let before = sum(&["probe_runs_total"]);
    eventually("more runs", || if sum(&["probe_runs_total"]) > before + 10.0 { Ok(()) } else { Err(agent.log()) });
    std::fs::remove_file(&filler).unwrap();
    let hub = hub(there.path(), &address.to_string());
    eventually("everything there that was not counted as dropped", || {
        let (seen, dropped) = (sum(&["probe_runs_total"]), sum(&["uplink_observations_dropped_total"]));
        let sent = sum(&["uplink_observations_sent_total"]);
        // What is on its way at this moment is in neither.
        if (seen - dropped - sent).abs() < 6.0 && sent > 10.0 {
            Ok(())
        } else {
            Err(format!("{seen} seen, {dropped} dropped, {sent} sent\n{}", agent.log()))
        }
    });
    let there: BTreeSet<String> = observations(&hub).iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(there.len(), observations(&hub).len());
}

/// A segment of a spool, as an agent writes it.
fn segment(spool: &Path, number: usize, lines: &[String]) {
    let mut bytes = Vec::new();
    for line in lines {
        let mut sum = flate2::Crc::new();
        sum.update(line.as_bytes());
        bytes.extend(u32::try_from(line.len()).unwrap().to_le_bytes());
        bytes.extend(sum.sum().to_le_bytes());
        bytes.extend(line.as_bytes());
    }
    std::fs::write(spool.join(format!("{number:016x}.spool")), bytes).unwrap();
}

#[test]
fn an_hour_of_old_news_disturbs_neither_the_present_nor_the_verdict() {
    let (slack, target) = (Slack::start(), Answering::start());
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let slowly = |config: String| config.replace("interval: 200ms, timeout: 150ms", "interval: 1s, timeout: 900ms");
    write(there.path(), "probes.yaml", &slowly(hub_config(target.address, Some(&slack))));
    let hub = hub(there.path(), "127.0.0.1:0");
    ready(&hub);
    // An hour in which the provider was down for a long while, up to five minutes ago.
    let spool = here.path().join("usoryou-spool");
    std::fs::create_dir_all(&spool).unwrap();
    let now = chrono::Utc::now();
    let vantage = usoryou::model::Vantage { region: "eu".into(), node: "n1".into() };
    let mut old: Vec<String> = Vec::new();
    for second in (10..3600).rev() {
        for (probe, party) in [("rtdb", "firebase"), ("net", "internet")] {
            let at = now - chrono::TimeDelta::seconds(second);
            let id = usoryou::model::observation_id(probe, &vantage, at.timestamp(), 0);
            let (outcome, failure) = match probe == "rtdb" && (300..2400).contains(&second) {
                true => ("down", r#","failure":{"phase":"connect","kind":"refused","detail":""}"#),
                false => ("up", ""),
            };
            old.push(format!(
                r#"{{"id":"{id}","probe":"{probe}","party":"{party}","region":"eu","node":"n1","round":{},"outcome":"{outcome}","scheduled_at":"{}"{failure}}}"#,
                at.timestamp(),
                at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
            ));
        }
    }
    for (number, lines) in old.chunks(500).enumerate() {
        segment(&spool, number, lines);
    }
    write(here.path(), "probes.yaml", &slowly(agent_config(target.address, &[hub.address], TOKEN, "")));
    let agent = Program::start(here.path());
    let mut latest = Duration::ZERO;
    eventually("empty spool", || {
        let newest = observations(&hub).into_iter().next().unwrap_or_default();
        let at = |field: &str| newest[field].as_str().and_then(|at| at.parse::<chrono::DateTime<chrono::Utc>>().ok());
        if let (Some(due), Some(received)) = (at("scheduled_at"), at("received_at"))
            && due > now
        {
            latest = latest.max((received - due).to_std().unwrap_or_default());
        }
        let left = agent.figure(&["usoryou_uplink_spool_observations"]).unwrap_or_default();
        if left < 10.0 { Ok(()) } else { Err(format!("{left} left\n{}{}", agent.log(), hub.log())) }
    });
    let taken = hub.figure(&["usoryou_hub_agent_observations_total", "result=\"taken\""]).unwrap();
    assert!(taken >= old.len() as f64, "{taken} of {}", old.len());
    assert!(latest < Duration::from_secs(3), "what is seen now waited for {latest:?} behind the past");
    sleep(Duration::from_secs(6));
    let (_, verdicts) = hub.get("/api/v1/verdicts");
    let verdicts: Vec<Value> = serde_json::from_str(&verdicts).unwrap();
    let firebase = verdicts.iter().find(|one| one["subject"]["party"] == "firebase").unwrap();
    assert_eq!(firebase["cause"], "ok", "{firebase}");
    assert!(slack.messages().is_empty(), "nobody is told today of what was over before: {:#?}", slack.messages());
}
