//! Every channel over real sockets: what arrives, how often, and what becomes of it when the other side misbehaves.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use serde_json::{Value, json};
use usoryou::{
    config::Plan,
    model::{Letter, LetterKind},
    notify::Hears,
};

use crate::{
    support::{
        hub::{Hurried, world},
        peer,
        peers::{self, Started, free_port},
        program::{Program, eventually, usoryou, write},
        receiver::{Answer, Receiver},
        slack::{Say, Slack},
        slack_api::{Instead, SlackApi},
    },
    telling::{Target, kill},
};

/// The usual world with other channels; everything goes to the first by name, with the others to fall back on.
fn told_by(channels: &Value) -> Plan {
    let mut plan = world("http://127.0.0.1:9/");
    plan.alerts.channels = serde_json::from_value(channels.clone()).unwrap();
    let mut names = plan.alerts.channels.keys().cloned();
    let mut hears = Hears::all(names.next().unwrap());
    hears.fallbacks = names.collect();
    plan.alerts.routes = vec![hears];
    plan
}

fn bot(slack: &SlackApi) -> Value {
    json!({"slack": {"bot_token": SlackApi::TOKEN, "channel": SlackApi::CHANNEL, "api_url": slack.url}})
}

/// How often channels came to a result.
fn count(hub: &Hurried, result: &str) -> f64 {
    let figures = hub.figures();
    let label = format!("result=\"{result}\"");
    let mut lines = figures.lines().filter(|line| line.starts_with("usoryou_notifications_total"));
    lines.find(|line| line.contains(&label)).map_or(0.0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

fn all_sent(hub: &Hurried) {
    eventually("empty outbox", || match hub.wait(hub.store.unsent()).unwrap().depth {
        0 => Ok(()),
        depth => Err(format!("{depth} letters wait")),
    });
}

#[test]
fn a_bot_says_one_message_and_edits_it() {
    let (slack, directory) = (SlackApi::start(), tempfile::tempdir().unwrap());
    let hub = Hurried::start(directory.path(), told_by(&json!({"support": bot(&slack)})));
    hub.rounds(12, &["rtdb"]);
    slack.shows("message", |slack| slack.messages().len() == 1);
    let opened = slack.messages()[0].clone();
    assert!(opened.text.starts_with("It's them: Firebase rtdb is down from 2 of 2 regions since "), "{opened:#?}");
    assert_eq!(opened.metadata["event_type"], "usoryou_letter");
    hub.rounds(14, &[]);
    slack.shows("end", |slack| slack.messages()[0].text.starts_with("Over: Firebase rtdb is back since "));
    slack.shows("reply", |slack| slack.thread(&opened).len() == 1);
    all_sent(&hub);
    let messages = slack.messages();
    // That it recovers is shown, and that it is over is said as well.
    assert_eq!((messages.len(), messages[0].edits), (1, 2), "{messages:#?}");
    assert!(slack.thread(&opened)[0].text.starts_with("Over: "), "{:#?}", slack.thread(&opened));
    assert_eq!(slack.calls("conversations").len(), 0, "nobody looks without a doubt");
    hub.stop();
}

#[test]
fn a_bot_puts_into_the_thread_what_the_message_has_no_room_for() {
    let (slack, directory) = (SlackApi::start(), tempfile::tempdir().unwrap());
    let hub = Hurried::start(directory.path(), told_by(&json!({"support": bot(&slack)})));
    let letter = |change: &str, kind: LetterKind, edits: bool, lines: usize| Letter {
        key: format!("support/i-1/{change}"),
        channel: "support".into(),
        incident: "i-1".into(),
        kind,
        edits,
        headline: format!("{change}: <!channel> A & B"),
        lines: (0..lines)
            .map(|line| format!("line {line} {}", "x".repeat(if line == 8 { 9_000 } else { 1 })))
            .collect(),
        at: chrono::Utc::now(),
        ..Letter::default()
    };
    let letters = [
        letter("opened", LetterKind::Opened, false, 9),
        letter("edited", LetterKind::Updated, true, 1),
        letter("reminder", LetterKind::Reminder, false, 1),
        // What was said of an incident that nobody here knows cannot be edited.
        Letter {
            incident: "i-2".into(),
            key: "support/i-2/edited".into(),
            ..letter("unknown", LetterKind::Updated, true, 1)
        },
    ];
    hub.wait(hub.store.apply(&[], &[], &letters)).unwrap();
    all_sent(&hub);
    let messages = slack.messages();
    assert_eq!((messages.len(), messages[0].edits), (1, 2), "{messages:#?}");
    assert_eq!(messages[0].text, "reminder: &lt;!channel&gt; A &amp; B\nline 0 x");
    let thread = slack.thread(&messages[0]);
    assert!(thread[0].text.starts_with("Details\nline 6 x\nline 7 x\nline 8 xxx"), "{thread:#?}");
    assert_eq!(thread.iter().map(|reply| reply.broadcast).collect::<Vec<_>>(), [false, true], "{thread:#?}");
    hub.stop();
}

#[test]
fn a_bot_that_gets_bad_answers_says_everything_once() {
    let (slack, directory) = (SlackApi::start(), tempfile::tempdir().unwrap());
    let said = |status, body: &str| Answer::Say(status, String::new(), body.to_owned());
    for instead in [
        Instead::Say(said(500, "server_error")),
        Instead::Say(said(200, "<html>log in</html>")),
        Instead::Say(said(200, "{\"ok\":")),
        Instead::Say(said(200, r#"{"ok":false,"error":"internal_error"}"#)),
        Instead::Say(Answer::Say(429, "Retry-After: 1\r\n".into(), r#"{"ok":false,"error":"ratelimited"}"#.into())),
        Instead::Say(Answer::Reset),
        Instead::Say(Answer::Silence),
        Instead::Say(said(302, "")),
        // Taken, and the answer is lost: only asking tells.
        Instead::DoAnd(Answer::Reset),
    ] {
        slack.script("chat.postMessage", instead);
    }
    slack.script("conversations.history", Instead::Say(said(503, "")));
    slack.script("chat.update", Instead::Say(said(502, "<html>")));
    slack.script("chat.update", Instead::DoAnd(Answer::Silence));
    let hub = Hurried::start(directory.path(), told_by(&json!({"support": bot(&slack)})));
    hub.rounds(12, &["rtdb"]);
    slack.shows("message", |slack| slack.messages().len() == 1);
    all_sent(&hub);
    slack.script("chat.postMessage", Instead::DoAnd(Answer::Endless));
    hub.rounds(14, &[]);
    slack.shows("end", |slack| slack.messages()[0].text.starts_with("Over: "));
    all_sent(&hub);
    assert_eq!(slack.messages().len(), 1, "{:#?}", slack.all());
    assert_eq!(slack.thread(&slack.messages()[0]).len(), 1, "{:#?}", slack.all());
    assert!(!slack.calls("conversations.replies").is_empty());
    hub.stop();
}

#[test]
fn a_message_that_somebody_deleted_is_said_anew() {
    let (slack, directory) = (SlackApi::start(), tempfile::tempdir().unwrap());
    let hub = Hurried::start(directory.path(), told_by(&json!({"support": bot(&slack)})));
    hub.rounds(12, &["rtdb"]);
    slack.shows("message", |slack| slack.messages().len() == 1);
    slack.delete(&slack.messages()[0].ts);
    hub.rounds(14, &[]);
    slack.shows("end", |slack| slack.messages().len() == 1);
    all_sent(&hub);
    assert!(slack.messages()[0].text.starts_with("Over: "), "{:#?}", slack.all());
    assert_eq!(slack.all().len(), 1, "a new message needs no reply");
    hub.stop();
}

#[test]
fn a_bot_whose_token_is_revoked_is_given_up_and_the_next_is_told() {
    let (slack, other, directory) = (SlackApi::start(), Slack::start(), tempfile::tempdir().unwrap());
    slack.always(Some(Answer::json(&json!({"ok": false, "error": "token_revoked"}))));
    let channels = json!({"a": bot(&slack), "b": {"slack": {"webhook_url": other.webhook}}});
    let hub = Hurried::start(directory.path(), told_by(&channels));
    hub.rounds(12, &["rtdb"]);
    let told = other.shows(1)[0].clone();
    assert!(told.headline().starts_with("It's them: Firebase rtdb is down"), "{told:#?}");
    assert!(told.headline().contains("(Slack does not take our messages: this was meant for `a`.)"), "{told:#?}");
    assert_eq!(slack.calls("chat.postMessage").len(), 1, "it is not asked again");
    assert_eq!((count(&hub, "refused"), count(&hub, "failed_over")), (1.0, 1.0));
    hub.stop();
}

#[test]
fn a_channel_out_of_reach_is_told_around_and_hears_late_what_is_still_true() {
    let (first, second, directory) = (Slack::start(), Slack::start(), tempfile::tempdir().unwrap());
    first.otherwise(Say::Status(503, None, ""));
    let channels =
        json!({"a": {"slack": {"webhook_url": first.webhook}}, "b": {"slack": {"webhook_url": second.webhook}}});
    let hub = Hurried::start(directory.path(), told_by(&channels));
    // Open and over while the first is away: it never hears of it.
    hub.rounds(12, &["rtdb"]);
    let told = second.shows(1)[0].clone();
    assert!(told.headline().contains("(Slack could not be reached: this was meant for `a`.)"), "{told:#?}");
    hub.rounds(14, &[]);
    let told = second.shows(2)[1].clone();
    assert!(told.headline().starts_with("Over: "), "{told:#?}");
    // The next is still open when the first is back.
    hub.rounds(40, &["api"]);
    let told = second.shows(3)[2].clone();
    assert!(told.headline().starts_with("It's us: Our API is down"), "{told:#?}");
    first.otherwise(Say::Ok);
    let late = first.shows(1)[0].clone();
    assert!(late.headline().starts_with("It's us: Our API is down"), "{late:#?}");
    assert!(late.text.contains("`b` was told instead in the meantime."), "{late:#?}");
    hub.rounds(14, &[]);
    assert!(first.shows(2)[1].headline().starts_with("Over: Our API"));
    assert!(second.shows(4)[3].headline().starts_with("Over: Our API"));
    all_sent(&hub);
    assert_eq!((first.shown().len(), second.shown().len()), (2, 4), "{:#?}", second.shown());
    hub.stop();
}

/// A directory with a configuration: a provider that can break, a control that does not, and these channels.
fn home(provider: &Target, control: &Target, channels: &Value) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let names: Vec<&String> = channels.as_object().unwrap().keys().collect();
    let probe = |name: &str, party: &str, target: &Target| json!({"name": name, "party": party, "check": {"http": {"url": format!("http://{}/", target.address)}}});
    let file = json!({
        "defaults": {"interval": "200ms", "timeout": "200ms"},
        "parties": {"firebase": {"kind": "provider", "name": "Firebase"}, "internet": {"kind": "control"}},
        "probes": [probe("rtdb", "firebase", provider), probe("control", "internet", control)],
        "alerts": {
            "open_after": 3, "close_after": 3, "channels": channels,
            "routes": names.iter().map(|name| json!({"to": name})).collect::<Vec<_>>(),
        },
    });
    write(directory.path(), "probes.yaml", &file.to_string());
    directory
}

#[test]
fn a_bot_that_is_killed_at_any_point_says_everything_once() {
    let (provider, control, slack) = (Target::start(), Target::start(), SlackApi::start());
    slack.pause(Duration::from_millis(30));
    let directory = home(&provider, &control, &json!({"support": bot(&slack)}));
    let mut log = String::new();
    let mut pauses = (0..).map(|step: u64| Duration::from_millis(100 + step * 197 % 1_300));
    for broken in [true, false] {
        provider.broken.store(broken, SeqCst);
        for _ in 0..6 {
            let program = Program::start(directory.path());
            std::thread::sleep(pauses.next().unwrap());
            log.push_str(&kill(program));
        }
        let program = Program::start(directory.path());
        let beginning = if broken { "It's them" } else { "Over" };
        slack.shows(beginning, |slack| slack.messages().iter().any(|message| message.text.starts_with(beginning)));
        // Long enough for a second one, if there were one: longer than a look, a pause and a second look.
        std::thread::sleep(Duration::from_millis(3_500));
        log.push_str(&kill(program));
        let messages = slack.messages();
        assert_eq!(messages.len(), 1, "{messages:#?}\n{log}");
        assert_eq!(slack.thread(&messages[0]).len(), usize::from(!broken), "{:#?}\n{log}", slack.all());
    }
    assert!(!log.contains("T0SECRET0bot"), "the token is in the log:\n{log}");
}

#[test]
fn killed_while_slack_keeps_the_answer_back_a_bot_asks_what_has_arrived() {
    let (provider, control, slack) = (Target::start(), Target::start(), SlackApi::start());
    // Taken and never answered: a webhook would be told twice.
    slack.script("chat.postMessage", Instead::DoAnd(Answer::Silence));
    provider.broken.store(true, SeqCst);
    let directory = home(&provider, &control, &json!({"support": bot(&slack)}));
    let program = Program::start(directory.path());
    slack.shows("message", |slack| slack.messages().len() == 1);
    std::thread::sleep(Duration::from_millis(600));
    kill(program);
    let mut program = Program::start(directory.path());
    program.logs("asking whether it has arrived");
    program.logs("told Slack");
    assert_eq!(slack.messages().len(), 1, "{:#?}", slack.all());
    assert!(!slack.calls("conversations.history").is_empty());
    // And handed over to one that never took it.
    provider.broken.store(false, SeqCst);
    slack.script("chat.postMessage", Instead::Say(Answer::Silence));
    slack.shows("edit", |slack| slack.messages()[0].text.starts_with("Over: "));
    std::thread::sleep(Duration::from_millis(600));
    kill(program);
    let program = Program::start(directory.path());
    slack.shows("reply", |slack| slack.thread(&slack.messages()[0]).len() == 1);
    assert_eq!(slack.messages().len(), 1, "{:#?}", slack.all());
    kill(program);
}

#[test]
fn a_bot_that_may_not_look_is_as_careful_as_a_webhook() {
    let (provider, control, slack) = (Target::start(), Target::start(), SlackApi::start());
    slack.script("chat.postMessage", Instead::DoAnd(Answer::Silence));
    let no = || Instead::Say(Answer::json(&json!({"ok": false, "error": "missing_scope"})));
    slack.script("conversations.history", no());
    provider.broken.store(true, SeqCst);
    let directory = home(&provider, &control, &json!({"support": bot(&slack)}));
    let program = Program::start(directory.path());
    slack.shows("message", |slack| slack.messages().len() == 1);
    kill(program);
    let mut program = Program::start(directory.path());
    program.logs("cannot ask Slack whether a message has arrived: missing_scope, the bot lacks a scope");
    program.logs("told Slack");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(slack.messages().len(), 1, "{:#?}", slack.all());
    kill(program);
}

const SECRET: &str = "hunter2-hunter2";

#[test]
fn a_webhook_is_signed_so_that_ten_lines_of_python_can_tell() {
    let Some(python) = peer("python3") else { return };
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|_| Answer::status(204));
    let webhook =
        json!({"url": receiver.url("/in/T0SECRET0path"), "hmac_secret": SECRET, "headers": {"X-Team": "ops"}});
    let hub = Hurried::start(directory.path(), told_by(&json!({"ops": {"webhook": webhook}})));
    hub.rounds(12, &["rtdb"]);
    receiver.comes(1);
    hub.rounds(14, &[]);
    let requests = receiver.comes(2);
    all_sent(&hub);
    hub.stop();
    let transitions: Vec<Value> = requests.iter().map(|request| request.json()["transition"].clone()).collect();
    assert_eq!(transitions, ["opened", "closed"]);
    let opened = &requests[0];
    assert_eq!((opened.method.as_str(), opened.path.as_str()), ("POST", "/in/T0SECRET0path"));
    assert_eq!(opened.headers["x-team"], "ops");
    let body = opened.json();
    assert_eq!(opened.headers["x-usoryou-delivery"], body["delivery"].as_str().unwrap());
    assert_eq!(body["incidents"][0]["verdict"]["cause"], "them");
    assert_eq!(body["incidents"][0]["verdict"]["failure"]["kind"], "timed_out");
    assert_eq!(requests[1].json()["incidents"][0]["state"], "closed");
    let documented = include_str!("../../docs/WEBHOOK.md").split("```python\n").nth(1).unwrap();
    let verifier = documented.split("```").next().unwrap();
    assert!(verifier.lines().filter(|line| !line.is_empty()).count() <= 10);
    let verified = |secret: &str, body: &str| {
        let script =
            format!("{verifier}\nimport sys\nprint(verify(sys.argv[1], sys.argv[2], sys.stdin.buffer.read()))\n");
        let mut child = Command::new(&python)
            .args(["-c", &script, secret, &opened.headers["x-usoryou-signature"]])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(body.as_bytes()).unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap().trim().to_owned()
    };
    assert_eq!(verified(SECRET, &opened.body), "True");
    assert_eq!(verified("another-secret", &opened.body), "False");
    assert_eq!(verified(SECRET, &opened.body.replace("them", "us")), "False");
}

#[test]
fn a_receiver_that_misbehaves_gets_the_same_delivery_until_it_takes_it() {
    let directory = tempfile::tempdir().unwrap();
    let elsewhere = Receiver::start(|_| Answer::status(200));
    let redirect = format!("Location: {}\r\n", elsewhere.url("/"));
    let answers = Mutex::new(
        vec![
            Answer::Silence,
            Answer::Reset,
            Answer::Say(302, redirect, String::new()),
            Answer::Say(200, String::new(), "<html>log in</html>".to_owned()),
            Answer::status(500),
            Answer::Say(429, "Retry-After: 1\r\n".to_owned(), String::new()),
            Answer::status(404),
        ]
        .into_iter(),
    );
    let receiver = Receiver::start(move |_| answers.lock().unwrap().next().unwrap_or(Answer::Endless));
    let webhook = json!({"url": receiver.url("/"), "hmac_secret": SECRET});
    let hub = Hurried::start(directory.path(), told_by(&json!({"ops": {"webhook": webhook}})));
    hub.rounds(12, &["rtdb"]);
    let requests = receiver.comes(8);
    all_sent(&hub);
    let keys: Vec<&String> = requests.iter().map(|request| &request.headers["x-usoryou-delivery"]).collect();
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    assert!(requests[6].at - requests[5].at >= Duration::from_secs(1), "Retry-After is honoured");
    assert_eq!(elsewhere.requests().len(), 0, "a redirect is not followed");
    assert_eq!(receiver.requests().len(), 8, "a body of a gigabyte with status 200 is a yes");
    hub.stop();
}

#[test]
fn pagerduty_is_triggered_once_and_resolved() {
    let directory = tempfile::tempdir().unwrap();
    let asked = AtomicUsize::new(0);
    let receiver = Receiver::start(move |_| match asked.fetch_add(1, SeqCst) {
        0 => Answer::Say(429, String::new(), String::new()),
        1 => Answer::status(503),
        2 => Answer::Say(200, String::new(), "{\"status\":\"not PagerDuty\"}".to_owned()),
        _ => Answer::Say(202, String::new(), "{\"status\":\"success\"}".to_owned()),
    });
    let key = "0123456789abcdef0123456789abcdef";
    let channel = json!({"pagerduty": {"routing_key": key, "api_url": receiver.url("")}});
    let hub = Hurried::start(directory.path(), told_by(&json!({"ops": channel})));
    hub.rounds(14, &["rtdb"]);
    receiver.comes(4);
    hub.rounds(14, &[]);
    let requests = receiver.comes(5);
    all_sent(&hub);
    assert!(requests.iter().all(|request| request.path == "/v2/enqueue"));
    let events: Vec<Value> = requests.iter().map(super::support::receiver::Request::json).collect();
    assert_eq!((&events[3]["event_action"], &events[4]["event_action"]), (&json!("trigger"), &json!("resolve")));
    assert_eq!(events[3]["dedup_key"], events[4]["dedup_key"]);
    assert_eq!(events[3]["payload"]["severity"], "critical");
    assert_eq!((count(&hub, "sent"), count(&hub, "retry"), receiver.requests().len()), (2.0, 3.0, 5));
    hub.stop();
}

#[test]
fn pagerduty_that_refuses_an_event_is_not_asked_again() {
    let directory = tempfile::tempdir().unwrap();
    let key = "0123456789abcdef0123456789abcdef";
    let said = format!("{{\"status\":\"invalid event\",\"errors\":[\"routing_key {key} is unknown\"]}}");
    let receiver = Receiver::start(move |_| Answer::Say(400, String::new(), said.clone()));
    let channel = json!({"pagerduty": {"routing_key": key, "api_url": receiver.url("/")}});
    let hub = Hurried::start(directory.path(), told_by(&json!({"ops": channel})));
    hub.rounds(12, &["rtdb"]);
    receiver.comes(1);
    all_sent(&hub);
    hub.rounds(5, &["rtdb"]);
    assert_eq!((receiver.requests().len(), count(&hub, "refused")), (1, 1.0));
    hub.stop();
}

/// A real Alertmanager that passes everything on at once.
struct Alertmanager {
    port: u16,
    _program: Started,
}

impl Alertmanager {
    fn start(program: &Path, folder: &Path, receiver: &Receiver) -> Self {
        let config = json!({
            "route": {"receiver": "people", "group_by": ["incident"], "group_wait": "200ms", "group_interval": "500ms", "repeat_interval": "1h"},
            "receivers": [{"name": "people", "webhook_configs": [{"url": receiver.url("/"), "send_resolved": true}]}],
        });
        let config = write(folder, "alertmanager.yml", &config.to_string());
        let port = free_port();
        let mut started = Started::new(
            Command::new(program)
                .arg(format!("--config.file={}", config.display()))
                .arg(format!("--storage.path={}", folder.join("am").display()))
                .arg(format!("--web.listen-address=127.0.0.1:{port}"))
                .arg("--cluster.listen-address="),
            folder,
        );
        let address = ([127, 0, 0, 1], port).into();
        started.wait_for("Alertmanager", || peers::get(address, "/-/ready").filter(|answer| answer.status == 200));
        Self { port, _program: started }
    }

    fn alerts(&self) -> Vec<Value> {
        let answer = peers::get(([127, 0, 0, 1], self.port).into(), "/api/v2/alerts").unwrap();
        serde_json::from_slice(&answer.body).unwrap()
    }
}

#[test]
fn a_real_alertmanager_holds_the_alert_and_tells_of_it_once() {
    let Some(program) = peer("prometheus-alertmanager") else { return };
    let directory = tempfile::tempdir().unwrap();
    let people = Receiver::start(|_| Answer::status(200));
    let alertmanager = Alertmanager::start(&program, directory.path(), &people);
    // One member of the cluster is down, and one says no.
    let odd = Receiver::start(|_| Answer::status(500));
    let base = format!("http://127.0.0.1:{}/", alertmanager.port);
    let channel = json!({"alertmanager": {
        "urls": [format!("http://127.0.0.1:{}", free_port()), odd.url(""), base], "labels": {"team": "support"},
    }});
    let hub = Hurried::start(directory.path(), told_by(&json!({"am": channel})));
    hub.rounds(12, &["rtdb"]);
    let fired = people.comes(1)[0].json();
    assert_eq!(fired["status"], "firing");
    let labels = &fired["alerts"][0]["labels"];
    for (name, value) in [
        ("alertname", "UsoryouIncident"),
        ("party", "firebase"),
        ("product", "rtdb"),
        ("cause", "them"),
        ("severity", "critical"),
        ("team", "support"),
    ] {
        assert_eq!(labels[name], value, "{labels:#}");
    }
    let summary = fired["alerts"][0]["annotations"]["summary"].as_str().unwrap();
    assert!(summary.starts_with("It's them: Firebase rtdb is down"), "{summary}");
    let alerts = alertmanager.alerts();
    assert_eq!((alerts.len(), &alerts[0]["labels"]["incident"]), (1, &labels["incident"]));
    let ends = |alert: &Value| alert["endsAt"].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    assert!(ends(&alerts[0]) > chrono::Utc::now() + chrono::Duration::minutes(4), "{alerts:#?}");
    hub.rounds(5, &["rtdb"]);
    // Whoever comes back says again what is open.
    hub.stop();
    let hub = Hurried::start(directory.path(), told_by(&json!({"am": channel})));
    eventually("the alert said again", || {
        let again = alertmanager.alerts();
        if ends(&again[0]) > ends(&alerts[0]) { Ok(()) } else { Err(format!("{again:#?}")) }
    });
    hub.rounds(14, &[]);
    let told = people.comes(2);
    assert_eq!(told[1].json()["status"], "resolved");
    all_sent(&hub);
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(people.requests().len(), 2, "once when it opens and once when it is over");
    assert!(odd.requests().len() >= 3, "every member gets everything");
    assert_eq!(alertmanager.alerts(), Vec::<Value>::new());
    hub.stop();
}

#[test]
fn a_sample_shows_whether_a_channel_works() {
    let (slack, hook) = (SlackApi::start(), Slack::start());
    let well = std::sync::Arc::new(AtomicBool::new(true));
    let works = well.clone();
    let receiver = Receiver::start(move |request| match works.load(SeqCst) {
        true => Answer::Say(202, String::new(), "{\"status\":\"success\"}".to_owned()),
        // Repeats what it was sent, secrets included.
        false => Answer::Say(403, String::new(), format!("no: {} {}", request.path, request.body)),
    });
    let key = "0123456789abcdef0123456789abcdef";
    let channels = json!({
        "bot": bot(&slack), "hook": {"slack": {"webhook_url": hook.webhook}}, "log": {"slack": {"webhook_url": ""}},
        "pd": {"pagerduty": {"routing_key": key, "api_url": receiver.url("/")}},
        "json": {"webhook": {"url": receiver.url("/T0SECRET0path"), "hmac_secret": SECRET}},
        "gone": {"alertmanager": {"url": format!("http://127.0.0.1:{}/", free_port())}},
    });
    let target = Target::start();
    let directory = home(&target, &target, &channels);
    let notify = |arguments: &[&str]| {
        let output = usoryou(directory.path()).arg("notify").args(arguments).output().unwrap();
        let (out, log) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        for secret in [SECRET, "T0SECRET0", key] {
            assert!(!out.contains(secret) && !log.contains(secret), "{out}{log}");
        }
        (output.status.code().unwrap(), out, log)
    };
    let (code, out, _) = notify(&[]);
    assert_eq!(
        (code, &*out),
        (0, "bot   slack\ngone  alertmanager\nhook  slack\njson  webhook\nlog   slack\npd    pagerduty\n")
    );
    let (code, out, _) = notify(&["--test", "bot"]);
    assert!(code == 0 && out.contains("Slack answered: status 200 {\"channel\":") && out.contains("took"), "{out}");
    assert!(slack.messages()[0].text.starts_with("Test, nothing is wrong."), "{:#?}", slack.all());
    assert_eq!(notify(&["--test", "hook"]).0, 0);
    assert!(hook.shown()[0].text.starts_with("Test, nothing is wrong."));
    let (code, out, _) = notify(&["--test", "pd"]);
    assert!(code == 0 && out.ends_with("pd: PagerDuty took the end of the test\n"), "{out}");
    let actions: Vec<Value> =
        receiver.requests().iter().map(|request| request.json()["event_action"].clone()).collect();
    assert_eq!(actions, ["trigger", "resolve"]);
    assert_eq!(notify(&["--test", "json"]).0, 0);
    well.store(false, SeqCst);
    let (code, out, _) = notify(&["--test", "json"]);
    assert!(code == 1 && out.contains("json: the webhook did not take the test message: status 403, no: ***"), "{out}");
    let (code, out, _) = notify(&["--test", "gone"]);
    assert!(code == 1 && out.contains("refused"), "{out}");
    let (code, out, _) = notify(&["--test", "log"]);
    assert!(code == 3 && out.contains("log alone"), "{out}");
    let (code, _, log) = notify(&["--test", "nobody"]);
    assert!(
        code == 2 && log.contains("there is no channel `nobody` (channels: bot, gone, hook, json, log, pd)"),
        "{log}"
    );
}
