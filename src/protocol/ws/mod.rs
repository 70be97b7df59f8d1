//! WebSocket as a client (RFC 6455), for every protocol that travels on it: the upgrade as a phase of its own, then
//! messages both ways. Owns how what goes wrong is told; must not know what the messages mean.

mod bytes;
mod call;
mod upgrade;

use std::net::SocketAddr;

use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{self, protocol::CloseFrame},
};

pub(super) use self::bytes::Bytestream;
pub(super) use call::Call;
pub(super) use tokio_tungstenite::tungstenite::{Bytes, Utf8Bytes};

use super::{Attempt, End, link::Link};
use crate::{
    model::{Connection, Failure, Phase},
    net::classify,
};

/// What a message, or a frame of one, may be at most.
pub(super) const MESSAGE_AT_MOST: usize = 256 * 1024;

/// A message that came in. Pings are answered before anybody sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    /// A text.
    Text(Utf8Bytes),
    /// Bytes.
    Binary(Bytes),
    /// The answer to a ping of ours, with what the ping carried.
    Pong(Bytes),
}

/// An open WebSocket. Small while nothing travels on it.
#[derive(Debug)]
pub(super) struct WebSocket {
    stream: WebSocketStream<Link>,
    peer: Option<SocketAddr>,
    pings: u32,
}

impl WebSocket {
    /// The next message. Dropping the future loses nothing.
    ///
    /// # Errors
    /// How the connection ended, in [`Phase::Exchange`].
    pub(super) async fn read(&mut self) -> Result<Message, End> {
        loop {
            match self.stream.next().await {
                Some(Ok(tungstenite::Message::Text(text))) => return Ok(Message::Text(text)),
                Some(Ok(tungstenite::Message::Binary(bytes))) => return Ok(Message::Binary(bytes)),
                Some(Ok(tungstenite::Message::Pong(payload))) => return Ok(Message::Pong(payload)),
                Some(Ok(tungstenite::Message::Close(frame))) => {
                    // The answer to it is on its way as far as that needs no waiting.
                    let _ = self.stream.flush().now_or_never();
                    return Err(closed(frame.as_ref()));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(broken(&error)),
                None => return Err(broken(&tungstenite::Error::ConnectionClosed)),
            }
        }
    }

    /// Sends a text.
    ///
    /// # Errors
    /// How the connection ended.
    pub(super) async fn send_text(&mut self, text: &str) -> Result<(), End> {
        self.send(tungstenite::Message::text(text)).await
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// How the connection ended.
    #[expect(dead_code, reason = "for protocols that travel on this one")]
    pub(super) async fn send_binary(&mut self, bytes: Bytes) -> Result<(), End> {
        self.send(tungstenite::Message::Binary(bytes)).await
    }

    /// Asks with a ping, and waits for the pong that belongs to it. What else comes meanwhile goes to `other`.
    ///
    /// # Errors
    /// How the connection ended.
    pub(super) async fn ping(&mut self, mut other: impl FnMut(Message)) -> Result<(), End> {
        self.pings = self.pings.wrapping_add(1);
        let payload = Bytes::copy_from_slice(&self.pings.to_be_bytes());
        self.send(tungstenite::Message::Ping(payload.clone())).await?;
        loop {
            match self.read().await? {
                Message::Pong(answer) if answer == payload => return Ok(()),
                // The answer to a ping before it, or to none: RFC 6455 §5.5.3 allows both.
                Message::Pong(_) => {}
                message => other(message),
            }
        }
    }

    /// Says that it is over, and waits until the other side has said so too. The caller gives it little time.
    pub(super) async fn close(&mut self) {
        let frame = CloseFrame { code: 1000.into(), reason: Utf8Bytes::default() };
        if self.stream.close(Some(frame)).await.is_ok() {
            while let Some(Ok(_)) = self.stream.next().await {}
        }
    }

    /// Says that it is over, and waits for nothing.
    pub(super) fn part(&mut self) {
        let frame = CloseFrame { code: 1000.into(), reason: Utf8Bytes::default() };
        let _ = self.stream.close(Some(frame)).now_or_never();
    }

    /// Begins an attempt on this connection, which was open already.
    pub(super) fn resume(&self, attempt: &mut Attempt) {
        attempt.facts.connection = Connection::Warm;
        attempt.facts.peer = self.peer;
        attempt.watch(self.stream.get_ref().socket().clone());
    }

    /// The connection as a stream of bytes, each write a binary message: what MQTT and others make of it.
    pub(super) fn into_bytes(self) -> Bytestream {
        Bytestream::new(self)
    }

    async fn send(&mut self, message: tungstenite::Message) -> Result<(), End> {
        self.stream.send(message).await.map_err(|error| broken(&error))
    }
}

fn broken(error: &tungstenite::Error) -> End {
    End { failure: classify::websocket(Phase::Exchange, error), on_purpose: false }
}

fn closed(frame: Option<&CloseFrame>) -> End {
    let (failure, on_purpose) = classify::close_code(Phase::Exchange, frame.map(|frame| frame.code.into()));
    End { failure, on_purpose }
}

impl From<End> for Failure {
    fn from(end: End) -> Self {
        end.failure
    }
}

/// Takes bytes for the answer to an upgrade.
#[cfg(any(test, fuzzing))]
pub(super) fn parse(bytes: &[u8]) {
    upgrade::parse(bytes);
}
