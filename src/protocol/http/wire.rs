//! The stream under an HTTP connection, and the two instants on it that nobody else sees: when the request had been
//! written, and when the first byte of what came back could be read. Both are taken above TLS, where tickets and other
//! records of the session itself do not show.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use futures_util::task::AtomicWaker;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};
use tokio_rustls::client::TlsStream;

use crate::protocol::Way;

/// A plain or a secured connection.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(Way),
    Tls(Box<TlsStream<Way>>),
}

/// A connection with [`Marks`].
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) stream: Stream,
    pub(super) marks: Arc<Marks>,
}

/// The two instants of the request under way. The connection may be driven by another task, hence atomic.
#[derive(Debug)]
pub(super) struct Marks {
    base: Instant,
    // Nanoseconds since `base`; 0 until it happens.
    written: AtomicU64,
    answered: AtomicU64,
    unflushed: AtomicBool,
    /// Woken when an instant is noted.
    pub(super) waker: AtomicWaker,
}

impl Marks {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            base: Instant::now(),
            written: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            unflushed: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        })
    }

    /// A new request begins.
    pub(super) fn begin(&self) {
        self.written.store(0, Relaxed);
        self.answered.store(0, Relaxed);
        self.unflushed.store(false, Relaxed);
    }

    /// When the request had been handed to the kernel.
    pub(super) fn written(&self) -> Option<Instant> {
        self.at(&self.written)
    }

    /// When the first byte came back.
    pub(super) fn answered(&self) -> Option<Instant> {
        self.at(&self.answered)
    }

    fn at(&self, mark: &AtomicU64) -> Option<Instant> {
        let nanos = mark.load(Relaxed);
        (nanos != 0).then(|| self.base + std::time::Duration::from_nanos(nanos))
    }

    fn note(&self, mark: &AtomicU64) {
        if mark.load(Relaxed) == 0 {
            let nanos = u64::try_from(self.base.elapsed().as_nanos()).unwrap_or(u64::MAX);
            mark.store(nanos.max(1), Relaxed);
            self.waker.wake();
        }
    }
}

/// Calls the same method of whichever stream it is.
macro_rules! stream {
    ($stream:expr, $method:ident($($argument:expr),*)) => {
        match &mut $stream {
            Stream::Plain(stream) => Pin::new(stream).$method($($argument),*),
            Stream::Tls(stream) => Pin::new(&mut **stream).$method($($argument),*),
        }
    };
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        let before = buffer.filled().len();
        ready!(stream!(wire.stream, poll_read(cx, buffer)))?;
        if buffer.filled().len() > before {
            wire.marks.note(&wire.marks.answered);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        wire.marks.unflushed.store(true, Relaxed);
        stream!(wire.stream, poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        wire.marks.unflushed.store(true, Relaxed);
        stream!(wire.stream, poll_write_vectored(cx, parts))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        ready!(stream!(wire.stream, poll_flush(cx)))?;
        if wire.marks.unflushed.swap(false, Relaxed) {
            wire.marks.note(&wire.marks.written);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        stream!(self.get_mut().stream, poll_shutdown(cx))
    }
}
