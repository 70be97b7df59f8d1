//! One HTTP connection: opened, used for a request, perhaps kept. HTTP/1.1 is driven by whoever waits for the answer;
//! HTTP/2 has tasks of its own, which end with the connection.

mod held;

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::future::Either;
use http::Response;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::{Frame, Incoming},
    client::conn::{http1, http2},
    rt::Executor as _,
};
use hyper_util::rt::TokioIo;

#[cfg(feature = "http3")]
use super::quic;
use super::{
    order::Order,
    tasks::Tasks,
    wire::{Frames, Marks, Stream, Wire},
};
use crate::{
    model::{Failure, Kind, Phase, TlsFacts},
    net::{Socket, classify},
    protocol::{Attempt, End, Proxy, Secure, proxy::refused_by_proxy},
};

/// What an answer's head may be at most.
const HEAD_AT_MOST: usize = 64 * 1024;

/// What an HTTP/2 peer may send ahead of our reading.
const WINDOW: u32 = 128 * 1024;

/// How to open a connection.
#[derive(Clone, Copy)]
pub(in crate::protocol) struct Opening<'a> {
    /// TLS, where the order asks for it.
    pub(in crate::protocol) secure: Option<&'a Secure>,
    /// HTTP/2 without TLS, or nothing but HTTP/2 with it.
    pub(in crate::protocol) http2_only: bool,
    /// Who makes the way.
    pub(in crate::protocol) proxy: Option<&'a Arc<Proxy>>,
}

/// A body on its way.
pub(in crate::protocol) enum Body {
    /// Of HTTP/1.1 and 2.
    Stream(Incoming),
    /// Of HTTP/3.
    #[cfg(feature = "http3")]
    Quic(Box<quic::Incoming>),
}

/// An open connection.
pub(in crate::protocol) struct Line {
    link: Link,
    marks: Arc<Marks>,
    /// The proxy to which requests are handed as they are.
    handed_to: Option<Arc<Proxy>>,
    /// Of a connection over TCP.
    socket: Option<Socket>,
    peer: Option<std::net::SocketAddr>,
    tls: Option<TlsFacts>,
}

enum Link {
    // Boxed: as large as everything else together, and moved when the connection is kept.
    Http1(http1::SendRequest<Full<Bytes>>, Box<Driver>),
    Http2(http2::SendRequest<Full<Bytes>>, Tasks),
    #[cfg(feature = "http3")]
    Quic(Box<quic::Link>),
}

/// The other half of an HTTP/1.1 connection; `None` once it has ended.
struct Driver(Option<http1::Connection<TokioIo<Wire>, Full<Bytes>>>);

impl Driver {
    fn poll(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = &mut self.0
            && Pin::new(connection).poll(cx).is_ready()
        {
            // How it ended is told to the request under way as well.
            self.0 = None;
        }
    }
}

impl Line {
    /// Opens a connection for an order, phase by phase, and stands in [`Phase::Request`] afterwards.
    pub(in crate::protocol) async fn open(
        attempt: &mut Attempt,
        order: &Order,
        opening: Opening<'_>,
    ) -> Result<Self, Failure> {
        let plain = opening.secure.is_none() && !opening.http2_only;
        let handed_to = opening.proxy.filter(|proxy| plain && proxy.takes_requests()).cloned();
        let way = match &handed_to {
            Some(proxy) => attempt.reach_proxy(proxy).await?,
            None => attempt.reach(&order.endpoint, opening.proxy.map(|proxy| &**proxy)).await?,
        };
        let socket = way.socket();
        let (stream, http2) = match opening.secure {
            None => (Stream::Plain(way), opening.http2_only),
            Some(secure) => {
                let host = &order.endpoint.host;
                let stream = if order.elsewhere {
                    attempt.secure_elsewhere(secure, host, way).await?
                } else {
                    attempt.secure(secure, host, way).await?
                };
                let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                if opening.http2_only && !http2 {
                    let detail = "the server does not offer HTTP/2";
                    return Err(Failure::new(Phase::Tls, Kind::ProtocolError, detail));
                }
                (Stream::Tls(Box::new(stream)), http2)
            }
        };
        attempt.enter(Phase::Request, "chance to finish the request");
        let marks = Marks::new();
        let io = TokioIo::new(Wire { stream, marks: Arc::clone(&marks), frames: http2.then(Frames::default) });
        let link = if http2 { Link::http2(io).await } else { Link::http1(io).await };
        let link = link.map_err(|error| classify::http(Phase::Request, &error))?;
        Ok(Self {
            link,
            marks,
            handed_to,
            socket: Some(socket),
            peer: attempt.facts.peer,
            tls: attempt.facts.tls.clone(),
        })
    }

    /// The same over QUIC.
    #[cfg(feature = "http3")]
    pub(super) async fn open_quic(attempt: &mut Attempt, order: &Order, secure: &Secure) -> Result<Self, Failure> {
        let link = Link::Quic(Box::new(quic::Link::open(attempt, order, secure).await?));
        let (peer, tls) = (attempt.facts.peer, attempt.facts.tls.clone());
        Ok(Self { link, marks: Marks::new(), handed_to: None, socket: None, peer, tls })
    }

    /// Enters [`Phase::Request`] on a connection that was kept; `false` when it has ended meanwhile.
    pub(in crate::protocol) async fn resume(&mut self, attempt: &mut Attempt) -> bool {
        attempt.facts.peer = self.peer;
        attempt.facts.tls.clone_from(&self.tls);
        if let Some(socket) = &self.socket {
            attempt.watch(socket.clone());
        }
        attempt.enter(Phase::Request, "chance to finish the request");
        match &mut self.link {
            Link::Http1(sender, driver) => {
                let mut ready = pin!(sender.ready());
                let ready = poll_fn(|cx| {
                    driver.poll(cx);
                    match ready.as_mut().poll(cx) {
                        // A connection that does not become ready at once still has something of the last answer to
                        // come: not one to measure with.
                        Poll::Pending => Poll::Ready(false),
                        Poll::Ready(ready) => Poll::Ready(ready.is_ok()),
                    }
                });
                ready.await && driver.0.is_some()
            }
            Link::Http2(sender, _) => sender.is_ready(),
            #[cfg(feature = "http3")]
            Link::Quic(link) => link.is_open(),
        }
    }

    /// Sends an order and waits for the head of the answer; stands in [`Phase::Transfer`] afterwards.
    pub(in crate::protocol) async fn send(
        &mut self,
        attempt: &mut Attempt,
        order: &Order,
    ) -> Result<Response<Body>, Failure> {
        self.marks.begin();
        let response = match &mut self.link {
            Link::Http1(sender, _) => Either::Left(sender.send_request(match &self.handed_to {
                None => order.request(false),
                Some(proxy) => order.whole_request(proxy.authorization().as_ref()),
            })),
            Link::Http2(sender, _) => Either::Right(sender.send_request(order.request(true))),
            #[cfg(feature = "http3")]
            Link::Quic(link) => return link.send(attempt, order).await,
        };
        match self.drive(attempt, response).await {
            Ok(response) => {
                if attempt.present_phase() != Phase::Transfer {
                    // On HTTP/2 the first byte is whatever frame comes first; the head is what was asked for.
                    self.answered(attempt, tokio::time::Instant::now());
                }
                let status = response.status().as_u16();
                if let Some(refused) = self.handed_to.as_ref().and_then(|_| refused_by_proxy(status)) {
                    return Err(refused);
                }
                Ok(response.map(Body::Stream))
            }
            Err(error) => Err(self.broken(attempt.present_phase(), &error)),
        }
    }

    /// The next piece of a body; `None` at its end.
    pub(in crate::protocol) async fn next(
        &mut self,
        attempt: &mut Attempt,
        body: &mut Body,
    ) -> Result<Option<Bytes>, Failure> {
        while let Some(frame) = self.frame(attempt, body).await? {
            if let Ok(piece) = frame.into_data() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }

    /// The next piece of a body, or what follows the last.
    pub(in crate::protocol) async fn frame(
        &mut self,
        attempt: &mut Attempt,
        body: &mut Body,
    ) -> Result<Option<Frame<Bytes>>, Failure> {
        let body = match body {
            Body::Stream(body) => body,
            #[cfg(feature = "http3")]
            Body::Quic(body) => return Ok(quic::next(body).await?.map(Frame::data)),
        };
        let frame = self.drive(attempt, body.frame()).await;
        frame.transpose().map_err(|error| self.broken(Phase::Transfer, &error))
    }

    /// What an error means; a good-bye that came just before the end says more than the end.
    fn broken(&self, phase: Phase, error: &hyper::Error) -> Failure {
        let failure = classify::http(phase, error);
        match self.marks.farewell().filter(|_| failure.kind == Kind::ClosedEarly) {
            Some(code) => classify::goaway(phase, code),
            None => failure,
        }
    }

    /// Waits until an HTTP/2 connection on which nothing is asked ends. Dropping the future loses nothing.
    pub(in crate::protocol) async fn ended(&mut self, phase: Phase) -> End {
        let closed = || Failure::new(phase, Kind::ClosedEarly, "connection closed");
        let Link::Http2(_, tasks) = &self.link else { return End { failure: closed(), on_purpose: false } };
        let mut ended = tasks.ended.subscribe();
        let failure = match ended.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(Some(failure))) if failure.kind != Kind::ClosedEarly => Failure { phase, ..failure.clone() },
            _ => closed(),
        };
        match self.marks.farewell() {
            // Without an error: it closes in order, as servers do that limit the age of connections.
            Some(code) => End { failure: classify::goaway(phase, code), on_purpose: code == 0 },
            None => End { failure, on_purpose: false },
        }
    }

    /// Whether the last request got any answer on this connection.
    pub(super) fn answered_anything(&self) -> bool {
        self.marks.answered().is_some()
    }

    /// Waits for something while the connection is driven, and moves the attempt from phase to phase meanwhile.
    async fn drive<T>(&mut self, attempt: &mut Attempt, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        let marks = Arc::clone(&self.marks);
        poll_fn(|cx| {
            let http1 = match &mut self.link {
                Link::Http1(_, driver) => {
                    driver.poll(cx);
                    true
                }
                Link::Http2(..) => {
                    marks.waker.register(cx.waker());
                    false
                }
                #[cfg(feature = "http3")]
                Link::Quic(_) => false,
            };
            let polled = work.as_mut().poll(cx);
            if attempt.present_phase() == Phase::Request
                && let Some(written) = marks.written()
            {
                attempt.enter_at(Phase::FirstByte, "answer", written);
            }
            if http1
                && attempt.present_phase() != Phase::Transfer
                && let Some(answered) = marks.answered()
            {
                attempt.enter_at(Phase::Transfer, "end of the answer", answered);
            }
            polled
        })
        .await
    }

    fn answered(&self, attempt: &mut Attempt, at: tokio::time::Instant) {
        if let (Phase::Request, Some(written)) = (attempt.present_phase(), self.marks.written()) {
            attempt.enter_at(Phase::FirstByte, "answer", written);
        }
        attempt.enter_at(Phase::Transfer, "end of the answer", at);
    }
}

impl Link {
    async fn http1(io: TokioIo<Wire>) -> hyper::Result<Self> {
        let (sender, connection) = http1::Builder::new().max_buf_size(HEAD_AT_MOST).handshake(io).await?;
        Ok(Self::Http1(sender, Box::new(Driver(Some(connection)))))
    }

    async fn http2(io: TokioIo<Wire>) -> hyper::Result<Self> {
        let tasks = Tasks::default();
        let (sender, connection) = http2::Builder::new(tasks.clone())
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .handshake(io)
            .await?;
        let ended = Arc::clone(&tasks.ended);
        tasks.execute(async move {
            // How it ended is told to the request under way as well.
            let end = connection.await.err().map(|error| classify::http(Phase::Exchange, &error));
            ended.send_replace(Some(end));
        });
        Ok(Self::Http2(sender, tasks))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Self::Http2(_, tasks) = self {
            tasks.stop();
        }
    }
}
