//! What an attempt learned besides times. Must not know how it was learned.

use std::{net::SocketAddr, time::Duration};

use crate::model::{Arrival, Connection, Failure, Step, TcpFacts, TlsFacts};

/// What an attempt learned besides times.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Address that answered, or that was tried last.
    pub peer: Option<SocketAddr>,
    /// The resolver that gave the address.
    pub resolver: Option<String>,
    /// TLS session and certificate; set before a failed verification is reported.
    pub tls: Option<TlsFacts>,
    /// TCP connection, read just before it is let go.
    pub tcp: Option<TcpFacts>,
    /// HTTP status of the last answer.
    pub http_status: Option<u16>,
    /// What the other side asked us to wait.
    pub retry_after: Option<Duration>,
    /// Whether the connection was fresh.
    pub connection: Connection,
    /// Works, but poorer than expected.
    pub degraded: Option<Failure>,
    /// What became of the messages that were waited for (`round_trip`), in the order in which that became known.
    pub arrivals: Vec<Arrival>,
    /// How each step fared, of a check with several.
    pub steps: Vec<Step>,
}

/// A figure that only `GET /probe` shows, under the name that blackbox_exporter gives it.
#[derive(Debug, Clone)]
pub struct Gauge {
    /// Metric name.
    pub name: &'static str,
    /// What it means, for `# HELP`.
    pub help: &'static str,
    /// Label pairs.
    pub labels: Vec<(&'static str, String)>,
    /// Value.
    pub value: f64,
}
