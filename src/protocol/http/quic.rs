//! HTTP/3: a request over a QUIC connection. The one place of the protocols that knows the crates for it.

use bytes::{Buf as _, Bytes};
use h3::client::SendRequest;
use http::Response;
use tokio::task::AbortHandle;

use super::{line::Body, order::Order};
use crate::{
    model::{Failure, Phase},
    net::{Quic, classify},
    protocol::{Attempt, Secure},
};

/// What an answer's head may be at most.
const HEAD_AT_MOST: u64 = 64 * 1024;

/// A body on its way.
pub(in crate::protocol) type Incoming = h3::client::RequestStream<h3_quinn::BidiStream<Bytes>, Bytes>;

/// An open connection.
pub(super) struct Link {
    sender: SendRequest<h3_quinn::OpenStreams, Bytes>,
    driver: AbortHandle,
    // Closes with the last of these.
    _quic: Quic,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Link {
    /// Opens a connection for an order. The handshake is one phase, `connect`: transport and TLS are one exchange here.
    pub(super) async fn open(attempt: &mut Attempt, order: &Order, secure: &Secure) -> Result<Self, Failure> {
        let quic = attempt.quic(secure, &order.endpoint, order.elsewhere).await?;
        attempt.enter(Phase::Request, "chance to finish the request");
        let opening = h3_quinn::Connection::new(quic.connection.clone());
        let opened = h3::client::builder().max_field_section_size(HEAD_AT_MOST).send_grease(false).build(opening).await;
        let (mut driver, sender) = opened.map_err(|error| classify::http3_connection(Phase::Request, &error))?;
        let driving = tokio::spawn(async move {
            // How it ended is told to the request under way as well.
            let _ = driver.wait_idle().await;
        });
        Ok(Self { sender, driver: driving.abort_handle(), _quic: quic })
    }

    /// Whether the connection is still there.
    pub(super) fn is_open(&self) -> bool {
        self._quic.connection.close_reason().is_none()
    }

    /// Sends an order and waits for the head of the answer; stands in [`Phase::Transfer`] afterwards.
    pub(super) async fn send(&mut self, attempt: &mut Attempt, order: &Order) -> Result<Response<Body>, Failure> {
        let (request, body) = order.http3();
        let failed = |phase| move |error| classify::http3(phase, &error);
        let mut stream = self.sender.send_request(request).await.map_err(failed(Phase::Request))?;
        if !body.is_empty() {
            stream.send_data(body).await.map_err(failed(Phase::Request))?;
        }
        stream.finish().await.map_err(failed(Phase::Request))?;
        attempt.enter(Phase::FirstByte, "answer");
        let head = stream.recv_response().await.map_err(failed(Phase::FirstByte))?;
        attempt.enter(Phase::Transfer, "end of the answer");
        Ok(head.map(|()| Body::Quic(Box::new(stream))))
    }
}

/// The next piece of a body; `None` at its end.
pub(super) async fn next(body: &mut Incoming) -> Result<Option<Bytes>, Failure> {
    let piece = body.recv_data().await.map_err(|error| classify::http3(Phase::Transfer, &error))?;
    Ok(piece.map(|mut piece| piece.copy_to_bytes(piece.remaining())))
}
