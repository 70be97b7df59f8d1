//! The `websocket` check, alone and held, against servers that misbehave and servers of other makes.

use std::{process::Command, sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use usoryou::{
    model::{Connection, Kind, Phase},
    net::Net,
    protocol::{Attempt, Check, Session},
};

use crate::support::{
    certs::{Authority, Server},
    fake::{self, Fake, FullPort, answers, drip, reset, silence},
    frames::{close, frame, sends, switching, text, upgrade},
    looking::{Looked, TIMEOUT, check, here, look, net},
    nginx::through_nginx,
    peers::{Started, free_port, python},
};

async fn websocket(fake: &Fake, more: Value) -> Looked {
    let mut file = json!({"url": format!("ws://a.test:{}/live?token=s3cret", fake.port)});
    file.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    look(&net(&[("a.test", fake.port)]), json!({"websocket": file})).await
}

fn phases(looked: &Looked) -> Vec<Phase> {
    looked.phases.iter().map(|(phase, _)| phase).collect()
}

#[tokio::test]
async fn an_upgrade_alone_is_up_also_with_a_server_that_then_says_nothing() {
    let fake = Fake::tcp(|mut stream| async move {
        let head = upgrade(&mut stream, "").await;
        assert!(head.starts_with("GET /live?token=s3cret HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("Host: a.test:") && head.contains("user-agent: usoryou/"), "{head}");
        silence(stream).await;
    })
    .await;
    let looked = websocket(&fake, json!({})).await;
    assert_eq!(looked.words(), "up");
    assert_eq!(phases(&looked), [Phase::Connect, Phase::Upgrade]);
    assert_eq!(looked.facts.http_status, Some(101));
    assert!(looked.facts.tcp.is_some());
    let waits = websocket(&fake, json!({"send": "hello", "expect_regex": "hi"})).await;
    assert_eq!(waits.words(), "down exchange timed_out");
    assert_eq!(waits.detail(), "no match of the expected answer within 400ms");
}

#[tokio::test]
async fn headers_and_subprotocols_are_sent_and_agreed_on() {
    let answer = |more: &'static str| {
        Fake::tcp(move |mut stream| async move {
            let head = upgrade(&mut stream, more).await;
            assert!(head.contains("Sec-WebSocket-Protocol: mqtt, v1\r\n"), "{head}");
            assert!(head.contains("authorization: Bearer s3cret\r\n"), "{head}");
            silence(stream).await;
        })
    };
    let more = || json!({"subprotocols": ["mqtt", "v1"], "headers": {"Authorization": "Bearer s3cret"}});
    assert_eq!(websocket(&answer("Sec-WebSocket-Protocol: v1\r\n").await, more()).await.words(), "up");
    let none = websocket(&answer("").await, more()).await;
    assert_eq!(none.words(), "down upgrade upgrade_refused");
    assert_eq!(none.detail(), "agreed to none of the subprotocols");
    let other = websocket(&answer("Sec-WebSocket-Protocol: v9\r\n").await, more()).await;
    assert_eq!(other.words(), "down upgrade protocol_error");
}

#[tokio::test]
async fn upgrades_that_are_refused() {
    let table: [(&[u8], &str, &str); 12] = [
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>",
            "down upgrade upgrade_refused",
            "answered 200 with a page instead of changing to WebSocket",
        ),
        (
            b"HTTP/1.1 302 Found\r\nLocation: https://login.test/?token=x\r\n\r\n",
            "down upgrade upgrade_refused",
            "answered 302: redirected, which a WebSocket does not follow",
        ),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "down upgrade upgrade_refused", "answered 400 instead"),
        (b"HTTP/1.1 426 Upgrade Required\r\n\r\n", "down upgrade upgrade_refused", "answered 426 instead"),
        (b"HTTP/1.1 401 Unauthorized\r\n\r\n", "down upgrade unauthorized", "answered 401"),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "down upgrade unauthorized", "answered 403"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "down upgrade status_unexpected", "answered 404"),
        (b"HTTP/1.1 503 Busy\r\n\r\n", "down upgrade status_unexpected", "answered 503"),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
            "down upgrade protocol_error",
            "the answer's Sec-WebSocket-Accept is not for our key",
        ),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n",
            "down upgrade protocol_error",
            "answered 101 without `Upgrade: websocket`",
        ),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "down upgrade protocol_error", "what came back is not HTTP"),
        (b"HTTP/1.0 101 Old\r\n\r\n", "down upgrade protocol_error", "what came back is not HTTP/1.1"),
    ];
    for (answer, words, detail) in table {
        let fake = Fake::tcp(move |stream| answers(stream, answer)).await;
        let looked = websocket(&fake, json!({})).await;
        assert_eq!(looked.words(), words, "{looked:?}");
        assert!(looked.detail().starts_with(detail), "{looked:?}");
        assert!(!looked.detail().contains("token"), "{looked:?}");
    }
    let busy = Fake::tcp(|stream| answers(stream, b"HTTP/1.1 429 Slow Down\r\nRetry-After: 7\r\n\r\n")).await;
    let looked = websocket(&busy, json!({})).await;
    assert_eq!(looked.words(), "down upgrade rate_limited");
    assert_eq!((looked.facts.retry_after, looked.facts.http_status), (Some(Duration::from_secs(7)), Some(429)));
}

#[tokio::test]
async fn servers_that_do_not_answer_the_upgrade() {
    let words = |fake: Fake| async move { websocket(&fake, json!({})).await.words() };
    assert_eq!(words(Fake::tcp(silence).await).await, "down upgrade timed_out");
    assert_eq!(
        words(Fake::tcp(|stream| drip(stream, b"HTTP/1.1 101 Switching Protocols\r\n")).await).await,
        "down upgrade timed_out"
    );
    let closes = Fake::tcp(|mut stream| async move { drop(fake::request(&mut stream).await) });
    assert_eq!(words(closes.await).await, "down upgrade closed_early");
    let resets = Fake::tcp(|mut stream| async move {
        fake::request(&mut stream).await;
        reset(stream);
    });
    assert_eq!(words(resets.await).await, "down upgrade reset");
    let endless = Fake::tcp(|mut stream| async move {
        fake::request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\n").await;
        while stream.write_all(&[b"X: ".as_slice(), &[b'y'; 4000], b"\r\n"].concat()).await.is_ok() {}
    });
    assert_eq!(words(endless.await).await, "down upgrade protocol_error");
    let full = FullPort::new();
    let looked = look(&net(&[]), json!({"websocket": {"url": format!("ws://127.0.0.1:{}/", full.port)}})).await;
    assert_eq!(looked.words(), "down connect timed_out");
}

#[tokio::test]
async fn what_comes_after_the_upgrade() {
    let after = |bytes: Vec<u8>| async move {
        let fake = Fake::tcp(move |stream| sends(stream, bytes.clone())).await;
        websocket(&fake, json!({"expect_regex": "^ready$"})).await
    };
    let fragments = [frame(0x01, b"re"), frame(0x89, b"ping"), frame(0x00, b"ad"), frame(0x80, b"y")].concat();
    assert_eq!(after(fragments).await.words(), "up");
    assert_eq!(after(frame(0x82, b"ready")).await.words(), "up", "bytes do as well");
    assert_eq!(after([text("not yet"), text("ready")].concat()).await.words(), "up");

    let claims_a_gigabyte = [&[0x81, 127][..], &(1_u64 << 30).to_be_bytes()].concat();
    let endless_fragments = [frame(0x01, b"x"), frame(0x00, &[b'x'; 60_000]).repeat(6)].concat();
    let table = [
        (close(1000), "closed_early", "closed with 1000: normal end"),
        (close(1001), "closed_early", "closed with 1001: going away"),
        (frame(0x88, b""), "closed_early", "closed without a code"),
        (close(1002), "protocol_error", "closed with 1002"),
        (close(1008), "unauthorized", "closed with 1008"),
        (close(1009), "protocol_error", "closed with 1009"),
        (close(1011), "not_serving", "closed with 1011"),
        (close(1012), "closed_early", "closed with 1012: service restarts"),
        (close(1013), "not_serving", "closed with 1013: try again later"),
        (close(4321), "closed_early", "closed with 4321: a code of its own"),
        (frame(0x88, b"x"), "protocol_error", "a malformed close frame"),
        (claims_a_gigabyte, "body_too_large", "a message of more than"),
        (endless_fragments, "body_too_large", "a message of more than"),
        (text(&"x".repeat(300_000)), "body_too_large", "a message of more than"),
        (text("no").repeat(40_000), "body_too_large", "no match"),
        (frame(0x81, b"\xff\xfe"), "protocol_error", "a text that is not UTF-8"),
        ([frame(0x01, b"\xc3"), frame(0x80, b"(")].concat(), "protocol_error", "a text that is not UTF-8"),
        (frame(0xc1, b"x"), "protocol_error", "a frame with bits set"),
        (vec![0x81, 0x81, 1, 2, 3, 4, 5], "protocol_error", "a masked frame"),
        (frame(0x83, b"x"), "protocol_error", "what came back are no frames"),
        (frame(0x89, &[0; 126]), "protocol_error", "a malformed control frame"),
        (frame(0x09, b"x"), "protocol_error", "a malformed control frame"),
        (frame(0x80, b"x"), "protocol_error", "fragments out of order"),
        ([frame(0x01, b"x"), text("y")].concat(), "protocol_error", "fragments out of order"),
        (b"HTTP/1.1 200 OK\r\n\r\n<html>".repeat(4), "protocol_error", "a frame with bits set"),
    ];
    for (bytes, kind, detail) in table {
        let looked = after(bytes).await;
        assert_eq!(looked.words(), format!("down exchange {kind}"), "{detail}: {looked:?}");
        assert!(looked.detail().starts_with(detail), "{looked:?}");
    }
    let closes = Fake::tcp(|mut stream| async move { drop(upgrade(&mut stream, "").await) }).await;
    let looked = websocket(&closes, json!({"expect_regex": "x"})).await;
    assert_eq!(looked.words(), "down exchange closed_early");
    assert_eq!(looked.detail(), "connection closed without a close frame");
    let resets = Fake::tcp(|mut stream| async move {
        upgrade(&mut stream, "").await;
        tokio::time::sleep(Duration::from_millis(30)).await;
        reset(stream);
    });
    assert_eq!(websocket(&resets.await, json!({"expect_regex": "x"})).await.words(), "down exchange reset");
}

#[tokio::test]
async fn inside_tls() {
    let authority = Authority::new();
    let fake = Fake::tls(authority.server(Server { name: "a.test", ..Server::default() }), |mut stream| async move {
        upgrade(&mut stream, "").await;
        stream.write_all(&text("hello")).await.unwrap();
        stream.flush().await.unwrap();
        silence(stream).await;
    })
    .await;
    let file = |tls: Value| json!({"websocket": {"url": format!("wss://a.test:{}/", fake.port), "expect_regex": "hello", "tls": tls}});
    let looked = look(&net(&[("a.test", fake.port)]), file(json!({"ca_file": authority.file()}))).await;
    assert_eq!(looked.words(), "up");
    assert_eq!(phases(&looked), [Phase::Connect, Phase::Tls, Phase::Upgrade, Phase::Exchange]);
    let looked = look(&net(&[("a.test", fake.port)]), file(json!({}))).await;
    assert_eq!(looked.words(), "down tls certificate_untrusted");
}

/// Opens a session the way the engine does, and what was learned.
async fn open(net: &Arc<Net>, check: &dyn Check) -> (Box<dyn Session>, Attempt) {
    let mut attempt = Attempt::begin(Arc::clone(net), here(), 0, TIMEOUT);
    let session = check.hold().unwrap().open(&mut attempt).await.unwrap();
    (session, attempt)
}

/// Asks on a session, within the time.
async fn ping(net: &Arc<Net>, session: &mut dyn Session) -> (Attempt, String) {
    let mut attempt = Attempt::begin(Arc::clone(net), here(), 0, TIMEOUT);
    let asked = match tokio::time::timeout(TIMEOUT, session.ping(&mut attempt)).await {
        Ok(asked) => asked,
        Err(_) => Err(attempt.timed_out()),
    };
    let words = asked.map_or_else(|failure| failure.to_string(), |()| "there".to_owned());
    (attempt, words)
}

#[tokio::test]
async fn a_held_one_is_asked_with_pings_and_says_how_it_ended() {
    let fake = Fake::tcp(|mut stream| async move {
        upgrade(&mut stream, "").await;
        // Two pings are answered, between other things; then the server restarts in order.
        for _ in 0..2 {
            let mut ping = [0; 10];
            stream.read_exact(&mut ping).await.unwrap();
            assert_eq!(ping[..2], [0x89, 0x84]);
            let payload: Vec<u8> = ping[6..].iter().zip(&ping[2..6]).map(|(byte, mask)| byte ^ mask).collect();
            stream.write_all(&[text("news"), frame(0x8a, b"unasked"), frame(0x8a, &payload)].concat()).await.unwrap();
        }
        stream.write_all(&[text("bye"), close(1012)].concat()).await.unwrap();
        silence(stream).await;
    })
    .await;
    let net = net(&[]);
    let check = check(&net, json!({"websocket": {"url": format!("ws://127.0.0.1:{}/", fake.port)}}));
    let (mut session, opened) = open(&net, &*check).await;
    assert_eq!(opened.facts.connection, Connection::Cold);
    for _ in 0..2 {
        let (asked, words) = ping(&net, &mut *session).await;
        assert_eq!(words, "there");
        assert_eq!(asked.facts.connection, Connection::Warm);
        assert_eq!(asked.facts.peer, opened.facts.peer);
        assert_eq!(asked.phases().iter().map(|(phase, _)| phase).collect::<Vec<_>>(), [Phase::Exchange]);
    }
    // The watching may be given up and taken up again.
    let _ = tokio::time::timeout(Duration::ZERO, session.ended()).await;
    let end = session.ended().await;
    assert!(end.on_purpose && end.failure.kind == Kind::ClosedEarly, "{end:?}");
}

#[tokio::test]
async fn a_held_one_whose_pings_are_not_answered_is_found() {
    let fake = Fake::tcp(|stream| sends(stream, text("hello"))).await;
    let net = net(&[]);
    let url = format!("ws://127.0.0.1:{}/", fake.port);
    let (mut session, _) = open(&net, &*check(&net, json!({"websocket": {"url": url}}))).await;
    assert_eq!(ping(&net, &mut *session).await.1, "exchange: timed_out (no pong within 400ms)");
    // With a question of its own it is that which is asked, each time.
    let echo = Fake::tcp(|mut stream| async move {
        upgrade(&mut stream, "").await;
        let mut question = [0; 10];
        while stream.read_exact(&mut question).await.is_ok() {
            stream.write_all(&text("pong")).await.unwrap();
        }
    })
    .await;
    let file = json!({"url": format!("ws://127.0.0.1:{}/", echo.port), "send": "ping", "expect_regex": "^pong$"});
    let (mut session, opened) = open(&net, &*check(&net, json!({"websocket": file}))).await;
    assert!(opened.phases().get(Phase::Exchange).is_some());
    assert_eq!(ping(&net, &mut *session).await.1, "there");
}

#[tokio::test]
async fn a_held_one_that_is_left_says_so() {
    let (said, heard) = tokio::sync::oneshot::channel();
    let said = std::sync::Mutex::new(Some(said));
    let fake = Fake::tcp(move |mut stream| {
        let said = said.lock().unwrap().take();
        async move {
            upgrade(&mut stream, "").await;
            let mut frame = [0; 8];
            stream.read_exact(&mut frame).await.unwrap();
            let code = [frame[6] ^ frame[2], frame[7] ^ frame[3]];
            said.unwrap().send((frame[0], u16::from_be_bytes(code))).unwrap();
            stream.write_all(&close(1000)).await.unwrap();
        }
    })
    .await;
    let net = net(&[]);
    let (session, _) =
        open(&net, &*check(&net, json!({"websocket": {"url": format!("ws://127.0.0.1:{}/", fake.port)}}))).await;
    tokio::time::timeout(TIMEOUT, session.close()).await.unwrap();
    assert_eq!(heard.await.unwrap(), (0x88, 1000));
}

#[test]
fn the_accept_key_is_that_of_the_specification() {
    // RFC 6455 §1.3.
    let answer = switching("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "");
    assert!(answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
}

/// A server in Python, and nginx before it.
#[tokio::test]
async fn servers_of_another_make() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/websocket_server.py");
    let mut server = Started::new(Command::new(python).arg(script).arg(port.to_string()).arg("echo"), folder.path());
    server.wait_for("ready", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
    let through = through_nginx(folder.path(), port, "off");
    let ports = std::iter::once(port).chain(through.as_ref().map(|(_, port)| *port));
    let net = net(&[]);
    for port in ports {
        let file = |path: &str, more: Value| {
            let mut file = json!({"url": format!("ws://127.0.0.1:{port}{path}"), "subprotocols": ["echo.v1"]});
            file.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({"websocket": file})
        };
        let echo = json!({"send": "hello", "expect_regex": "^hello$"});
        assert_eq!(look(&net, file("/", echo)).await.words(), "up");
        let greets = look(&net, file("/greets", json!({"expect_regex": "^hello from fragments$"}))).await;
        assert_eq!(greets.words(), "up");
        let closes = look(&net, file("/close", json!({"expect_regex": "x"}))).await;
        assert_eq!(
            (&*closes.words(), closes.detail()),
            ("down exchange closed_early", "closed with 1012: service restarts")
        );
        let fails = look(&net, file("/error", json!({"expect_regex": "x"}))).await;
        assert_eq!(fails.words(), "down exchange not_serving", "{fails:?}");
        let (mut session, _) = open(&net, &*check(&net, file("/", json!({})))).await;
        for _ in 0..3 {
            assert_eq!(ping(&net, &mut *session).await.1, "there");
        }
        tokio::time::timeout(TIMEOUT, session.close()).await.unwrap();
    }
    if let Some((nginx, port)) = through {
        // A page where a WebSocket was hoped for, and a server behind that is gone.
        let page = json!({"websocket": {"url": format!("ws://127.0.0.1:{port}/page")}});
        assert_eq!(look(&net, page).await.words(), "down upgrade upgrade_refused");
        drop(server);
        let gone = json!({"websocket": {"url": format!("ws://127.0.0.1:{port}/")}});
        let looked = look(&net, gone).await;
        assert_eq!((&*looked.words(), looked.detail()), ("down upgrade status_unexpected", "answered 502"));
        drop(nginx);
    }
}
