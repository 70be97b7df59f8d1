//! The two ends of `bench/sessions`: a server of TLS WebSockets, and the engine that holds them. Not a benchmark by itself.
//!
//! `sessions serve DIR PORT` writes `DIR/ca.pem` (once; a server that returns has the same key), prints `ready PORT`, and
//! `open N MICROS` for each connection that has become a WebSocket, with the time since 1970.
//! `sessions hold CONFIG` runs the engine alone: schedule, sessions, recording, metrics; what it sees is counted by kind of
//! connection and outcome, and printed every second.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a measuring tool that stops when anything is wrong"
)]

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use futures_util::StreamExt as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
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
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            _ = facts.recv_many(&mut batch, 500) => {
                for seen in batch.drain(..) {
                    let key = format!("{} {}", seen.connection.word(), seen.outcome);
                    *counts.entry(key).or_default() += 1;
                }
            }
            _ = tick.tick() => println!("{}", serde_json::to_string(&counts).unwrap()),
        }
    }
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
