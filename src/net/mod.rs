//! Sockets: names, connections, TLS sessions and the words for what goes wrong with them. Knows no probe, no schedule
//! and no protocol above TLS.

mod certificate;
mod chains;
pub mod classify;
mod connect;
pub mod dns;
pub mod icmp;
mod kept;
#[cfg(feature = "http3")]
mod quic;
mod resolve;
mod socket;
mod tls;
mod trust;
mod verify;
mod wait;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

pub use certificate::Chain;
pub use connect::connect;
pub use kept::{Errand, Kept};
#[cfg(feature = "http3")]
pub use quic::Quic;
pub use resolve::{Answer, Resolver};
pub use socket::Socket;
pub use tls::{ClientTls, Shown, TlsMistake, TlsWishes};
pub use trust::{Trust, gather_entropy};
pub use wait::retry_after;

/// What every attempt of a process shares: resolver, trust, pinned addresses.
#[derive(Debug, Clone, Default)]
pub struct Net {
    /// `--resolve HOST:PORT:ADDR`: addresses that replace resolution.
    pub pins: Vec<Pin>,
    /// Names to addresses.
    pub resolver: Resolver,
    /// Authorities, read once.
    pub trust: Trust,
    /// Which of a name's addresses may be used.
    pub only: Only,
    /// What outlives a check.
    pub kept: Kept,
}

/// Which of a name's addresses may be used: what a confirmation varies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Only {
    /// All that the probe allows.
    #[default]
    All,
    /// Those of the same family but this one.
    Except(IpAddr),
    /// Those of IPv4, whatever the probe allows.
    V4,
    /// Those of IPv6, whatever the probe allows.
    V6,
}

impl Only {
    /// Whether an address may be used.
    #[must_use]
    pub fn allows(self, address: IpAddr) -> bool {
        match self {
            Self::All => true,
            Self::Except(one) => address != one && address.is_ipv4() == one.is_ipv4(),
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }
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
        Ok(Arc::new(Self {
            pins,
            resolver: Resolver::system(),
            trust: Trust::system(),
            only: Only::All,
            kept: Kept::default(),
        }))
    }

    /// The same with other addresses of every name.
    #[must_use]
    pub fn using(&self, only: Only) -> Arc<Self> {
        Arc::new(Self { only, ..self.clone() })
    }

    /// The same with names asked of another server.
    #[must_use]
    pub fn asking(&self, server: SocketAddr) -> Arc<Self> {
        Arc::new(Self { resolver: self.resolver.asking(server), ..self.clone() })
    }

    /// The address that `--resolve` gives to a host and port.
    #[must_use]
    pub fn pinned(&self, host: &str, port: u16) -> Option<IpAddr> {
        let pin = self.pins.iter().find(|pin| pin.port == port && pin.host.eq_ignore_ascii_case(host));
        pin.map(|pin| pin.address)
    }
}
