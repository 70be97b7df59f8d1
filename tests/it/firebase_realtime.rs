//! The `firebase_realtime` check, against servers that do it right and servers that do not.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use usoryou::{
    model::{Came, Kind, Phase},
    protocol::{Attempt, End},
};

use crate::support::{
    fake::{self, Fake, answers, ok, request, silence},
    looking::{Looked, TIMEOUT, check, here, look, net, turn},
    realtime::{Peer, realtime},
};

fn file(fake: &Fake, more: Value) -> Value {
    let mut file = json!({"url": fake.url("/?ns=probe")});
    file.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"firebase_realtime": file})
}

async fn looked(fake: &Fake, more: Value) -> Looked {
    look(&net(&[]), file(fake, more)).await
}

#[tokio::test]
async fn a_hello_is_a_sign_of_life() {
    let path = Arc::new(Mutex::new(String::new()));
    let note = Arc::clone(&path);
    let fake = realtime(move |peer| {
        note.lock().unwrap().clone_from(&peer.path);
        peer.behave(false)
    })
    .await;
    let looked = looked(&fake, json!({})).await;
    assert_eq!(looked.words(), "up");
    assert_eq!(*path.lock().unwrap(), "/.ws?v=5&ns=probe");
    let phases: Vec<_> = looked.phases.iter().map(|(phase, _)| phase).collect();
    assert_eq!(phases, [Phase::Connect, Phase::Upgrade, Phase::Exchange]);
}

#[tokio::test]
async fn a_message_comes_back_and_is_removed() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&heard);
    let fake = realtime(move |mut peer| {
        let note = Arc::clone(&note);
        async move {
            peer.hello().await;
            while let Some(request) = peer.heard().await {
                note.lock().unwrap().push(request.clone());
                let body = &request["d"]["b"];
                if request["d"]["a"] == "q" {
                    // What was there before is not news.
                    let old = json!({"eu~n": {"usoryou": 1, "region": "eu", "node": "n", "run": 1, "n": 7, "at": 1}});
                    peer.push("usoryou", &old).await;
                }
                if request["d"]["a"] == "p" {
                    let now = chrono::Utc::now().timestamp_micros();
                    let other = json!({"usoryou": 1, "region": "eu", "node": "n", "run": 1, "n": 8, "at": now});
                    peer.push("usoryou/eu~n", &other).await;
                    peer.push(body["p"].as_str().unwrap(), &body["d"]).await;
                }
                peer.reply(&request, "ok").await;
            }
        }
    })
    .await;
    let looked = looked(&fake, json!({"round_trip": "/usoryou", "auth": {"token": "t0ken"}})).await;
    assert_eq!(looked.words(), "up", "{looked:?}");
    let arrivals: Vec<_> = looked.facts.arrivals.iter().map(|one| (&*one.writer_region, one.came)).collect();
    assert_eq!(arrivals, [("eu", Came::InOrder), ("local", Came::InOrder)]);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let heard = heard.lock().unwrap();
    let told: Vec<(&str, &str)> =
        heard.iter().map(|one| (one["d"]["a"].as_str().unwrap(), one["d"]["b"]["p"].as_str().unwrap_or(""))).collect();
    let own = "/usoryou/local~here";
    assert_eq!(told, [("auth", ""), ("q", "/usoryou"), ("o", own), ("p", own), ("p", own)]);
    assert_eq!(heard[0]["d"]["b"]["cred"], "t0ken");
    assert_eq!(heard[3]["d"]["b"]["d"]["taken"], json!({".sv": "timestamp"}));
    assert!(heard[3].to_string().len() < 1000);
    assert_eq!(heard[4]["d"]["b"]["d"], Value::Null);
}

#[tokio::test]
async fn a_server_sends_us_on_to_another() {
    let last = realtime(|peer| async move {
        assert_eq!(peer.path, "/.ws?v=5&ns=probe");
        peer.behave(false).await;
    })
    .await;
    let host = last.address();
    let first = realtime(move |mut peer| {
        let host = host.clone();
        async move {
            peer.control("r", host.into()).await;
            peer.heard().await;
        }
    })
    .await;
    let looked = looked(&first, json!({})).await;
    assert_eq!(looked.words(), "up");
    assert_eq!(looked.facts.peer.unwrap().port(), last.port);
}

/// What a server sends after the hello, and after something was asked, and what that comes to.
#[derive(Clone)]
enum Then {
    Raw(Vec<String>),
    Endless(String),
    Bytes,
    Control(&'static str, Value),
    Refuse(&'static str),
    Nothing,
    Gone,
}

async fn misbehaving(then: Then, more: Value) -> Looked {
    let fake = realtime(move |mut peer| {
        let then = then.clone();
        async move {
            peer.hello().await;
            let request = peer.heard().await.unwrap_or_default();
            match then {
                Then::Raw(frames) => {
                    for frame in frames {
                        peer.raw(frame).await;
                    }
                }
                Then::Endless(frame) => {
                    for _ in 0..2000 {
                        peer.raw(frame.clone()).await;
                    }
                }
                Then::Bytes => peer.bytes(b"\x00\x01").await,
                Then::Control(word, more) => peer.control(word, more).await,
                Then::Refuse(status) => peer.reply(&request, status).await,
                Then::Nothing => {}
                Then::Gone => return,
            }
            while peer.heard().await.is_some() {}
        }
    })
    .await;
    looked(&fake, more).await
}

#[tokio::test]
async fn what_goes_wrong_after_the_hello() {
    let raw = |frames: &[&str]| Then::Raw(frames.iter().map(|frame| (*frame).to_owned()).collect());
    let table = [
        (Then::Nothing, "down exchange timed_out"),
        (Then::Gone, "down exchange closed_early"),
        (Then::Bytes, "down exchange protocol_error"),
        (raw(&["not json"]), "down exchange protocol_error"),
        (raw(&["{}"]), "down exchange protocol_error"),
        (raw(&["{\"t\":\"d\",\"d\":{\"r\":-1}}"]), "down exchange protocol_error"),
        // Too many frames to be true; a number too long to be one of frames; one that is never kept.
        (raw(&["999999"]), "down exchange protocol_error"),
        (raw(&["1000000000"]), "down exchange protocol_error"),
        (raw(&["3", "{", "}"]), "down exchange timed_out"),
        (raw(&["2", "{\"t\":", "x}"]), "down exchange protocol_error"),
        (
            raw(&[
                "12000".to_owned().as_str(),
                &"x".repeat(200_000),
                &"x".repeat(200_000),
                &"x".repeat(200_000),
                &"x".repeat(200_000),
                &"x".repeat(200_000),
                &"x".repeat(200_000),
            ]),
            "down exchange body_too_large",
        ),
        (raw(&[&"x".repeat(300_000)]), "down exchange body_too_large"),
        // Deeper than anybody nests.
        (raw(&[&"[".repeat(100_000)]), "down exchange protocol_error"),
        (Then::Endless("{\"t\":\"d\",\"d\":{\"a\":\"sd\",\"b\":{}}}".to_owned()), "down exchange timed_out"),
        (Then::Control("s", "bye".into()), "down exchange not_serving"),
        (Then::Control("e", "no".into()), "down exchange protocol_error"),
        (Then::Control("r", "other.test".into()), "down exchange closed_early"),
        (Then::Refuse("permission_denied"), "down exchange unauthorized"),
        (Then::Refuse("expired_token"), "down exchange unauthorized"),
        (Then::Refuse("unavailable"), "down exchange not_serving"),
        (Then::Refuse("what is this"), "down exchange status_unexpected"),
    ];
    for (position, (then, wanted)) in table.into_iter().enumerate() {
        let looked = misbehaving(then, json!({"round_trip": "/usoryou"})).await;
        assert_eq!(looked.words(), wanted, "number {position}: {looked:?}");
    }
    let looked = misbehaving(Then::Refuse("invalid_token"), json!({"auth": {"token": "s3cret"}})).await;
    assert_eq!(looked.words(), "down exchange unauthorized");
    assert!(looked.detail().contains("invalid_token") && !looked.detail().contains("s3cret"), "{looked:?}");
    // A stranger who may not listen has met the provider nevertheless.
    let listens = realtime(|mut peer| async move {
        peer.hello().await;
        while let Some(request) = peer.heard().await {
            peer.reply(&request, "permission_denied").await;
        }
    })
    .await;
    let file = json!({"firebase_realtime": {"url": listens.url("/some/path?ns=probe")}});
    assert_eq!(look(&net(&[]), file).await.words(), "up");
}

#[tokio::test]
async fn what_goes_wrong_before_the_hello() {
    let quiet = realtime(|mut peer| async move { while peer.heard().await.is_some() {} }).await;
    assert_eq!(looked(&quiet, json!({})).await.words(), "down exchange timed_out");
    let silent = Fake::tcp(silence).await;
    assert_eq!(looked(&silent, json!({})).await.words(), "down upgrade timed_out");
    let page = Fake::tcp(|stream| async move { answers(stream, &ok("<html>Welcome</html>")).await }).await;
    assert_eq!(looked(&page, json!({})).await.words(), "down upgrade upgrade_refused");
    let shut = realtime(|mut peer| async move { peer.control("s", "maintenance".into()).await }).await;
    assert_eq!(looked(&shut, json!({})).await.words(), "down exchange not_serving");
    let nowhere = realtime(|mut peer| async move {
        peer.control("r", "not a host".into()).await;
        peer.heard().await;
    })
    .await;
    assert_eq!(looked(&nowhere, json!({})).await.words(), "down exchange redirect_limit");
}

#[tokio::test]
async fn a_circle_of_servers_ends() {
    let (told, port) = tokio::sync::watch::channel(0u16);
    let fake = realtime(move |mut peer| {
        let port = *port.borrow();
        async move {
            peer.control("r", format!("127.0.0.1:{port}").into()).await;
            peer.heard().await;
        }
    })
    .await;
    told.send(fake.port).unwrap();
    assert_eq!(looked(&fake, json!({})).await.words(), "down exchange redirect_limit");
}

#[tokio::test]
async fn a_write_that_nobody_is_told_of_is_not_delivered() {
    let fake = realtime(|mut peer| async move {
        peer.hello().await;
        while let Some(request) = peer.heard().await {
            peer.reply(&request, "ok").await;
        }
    })
    .await;
    let looked = looked(&fake, json!({"round_trip": "/usoryou"})).await;
    assert_eq!(looked.words(), "down exchange not_delivered");
}

/// A session and what its opening, a ping and its end come to.
async fn held<W>(
    more: Value,
    serve: impl Fn(Peer) -> W + Send + Sync + 'static,
) -> (Vec<Result<(), (Phase, Kind)>>, Option<End>)
where
    W: Future<Output = ()> + Send + 'static,
{
    let fake = realtime(serve).await;
    let net = net(&[]);
    let check = check(&net, file(&fake, more));
    let hold = check.hold().unwrap();
    let begin = || Attempt::begin(Arc::clone(&net), here(), 0, TIMEOUT);
    let mut session = hold.open(&mut begin()).await.unwrap();
    let mut pings = Vec::new();
    for _ in 0..2 {
        let mut attempt = begin();
        let pinged = match tokio::time::timeout_at(attempt.deadline, session.ping(&mut attempt)).await {
            Ok(pinged) => pinged,
            Err(_) => Err(attempt.timed_out()),
        };
        pings.push(pinged.map_err(|failure| (failure.phase, failure.kind)));
    }
    let end = tokio::time::timeout(TIMEOUT, session.ended()).await.ok();
    if end.is_none() {
        // The caller gives it little time.
        let _ = tokio::time::timeout(TIMEOUT, session.close()).await;
    }
    (pings, end)
}

#[tokio::test]
async fn sessions_are_asked_in_the_words_that_the_server_knows() {
    for pongs in [true, false] {
        let (pings, end) = held(json!({}), move |peer| peer.behave(pongs)).await;
        assert_eq!((pings, end), (vec![Ok(()), Ok(())], None), "control pings: {pongs}");
    }
    let (pings, _) = held(json!({"round_trip": "x"}), |peer| peer.behave(false)).await;
    assert_eq!(pings, [Ok(()), Ok(())]);
    // Gone silent after the hello, so that not even the library answers.
    let (pings, _) = held(json!({}), |mut peer| async move {
        peer.hello().await;
        silence(peer).await;
    })
    .await;
    assert_eq!(pings[0], Err((Phase::Exchange, Kind::TimedOut)));
}

#[tokio::test]
async fn how_sessions_end() {
    let expired = json!({"t": "d", "d": {"a": "ac", "b": {"s": "expired_token", "d": "Auth token is expired"}}});
    let revoked = json!({"t": "d", "d": {"a": "ac", "b": {"s": "permission_denied"}}});
    let closed = json!({"t": "d", "d": {"a": "c", "b": {"p": "usoryou"}}});
    let control = |word: &str| json!({"t": "c", "d": {"t": word, "d": "x"}});
    let table = [
        (expired, Kind::Unauthorized, true),
        (revoked, Kind::Unauthorized, false),
        (closed, Kind::Unauthorized, false),
        (control("s"), Kind::NotServing, false),
        (control("r"), Kind::ClosedEarly, true),
        (json!([]), Kind::ProtocolError, false),
    ];
    for (message, kind, on_purpose) in table {
        let last = message.clone();
        let (pings, end) = held(json!({}), move |mut peer| {
            let last = last.clone();
            async move {
                peer.hello().await;
                for _ in 0..1 {
                    peer.heard().await;
                    peer.control("o", Value::Null).await;
                }
                // The second ping is one of WebSocket, which the library answers while it reads.
                let _ = tokio::time::timeout(Duration::from_millis(100), peer.heard()).await;
                peer.say(last).await;
                while peer.heard().await.is_some() {}
            }
        })
        .await;
        let end = end.unwrap_or_else(|| panic!("no end after {message}: {pings:?}"));
        assert_eq!((end.failure.kind, end.on_purpose), (kind, on_purpose), "{message}: {end:?}");
    }
}

/// Answers over REST as a small database with rules.
async fn rest(stream: tokio::net::TcpStream, stored: Arc<Mutex<String>>) {
    let mut stream = stream;
    while let Some(head) = request(&mut stream).await {
        let length = head.to_ascii_lowercase();
        let length: Option<usize> = length.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        tokio::io::AsyncReadExt::read_exact(&mut stream, &mut body).await.unwrap();
        let (status, answer) = match (head.split(' ').next().unwrap(), head.contains("auth=t0ken")) {
            (_, false) => (401, r#"{"error":"Permission denied"}"#.to_owned()),
            ("PUT", _) => {
                *stored.lock().unwrap() = String::from_utf8(body).unwrap();
                (200, stored.lock().unwrap().clone())
            }
            ("DELETE", _) => {
                *stored.lock().unwrap() = "null".to_owned();
                (204, String::new())
            }
            _ => (200, stored.lock().unwrap().clone()),
        };
        let length = answer.len();
        let whole = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{answer}");
        stream.write_all(whole.as_bytes()).await.unwrap();
    }
}

#[tokio::test]
async fn by_rest() {
    let stored = Arc::new(Mutex::new("null".to_owned()));
    let given = Arc::clone(&stored);
    let fake = Fake::tcp(move |stream| rest(stream, Arc::clone(&given))).await;
    let by = |more: Value| {
        let mut file = json!({"transport": "rest"});
        file.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        file
    };
    assert_eq!(looked(&fake, by(json!({}))).await.words(), "up");
    assert_eq!(looked(&fake, by(json!({"auth": {"token": "t0ken"}}))).await.words(), "up");
    let refused = looked(&fake, by(json!({"auth": {"token": "wr0ng"}}))).await;
    assert_eq!(refused.words(), "down first_byte unauthorized");
    assert_eq!(refused.detail(), "got 401 Permission denied");
    let round = looked(&fake, by(json!({"auth": {"token": "t0ken"}, "round_trip": "/usoryou"}))).await;
    assert_eq!(round.words(), "up", "{round:?}");
    assert_eq!(round.facts.arrivals.len(), 1);
    assert_eq!(*stored.lock().unwrap(), "null");
    let page = Fake::tcp(|stream| async move { answers(stream, &ok("<html>Welcome</html>")).await }).await;
    assert_eq!(looked(&page, by(json!({}))).await.words(), "down transfer body_unexpected");
    let forgets = Fake::tcp(|stream| async move { answers(stream, &ok("null")).await }).await;
    let looked = looked(&forgets, by(json!({"round_trip": "/usoryou"}))).await;
    assert_eq!(looked.words(), "down transfer not_delivered");
}

#[tokio::test]
async fn by_the_start_of_long_polling() {
    let whole = concat!(
        "pLPCommand1('start','4711','pw');\n",
        r#"pRTLPCB1(0,[{"t":"c","d":{"t":"h","d":{"ts":1,"v":"5","h":"s-1.a.test","s":"x"}}}]);"#,
    );
    let table = [
        (whole.to_owned(), "up"),
        (whole[..whole.len() - 20].to_owned(), "down transfer protocol_error"),
        (whole[..20].to_owned(), "down transfer protocol_error"),
        (String::new(), "down transfer protocol_error"),
        ("<html>Welcome</html>".to_owned(), "down transfer body_unexpected"),
        (whole.replace("\"h\",\"d\"", "\"s\",\"d\""), "down transfer not_serving"),
    ];
    for (script, wanted) in table {
        let text = script.clone();
        let fake = Fake::tcp(move |stream| {
            let text = text.clone();
            async move { answers(stream, &ok(&text)).await }
        })
        .await;
        assert_eq!(looked(&fake, json!({"transport": "long_poll"})).await.words(), wanted, "{script}");
    }
    let last = Fake::tcp(move |stream| async move { answers(stream, &ok(whole)).await }).await;
    let moved =
        format!(r#"pLPCommand1("start","1","p");pRTLPCB1(0,[{{"t":"c","d":{{"t":"r","d":"{}"}}}}]);"#, last.address());
    let first = Fake::tcp(move |stream| {
        let moved = moved.clone();
        async move { answers(stream, &ok(&moved)).await }
    })
    .await;
    assert_eq!(looked(&first, json!({"transport": "long_poll"})).await.words(), "up");
    let closed = json!({"firebase_realtime": {"url": format!("http://127.0.0.1:{}/?ns=x", fake::closed_port().await), "transport": "long_poll"}});
    assert_eq!(look(&net(&[]), closed).await.words(), "down connect refused");
}

#[tokio::test]
async fn a_plain_look_is_made_again_with_the_same_ledger() {
    let fake = realtime(|peer| peer.behave(false)).await;
    let net = net(&[]);
    let check = check(&net, file(&fake, json!({"round_trip": "/usoryou"})));
    for _ in 0..3 {
        let looked = turn(&net, &*check, 0).await;
        assert_eq!((looked.words().as_str(), looked.facts.arrivals.len()), ("up", 1), "{looked:?}");
    }
}

/// A stream of these events, after which it stays open, or ends.
async fn streaming(events: &'static str, stays: bool) -> Fake {
    Fake::tcp(move |mut stream| async move {
        let Some(head) = request(&mut stream).await else { return };
        assert!(head.to_ascii_lowercase().contains("accept: text/event-stream"), "{head}");
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
        let _ = stream.write_all(format!("{head}{events}").as_bytes()).await;
        if stays {
            silence(stream).await;
        }
    })
    .await
}

const FIRST: &str = "event: put\ndata: {\"path\":\"/\",\"data\":null}\n\n";

#[tokio::test]
async fn by_server_sent_events() {
    let by = || json!({"transport": "sse"});
    assert_eq!(looked(&streaming(FIRST, true).await, by()).await.words(), "up");
    let table = [
        ("event: keep-alive\ndata: null\n\n", true, "down transfer timed_out"),
        ("event: cancel\ndata: null\n\n", true, "down transfer unauthorized"),
        ("event: put\ndata: nonsense\n\n", true, "down transfer protocol_error"),
        ("", false, "down transfer closed_early"),
    ];
    for (events, stays, wanted) in table {
        assert_eq!(looked(&streaming(events, stays).await, by()).await.words(), wanted, "{events}");
    }
    // The namespace sends us on to its server.
    let last = streaming(FIRST, true).await;
    let there = format!("HTTP/1.1 307 X\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", last.url("/.json?ns=probe"));
    let first = Fake::tcp(move |stream| {
        let there = there.clone();
        async move { answers(stream, there.as_bytes()).await }
    })
    .await;
    assert_eq!(looked(&first, by()).await.words(), "up");
    let refuses = Fake::tcp(|stream| async move {
        let body = r#"{"error":"Permission denied"}"#;
        let whole = format!("HTTP/1.1 401 X\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        answers(stream, whole.as_bytes()).await;
    })
    .await;
    assert_eq!(looked(&refuses, by()).await.words(), "up");
    let own = json!({"transport": "sse", "auth": {"token": "t0ken"}});
    assert_eq!(looked(&refuses, own).await.words(), "down first_byte unauthorized");
    let page = Fake::tcp(|stream| async move { answers(stream, &ok("<html>Welcome</html>")).await }).await;
    assert_eq!(looked(&page, by()).await.words(), "down first_byte body_unexpected");
}

#[tokio::test]
async fn how_streams_end() {
    let table = [
        ("event: auth_revoked\ndata: \"credential is no longer valid\"\n\n", Kind::Unauthorized, true),
        ("event: cancel\ndata: null\n\n", Kind::Unauthorized, false),
        ("event: patch\ndata: {}\n\n", Kind::ProtocolError, false),
    ];
    for (last, kind, on_purpose) in table {
        let fake = streaming(Box::leak(format!("{FIRST}{last}").into_boxed_str()), true).await;
        let net = net(&[]);
        let check = check(&net, file(&fake, json!({"transport": "sse"})));
        let mut attempt = Attempt::begin(Arc::clone(&net), here(), 0, TIMEOUT);
        let mut session = check.hold().unwrap().open(&mut attempt).await.unwrap();
        session.ping(&mut Attempt::begin(Arc::clone(&net), here(), 0, TIMEOUT)).await.unwrap();
        let end = tokio::time::timeout(TIMEOUT, session.ended()).await.unwrap();
        assert_eq!((end.failure.kind, end.on_purpose), (kind, on_purpose), "{last}");
    }
}
