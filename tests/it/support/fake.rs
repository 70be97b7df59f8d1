//! Servers on loopback that misbehave on request.

use std::{future::Future, sync::Arc, time::Duration};

use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// A server; it stops when dropped.
pub struct Fake {
    pub port: u16,
    task: JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Whatever may be read from and written to.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Fake {
    /// Handles each connection with `serve`.
    pub async fn tcp<F, W>(serve: F) -> Self
    where
        F: Fn(TcpStream) -> W + Send + Sync + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(stream));
            }
        });
        Self { port, task }
    }

    /// The same inside TLS.
    pub async fn tls<F, W>(config: Arc<ServerConfig>, serve: F) -> Self
    where
        F: Fn(TlsStream<TcpStream>) -> W + Send + Sync + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        let acceptor = TlsAcceptor::from(config);
        let serve = Arc::new(serve);
        Self::tcp(move |stream| {
            let (acceptor, serve) = (acceptor.clone(), Arc::clone(&serve));
            async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream).await;
                }
            }
        })
        .await
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

/// A port on which nobody listens.
pub async fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

/// A port on which the kernel takes no more connections and does not say so: the handshake is not answered.
pub struct FullPort {
    pub port: u16,
    _kept: (socket2::Socket, Vec<std::net::TcpStream>),
}

impl FullPort {
    pub fn new() -> Self {
        let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        listener.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let connect = || std::net::TcpStream::connect_timeout(&address, Duration::from_millis(100));
        let waiting: Vec<_> = std::iter::from_fn(|| connect().ok()).take(16).collect();
        assert!(waiting.len() < 16, "the queue of the listener does not fill");
        Self { port: address.port(), _kept: (listener, waiting) }
    }
}

/// Says nothing more and keeps the connection.
pub async fn silence<S>(stream: S) {
    std::future::pending::<()>().await;
    drop(stream);
}

/// Ends the connection with RST.
pub fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
}

/// Reads the head of an HTTP/1.1 request; `None` when there is no more.
pub async fn request(stream: &mut impl Stream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).unwrap())
}

/// Reads something, such as a ClientHello.
pub async fn something(stream: &mut impl Stream) {
    let mut bytes = [0; 8192];
    let _ = stream.read(&mut bytes).await;
}

/// Answers every request on the connection with these bytes.
pub async fn answers(mut stream: impl Stream, answer: &[u8]) {
    while request(&mut stream).await.is_some() {
        if stream.write_all(answer).await.is_err() {
            break;
        }
        let _ = stream.flush().await;
    }
}

/// Sends bytes one at a time, slower than anybody waits.
pub async fn drip(mut stream: impl Stream, bytes: &[u8]) {
    for byte in bytes {
        tokio::time::sleep(Duration::from_millis(30)).await;
        if stream.write_all(&[*byte]).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
    silence(stream).await;
}

/// An answer with this body.
pub fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}
