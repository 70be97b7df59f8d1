//! HTTP/3 against a server of the tests, which misbehaves on request, and one of another make.

use std::{net::SocketAddr, process::Command, sync::Arc, time::Duration};

use bytes::{Buf as _, Bytes};
use h3::server::RequestStream;
use http::{Request, Response};
use quinn::crypto::rustls::QuicServerConfig;
use serde_json::{Value, json};
use tokio::{net::UdpSocket, sync::mpsc};
use usoryou::{
    model::{Connection, Phase},
    protocol::Check,
};

use crate::support::{
    certs::{Authority, Server},
    looking::{Looked, check, look, net, turn, turn_within},
    peers::{self, Started, free_port},
};

type Stream = RequestStream<h3_quinn::BidiStream<Bytes>, Bytes>;

/// A server; it stops when dropped.
struct Site {
    port: u16,
    endpoint: quinn::Endpoint,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.endpoint.close(0_u32.into(), b"");
    }
}

/// Serves each request with `serve`.
async fn site<F, W>(config: Arc<rustls::ServerConfig>, serve: F) -> Site
where
    F: Fn(Request<()>, Stream) -> W + Clone + Send + Sync + 'static,
    W: Future<Output = ()> + Send + 'static,
{
    let config = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(config).unwrap()));
    let endpoint = quinn::Endpoint::server(config, SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let (port, accepting) = (endpoint.local_addr().unwrap().port(), endpoint.clone());
    tokio::spawn(async move {
        while let Some(incoming) = accepting.accept().await {
            let serve = serve.clone();
            tokio::spawn(async move {
                let Ok(connection) = incoming.await else { return };
                let connection = h3_quinn::Connection::new(connection);
                let mut connection = h3::server::Connection::<_, Bytes>::new(connection).await.unwrap();
                while let Ok(Some(resolver)) = connection.accept().await {
                    let serve = serve.clone();
                    tokio::spawn(async move {
                        if let Ok((request, stream)) = resolver.resolve_request().await {
                            serve(request, stream).await;
                        }
                    });
                }
            });
        }
    });
    Site { port, endpoint }
}

fn config(authority: &Authority, server: Server<'_>) -> Arc<rustls::ServerConfig> {
    authority.server(Server { name: "a.test", alpn: &["h3"], ..server })
}

async fn hello(_: Request<()>, mut stream: Stream) {
    stream.send_response(Response::new(())).await.unwrap();
    stream.send_data(Bytes::from_static(b"hello")).await.unwrap();
    stream.finish().await.unwrap();
}

fn file(port: u16, authority: &Authority, more: &Value) -> Value {
    let mut http =
        json!({"url": format!("https://a.test:{port}/x?y=1"), "version": "3", "tls": {"ca_file": authority.file()}});
    http.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "http": http })
}

async fn looked(port: u16, authority: &Authority, more: Value) -> Looked {
    look(&net(&[("a.test", port)]), file(port, authority, &more)).await
}

fn phases(looked: &Looked) -> Vec<Phase> {
    looked.phases.iter().map(|(phase, _)| phase).collect()
}

#[tokio::test]
async fn a_server_that_works() {
    let authority = Authority::new();
    let (told, mut heard) = mpsc::unbounded_channel();
    let site = site(config(&authority, Server::default()), move |request, mut stream: Stream| {
        let told = told.clone();
        async move {
            let mut body = Vec::new();
            while let Ok(Some(mut piece)) = stream.recv_data().await {
                body.extend_from_slice(&piece.copy_to_bytes(piece.remaining()));
            }
            told.send((request, String::from_utf8(body).unwrap())).unwrap();
            hello(Request::new(()), stream).await;
        }
    })
    .await;
    let more =
        json!({"method": "POST", "body": "ping", "headers": {"X-Key": "k"}, "expect": {"body_contains": "hello"}});
    let looked = looked(site.port, &authority, more).await;
    assert_eq!(looked.words(), "up", "{}", looked.detail());
    assert_eq!(phases(&looked), [Phase::Connect, Phase::Request, Phase::FirstByte, Phase::Transfer]);
    let tls = looked.facts.tls.as_ref().unwrap();
    assert_eq!((tls.version.as_deref(), tls.alpn.as_deref()), (Some("1.3"), Some("h3")));
    assert_eq!(tls.subject.as_deref(), Some("CN=a.test"));
    assert_eq!((looked.facts.http_status, looked.facts.peer.unwrap().port()), (Some(200), site.port));
    assert_eq!(looked.gauge("probe_http_version"), Some(3.0));
    let (request, body) = heard.recv().await.unwrap();
    assert_eq!((request.method().as_str(), body.as_str()), ("POST", "ping"));
    assert_eq!(request.uri().to_string(), format!("https://a.test:{}/x?y=1", site.port));
    assert_eq!(request.headers()["x-key"], "k");
    assert!(request.headers()["user-agent"].to_str().unwrap().starts_with("usoryou/"));
}

#[tokio::test]
async fn cold_and_warm() {
    let authority = Authority::new();
    let site = site(config(&authority, Server::default()), hello).await;
    let net = net(&[("a.test", site.port)]);
    let both: Arc<dyn Check> = check(&net, file(site.port, &authority, &json!({"connection": "both"})));
    let (cold, warm) = (turn(&net, &*both, 0).await, turn(&net, &*both, 1).await);
    assert_eq!((cold.words().as_str(), warm.words().as_str()), ("up", "up"), "{}", warm.detail());
    assert_eq!((cold.facts.connection, warm.facts.connection), (Connection::Cold, Connection::Warm));
    assert_eq!(phases(&warm), [Phase::Request, Phase::FirstByte, Phase::Transfer]);
}

#[tokio::test]
async fn certificates() {
    let authority = Authority::new();
    for (server, words) in [
        (Server { until: Some((2021, 1, 1)), ..Server::default() }, "down tls certificate_expired"),
        (Server { self_signed: true, ..Server::default() }, "down tls certificate_untrusted"),
    ] {
        let site = site(config(&authority, server), hello).await;
        let looked = looked(site.port, &authority, json!({})).await;
        assert_eq!(looked.words(), words, "{}", looked.detail());
        assert_eq!(looked.facts.tls.unwrap().subject.as_deref(), Some("CN=a.test"));
    }
    let other = authority.server(Server { name: "b.test", alpn: &["h3"], ..Server::default() });
    let site_of_other = site(other, hello).await;
    assert_eq!(looked(site_of_other.port, &authority, json!({})).await.words(), "down tls certificate_name_mismatch");
    let old = site(authority.server(Server { name: "a.test", alpn: &["hq-29"], ..Server::default() }), hello).await;
    let looked = looked(old.port, &authority, json!({})).await;
    assert_eq!(
        (looked.words().as_str(), looked.detail()),
        ("down tls protocol_error", "the server does not offer HTTP/3")
    );
}

/// One address swallows packets, and on the other somebody answers: what that one says is the news.
#[tokio::test]
async fn a_certificate_is_refused_though_another_address_is_silent() {
    let authority = Authority::new();
    let expired = Server { name: "localhost", alpn: &["h3"], until: Some((2021, 1, 1)), ..Server::default() };
    let site = site(authority.server(expired), hello).await;
    let hole = UdpSocket::bind(("::1", site.port)).await.unwrap();
    let url = json!({"url": format!("https://localhost:{}/", site.port)});
    let net = net(&[]);
    let looked = turn_within(&net, &*check(&net, file(site.port, &authority, &url)), 0, LONG).await;
    assert_eq!(looked.words(), "down tls certificate_expired", "{}", looked.detail());
    assert!(looked.phases.total() < LONG / 2, "it waits for nobody");
    drop(hole);
}

#[tokio::test]
async fn udp_that_leads_nowhere() {
    let authority = Authority::new();
    // Packets are swallowed, as by a firewall; nobody listens; somebody answers nonsense.
    let hole = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let gone = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let noise = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let noisy = noise.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut bytes = [0; 2048];
        while let Ok((_, from)) = noise.recv_from(&mut bytes).await {
            let _ = noise.send_to(b"SSH-2.0-OpenSSH_9.9 and more of that kind", from).await;
        }
    });
    for port in [hole.local_addr().unwrap().port(), gone, noisy] {
        let looked = looked(port, &authority, json!({})).await;
        assert_eq!(looked.words(), "down connect timed_out");
        assert_eq!(
            looked.detail(),
            "no answer over UDP (it is blocked on the way, or nobody speaks QUIC there) within 400ms"
        );
        assert_eq!(looked.facts.peer.unwrap().port(), port);
    }
}

#[tokio::test]
async fn silent_and_cut_in_each_phase() {
    let authority = Authority::new();
    let config = config(&authority, Server::default());
    let silent = site(Arc::clone(&config), |_, stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let seen = looked(silent.port, &authority, json!({})).await;
    assert_eq!((seen.words().as_str(), seen.detail()), ("down first_byte timed_out", "no answer within 400ms"));
    let half = site(Arc::clone(&config), |_, mut stream: Stream| async move {
        stream.send_response(Response::new(())).await.unwrap();
        stream.send_data(Bytes::from_static(b"he")).await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    assert_eq!(looked(half.port, &authority, json!({})).await.words(), "down transfer timed_out");
    let reset = site(Arc::clone(&config), |_, mut stream: Stream| async move {
        stream.stop_stream(h3::error::Code::H3_INTERNAL_ERROR);
    })
    .await;
    let seen = looked(reset.port, &authority, json!({})).await;
    assert!(seen.words().starts_with("down first_byte "), "{} {}", seen.words(), seen.detail());
    let endless = site(config, |_, mut stream: Stream| async move {
        stream.send_response(Response::new(())).await.unwrap();
        while stream.send_data(Bytes::from_static(&[b'x'; 8192])).await.is_ok() {}
    })
    .await;
    let seen = looked(endless.port, &authority, json!({"expect": {"body_contains": "y"}})).await;
    assert_eq!(seen.words(), "down transfer body_too_large");
    assert!(seen.facts.http_status == Some(200) && seen.phases.total() < Duration::from_millis(400));
}

#[test]
fn what_goes_without_saying() {
    for (more, wanted) in [
        (json!({"url": "http://a.test/"}), "over TLS alone"),
        (json!({"url": "https://a.test/", "proxy": "http://p.test:1"}), "does not go through a proxy"),
    ] {
        let mut http = json!({"version": "3"});
        http.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let file: usoryou::protocol::CheckFile = serde_json::from_value(json!({ "http": http })).unwrap();
        let problem = file.build(&net(&[])).err().unwrap();
        assert_eq!(problem.path, ["version"]);
        assert!(problem.message.contains(wanted), "{}", problem.message);
    }
}

/// Enough for a program of another make on a busy machine.
const LONG: Duration = Duration::from_secs(20);

/// A server in Python (aioquic).
#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_another_make() {
    let Some(python) = peers::python() else { return };
    let (folder, authority, port) = (tempfile::tempdir().unwrap(), Authority::new(), free_port());
    let (certificate, key) = authority.files(folder.path(), "a.test");
    let server = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/http3_server.py");
    let mut python = Command::new(python);
    let mut running = Started::new(python.arg(server).arg(port.to_string()).arg(certificate).arg(key), folder.path());
    let log = running.log_file();
    running.wait_for("server", || std::fs::read_to_string(&log).unwrap().contains("ready").then_some(()));
    let net = net(&[("a.test", port)]);
    let ask = async |more: Value| turn_within(&net, &*check(&net, file(port, &authority, &more)), 0, LONG).await;

    let posted = json!({"method": "POST", "body": "ping", "expect": {"body_contains": "POST /x?y=1 ping"}});
    let looked = ask(posted).await;
    assert_eq!(looked.words(), "up", "{}", looked.detail());
    assert_eq!(phases(&looked), [Phase::Connect, Phase::Request, Phase::FirstByte, Phase::Transfer]);
    let sick = ask(json!({"url": format!("https://a.test:{port}/status/503")})).await;
    assert_eq!(sick.words(), "down first_byte status_unexpected", "{}", sick.detail());
    let closed = ask(json!({"url": format!("https://a.test:{port}/close")})).await;
    assert!(closed.words().starts_with("down first_byte "), "{} {}", closed.words(), closed.detail());
    let both = check(&net, file(port, &authority, &json!({"connection": "both"})));
    let turns = [turn_within(&net, &*both, 0, LONG).await, turn_within(&net, &*both, 1, LONG).await];
    assert_eq!(turns.map(|looked| looked.facts.connection), [Connection::Cold, Connection::Warm]);
}
