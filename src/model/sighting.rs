//! An observation as judging needs it: borrowed from wherever it was read, so that stored history can be judged again at
//! the speed at which it can be read. Must not know where it comes from.

use std::net::SocketAddr;

use super::{Connection, Failure, Kind, Observation, Outcome, Phase, Timestamp, Varied};

/// The part of an [`Observation`] that whose fault it is depends on. Times spent are in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sighting<'a> {
    /// Name of the probe.
    pub probe: &'a str,
    /// Party that answers for the target.
    pub party: &'a str,
    /// Product of the party.
    pub product: Option<&'a str>,
    /// Region of the vantage point.
    pub region: &'a str,
    /// Node of the vantage point; empty where a file has none.
    pub node: &'a str,
    /// Whether the connection was fresh.
    pub connection: Connection,
    /// When it was due.
    pub scheduled_at: Timestamp,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// What it came to.
    pub outcome: Outcome,
    /// Where it failed and how.
    pub failure: Option<(Phase, Kind)>,
    /// The failure in the words of whoever saw it.
    pub detail: &'a str,
    /// The whole attempt.
    pub duration: f64,
    /// Resolving the name; absent when that did not happen.
    pub resolve: Option<f64>,
    /// Address and port that answered, or were tried last.
    pub peer: Option<SocketAddr>,
    /// HTTP status, where there is one.
    pub http_status: Option<u16>,
    /// Version of the program that measured; empty where a file has none.
    pub build: &'a str,
    /// Hash of the configuration that it ran; empty where a file has none.
    pub config: &'a str,
    /// Which credential was used, by its name.
    pub credential: Option<&'a str>,
    /// Set when it confirms a round instead of being one.
    pub varied: Option<Varied>,
}

impl Sighting<'_> {
    /// The failure with its words.
    #[must_use]
    pub fn failure_in_full(&self) -> Option<Failure> {
        self.failure.map(|(phase, kind)| Failure::new(phase, kind, self.detail))
    }
}

impl Default for Sighting<'_> {
    fn default() -> Self {
        Self {
            probe: "",
            party: "",
            product: None,
            region: "",
            node: "",
            connection: Connection::Cold,
            scheduled_at: Timestamp::UNIX_EPOCH,
            started_at: None,
            outcome: Outcome::Inconclusive,
            failure: None,
            detail: "",
            duration: 0.0,
            resolve: None,
            peer: None,
            http_status: None,
            build: "",
            config: "",
            credential: None,
            varied: None,
        }
    }
}

impl<'a> From<&'a Observation> for Sighting<'a> {
    fn from(seen: &'a Observation) -> Self {
        let seconds = |phase| seen.phases.get(phase).map(|took| took.as_secs_f64());
        Self {
            probe: &seen.probe,
            party: &seen.party,
            product: seen.product.as_deref(),
            region: &seen.region,
            node: &seen.node,
            connection: seen.connection,
            scheduled_at: seen.scheduled_at,
            started_at: seen.started_at,
            outcome: seen.outcome,
            failure: seen.failure.as_ref().map(|failure| (failure.phase, failure.kind)),
            detail: seen.failure.as_ref().map_or("", |failure| &failure.detail),
            duration: seen.duration.as_secs_f64(),
            resolve: seconds(Phase::Resolve),
            peer: seen.peer,
            http_status: seen.http_status,
            build: &seen.build,
            config: &seen.config,
            credential: seen.credential.as_deref(),
            varied: seen.varied,
        }
    }
}
