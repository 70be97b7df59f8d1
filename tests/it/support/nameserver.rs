//! A nameserver that misbehaves on request: UDP and TCP (or TLS) on the same port, each with its own script.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use hickory_proto::{
    op::{Message, ResponseCode},
    rr::{Name, RData, Record, RecordType, rdata},
};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

/// What a stream brings after the question.
pub enum Stream {
    /// A whole message.
    Whole(Message),
    /// These bytes as they are, then the end.
    Raw(Vec<u8>),
    /// Nothing, for ever.
    Silence,
}

type Datagrams = Box<dyn Fn(&Message, usize) -> Vec<Vec<u8>> + Send + Sync>;
type Streams = Arc<dyn Fn(&Message) -> Stream + Send + Sync>;

/// A nameserver on loopback; it ends with its last handle.
pub struct Nameserver {
    pub address: SocketAddr,
    /// Datagrams that have arrived.
    pub asked: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Nameserver {
    /// Answers each datagram with what `udp` makes of it and its number, and each stream with what `tcp` makes.
    pub async fn start(
        udp: impl Fn(&Message, usize) -> Vec<Vec<u8>> + Send + Sync + 'static,
        tcp: impl Fn(&Message) -> Stream + Send + Sync + 'static,
    ) -> Self {
        Self::launch(Box::new(udp), Arc::new(tcp), None).await
    }

    /// Datagrams alone; streams are closed at once.
    pub async fn udp(udp: impl Fn(&Message, usize) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Self {
        Self::start(udp, |_| Stream::Raw(Vec::new())).await
    }

    /// Streams alone; datagrams vanish.
    pub async fn tcp(tcp: impl Fn(&Message) -> Stream + Send + Sync + 'static) -> Self {
        Self::start(|_, _| Vec::new(), tcp).await
    }

    /// Streams over TLS with a certificate for a name.
    pub async fn tls(certificate: &Certificate, tcp: impl Fn(&Message) -> Stream + Send + Sync + 'static) -> Self {
        Self::launch(Box::new(|_, _| Vec::new()), Arc::new(tcp), Some(certificate.acceptor(&[]))).await
    }

    async fn launch(udp: Datagrams, tcp: Streams, tls: Option<TlsAcceptor>) -> Self {
        let (socket, listener) = same_port().await;
        let (address, asked) = (socket.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let (mut tasks, count) = (JoinSet::new(), Arc::clone(&asked));
        tasks.spawn(async move {
            let mut buffer = [0; 4096];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                let question = Message::from_vec(&buffer[..length]).unwrap();
                for answer in udp(&question, count.fetch_add(1, Ordering::SeqCst)) {
                    socket.send_to(&answer, from).await.unwrap();
                }
            }
        });
        tasks.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (tls, tcp) = (tls.clone(), Arc::clone(&tcp));
                tokio::spawn(async move {
                    match tls {
                        // A client that refuses the certificate is what some tests are about.
                        Some(tls) => drop(serve(tls.accept(stream).await.ok()?, tcp).await),
                        None => drop(serve(stream, tcp).await),
                    }
                    Some(())
                });
            }
        });
        Self { address, asked, _tasks: tasks }
    }

    /// Datagrams that have arrived.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, tcp: Streams) -> std::io::Result<()> {
    let length = stream.read_u16().await?;
    let mut question = vec![0; length.into()];
    stream.read_exact(&mut question).await?;
    match tcp(&Message::from_vec(&question).unwrap()) {
        Stream::Whole(answer) => {
            let answer = answer.to_vec().unwrap();
            stream.write_u16(answer.len().try_into().unwrap()).await?;
            stream.write_all(&answer).await?;
        }
        Stream::Raw(bytes) => stream.write_all(&bytes).await?,
        Stream::Silence => std::future::pending().await,
    }
    stream.shutdown().await
}

async fn same_port() -> (UdpSocket, TcpListener) {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        if let Ok(socket) = UdpSocket::bind(listener.local_addr().unwrap()).await {
            return (socket, listener);
        }
    }
}

/// A server over HTTPS that answers every request with these bytes and closes.
pub async fn https(
    certificate: &Certificate,
    answer: impl Fn(&Message) -> Vec<u8> + Send + Sync + 'static,
) -> Nameserver {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (mut tasks, tls) = (JoinSet::new(), certificate.acceptor(&["http/1.1"]));
    tasks.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = tls.accept(stream).await else { continue };
            let question = read_request(&mut stream).await;
            stream.write_all(&answer(&question)).await.unwrap();
            let _ = stream.shutdown().await;
        }
    });
    Nameserver { address, asked: Arc::default(), _tasks: tasks }
}

/// The same over HTTP/2, with hyper on the other side.
pub async fn https2(
    certificate: &Certificate,
    answer: impl Fn(&Message) -> Vec<u8> + Send + Sync + 'static,
) -> Nameserver {
    use http_body_util::{BodyExt as _, Full};
    use hyper_util::rt::{TokioExecutor, TokioIo};
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (mut tasks, tls, answer) = (JoinSet::new(), certificate.acceptor(&["h2"]), Arc::new(answer));
    tasks.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let stream = tls.accept(stream).await.unwrap();
            let answer = Arc::clone(&answer);
            let service = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
                let answer = Arc::clone(&answer);
                async move {
                    let question = request.into_body().collect().await.unwrap().to_bytes();
                    let body = answer(&Message::from_vec(&question).unwrap());
                    let response = http::Response::builder().header("content-type", "application/dns-message");
                    Ok::<_, std::convert::Infallible>(response.body(Full::new(bytes::Bytes::from(body))).unwrap())
                }
            });
            tokio::spawn(async move {
                let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    Nameserver { address, asked: Arc::default(), _tasks: tasks }
}

async fn read_request(stream: &mut tokio_rustls::server::TlsStream<TcpStream>) -> Message {
    let mut request = Vec::new();
    loop {
        assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0, "the client closed");
        let Some(head) = request.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let text = String::from_utf8_lossy(&request[..head]).to_ascii_lowercase();
        assert!(text.starts_with("post /dns-query http/1.1\r\n"), "{text}");
        assert!(text.contains("content-type: application/dns-message"), "{text}");
        let length = text.split("content-length: ").nth(1).unwrap().lines().next().unwrap().parse::<usize>().unwrap();
        if let Some(body) = request.get(head + 4..head + 4 + length) {
            return Message::from_vec(body).unwrap();
        }
    }
}

/// A self-signed certificate, its own authority.
pub struct Certificate {
    pub pem: String,
    der: rustls::pki_types::CertificateDer<'static>,
    key: Vec<u8>,
}

impl Certificate {
    /// For a host name or an address.
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
        Self { pem: certificate.pem(), der: certificate.der().clone(), key: key.serialize_der() }
    }

    fn acceptor(&self, alpn: &[&str]) -> TlsAcceptor {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.clone()));
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.der.clone()], key)
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// An answer to a question, so far empty.
pub fn reply(question: &Message) -> Message {
    let mut reply = Message::response(question.metadata.id, question.metadata.op_code);
    reply.add_query(question.queries[0].clone());
    reply
}

/// An answer that is an error.
pub fn error(question: &Message, rcode: ResponseCode) -> Message {
    let mut reply = reply(question);
    reply.metadata.response_code = rcode;
    reply
}

/// An answer with those of these addresses that are of the wanted family, with a time to live of a minute.
pub fn addresses(question: &Message, addresses: &[&str]) -> Message {
    let (mut reply, query) = (reply(question), &question.queries[0]);
    for address in addresses {
        let data = match address.parse().unwrap() {
            IpAddr::V4(address) => RData::A(address.into()),
            IpAddr::V6(address) => RData::AAAA(address.into()),
        };
        if data.record_type() == query.query_type() || query.query_type() == RecordType::ANY {
            reply.add_answer(Record::from_rdata(query.name().clone(), 60, data));
        }
    }
    reply
}

/// A CNAME record.
pub fn alias(from: &str, to: &str) -> Record {
    let name = |text: &str| Name::from_ascii(text).unwrap();
    Record::from_rdata(name(from), 60, RData::CNAME(rdata::CNAME(name(to))))
}

/// One datagram.
pub fn one(message: &Message) -> Vec<Vec<u8>> {
    vec![message.to_vec().unwrap()]
}
