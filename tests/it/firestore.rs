//! Listening to Firestore over gRPC, against a server that does it right or not.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use h2::{
    SendStream,
    server::{self, SendResponse},
};
use http::{HeaderMap, HeaderValue, Request, Response};
use serde_json::{Value, json};
use usoryou::{
    model::{Came, Kind},
    protocol::Attempt,
};

use crate::support::{
    fake::{Fake, answers, ok, silence},
    looking::{Looked, TIMEOUT, check, here, look, net},
};

/// A field of protobuf that holds bytes, of a number up to 15 and a length up to 16383.
fn nested(field: u8, message: &[u8]) -> Vec<u8> {
    let length = [u8::try_from(message.len() & 0x7f).unwrap() | 0x80, u8::try_from(message.len() >> 7).unwrap()];
    [&[field << 3 | 2][..], &length, message].concat()
}

fn framed(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0][..], &length, message].concat().into()
}

fn current() -> Bytes {
    framed(b"\x12\x02\x08\x03")
}

/// A change of a document that holds this text.
fn change(text: &str) -> Bytes {
    // string_value is field 17.
    let value = [&[0x8a, 0x01][..], &nested(1, text.as_bytes())[1..]].concat();
    let field = [nested(1, b"message"), nested(2, &value)].concat();
    let document = [nested(1, b"name"), nested(2, &field)].concat();
    framed(&nested(3, &nested(1, &document)))
}

fn status(code: &str) -> HeaderMap {
    HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), HeaderValue::from_str(code).unwrap())])
}

fn head() -> Response<()> {
    Response::builder().header("content-type", "application/grpc").body(()).unwrap()
}

/// What the server does with listeners.
#[derive(Clone)]
enum Then {
    /// Tells of everything that is committed.
    Behave,
    /// Says these messages, and then, where it is given, a status.
    Say(Vec<Bytes>, Option<&'static str>),
    /// A status without any message.
    Refuse(&'static str),
    /// Confirms what is committed, and tells nobody.
    Forget,
    Page,
    Nothing,
}

type Listeners = Arc<Mutex<Vec<SendStream<Bytes>>>>;

async fn firestore(then: Then) -> Fake {
    Fake::tcp(move |stream| {
        let then = then.clone();
        async move {
            let Ok(mut connection) = server::handshake(stream).await else { return };
            let listeners = Listeners::default();
            while let Some(Ok((request, respond))) = connection.accept().await {
                tokio::spawn(serve(request, respond, then.clone(), Arc::clone(&listeners)));
            }
        }
    })
    .await
}

async fn serve(request: Request<h2::RecvStream>, mut respond: SendResponse<Bytes>, then: Then, listeners: Listeners) {
    assert_eq!(request.headers()["content-type"], "application/grpc");
    assert_eq!(request.headers()["google-cloud-resource-prefix"], "projects/p/databases/(default)");
    let path = request.uri().path().to_owned();
    let mut body = request.into_body();
    let asked = body.data().await.unwrap().unwrap();
    if path.ends_with("/Commit") {
        if !matches!(then, Then::Forget)
            && let Some(begin) = asked.windows(10).position(|ten| ten == b"{\"usoryou\"")
        {
            let end = begin + asked[begin..].iter().position(|byte| *byte == b'}').unwrap() + 1;
            let text = String::from_utf8(asked[begin..end].to_vec()).unwrap();
            for listener in &mut *listeners.lock().unwrap() {
                listener.send_data(change(&text), false).unwrap();
            }
        }
        let mut answer = respond.send_response(head(), false).unwrap();
        answer.send_data(framed(b""), false).unwrap();
        answer.send_trailers(status("0")).unwrap();
        return;
    }
    assert!(path.ends_with("google.firestore.v1.Firestore/Listen"), "{path}");
    match then {
        Then::Behave | Then::Forget => {
            let mut answer = respond.send_response(head(), false).unwrap();
            answer.send_data(framed(b"\x12\x02\x08\x01"), false).unwrap();
            answer.send_data(change("{\"what\":\"was there before\"}"), false).unwrap();
            answer.send_data(current(), false).unwrap();
            listeners.lock().unwrap().push(answer);
        }
        Then::Say(messages, code) => {
            let mut answer = respond.send_response(head(), false).unwrap();
            for message in messages {
                answer.send_data(message, false).unwrap();
            }
            match code {
                Some(code) => answer.send_trailers(status(code)).unwrap(),
                None => listeners.lock().unwrap().push(answer),
            }
        }
        Then::Refuse(code) => {
            let mut answer = head();
            answer.headers_mut().extend(status(code));
            respond.send_response(answer, true).unwrap();
        }
        Then::Page => {
            let answer = Response::builder().header("content-type", "text/html").body(()).unwrap();
            respond.send_response(answer, false).unwrap().send_data("<html>".into(), true).unwrap();
        }
        Then::Nothing => {}
    }
    // Whoever listens may go on doing so.
    while let Some(Ok(_)) = body.data().await {}
}

fn file(fake: &Fake, more: Value) -> Value {
    let mut file = json!({"project": "p", "transport": "grpc", "base_url": fake.url("")});
    file.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "firestore": file })
}

async fn looked(then: Then, more: Value) -> Looked {
    let fake = firestore(then).await;
    look(&net(&[]), file(&fake, more)).await
}

#[tokio::test]
async fn a_listener_that_is_up_to_date() {
    assert_eq!(looked(Then::Behave, json!({})).await.words(), "up");
    let round = looked(Then::Behave, json!({"round_trip": "probes"})).await;
    assert_eq!(round.words(), "up", "{round:?}");
    let came: Vec<_> = round.facts.arrivals.iter().map(|one| (&*one.writer_region, one.came)).collect();
    assert_eq!(came, [("local", Came::InOrder)]);
}

#[tokio::test]
async fn strangers_and_others_who_are_turned_away() {
    let own = || json!({"auth": {"token": "t0ken"}});
    for code in ["7", "16", "5", "3"] {
        assert_eq!(looked(Then::Refuse(code), json!({})).await.words(), "up", "{code}");
        assert_eq!(looked(Then::Say(vec![], Some(code)), json!({})).await.words(), "up", "{code}");
    }
    assert_eq!(looked(Then::Refuse("7"), own()).await.words(), "down exchange unauthorized");
    assert_eq!(looked(Then::Refuse("5"), own()).await.words(), "down exchange status_unexpected");
    // A target that is taken away again, with a cause.
    let removed = Then::Say(vec![framed(b"\x12\x06\x08\x02\x1a\x02\x08\x07")], None);
    assert_eq!(looked(removed.clone(), own()).await.words(), "down exchange unauthorized");
    assert_eq!(looked(removed, json!({})).await.words(), "up");
}

#[tokio::test]
async fn what_goes_wrong() {
    let table = [
        (Then::Refuse("14"), "down exchange not_serving"),
        (Then::Refuse("8"), "down exchange rate_limited"),
        (Then::Refuse("99"), "down exchange protocol_error"),
        (Then::Say(vec![Bytes::from_static(b"\0\xff\xff\xff\xff")], None), "down exchange body_too_large"),
        (Then::Say(vec![Bytes::from_static(b"\x01\0\0\0\0")], None), "down exchange protocol_error"),
        (Then::Say(vec![framed(b"\xff")], None), "down exchange protocol_error"),
        (Then::Say(vec![framed(b"\x12\x02\x08\x01")], None), "down exchange timed_out"),
        (Then::Page, "down first_byte body_unexpected"),
        (Then::Nothing, "down first_byte timed_out"),
    ];
    for (then, wanted) in table {
        let looked = looked(then, json!({})).await;
        assert_eq!(looked.words(), wanted, "{looked:?}");
    }
    let looked = looked(Then::Forget, json!({"round_trip": "probes"})).await;
    assert_eq!(looked.words(), "down exchange not_delivered");
    let silent = Fake::tcp(silence).await;
    let looked = look(&net(&[]), file(&silent, json!({}))).await;
    assert_eq!(looked.words(), "down first_byte timed_out");
    let http1 = Fake::tcp(|stream| async move { answers(stream, &ok("<html>")).await }).await;
    let looked = look(&net(&[]), file(&http1, json!({}))).await;
    assert!(looked.words().starts_with("down first_byte"), "{looked:?}");
}

#[tokio::test]
async fn a_listener_that_is_held() {
    for more in [json!({}), json!({"round_trip": "probes"})] {
        let fake = firestore(Then::Behave).await;
        let net = net(&[]);
        let check = check(&net, file(&fake, more));
        let begin = || Attempt::begin(Arc::clone(&net), here(), 0, TIMEOUT);
        let mut session = check.hold().unwrap().open(&mut begin()).await.unwrap();
        for _ in 0..3 {
            session.ping(&mut begin()).await.unwrap();
            let idle = tokio::time::timeout(Duration::from_millis(20), session.ended()).await;
            assert!(idle.is_err());
        }
        let _ = tokio::time::timeout(TIMEOUT, session.close()).await;
    }
    for (code, kind, on_purpose) in [("0", Kind::ClosedEarly, true), ("14", Kind::NotServing, false)] {
        let fake = firestore(Then::Say(vec![current()], Some(code))).await;
        let net = net(&[]);
        let check = check(&net, file(&fake, json!({})));
        let mut begin = Attempt::begin(Arc::clone(&net), here(), 0, TIMEOUT);
        let mut session = check.hold().unwrap().open(&mut begin).await.unwrap();
        let end = tokio::time::timeout(TIMEOUT, session.ended()).await.unwrap();
        assert_eq!((end.failure.kind, end.on_purpose), (kind, on_purpose));
    }
}
