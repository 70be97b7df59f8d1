//! `usoryou run`: reload, signals, start failures.

use std::{
    fmt::Write as _,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    process::Output,
    time::{Duration, Instant},
};

use crate::support::program::{Answering, Program, eventually, usoryou, write};

/// A configuration with one party of ours, a control, and the named probes of one target.
fn config(target: &Answering, probes: &[&str]) -> String {
    every(target, probes, "1s")
}

fn every(target: &Answering, probes: &[&str], interval: &str) -> String {
    let mut text = format!(
        "defaults: {{ interval: {interval}, timeout: {interval} }}\n\
         parties:\n  api: {{ kind: us, name: Our API }}\n  internet: {{ kind: control }}\nprobes:\n"
    );
    for probe in probes {
        let party = if probe.starts_with("control") { "internet" } else { "api" };
        let url = format!("http://{}/{probe}", target.address);
        writeln!(text, "  - {{ name: {probe}, party: {party}, check: {{ http: {{ url: \"{url}\" }} }} }}").unwrap();
    }
    text
}

fn runs(program: &Program, probe: &str) -> Option<f64> {
    program.figure(&["usoryou_probe_runs_total{", &format!("probe=\"{probe}\""), "outcome=\"up\""])
}

fn has_run(program: &Program, probe: &str) {
    eventually(&format!("run of {probe}"), || {
        let (_, page) = program.get("/metrics");
        runs(program, probe).filter(|runs| *runs >= 1.0).ok_or(page)
    });
}

fn vanishes(program: &Program, probe: &str) {
    eventually(&format!("end of the series of {probe}"), || {
        let (_, page) = program.get("/metrics");
        if page.contains(&format!("probe=\"{probe}\"")) { Err(page) } else { Ok(()) }
    });
}

fn reload_successful(program: &Program) -> f64 {
    program.figure(&["usoryou_config_last_reload_successful"]).unwrap()
}

fn run_once(directory: &Path, arguments: &[&str]) -> Output {
    usoryou(directory).arg("run").args(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn the_first_probe_runs_at_once_and_the_figures_follow() {
    let (directory, target) = (tempfile::tempdir().unwrap(), Answering::start());
    write(directory.path(), "probes.yaml", &every(&target, &["one", "control"], "60s"));
    let begun = Instant::now();
    let mut program = Program::start(directory.path());
    eventually("request", || (target.count() > 0).then_some(()).ok_or_else(|| program.log()));
    // 100 ms are promised of the program alone; a busy machine that also starts it gets more.
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    has_run(&program, "one");
    has_run(&program, "control");
    assert!(program.logs("listening on").contains("2 probes of 2 parties"));
    assert_eq!(program.get("/healthz").0, 200);
}

#[test]
fn sighup_reloads_and_the_series_of_removed_probes_vanish() {
    let (directory, target) = (tempfile::tempdir().unwrap(), Answering::start());
    write(directory.path(), "probes.yaml", &config(&target, &["stays", "goes", "control"]));
    let mut program = Program::start(directory.path());
    has_run(&program, "goes");
    has_run(&program, "stays");
    let before = runs(&program, "stays").unwrap();
    write(directory.path(), "probes.yaml", &config(&target, &["stays", "comes", "control"]));
    program.signal("HUP");
    program.logs("configuration reloaded: 3 probes of 2 parties");
    has_run(&program, "comes");
    vanishes(&program, "goes");
    assert!(runs(&program, "stays").unwrap() >= before, "what stays goes on counting");
}

#[test]
fn a_reload_over_http_says_how_it_went_and_a_bad_file_changes_nothing() {
    let (directory, target) = (tempfile::tempdir().unwrap(), Answering::start());
    write(directory.path(), "probes.yaml", &config(&target, &["one", "control"]));
    let mut program = Program::start(directory.path());
    has_run(&program, "one");
    assert!((reload_successful(&program) - 1.0).abs() < f64::EPSILON);

    let bad = config(&target, &["other", "control"]).replace("kind: us", "kind: ours");
    write(directory.path(), "probes.yaml", &bad);
    let (status, answer) = program.post("/-/reload");
    assert_eq!(status, 400, "{answer}");
    assert!(answer.contains("probes.yaml:3:") && answer.contains("ours"), "{answer}");
    program.logs("the one before stays in force");
    assert!(reload_successful(&program).abs() < f64::EPSILON);
    let before = target.count();
    eventually("next run under the old plan", || (target.count() > before + 1).then_some(()).ok_or(String::new()));
    assert!(runs(&program, "other").is_none() && runs(&program, "one").is_some());

    write(directory.path(), "probes.yaml", &config(&target, &["other", "control"]));
    eventually("good reload", || match program.post("/-/reload") {
        (200, _) => Ok(()),
        (status, answer) => Err(format!("{status}: {answer}")),
    });
    has_run(&program, "other");
    vanishes(&program, "one");
    assert!((reload_successful(&program) - 1.0).abs() < f64::EPSILON);
}

#[test]
fn a_bad_file_that_is_noticed_is_said_once() {
    let (directory, target) = (tempfile::tempdir().unwrap(), Answering::start());
    write(directory.path(), "probes.yaml", &config(&target, &["one", "control"]));
    let mut program = Program::start(directory.path());
    write(directory.path(), "probes.yaml", "probes: [\n");
    program.logs("the one before stays in force");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(program.log().matches("the one before stays in force").count(), 1, "{}", program.log());
    std::fs::remove_file(directory.path().join("probes.yaml")).unwrap();
    write(directory.path(), "probes.yaml", &config(&target, &["two", "control"]));
    program.logs("configuration reloaded: 2 probes");
    has_run(&program, "two");
}

/// Kubernetes mounts a ConfigMap as `probes.yaml -> ..data/probes.yaml`, `..data -> ..2026_11_22`, and renames a new
/// `..data` over the old one.
#[test]
fn the_symlink_swap_of_kubernetes_is_noticed() {
    let (directory, target) = (tempfile::tempdir().unwrap(), Answering::start());
    let at = directory.path();
    for (version, probe) in [("..v1", "before"), ("..v2", "after")] {
        std::fs::create_dir(at.join(version)).unwrap();
        write(&at.join(version), "probes.yaml", &config(&target, &[probe, "control"]));
    }
    symlink("..v1", at.join("..data")).unwrap();
    symlink("..data/probes.yaml", at.join("probes.yaml")).unwrap();
    let mut program = Program::start(at);
    has_run(&program, "before");
    symlink("..v2", at.join("..data_tmp")).unwrap();
    std::fs::rename(at.join("..data_tmp"), at.join("..data")).unwrap();
    std::fs::remove_dir_all(at.join("..v1")).unwrap();
    program.logs("configuration reloaded");
    has_run(&program, "after");
    vanishes(&program, "before");
}

#[test]
fn sigterm_lets_a_run_end_and_exits_in_time() {
    let (directory, target) = (tempfile::tempdir().unwrap(), Answering::after(Duration::from_secs(60)));
    write(directory.path(), "probes.yaml", &every(&target, &["hangs", "control"], "30s"));
    let mut program = Program::start(directory.path());
    eventually("request", || (target.count() > 0).then_some(()).ok_or_else(|| program.log()));
    program.signal("TERM");
    let (status, took) = program.ended();
    assert_eq!(status.code(), Some(0), "{}", program.log());
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn an_idle_program_stops_at_once() {
    let (directory, target) = (tempfile::tempdir().unwrap(), Answering::start());
    write(directory.path(), "probes.yaml", &every(&target, &["one", "control"], "60s"));
    let mut program = Program::start(directory.path());
    has_run(&program, "control");
    program.logs("verdict: all is well: 2 probes of 2 parties have been looked at");
    program.signal("INT");
    let (status, took) = program.ended();
    assert_eq!(status.code(), Some(0), "{}", program.log());
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn a_process_that_stood_still_blames_nobody_and_counts_what_it_missed() {
    // Each answer takes most of the deadline, so that a stop hits a run.
    let (directory, target) = (tempfile::tempdir().unwrap(), Answering::after(Duration::from_millis(600)));
    write(directory.path(), "probes.yaml", &config(&target, &["one", "control"]));
    let mut program = Program::start(directory.path());
    has_run(&program, "one");
    for _ in 0..2 {
        let before = target.count();
        eventually("a run under way", || (target.count() > before).then_some(()).ok_or_else(|| program.log()));
        program.signal("STOP");
        std::thread::sleep(Duration::from_millis(3500));
        program.signal("CONT");
        let ran = runs(&program, "one").unwrap();
        eventually("next run", || runs(&program, "one").filter(|runs| *runs > ran).ok_or_else(|| program.log()));
    }
    for probe in ["\"one\"", "\"control\""] {
        let down = program.figure(&["usoryou_probe_runs_total{", probe, "\"down\""]).unwrap_or(0.0);
        assert!(down < 0.5, "{down}\n{}", program.log());
    }
    eventually("count of missed runs", || {
        let missed = program.figure(&["usoryou_probe_missed_runs_total{", "\"one\""]);
        missed.filter(|missed| *missed >= 4.0).ok_or_else(|| format!("{missed:?}\n{}", program.log()))
    });
    assert!(!program.log().contains("It's"), "{}", program.log());
    program.signal("TERM");
    program.ended();
}

#[test]
fn a_missing_file_is_one_clear_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let output = run_once(directory.path(), &["--listen", "127.0.0.1:0"]);
    let expected = "usoryou: cannot read the configuration `probes.yaml`: there is no such file\n";
    assert_eq!((stderr(&output).as_str(), output.status.code()), (expected, Some(2)));
    assert!(output.stdout.is_empty());
}

#[test]
fn a_port_in_use_is_one_clear_sentence() {
    let (directory, target) = (tempfile::tempdir().unwrap(), Answering::start());
    write(directory.path(), "probes.yaml", &config(&target, &["one", "control"]));
    let taken = target.address.to_string();
    let output = run_once(directory.path(), &["--listen", &taken]);
    assert_eq!(stderr(&output), format!("usoryou: cannot listen on {taken}: address already in use\n"));
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(target.count(), 0, "nothing was probed");

    let output = run_once(directory.path(), &["--listen", "nonsense"]);
    let expected = "usoryou: cannot listen on nonsense: expected HOST:PORT, such as 127.0.0.1:9797 or :9797\n";
    assert_eq!((stderr(&output).as_str(), output.status.code()), (expected, Some(2)));
}

#[test]
fn an_unreadable_store_is_one_clear_sentence() {
    let (directory, target) = (tempfile::tempdir().unwrap(), Answering::start());
    let at = directory.path();
    write(at, "probes.yaml", &config(&target, &["one", "control"]));
    std::fs::write(at.join("junk.db"), "this is no database, and long enough to be looked at. ".repeat(100)).unwrap();
    let start = |store: &str| run_once(at, &["--listen", "127.0.0.1:0", "--store", store]);

    let output = start("sqlite:junk.db");
    let text = stderr(&output);
    assert_eq!((output.status.code(), text.lines().count()), (Some(2), 1), "{text}");
    assert!(text.starts_with("usoryou: cannot read the store at junk.db: "), "{text}");

    let output = start("sqlite:no/such/directory/usoryou.db");
    let expected = "usoryou: cannot open the store at no/such/directory/usoryou.db: the directory does not exist\n";
    assert_eq!((stderr(&output).as_str(), output.status.code()), (expected, Some(2)));

    let output = start("mongodb://somewhere");
    let text = stderr(&output);
    assert_eq!((output.status.code(), text.lines().count()), (Some(2), 1), "{text}");

    std::fs::write(at.join("locked.db"), "").unwrap();
    std::fs::set_permissions(at.join("locked.db"), std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::File::open(at.join("locked.db")).is_err() {
        let output = start("sqlite:locked.db");
        let expected = "usoryou: cannot open the store at locked.db: permission denied\n";
        assert_eq!((stderr(&output).as_str(), output.status.code()), (expected, Some(2)));
    }
    assert_eq!(target.count(), 0, "nothing was probed");
}

#[test]
fn the_log_can_be_json() {
    let (directory, target) = (tempfile::tempdir().unwrap(), Answering::start());
    write(directory.path(), "probes.yaml", &config(&target, &["one", "control"]));
    let mut program = Program::start_with(directory.path(), &["--log-format", "json"]);
    let line = program.logs("listening on");
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["level"], "INFO");
    assert!(line["message"].as_str().unwrap().starts_with("listening on http://127.0.0.1:"), "{line}");
    assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn many_probes_need_few_threads_and_little_memory() {
    let (directory, target) = (tempfile::tempdir().unwrap(), Answering::start());
    let names: Vec<String> = (0..300).map(|n| format!("p{n}")).chain(["control".to_owned()]).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    write(directory.path(), "probes.yaml", &every(&target, &names, "5s"));
    let program = Program::start(directory.path());
    let all = names.len();
    eventually("first runs", || (target.count() >= all).then_some(()).ok_or_else(|| target.count().to_string()));
    assert!(program.status_field("Threads:") < 40, "{}", program.status_field("Threads:"));
    let resident = program.status_field("VmRSS:");
    assert!(resident < 150 * 1024, "{resident} KiB in a build with debug information");
}
