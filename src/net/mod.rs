//! Sockets: names, connections, TLS sessions and the words for what goes wrong with them. Knows no probe, no schedule
//! and no protocol above TLS.

mod certificate;
pub mod classify;
mod connect;
pub mod dns;
pub mod icmp;
mod resolve;
mod socket;
mod tls;
mod trust;
mod verify;

use std::{net::IpAddr, sync::Arc};

pub use certificate::Chain;
pub use connect::connect;
pub use resolve::{Answer, Resolver};
pub use socket::Socket;
pub use tls::{ClientTls, Shown, TlsMistake, TlsWishes};
pub use trust::Trust;

/// What every attempt of a process shares: resolver, trust, pinned addresses.
#[derive(Debug, Default)]
pub struct Net {
    /// `--resolve HOST:PORT:ADDR`: addresses that replace resolution.
    pub pins: Vec<Pin>,
    /// Names to addresses.
    pub resolver: Resolver,
    /// Authorities, read once.
    pub trust: Trust,
}

/// One `--resolve HOST:PORT:ADDR`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// Host name, lower case.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Address to use instead of resolving.
    pub address: IpAddr,
}

impl Net {
    /// Reads the system's resolver configuration and trusted authorities.
    ///
    /// # Errors
    /// When neither yields anything to work with, in words.
    pub fn system(pins: Vec<Pin>) -> Result<Arc<Self>, String> {
        Ok(Arc::new(Self { pins, resolver: Resolver::system(), trust: Trust::system() }))
    }

    /// The address that `--resolve` gives to a host and port.
    #[must_use]
    pub fn pinned(&self, host: &str, port: u16) -> Option<IpAddr> {
        let pin = self.pins.iter().find(|pin| pin.port == port && pin.host.eq_ignore_ascii_case(host));
        pin.map(|pin| pin.address)
    }
}
