//! Sockets: names, connections, TLS sessions and the words for what goes wrong with them. Knows no probe, no schedule
//! and no protocol above TLS.

pub mod dns;
mod resolve;

use std::{net::IpAddr, sync::Arc};

pub use resolve::{Answer, Resolver};

/// What every attempt of a process shares: resolver, trust, pinned addresses.
#[derive(Debug, Default)]
pub struct Net {
    /// `--resolve HOST:PORT:ADDR`: addresses that replace resolution.
    pub pins: Vec<Pin>,
    /// Names to addresses.
    pub resolver: Resolver,
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
        Ok(Arc::new(Self { pins, resolver: Resolver::system() }))
    }
}
