//! `usoryou replay` as people and scripts use it.

use std::{fmt::Write as _, path::Path, process::Output};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::support::program::usoryou;

const CONFIG: &str = r#"
defaults: { interval: 30s, timeout: 5s }
parties:
  firebase: { kind: provider, name: Firebase }
  internet: { kind: control }
probes:
  - { name: rtdb, party: firebase, product: realtime-database, check: { tcp: { address: "127.0.0.1:1" } } }
  - { name: auth, party: firebase, product: auth, check: { tcp: { address: "127.0.0.1:1" } } }
  - { name: control, party: internet, check: { tcp: { address: "127.0.0.1:2" } } }
alerts:
  channels: { support: { slack: { webhook_url: "${NOT_SET_ANYWHERE}" } } }
  routes: [ { to: support } ]
"#;

fn at(second: i64) -> DateTime<Utc> {
    "2026-11-22T10:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::seconds(second)
}

fn line(probe: &str, region: &str, second: i64, down: bool) -> Value {
    let (party, product) = match probe {
        "control" => ("internet", None),
        "rtdb" => ("firebase", Some("realtime-database")),
        other => ("firebase", Some(other)),
    };
    let mut line = json!({
        "probe": probe, "party": party, "product": product, "region": region, "scheduled_at": at(second),
        "outcome": if down { "down" } else { "up" }, "of_a_newer_version": [1, {"a": null}],
    });
    if down {
        line["failure"] = json!({"phase": "tls", "kind": "timed_out", "detail": "no ServerHello within 5s"});
    }
    line
}

/// An hour and a half of three regions; the database is down for ten minutes of it.
fn trace() -> String {
    let mut text = String::new();
    for second in (0..5400).step_by(30) {
        for (shift, region) in ["eu-west", "us-east", "ap-south"].into_iter().enumerate() {
            for probe in ["control", "rtdb", "auth"] {
                let down = probe == "rtdb" && (3600..4200).contains(&second);
                let shift = i64::try_from(shift).unwrap();
                writeln!(text, "{}", line(probe, region, second + shift, down)).unwrap();
            }
        }
    }
    text
}

fn replay(directory: &Path, arguments: &[&str]) -> Output {
    usoryou(directory).args(["--config", "c.yaml", "replay"]).args(arguments).output().unwrap()
}

fn world(trace: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("c.yaml"), CONFIG).unwrap();
    std::fs::write(directory.path().join("t.jsonl"), trace).unwrap();
    directory
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn said(output: &Output) -> (String, String) {
    (String::from_utf8(output.stdout.clone()).unwrap(), String::from_utf8(output.stderr.clone()).unwrap())
}

#[test]
fn jsonl_has_one_object_a_change_with_the_fields_of_the_contract() {
    let directory = world(&trace());
    let output = replay(directory.path(), &["t.jsonl", "--output", "jsonl"]);
    assert_eq!((output.status.code(), said(&output).1), (Some(1), String::new()));
    let lines = lines(&output);
    let opened: Vec<&Value> = lines.iter().filter(|line| line["transition"] == "opened").collect();
    assert_eq!(opened.len(), 1, "{lines:?}");
    let opened = opened[0];
    assert_eq!(
        (&opened["party"], &opened["product"], &opened["cause"], &opened["page"]),
        (&json!("firebase"), &json!("realtime-database"), &json!("them"), &json!(true))
    );
    assert_eq!(opened["regions"], json!(["ap-south", "eu-west", "us-east"]));
    assert_eq!(
        (&opened["incident"], &opened["onset"]),
        (&json!("2026-11-22-firebase-1"), &json!("2026-11-22T11:00:00Z"))
    );
    assert!(opened["confidence"].as_f64().unwrap() > 0.5 && opened["alternatives"].is_array());
    assert!(!opened["evidence"].as_array().unwrap().is_empty());
    assert!(lines.iter().any(|line| line["transition"] == "closed" && line["page"] == false));
    let words = ["suspected", "opened", "updated", "recovering", "closed", "none"];
    for line in &lines {
        assert!(words.contains(&line["transition"].as_str().unwrap()), "{line}");
        line["at"].as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
    }
}

#[test]
fn people_get_a_story_and_a_sum() {
    let directory = world(&trace());
    let (story, errors) = said(&replay(directory.path(), &["t.jsonl"]));
    assert!(story.contains("Sunday 2026-11-22 UTC\n"), "{story}");
    assert!(
        story.contains("PAGE  It's them: Firebase realtime-database is down from 3 of 3 regions since 11:00:00 UTC.")
    );
    assert!(story.contains("over  Over: Firebase realtime-database is back"), "{story}");
    assert!(story.contains("1,620 observations from 2026-11-22 10:00 to 2026-11-22 11:29 UTC: 1 incident, 1 page."));
    assert_eq!(errors, "");
}

#[test]
fn the_same_from_stdin_gzipped_and_with_rubbish_in_it() {
    let clean = world(&trace());
    let expected = replay(clean.path(), &["t.jsonl", "-o", "jsonl"]).stdout;
    let piped = usoryou(clean.path())
        .args(["--config", "c.yaml", "replay", "-", "-o", "jsonl"])
        .stdin(std::fs::File::open(clean.path().join("t.jsonl")).unwrap())
        .output()
        .unwrap();
    assert_eq!(piped.stdout, expected);
    let gzipped = std::process::Command::new("gzip").arg(clean.path().join("t.jsonl")).status().unwrap();
    assert!(gzipped.success());
    assert_eq!(replay(clean.path(), &["t.jsonl.gz", "-o", "jsonl"]).stdout, expected);

    let mut rubbish: Vec<String> = trace().lines().map(str::to_owned).collect();
    rubbish.insert(0, "\u{feff}<html>".to_owned());
    rubbish.insert(100, line("rtdb", "eu-west", -500_000_000, true).to_string());
    rubbish.insert(200, line("rtdb", "eu-west", 30_000_000_000, true).to_string());
    rubbish.insert(300, "x".repeat(2 << 20));
    rubbish.insert(400, r#"{"probe":"rtdb","party":"firebase"}"#.to_owned());
    rubbish.insert(500, line("gone", "eu-west", 1000, true).to_string());
    let again = rubbish[600].clone();
    rubbish.insert(601, again);
    let dirty = world(&rubbish.join("\r\n"));
    let output = replay(dirty.path(), &["t.jsonl", "-o", "jsonl"]);
    assert_eq!(output.stdout, expected);
    let errors = said(&output).1;
    for told in [
        "1 line is longer than 1 MiB and skipped (first: line 301)",
        "1 line is no JSON object and skipped (first: line 1)",
        "1 line is without a usable `outcome` and skipped (first: line 401)",
        "1 observation of a probe that the configuration does not have, not judged (first: line 501)",
        "1 observation seen before (first: line 602)",
        "1 observation from a time that nothing else in the trace is near to, skipped (first: line 201)",
    ] {
        assert!(errors.contains(told), "{told}\n{errors}");
    }
}

#[test]
fn another_policy_is_shown_beside_this_one() {
    let directory = world(&trace());
    let other = "alerts: { open_after: 60 }\n";
    std::fs::write(directory.path().join("other.yaml"), other).unwrap();
    let output = replay(directory.path(), &["t.jsonl", "--policy", "other.yaml"]);
    let (table, errors) = said(&output);
    assert!(table.contains("only here     2026-11-22 11:0"), "{table}{errors}");
    assert!(table.contains("Pages here: 1, there: 0; 0 in both, 1 only here, 0 only there."), "{table}");
    assert_eq!(output.status.code(), Some(1));
    let rows = lines(&replay(directory.path(), &["t.jsonl", "--policy", "c.yaml", "-o", "jsonl"]));
    assert_eq!((rows.len(), &rows[0]["policy"], &rows[0]["here"]), (1, &json!("both"), &rows[0]["there"]));
    std::fs::write(directory.path().join("other.yaml"), "alerts: { open_after: no }\n").unwrap();
    let wrong = replay(directory.path(), &["t.jsonl", "--policy", "other.yaml"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(said(&wrong).1.contains("other.yaml:1"), "{}", said(&wrong).1);
}

#[test]
fn exit_codes_say_what_came_of_it() {
    let quiet: String =
        trace().lines().filter(|line| !line.contains("down")).fold(String::new(), |text, line| text + line + "\n");
    let code = |trace: &str, arguments: &[&str]| {
        replay(world(trace).path(), &[&["t.jsonl"], arguments].concat()).status.code()
    };
    assert_eq!(code(&quiet, &[]), Some(0));
    assert_eq!(code(&trace(), &[]), Some(1));
    assert_eq!(code("", &[]), Some(3));
    assert_eq!(code("nonsense\n", &[]), Some(3));
    assert_eq!(code(&line("gone", "r", 0, false).to_string(), &[]), Some(3));
    assert_eq!(code(&trace(), &["--from", "11:30 o'clock"]), Some(2));
    assert_eq!(replay(world("").path(), &["no-such-file"]).status.code(), Some(2));
    // What lies outside of what was asked for is judged, but not told.
    assert_eq!(code(&trace(), &["--from", "2026-11-22T11:20:00Z"]), Some(0));
    assert_eq!(code(&trace(), &["--to", "2026-11-22T11:00:00Z"]), Some(0));
}

/// The database is down, then nobody looks at anything until half an hour later.
fn trace_with_a_gap() -> String {
    let mut text = String::new();
    for second in (0..4100).chain(6000..6600).step_by(30) {
        for region in ["eu-west", "us-east", "ap-south"] {
            for probe in ["control", "rtdb", "auth"] {
                let down = probe == "rtdb" && second >= 3630;
                writeln!(text, "{}", line(probe, region, second, down)).unwrap();
            }
        }
    }
    text
}

#[test]
fn what_came_back_and_is_not_over_is_counted_as_such() {
    // Down for ten minutes, over, and down again to the end.
    let mut text = String::new();
    for second in (0..4800).step_by(30) {
        for region in ["eu-west", "us-east", "ap-south"] {
            for probe in ["control", "rtdb", "auth"] {
                let down = probe == "rtdb" && ((2400..3000).contains(&second) || second >= 4200);
                writeln!(text, "{}", line(probe, region, second, down)).unwrap();
            }
        }
    }
    let directory = world(&text);
    let (story, _) = said(&replay(directory.path(), &["t.jsonl"]));
    assert!(story.contains("over  Over: Firebase") && story.contains("PAGE  Again (2nd time"), "{story}");
    assert!(story.contains(": 1 incident (1 not over), 2 pages."), "{story}");
    let later = replay(directory.path(), &["t.jsonl", "--from", "2026-11-22T11:00:00Z"]);
    assert!(said(&later).0.contains(": 1 incident (1 not over), 1 page."), "{}", said(&later).0);
}

#[test]
fn what_silence_says_before_the_end_of_a_part_belongs_to_it() {
    let directory = world(&trace_with_a_gap());
    let planned = "maintenance: [ { party: firebase, cron: \"0 11 * * *\", duration: 10m } ]\n";
    std::fs::write(directory.path().join("c.yaml"), format!("{CONFIG}{planned}")).unwrap();
    let to = "2026-11-22T11:30:00Z";
    let all = lines(&replay(directory.path(), &["t.jsonl", "-o", "jsonl"]));
    let until = |one: &&Value| one["at"].as_str().unwrap().parse::<DateTime<Utc>>().unwrap() < at(5400);
    let expected: Vec<&Value> = all.iter().filter(until).collect();
    assert!(expected.iter().any(|one| one["page"] == true), "it outlasts its window while nobody looks: {all:?}");
    let part = replay(directory.path(), &["t.jsonl", "-o", "jsonl", "--to", to]);
    assert_eq!(lines(&part).iter().collect::<Vec<_>>(), expected);
    assert_eq!(part.status.code(), Some(1));
    // Under either policy.
    let both = lines(&replay(directory.path(), &["t.jsonl", "-o", "jsonl", "--to", to, "--policy", "c.yaml"]));
    assert_eq!((both.len(), &both[0]["policy"]), (1, &json!("both")));
}

#[test]
fn a_configuration_of_production_needs_none_of_its_secrets_here() {
    let directory = world(&trace());
    let hub = "hub: { urls: [ \"https://hub.example.com\" ], token: { file: /var/run/secrets/nowhere/token } }\n";
    std::fs::write(directory.path().join("c.yaml"), format!("{CONFIG}{hub}")).unwrap();
    let output = replay(directory.path(), &["t.jsonl", "--policy", "c.yaml"]);
    assert_eq!((output.status.code(), said(&output).1), (Some(1), String::new()));
}

/// What many incidents are told in is read once.
#[test]
fn one_message_of_many_is_one_page() {
    let parties: String = (0..5).map(|n| format!("  p{n}: {{ kind: provider, name: Provider {n} }}\n")).collect();
    let check = "check: { tcp: { address: \"127.0.0.1:1\" } }";
    let probes: String = (0..5).map(|n| format!("  - {{ name: p{n}, party: p{n}, {check} }}\n")).collect();
    let config = CONFIG
        .replace("parties:\n", &format!("parties:\n{parties}"))
        .replace("probes:\n", &format!("probes:\n{probes}"));
    let mut text = String::new();
    for second in (0..5400).step_by(30) {
        for region in ["eu-west", "us-east", "ap-south"] {
            writeln!(text, "{}", line("control", region, second, false)).unwrap();
            for party in (0..5).map(|n| format!("p{n}")) {
                let down = (3600..4200).contains(&second) || party == "p2" && (2700..3000).contains(&second);
                let mut seen = line(&party, region, second, down);
                (seen["party"], seen["product"]) = (json!(party), Value::Null);
                writeln!(text, "{seen}").unwrap();
            }
        }
    }
    let directory = world(&text);
    std::fs::write(directory.path().join("c.yaml"), config).unwrap();
    let (story, _) = said(&replay(directory.path(), &["t.jsonl"]));
    // One of them was down before, and is told by itself in the midst of the others.
    assert_eq!(story.matches("PAGE").count(), 3, "{story}");
    assert!(story.contains("PAGE  4 fail at once since 11:00:00 UTC"), "{story}");
    assert!(story.contains("5 incidents, 3 pages."), "{story}");
    let (compared, _) = said(&replay(directory.path(), &["t.jsonl", "--policy", "c.yaml"]));
    assert_eq!(compared.matches("4 fail at once").count(), 1, "{compared}");
    assert!(compared.contains("Pages here: 3, there: 3; 3 in both, 0 only here, 0 only there."), "{compared}");
}

#[test]
fn whoever_reads_only_the_beginning_still_learns_whether_somebody_would_have_been_paged() {
    use std::process::Stdio;

    let quiet =
        trace().lines().filter(|line| !line.contains("down")).fold(String::new(), |text, line| text + line + "\n");
    for (trace, code) in [(trace(), 1), (quiet, 0)] {
        let directory = world(&trace);
        let mut command = usoryou(directory.path());
        command.args(["--config", "c.yaml", "replay", "t.jsonl", "-o", "jsonl"]);
        let mut running = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        drop(running.stdout.take());
        assert_eq!(running.wait().unwrap().code(), Some(code));
    }
}

#[test]
fn a_part_without_anything_in_it_is_no_good_news() {
    let directory = world(&trace());
    let run = |arguments: &[&str]| {
        let output = replay(directory.path(), &[&["t.jsonl"], arguments].concat());
        (output.status.code(), said(&output).1)
    };
    let turned_round = ["--from", "2026-11-22T11:20:00Z", "--to", "2026-11-22T11:00:00Z"];
    let (code, errors) = run(&turned_round);
    assert!(code == Some(2) && errors.contains("--from must be earlier than --to"), "{code:?} {errors}");
    for elsewhere in [["--from", "2027-01-01T00:00:00Z"], ["--to", "2026-01-01T00:00:00Z"]] {
        let (code, errors) = run(&elsewhere);
        assert!(code == Some(3) && errors.contains("nothing of the trace lies in the time"), "{code:?} {errors}");
    }
}

#[test]
fn without_a_configuration_the_trace_says_what_there_is() {
    let directory = world(&trace());
    let output = usoryou(directory.path()).args(["replay", "t.jsonl"]).output().unwrap();
    let (story, errors) = said(&output);
    assert!(
        story.contains("PAGE  It's them: firebase realtime-database is down from 3 of 3 regions"),
        "{story}{errors}"
    );
    assert!(errors.contains("without a configuration"));
    // What is no trace is said to be none in the same words as with a configuration.
    let utf16: Vec<u8> = "{}\n{}\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for rubbish in [&b"once upon a time\nthere was\n"[..], &utf16] {
        std::fs::write(directory.path().join("t.jsonl"), rubbish).unwrap();
        let output = usoryou(directory.path()).args(["replay", "t.jsonl"]).output().unwrap();
        let (_, errors) = said(&output);
        assert_eq!(output.status.code(), Some(3), "{errors}");
        assert!(errors.contains("no JSON object and skipped (first: line 1)"), "{errors}");
        assert!(errors.contains("there is not one observation in t.jsonl"), "{errors}");
    }
}
