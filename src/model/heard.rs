//! What a hub has last heard of an agent.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// An agent as a hub has last heard of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Heard {
    /// Whose token it had.
    pub agent: Arc<str>,
    /// The region of that token.
    pub region: Arc<str>,
    /// The node, as it calls itself.
    pub node: Arc<str>,
    /// When, by the hub's clock.
    pub at: Timestamp,
    /// Version of the program that it runs.
    pub build: Arc<str>,
    /// Hash of the configuration that it runs.
    pub config: Arc<str>,
    /// How far its clock is ahead of the hub's, in seconds, as far as that is known …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_offset: Option<f64>,
    /// … to half of so many seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_trip: Option<f64>,
    /// When it last said that it had been out of reach for so long that its region judges by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub solo_at: Option<Timestamp>,
}
