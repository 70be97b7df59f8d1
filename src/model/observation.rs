//! The observation: the immutable fact that everything else is made of, and its form on the wire and in files.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use super::{Arrival, Failure, Outcome, PhaseTimes, SessionFacts, Step, Timestamp, Varied};

/// Whether the attempt opened its own connection or used one that was open already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Connection {
    /// A fresh connection.
    #[default]
    Cold,
    /// A connection that was open already.
    Warm,
}

impl Connection {
    /// The word in metric labels and JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Warm => "warm",
        }
    }
}

/// What we learned of the TLS session, also when verification failed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TlsFacts {
    /// `1.2` or `1.3`; absent when the handshake did not get that far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Cipher suite, by its IANA name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cipher: Option<String>,
    /// ALPN protocol agreed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpn: Option<String>,
    /// Issuer of the leaf certificate, as a distinguished name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Subject of the leaf certificate, as a distinguished name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// SHA-256 of the leaf's public key info, in hex (RFC 7469 §2.4 pins the same bytes).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spki_sha256: Option<String>,
    /// End of the leaf's validity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
    /// The earliest end of validity in the chain that the server sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain_not_after: Option<Timestamp>,
}

/// What the kernel knows of the TCP connection (`TCP_INFO`, tcp(7)).
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct TcpFacts {
    /// Smoothed round-trip time in seconds.
    pub rtt: f64,
    /// Segments sent again since the connection began.
    pub retransmits: u32,
}

/// One look at one probe's target from one vantage point.
///
/// On the wire: one JSON object a line. Only `probe party region outcome scheduled_at` are required on input; unknown
/// fields are ignored there, so that neighbouring versions understand each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// v5 UUID of (probe, vantage point, round, try); nil when a foreign file has none.
    #[serde(default)]
    pub id: Uuid,
    /// Name of the probe.
    pub probe: Arc<str>,
    /// Party that answers for the target.
    pub party: Arc<str>,
    /// Product of the party.
    #[serde(default)]
    pub product: Option<Arc<str>>,
    /// Key of the check (`http`, `dns` …).
    #[serde(default = "no_word")]
    pub protocol: Arc<str>,
    /// Region of the vantage point.
    pub region: Arc<str>,
    /// Node of the vantage point.
    #[serde(default = "no_word")]
    pub node: Arc<str>,
    /// Number of the round, see [`super::round_of`].
    #[serde(default)]
    pub round: i64,
    /// When it was due.
    #[serde(with = "rfc3339_millis")]
    pub scheduled_at: Timestamp,
    /// When it began.
    #[serde(default, with = "rfc3339_millis_opt")]
    pub started_at: Option<Timestamp>,
    /// What it came to.
    pub outcome: Outcome,
    /// Why it did not succeed; absent when up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Time spent in each phase, in seconds.
    #[serde(default)]
    pub phases: PhaseTimes,
    /// The whole attempt, in seconds.
    #[serde(default, serialize_with = "as_seconds", deserialize_with = "from_seconds")]
    pub duration: Duration,
    /// Whether the connection was fresh.
    #[serde(default)]
    pub connection: Connection,
    /// Address and port that answered (or were tried last).
    #[serde(default)]
    pub peer: Option<std::net::SocketAddr>,
    /// The resolver that gave the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolver: Option<String>,
    /// TLS session and certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsFacts>,
    /// TCP connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<TcpFacts>,
    /// HTTP status, where there is one.
    #[serde(default)]
    pub http_status: Option<u16>,
    /// Seconds that the other side asked us to wait (`Retry-After`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// Version of the program that measured.
    #[serde(default = "no_word")]
    pub build: Arc<str>,
    /// Hash of the configuration that it ran.
    #[serde(default = "no_word")]
    pub config: Arc<str>,
    /// Which credential was used, by its name, never its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<Arc<str>>,
    /// Set when it is a confirmation: made right after a round that failed, with this one thing otherwise. It explains
    /// that round and is no round itself: it counts in no figure of runs, in no availability, in no series of rounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub varied: Option<Varied>,
    /// What became of messages that were written at one end and waited for at the other (`round_trip`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arrivals: Vec<Arrival>,
    /// The connection that is held, where the probe holds one (`session:`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionFacts>,
    /// How each step of a check with several fared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// When a hub took it, in files that carry that.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "rfc3339_millis_opt")]
    pub received_at: Option<Timestamp>,
}

fn no_word() -> Arc<str> {
    Arc::from("")
}

/// Seconds with microsecond steps: enough for a measurement, short on the wire.
pub(super) fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e6
}

fn as_seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(seconds(*duration))
}

fn from_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let seconds = f64::deserialize(deserializer)?;
    Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom)
}

mod rfc3339_millis {
    use super::{Deserialize, Deserializer, Serializer, Timestamp};

    pub(super) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&at.format("%Y-%m-%dT%H:%M:%S%.3fZ"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        Timestamp::deserialize(deserializer)
    }
}

mod rfc3339_millis_opt {
    use super::{Deserialize, Deserializer, Serializer, Timestamp};

    pub(super) fn serialize<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => super::rfc3339_millis::serialize(at, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        Option::<Timestamp>::deserialize(deserializer)
    }
}
