//! The `http` check against servers that behave well, badly and worse.

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use usoryou::model::{Connection, Phase};

use crate::support::{
    certs::{Authority, Server},
    fake::{self, Fake, answers, drip, request, reset, silence, something},
    looking::{Looked, check, look, net, turn},
};

async fn plain(fake: &Fake, more: Value) -> Looked {
    let mut http = json!({"url": fake.url("/")});
    http.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    look(&net(&[]), json!({"http": http})).await
}

/// Looks at `https://a.test` on the fake's port.
async fn secured(fake: &Fake, authority: &Authority, more: Value) -> Looked {
    let url = format!("https://a.test:{}/", fake.port);
    let mut http = json!({"url": url, "tls": {"ca_file": authority.file()}});
    http.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    look(&net(&[("a.test", fake.port)]), json!({"http": http})).await
}

fn phases(looked: &Looked) -> Vec<Phase> {
    looked.phases.iter().map(|(phase, _)| phase).collect()
}

#[tokio::test]
async fn a_server_that_works() {
    let fake = Fake::tcp(|stream| async { answers(stream, &fake::ok("hello")).await }).await;
    let looked = plain(&fake, json!({})).await;
    assert_eq!(looked.words(), "up");
    assert_eq!(phases(&looked), [Phase::Connect, Phase::Request, Phase::FirstByte, Phase::Transfer]);
    assert_eq!(looked.facts.http_status, Some(200));
    assert_eq!(looked.facts.peer.unwrap().port(), fake.port);
    assert!(looked.facts.tcp.unwrap().rtt > 0.0);
    assert_eq!(looked.facts.connection, Connection::Cold);
    assert_eq!(looked.gauge("probe_http_status_code"), Some(200.0));
    assert_eq!(looked.gauge("probe_http_content_length"), Some(5.0));
    assert_eq!(looked.gauge("probe_http_uncompressed_body_length"), Some(5.0));
    assert_eq!(looked.gauge("probe_http_version"), Some(1.1));
}

#[tokio::test]
async fn what_is_sent() {
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let fake = Fake::tcp(move |mut stream| {
        let told = told.clone();
        async move {
            told.send(request(&mut stream).await.unwrap()).unwrap();
            let mut body = [0; 4];
            tokio::io::AsyncReadExt::read_exact(&mut stream, &mut body).await.unwrap();
            told.send(String::from_utf8(body.to_vec()).unwrap()).unwrap();
            stream.write_all(&fake::ok("")).await.unwrap();
        }
    })
    .await;
    let looked = plain(&fake, json!({"method": "POST", "body": "ping", "headers": {"X-Key": "k"}})).await;
    assert_eq!(looked.words(), "up");
    let head = heard.recv().await.unwrap().to_ascii_lowercase();
    assert!(head.starts_with("post / http/1.1\r\n"), "{head}");
    for line in ["host: 127.0.0.1:", "user-agent: usoryou/", "x-key: k\r\n", "content-length: 4\r\n"] {
        assert!(head.contains(line), "{head}");
    }
    assert!(!head.contains("accept-encoding"), "{head}");
    assert_eq!(heard.recv().await.unwrap(), "ping");
}

#[tokio::test]
async fn silent_in_each_phase() {
    let accepts = Fake::tcp(silence).await;
    let looked = plain(&accepts, json!({})).await;
    assert_eq!(looked.words(), "down first_byte timed_out");
    assert_eq!(looked.detail(), "no answer within 400ms");
    assert!(looked.facts.tcp.is_some(), "the connection is asked about also when time is up");

    let hears = Fake::tcp(|mut stream| async {
        request(&mut stream).await;
        silence(stream).await;
    });
    assert_eq!(plain(&hears.await, json!({})).await.words(), "down first_byte timed_out");

    let begins = Fake::tcp(|mut stream| async {
        request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n").await.unwrap();
        silence(stream).await;
    });
    assert_eq!(plain(&begins.await, json!({})).await.words(), "down transfer timed_out");

    let half = Fake::tcp(|mut stream| async {
        request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1234").await.unwrap();
        silence(stream).await;
    });
    let looked = plain(&half.await, json!({})).await;
    assert_eq!(looked.words(), "down transfer timed_out");
    assert_eq!(looked.facts.http_status, Some(200));

    // Nobody reads what we send: more than the buffers of two sockets take.
    let deaf = Fake::tcp(silence).await;
    let looked = plain(&deaf, json!({"method": "POST", "body": "x".repeat(32 << 20)})).await;
    assert_eq!(looked.words(), "down request timed_out");

    let authority = Authority::new();
    let looked = secured(&accepts, &authority, json!({})).await;
    assert_eq!(looked.words(), "down tls timed_out");
    assert_eq!(looked.detail(), "no ServerHello within 400ms");
    let hears_hello = Fake::tcp(|mut stream| async {
        something(&mut stream).await;
        silence(stream).await;
    });
    assert_eq!(secured(&hears_hello.await, &authority, json!({})).await.words(), "down tls timed_out");
}

#[tokio::test]
async fn reset_in_each_phase() {
    let at_hello = Fake::tcp(|mut stream| async {
        something(&mut stream).await;
        reset(stream);
    });
    assert_eq!(secured(&at_hello.await, &Authority::new(), json!({})).await.words(), "down tls reset");

    let at_request = Fake::tcp(|mut stream| async {
        request(&mut stream).await;
        reset(stream);
    });
    assert_eq!(plain(&at_request.await, json!({})).await.words(), "down first_byte reset");

    let in_body = Fake::tcp(|mut stream| async {
        request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1234").await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        reset(stream);
    });
    assert_eq!(plain(&in_body.await, json!({})).await.words(), "down transfer reset");
}

#[tokio::test]
async fn closed_in_each_phase() {
    let at_hello = Fake::tcp(|mut stream| async move { something(&mut stream).await });
    assert_eq!(secured(&at_hello.await, &Authority::new(), json!({})).await.words(), "down tls closed_early");

    let at_request = Fake::tcp(|mut stream| async move {
        request(&mut stream).await;
    });
    assert_eq!(plain(&at_request.await, json!({})).await.words(), "down first_byte closed_early");

    let in_body = Fake::tcp(|mut stream| async move {
        request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1234").await.unwrap();
    });
    assert_eq!(plain(&in_body.await, json!({})).await.words(), "down transfer closed_early");
}

#[tokio::test]
async fn a_closed_port() {
    let port = fake::closed_port().await;
    let looked = look(&net(&[]), json!({"http": {"url": format!("http://127.0.0.1:{port}/")}})).await;
    assert_eq!(looked.words(), "down connect refused");
    assert_eq!(looked.facts.peer.unwrap().port(), port);
    assert_eq!(phases(&looked), [Phase::Connect]);
}

#[tokio::test]
async fn slow_drip() {
    let head = Fake::tcp(|mut stream| async {
        request(&mut stream).await;
        drip(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    });
    assert_eq!(plain(&head.await, json!({})).await.words(), "down transfer timed_out");
    let body = Fake::tcp(|mut stream| async {
        request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n").await.unwrap();
        drip(stream, &[b'x'; 999]).await;
    });
    assert_eq!(plain(&body.await, json!({})).await.words(), "down transfer timed_out");
}

#[tokio::test]
async fn statuses() {
    let table = [
        ("503 x", json!({}), "down first_byte status_unexpected"),
        ("401 x", json!({}), "down first_byte unauthorized"),
        ("403 x", json!({}), "down first_byte unauthorized"),
        ("429 x\r\nRetry-After: 7", json!({}), "down first_byte rate_limited"),
        ("401 x", json!({"expect": {"status": [200, 401]}}), "up"),
        ("302 x\r\nLocation: /y", json!({"redirects": 0, "expect": {"status": ["3xx"]}}), "up"),
        ("200 x\r\nX-A: 1", json!({"expect": {"header": {"x-a": "^2$"}}}), "down first_byte body_unexpected"),
    ];
    for (status, more, wanted) in table {
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").into_bytes();
        let fake = Fake::tcp(move |stream| {
            let answer = answer.clone();
            async move { answers(stream, &answer).await }
        });
        let looked = plain(&fake.await, more).await;
        assert_eq!(looked.words(), wanted, "{status}: {looked:?}");
        if status.starts_with("429") {
            assert_eq!(looked.facts.retry_after, Some(Duration::from_secs(7)));
        }
        if status.starts_with("503") {
            assert_eq!(looked.detail(), "got 503, expected 2xx");
        }
    }
}

#[tokio::test]
async fn bodies() {
    let fake = Fake::tcp(|stream| async { answers(stream, &fake::ok(r#"{"status":"pass"}"#)).await }).await;
    let expecting = |expect: Value| plain(&fake, json!({"expect": expect}));
    assert_eq!(expecting(json!({"body_contains": "pass"})).await.words(), "up");
    let looked = expecting(json!({"body_contains": "fail"})).await;
    assert_eq!(looked.words(), "down transfer body_unexpected");
    assert_eq!(looked.gauge("probe_failed_due_to_regex"), Some(1.0));
    assert_eq!(expecting(json!({"body_regex": "p.ss"})).await.words(), "up");
    assert_eq!(expecting(json!({"body_regex": "^p"})).await.words(), "down transfer body_unexpected");
    let json_at = |value: &str| json!({"json": [{"path": "$.status", "equals": value}]});
    assert_eq!(expecting(json_at("pass")).await.words(), "up");
    assert_eq!(expecting(json_at("warn")).await.words(), "down transfer body_unexpected");
}

#[tokio::test]
async fn an_endless_body() {
    let fake = Fake::tcp(|mut stream| async move {
        request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nmagic").await;
        while stream.write_all(&[b'x'; 8192]).await.is_ok() {}
    })
    .await;
    assert_eq!(plain(&fake, json!({})).await.words(), "up", "nobody asked for all of it");
    assert_eq!(plain(&fake, json!({"expect": {"body_contains": "magic"}})).await.words(), "up");
    let looked = plain(&fake, json!({"expect": {"body_contains": "absent"}})).await;
    assert_eq!(looked.words(), "down transfer body_too_large");
    let looked = plain(&fake, json!({"expect": {"json": [{"path": "$", "exists": true}]}})).await;
    assert_eq!(looked.words(), "down transfer body_too_large");
}

#[tokio::test]
async fn a_gzip_bomb() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..64 {
        encoder.write_all(&[0; 1 << 20]).unwrap();
    }
    let bomb = Arc::new(encoder.finish().unwrap());
    let fake = Fake::tcp(move |mut stream| {
        let bomb = Arc::clone(&bomb);
        async move {
            request(&mut stream).await;
            let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", bomb.len());
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(&bomb).await;
        }
    })
    .await;
    let looked = plain(&fake, json!({"expect": {"body_contains": "boom"}})).await;
    assert_eq!(looked.words(), "down transfer body_too_large");
}

#[tokio::test]
async fn a_compressed_body_is_read() {
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let fake = Fake::tcp(move |mut stream| {
        let told = told.clone();
        async move {
            told.send(request(&mut stream).await.unwrap()).unwrap();
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(b"hello hello hello").unwrap();
            let body = encoder.finish().unwrap();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(&body).await.unwrap();
        }
    })
    .await;
    assert_eq!(plain(&fake, json!({"expect": {"body_regex": "^(hello ?){3}$"}})).await.words(), "up");
    assert!(heard.recv().await.unwrap().to_ascii_lowercase().contains("accept-encoding: gzip"));
}

#[tokio::test]
async fn what_is_not_http() {
    let table: [(&[u8], &str); 4] = [
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "down transfer protocol_error"),
        (b"HTTP/1.1 200 OK\r\nbroken header\r\n\r\n", "down transfer protocol_error"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "down transfer protocol_error"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "down transfer protocol_error"),
    ];
    for (answer, wanted) in table {
        let fake = Fake::tcp(move |stream| async move { answers(stream, answer).await });
        assert_eq!(plain(&fake.await, json!({})).await.words(), wanted, "{}", String::from_utf8_lossy(answer));
    }
    let fake = Fake::tcp(|mut stream| async move {
        request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        for number in 0_u64.. {
            if stream.write_all(format!("X-{number}: {}\r\n", "y".repeat(200)).as_bytes()).await.is_err() {
                break;
            }
        }
    });
    let looked = plain(&fake.await, json!({})).await;
    assert_eq!(looked.words(), "down transfer protocol_error");
    assert_eq!(looked.detail(), "the head of the answer is too large");
}

#[tokio::test]
async fn redirects() {
    let looping = Fake::tcp(|stream| async {
        answers(stream, b"HTTP/1.1 302 x\r\nLocation: /again?token=1\r\nContent-Length: 0\r\n\r\n").await;
    })
    .await;
    let looked = plain(&looping, json!({"redirects": 3})).await;
    assert_eq!(looked.words(), "down first_byte redirect_limit");
    assert_eq!(looked.detail(), "more than 3 redirects");

    let good = Fake::tcp(|stream| async { answers(stream, &fake::ok("here")).await }).await;
    let to = good.url("/");
    let away = Fake::tcp(move |stream| {
        let answer = format!("HTTP/1.1 301 x\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
        async move { answers(stream, answer.as_bytes()).await }
    })
    .await;
    let looked = plain(&away, json!({"expect": {"body_contains": "here"}})).await;
    assert_eq!(looked.words(), "up", "{looked:?}");
    assert_eq!(looked.facts.peer.unwrap().port(), good.port);
    assert_eq!(looked.gauge("probe_http_redirects"), Some(1.0));

    let nowhere = Fake::tcp(|stream| async {
        answers(stream, b"HTTP/1.1 302 x\r\nLocation: ftp://a.test/?secret\r\nContent-Length: 0\r\n\r\n").await;
    })
    .await;
    let looked = plain(&nowhere, json!({})).await;
    assert_eq!(looked.words(), "down first_byte redirect_limit");
    assert!(!looked.detail().contains("secret"));
}

#[tokio::test]
async fn certificates() {
    let authority = Authority::new();
    let other = Authority::new();
    let table = [
        (Server { name: "a.test", ..Server::default() }, "up"),
        (Server { name: "a.test", tls12: true, ..Server::default() }, "up"),
        (Server { name: "a.test", until: Some((2024, 1, 1)), ..Server::default() }, "down tls certificate_expired"),
        (Server { name: "a.test", self_signed: true, ..Server::default() }, "down tls certificate_untrusted"),
        (Server { name: "b.test", ..Server::default() }, "down tls certificate_name_mismatch"),
    ];
    for (server, wanted) in table {
        let config = authority.server(server);
        let fake = Fake::tls(config, |stream| async { answers(stream, &fake::ok("")).await }).await;
        let looked = secured(&fake, &authority, json!({})).await;
        assert_eq!(looked.words(), wanted, "{looked:?}");
        let tls = looked.facts.tls.expect("what the server showed is known in every case");
        assert_eq!(tls.subject.unwrap(), format!("CN={}", server.name));
        assert_eq!(tls.spki_sha256.unwrap().len(), 64);
        assert!(tls.not_after.is_some());
        if wanted == "up" {
            assert_eq!(tls.version.as_deref(), Some(if server.tls12 { "1.2" } else { "1.3" }));
            assert!(tls.issuer.unwrap().contains("CN=Test Authority"));
            assert!(looked.gauges.iter().any(|gauge| gauge.name == "probe_ssl_last_chain_info"));
        }
        let anyway = secured(&fake, &authority, json!({"tls": {"insecure": true}})).await;
        assert_eq!(anyway.words(), "up");
        assert!(anyway.facts.tls.unwrap().not_after.is_some());
    }
    let stranger = other.server(Server { name: "a.test", ..Server::default() });
    let fake = Fake::tls(stranger, |stream| async { answers(stream, &fake::ok("")).await }).await;
    let looked = secured(&fake, &authority, json!({})).await;
    assert_eq!(looked.words(), "down tls certificate_untrusted");
    assert!(looked.detail().contains("CN=Test Authority"), "{}", looked.detail());
}

#[tokio::test]
async fn a_certificate_that_ends_soon() {
    use chrono::Datelike as _;
    let authority = Authority::new();
    let soon = chrono::Utc::now() + chrono::TimeDelta::days(6);
    let until = Some((soon.year(), u8::try_from(soon.month()).unwrap(), u8::try_from(soon.day()).unwrap()));
    let config = authority.server(Server { name: "a.test", until, ..Server::default() });
    let fake = Fake::tls(config, |stream| async { answers(stream, &fake::ok("")).await }).await;
    let days = |days: u32| json!({"tls": {"ca_file": authority.file(), "min_days_left": days}});
    let looked = secured(&fake, &authority, days(30)).await;
    assert_eq!(looked.words(), "degraded tls certificate_expired");
    assert_eq!(looked.detail(), "expires in 5 days");
    assert_eq!(secured(&fake, &authority, days(2)).await.words(), "up");
}

#[tokio::test]
async fn tls_alerts_and_nonsense() {
    let alert = Fake::tcp(|mut stream| async move {
        something(&mut stream).await;
        stream.write_all(&[0x15, 3, 3, 0, 2, 2, 40]).await.unwrap();
    });
    let looked = secured(&alert.await, &Authority::new(), json!({})).await;
    assert_eq!(looked.words(), "down tls tls_failed");
    assert_eq!(looked.detail(), "alert handshake_failure");

    let plain_http = Fake::tcp(|stream| async { answers(stream, &fake::ok("")).await });
    let plain_http = plain_http.await;
    let looked = secured(&plain_http, &Authority::new(), json!({})).await;
    assert_eq!(looked.words(), "down tls timed_out", "a server of HTTP waits for the end of a head");

    let banner = Fake::tcp(|mut stream| async move {
        stream.write_all(b"220 mail.test ESMTP\r\n").await.unwrap();
        silence(stream).await;
    });
    let looked = secured(&banner.await, &Authority::new(), json!({})).await;
    assert_eq!(looked.words(), "down tls tls_failed");
    assert_eq!(looked.detail(), "what came back is not TLS");
}

#[tokio::test]
async fn a_long_request_is_degraded() {
    let fake = Fake::tcp(|mut stream| async move {
        request(&mut stream).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        stream.write_all(&fake::ok("")).await.unwrap();
    });
    let looked = plain(&fake.await, json!({"expect": {"max_duration": "50ms"}})).await;
    assert_eq!(looked.words(), "degraded first_byte timed_out");
    let first_byte = looked.phases.get(Phase::FirstByte).unwrap();
    assert!((Duration::from_millis(99)..Duration::from_millis(150)).contains(&first_byte), "{first_byte:?}");
}

/// Counts its connections.
async fn counting(answer: &'static [u8], requests_each: u32) -> (Fake, Arc<AtomicU32>) {
    let connections = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&connections);
    let fake = Fake::tcp(move |mut stream| {
        counter.fetch_add(1, Relaxed);
        async move {
            for _ in 0..requests_each {
                if request(&mut stream).await.is_none() {
                    break;
                }
                stream.write_all(answer).await.unwrap();
            }
        }
    });
    (fake.await, connections)
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[tokio::test]
async fn a_warm_connection_is_kept() {
    let (fake, connections) = counting(OK, 3).await;
    let net = net(&[]);
    let check = check(&net, json!({"http": {"url": fake.url("/"), "connection": "warm"}}));
    let mut seen = Vec::new();
    for _ in 0..5 {
        let looked = turn(&net, &*check, 0).await;
        assert_eq!(looked.words(), "up");
        assert!(looked.facts.peer.is_some() && looked.facts.tcp.is_some());
        seen.push((looked.facts.connection, looked.phases.get(Phase::Connect).is_some()));
        // The server ends the connection after the third answer; the client learns of it before its next request.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (cold, warm) = ((Connection::Cold, true), (Connection::Warm, false));
    assert_eq!(seen, [cold, warm, warm, cold, warm]);
    assert_eq!(connections.load(Relaxed), 2);
}

#[tokio::test]
async fn a_kept_connection_that_is_closed_under_the_request_is_no_news() {
    let fake = Fake::tcp(|mut stream| async move {
        request(&mut stream).await;
        stream.write_all(OK).await.unwrap();
        request(&mut stream).await;
    })
    .await;
    let net = net(&[]);
    let check = check(&net, json!({"http": {"url": fake.url("/"), "connection": "warm"}}));
    for _ in 0..2 {
        let looked = turn(&net, &*check, 0).await;
        assert_eq!(looked.words(), "up");
        assert_eq!(looked.facts.connection, Connection::Cold);
        assert!(looked.phases.get(Phase::Connect).is_some());
    }
}

#[tokio::test]
async fn both_looks_at_one_connection_twice() {
    let (fake, connections) = counting(OK, 100).await;
    let net = net(&[]);
    let check = check(&net, json!({"http": {"url": fake.url("/"), "connection": "both"}}));
    assert_eq!(check.turns(), 2);
    for _ in 0..2 {
        assert_eq!(turn(&net, &*check, 0).await.facts.connection, Connection::Cold);
        assert_eq!(turn(&net, &*check, 1).await.facts.connection, Connection::Warm);
    }
    assert_eq!(connections.load(Relaxed), 2);
}

#[tokio::test]
async fn a_kept_connection_that_falls_silent_is_a_failure() {
    let fake = Fake::tcp(|mut stream| async move {
        request(&mut stream).await;
        stream.write_all(OK).await.unwrap();
        silence(stream).await;
    })
    .await;
    let net = net(&[]);
    let check = check(&net, json!({"http": {"url": fake.url("/"), "connection": "warm"}}));
    assert_eq!(turn(&net, &*check, 0).await.words(), "up");
    let looked = turn(&net, &*check, 0).await;
    assert_eq!(looked.words(), "down first_byte timed_out");
    assert_eq!(looked.facts.connection, Connection::Warm);
}

mod http2 {
    use super::*;

    /// An HTTP/2 server that answers every request with these status and body.
    async fn serve<S: crate::support::fake::Stream + 'static>(stream: S, body: &'static [u8]) {
        let Ok(mut connection) = h2::server::handshake(stream).await else { return };
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            let head = http::Response::builder().status(200).body(()).unwrap();
            let mut send = respond.send_response(head, false).unwrap();
            send.send_data(bytes::Bytes::from_static(body), true).unwrap();
        }
    }

    fn config(authority: &Authority) -> Arc<rustls::ServerConfig> {
        authority.server(Server { name: "a.test", alpn: &["h2", "http/1.1"], ..Server::default() })
    }

    #[tokio::test]
    async fn is_spoken_where_tls_offers_it() {
        let authority = Authority::new();
        let fake = Fake::tls(config(&authority), |stream| serve(stream, b"hello")).await;
        let looked = secured(&fake, &authority, json!({"expect": {"body_contains": "hello"}})).await;
        assert_eq!(looked.words(), "up", "{looked:?}");
        assert_eq!(looked.gauge("probe_http_version"), Some(2.0));
        assert_eq!(looked.facts.tls.as_ref().unwrap().alpn.as_deref(), Some("h2"));
        let wanted = [Phase::Connect, Phase::Tls, Phase::Request, Phase::FirstByte, Phase::Transfer];
        assert_eq!(phases(&looked), wanted);
        let plain = Fake::tcp(|stream| serve(stream, b"hello")).await;
        assert_eq!(super::plain(&plain, json!({"version": "2"})).await.words(), "up");
    }

    #[tokio::test]
    async fn is_not_offered() {
        let authority = Authority::new();
        let config = authority.server(Server { name: "a.test", ..Server::default() });
        let fake = Fake::tls(config, |stream| async { answers(stream, &fake::ok("")).await }).await;
        let looked = secured(&fake, &authority, json!({"version": "2"})).await;
        assert_eq!(looked.words(), "down tls protocol_error");
        assert_eq!(looked.detail(), "the server does not offer HTTP/2");
    }

    #[tokio::test]
    async fn a_warm_connection_is_kept() {
        let authority = Authority::new();
        let fake = Fake::tls(config(&authority), |stream| serve(stream, b"hello")).await;
        let net = net(&[("a.test", fake.port)]);
        let url = format!("https://a.test:{}/", fake.port);
        let file = json!({"url": url, "tls": {"ca_file": authority.file()}, "connection": "warm"});
        let check = check(&net, json!({"http": file}));
        for wanted in [Connection::Cold, Connection::Warm, Connection::Warm] {
            let looked = turn(&net, &*check, 0).await;
            assert_eq!(looked.words(), "up");
            assert_eq!(looked.facts.connection, wanted);
            assert!(looked.facts.tls.is_some());
        }
    }

    #[tokio::test]
    async fn a_server_that_says_nothing() {
        let fake = Fake::tcp(silence).await;
        assert_eq!(plain(&fake, json!({"version": "2"})).await.words(), "down first_byte timed_out");
        let greets = Fake::tcp(|stream| async {
            let connection = h2::server::handshake(stream).await;
            silence(connection).await;
        });
        assert_eq!(plain(&greets.await, json!({"version": "2"})).await.words(), "down first_byte timed_out");
    }

    #[tokio::test]
    async fn a_server_that_says_good_bye() {
        // SETTINGS, then GOAWAY that takes no stream, for the reason 11.
        let frames: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11];
        let fake = Fake::tcp(move |mut stream| async move {
            something(&mut stream).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            stream.write_all(frames).await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        });
        let looked = plain(&fake.await, json!({"version": "2"})).await;
        assert_eq!(looked.words(), "down first_byte closed_early", "{looked:?}");
        assert_eq!(looked.detail(), "HTTP/2 GOAWAY: enhance your calm");

        let fake = Fake::tcp(|stream| async {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            let _request = connection.accept().await;
            connection.abrupt_shutdown(h2::Reason::INTERNAL_ERROR);
            while connection.accept().await.is_some() {}
        });
        assert_eq!(plain(&fake.await, json!({"version": "2"})).await.words(), "down first_byte closed_early");

        let fake = Fake::tcp(|stream| async {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                respond.send_reset(h2::Reason::REFUSED_STREAM);
            }
        });
        let looked = plain(&fake.await, json!({"version": "2"})).await;
        assert_eq!(looked.words(), "down first_byte reset");
    }

    #[tokio::test]
    async fn a_server_of_http1() {
        let fake = Fake::tcp(|mut stream| async move {
            something(&mut stream).await;
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await.unwrap();
            silence(stream).await;
        });
        let looked = plain(&fake.await, json!({"version": "2"})).await;
        assert_eq!(looked.words(), "down first_byte protocol_error", "{looked:?}");
    }
}
