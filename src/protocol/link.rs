//! A connection that is plain or secured: what a protocol speaks on that can be had both ways. Small while it lies idle,
//! for connections that are held by the thousand.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

use super::{Attempt, Endpoint, Secure};
use crate::{model::Failure, net::Socket};

/// A plain or a secured connection.
#[derive(Debug)]
pub(super) enum Link {
    /// TCP.
    Plain(Socket),
    /// TLS.
    Tls(Box<TlsStream<Socket>>),
}

impl Link {
    /// The connection under it, to ask the kernel about.
    pub(super) fn socket(&self) -> &Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }
}

impl Attempt {
    /// Resolves, connects and, with `secure`, shakes hands, each as a phase.
    ///
    /// # Errors
    /// Why there is no connection.
    pub(super) async fn link(&mut self, to: &Endpoint, secure: Option<&Secure>) -> Result<Link, Failure> {
        let socket = self.dial(to).await?;
        Ok(match secure {
            None => Link::Plain(socket),
            Some(secure) => Link::Tls(Box::new(self.secure(secure, &to.host, socket).await?)),
        })
    }

    /// The same with a host that the probe's options do not name: the server itself has sent us there.
    ///
    /// # Errors
    /// Why there is no connection.
    pub(super) async fn link_elsewhere(&mut self, to: &Endpoint, secure: Option<&Secure>) -> Result<Link, Failure> {
        let socket = self.dial(to).await?;
        Ok(match secure {
            None => Link::Plain(socket),
            Some(secure) => Link::Tls(Box::new(self.secure_elsewhere(secure, &to.host, socket).await?)),
        })
    }
}

/// Calls the same method of whichever stream it is.
macro_rules! stream {
    ($link:expr, $method:ident($($argument:expr),*)) => {
        match $link.get_mut() {
            Link::Plain(stream) => Pin::new(stream).$method($($argument),*),
            Link::Tls(stream) => Pin::new(&mut **stream).$method($($argument),*),
        }
    };
}

impl AsyncRead for Link {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        stream!(self, poll_read(cx, buffer))
    }
}

impl AsyncWrite for Link {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        stream!(self, poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        stream!(self, poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        stream!(self, poll_shutdown(cx))
    }
}
