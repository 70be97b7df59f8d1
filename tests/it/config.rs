//! `probes.yaml` as its author meets it: every mistake with the exact text that is read, secrets that nothing shows, and
//! `usoryou validate` and `usoryou schema` as they are run.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
    time::Duration,
};

use proptest::prelude::*;
use usoryou::{
    config::{self, Confirm, Loaded, Mistakes, Severity, VantageOverrides},
    model::PartyKind,
    net::Net,
};

/// What no output may hold: the secrets of the files in `tests/config`, and what variables bring in.
const SECRETS: [&str; 2] = ["s3cret", "many-secrets"];

fn env(name: &str) -> Option<String> {
    let value = match name {
        "WORD" => "many-secrets",
        "EMPTY" => "",
        "HOST" => "api.test",
        "SECONDS_10" => "10s",
        "TWO" => "2",
        "HOSTNAME" => "host.test",
        _ => return None,
    };
    Some(value.to_owned())
}

fn read(path: &Path) -> Result<Loaded, Mistakes> {
    let net = Net::system(Vec::new()).unwrap();
    config::read(path, &env, &net, &VantageOverrides::default())
}

fn read_text(text: &str) -> Result<Loaded, Mistakes> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("probes.yaml");
    fs::write(&path, text).unwrap();
    read(&path)
}

/// The files of a folder that end in `.yaml`, by name.
fn cases(folder: &str) -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    cases.sort();
    cases
}

fn assert_no_secret(text: &str, what: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{what} shows a secret:\n{text}");
    }
}

/// Compares with the file beside the case; `USORYOU_BLESS=1` writes it instead.
fn assert_reads(case: &Path, text: &str) {
    let expected = case.with_extension("error");
    if std::env::var_os("USORYOU_BLESS").is_some() {
        fs::write(&expected, text).unwrap();
    }
    let written = fs::read_to_string(&expected).unwrap_or_default();
    assert_eq!(text, written, "{} reads differently than {}", case.display(), expected.display());
}

#[test]
fn every_mistake_reads_as_written_down() {
    let cases = cases("tests/config/invalid");
    assert!(cases.len() >= 25, "only {} cases", cases.len());
    for case in cases {
        let mistakes = read(&case).err().unwrap_or_else(|| panic!("{} has no mistake", case.display()));
        assert!(mistakes.count(Severity::Error) > 0);
        assert_reads(&case, &mistakes.to_string());
    }
}

#[test]
fn valid_files_are_taken() {
    for case in cases("tests/config/valid") {
        let loaded = read(&case).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let expected = case.with_extension("error");
        if loaded.warnings.is_empty() {
            assert!(!expected.exists(), "{} has no warnings any more", case.display());
        } else {
            assert_reads(&case, &loaded.warnings.to_string());
        }
    }
}

#[test]
fn nothing_shows_a_secret() {
    for case in [cases("tests/config/invalid"), cases("tests/config/valid")].concat() {
        let shown = match read(&case) {
            Err(mistakes) => {
                let json = serde_json::to_string(&mistakes).unwrap();
                format!("{mistakes}{}{mistakes:?}{json}", mistakes.in_colour())
            }
            Ok(Loaded { plan, warnings }) => {
                let probes: Vec<_> = plan.probes.iter().map(|probe| (&probe.file, probe.check.target())).collect();
                format!("{warnings}{warnings:?}{probes:?}{:?}{:?}{:?}", plan.alerts, plan.maintenance, plan.parties)
            }
        };
        assert_no_secret(&shown, &case.display().to_string());
        let holds_secrets = SECRETS.iter().chain(&["WORD"]).any(|one| fs::read_to_string(&case).unwrap().contains(one));
        for output in ["human", "json"].into_iter().filter(|_| holds_secrets) {
            let said = validate(&[case.to_str().unwrap(), "--output", output]);
            assert_no_secret(&String::from_utf8_lossy(&said.stdout), &case.display().to_string());
            assert_no_secret(&String::from_utf8_lossy(&said.stderr), &case.display().to_string());
        }
    }
}

#[test]
fn what_probes_stand_on_is_looked_at_once() {
    let plan = read(Path::new("tests/config/valid/scenario.yaml")).unwrap().plan;
    let names: Vec<_> = plan.probes.iter().map(|probe| (&*probe.name, probe.check.key())).collect();
    assert_eq!(names, [("light", "scenario"), ("list", "scenario"), ("control", "tcp"), ("cloud-token", "oauth2")]);
    let token = &plan.probes[3];
    assert_eq!(token.subject.to_string(), "cloud token");
    assert_eq!((token.interval, token.timeout), (Duration::from_mins(1), Duration::from_secs(10)));
    assert_eq!((plan.probes[0].interval, plan.probes[0].timeout), (Duration::from_secs(10), Duration::from_mins(1)));

    // A probe of the file that does the same is taken for it.
    let text = fs::read_to_string("tests/config/valid/scenario.yaml").unwrap();
    let own = "  - { name: own, party: cloud, product: token, interval: 5m, check: { oauth2: *grant } }\n";
    let plan = read_text(&(text + own)).unwrap().plan;
    assert_eq!(plan.probes.len(), 4);
    assert_eq!((&*plan.probes[3].name, plan.probes[3].interval), ("own", Duration::from_mins(5)));
}

#[test]
fn the_shipped_file_works_as_it_is() {
    let net = Net::system(Vec::new()).unwrap();
    let read = config::read(Path::new("probes.yaml"), &|_| None, &net, &VantageOverrides::default());
    let Loaded { plan, warnings } = read.unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let doubts: Vec<_> = warnings.list.iter().map(|mistake| mistake.message.as_str()).collect();
    assert_eq!(doubts, ["no webhook is given: messages for Slack go to the log alone until there is one"]);
    for kind in [PartyKind::Us, PartyKind::Provider, PartyKind::Control] {
        assert!(plan.probes.iter().any(|probe| probe.kind == kind), "no probe of {kind:?}");
    }
    let text = fs::read_to_string("probes.yaml").unwrap();
    assert!(text.starts_with("# yaml-language-server: $schema=./docs/probes.schema.json\n"));
}

#[test]
fn the_schema_beside_the_shipped_file_is_the_one_that_is_printed() {
    let printed = usoryou(&["schema"]);
    assert!(printed.status.success());
    let printed = String::from_utf8(printed.stdout).unwrap();
    if std::env::var_os("USORYOU_BLESS").is_some() {
        fs::write("docs/probes.schema.json", &printed).unwrap();
    }
    assert_eq!(fs::read_to_string("docs/probes.schema.json").unwrap(), printed, "run usoryou schema");
    let schema: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["additionalProperties"], false);
    // What must be there is said to be: by the schema, and from it by every message about what is missing.
    assert_eq!(schema["required"], serde_json::json!(["parties", "probes"]));
    assert_eq!(schema["$defs"]["PartyFile"]["required"], serde_json::json!(["kind"]));
    assert_eq!(schema["$defs"]["ProbeFile"]["required"], serde_json::json!(["name", "party", "check"]));
}

#[test]
fn a_plan_holds_what_the_file_says() {
    let plan = read(Path::new("tests/config/valid/everything.yaml")).unwrap().plan;
    assert_eq!((&*plan.vantage.region, &*plan.vantage.node), ("eu-west", "n1"));
    assert_eq!(plan.hosted_on.as_deref(), Some("gcp"));
    assert_eq!((plan.alerts.open_after, plan.alerts.close_after, plan.concurrency), (2, 4, 64));
    assert_eq!((plan.keep.age, plan.keep.bytes), (Duration::from_secs(7 * 86_400), Some(500_000_000)));
    assert_eq!(plan.alerts.routes.len(), 2);
    assert_eq!(plan.maintenance.len(), 1);
    let rtdb = &plan.probes[0];
    assert_eq!((&*rtdb.name, rtdb.kind), ("rtdb-rest", PartyKind::Provider));
    assert_eq!(rtdb.subject.to_string(), "firebase realtime-database");
    assert_eq!((rtdb.interval, rtdb.timeout), (Duration::from_secs(60), Duration::from_secs(20)));
    // What a probe does not say comes from `defaults`.
    assert_eq!((plan.probes[1].interval, plan.probes[1].timeout), (Duration::from_secs(30), Duration::from_secs(10)));
    let confirm = |index: usize| plan.probes[index].confirm;
    let general =
        Confirm { budget: 4, per: Duration::from_secs(300), resolver: Some("192.0.2.53:53".parse().unwrap()) };
    assert_eq!(confirm(0), Some(general));
    assert_eq!(confirm(4), Some(Confirm { resolver: Some("[::1]:5353".parse().unwrap()), ..general }));
    assert_eq!(confirm(5), None);
    assert!(plan.hash.starts_with("sha256:") && plan.hash.len() == 71, "{}", plan.hash);
}

/// A region whose way to the hub, or whose people, are its own is no other release.
#[test]
fn the_hash_is_of_what_is_looked_at_and_not_of_whom_it_is_told() {
    let probes = "parties: { api: { kind: us } }\nprobes:\n  - { name: a, party: api, check: { tcp: { address: \"HOST:443\" } } }\n";
    let hash = |text: &str| read_text(text).unwrap().plan.hash.clone();
    let base = hash(probes);
    for more in [
        "# a comment\n",
        "vantage: { region: eu }\n",
        "alerts: { open_after: 5 }\n",
        "hub: { urls: [\"http://127.0.0.1:9797\"], token: one-of-its-own-that-is-long-enough }\n",
    ] {
        assert_eq!(hash(&format!("{more}{probes}")), base, "{more}");
    }
    assert_ne!(hash(&probes.replace(":443", ":444")), base);
    assert_ne!(hash(&format!("defaults: {{ interval: 20s }}\n{probes}")), base);
    // What a variable brings in is often a secret, and differs from region to region.
    assert_ne!(hash(&probes.replace("HOST", "${HOST}")), hash(&probes.replace("HOST", "api.test")));
}

#[test]
fn what_is_left_out_has_a_default() {
    let plan = read(Path::new("tests/config/valid/least.yaml")).unwrap().plan;
    assert_eq!((&*plan.vantage.region, &*plan.vantage.node), ("local", "host.test"));
    assert_eq!((plan.probes[0].interval, plan.probes[0].timeout), (Duration::from_secs(10), Duration::from_secs(5)));
    assert_eq!((plan.alerts.open_after, plan.alerts.close_after, plan.concurrency), (3, 5, 512));
    assert_eq!((plan.keep.age, plan.keep.bytes), (Duration::from_secs(30 * 86_400), None));
    assert_eq!(plan.keep.bytes_of(false), 2_000_000_000);
}

#[test]
fn the_command_line_wins_over_the_file() {
    let net = Net::system(Vec::new()).unwrap();
    let overrides = VantageOverrides { region: Some("us-east".to_owned()), node: Some("n9".to_owned()) };
    let loaded = config::read(Path::new("tests/config/valid/everything.yaml"), &env, &net, &overrides).unwrap();
    assert_eq!((&*loaded.plan.vantage.region, &*loaded.plan.vantage.node), ("us-east", "n9"));
}

#[test]
fn a_fingerprint_changes_with_what_the_probe_does_and_with_nothing_else() {
    let base =
        "parties: { api: { kind: us } }\nprobes:\n  - { name: a, party: api, check: { icmp: { host: a.test } } }\n";
    let fingerprint = |text: &str| Arc::clone(&read_text(text).unwrap().plan.probes[0].fingerprint);
    let first = fingerprint(base);
    assert_eq!(fingerprint(&format!("# a comment\n{base}")), first);
    assert_eq!(fingerprint(&base.replace("name: a, party: api", "party: api, name: \"a\"")), first);
    for (from, to) in
        [("host: a.test", "host: b.test"), ("kind: us", "kind: control"), ("party: api,", "party: api, interval: 9s,")]
    {
        assert_ne!(fingerprint(&base.replace(from, to)), first, "{to}");
    }
    // A default reaches the probe, too.
    assert_ne!(fingerprint(&format!("defaults: {{ interval: 7s }}\n{base}")), first);
}

#[test]
fn bombs_and_giants_are_refused() {
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (before, name) in ('a'..='j').zip('b'..='k') {
        bomb.push_str(&format!("{name}: &{name} [{}]\n", vec![format!("*{before}"); 9].join(", ")));
    }
    let long = format!("a: &a \"{}\"\nb: [{}]\n", "x".repeat(500_000), vec!["*a"; 100_000].join(","));
    let merges: String =
        (1..40).map(|i| format!("a{i}: &a{i} {{ <<: [*a{0}, *a{0}], y: [*a{0}, *a{0}] }}\n", i - 1)).collect();
    let merges = format!("a0: &a0 {{ x: 1 }}\n{merges}");
    let too_much = "the file holds too much from here on";
    for (name, text, message) in [
        ("aliases", bomb, too_much),
        ("long texts", long, too_much),
        ("merges", merges, too_much),
        ("itself", "a: &a [*a]\n".to_owned(), "this alias stands inside of the value that it repeats"),
        ("brackets", "[".repeat(100_000), "values are nested too deeply: at most 48 levels"),
        (
            "indentation",
            (0..600).map(|depth| " ".repeat(depth) + "a:\n").collect(),
            "values are nested too deeply: at most 48 levels",
        ),
        ("10 MB", "a: b\n".repeat(2_000_000), "it is larger than 1024 KiB"),
    ] {
        let mistakes = read_text(&text).err().unwrap_or_else(|| panic!("{name} was taken"));
        assert_eq!(mistakes.list.len(), 1, "{name}: {mistakes}");
        assert!(mistakes.list[0].message.ends_with(message), "{name}: {mistakes}");
    }
}

#[test]
fn files_that_cannot_be_read_are_one_clear_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let binary = folder.path().join("binary");
    fs::write(&binary, [0xff, 0xfe, 0x00]).unwrap();
    for (path, why) in [
        (folder.path().join("gone.yaml"), "there is no such file"),
        (folder.path().to_owned(), "it is a directory"),
        (binary, "it is not UTF-8 text (byte 0)"),
    ] {
        let mistakes = read(&path).err().unwrap();
        assert_eq!(mistakes.list.len(), 1);
        let message = format!("cannot read the configuration `{}`: {why}", path.display());
        assert_eq!(mistakes.list[0].message, message);
    }
}

#[test]
fn windows_line_ends_and_other_alphabets_keep_their_columns() {
    let text = "parties:\r\n  api: { kind: us, name: \"日本\" }\r\nprobes:\r\n  - { name: \"é\", party: apix, check: { icmp: { host: a } } }\r\n";
    let mistakes = read_text(text).err().unwrap();
    let places: Vec<_> = mistakes.list.iter().map(|m| m.place.as_ref().map(|p| (p.line, p.column)).unwrap()).collect();
    assert_eq!(places, [(4, 13), (4, 25)]);
    assert_eq!(
        mistakes.list[1].place.as_ref().unwrap().text,
        "  - { name: \"é\", party: apix, check: { icmp: { host: a } } }"
    );
}

fn usoryou(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_usoryou"));
    command.args(arguments).env_clear();
    for name in ["WORD", "EMPTY", "HOST", "SECONDS_10", "TWO"] {
        command.env(name, env(name).unwrap());
    }
    command.output().unwrap()
}

fn validate(arguments: &[&str]) -> Output {
    usoryou(&[&["validate"], arguments].concat())
}

#[test]
fn validate_exits_with_0_and_one_line_when_all_is_well() {
    let said = validate(&["tests/config/valid/everything.yaml"]);
    assert_eq!(said.status.code(), Some(0));
    let line = String::from_utf8(said.stdout).unwrap();
    assert_eq!(line, "tests/config/valid/everything.yaml: ok, 9 probes of 3 parties\n");
    assert_eq!(String::from_utf8(said.stderr).unwrap(), "");
}

#[test]
fn validate_exits_with_0_and_says_what_is_likely_not_meant() {
    let said = validate(&["tests/config/valid/warnings.yaml"]);
    assert_eq!(said.status.code(), Some(0));
    assert!(String::from_utf8(said.stderr).unwrap().contains("nothing to compare `firebase` with"));
}

#[test]
fn validate_exits_with_2_and_the_mistakes() {
    let case = "tests/config/invalid/many-at-once.yaml";
    let said = validate(&[case]);
    assert_eq!(said.status.code(), Some(2));
    assert_eq!(said.stdout, b"");
    let expected = fs::read_to_string("tests/config/invalid/many-at-once.error").unwrap();
    assert_eq!(String::from_utf8(said.stderr).unwrap().trim_end(), expected.trim_end());
}

#[test]
fn validate_speaks_json() {
    let said = validate(&["tests/config/invalid/unknown-key.yaml", "--output", "json"]);
    assert_eq!(said.status.code(), Some(2));
    let answer: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(answer["ok"], false);
    assert_eq!(answer["mistakes"][0]["message"], "unknown key `probez`");
    assert_eq!(answer["mistakes"][0]["place"]["line"], 7);
    let said = validate(&["tests/config/valid/least.yaml", "--output", "json"]);
    let answer: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!((said.status.code(), &answer["ok"], &answer["probes"]), (Some(0), &true.into(), &1.into()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    /// However the shipped file is damaged: an answer, and every mistake at a place that exists.
    #[test]
    fn no_damage_makes_it_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..40usize, "[-a-z0-9 :,{}\\[\\]\"'#&*!|>%@`$~\n\t]{0,6}"), 1..4)
    ) {
        let mut text = fs::read_to_string("probes.yaml").unwrap();
        for (place, removed, added) in edits {
            let boundary = |at: usize| (0..=at).rev().find(|&at| text.is_char_boundary(at)).unwrap();
            let from = boundary(place.index(text.len()));
            let to = boundary((from + removed).min(text.len())).max(from);
            text.replace_range(from..to, &added);
        }
        let list = match read_text(&text) {
            Ok(loaded) => loaded.warnings,
            Err(mistakes) => mistakes,
        };
        let lines: Vec<&str> = text.split('\n').collect();
        for place in list.list.iter().filter_map(|mistake| mistake.place.as_ref()) {
            prop_assert!((1..=lines.len()).contains(&place.line), "{list}");
            prop_assert!((1..=lines[place.line - 1].chars().count() + 1).contains(&place.column), "{list}");
            prop_assert!(place.text.get(place.mark.clone()).is_some(), "{list}");
        }
        prop_assert!(!list.to_string().is_empty());
    }
}
