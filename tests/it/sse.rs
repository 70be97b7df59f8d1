//! The `sse` check, alone and held.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use usoryou::{
    model::{Kind, Phase},
    protocol::{Attempt, CheckFile, Session},
};

use crate::support::{
    fake::{self, Fake, answers, drip, reset, silence},
    looking::{Looked, TIMEOUT, check, here, look, net},
    nginx::through_nginx,
};

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n";

async fn sse(fake: &Fake, more: Value) -> Looked {
    let mut file = json!({"url": format!("http://127.0.0.1:{}/events?token=s3cret", fake.port)});
    file.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    look(&net(&[]), json!({"sse": file})).await
}

/// A stream that begins with this and stays open.
async fn streams(events: &'static str) -> Fake {
    Fake::tcp(move |mut stream| async move {
        fake::request(&mut stream).await;
        stream.write_all(HEAD.as_bytes()).await.unwrap();
        stream.write_all(events.as_bytes()).await.unwrap();
        silence(stream).await;
    })
    .await
}

#[tokio::test]
async fn a_stream_is_up_when_it_opens_or_when_its_event_comes() {
    let fake = Fake::tcp(|mut stream| async move {
        let head = fake::request(&mut stream).await.unwrap();
        assert!(head.contains("accept: text/event-stream\r\n") && head.contains("user-agent: usoryou/"), "{head}");
        assert!(!head.contains("last-event-id"), "{head}");
        stream.write_all(HEAD.as_bytes()).await.unwrap();
        silence(stream).await;
    })
    .await;
    let looked = sse(&fake, json!({})).await;
    assert_eq!(looked.words(), "up");
    assert_eq!(looked.facts.http_status, Some(200));
    let waits = sse(&fake, json!({"expect_event": "put"})).await;
    assert_eq!(waits.words(), "down transfer timed_out");
    assert_eq!(waits.detail(), "no event of the expected name within 400ms");
    let silent = sse(&fake, json!({"heartbeat": "100ms"})).await;
    assert_eq!(silent.words(), "down transfer timed_out");
    assert_eq!(silent.detail(), "no event or comment within 100ms");

    for events in [
        "event: put\ndata: {}\n\n",
        "\u{feff}: hi\r\rdata: 1\r\revent: put\rdata\r\r",
        ":\r\n\r\nevent:put\r\ndata:\r\n\r\n",
    ] {
        let looked = sse(&streams(events).await, json!({"expect_event": "put", "heartbeat": "100ms"})).await;
        assert_eq!(looked.words(), "up", "{events:?}");
        assert!(looked.phases.get(Phase::Transfer).is_some());
    }
    assert_eq!(sse(&streams("data: 1\n\n").await, json!({"expect_event": "message"})).await.words(), "up");
    assert_eq!(sse(&streams(": beat\n").await, json!({"heartbeat": "100ms"})).await.words(), "up");
    assert_eq!(
        sse(&streams("event: put\n\n").await, json!({"expect_event": "put"})).await.words(),
        "down transfer timed_out"
    );
}

#[tokio::test]
async fn answers_that_are_no_streams() {
    let table: [(&[u8], &str, &str); 7] = [
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>",
            "down first_byte body_unexpected",
            "answered a page instead of text/event-stream",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "down first_byte body_unexpected", "answered something else"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "down first_byte status_unexpected", "answered 204 instead of a stream"),
        (b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", "down first_byte unauthorized", "answered 401"),
        (
            b"HTTP/1.1 429 No\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n",
            "down first_byte rate_limited",
            "answered 429",
        ),
        (b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", "down first_byte status_unexpected", "answered 500"),
        (
            b"HTTP/1.1 302 No\r\nLocation: /events\r\nContent-Length: 0\r\n\r\n",
            "down first_byte redirect_limit",
            "more than",
        ),
    ];
    for (answer, words, detail) in table {
        let looked = sse(&Fake::tcp(move |stream| answers(stream, answer)).await, json!({})).await;
        assert_eq!(looked.words(), words, "{looked:?}");
        assert!(looked.detail().starts_with(detail), "{looked:?}");
    }
    assert_eq!(sse(&Fake::tcp(silence).await, json!({})).await.words(), "down first_byte timed_out");
    assert_eq!(
        sse(&Fake::tcp(|stream| drip(stream, HEAD.as_bytes())).await, json!({})).await.words(),
        "down transfer timed_out"
    );
}

#[tokio::test]
async fn streams_that_end_before_their_event() {
    let wanted = || json!({"expect_event": "put"});
    let ends = Fake::tcp(|mut stream| async move {
        fake::request(&mut stream).await;
        stream.write_all(HEAD.as_bytes()).await.unwrap();
        stream.write_all(b"data: 1\n\n").await.unwrap();
    });
    let looked = sse(&ends.await, wanted()).await;
    assert_eq!((&*looked.words(), looked.detail()), ("down transfer closed_early", "the server ended the stream"));
    let resets = Fake::tcp(|mut stream| async move {
        fake::request(&mut stream).await;
        stream.write_all(HEAD.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(30)).await;
        reset(stream);
    });
    assert_eq!(sse(&resets.await, wanted()).await.words(), "down transfer reset");
    let cut = Fake::tcp(|mut stream| async move {
        fake::request(&mut stream).await;
        let chunked = HEAD.replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n40\r\ndata: 1");
        stream.write_all(chunked.as_bytes()).await.unwrap();
    });
    let looked = sse(&cut.await, wanted()).await;
    assert_eq!((&*looked.words(), looked.detail()), ("down transfer closed_early", "connection closed"));
    let endless = Fake::tcp(|mut stream| async move {
        fake::request(&mut stream).await;
        stream.write_all(HEAD.as_bytes()).await.unwrap();
        while stream.write_all(&[b'x'; 8192]).await.is_ok() {}
    });
    let looked = sse(&endless.await, wanted()).await;
    assert_eq!(
        (&*looked.words(), looked.detail()),
        ("down transfer body_too_large", "a line or an event of more than 64 KiB")
    );
}

/// Asks on a held stream.
async fn ping(session: &mut dyn Session) -> String {
    let mut attempt = Attempt::begin(net(&[]), here(), 0, TIMEOUT);
    let asked = session.ping(&mut attempt).await;
    asked.map_or_else(|failure| failure.to_string(), |()| "there".to_owned())
}

#[tokio::test]
async fn a_held_one_goes_on_where_it_was_and_is_not_silent_for_long() {
    let (said, mut heard) = tokio::sync::mpsc::channel(4);
    let fake = Fake::tcp(move |mut stream| {
        let said = said.clone();
        async move {
            let head = fake::request(&mut stream).await.unwrap();
            let id = head.lines().find_map(|line| line.strip_prefix("last-event-id: ")).unwrap_or("none").to_owned();
            said.send(id).await.unwrap();
            let events = format!("{HEAD}retry: 700\nid: 42\ndata: 1\n\n");
            stream.write_all(events.as_bytes()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
            stream.write_all(b": beat\n").await.unwrap();
            silence(stream).await;
        }
    })
    .await;
    let net = net(&[]);
    let file = json!({"url": format!("http://127.0.0.1:{}/", fake.port), "heartbeat": "200ms"});
    let check = check(&net, json!({"sse": file}));
    let hold = check.hold().unwrap();
    assert_eq!(hold.backoff().first, Duration::from_secs(3));
    for id in ["none", "42"] {
        let mut attempt = Attempt::begin(Arc::clone(&net), here(), 0, TIMEOUT);
        let mut session = hold.open(&mut attempt).await.unwrap();
        assert_eq!(heard.recv().await.unwrap(), id);
        assert_eq!(ping(&mut *session).await, "there");
        let began = std::time::Instant::now();
        let end = session.ended().await;
        assert_eq!((end.failure.kind, &*end.failure.detail), (Kind::TimedOut, "no event or comment within 200ms"));
        assert!(began.elapsed() >= Duration::from_millis(200), "the comment counts");
        assert_eq!(ping(&mut *session).await, "transfer: timed_out (no event or comment within 200ms)");
        session.close().await;
    }
    assert_eq!(hold.backoff().first, Duration::from_millis(700));
}

/// A proxy that passes on what comes, and one that waits until a page of it is there.
#[tokio::test]
async fn through_a_proxy_of_another_make() {
    let fake = streams("event: put\ndata: {}\n\n").await;
    let folder = tempfile::tempdir().unwrap();
    for (buffering, looked) in [("off", "up"), ("on", "down first_byte timed_out")] {
        let Some((nginx, port)) = through_nginx(folder.path(), fake.port, buffering) else { return };
        let url = format!("http://127.0.0.1:{port}/events");
        let waits = look(&net(&[]), json!({"sse": {"url": url, "expect_event": "put"}})).await;
        assert_eq!(waits.words(), looked, "{buffering}: {}", waits.detail());
        let page = json!({"sse": {"url": format!("http://127.0.0.1:{port}/page")}});
        assert_eq!(look(&net(&[]), page).await.words(), "down first_byte body_unexpected");
        drop(nginx);
    }
}

#[tokio::test]
async fn a_held_one_tells_an_end_in_order_from_a_reset() {
    for (in_order, kind) in [(true, Kind::ClosedEarly), (false, Kind::Reset)] {
        let fake = Fake::tcp(move |mut stream| async move {
            fake::request(&mut stream).await;
            stream.write_all(HEAD.as_bytes()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
            if !in_order {
                reset(stream);
            }
        })
        .await;
        let net = net(&[]);
        let check = check(&net, json!({"sse": {"url": format!("http://127.0.0.1:{}/", fake.port)}}));
        let mut attempt = Attempt::begin(Arc::clone(&net), here(), 0, TIMEOUT);
        let mut session = check.hold().unwrap().open(&mut attempt).await.unwrap();
        let end = session.ended().await;
        assert_eq!((end.failure.kind, end.on_purpose), (kind, in_order));
    }
}

#[test]
fn the_schemes_of_the_command_line() {
    let url = |text: &str| CheckFile::from_url(&text.parse().unwrap()).unwrap();
    for (text, target) in
        [("sse+https://a.test/x?y", "sse+https://a.test/x"), ("sse+http://a.test:81/", "sse+http://a.test:81/")]
    {
        let file = url(text);
        assert_eq!(file.key(), "sse");
        assert_eq!(file.build(&net(&[])).unwrap().target(), target);
    }
}
