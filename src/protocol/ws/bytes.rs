//! A WebSocket as a stream of bytes: each write is a binary message, and where messages begin and end does not show in
//! what is read.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_util::{Sink as _, Stream as _};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

use super::{WebSocket, broken, closed};
use crate::{
    model::{Failure, Kind, Phase},
    protocol::Attempt,
};

/// What is sent in one message at most.
const WRITE_AT_MOST: usize = 16 * 1024;

/// A WebSocket as a stream of bytes. Its errors hold a [`Failure`] with the words of WebSocket, which
/// [`crate::net::classify::io`] finds again.
#[derive(Debug)]
pub(in crate::protocol) struct Bytestream {
    socket: WebSocket,
    rest: Bytes,
    /// How the other side has closed.
    closed: Option<Failure>,
}

impl Bytestream {
    pub(super) fn new(socket: WebSocket) -> Self {
        Self { socket, rest: Bytes::new(), closed: None }
    }

    /// Begins an attempt on this connection, which was open already.
    pub(in crate::protocol) fn resume(&self, attempt: &mut Attempt) {
        self.socket.resume(attempt);
    }

    /// Says that it is over. The caller gives it little time.
    pub(in crate::protocol) async fn close(&mut self) {
        self.socket.close().await;
    }
}

impl AsyncRead for Bytestream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.rest.is_empty() {
            if let Some(failure) = &this.closed {
                return Poll::Ready(Err(io::Error::other(failure.clone())));
            }
            this.closed = match ready!(Pin::new(&mut this.socket.stream).poll_next(cx)) {
                Some(Ok(Message::Binary(bytes))) => {
                    this.rest = bytes;
                    None
                }
                Some(Ok(Message::Text(_))) => {
                    Some(Failure::new(Phase::Exchange, Kind::ProtocolError, "a text where bytes were due"))
                }
                Some(Ok(Message::Close(frame))) => Some(closed(frame.as_ref()).failure),
                Some(Ok(_)) => None,
                Some(Err(Error::Io(error))) => return Poll::Ready(Err(error)),
                Some(Err(error)) => Some(broken(&error).failure),
                // Without a close frame the library has said so before: this is an end in order.
                None => return Poll::Ready(Ok(())),
            };
        }
        let piece = this.rest.split_to(this.rest.len().min(buffer.remaining()));
        buffer.put_slice(&piece);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Bytestream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut stream = Pin::new(&mut self.get_mut().socket.stream);
        ready!(stream.as_mut().poll_ready(cx)).map_err(told)?;
        let piece = &bytes[..bytes.len().min(WRITE_AT_MOST)];
        stream.start_send(Message::Binary(Bytes::copy_from_slice(piece))).map_err(told)?;
        Poll::Ready(Ok(piece.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket.stream).poll_flush(cx).map_err(told)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket.stream).poll_close(cx).map_err(told)
    }
}

fn told(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        error => io::Error::other(broken(&error).failure),
    }
}
