//! The `scenario` and `oauth2` checks against an API and a token endpoint that do well, badly and worse.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU16, Ordering::Relaxed},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::Instant,
};
use usoryou::{
    model::{Kind, Phase, StepCame},
    net::Net,
    protocol::Check,
};

use crate::support::{
    api::{self, Answer, Api, Asked},
    fake::{Fake, closed_port, request, silence},
    looking::{Looked, TIMEOUT, check, look, net, turn},
};

fn steps(looked: &Looked) -> Vec<(&str, StepCame)> {
    looked.facts.steps.iter().map(|step| (&*step.name, step.came)).collect()
}

/// A device that is on from the third look at its state.
fn device(asked: &Asked, number: usize) -> Answer {
    match (&*asked.method, &*asked.path) {
        ("POST", "/session") => api::json(201, r#"{"session":{"id":"s/1"}}"#),
        ("POST", "/devices/s%2F1/commands") => {
            Some((202, "Location: /jobs/77\r\nX-Trace: a=1; job=77\r\n".to_owned(), "queued as job 77".to_owned()))
        }
        ("GET", "/jobs/77") if number >= 4 => api::json(200, r#"{"state":"on"}"#),
        ("GET", "/jobs/77") => api::json(200, r#"{"state":"off"}"#),
        ("DELETE", "/session") => api::json(204, ""),
        _ => api::json(404, "{}"),
    }
}

fn light_on(api: &Api) -> Value {
    json!({"scenario": {"steps": [
        {"name": "open", "http": {"url": api.url("/session"), "method": "POST"}, "save": {"session": "$.session.id"}},
        {"name": "command",
         "http": {"url": api.url("/devices/${session}/commands"), "method": "POST", "headers": {"X-Session": "${session}"},
                  "body": "{\"session\":\"${session}\",\"light\":\"on\"}"},
         "save": {"job": {"header": "X-Trace", "regex": "job=(\\d+)"}, "also": {"regex": "job (\\d+)"}}},
        {"name": "poll", "http": {"url": api.url("/jobs/${job}"), "headers": {"X-Also": "${also}"}},
         "wait_until": {"expect": {"json": [{"path": "$.state", "equals": "on"}]}, "every": "60ms", "since": "command"}},
        {"name": "close", "http": {"url": api.url("/session"), "method": "DELETE"}},
    ]}})
}

#[tokio::test]
async fn a_command_and_its_effect() {
    let api = Api::start(device).await;
    let looked = look(&net(&[]), light_on(&api)).await;
    assert_eq!(looked.words(), "up", "{}", looked.detail());
    assert_eq!(api.paths(), ["/session", "/devices/s%2F1/commands", "/jobs/77", "/jobs/77", "/jobs/77", "/session"]);
    let asked = api.asked();
    assert_eq!(asked[1].body, r#"{"session":"s/1","light":"on"}"#);
    assert_eq!((asked[1].header("x-session"), asked[2].header("x-also")), ("s/1", "77"));
    assert!(asked[2].header("user-agent").starts_with("usoryou/"));
    // Polling stays on one connection; every other step opens its own.
    let connections: Vec<usize> = asked.iter().map(|one| one.connection).collect();
    assert_eq!(connections, [0, 1, 2, 2, 2, 3]);
    // The figure: from the command to the third look, two waits later, with nothing inside counted twice.
    let figure = looked.phases.get(Phase::Exchange).unwrap();
    assert!(figure >= Duration::from_millis(120) && figure < Duration::from_millis(300), "{figure:?}");
    assert_eq!(steps(&looked).iter().map(|(_, came)| *came).collect::<Vec<_>>(), [StepCame::Up; 4]);
    assert_eq!(looked.facts.connection, usoryou::model::Connection::Cold);
    assert!(looked.facts.steps[2].seconds.unwrap() >= 0.12);
}

#[tokio::test]
async fn what_comes_after_a_failure_is_blocked() {
    let api = Api::start(|asked, number| match &*asked.path {
        "/devices/s%2F1/commands" => api::json(503, "{}"),
        _ => device(asked, number),
    })
    .await;
    let looked = look(&net(&[]), light_on(&api)).await;
    assert_eq!(looked.words(), "down first_byte status_unexpected");
    assert_eq!(looked.detail(), "step \"command\": got 503, expected 2xx");
    assert_eq!(
        steps(&looked),
        [
            ("open", StepCame::Up),
            ("command", StepCame::Down),
            ("poll", StepCame::Blocked),
            ("close", StepCame::Blocked)
        ]
    );
    assert_eq!(looked.phases.get(Phase::Exchange), None);
    assert_eq!(api.asked().len(), 2);
}

#[tokio::test]
async fn an_effect_that_does_not_come_is_not_delivered() {
    let api = Api::start(|_, _| api::json(200, r#"{"state":"off","id":1}"#)).await;
    let wait = |within: Option<&str>| {
        let mut wait = json!({"expect": {"json": [{"path": "$.state", "equals": "on"}]}, "every": "50ms"});
        if let Some(within) = within {
            wait["within"] = within.into();
        }
        json!({"scenario": {"steps": [
            {"name": "command", "http": {"url": api.url("/"), "method": "PUT"}},
            {"name": "poll", "http": {"url": api.url("/state")}, "wait_until": wait},
        ]}})
    };
    let looked = look(&net(&[]), wait(Some("150ms"))).await;
    assert_eq!(looked.words(), "down exchange not_delivered");
    assert!(
        looked.detail().starts_with("step \"poll\": `$.state` is \"off\", expected \"on\" within 150ms (3 "),
        "{}",
        looked.detail()
    );
    // Without an end of its own it has the time of the probe, less what the last wait would pass.
    let looked = look(&net(&[]), wait(None)).await;
    assert_eq!(looked.words(), "down exchange not_delivered");
}

#[tokio::test]
async fn silent_in_the_middle() {
    // Silent at once, and after it has answered a few times.
    for (from, expected) in [(1, "no answer within 400ms"), (3, "no answer within 400ms")] {
        let api =
            Api::start(move |_, number| (number < from).then(|| api::json(200, r#"{"state":"off"}"#)).flatten()).await;
        let file = json!({"scenario": {"steps": [
            {"name": "command", "http": {"url": api.url("/"), "method": "PUT"}},
            {"name": "poll", "http": {"url": api.url("/state")},
             "wait_until": {"expect": {"json": [{"path": "$.state", "equals": "on"}]}, "every": "50ms"}},
            {"name": "after", "http": {"url": api.url("/after")}},
        ]}});
        let looked = look(&net(&[]), file).await;
        assert_eq!(looked.words(), "down first_byte timed_out");
        assert_eq!(looked.detail(), format!("step \"poll\": {expected}"));
        assert_eq!(steps(&looked)[1..], [("poll", StepCame::Down), ("after", StepCame::Blocked)]);
    }
}

#[tokio::test]
async fn answers_that_lie() {
    // What is saved is put where it belongs and nowhere else, or nowhere at all.
    let sly = Api::start(|asked, _| match &*asked.path {
        "/first" => api::json(
            200,
            r#"{"id":"../../admin?x=1#\r\nX-Evil: 1","long":"LONG"}"#.replace("LONG", &"x".repeat(9000)).as_str(),
        ),
        _ => api::json(200, "{}"),
    })
    .await;
    let file = |second: Value, save: Value| {
        json!({"scenario": {"steps": [
            {"name": "first", "http": {"url": sly.url("/first")}, "save": save},
            {"name": "second", "http": second},
        ]}})
    };
    let id = json!({"id": "$.id"});
    let looked = look(&net(&[]), file(json!({"url": sly.url("/d/${id}/x")}), id.clone())).await;
    assert_eq!(looked.words(), "up");
    assert_eq!(sly.paths()[1], "/d/..%2F..%2Fadmin%3Fx%3D1%23%0D%0AX-Evil%3A%201/x");
    let looked = look(&net(&[]), file(json!({"url": sly.url("/"), "headers": {"X": "${id}"}}), id)).await;
    assert_eq!(looked.words(), "down request body_unexpected");
    assert_eq!(looked.detail(), "step \"second\": what was saved does not fit into the request");
    for (save, expected) in [
        (json!({"id": "$.gone"}), "step \"first\": there is nothing at `$.gone` to save as `id`"),
        (json!({"id": "$.long"}), "step \"first\": what is at `$.long` is too long to save as `id`"),
    ] {
        let looked = look(&net(&[]), file(json!({"url": sly.url("/")}), save)).await;
        assert_eq!((looked.words().as_str(), looked.detail()), ("down transfer body_unexpected", expected));
    }
    // A body without end takes no more than the limit.
    let endless = Fake::tcp(|mut stream| async move {
        use tokio::io::AsyncWriteExt as _;
        crate::support::fake::request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while stream.write_all(&[b'{'; 4096]).await.is_ok() {}
    })
    .await;
    let file =
        json!({"scenario": {"steps": [{"name": "one", "http": {"url": endless.url("/")}, "save": {"a": "$.a"}}]}});
    assert_eq!(look(&net(&[]), file).await.words(), "down transfer body_too_large");
}

/// A token endpoint of which a test says what it answers, and an API that takes only its tokens.
struct Partner {
    tokens: Api,
    api: Api,
    status: Arc<AtomicU16>,
    revoked: Arc<AtomicBool>,
}

impl Partner {
    /// Tokens last so many seconds; refresh tokens are replaced with each use.
    async fn start(lasts: u32) -> Self {
        let (status, revoked) = (Arc::new(AtomicU16::new(200)), Arc::new(AtomicBool::new(false)));
        let (said, gone) = (Arc::clone(&status), Arc::clone(&revoked));
        let refresh = Arc::new(std::sync::Mutex::new("first".to_owned()));
        let tokens = Api::start(move |asked, number| match said.load(Relaxed) {
            200 if asked.body.contains("grant_type=refresh_token") => {
                let mut present = refresh.lock().unwrap();
                if !asked.body.contains(&format!("refresh_token={present}&")) {
                    return api::json(400, r#"{"error":"invalid_grant"}"#);
                }
                *present = format!("next{number}");
                api::json(
                    200,
                    &format!(r#"{{"access_token":"token-{number}","expires_in":{lasts},"refresh_token":"{present}"}}"#),
                )
            }
            200 => api::json(
                200,
                &format!(r#"{{"access_token":"token-{number}","token_type":"Bearer","expires_in":{lasts}}}"#),
            ),
            400 => api::json(400, r#"{"error":"invalid_client","error_description":"s3cret"}"#),
            0 => None,
            other => api::json(other, "{}"),
        })
        .await;
        let api = Api::start(move |asked, _| {
            let right = asked.header("authorization").starts_with("Bearer token-") && !gone.load(Relaxed);
            api::json(if right { 200 } else { 401 }, "{}")
        })
        .await;
        Self { tokens, api, status, revoked }
    }

    fn grant(&self) -> Value {
        json!({"client_credentials": {
            "token_url": self.tokens.url("/token"), "client_id": "me", "client_secret": "s3cret", "scope": "devices"
        }})
    }

    fn scenario(&self, grant: &Value, path: &str) -> Value {
        json!({"scenario": {"oauth2": grant, "steps": [{"name": "list", "http": {"url": self.api.url(path)}}]}})
    }
}

async fn again(net: &Arc<Net>, check: &Arc<dyn Check>) -> Looked {
    turn(net, &**check, 0).await
}

#[tokio::test]
async fn one_token_serves_all_who_say_the_same() {
    let partner = Partner::start(3600).await;
    let net = net(&[]);
    let checks: Vec<_> = (0..5).map(|n| check(&net, partner.scenario(&partner.grant(), &format!("/{n}")))).collect();
    let looks: Vec<Looked> = futures_util::future::join_all(checks.iter().map(|check| again(&net, check))).await;
    assert!(looks.iter().all(|looked| looked.words() == "up"), "{:?}", looks[0]);
    let asked = partner.tokens.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(asked[0].body, "grant_type=client_credentials&scope=devices");
    assert_eq!(asked[0].header("authorization"), "Basic bWU6czNjcmV0");
    assert_eq!(partner.api.asked()[0].header("authorization"), "Bearer token-0");
    // The endpoint itself is asked anew each time it is looked at, and all have what it gave.
    let own = check(&net, json!({"oauth2": partner.grant()}));
    let looked = again(&net, &own).await;
    assert_eq!(looked.words(), "up");
    assert!(looked.phases.get(Phase::FirstByte).is_some() && looked.facts.http_status == Some(200));
    again(&net, &checks[0]).await;
    assert_eq!(partner.api.asked().last().unwrap().header("authorization"), "Bearer token-1");
    // Another vantage point has tokens of its own, another credential too.
    let other = check(
        &net,
        partner.scenario(
            &json!({"client_credentials": {
                "token_url": partner.tokens.url("/token"), "client_id": "me", "client_secret": "another"
            }}),
            "/",
        ),
    );
    assert_eq!(again(&net, &other).await.words(), "up");
    assert_eq!(partner.tokens.asked().len(), 3);
}

#[tokio::test]
async fn an_endpoint_that_is_down_is_one_fault() {
    for (status, words) in [
        (503, "down first_byte status_unexpected"),
        (0, "down first_byte timed_out"),
        (400, "down first_byte unauthorized"),
        (401, "down first_byte unauthorized"),
        (429, "down first_byte rate_limited"),
    ] {
        let partner = Partner::start(3600).await;
        partner.status.store(status, Relaxed);
        let net = net(&[]);
        let own = check(&net, json!({"oauth2": partner.grant()}));
        (own.is_needed().unwrap().watched_by)("partner-token");
        let looked = again(&net, &own).await;
        assert_eq!(looked.words(), words, "{}", looked.detail());
        assert!(!looked.detail().contains("s3cret"), "{}", looked.detail());
        if status == 400 {
            assert_eq!(
                looked.detail(),
                "got 400 invalid_client: they do not know our client id, or its secret is wrong"
            );
        }
        let began = Instant::now();
        for path in ["/1", "/2", "/3"] {
            let looked = again(&net, &check(&net, partner.scenario(&partner.grant(), path))).await;
            assert_eq!(looked.words(), "inconclusive request blocked");
            assert!(
                looked.detail().starts_with("no token: probe partner-token fails at first_byte: "),
                "{}",
                looked.detail()
            );
            assert_eq!(steps(&looked), [("list", StepCame::Blocked)]);
        }
        // Nobody waits for what has just failed, and nobody asks again at once.
        assert!(began.elapsed() < TIMEOUT, "{:?}", began.elapsed());
        assert_eq!((partner.tokens.asked().len(), partner.api.asked().len()), (1, 0));
    }
    let net = net(&[]);
    let grant = json!({"client_credentials": {"token_url": format!("http://127.0.0.1:{}/", closed_port().await),
        "client_id": "me", "client_secret": "s3cret"}});
    assert_eq!(look(&net, json!({"oauth2": grant})).await.words(), "down connect refused");
}

#[tokio::test]
async fn the_old_token_serves_to_its_end() {
    let partner = Partner::start(2).await;
    let net = net(&[]);
    let one = check(&net, partner.scenario(&partner.grant(), "/"));
    assert_eq!(again(&net, &one).await.words(), "up");
    partner.status.store(503, Relaxed);
    // Past four fifths of its life it is to be renewed; that fails, and nobody notices until the end.
    tokio::time::sleep(Duration::from_millis(1750)).await;
    assert_eq!(again(&net, &one).await.words(), "up");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(again(&net, &one).await.words(), "inconclusive request blocked");
}

#[tokio::test]
async fn a_token_is_renewed_early_beside_those_who_use_it() {
    let partner = Partner::start(7).await;
    let net = net(&[]);
    let one = check(&net, partner.scenario(&partner.grant(), "/"));
    again(&net, &one).await;
    tokio::time::sleep(Duration::from_millis(6100)).await;
    again(&net, &one).await;
    tokio::time::sleep(Duration::from_millis(150)).await;
    again(&net, &one).await;
    let used: Vec<String> = partner.api.asked().iter().map(|one| one.header("authorization").to_owned()).collect();
    assert_eq!(used, ["Bearer token-0", "Bearer token-0", "Bearer token-1"]);
}

#[tokio::test]
async fn a_good_token_that_is_refused_is_our_credential() {
    let partner = Partner::start(3600).await;
    partner.revoked.store(true, Relaxed);
    let looked = look(&net(&[]), partner.scenario(&partner.grant(), "/")).await;
    assert_eq!(looked.failure.as_ref().unwrap().kind, Kind::Unauthorized);
    assert_eq!(looked.detail(), "step \"list\": got 401, expected 2xx");
}

#[tokio::test]
async fn a_token_goes_only_where_the_file_says() {
    let partner = Partner::start(3600).await;
    let elsewhere = Api::start(|_, _| api::json(200, "{}")).await;
    let away = elsewhere.url("/away");
    let own = Api::start(move |_, _| api::json(200, &json!({"next": away}).to_string())).await;
    let file = json!({"scenario": {"oauth2": partner.grant(), "steps": [
        {"name": "first", "http": {"url": own.url("/")}, "save": {"next": "$.next"}},
        {"name": "second", "http": {"url": "${next}"}},
        {"name": "third", "http": {"url": own.url("/"), "headers": {"Authorization": "Basic own"}}},
    ]}});
    assert_eq!(look(&net(&[]), file).await.words(), "up");
    assert_eq!(own.asked()[0].header("authorization"), "Bearer token-0");
    assert_eq!(elsewhere.asked()[0].header("authorization"), "");
    assert_eq!(own.asked()[1].header("authorization"), "Basic own");
}

fn kept_in(folder: &std::path::Path) -> Arc<Net> {
    let net = net(&[]);
    net.kept.stay_in(folder.to_owned());
    net
}

#[tokio::test]
async fn a_refresh_token_that_is_replaced_outlives_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let partner = Partner::start(3600).await;
    let grant = json!({"refresh_token": {"token_url": partner.tokens.url("/token"), "client_id": "me",
        "refresh_token": "first", "client_auth": "body"}});
    // Each network stands for a process of its own.
    for round in 0..3 {
        let net = kept_in(folder.path());
        let own = check(&net, json!({"oauth2": grant}));
        for look in 0..2 {
            let looked = again(&net, &own).await;
            assert_eq!(looked.words(), "up", "process {round}, look {look}: {}", looked.detail());
        }
        assert_eq!(again(&net, &check(&net, partner.scenario(&grant, "/"))).await.words(), "up");
    }
    assert_eq!(partner.tokens.asked().len(), 6);
    // A process that only needs a token uses what another one left, and refreshes nothing.
    let net = kept_in(folder.path());
    assert_eq!(again(&net, &check(&net, partner.scenario(&grant, "/"))).await.words(), "up");
    assert_eq!(partner.tokens.asked().len(), 6);
    // Two at once take turns.
    let nets = [kept_in(folder.path()), kept_in(folder.path())];
    let own = nets.each_ref().map(|net| check(net, json!({"oauth2": grant})));
    let (one, two) = tokio::join!(again(&nets[0], &own[0]), again(&nets[1], &own[1]));
    assert_eq!((one.words().as_str(), two.words().as_str()), ("up", "up"), "{}{}", one.detail(), two.detail());
    let names: Vec<String> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names.len(), 2, "the file and its lock: {names:?}");
}

#[tokio::test]
async fn a_look_that_is_cut_off_does_not_lose_the_refresh_token() {
    let folder = tempfile::tempdir().unwrap();
    let partner = Partner::start(3600).await;
    let grant = json!({"refresh_token": {"token_url": partner.tokens.url("/token"), "client_id": "me",
        "refresh_token": "first", "client_auth": "body"}});
    let net = kept_in(folder.path());
    let own = check(&net, json!({"oauth2": grant}));
    for _ in 0..20 {
        let mut attempt =
            usoryou::protocol::Attempt::begin(Arc::clone(&net), crate::support::looking::here(), 0, TIMEOUT);
        let asked = partner.tokens.asked().len();
        // Whoever waits goes away as soon as the request has arrived.
        tokio::select! {
            _ = own.look(&mut attempt) => {}
            () = async { while partner.tokens.asked().len() == asked { tokio::task::yield_now().await } } => {}
        }
    }
    assert_eq!(again(&net, &own).await.words(), "up");
}

/// An answer that comes when nobody waits for it any more holds the one refresh token that is still good.
#[tokio::test]
async fn a_refresh_token_in_a_late_answer_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (go, wait) = tokio::sync::watch::channel(false);
    let heard: Arc<std::sync::Mutex<Vec<String>>> = Arc::default();
    let told = Arc::clone(&heard);
    let endpoint = Fake::tcp(move |mut stream| {
        let (mut wait, told) = (wait.clone(), Arc::clone(&told));
        async move {
            let Some(head) = request(&mut stream).await else { return };
            let length =
                head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            let mut body = vec![0; length.unwrap_or(0)];
            stream.read_exact(&mut body).await.unwrap();
            told.lock().unwrap().push(String::from_utf8(body).unwrap());
            wait.wait_for(|go| *go).await.unwrap();
            let granted = r#"{"access_token":"late","expires_in":3600,"refresh_token":"second"}"#;
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{granted}", granted.len());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    })
    .await;
    let grant = json!({"refresh_token": {"token_url": endpoint.url("/token"), "client_id": "me",
        "refresh_token": "first", "client_auth": "body"}});
    let net = kept_in(folder.path());
    let own = check(&net, json!({"oauth2": grant}));
    let looked = again(&net, &own).await;
    assert_eq!(looked.words(), "down first_byte timed_out", "{}", looked.detail());
    assert!(looked.facts.peer.is_some(), "what was learned is told");
    go.send(true).unwrap();
    let kept = || {
        let files = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        files.filter_map(|file| std::fs::read_to_string(file).ok()).any(|text| text.contains("second"))
    };
    while !kept() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Another process goes on with it.
    let next = kept_in(folder.path());
    assert_eq!(again(&next, &check(&next, json!({"oauth2": grant}))).await.words(), "up");
    let heard = heard.lock().unwrap();
    let presented: Vec<bool> = heard.iter().map(|body| body.contains("refresh_token=second")).collect();
    assert_eq!(presented, [false, true], "{heard:?}");
}

#[tokio::test]
async fn a_refresh_token_that_cannot_be_kept_says_so_and_serves_on() {
    let partner = Partner::start(3600).await;
    let grant = json!({"refresh_token": {"token_url": partner.tokens.url("/token"), "client_id": "me",
        "refresh_token": "first", "client_auth": "body", "state_file": "/nowhere/state.json"}});
    let net = net(&[]);
    let own = check(&net, json!({"oauth2": grant}));
    for _ in 0..2 {
        let looked = again(&net, &own).await;
        assert_eq!(looked.words(), "inconclusive request internal");
        assert!(
            looked.detail().starts_with("cannot keep the refresh token in /nowhere/state.json"),
            "{}",
            looked.detail()
        );
    }
    assert_eq!(again(&net, &check(&net, partner.scenario(&grant, "/"))).await.words(), "up");
    let silent = Fake::tcp(silence).await;
    let grant = json!({"refresh_token": {"token_url": silent.url("/"), "client_id": "me", "refresh_token": "first"}});
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(look(&kept_in(folder.path()), json!({"oauth2": grant})).await.words(), "down first_byte timed_out");
}
