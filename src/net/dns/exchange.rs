//! A question and its answer over the network. A lost datagram is sent again late and counted, so that loss stays visible.

use std::{io, net::SocketAddr, time::Duration};

use hickory_proto::op::Message;
use socket2::{Domain, Socket, Type};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::{Instant, timeout_at},
};

use super::{Question, Reply};
use crate::{
    model::{Failure, Kind, Phase},
    net::classify,
};

/// How long a datagram may take before the question is sent again; doubles each time.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// An answer and what it took.
#[derive(Debug, Clone)]
pub struct Exchanged {
    /// The answer.
    pub reply: Reply,
    /// Questions that had to be sent again.
    pub resent: u32,
}

/// Asks as a client does: over UDP; over TCP when the answer does not fit; without EDNS when the server does not know it.
///
/// # Errors
/// `timed_out` at `until`, `refused` or `unreachable` when the network says so, `protocol_error` for an answer that
/// cannot be read; all in [`Phase::Exchange`].
pub async fn ask(server: SocketAddr, question: &Question, until: Instant) -> Result<Exchanged, Failure> {
    let first = over_udp(server, question, until).await?;
    // FORMERR and NOTIMP without an OPT record: the server tripped over ours (RFC 6891 §7).
    let plain = matches!(first.reply.rcode(), 1 | 4) && !first.reply.has_edns();
    let Exchanged { reply, resent } = match question.without_edns() {
        Some(question) if plain => {
            let second = over_udp(server, &question, until).await?;
            Exchanged { resent: first.resent + second.resent, ..second }
        }
        _ => first,
    };
    if !reply.truncated() {
        return Ok(Exchanged { reply, resent });
    }
    let over_tcp = async {
        let mut stream = TcpStream::connect(server).await.map_err(|error| socket_failure(&error))?;
        over_stream(&mut stream, question).await
    };
    match timeout_at(until, over_tcp).await {
        Ok(Ok(reply)) => Ok(Exchanged { reply, resent }),
        Ok(Err(failure)) => {
            let detail = format!("the answer does not fit a datagram, and over TCP: {}", failure.detail);
            Err(Failure { detail, ..failure })
        }
        Err(_) => Err(Failure::new(
            Phase::Exchange,
            Kind::TimedOut,
            format!("the answer does not fit a datagram, and {server} does not answer over TCP"),
        )),
    }
}

/// Asks over a byte stream (RFC 1035 §4.2.2): TCP or TLS.
///
/// # Errors
/// `closed_early`, `reset` or `protocol_error`, in [`Phase::Exchange`]. Waits as long as the caller lets it.
pub async fn over_stream<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    question: &Question,
) -> Result<Reply, Failure> {
    let id = random_id();
    let wire = question.wire(id);
    // One write, so that the length and the question leave in one segment.
    let length = u16::try_from(wire.len()).unwrap_or(u16::MAX).to_be_bytes();
    stream.write_all(&[&length[..], &wire].concat()).await.map_err(|error| socket_failure(&error))?;
    stream.flush().await.map_err(|error| socket_failure(&error))?;

    let length = usize::from(u16::from_be_bytes(read_exactly(stream, 2).await?.try_into().unwrap_or_default()));
    let answer = read_exactly(stream, length).await?;
    question
        .read(&answer, id)?
        .ok_or_else(|| Failure::new(Phase::Exchange, Kind::ProtocolError, "the answer does not belong to the question"))
}

/// Reads so many bytes, or says how many came.
async fn read_exactly<S: AsyncRead + Unpin>(stream: &mut S, wanted: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::with_capacity(wanted);
    while bytes.len() < wanted {
        let left = (wanted - bytes.len()) as u64;
        let read = (&mut *stream).take(left).read_buf(&mut bytes).await.map_err(|error| socket_failure(&error))?;
        if read == 0 {
            let detail = match bytes.len() {
                0 => "closed before the answer".to_owned(),
                some => format!("closed after {some} of {wanted} bytes of the answer"),
            };
            return Err(Failure::new(Phase::Exchange, Kind::ClosedEarly, detail));
        }
    }
    Ok(bytes)
}

async fn over_udp(server: SocketAddr, question: &Question, until: Instant) -> Result<Exchanged, Failure> {
    let socket = connected(server).map_err(|error| socket_failure(&error))?;
    let id = random_id();
    let wire = question.wire(id);
    let mut buffer = Vec::new();
    let (mut resent, mut strangers, mut wait) = (0, 0_u32, FIRST_WAIT);
    loop {
        socket.send(&wire).await.map_err(|error| socket_failure(&error))?;
        let resend_at = until.min(Instant::now() + wait);
        loop {
            buffer.clear();
            // The largest datagram there is: nothing is cut off, and pages that stay empty cost nothing.
            buffer.reserve(usize::from(u16::MAX));
            match timeout_at(resend_at, socket.recv_buf(&mut buffer)).await {
                Ok(Ok(_)) => match question.read(&buffer, id)? {
                    Some(reply) => return Ok(Exchanged { reply, resent }),
                    None => strangers += 1,
                },
                Ok(Err(error)) => return Err(socket_failure(&error)),
                Err(_) => break,
            }
        }
        if Instant::now() >= until {
            return Err(silence(server, resent + 1, strangers));
        }
        resent += 1;
        wait *= 2;
    }
}

fn silence(server: SocketAddr, asked: u32, strangers: u32) -> Failure {
    let mut detail = format!("no answer from {server}");
    if asked > 1 {
        detail += &format!(", asked {asked} times");
    }
    if strangers > 0 {
        detail += &format!("; {strangers} that did not belong to the question were ignored");
    }
    Failure::new(Phase::Exchange, Kind::TimedOut, detail)
}

/// A fresh socket, so that the port is the kernel's random choice, and connected, so that the kernel drops what comes from
/// elsewhere and reports a closed port.
fn connected(server: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(server), Type::DGRAM.nonblocking().cloexec(), None)?;
    socket.connect(&server.into())?;
    UdpSocket::from_std(socket.into())
}

fn random_id() -> u16 {
    Message::query().metadata.id
}

fn socket_failure(error: &io::Error) -> Failure {
    classify::io(Phase::Exchange, error)
}
