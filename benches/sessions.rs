//! The two ends of `bench/sessions`: a server of TLS WebSockets, and the engine that holds them. Not a benchmark by itself.
//!
//! `sessions serve DIR PORT` writes `DIR/ca.pem` (once; a server that returns has the same key), prints `ready PORT`, and
//! `open N MICROS` for each connection that has become a WebSocket, with the time since 1970.
//! `sessions hold CONFIG` runs the engine alone: schedule, sessions, recording, metrics; what it sees is counted by kind of
//! connection and outcome, and printed every second.
//! `sessions bare CA PORT COUNT SECONDS BURST` is the least that a client can be, for comparison: blocking sockets, one
//! thread, nothing measured or kept. It asks COUNT sessions in turn, each every SECONDS, BURST of them at a time.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a measuring tool that stops when anything is wrong"
)]

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime},
};

use futures_util::StreamExt as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    rustls::crypto::aws_lc_rs::default_provider().install_default().unwrap();
    match words.as_slice() {
        ["serve", dir, port] => runtime().block_on(serve(Path::new(dir), port.parse().unwrap())),
        ["hold", config] => runtime().block_on(hold(config)),
        ["bare", ca, port, count, seconds, burst] => {
            bare(ca, port, count.parse().unwrap(), seconds.parse().unwrap(), burst.parse().unwrap());
        }
        // `cargo bench` without arguments runs every bench target: nothing to do for this one.
        _ => {}
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn hold(config: &str) {
    let net = usoryou::net::Net::system(Vec::new()).unwrap();
    let read = usoryou::config::read(config.as_ref(), &|_| None, &net, &Default::default());
    let plan = read.unwrap_or_else(|mistakes| panic!("{mistakes}")).plan;
    let (sink, mut facts) = tokio::sync::mpsc::channel(4096);
    let engine = usoryou::engine::Engine {
        observer: usoryou::engine::Observer::new(net, plan.vantage.clone(), Arc::clone(&plan.hash)),
        metrics: usoryou::metrics::Metrics::new("bench"),
        plan: tokio::sync::watch::channel(plan).1,
        placement: usoryou::engine::unplaced(),
        sink,
    };
    tokio::spawn(engine.run(std::future::pending()));
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut batch: Vec<usoryou::model::Observation> = Vec::new();
    // Microseconds that answers on open connections took, of the last ten thousand.
    let mut answers: std::collections::VecDeque<u64> = std::collections::VecDeque::new();
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            _ = facts.recv_many(&mut batch, 500) => {
                for seen in batch.drain(..) {
                    let key = format!("{} {}", seen.connection.word(), seen.outcome);
                    *counts.entry(key).or_default() += 1;
                    if seen.connection == usoryou::model::Connection::Warm {
                        answers.push_back(u64::try_from(seen.duration.as_micros()).unwrap());
                        answers.drain(..answers.len().saturating_sub(10_000));
                    }
                }
            }
            _ = tick.tick() => {
                let mut sorted: Vec<u64> = answers.iter().copied().collect();
                sorted.sort_unstable();
                for (name, part) in [("p50 µs", 50), ("p99 µs", 99)] {
                    if let Some(took) = sorted.get(sorted.len() * part / 100) {
                        counts.insert(name.to_owned(), *took);
                    }
                }
                println!("{}", serde_json::to_string(&counts).unwrap());
            }
        }
    }
}

/// Opens all sessions, then asks them for ever. A ping is a `write` and a `read` in order; what lies between two bursts
/// is one `sleep`.
fn bare(ca: &str, port: &str, count: u32, seconds: u32, burst: usize) {
    let config = trusting(ca);
    let mut sessions: Vec<_> = (0..count).map(|_| upgraded(&config, port)).collect();
    println!("{{}}");
    let (pause, began) = (Duration::from_secs(seconds.into()) / count, Instant::now());
    let mut asked = 0;
    loop {
        for batch in sessions.chunks_mut(burst) {
            for session in &mut *batch {
                session.write_all(PING).unwrap();
            }
            for session in &mut *batch {
                session.read_exact(&mut [0; PONG]).unwrap();
            }
            asked += u32::try_from(batch.len()).unwrap();
            std::thread::sleep((began + pause * asked).saturating_duration_since(Instant::now()));
        }
    }
}

/// A masked ping with eight bytes, as long as those of the engine; the mask is zero.
const PING: &[u8] = &[0x89, 0x88, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
/// Bytes of the answer, which is not masked.
const PONG: usize = 10;

type Blocking = rustls::StreamOwned<rustls::ClientConnection, std::net::TcpStream>;

fn trusting(ca: &str) -> Arc<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    Arc::new(rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

fn upgraded(config: &Arc<rustls::ClientConfig>, port: &str) -> Blocking {
    let socket = std::net::TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    socket.set_nodelay(true).unwrap();
    let session = rustls::ClientConnection::new(Arc::clone(config), "localhost".try_into().unwrap()).unwrap();
    let mut stream = rustls::StreamOwned::new(session, socket);
    let head = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.extend(byte);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "));
    stream
}

async fn serve(dir: &Path, port: u16) {
    let acceptor = acceptor(dir);
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(([127, 0, 0, 1], port).into()).unwrap();
    let listener = socket.listen(65_535).unwrap();
    println!("ready {}", listener.local_addr().unwrap().port());
    let open = Arc::new(AtomicU64::new(0));
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(acceptor.clone(), stream, Arc::clone(&open)));
        }
    }
}

/// Answers pings until the other side is gone.
async fn answer(acceptor: TlsAcceptor, stream: TcpStream, open: Arc<AtomicU64>) {
    let _ = stream.set_nodelay(true);
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let config = WebSocketConfig::default().read_buffer_size(512).write_buffer_size(0);
    let accepted = Box::pin(tokio_tungstenite::accept_async_with_config(stream, Some(config))).await;
    let Ok(mut socket) = accepted else { return };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    println!("open {} {}", open.fetch_add(1, Relaxed) + 1, now.as_micros());
    while let Some(Ok(_)) = socket.next().await {}
}

fn acceptor(dir: &Path) -> TlsAcceptor {
    let (leaf, key) = (dir.join("leaf.der"), dir.join("key.der"));
    if !leaf.exists() {
        make_certificates(dir, &leaf, &key);
    }
    let leaf = CertificateDer::from(std::fs::read(leaf).unwrap());
    let key = PrivateKeyDer::try_from(std::fs::read(key).unwrap()).unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![leaf], key).unwrap();
    TlsAcceptor::from(Arc::new(config))
}

fn make_certificates(dir: &Path, leaf_file: &Path, key_file: &Path) {
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let ca = authority.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let leaf = rcgen::CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    std::fs::write(dir.join("ca.pem"), ca.pem()).unwrap();
    std::fs::write(key_file, key.serialize_der()).unwrap();
    std::fs::write(leaf_file, leaf.der()).unwrap();
}
