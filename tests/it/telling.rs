//! From observation to exactly one Slack message, whatever Slack, the disk and the process do.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use crate::support::{
    hub::{Hurried, world},
    program::{Program, eventually, usoryou, usoryou_unharmed_by_limits, write},
    slack::{Message, Say, Slack},
};

fn headlines(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(Message::headline).collect()
}

#[test]
fn one_message_when_it_opens_and_one_when_it_closes() {
    let (slack, directory) = (Slack::start(), tempfile::tempdir().unwrap());
    let hub = Hurried::start(directory.path(), world(&slack.webhook));
    hub.rounds(5, &[]);
    hub.rounds(12, &["rtdb"]);
    let opened = slack.shows(1)[0].clone();
    hub.rounds(12, &[]);
    let messages = slack.shows(2);
    hub.rounds(5, &[]);
    assert_eq!(slack.messages().len(), 2, "{:#?}", slack.messages());
    assert!(
        opened.headline().starts_with("It's them: Firebase rtdb is down from 2 of 2 regions since "),
        "{opened:#?}"
    );
    assert!(opened.headline().ends_with(" UTC. Fails at tls: timed out. Controls 2/2 up, our API up."), "{opened:#?}");
    assert!(opened.text.contains("\nSeen: no ServerHello within 5s.\nIncident 20"), "{opened:#?}");
    assert!(messages[1].headline().starts_with("Over: Firebase rtdb is back since "), "{messages:#?}");
    assert!(messages[1].headline().ends_with(" It was them."), "{messages:#?}");
    let figures = hub.figures();
    for expected in [
        "usoryou_notifications_total{channel=\"support\",result=\"sent\"} 2",
        "usoryou_incidents_total{party=\"firebase\",cause=\"them\"} 1",
        "usoryou_incidents_open 0",
    ] {
        assert!(figures.contains(expected), "{expected} is not in\n{figures}");
    }
    assert!(hub.names().parties.contains_key("firebase"));
    assert_eq!(hub.view.borrow().recent.len(), 1);
    hub.stop();
}

#[test]
fn slack_that_answers_badly_gets_each_message_once_and_late() {
    let (slack, directory) = (Slack::start(), tempfile::tempdir().unwrap());
    slack.script([
        Say::Status(500, None, "server_error"),
        Say::Status(200, None, r#"{"ok":false,"error":"rate_limited"}"#),
        Say::Status(429, Some(2), "slow down"),
        Say::Silence,
        Say::Reset,
        Say::Status(200, None, "<html>Log in to this network</html>"),
    ]);
    let hub = Hurried::start(directory.path(), world(&slack.webhook));
    hub.rounds(8, &["rtdb"]);
    let tries = slack.comes(7);
    hub.rounds(8, &["rtdb"]);
    assert_eq!(slack.messages().len(), 7, "{:#?}", slack.messages());
    assert!(tries[3].at - tries[2].at >= Duration::from_secs(2), "Retry-After is honoured");
    assert!(!tries[2].text.contains("late"), "{:?}", tries[2]);
    assert!(tries[6].headline().ends_with(" s late: Slack did not take it earlier.)"), "{:?}", tries[6]);
    assert!(hub.figures().contains("usoryou_notifications_total{channel=\"support\",result=\"retry\"} 6"));
    hub.stop();
}

#[test]
fn an_end_is_never_told_before_its_beginning() {
    let (slack, directory) = (Slack::start(), tempfile::tempdir().unwrap());
    slack.otherwise(Say::Status(503, None, ""));
    let hub = Hurried::start(directory.path(), world(&slack.webhook));
    hub.rounds(10, &["rtdb"]);
    slack.comes(1);
    hub.rounds(15, &[]);
    eventually("end of the incident", || if hub.view.borrow().recent.len() == 1 { Ok(()) } else { Err(String::new()) });
    assert!(hub.wait(hub.store.unsent()).unwrap().depth == 2);
    slack.otherwise(Say::Ok);
    let shown = slack.shows(2);
    assert!(shown[0].headline().starts_with("It's them: "), "{shown:#?}");
    assert!(shown[1].headline().starts_with("Over: "), "{shown:#?}");
    hub.rounds(5, &[]);
    assert_eq!(slack.shown().len(), 2);
    hub.stop();
}

#[test]
fn a_webhook_that_is_gone_is_not_asked_again() {
    let (slack, directory) = (Slack::start(), tempfile::tempdir().unwrap());
    slack.script([Say::Status(404, None, "no_service")]);
    let hub = Hurried::start(directory.path(), world(&slack.webhook));
    hub.rounds(10, &["rtdb"]);
    slack.comes(1);
    hub.rounds(10, &["rtdb"]);
    assert_eq!(slack.messages().len(), 1);
    assert!(hub.figures().contains("usoryou_notifications_total{channel=\"support\",result=\"refused\"} 1"));
    assert_eq!(hub.wait(hub.store.unsent()).unwrap().depth, 0);
    hub.stop();
}

#[test]
fn a_restart_in_the_middle_neither_repeats_nor_forgets() {
    let (slack, directory) = (Slack::start(), tempfile::tempdir().unwrap());
    let hub = Hurried::start(directory.path(), world(&slack.webhook));
    hub.rounds(10, &["rtdb"]);
    slack.shows(1);
    hub.stop();
    let hub = Hurried::start(directory.path(), world(&slack.webhook));
    hub.rounds(5, &["rtdb"]);
    assert_eq!(hub.view.borrow().incidents.len(), 1);
    hub.rounds(15, &[]);
    let shown = slack.shows(2);
    assert!(shown[1].headline().starts_with("Over: "), "{shown:#?}");
    hub.stop();
    assert_eq!(slack.messages().len(), 2);
}

#[test]
fn whoever_was_told_of_a_party_that_the_configuration_loses_hears_of_the_end() {
    let (slack, directory) = (Slack::start(), tempfile::tempdir().unwrap());
    let hub = Hurried::start(directory.path(), world(&slack.webhook));
    hub.rounds(10, &["rtdb"]);
    slack.shows(1);
    let mut reloaded = world(&slack.webhook);
    reloaded.probes.retain(|probe| &*probe.name != "rtdb");
    hub.plan.send_replace(Arc::new(reloaded));
    eventually("end of the incident", || if hub.view.borrow().recent.len() == 1 { Ok(()) } else { Err(String::new()) });
    hub.rounds(5, &[]);
    assert!(hub.view.borrow().recent[0].note.is_some());
    let shown = slack.shows(2);
    assert!(shown[1].headline().starts_with("Over: nobody looks at"), "{shown:#?}");
    hub.stop();
}

/// A target that answers well or badly by a switch, and counts.
pub struct Target {
    pub address: std::net::SocketAddr,
    pub broken: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
}

impl Target {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (broken, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (state, count) = (Arc::clone(&broken), Arc::clone(&asked));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                count.fetch_add(1, SeqCst);
                let broken = state.load(SeqCst);
                let mut reader = BufReader::new(stream);
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                    line.clear();
                }
                let answer = if broken { "503 Service Unavailable" } else { "204 No Content" };
                let _ = write!(reader.get_mut(), "HTTP/1.1 {answer}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
            }
        });
        Self { address, broken, asked }
    }
}

/// A directory with a configuration: a provider that can break, and a control that does not.
fn home(provider: &Target, control: &Target, slack: &Slack) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let text = format!(
        "defaults: {{ interval: 200ms, timeout: 200ms }}
parties:
  firebase: {{ kind: provider, name: Firebase }}
  internet: {{ kind: control }}
probes:
  - {{ name: rtdb, party: firebase, check: {{ http: {{ url: \"http://{}/\" }} }} }}
  - {{ name: control, party: internet, check: {{ http: {{ url: \"http://{}/\" }} }} }}
alerts:
  open_after: 3
  close_after: 3
  channels:
    support: {{ slack: {{ webhook_url: \"{}\" }} }}
  routes: [ {{ to: support }} ]
",
        provider.address, control.address, slack.webhook
    );
    write(directory.path(), "probes.yaml", &text);
    directory
}

/// Ends it as a power cut would, as far as the process can tell.
pub fn kill(mut program: Program) -> String {
    program.signal("KILL");
    program.ended();
    program.log()
}

#[test]
fn killed_at_any_point_it_tells_each_change_exactly_once() {
    let (provider, control, slack) = (Target::start(), Target::start(), Slack::start());
    // The moment between taking a message and saying so is long enough to be hit.
    slack.otherwise(Say::OkAfter(Duration::from_millis(30)));
    let directory = home(&provider, &control, &slack);
    let mut log = String::new();
    // Pauses that wander through the whole way from start to message, the same in every run of this test.
    let mut pauses = (0..).map(|step: u64| Duration::from_millis(100 + step * 197 % 1_300));
    for incident in 0..3 {
        for (broken, messages) in [(true, incident * 2 + 1), (false, incident * 2 + 2)] {
            provider.broken.store(broken, SeqCst);
            for _ in 0..5 {
                let program = Program::start(directory.path());
                std::thread::sleep(pauses.next().unwrap());
                log.push_str(&kill(program));
            }
            let program = Program::start(directory.path());
            slack.shows(messages);
            // Long enough for a second one, if there were one.
            std::thread::sleep(Duration::from_millis(1_200));
            log.push_str(&kill(program));
            let shown = slack.messages();
            assert_eq!(shown.len(), messages, "{:#?}\n{log}", headlines(&shown));
        }
    }
    let shown = slack.messages();
    for (index, message) in shown.iter().enumerate() {
        // What is back within half an hour is the same incident.
        let beginning = match index {
            0 => "It's them: Firebase".to_owned(),
            _ if index % 2 == 1 => "Over: Firebase".to_owned(),
            // A process that is killed while it comes back may count that as once more.
            _ => "Again (".to_owned(),
        };
        assert!(message.headline().starts_with(&beginning), "{shown:#?}");
        assert!(message.text.ends_with("-firebase-1"), "{shown:#?}");
    }
    assert!(!log.contains(Slack::SECRET), "the webhook is in the log:\n{log}");
}

#[test]
fn killed_while_slack_says_nothing_it_tells_it_afterwards() {
    let (provider, control, slack) = (Target::start(), Target::start(), Slack::start());
    slack.otherwise(Say::Silence);
    provider.broken.store(true, SeqCst);
    let directory = home(&provider, &control, &slack);
    let program = Program::start(directory.path());
    slack.comes(1);
    // Slack keeps silent: long enough to know that it is not well, and probing goes on meanwhile.
    let (before, since) = (provider.asked.load(SeqCst), Instant::now());
    std::thread::sleep(Duration::from_secs(2));
    let rounds = since.elapsed().as_millis() / 200;
    let asked = (provider.asked.load(SeqCst) - before) as u128;
    assert!(asked + 2 >= rounds, "{asked} of {rounds} rounds were probed while Slack was silent");
    kill(program);
    slack.otherwise(Say::Ok);
    let program = Program::start(directory.path());
    slack.shows(1);
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!(slack.shown().len(), 1, "{:#?}", slack.messages());
    kill(program);
}

#[test]
fn a_disk_that_is_full_for_a_while_loses_no_message_and_doubles_none() {
    let (provider, control, slack) = (Target::start(), Target::start(), Slack::start());
    let directory = home(&provider, &control, &slack);
    let mut program = on_a_full_disk(directory.path(), &provider);
    let (before, since) = (provider.asked.load(SeqCst), Instant::now());
    std::thread::sleep(Duration::from_secs(3));
    let rounds = since.elapsed().as_millis() / 200;
    assert!((provider.asked.load(SeqCst) - before) as u128 + 2 >= rounds, "probing goes on at full rate");
    assert_eq!(slack.messages().len(), 0, "{:#?}", slack.messages());
    limit_files(&program, "unlimited");
    program.logs("the store takes everything again");
    slack.shows(1);
    provider.broken.store(false, SeqCst);
    let shown = slack.shows(2);
    std::thread::sleep(Duration::from_millis(1_200));
    assert_eq!(slack.messages().len(), 2, "{:#?}", slack.messages());
    assert!(shown[0].headline().starts_with("It's them: Firebase is down"), "{shown:#?}");
    let log = kill(program);
    assert_eq!(log.matches("going on in memory").count(), 1, "it is said once:\n{log}");
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn a_disk_that_stays_full_keeps_nobody_from_hearing_of_what_opens() {
    let (provider, control, slack) = (Target::start(), Target::start(), Slack::start());
    let directory = home(&provider, &control, &slack);
    let mut program = on_a_full_disk(directory.path(), &provider);
    // As long as it is no hiccup.
    std::thread::sleep(Duration::from_secs(25));
    assert_eq!(slack.messages().len(), 0, "{:#?}", slack.messages());
    let shown = slack.shows(2);
    let told = headlines(&shown);
    assert!(told.iter().any(|one| one.starts_with("It's them: Firebase is down")), "{told:#?}");
    assert!(told.iter().any(|one| one.starts_with("It's our own store: nothing has been written")), "{told:#?}");
    // What ends waits for the store, so that it is told once.
    provider.broken.store(false, SeqCst);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(slack.messages().len(), 2, "{:#?}", slack.messages());
    limit_files(&program, "unlimited");
    program.logs("the store takes everything again");
    let shown = slack.shows(4);
    std::thread::sleep(Duration::from_millis(1_500));
    let told = headlines(&shown);
    assert_eq!(slack.messages().len(), 4, "{:#?}", slack.messages());
    assert!(told[2..].iter().all(|one| one.starts_with("Over: ")), "{told:#?}");
    let log = kill(program);
    // Whoever comes next knows what was told.
    let program = Program::start(directory.path());
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(slack.messages().len(), 4, "{:#?}\n{log}", slack.messages());
    kill(program);
}

/// A program whose disk is full since it has seen something, and whose provider fails since then.
fn on_a_full_disk(directory: &Path, provider: &Target) -> Program {
    let mut command = usoryou_unharmed_by_limits(directory);
    command.args(["run", "--listen", "127.0.0.1:0"]);
    let mut program = Program::start_by(command);
    eventually(
        "first facts",
        || {
            if provider.asked.load(SeqCst) > 3 { Ok(()) } else { Err("nothing asked".to_owned()) }
        },
    );
    limit_files(&program, "1");
    provider.broken.store(true, SeqCst);
    program.logs("going on in memory");
    program
}

/// Lets files of a process grow to so many bytes and no further: what a full disk looks like to it.
fn limit_files(program: &Program, bytes: &str) {
    let limit = format!("--fsize={bytes}:unlimited");
    let pid = program.id().to_string();
    assert!(std::process::Command::new("prlimit").args(["--pid", &pid, &limit]).status().unwrap().success());
}

#[test]
fn stores_that_cannot_be_used_are_one_sentence() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("garbage.db"), "this is not a database, it only says so".repeat(200)).unwrap();
    std::fs::write(directory.path().join("probes.yaml"), "parties: { a: { kind: us } }\nprobes: [ { name: a, party: a, check: { tcp: { address: \"127.0.0.1:9\" } } } ]\n").unwrap();
    let said = |store: &str| refusal(directory.path(), store);
    assert_eq!(
        said("sqlite:garbage.db"),
        "cannot read the store at garbage.db: it is damaged or not a SQLite database; move it away and start again, or restore a copy"
    );
    assert_eq!(said("sqlite:no/such/dir.db"), "cannot open the store at no/such/dir.db: the directory does not exist");
    assert_eq!(said("sqlite:."), "cannot open the store at .: it is a directory");
    assert_eq!(
        said("postgres://u:hunter2@db/x?sslmode=perhaps"),
        "cannot use the store `postgres://…`: unknown value \"perhaps\" for `ssl_mode`"
    );
}

fn refusal(directory: &Path, store: &str) -> String {
    let output = usoryou(directory).args(["run", "--listen", "127.0.0.1:0", "--store", store]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    said.trim().trim_start_matches("usoryou: ").trim_start_matches("error: ").to_owned()
}

/// Runs `usoryou silence` against a program under way: exit code, stdout, stderr.
fn silence(program: &Program, directory: &Path, arguments: &[&str]) -> (i32, String, String) {
    let hub = format!("http://{}", program.address);
    let output = usoryou(directory).arg("silence").args(arguments).args(["--hub", &hub]).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn what_a_person_silenced_is_a_note_and_is_told_when_it_outlasts_that() {
    let (provider, control, slack) = (Target::start(), Target::start(), Slack::start());
    let directory = home(&provider, &control, &slack);
    let program = Program::start(directory.path());
    let run = |arguments: &[&str]| silence(&program, directory.path(), arguments);
    let wish = ["add", "firebase", "--for", "1h", "--why", "they know", "--by", "anna"];
    let (code, said, _) = run(&wish);
    assert_eq!(code, 0);
    assert!(said.starts_with("s-1  firebase, until 20") && said.ends_with(" UTC, by anna: they know\n"), "{said}");
    provider.broken.store(true, SeqCst);
    let open = eventually("the incident", || {
        let (_, page) = program.get("/api/v1/incidents?state=open");
        let open: serde_json::Value = serde_json::from_str(&page).unwrap();
        if open[0]["note"].is_string() { Ok(open) } else { Err(page) }
    });
    assert!(open[0]["note"].as_str().unwrap().starts_with("nobody was told: silenced by anna until "), "{open}");
    // Evidence may have come so fast that there was no moment of suspicion.
    let last = open[0]["history"].as_array().and_then(|history| history.last()).unwrap();
    assert_eq!((&open[0]["severity"], &last["transition"]), (&"critical".into(), &"opened".into()));
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(slack.messages().len(), 0);
    assert!(program.get("/api/v1/status").1.contains("\"why\":\"they know\""));
    assert_eq!(run(&["list"]).1, said);
    assert_eq!(run(&["remove", "s-1"]).0, 0);
    let told = slack.shows(1)[0].clone();
    assert!(told.text.contains("\nNote: not told before: silenced by anna until "), "{told:#?}");
    assert_eq!(run(&["list"]).1, "nothing is silenced\n");
    let (code, said, _) = run(&["add", "FireBase", "--for", "1h", "--why", "x", "--by", "x", "--region", "local"]);
    assert!(code == 0 && said.contains("  firebase, only from local, until "), "{said}");
    let mistakes: [(&[&str], &str); 7] = [
        (&["remove", "s-1"], "usoryou: there is no such silence, or it is over\n"),
        (&["remove", "../x"], "usoryou: a silence has an id such as s-1; `usoryou silence list` shows them\n"),
        (
            &["add", "fire", "--for", "1h", "--why", "x", "--by", "x"],
            "usoryou: there is no party named `fire`; known here: firebase, internet\n",
        ),
        (
            &["add", "firebase/x", "--for", "1h", "--why", "x", "--by", "x"],
            "usoryou: `firebase` has no product named `x`; it has none\n",
        ),
        (
            &["add", "usoryou/mars", "--for", "1h", "--why", "x", "--by", "x"],
            "usoryou: `usoryou` has no product named `mars`; known here: local, store\n",
        ),
        (
            &["add", "firebase", "--for", "1h", "--why", "x", "--by", "x", "--region", "mars"],
            "usoryou: nothing was ever seen from a region named `mars`; known here: local\n",
        ),
        (
            &["add", "firebase", "--for", "91d", "--why", "x", "--by", "x"],
            "usoryou: a silence lasts longer than nothing, and at most 90d\n",
        ),
    ];
    for (arguments, expected) in mistakes {
        let (code, _, said) = run(arguments);
        assert_eq!((code, &*said), (2, expected), "{arguments:?}");
    }
    kill(program);
    let nobody = usoryou(directory.path()).args(["silence", "list", "--hub", "http://127.0.0.1:1"]).output().unwrap();
    assert_eq!(nobody.status.code(), Some(3), "{nobody:?}");
}
