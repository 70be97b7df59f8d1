//! Well-behaved servers of several protocols on loopback, for comparing two clients of the same target.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    http::{StatusCode, header},
    response::Redirect,
    routing::get,
};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UdpSocket},
};
use tokio_rustls::{TlsAcceptor, rustls};

/// How long `/slow` holds its first byte.
pub const HOLD: Duration = Duration::from_millis(200);

/// The servers, each at its port.
pub struct Targets {
    pub http: SocketAddr,
    pub https: SocketAddr,
    /// Shows a certificate for `other.test`.
    pub https_other_name: SocketAddr,
    /// Answers NOERROR with an address to anything but names under `nothing.`, which do not exist; UDP and TCP.
    pub dns: SocketAddr,
    /// Greets with `220 ready`.
    pub banner: SocketAddr,
    /// Takes no connection.
    pub closed: SocketAddr,
    /// The authority that signed the certificates.
    pub ca_file: PathBuf,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Targets {
    /// Starts them all; the authority's certificate goes to `folder`.
    pub fn start(folder: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let ca_file = folder.join("ca.pem");
        let issuer = authority(&ca_file);
        let (right, wrong) = (certificate(&issuer, "localhost"), certificate(&issuer, "other.test"));
        let mut targets = runtime.block_on(async {
            let secure = |acceptor: TlsAcceptor| {
                move |stream| {
                    let acceptor = acceptor.clone();
                    async move {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            serve_http(stream).await;
                        }
                    }
                }
            };
            let greet = |mut stream: TcpStream| async move {
                let _ = stream.write_all(b"220 ready\r\n").await;
                let _ = stream.read(&mut [0; 64]).await;
            };
            let unused = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            Self {
                http: listen(serve_http).await,
                https: listen(secure(right)).await,
                https_other_name: listen(secure(wrong)).await,
                dns: serve_dns().await,
                banner: listen(greet).await,
                closed: unused.local_addr().unwrap(),
                ca_file,
                runtime: None,
            }
        });
        targets.runtime = Some(runtime);
        targets
    }
}

async fn listen<F, S>(serve: S) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
    S: Fn(TcpStream) -> F + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

async fn serve_http<S>(stream: S)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let site = Router::new()
        .route("/", get(async || "hello, this body is known\n").post(async || "posted\n"))
        .route("/500", get(async || (StatusCode::INTERNAL_SERVER_ERROR, "oh no")))
        .route("/redirect", get(async || Redirect::temporary("/")))
        .route("/dated", get(async || ([(header::LAST_MODIFIED, "Wed, 21 Oct 2015 07:28:00 GMT")], "old")))
        .route(
            "/slow",
            get(async || {
                tokio::time::sleep(HOLD).await;
                "at last"
            }),
        )
        .route(
            "/chunked",
            get(async || {
                let chunks = ["one ", "two ", "three"].map(Ok::<_, std::convert::Infallible>);
                axum::body::Body::from_stream(futures_util::stream::iter(chunks))
            }),
        );
    let connection = hyper::server::conn::http1::Builder::new();
    let _ = connection.serve_connection(TokioIo::new(stream), TowerToHyperService::new(site)).await;
}

/// A DNS server over UDP and TCP on one port.
async fn serve_dns() -> SocketAddr {
    let (udp, tcp) = loop {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
            break (udp, tcp);
        }
    };
    let address = udp.local_addr().unwrap();
    tokio::spawn(async move {
        let mut question = [0; 512];
        while let Ok((length, from)) = udp.recv_from(&mut question).await {
            let _ = udp.send_to(&answer(&question[..length]), from).await;
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = tcp.accept().await {
            tokio::spawn(async move {
                while let Ok(length) = stream.read_u16().await {
                    let mut question = vec![0; length.into()];
                    if stream.read_exact(&mut question).await.is_err() {
                        return;
                    }
                    let answer = answer(&question);
                    let framed = [&u16::try_from(answer.len()).unwrap().to_be_bytes()[..], &answer].concat();
                    let _ = stream.write_all(&framed).await;
                }
            });
        }
    });
    address
}

/// RFC 1035 by hand: the question again, then 192.0.2.1 under the same name.
fn answer(question: &[u8]) -> Vec<u8> {
    let mut end = 12;
    while question[end] != 0 {
        end += 1 + usize::from(question[end]);
    }
    end += 5;
    let missing = question[12..].starts_with(b"\x07nothing");
    let mut out = question[..2].to_vec();
    out.extend([0x81, if missing { 0x83 } else { 0x80 }, 0, 1, 0, u8::from(!missing), 0, 0, 0, 0]);
    out.extend(&question[12..end]);
    if !missing {
        out.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
    }
    out
}

fn authority(file: &Path) -> Issuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "Test authority");
    params.not_after = rcgen::date_time_ymd(2095, 1, 1);
    let key = KeyPair::generate().unwrap();
    std::fs::write(file, params.self_signed(&key).unwrap().pem()).unwrap();
    Issuer::new(params, key)
}

fn certificate(issuer: &Issuer<'static, KeyPair>, name: &str) -> TlsAcceptor {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_after = rcgen::date_time_ymd(2090, 1, 1);
    let key = KeyPair::generate().unwrap();
    let chain = vec![params.signed_by(&key, issuer).unwrap().der().clone()];
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}
