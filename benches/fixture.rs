//! The two ends of `bench/run`: targets that answer at once (or after a known time), and the bare client loop, which does
//! nothing but connect, ask and read. Not a benchmark by itself.
//!
//! `fixture serve DIR` writes `DIR/ca.pem`, prints its ports as JSON and serves until its stdin closes.
//! `fixture bare http|https HOST:PORT DIR SECONDS CONCURRENCY` prints `{"probes":N,"cpu_us":…}`.
//! `fixture agent CONFIG WARM_UP SECONDS` runs the engine alone (schedule, probes, recording, metrics; what it sees is
//! counted and thrown away) and prints the same.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    unsafe_code,
    reason = "a measuring tool that stops when anything is wrong; getrusage has no safe wrapper here"
)]

use std::{
    io::Read as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UdpSocket},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Type: text/plain\r\n\r\nok\n";
const ASK: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bare\r\nConnection: close\r\n\r\n";
const HOLD: Duration = Duration::from_millis(50);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    rustls::crypto::aws_lc_rs::default_provider().install_default().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    match words.as_slice() {
        ["serve", dir] => runtime.block_on(serve(dir)),
        ["bare", scheme, address, dir, seconds, concurrency] => {
            let loops = Loop {
                tls: (*scheme == "https").then(|| connector(dir)),
                address: (*address).to_owned(),
                until: Instant::now() + Duration::from_secs_f64(seconds.parse().unwrap()),
            };
            let (probes, cpu) = runtime.block_on(bare(Arc::new(loops), concurrency.parse().unwrap()));
            println!("{{\"probes\":{probes},\"cpu_us\":{}}}", cpu.as_micros());
        }
        ["agent", config, warm_up, seconds_of] => {
            let seconds = |text: &str| Duration::from_secs_f64(text.parse().unwrap());
            let (probes, cpu) = runtime.block_on(agent(config, seconds(warm_up), seconds(seconds_of)));
            println!("{{\"probes\":{probes},\"cpu_us\":{}}}", cpu.as_micros());
        }
        // `cargo bench` without arguments runs every bench target: nothing to do for this one.
        _ => {}
    }
}

struct Loop {
    tls: Option<TlsConnector>,
    address: String,
    until: Instant,
}

async fn bare(loops: Arc<Loop>, concurrency: usize) -> (u64, Duration) {
    let done = Arc::new(AtomicU64::new(0));
    let before = cpu();
    let tasks: Vec<_> = (0..concurrency)
        .map(|_| {
            let (loops, done) = (Arc::clone(&loops), Arc::clone(&done));
            tokio::spawn(async move {
                let mut buffer = vec![0; 4096];
                while Instant::now() < loops.until {
                    let stream = TcpStream::connect(&loops.address).await.unwrap();
                    match &loops.tls {
                        Some(tls) => {
                            let name = "localhost".try_into().unwrap();
                            ask(tls.connect(name, stream).await.unwrap(), &mut buffer).await;
                        }
                        None => ask(stream, &mut buffer).await,
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    (done.load(Ordering::Relaxed), cpu() - before)
}

/// The engine of the product with the sink of a benchmark.
async fn agent(config: &str, warm_up: Duration, seconds: Duration) -> (u64, Duration) {
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
    let probing = tokio::spawn(engine.run(std::future::pending()));
    let good = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&good);
    tokio::spawn(async move {
        let mut batch = Vec::new();
        while facts.recv_many(&mut batch, 500).await > 0 {
            for seen in batch.drain(..) {
                let seen: usoryou::model::Observation = seen;
                assert_eq!(seen.outcome, usoryou::model::Outcome::Up, "{:?}", seen.failure);
                count.fetch_add(1, Ordering::Relaxed);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    tokio::time::sleep(warm_up).await;
    let (probes, before) = (good.load(Ordering::Relaxed), cpu());
    tokio::time::sleep(seconds).await;
    let done = (good.load(Ordering::Relaxed) - probes, cpu() - before);
    probing.abort();
    done
}

async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, buffer: &mut [u8]) {
    stream.write_all(ASK).await.unwrap();
    stream.flush().await.unwrap();
    let read = stream.read(buffer).await.unwrap();
    assert!(buffer[..read].starts_with(b"HTTP/1.1 200"));
}

fn connector(dir: &str) -> TlsConnector {
    let pem = std::fs::read(format!("{dir}/ca.pem")).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    for certificate in rustls::pki_types::pem::PemObject::pem_slice_iter(&pem) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let mut config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    TlsConnector::from(Arc::new(config))
}

/// User and system time of this process.
fn cpu() -> Duration {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: getrusage fills the struct that it is given, and any bit pattern of it is valid.
    let usage = unsafe {
        assert_eq!(libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()), 0);
        usage.assume_init()
    };
    let of = |t: libc::timeval| Duration::new(t.tv_sec.unsigned_abs(), u32::try_from(t.tv_usec).unwrap() * 1000);
    of(usage.ru_utime) + of(usage.ru_stime)
}

async fn serve(dir: &str) {
    let acceptor = acceptor(dir);
    // A long queue: what is measured is the client, not how quickly this side accepts.
    let listen = || {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        socket.listen(65_535).unwrap()
    };
    let (http, https, tcp, hold) = (listen(), listen(), listen(), listen());
    let dns = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    println!(
        "{{\"http\":{},\"https\":{},\"tcp\":{},\"hold\":{},\"dns\":{}}}",
        port(&http),
        port(&https),
        port(&tcp),
        port(&hold),
        dns.local_addr().unwrap().port()
    );
    tokio::spawn(accept(http, |stream| async move { answer(stream).await }));
    tokio::spawn(accept(https, move |stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                answer(stream).await;
            }
        }
    }));
    tokio::spawn(accept(tcp, |_| async {}));
    tokio::spawn(accept(hold, |stream| async move { hold_and_answer(stream).await }));
    tokio::spawn(answer_questions(dns));
    tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0])).await.unwrap().unwrap();
    std::process::exit(0);
}

async fn accept<F: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            tokio::spawn(serve(stream));
        }
    }
}

/// Answers every request on a connection until the other side closes it.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut buffer = [0; 4096];
    while matches!(stream.read(&mut buffer).await, Ok(1..)) {
        if stream.write_all(ANSWER).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}

/// Answers after a known time and prints how long it really was, in microseconds: the truth to compare with. The last
/// milliseconds are waited for actively, because timers round up.
async fn hold_and_answer(mut stream: TcpStream) {
    let mut buffer = [0; 4096];
    while matches!(stream.read(&mut buffer).await, Ok(1..)) {
        let began = Instant::now();
        tokio::time::sleep(HOLD - Duration::from_millis(3)).await;
        while began.elapsed() < HOLD {
            std::hint::spin_loop();
        }
        let held = began.elapsed();
        if stream.write_all(ANSWER).await.is_err() {
            return;
        }
        println!("held {}", held.as_nanos() as f64 / 1e3);
    }
}

/// Answers any question with 192.0.2.1: header and question come back with one record added.
async fn answer_questions(socket: UdpSocket) {
    let mut buffer = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        // The question ends with type and class after the zero byte that ends the name; EDNS behind it is left out.
        let Some(name) = buffer.get(12..length).and_then(|rest| rest.iter().position(|byte| *byte == 0)) else {
            continue;
        };
        let end = 12 + name + 1 + 4;
        if end > length {
            continue;
        }
        let mut answer = buffer[..end].to_vec();
        answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
        let _ = socket.send_to(&answer, from).await;
    }
}

fn acceptor(dir: &str) -> TlsAcceptor {
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let ca = authority.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    std::fs::write(format!("{dir}/ca.pem"), ca.pem()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config =
        rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![leaf.der().clone()], key).unwrap();
    TlsAcceptor::from(Arc::new(config))
}
