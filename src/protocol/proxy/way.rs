//! A connection to the target, of our own or through a proxy: what a protocol reads from and writes to. Must not know how
//! the way was made.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio_rustls::client::TlsStream;

use super::broken;
use crate::{model::Failure, net::Socket};

/// A connection to the target: of our own, or through a proxy.
#[derive(Debug)]
pub struct Way {
    socket: Socket,
    /// TLS with the proxy, where it speaks that.
    secured: Option<Box<TlsStream<Socket>>>,
    /// What came together with the proxy's answer.
    pub(super) early: BytesMut,
}

impl Way {
    pub(super) fn direct(socket: Socket) -> Self {
        Self { socket, secured: None, early: BytesMut::new() }
    }

    pub(super) fn secured(socket: Socket, stream: TlsStream<Socket>) -> Self {
        Self { socket, secured: Some(Box::new(stream)), early: BytesMut::new() }
    }

    /// The connection that the kernel knows.
    #[must_use]
    pub fn socket(&self) -> Socket {
        self.socket.clone()
    }

    pub(super) async fn asks<const N: usize>(&mut self, said: &[u8]) -> Result<[u8; N], Failure> {
        self.write_all(said).await.map_err(broken)?;
        self.flush().await.map_err(broken)?;
        let mut answer = [0; N];
        self.read_exact(&mut answer).await.map_err(broken)?;
        Ok(answer)
    }
}

/// Calls the same method of whichever stream it is.
macro_rules! stream {
    ($way:expr, $method:ident($($argument:expr),*)) => {{
        let way = $way.get_mut();
        match &mut way.secured {
            None => Pin::new(&mut way.socket).$method($($argument),*),
            Some(stream) => Pin::new(&mut **stream).$method($($argument),*),
        }
    }};
}

impl AsyncRead for Way {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.early.is_empty() {
            let length = self.early.len().min(buffer.remaining());
            buffer.put_slice(self.early.get(..length).unwrap_or_default());
            self.early.advance(length);
            return Poll::Ready(Ok(()));
        }
        stream!(self, poll_read(cx, buffer))
    }
}

impl AsyncWrite for Way {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        stream!(self, poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        stream!(self, poll_write_vectored(cx, parts))
    }

    fn is_write_vectored(&self) -> bool {
        self.secured.is_none()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        stream!(self, poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        stream!(self, poll_shutdown(cx))
    }
}
