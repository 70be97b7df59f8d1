//! The `tcp` and `tls` checks, and the way to a peer that all checks share.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsAcceptor;
use usoryou::{
    model::Phase,
    net::{Net, Resolver},
};

use crate::support::{
    certs::{Authority, Server},
    fake::{self, Fake, FullPort, drip, reset, silence, something},
    looking::{Looked, look, net},
    nameserver::{self, Nameserver},
};

async fn tcp(fake: &Fake, more: Value) -> Looked {
    let mut file = json!({"address": format!("a.test:{}", fake.port)});
    file.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    look(&net(&[("a.test", fake.port)]), json!({"tcp": file})).await
}

async fn tls(fake: &Fake, authority: &Authority, expect: Value) -> Looked {
    let file = json!({
        "address": format!("a.test:{}", fake.port), "tls": {"ca_file": authority.file()}, "expect": expect
    });
    look(&net(&[("a.test", fake.port)]), json!({"tls": file})).await
}

#[tokio::test]
async fn a_connection_alone() {
    let fake = Fake::tcp(silence).await;
    let looked = tcp(&fake, json!({})).await;
    assert_eq!(looked.words(), "up");
    assert_eq!(looked.phases.iter().map(|(phase, _)| phase).collect::<Vec<_>>(), [Phase::Connect]);
    assert!(looked.facts.tcp.is_some());
    let port = fake::closed_port().await;
    let closed = look(&net(&[]), json!({"tcp": {"address": format!("127.0.0.1:{port}")}})).await;
    assert_eq!(closed.words(), "down connect refused");
}

#[tokio::test]
async fn sending_and_expecting() {
    let echo = Fake::tcp(|mut stream| async move {
        let mut bytes = [0; 4];
        stream.read_exact(&mut bytes).await.unwrap();
        for byte in bytes {
            stream.write_all(&[byte]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let looked = tcp(&echo, json!({"send": "PING", "expect_regex": "^PING$"})).await;
    assert_eq!(looked.words(), "up");
    assert!(looked.phases.get(Phase::Exchange).unwrap() >= Duration::from_millis(15));
    let looked = tcp(&echo, json!({"send": "PONG", "expect_regex": "^PING$"})).await;
    assert_eq!(looked.words(), "down exchange body_unexpected");
    assert_eq!(looked.gauge("probe_failed_due_to_regex"), Some(1.0));
    let looked = tcp(&echo, json!({"send": "PI", "expect_regex": "^PING$"})).await;
    assert_eq!(looked.words(), "down exchange timed_out");
}

#[tokio::test]
async fn servers_that_do_not_answer() {
    let expecting = || json!({"expect_regex": "^220 "});
    let quiet = Fake::tcp(silence).await;
    assert_eq!(tcp(&quiet, expecting()).await.words(), "down exchange timed_out");
    let closes = Fake::tcp(|stream| async move { drop(stream) }).await;
    assert_eq!(tcp(&closes, expecting()).await.words(), "down exchange closed_early");
    let resets = Fake::tcp(|stream| async move {
        tokio::time::sleep(Duration::from_millis(30)).await;
        reset(stream);
    });
    assert_eq!(tcp(&resets.await, expecting()).await.words(), "down exchange reset");
    let slow = Fake::tcp(|stream| drip(stream, &[b'x'; 999])).await;
    assert_eq!(tcp(&slow, expecting()).await.words(), "down exchange timed_out");
    let endless = Fake::tcp(|mut stream| async move { while stream.write_all(&[b'x'; 8192]).await.is_ok() {} }).await;
    assert_eq!(tcp(&endless, expecting()).await.words(), "down exchange body_too_large");
    let wrong = Fake::tcp(|mut stream| async move { stream.write_all(b"554 no\r\n").await.unwrap() }).await;
    assert_eq!(tcp(&wrong, expecting()).await.words(), "down exchange body_unexpected");
}

/// Says each of `words` after something was heard (the first at once where `greets`), then speaks TLS.
async fn converted(mut stream: TcpStream, acceptor: TlsAcceptor, greets: bool, words: &[&str]) {
    for (position, words) in words.iter().enumerate() {
        if position > 0 || !greets {
            something(&mut stream).await;
        }
        stream.write_all(words.as_bytes()).await.unwrap();
    }
    if let Ok(mut stream) = acceptor.accept(stream).await {
        let _ = stream.write_all(b"welcome").await;
        silence(stream).await;
    }
}

#[tokio::test]
async fn start_tls() {
    let authority = Authority::new();
    let smtp: &[&str] = &["220-hello\r\n220 mail.test\r\n", "250-mail.test\r\n250 STARTTLS\r\n", "220 go\r\n"];
    let imap: &[&str] = &["* OK hello\r\n", "* CAPABILITY IMAP4rev1\r\na OK go\r\n"];
    for (protocol, greets, words) in [("smtp", true, smtp), ("imap", true, imap), ("postgres", false, &["S"])] {
        let acceptor = TlsAcceptor::from(authority.server(Server { name: "a.test", ..Server::default() }));
        let fake = Fake::tcp(move |stream| converted(stream, acceptor.clone(), greets, words)).await;
        let options = json!({
            "start_tls": protocol, "tls": {"ca_file": authority.file()}, "expect_regex": "^welcome$"
        });
        let looked = tcp(&fake, options).await;
        assert_eq!(looked.words(), "up", "{protocol}: {looked:?}");
        let phases: Vec<_> = looked.phases.iter().map(|(phase, _)| phase).collect();
        assert_eq!(phases, [Phase::Connect, Phase::Tls, Phase::Upgrade, Phase::Exchange]);
        assert_eq!(looked.facts.tls.unwrap().subject.as_deref(), Some("CN=a.test"));
    }
    let quiet = Fake::tcp(silence).await;
    for protocol in ["smtp", "imap", "postgres"] {
        assert_eq!(tcp(&quiet, json!({"start_tls": protocol})).await.words(), "down upgrade timed_out");
    }
    let refuses = Fake::tcp(|mut stream| async move { stream.write_all(b"N").await.unwrap() }).await;
    assert_eq!(tcp(&refuses, json!({"start_tls": "postgres"})).await.words(), "down upgrade upgrade_refused");
}

#[tokio::test]
async fn handshakes() {
    let authority = Authority::new();
    let table = [
        (Server { name: "a.test", ..Server::default() }, json!({}), "up"),
        (Server { name: "a.test", ..Server::default() }, json!({"issuer": "^CN=Test Authority"}), "up"),
        (Server { name: "a.test", ..Server::default() }, json!({"issuer": "R11"}), "down tls certificate_untrusted"),
        (Server { name: "a.test", ..Server::default() }, json!({"not_after_in": "30d"}), "up"),
        (
            Server { name: "a.test", ..Server::default() },
            json!({"not_after_in": "9999d"}),
            "down tls certificate_expired",
        ),
        (
            Server { name: "a.test", until: Some((2023, 1, 1)), ..Server::default() },
            json!({}),
            "down tls certificate_expired",
        ),
        (
            Server { name: "a.test", self_signed: true, ..Server::default() },
            json!({}),
            "down tls certificate_untrusted",
        ),
        (Server { name: "b.test", ..Server::default() }, json!({}), "down tls certificate_name_mismatch"),
    ];
    for (server, expect, wanted) in table {
        let fake = Fake::tls(authority.server(server), silence).await;
        let looked = tls(&fake, &authority, expect).await;
        assert_eq!(looked.words(), wanted, "{looked:?}");
        assert!(looked.facts.tls.unwrap().not_after.is_some());
    }
}

#[tokio::test]
async fn handshakes_that_do_not_end() {
    let authority = Authority::new();
    let look = |fake| async move { tls(&fake, &Authority::new(), json!({})).await.words() };
    assert_eq!(look(Fake::tcp(silence).await).await, "down tls timed_out");
    let resets = Fake::tcp(|mut stream| async move {
        something(&mut stream).await;
        reset(stream);
    });
    assert_eq!(look(resets.await).await, "down tls reset");
    let closes = Fake::tcp(|mut stream| async move { something(&mut stream).await });
    assert_eq!(look(closes.await).await, "down tls closed_early");
    let slow = Fake::tcp(|stream| drip(stream, &[0x16, 3, 3, 0x40, 0, 2, 0, 0x3f, 0xfc, 3, 3, 0, 0, 0, 0, 0]));
    assert_eq!(look(slow.await).await, "down tls timed_out");
    let alert = Fake::tcp(|mut stream| async move {
        something(&mut stream).await;
        stream.write_all(&[0x15, 3, 3, 0, 2, 2, 70]).await.unwrap();
        silence(stream).await;
    });
    let looked = tls(&alert.await, &authority, json!({})).await;
    assert_eq!(looked.words(), "down tls tls_failed");
    assert_eq!(looked.detail(), "alert protocol_version");
}

#[tokio::test]
async fn a_handshake_that_is_not_answered() {
    let full = FullPort::new();
    for target in [
        json!({"tcp": {"address": format!("127.0.0.1:{}", full.port)}}),
        json!({"tls": {"address": format!("127.0.0.1:{}", full.port)}}),
        json!({"http": {"url": format!("http://127.0.0.1:{}/", full.port)}}),
    ] {
        let looked = look(&net(&[]), target).await;
        assert_eq!(looked.words(), "down connect timed_out");
        assert_eq!(looked.facts.peer.unwrap().port(), full.port);
    }
}

#[tokio::test]
async fn a_silent_address_is_overtaken() {
    let (full, open) = (FullPort::new(), Fake::tcp(silence).await);
    let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let mut peer = None;
    let began = std::time::Instant::now();
    usoryou::net::connect(&[address(full.port), address(open.port)], &mut peer).await.unwrap();
    assert_eq!(peer, Some(address(open.port)));
    let took = began.elapsed();
    assert!((Duration::from_millis(240)..Duration::from_millis(500)).contains(&took), "{took:?}");
}

#[tokio::test]
async fn a_family_that_fails_is_overtaken() {
    let nameserver =
        Nameserver::udp(|question, _| vec![nameserver::addresses(question, &["::1", "127.0.0.1"]).to_vec().unwrap()])
            .await;
    let resolver = Resolver::with_servers(vec![nameserver.address]);
    let net = Arc::new(Net { resolver, ..Net::default() });
    let only_v4 = Fake::tcp(silence).await;
    let address = format!("both.test:{}", only_v4.port);
    let looked = look(&net, json!({"tcp": {"address": address}})).await;
    assert_eq!(looked.words(), "up");
    assert_eq!(looked.facts.peer, Some(SocketAddr::from(([127, 0, 0, 1], only_v4.port))));
    assert_eq!(looked.facts.resolver, Some(nameserver.address.to_string()));
    assert!(looked.phases.get(Phase::Resolve).is_some());
    assert!(looked.phases.get(Phase::Connect).unwrap() < Duration::from_millis(100));
    let looked = look(&net, json!({"tcp": {"address": address, "ip": "6"}})).await;
    assert!(looked.words().starts_with("down connect") || looked.words().starts_with("inconclusive connect"));
}

/// A network whose only name server does what it is told with each question: answer with a code, or nothing.
async fn resolving(code: Option<u8>) -> Arc<Net> {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let server: SocketAddr = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut bytes = [0; 512];
        loop {
            let (length, client) = socket.recv_from(&mut bytes).await.unwrap();
            let Some(code) = code else { continue };
            // The question comes back as an answer without records.
            let mut answer = bytes[..length].to_vec();
            answer[2] |= 0x80;
            answer[3] = 0x80 | code;
            answer[10..12].copy_from_slice(&[0, 0]);
            let question = 12 + answer[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
            answer.truncate(question);
            socket.send_to(&answer, client).await.unwrap();
        }
    });
    Arc::new(Net { resolver: Resolver::with_servers(vec![server]), ..Net::default() })
}

#[tokio::test]
async fn names() {
    let targets = [
        json!({"http": {"url": "https://unknown.test/"}}),
        json!({"tcp": {"address": "unknown.test:25"}}),
        json!({"tls": {"address": "unknown.test"}}),
    ];
    let table = [
        (Some(3), "down resolve name_not_found"),
        (Some(2), "down resolve resolver_failed"),
        (None, "down resolve timed_out"),
    ];
    for (code, wanted) in table {
        let net = resolving(code).await;
        for target in &targets {
            let looked = look(&net, target.clone()).await;
            let words = looked.words();
            // A server that says nothing: the resolver may give up before the deadline does.
            assert!(words == wanted || (code.is_none() && words == "down resolve resolver_failed"), "{looked:?}");
            assert_eq!(looked.facts.peer, None);
        }
    }
}

#[tokio::test]
async fn families() {
    let fake = Fake::tcp(silence).await;
    let looked = look(&net(&[]), json!({"tcp": {"address": fake.address(), "ip": "6"}})).await;
    assert_eq!(looked.words(), "down resolve name_not_found");
    let looked = look(&net(&[]), json!({"tcp": {"address": fake.address(), "ip": "4"}})).await;
    assert_eq!(looked.words(), "up");
    assert!(looked.facts.peer.unwrap().is_ipv4());
}
