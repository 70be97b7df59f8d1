//! QUIC connections: the handshake of transport and TLS in one, over UDP. Knows nothing of HTTP.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use quinn::{
    ClientConfig, Connection, Endpoint, TransportConfig,
    crypto::rustls::{HandshakeData, QuicClientConfig},
};
use rustls::pki_types::ServerName;

use super::{ClientTls, Shown, classify, tls};
use crate::model::{Failure, Kind, Phase};

/// As with TCP (RFC 8305 §5).
const STAGGER: Duration = Duration::from_millis(250);
/// What a peer may send ahead of our reading: on a stream, and on all of them.
const WINDOW: u32 = 128 * 1024;
/// Streams that a server opens: control, and two for compressed headers.
const STREAMS: u32 = 16;

/// An open connection.
#[derive(Debug)]
pub struct Quic {
    /// The connection.
    pub connection: Connection,
    // The socket lives as long as this.
    endpoint: Endpoint,
}

impl Drop for Quic {
    fn drop(&mut self) {
        self.endpoint.close(0_u32.into(), b"");
    }
}

impl ClientTls {
    /// Opens a connection to the first of the addresses that answers; one whose certificate is refused has answered.
    /// What the server showed comes back in either case.
    ///
    /// # Errors
    /// Why there is none: in [`Phase::Tls`] where it is the certificate or what was agreed on, else in
    /// [`Phase::Connect`].
    pub async fn quic(
        &self,
        addresses: &[SocketAddr],
        name: &ServerName<'static>,
        peer: &mut Option<SocketAddr>,
    ) -> (Option<Shown>, Result<Quic, Failure>) {
        let mut waiting = addresses.iter().copied();
        let mut tried = FuturesUnordered::new();
        let mut failed = None;
        loop {
            let more = waiting.next();
            if let Some(address) = more {
                *peer = Some(address);
                tried.push(self.open(address, name));
            }
            let next = match (more, waiting.len()) {
                (_, 0) => tried.next().await,
                _ => match tokio::time::timeout(STAGGER, tried.next()).await {
                    Ok(next) => next,
                    Err(_) => continue,
                },
            };
            match next {
                Some((address, shown, Ok(quic))) => {
                    *peer = Some(address);
                    return (shown, Ok(quic));
                }
                // Where nobody listens UDP says nothing until the deadline: that must not hide what somebody said.
                Some((address, shown, Err(failure))) if failure.phase == Phase::Tls => {
                    *peer = Some(address);
                    return (shown, Err(failure));
                }
                Some((address, shown, Err(failure))) => failed = Some((address, shown, failure)),
                None if waiting.len() == 0 => break,
                None => {}
            }
        }
        match failed {
            Some((address, shown, failure)) => {
                *peer = Some(address);
                (shown, Err(failure))
            }
            None => (None, Err(Failure::new(Phase::Connect, Kind::Internal, "there is no address to connect to"))),
        }
    }

    async fn open(
        &self,
        address: SocketAddr,
        name: &ServerName<'static>,
    ) -> (SocketAddr, Option<Shown>, Result<Quic, Failure>) {
        let internal = |why: String| (address, None, Err(Failure::new(Phase::Connect, Kind::Internal, why)));
        let (recording, config) = self.recorded();
        let config = match QuicClientConfig::try_from(config) {
            Ok(config) => client(config),
            Err(error) => return internal(error.to_string()),
        };
        let local: SocketAddr =
            if address.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
        let endpoint = match Endpoint::client(local) {
            Ok(endpoint) => endpoint,
            Err(error) => return (address, None, Err(classify::io(Phase::Connect, &error))),
        };
        let done = match endpoint.connect_with(config, address, &name.to_str()) {
            Ok(connecting) => connecting.await,
            Err(error) => return internal(error.to_string()),
        };
        let certificates = recording.take();
        let mut shown = (!certificates.is_empty()).then(|| {
            let chain = self.read(&certificates);
            Shown { facts: chain.facts.clone(), chain }
        });
        match done {
            Ok(connection) => {
                if let Some(shown) = &mut shown {
                    shown.facts.version = Some("1.3".to_owned());
                    let agreed = connection.handshake_data().and_then(|agreed| agreed.downcast::<HandshakeData>().ok());
                    let protocol = agreed.and_then(|agreed| agreed.protocol);
                    shown.facts.alpn = protocol.map(|name| String::from_utf8_lossy(&name).into_owned());
                }
                (address, shown, Ok(Quic { connection, endpoint }))
            }
            Err(error) => {
                let failure = match recording.refused() {
                    Some(refused) => tls::explain(classify::tls(Phase::Tls, &refused), shown.as_ref()),
                    None => classify::quic(Phase::Connect, &error),
                };
                (address, shown, Err(failure))
            }
        }
    }
}

fn client(config: QuicClientConfig) -> ClientConfig {
    let mut transport = TransportConfig::default();
    transport.stream_receive_window(WINDOW.into());
    transport.receive_window(WINDOW.into());
    transport.max_concurrent_uni_streams(STREAMS.into());
    transport.max_concurrent_bidi_streams(0_u32.into());
    transport.datagram_receive_buffer_size(None);
    let mut config = ClientConfig::new(Arc::new(config));
    config.transport_config(Arc::new(transport));
    config
}
