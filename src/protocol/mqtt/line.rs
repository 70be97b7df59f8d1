//! One MQTT connection: packets out, packets in, over TCP, TLS or a WebSocket. Owns its buffers and their bounds; must not
//! know what is asked and what an answer means, but for the server's leave-taking.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use super::{
    codec::{self, PACKET_AT_MOST, Packet, Version, Wrong},
    reason,
};
use crate::{
    model::{Connection, Failure, Kind, Phase},
    net::classify,
    protocol::{Attempt, End, delivery::Moment, link::Link, ws::Bytestream},
};

/// What is read in one go; it lies on the stack only while something is read.
const PIECE: usize = 4096;

/// What is said of an end without a word.
pub(super) const CLOSED: &str = "connection closed";

/// What packets travel on.
#[derive(Debug)]
pub(super) enum Wire {
    Link(Link),
    Web(Box<Bytestream>),
}

/// An open connection. Small while nothing travels on it.
#[derive(Debug)]
pub(super) struct Line {
    wire: Wire,
    pub(super) version: Version,
    peer: Option<std::net::SocketAddr>,
    sending: Vec<u8>,
    received: Vec<u8>,
    /// When bytes came last.
    pub(super) heard: Moment,
}

impl Line {
    pub(super) fn new(wire: Wire, version: Version, attempt: &Attempt) -> Self {
        let peer = attempt.facts.peer;
        Self { wire, version, peer, sending: vec![], received: vec![], heard: Moment::now() }
    }

    /// Begins an attempt on this connection, which was open already.
    pub(super) fn resume(&self, attempt: &mut Attempt) {
        attempt.facts.connection = Connection::Warm;
        attempt.facts.peer = self.peer;
        match &self.wire {
            Wire::Link(link) => attempt.watch(link.socket().clone()),
            Wire::Web(stream) => stream.resume(attempt),
        }
    }

    /// Puts a packet behind those that wait to be sent.
    pub(super) fn queue(&mut self, packet: &[u8]) {
        self.sending.extend_from_slice(packet);
    }

    /// Sends what waits. Dropping the future loses nothing.
    pub(super) async fn flush(&mut self, phase: Phase) -> Result<(), Failure> {
        if self.sending.is_empty() {
            return Ok(());
        }
        poll_fn(|cx| self.poll_flush(cx)).await.map_err(|error| classify::io(phase, &error))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        while !self.sending.is_empty() {
            let sent = ready!(self.wire.poll_write(cx, &self.sending))?;
            if sent == 0 {
                return Poll::Ready(Err(std::io::ErrorKind::UnexpectedEof.into()));
            }
            self.sending.drain(..sent);
        }
        self.sending = Vec::new();
        self.wire.poll_flush(cx)
    }

    /// Sends what waits, then the next packet that comes. Dropping the future loses nothing.
    ///
    /// # Errors
    /// How the connection ended.
    pub(super) async fn next(&mut self, phase: Phase) -> Result<Packet, End> {
        self.flush(phase).await.map_err(abrupt)?;
        loop {
            match codec::decode(self.version, &self.received) {
                Ok(Some((packet, taken))) => {
                    self.received.drain(..taken);
                    if self.received.is_empty() {
                        self.received = Vec::new();
                    }
                    return told(phase, packet);
                }
                Ok(None) => {}
                Err(wrong) => return Err(abrupt(nonsense(phase, wrong))),
            }
            let read = poll_fn(|cx| self.poll_read(cx)).await.map_err(|error| abrupt(classify::io(phase, &error)))?;
            if read == 0 {
                return Err(abrupt(Failure::new(phase, Kind::ClosedEarly, CLOSED)));
            }
            self.heard = Moment::now();
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
        let mut piece = [0; PIECE];
        let mut piece = ReadBuf::new(&mut piece);
        ready!(self.wire.poll_read(cx, &mut piece))?;
        self.received.extend_from_slice(piece.filled());
        Poll::Ready(Ok(piece.filled().len()))
    }

    /// Takes its leave in order.
    pub(super) async fn close(mut self) {
        self.queue(&codec::DISCONNECT);
        if self.flush(Phase::Exchange).await.is_ok() {
            match &mut self.wire {
                Wire::Link(link) => drop(link.shutdown().await),
                Wire::Web(stream) => stream.close().await,
            }
        }
    }

    /// The same as far as it needs no waiting: a client that looks and goes.
    pub(super) fn part(mut self) {
        use futures_util::FutureExt as _;
        self.queue(&codec::DISCONNECT);
        let _ = self.flush(Phase::Exchange).now_or_never();
    }
}

/// A packet, unless it says that the connection is over.
fn told(phase: Phase, packet: Packet) -> Result<Packet, End> {
    match packet {
        Packet::Disconnect(code) => Err(End {
            failure: reason::failure(phase, "the server took its leave", code),
            on_purpose: reason::is_on_purpose(code),
        }),
        Packet::OutOfTurn(sort) => {
            let detail = format!("a packet of type {sort}, which no server sends");
            Err(abrupt(Failure::new(phase, Kind::ProtocolError, detail)))
        }
        packet => Ok(packet),
    }
}

pub(super) fn abrupt(failure: Failure) -> End {
    End { failure, on_purpose: false }
}

fn nonsense(phase: Phase, wrong: Wrong) -> Failure {
    match wrong {
        Wrong::TooLong(length) => {
            let detail = format!("a packet of {length} bytes, at most {PACKET_AT_MOST} are taken");
            Failure::new(phase, Kind::BodyTooLarge, detail)
        }
        Wrong::Malformed(what) => Failure::new(phase, Kind::ProtocolError, format!("not MQTT: {what}")),
    }
}

/// Calls the same method of whichever it is.
macro_rules! wire {
    ($wire:expr, $method:ident($($argument:expr),*)) => {
        match $wire {
            Wire::Link(link) => Pin::new(link).$method($($argument),*),
            Wire::Web(stream) => Pin::new(&mut **stream).$method($($argument),*),
        }
    };
}

impl Wire {
    fn poll_read(&mut self, cx: &mut Context<'_>, piece: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        wire!(self, poll_read(cx, piece))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        wire!(self, poll_write(cx, bytes))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        wire!(self, poll_flush(cx))
    }
}
