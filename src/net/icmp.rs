//! Echo requests and replies over an unprivileged ICMP socket, or a raw one where only that is allowed. Knows neither how
//! many are sent nor what a lost one means.
//!
//! The socket is connected, so that the kernel drops what other hosts send, and reports ICMP errors about our own requests
//! as errors of the socket. A raw socket would still be handed every ICMP packet from that host, and lose ours among them:
//! a filter in the kernel leaves it our replies alone.

mod message;
mod options;

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher as _,
    io,
    net::{IpAddr, SocketAddr},
};

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};
use tokio::{io::Interest, net::UdpSocket};

use crate::model::{Failure, Kind, Phase};

/// What to do where no ICMP socket is allowed.
const REMEDY: &str = "ICMP sockets are not allowed here: put this process's group into the sysctl \
                      net.ipv4.ping_group_range, or give it CAP_NET_RAW";

/// The largest packet that is looked at; a reply is as long as our request.
const LARGEST: usize = 512;

/// A socket that sends echo requests to one address.
#[derive(Debug)]
pub struct Echoer {
    /// Not UDP, but the runtime treats all datagram sockets alike.
    socket: UdpSocket,
    flavour: message::Flavour,
    id: u16,
    nonce: message::Nonce,
}

/// One answer to one of our requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Echo {
    /// Which request.
    pub sequence: u16,
    /// Hop limit (IPv4: time to live) with which the reply arrived, where the kernel says so.
    pub hop_limit: Option<u8>,
}

impl Echoer {
    /// Opens a socket towards an address.
    ///
    /// # Errors
    /// `not_permitted` with the remedy, `unreachable` when there is no route, in [`Phase::Exchange`].
    pub fn open(address: IpAddr) -> Result<Self, Failure> {
        let (socket, raw) = open_any(address)?;
        let flavour = message::Flavour { v6: address.is_ipv6(), raw };
        // Hard to guess and cheap, which is all that telling our own replies from others asks for.
        let random = RandomState::new();
        let nonce = (u128::from(random.hash_one(0)) << 64 | u128::from(random.hash_one(1))).to_be_bytes();
        let [id @ .., _, _, _, _, _, _] = random.hash_one(2).to_be_bytes();
        let id = u16::from_be_bytes(id);
        let opened = options::prepare(&socket, flavour, id)
            .and_then(|()| socket.connect(&SockAddr::from(SocketAddr::new(address, 0))))
            .and_then(|()| socket.set_nonblocking(true))
            .and_then(|()| UdpSocket::from_std(socket.into()));
        let socket = opened.map_err(|error| send_failure(&error))?;
        Ok(Self { socket, flavour, id, nonce })
    }

    /// Sends one request.
    ///
    /// # Errors
    /// `unreachable` for an ICMP error about an earlier request, or when there is no route; `not_permitted` when the
    /// local firewall forbids it.
    pub async fn send(&self, sequence: u16) -> Result<(), Failure> {
        let request = message::request(self.flavour, self.id, sequence, &self.nonce);
        let sent = self.socket.send(&request).await;
        sent.map(|_| ()).map_err(|error| send_failure(&error))
    }

    /// Waits for the next reply to one of our requests; whatever else arrives is skipped. May be dropped at any time.
    ///
    /// # Errors
    /// `unreachable` for an ICMP error about one of our requests.
    pub async fn receive(&self) -> Result<Echo, Failure> {
        loop {
            let mut packet = [0; LARGEST];
            // An ICMP error wakes as an event of its own.
            let events = Interest::READABLE | Interest::ERROR;
            let receive = || options::receive(&SockRef::from(&self.socket), &mut packet);
            let received = self.socket.async_io(events, receive).await;
            let (length, hop_limit) = received.map_err(|error| receive_failure(&error))?;
            let packet = packet.get(..length).unwrap_or_default();
            if let Some((sequence, in_header)) = message::reply(self.flavour, packet, self.id, &self.nonce) {
                return Ok(Echo { sequence, hop_limit: in_header.or(hop_limit) });
            }
        }
    }
}

/// The unprivileged socket, else the raw one.
fn open_any(address: IpAddr) -> Result<(Socket, bool), Failure> {
    let (domain, protocol) = match address {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
    };
    if let Ok(socket) = Socket::new(domain, Type::DGRAM.cloexec(), Some(protocol)) {
        return Ok((socket, false));
    }
    let raw = Socket::new(domain, Type::RAW.cloexec(), Some(protocol));
    raw.map(|socket| (socket, true)).map_err(|error| open_failure(&error))
}

fn open_failure(error: &io::Error) -> Failure {
    let (kind, detail) = match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => (Kind::NotPermitted, REMEDY.to_owned()),
        Some(libc::EAFNOSUPPORT) => (Kind::Unreachable, "this machine does not speak that address family".to_owned()),
        _ => (Kind::Internal, format!("cannot open an ICMP socket: {error}")),
    };
    Failure::new(Phase::Exchange, kind, detail)
}

fn send_failure(error: &io::Error) -> Failure {
    match error.raw_os_error() {
        Some(libc::EPERM) => Failure::new(Phase::Exchange, Kind::NotPermitted, "this machine's firewall forbids it"),
        Some(libc::ENOBUFS | libc::ENOMEM | libc::EMFILE | libc::ENFILE) => {
            Failure::new(Phase::Exchange, Kind::Internal, error.to_string())
        }
        _ => receive_failure(error),
    }
}

/// What an ICMP error about our request says (the kernel's translation of RFC 792 and RFC 4443 codes).
fn receive_failure(error: &io::Error) -> Failure {
    let words = match error.raw_os_error() {
        // "Time exceeded" comes as this one, too.
        Some(libc::EHOSTUNREACH) => "host unreachable",
        Some(libc::ENETUNREACH) => "network unreachable",
        Some(libc::EACCES | libc::EPERM) => "prohibited on the way",
        Some(libc::ECONNREFUSED | libc::ENOPROTOOPT) => "the host refuses ICMP",
        Some(libc::EADDRNOTAVAIL) => "no local address to reach it from",
        Some(libc::EMSGSIZE) => "the packet is too large for the way",
        _ => return Failure::new(Phase::Exchange, Kind::Unreachable, error.kind().to_string()),
    };
    Failure::new(Phase::Exchange, Kind::Unreachable, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forbidden_socket_is_our_own_fault_and_names_the_remedy() {
        for code in [libc::EPERM, libc::EACCES] {
            let failure = open_failure(&io::Error::from_raw_os_error(code));
            assert!(failure.kind == Kind::NotPermitted && failure.kind.is_ours(), "{failure}");
            assert_eq!(failure.phase, Phase::Exchange);
            assert!(failure.detail.contains("net.ipv4.ping_group_range") && failure.detail.contains("CAP_NET_RAW"));
        }
    }

    #[test]
    fn an_icmp_error_is_about_the_target_and_a_local_firewall_is_not() {
        for code in [libc::EHOSTUNREACH, libc::ENETUNREACH, libc::EACCES, libc::ECONNREFUSED] {
            assert_eq!(receive_failure(&io::Error::from_raw_os_error(code)).kind, Kind::Unreachable);
        }
        assert_eq!(send_failure(&io::Error::from_raw_os_error(libc::EPERM)).kind, Kind::NotPermitted);
    }
}
