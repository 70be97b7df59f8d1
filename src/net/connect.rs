//! TCP connections the way clients open them (RFC 8305): families in turn, a new address every 250 ms or as soon as one
//! fails, and the first that answers wins.

use std::{collections::VecDeque, io, net::SocketAddr, time::Duration};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::net::TcpStream;

use super::{Socket, classify};
use crate::model::{Failure, Kind, Phase};

/// RFC 8305 §5, the Connection Attempt Delay.
const STAGGER: Duration = Duration::from_millis(250);

/// Connects to one of the addresses. `peer` is the one that answered, or the one whose failure is reported; while the
/// call waits it is the one tried last, so that a caller who gives up knows it too.
///
/// # Errors
/// The most telling failure of all addresses, in [`Phase::Connect`].
pub async fn connect(addresses: &[SocketAddr], peer: &mut Option<SocketAddr>) -> Result<Socket, Failure> {
    if let [address] = addresses {
        // The common case of a probe with one address needs no race, and is spared its cost.
        *peer = Some(*address);
        return open(*address).await.1.map_err(|error| classify::io(Phase::Connect, &error));
    }
    let mut waiting = interleave(addresses);
    let mut tried = FuturesUnordered::new();
    let mut worst: Option<(SocketAddr, Failure)> = None;
    loop {
        if let Some(address) = waiting.pop_front() {
            *peer = Some(address);
            tried.push(open(address));
        }
        let next = if waiting.is_empty() {
            tried.next().await
        } else {
            match tokio::time::timeout(STAGGER, tried.next()).await {
                Ok(done) => done,
                Err(_) => continue,
            }
        };
        match next {
            Some((address, Ok(socket))) => {
                *peer = Some(address);
                return Ok(socket);
            }
            Some((address, Err(error))) => {
                let failure = classify::io(Phase::Connect, &error);
                if worst.as_ref().is_none_or(|(_, known)| tells_more(&failure, known)) {
                    worst = Some((address, failure));
                }
            }
            None if waiting.is_empty() => break,
            None => {}
        }
    }
    match worst {
        Some((address, failure)) => {
            *peer = Some(address);
            Err(failure)
        }
        None => Err(Failure::new(Phase::Connect, Kind::Internal, "there is no address to connect to")),
    }
}

async fn open(address: SocketAddr) -> (SocketAddr, io::Result<Socket>) {
    let opened = TcpStream::connect(address).await.and_then(|stream| {
        // A probe's requests are small and written whole: waiting for more of them would only add to the times.
        stream.set_nodelay(true)?;
        Ok(Socket::from(stream))
    });
    (address, opened)
}

/// IPv6 and IPv4 in turn, IPv6 first, each in the order of the resolver (RFC 8305 §4).
fn interleave(addresses: &[SocketAddr]) -> VecDeque<SocketAddr> {
    let mut v6 = addresses.iter().copied().filter(SocketAddr::is_ipv6);
    let mut v4 = addresses.iter().copied().filter(SocketAddr::is_ipv4);
    let mut order = VecDeque::with_capacity(addresses.len());
    loop {
        let pair = (v6.next(), v4.next());
        if pair == (None, None) {
            return order;
        }
        order.extend(pair.0.into_iter().chain(pair.1));
    }
}

/// A host without IPv6 fails there with "unreachable" at once; what the other family says is the news.
fn tells_more(new: &Failure, known: &Failure) -> bool {
    known.kind == Kind::Unreachable || (known.kind.is_ours() && !new.kind.is_ours())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_and_ipv6_begins() {
        let given = addresses(&["192.0.2.1:1", "192.0.2.2:1", "[2001:db8::1]:1", "192.0.2.3:1"]);
        let wanted = addresses(&["[2001:db8::1]:1", "192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1"]);
        assert_eq!(interleave(&given), wanted);
    }

    #[tokio::test]
    async fn a_failed_address_does_not_wait_for_the_stagger() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        let closed = {
            let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            gone.local_addr().unwrap()
        };
        let mut peer = None;
        let began = std::time::Instant::now();
        connect(&[closed, open], &mut peer).await.unwrap();
        assert_eq!(peer, Some(open));
        assert!(began.elapsed() < STAGGER / 2);
    }
}
