//! The `grpc` check: against servers that misbehave on request, against a server of another make, and through the program.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, Response};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use usoryou::{
    model::{Connection, Kind, Phase},
    net::Net,
    protocol::CheckFile,
};

use crate::support::{
    certs::{Authority, Server},
    fake::{Fake, Stream, silence, something},
    looking::{Looked, check, here, look, net, turn},
    opened::Open,
};

const SERVING: &[u8] = b"\0\0\0\0\x02\x08\x01";

fn file(fake: &Fake, more: Value) -> Value {
    let mut file = json!({"address": format!("a.test:{}", fake.port)});
    file.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"grpc": file})
}

fn names(fake: &Fake) -> Arc<Net> {
    net(&[("a.test", fake.port)])
}

async fn grpc(fake: &Fake, more: Value) -> Looked {
    look(&names(fake), file(fake, more)).await
}

fn head(status: u16, sort: &str) -> http::response::Builder {
    Response::builder().status(status).header("content-type", sort)
}

/// An answer as gRPC wants it: head, message, status.
fn answers(mut respond: SendResponse<Bytes>, message: &'static [u8], status: &'static str) {
    let mut send = respond.send_response(head(200, "application/grpc").body(()).unwrap(), false).unwrap();
    send.send_data(Bytes::from_static(message), false).unwrap();
    let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), status.parse().unwrap())]);
    send.send_trailers(trailers).unwrap();
}

/// A server that answers each call with `answer`.
async fn serve(stream: impl Stream + 'static, answer: impl Fn(SendResponse<Bytes>)) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((_, respond))) = connection.accept().await {
        answer(respond);
    }
}

async fn server(answer: impl Fn(SendResponse<Bytes>) + Clone + Send + Sync + 'static) -> Fake {
    Fake::tcp(move |stream| serve(stream, answer.clone())).await
}

#[tokio::test]
async fn a_server_that_serves() {
    let fake = server(|respond| answers(respond, SERVING, "0")).await;
    let looked = grpc(&fake, json!({})).await;
    assert_eq!(looked.words(), "up", "{}", looked.detail());
    let phases: Vec<Phase> = looked.phases.iter().map(|(phase, _)| phase).collect();
    assert_eq!(phases, [Phase::Connect, Phase::Request, Phase::FirstByte, Phase::Transfer]);
    assert_eq!(looked.gauge("probe_grpc_healthcheck_response"), Some(1.0));
    assert_eq!(looked.facts.http_status, Some(200));
}

#[tokio::test]
async fn what_is_asked_is_what_was_configured() {
    let (heard, mut log) = tokio::sync::mpsc::unbounded_channel();
    let fake = Fake::tcp(move |stream| {
        let heard = heard.clone();
        async move {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((request, respond))) = connection.accept().await {
                heard.send(request.map(drop)).unwrap();
                answers(respond, SERVING, "0");
            }
        }
    })
    .await;
    let more = json!({"service": "shop.v1.Orders", "metadata": {"Authorization": "Bearer hidden"}});
    let looked = grpc(&fake, more).await;
    assert_eq!(looked.words(), "up");
    let request = log.recv().await.unwrap();
    assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
    let header = |name: &str| request.headers().get(name).unwrap().to_str().unwrap();
    assert_eq!((header("content-type"), header("te")), ("application/grpc", "trailers"));
    assert_eq!(header("authorization"), "Bearer hidden");
    assert!(header("user-agent").starts_with("usoryou/"));
    let timeout: u32 = header("grpc-timeout").strip_suffix('m').unwrap().parse().unwrap();
    assert!((1..=400).contains(&timeout), "{timeout}");
}

#[tokio::test]
async fn what_the_server_says_of_itself() {
    for (message, status, words) in [
        (&b"\0\0\0\0\x02\x08\x02"[..], "0", "down transfer not_serving"),
        (b"\0\0\0\0\0", "0", "down transfer not_serving"),
        (b"\0\0\0\0\x02\x08\x03", "0", "down transfer not_serving"),
        (b"", "5", "down transfer status_unexpected"),
        (b"", "7", "down transfer unauthorized"),
        (b"", "16", "down transfer unauthorized"),
        (b"", "8", "down transfer rate_limited"),
        (b"", "14", "down transfer not_serving"),
        (b"", "4", "down transfer timed_out"),
        (b"", "13", "down transfer status_unexpected"),
        (b"", "12", "up"),
        (b"", "77", "down transfer protocol_error"),
        (b"", "many", "down transfer protocol_error"),
        (b"", "0", "down transfer protocol_error"),
        (b"\0\xff\xff\xff\xff", "0", "down transfer protocol_error"),
        (b"\x01\0\0\0\x02\x08\x01", "0", "down transfer protocol_error"),
        (b"<html>", "0", "down transfer protocol_error"),
    ] {
        let fake = server(move |respond| answers(respond, message, status)).await;
        let looked = grpc(&fake, json!({})).await;
        assert_eq!(looked.words(), words, "{message:x?} {status}: {}", looked.detail());
    }
    // A status without a message comes in the head.
    let alone = server(|mut respond| {
        let head = head(200, "application/grpc").header("grpc-status", "14").body(()).unwrap();
        respond.send_response(head, true).unwrap();
    });
    assert_eq!(grpc(&alone.await, json!({})).await.words(), "down transfer not_serving");
}

#[tokio::test]
async fn what_stands_before_the_server() {
    for (status, sort, words) in [
        (200, "text/html", "down first_byte protocol_error"),
        (200, "application/grpcweb", "down first_byte protocol_error"),
        (502, "text/html", "down first_byte status_unexpected"),
        (404, "text/plain", "down first_byte status_unexpected"),
        (302, "text/html", "down first_byte status_unexpected"),
        (403, "text/html", "down first_byte unauthorized"),
        (429, "text/html", "down first_byte rate_limited"),
    ] {
        let fake = server(move |mut respond| {
            let mut send = respond.send_response(head(status, sort).body(()).unwrap(), false).unwrap();
            send.send_data(Bytes::from_static(b"<html>"), true).unwrap();
        })
        .await;
        let looked = grpc(&fake, json!({})).await;
        assert_eq!(looked.words(), words, "{status} {sort}: {}", looked.detail());
        assert_eq!(looked.facts.http_status, Some(status));
    }
}

#[tokio::test]
async fn servers_that_break_off() {
    let without_trailers = server(|mut respond| {
        let mut send = respond.send_response(head(200, "application/grpc").body(()).unwrap(), false).unwrap();
        send.send_data(Bytes::from_static(SERVING), true).unwrap();
    });
    let looked = grpc(&without_trailers.await, json!({})).await;
    assert_eq!(looked.words(), "down transfer protocol_error");
    assert_eq!(looked.detail(), "the answer ended without the status of gRPC");

    let resets = server(|mut respond| respond.send_reset(h2::Reason::REFUSED_STREAM));
    assert_eq!(grpc(&resets.await, json!({})).await.words(), "down first_byte reset");

    let endless = Fake::tcp(|stream| async move {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let (_, mut respond) = connection.accept().await.unwrap().unwrap();
        let mut send = respond.send_response(head(200, "application/grpc").body(()).unwrap(), false).unwrap();
        tokio::spawn(async move {
            while send.send_data(Bytes::from_static(&[0; 1024]), false).is_ok() {
                tokio::task::yield_now().await;
            }
        });
        while connection.accept().await.is_some() {}
    });
    assert_eq!(grpc(&endless.await, json!({})).await.words(), "down transfer body_too_large");

    let goes = Fake::tcp(|stream| async {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let _request = connection.accept().await;
        connection.abrupt_shutdown(h2::Reason::ENHANCE_YOUR_CALM);
        while connection.accept().await.is_some() {}
    });
    let looked = grpc(&goes.await, json!({})).await;
    assert_eq!(looked.words(), "down first_byte closed_early");
    assert!(looked.detail().contains("GOAWAY"), "{}", looked.detail());

    let half = server(|mut respond| {
        let send = respond.send_response(head(200, "application/grpc").body(()).unwrap(), false).unwrap();
        std::mem::forget(send);
    });
    assert_eq!(grpc(&half.await, json!({})).await.words(), "down transfer timed_out");
}

#[tokio::test]
async fn servers_that_speak_something_else() {
    assert_eq!(grpc(&Fake::tcp(silence).await, json!({})).await.words(), "down first_byte timed_out");
    let http1 = Fake::tcp(|mut stream| async move {
        something(&mut stream).await;
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        silence(stream).await;
    });
    assert_eq!(grpc(&http1.await, json!({})).await.words(), "down first_byte protocol_error");
    let closes = Fake::tcp(|stream| async move { drop(stream) });
    let words = grpc(&closes.await, json!({})).await.words();
    assert!(words == "down first_byte closed_early" || words.ends_with("reset"), "{words}");
}

#[tokio::test]
async fn inside_tls() {
    let authority = Authority::new();
    let config = authority.server(Server { name: "a.test", alpn: &["h2"], ..Server::default() });
    let fake = Fake::tls(config, |stream| serve(stream, |respond| answers(respond, SERVING, "0"))).await;
    let file = |more: Value| {
        let mut file = json!({"address": format!("grpcs://a.test:{}", fake.port)});
        file.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"grpc": file})
    };
    let looked = look(&names(&fake), file(json!({"tls": {"ca_file": authority.file()}}))).await;
    assert_eq!(looked.words(), "up", "{}", looked.detail());
    assert!(looked.phases.get(Phase::Tls).is_some());
    assert_eq!(look(&names(&fake), file(json!({}))).await.words(), "down tls certificate_untrusted");
    let config = authority.server(Server { name: "a.test", ..Server::default() });
    let old = Fake::tls(config, silence).await;
    let file = json!({"address": format!("grpcs://a.test:{}", old.port), "tls": {"ca_file": authority.file()}});
    assert_eq!(look(&names(&old), json!({"grpc": file})).await.words(), "down tls protocol_error");
}

#[tokio::test]
async fn a_session_asks_on_one_connection() {
    let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    let fake = Fake::tcp(move |stream| {
        counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        serve(stream, |respond| answers(respond, SERVING, "0"))
    })
    .await;
    let mut open = Open::new(&names(&fake), file(&fake, json!({})), here()).await.unwrap();
    for _ in 0..3 {
        assert_eq!(open.listen(Duration::from_millis(20)).await, None);
        let attempt = open.ping().await.unwrap();
        assert_eq!(attempt.facts.connection, Connection::Warm);
        let phases: Vec<Phase> = attempt.phases().iter().map(|(phase, _)| phase).collect();
        assert_eq!(phases, [Phase::Request, Phase::FirstByte, Phase::Transfer]);
        assert!(attempt.facts.tcp.is_some());
    }
    assert_eq!(count.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[tokio::test]
async fn how_sessions_end() {
    /// Answers one call, and then ends the connection in this way.
    async fn one(stream: tokio::net::TcpStream, how: &'static str) {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let (_, respond) = connection.accept().await.unwrap().unwrap();
        answers(respond, SERVING, "0");
        let _ = tokio::time::timeout(Duration::from_millis(50), connection.accept()).await;
        match how {
            "in order" => connection.graceful_shutdown(),
            "calm" => connection.abrupt_shutdown(h2::Reason::ENHANCE_YOUR_CALM),
            _ => return,
        }
        while connection.accept().await.is_some() {}
    }
    for (how, kind, on_purpose, detail) in [
        ("in order", Kind::ClosedEarly, true, "HTTP/2 GOAWAY: no error"),
        ("calm", Kind::ClosedEarly, false, "HTTP/2 GOAWAY: enhance your calm"),
        ("closed", Kind::ClosedEarly, false, "connection closed"),
    ] {
        let fake = Fake::tcp(move |stream| one(stream, how)).await;
        let mut open = Open::new(&names(&fake), file(&fake, json!({})), here()).await.unwrap();
        let end = open.listen(Duration::from_secs(2)).await.unwrap();
        assert_eq!(
            (end.failure.kind, end.on_purpose, end.failure.detail.as_str()),
            (kind, on_purpose, detail),
            "{how}"
        );
        assert_eq!(end.failure.phase, Phase::Exchange);
        assert!(open.ping().await.is_err());
    }
    let quiet = Fake::tcp(|stream| async move {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let (_, respond) = connection.accept().await.unwrap().unwrap();
        answers(respond, SERVING, "0");
        let mut kept = vec![];
        while let Some(Ok(call)) = connection.accept().await {
            kept.push(call);
        }
    })
    .await;
    let mut open = Open::new(&names(&quiet), file(&quiet, json!({})), here()).await.unwrap();
    let said = open.ping().await.err().unwrap();
    assert!(said.starts_with("first_byte: timed_out"), "{said}");
}

#[tokio::test]
async fn without_the_credential_any_answer_will_do() {
    let refuses = server(|respond| answers(respond, b"", "16")).await;
    let net = names(&refuses);
    let secret = check(&net, file(&refuses, json!({"metadata": {"authorization": "Bearer hidden"}})));
    assert_eq!(turn(&net, &*secret, 0).await.words(), "down transfer unauthorized");
    assert_eq!(turn(&net, &*secret.without_credential().unwrap(), 0).await.words(), "up");
    assert!(check(&net, file(&refuses, json!({}))).without_credential().is_none());
}

#[test]
fn addresses_and_mistakes() {
    let read = |url: &str| {
        let file = CheckFile::from_url(&url.parse().unwrap())?;
        file.build(&net(&[])).map(|check| check.target()).map_err(|problem| problem.message)
    };
    assert_eq!(read("grpcs://a.test/shop.v1.Orders"), Ok("grpcs://a.test:443/shop.v1.Orders".to_owned()));
    assert_eq!(read("grpc://[::1]:50051"), Ok("grpc://[::1]:50051".to_owned()));
    assert!(read("grpc://a.test").unwrap_err().contains("port"));
    let wrong = |more: Value| {
        let mut file = json!({"address": "a.test:50051"});
        file.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let file: CheckFile = serde_json::from_value(json!({"grpc": file})).unwrap();
        let Err(problem) = file.build(&net(&[])) else { panic!("{more} is taken") };
        assert!(!format!("{problem:?}").contains("hidden"));
        problem.path.join(".")
    };
    assert_eq!(wrong(json!({"address": "a.test"})), "address");
    assert_eq!(wrong(json!({"address": "https://a.test:1"})), "address");
    assert_eq!(wrong(json!({"tls": {"insecure": true}})), "tls");
    assert_eq!(wrong(json!({"metadata": {"a b": "hidden"}})), "metadata.a b");
    assert_eq!(wrong(json!({"metadata": {"a": "hidden\n"}})), "metadata.a");
}

/// Against a health server that others wrote: gRPC's own for Python.
mod peers {
    use std::process::Command;

    use super::*;
    use crate::support::{
        peers::{Started, free_port, python},
        program::usoryou,
    };

    const SERVER: &str = r#"
import sys
from concurrent import futures
import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
plain, tls, bare, certificate, key = sys.argv[1:]
server = grpc.server(futures.ThreadPoolExecutor(4))
servicer = health.HealthServicer()
health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
servicer.set("", health_pb2.HealthCheckResponse.SERVING)
servicer.set("shop.v1.Orders", health_pb2.HealthCheckResponse.NOT_SERVING)
credentials = grpc.ssl_server_credentials([(open(key, "rb").read(), open(certificate, "rb").read())])
assert server.add_insecure_port("127.0.0.1:" + plain)
assert server.add_secure_port("127.0.0.1:" + tls, credentials)
server.start()
other = grpc.server(futures.ThreadPoolExecutor(1), options=[("grpc.max_connection_age_ms", 300), ("grpc.max_connection_age_grace_ms", 300)])
assert other.add_insecure_port("127.0.0.1:" + bare)
other.start()
print("ready", flush=True)
server.wait_for_termination()
"#;

    struct Health {
        _running: Started,
        folder: tempfile::TempDir,
        authority: Authority,
        plain: u16,
        tls: u16,
        bare: u16,
    }

    fn health() -> Option<Health> {
        let mut python = Command::new(python()?);
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        let (certificate, key) = authority.files(folder.path(), "localhost");
        let [plain, tls, bare] = [free_port(), free_port(), free_port()];
        python.args(["-c", SERVER, &plain.to_string(), &tls.to_string(), &bare.to_string()]).arg(certificate).arg(key);
        let mut running = Started::new(&mut python, folder.path());
        let ports = [plain, tls, bare];
        running.wait_for("health server", || {
            ports.iter().all(|port| std::net::TcpStream::connect(("127.0.0.1", *port)).is_ok()).then_some(())
        });
        Some(Health { _running: running, folder, authority, plain, tls, bare })
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_health_server_of_python() {
        let Some(server) = health() else { return };
        let net = net(&[]);
        let ask = async |file: Value| look(&net, json!({"grpc": file})).await;
        let plain = format!("127.0.0.1:{}", server.plain);
        assert_eq!(ask(json!({"address": plain})).await.words(), "up");
        let sick = ask(json!({"address": plain, "service": "shop.v1.Orders"})).await;
        assert_eq!(
            (sick.words().as_str(), sick.detail()),
            ("down transfer not_serving", "the server says NOT_SERVING")
        );
        let unknown = ask(json!({"address": plain, "service": "shop.v1.Nobody"})).await;
        assert_eq!(unknown.words(), "down transfer status_unexpected");
        assert!(unknown.detail().starts_with("NOT_FOUND"), "{}", unknown.detail());
        let secured = json!({
            "address": format!("grpcs://localhost:{}", server.tls), "ip": "4", "tls": {"ca_file": server.authority.file()}
        });
        assert_eq!(ask(secured).await.words(), "up");
        // Reachable, without a health service: it lives.
        let bare = json!({"address": format!("127.0.0.1:{}", server.bare)});
        let looked = ask(bare.clone()).await;
        assert_eq!((looked.words().as_str(), looked.gauge("probe_grpc_healthcheck_response")), ("up", Some(0.0)));

        let mut open = Open::new(&net, json!({"grpc": {"address": plain}}), here()).await.unwrap();
        for _ in 0..3 {
            open.ping().await.unwrap();
        }
        assert_eq!(open.listen(Duration::from_millis(100)).await, None);
        // This one lets no connection grow old.
        let mut open = Open::new(&net, json!({"grpc": bare}), here()).await.unwrap();
        let end = open.listen(Duration::from_secs(5)).await.unwrap();
        assert!(end.on_purpose, "{}", end.failure);
    }

    #[test]
    fn the_program_checks_it_by_its_url() {
        let Some(server) = health() else { return };
        let check = |words: &[&str]| {
            let out = usoryou(server.folder.path()).arg("check").args(words).output().unwrap();
            let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            (out.status.code(), said(&out.stdout), said(&out.stderr))
        };
        let (code, text, _) = check(&[&format!("grpc://127.0.0.1:{}", server.plain)]);
        assert_eq!(code, Some(0), "{text}");
        let (code, text, _) = check(&["--insecure", "-4", &format!("grpcs://localhost:{}", server.tls)]);
        assert_eq!(code, Some(0), "{text}");
        let (code, text, _) = check(&[&format!("grpc://127.0.0.1:{}/shop.v1.Orders", server.plain)]);
        assert_eq!((code, text.contains("NOT_SERVING")), (Some(1), true), "{text}");
        let (code, text, said) = check(&[&format!("grpc://127.0.0.1:{}", server.bare)]);
        assert_eq!((code, said.contains("UNIMPLEMENTED")), (Some(0), true), "{text}{said}");
    }
}
