//! `usoryou check` as a user runs it.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use usoryou::model::{Kind, Observation, Outcome, Phase};

use crate::support::{plain::Plain, program};

const USORYOU: &str = env!("CARGO_BIN_EXE_usoryou");

fn check(words: &[&str]) -> Output {
    check_in(std::env::temp_dir().as_path(), words)
}

fn check_in(folder: &std::path::Path, words: &[&str]) -> Output {
    Command::new(USORYOU).arg("check").args(words).current_dir(folder).env_remove("USORYOU_CONFIG").output().unwrap()
}

fn text(out: &Output) -> String {
    String::from_utf8_lossy(&out.stdout).into_owned()
}

fn said(out: &Output) -> String {
    String::from_utf8_lossy(&out.stderr).into_owned()
}

/// A port on which nobody listens.
fn closed() -> String {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    format!("tcp://{address}")
}

#[test]
fn a_url_that_answers_is_up_with_its_phases_and_exit_code_0() {
    let site = Plain::start();
    let out = check(&[&format!("http://{}/?token=hidden", site.address)]);
    assert_eq!(out.status.code(), Some(0), "{}", said(&out));
    let text = text(&out);
    assert!(text.contains(&format!("http://{}/", site.address)), "{text}");
    assert!(text.contains("connect ") && text.contains("first byte ") && text.contains("UP 200"), "{text}");
    assert!(!text.contains("hidden"), "query strings hold tokens: {text}");
    assert!(!text.contains('\u{1b}'), "a pipe gets no colours: {text:?}");
}

#[test]
fn a_closed_port_is_down_with_exit_code_1_and_the_others_are_still_looked_at() {
    let site = Plain::start();
    let out = check(&[&closed(), &format!("http://{}/", site.address)]);
    assert_eq!(out.status.code(), Some(1));
    let text = text(&out);
    assert!(text.contains("DOWN connect: refused"), "{text}");
    assert!(text.contains("UP 200"), "{text}");
}

#[test]
fn jsonl_is_the_wire_format() {
    let out = check(&["--output", "jsonl", &closed()]);
    let line: Observation = serde_json::from_str(text(&out).trim()).unwrap();
    let failure = line.failure.unwrap();
    assert_eq!((line.outcome, failure.phase, failure.kind), (Outcome::Down, Phase::Connect, Kind::Refused));
    assert_eq!((&*line.protocol, &*line.party), ("tcp", "127.0.0.1"));
}

#[test]
fn json_junit_and_prometheus_are_well_formed() {
    let site = Plain::start();
    let url = format!("http://{}/", site.address);
    let json: serde_json::Value = serde_json::from_str(&text(&check(&["--output", "json", &url]))).unwrap();
    assert_eq!(json["observations"][0]["outcome"], "up");
    assert_eq!(json["observations"][0]["http_status"], 200);
    let junit = text(&check(&["--output", "junit", &closed()]));
    assert!(junit.contains("tests=\"1\" failures=\"1\"") && junit.contains("type=\"refused\""), "{junit}");
    let prometheus = text(&check(&["--output", "prometheus", &url]));
    assert!(prometheus.contains("# TYPE usoryou_probe_duration_seconds histogram"), "{prometheus}");
    assert!(
        prometheus.lines().any(|line| line.starts_with("usoryou_probe_up{") && line.ends_with(" 1.0")),
        "{prometheus}"
    );
}

#[test]
fn count_looks_that_often_and_sums_up() {
    let site = Plain::start();
    let out = check(&["--count", "5", "--interval", "20ms", &format!("http://{}/", site.address)]);
    assert_eq!(site.asked(), 5);
    assert!(text(&out).contains("5 runs, 5 up; min "), "{}", text(&out));
}

#[test]
fn flags_change_what_is_sent_and_expected() {
    let site = Plain::start();
    site.answer(503);
    let url = format!("http://fake.test:{}/", site.address.port());
    let pinned = format!("fake.test:{}:127.0.0.1", site.address.port());
    let down = check(&["--resolve", &pinned, &url]);
    assert_eq!(down.status.code(), Some(1), "{}", said(&down));
    assert!(text(&down).contains("status_unexpected"), "{}", text(&down));
    let up = check(&["--resolve", &pinned, "--expect-status", "503", "-4", "--http1.1", "-H", "X-Test: 1", &url]);
    assert_eq!(up.status.code(), Some(0), "{}{}", text(&up), said(&up));
}

#[test]
fn mistakes_are_one_sentence_and_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    for (words, wanted) in [
        (vec!["gopher://x"], "known schemes are http, https, tcp"),
        (vec!["--resolve", "nonsense", "http://x/"], "HOST:PORT:ADDR"),
        (vec!["--header", "nonsense", "http://x/"], "NAME: VALUE"),
        (vec!["some-probe"], "probes.yaml"),
        (vec![], "probes.yaml"),
        (vec!["--output", "xml", "http://x/"], "possible values"),
    ] {
        let out = check_in(folder.path(), &words);
        assert_eq!(out.status.code(), Some(2), "{words:?}: {}{}", text(&out), said(&out));
        assert!(said(&out).contains(wanted), "{words:?}: {}", said(&out));
        assert!(out.stdout.is_empty());
    }
}

#[test]
fn probes_of_a_configuration_get_a_verdict() {
    let (ours, control) = (Plain::start(), Plain::start());
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "parties: {{ api: {{ kind: us, name: Our API }}, internet: {{ kind: control, name: Internet }} }}\nprobes:\n  \
         - {{ name: api-health, party: api, check: {{ http: {{ url: \"http://{}/\" }} }} }}\n  \
         - {{ name: control, party: internet, check: {{ http: {{ url: \"http://{}/\" }} }} }}\n",
        ours.address, control.address
    );
    std::fs::write(folder.path().join("probes.yaml"), config).unwrap();

    let well = check_in(folder.path(), &[]);
    assert_eq!(well.status.code(), Some(0), "{}{}", text(&well), said(&well));
    assert!(text(&well).lines().last().unwrap().starts_with("verdict: "), "{}", text(&well));

    ours.answer(500);
    let bad = check_in(folder.path(), &[]);
    assert_eq!(bad.status.code(), Some(1));
    let verdict = text(&bad).lines().last().unwrap().to_owned();
    assert!(verdict.contains("It's us") && verdict.contains("Our API"), "{verdict}");

    let one = check_in(folder.path(), &["control"]);
    assert!(!text(&one).contains("api-health") && text(&one).contains("UP 200"), "{}", text(&one));
    let unknown = check_in(folder.path(), &["contrl"]);
    assert!(said(&unknown).contains("it has api-health, control"), "{}", said(&unknown));
}

#[test]
fn a_reader_that_goes_away_is_no_mistake() {
    let site = Plain::start();
    let command = format!("{USORYOU} check --count 50 --interval 10ms http://{}/ | head -n 1", site.address);
    let out = Command::new("bash").args(["-o", "pipefail", "-c", &command]).output().unwrap();
    assert!(out.status.success(), "{:?}: {}", out.status, said(&out));
    assert_eq!(said(&out), "");
}

/// A token endpoint that answers its first request when it is told to, with a refresh token that replaces the one sent:
/// its configuration, what says that the request has come, and what lets it answer.
fn slow_tokens(folder: &Path) -> (mpsc::Receiver<()>, mpsc::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    let (asked, has_asked) = mpsc::channel();
    let (go, may_go) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !String::from_utf8_lossy(&request).contains("refresh_token=first") {
            let mut piece = [0; 1024];
            let count = stream.read(&mut piece).unwrap();
            assert!(count > 0, "the request ended early");
            request.extend_from_slice(&piece[..count]);
        }
        asked.send(()).unwrap();
        may_go.recv().unwrap();
        let granted = r#"{"access_token":"late","expires_in":3600,"refresh_token":"second"}"#;
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{granted}", granted.len());
        let _ = stream.write_all(answer.as_bytes());
    });
    let text = format!(
        "defaults: {{ interval: 10s, timeout: 300ms }}\n\
         parties: {{ cloud: {{ kind: provider }} }}\n\
         probes:\n  - name: token\n    party: cloud\n    check:\n      oauth2:\n        refresh_token:\n          \
         {{ token_url: \"{url}\", client_id: me, client_auth: body, refresh_token: first }}\n"
    );
    std::fs::write(folder.join("probes.yaml"), text).unwrap();
    (has_asked, go)
}

fn has_the_next_token(folder: &Path) -> bool {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter_map(|file| std::fs::read_to_string(file).ok()).any(|text| text.contains("\"second\""))
}

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn a_refresh_token_that_comes_after_the_last_look_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (asked, go) = slow_tokens(folder.path());
    let child = program::usoryou(folder.path())
        .args(["check", "token"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    asked.recv_timeout(PATIENCE).unwrap();
    // The deadline of the look and what is waited for without a word are over by then.
    std::thread::sleep(Duration::from_millis(1500));
    go.send(()).unwrap();
    let out = child.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(1), "{}", said(&out));
    assert!(text(&out).contains("DOWN first_byte: timed_out"), "{}", text(&out));
    assert!(said(&out).contains("waiting up to a minute for a token that comes only once"), "{}", said(&out));
    assert!(has_the_next_token(folder.path()), "the next look would send a token that is used up");
}

#[test]
fn a_second_interrupt_gives_up_a_token_that_does_not_come() {
    let folder = tempfile::tempdir().unwrap();
    let (asked, _go) = slow_tokens(folder.path());
    let mut command = program::usoryou(folder.path());
    let mut child = command.args(["check", "token"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    asked.recv_timeout(PATIENCE).unwrap();
    let (mut heard, mut said) = ([0; 1024], String::new());
    let mut errors = child.stderr.take().unwrap();
    while !said.contains("comes only once") {
        let count = errors.read(&mut heard).unwrap();
        assert!(count > 0, "it ended: {said}");
        said.push_str(&String::from_utf8_lossy(&heard[..count]));
    }
    let id = child.id().to_string();
    let told = Instant::now();
    assert!(Command::new("kill").args(["-s", "INT", &id]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(told.elapsed() < PATIENCE);
}

#[test]
fn a_process_that_is_told_to_stop_waits_for_the_refresh_token() {
    let folder = tempfile::tempdir().unwrap();
    let (asked, go) = slow_tokens(folder.path());
    let mut agent = program::Program::start(folder.path());
    asked.recv_timeout(PATIENCE).unwrap();
    agent.signal("TERM");
    agent.logs("stopping");
    std::thread::sleep(Duration::from_millis(500));
    go.send(()).unwrap();
    let (status, _) = agent.ended();
    assert!(status.success(), "{}", agent.log());
    assert!(has_the_next_token(folder.path()), "{}", agent.log());
}
