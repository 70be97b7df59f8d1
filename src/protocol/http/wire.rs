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
    /// Watched for a GOAWAY where HTTP/2 is spoken: the library says of one without an error only that all is over.
    pub(super) frames: Option<Frames>,
}

/// Where one is in a row of HTTP/2 frames (RFC 9113 §4.1).
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// The head of a frame as far as it has come, and of a GOAWAY also its first eight bytes.
    head: Vec<u8>,
    /// Bytes of the present frame that tell nothing.
    skip: usize,
}

impl Frames {
    const HEAD: usize = 9;
    const GOAWAY: u8 = 7;

    /// Takes in what came; the error code of a GOAWAY in it.
    fn see(&mut self, mut bytes: &[u8]) -> Option<u32> {
        let mut found = None;
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let Some((&byte, rest)) = bytes.split_first() else { break };
            self.head.push(byte);
            bytes = rest;
            let [a, b, c, sort, ..] = self.head[..] else { continue };
            let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
            let wanted = if sort == Self::GOAWAY && length >= 8 { Self::HEAD + 8 } else { Self::HEAD };
            if self.head.len() < wanted {
                continue;
            }
            if let Some(code) = self.head.get(13..17).and_then(|code| <[u8; 4]>::try_from(code).ok()) {
                found = Some(u32::from_be_bytes(code));
            }
            self.skip = Self::HEAD + length - wanted;
            self.head.clear();
        }
        found
    }
}

/// The two instants of the request under way. The connection may be driven by another task, hence atomic.
#[derive(Debug)]
pub(super) struct Marks {
    base: Instant,
    // Nanoseconds since `base`; 0 until it happens.
    written: AtomicU64,
    answered: AtomicU64,
    unflushed: AtomicBool,
    // Error code of a GOAWAY and one; 0 until it comes.
    farewell: AtomicU64,
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
            farewell: AtomicU64::new(0),
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

    /// With which error code the other side has said that it goes (HTTP/2).
    pub(super) fn farewell(&self) -> Option<u32> {
        u32::try_from(self.farewell.load(Relaxed).checked_sub(1)?).ok()
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
            if let Some(frames) = &mut wire.frames
                && let Some(code) = frames.see(&buffer.filled()[before..])
            {
                wire.marks.farewell.store(u64::from(code) + 1, Relaxed);
            }
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

#[cfg(test)]
mod tests {
    use super::Frames;

    #[test]
    fn a_farewell_is_seen_however_the_bytes_are_cut() {
        let settings = b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64";
        let goaway = b"\0\0\x0b\x07\0\0\0\0\0\0\0\0\x01\0\0\0\x0babc";
        let ping = b"\0\0\x08\x06\0\0\0\0\0\x07\x07\x07\x07\x07\x07\x07\x07";
        let bytes = [&settings[..], ping, goaway, ping].concat();
        for piece in 1..bytes.len() {
            let mut frames = Frames::default();
            let found: Vec<u32> = bytes.chunks(piece).filter_map(|chunk| frames.see(chunk)).collect();
            assert_eq!(found, [11], "in pieces of {piece}");
        }
        let mut frames = Frames::default();
        assert_eq!(frames.see(&[&settings[..], ping].concat()), None);
        // A GOAWAY that is too short is none.
        assert_eq!(frames.see(b"\0\0\x01\x07\0\0\0\0\0\0"), None);
    }
}
