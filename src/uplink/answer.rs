//! What agents and hubs say to each other besides observations, as both sides write and read it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::{Subject, Timestamp};

/// The header by which an agent says when it sent a batch, on its own clock (RFC 3339).
pub const SENT_AT: &str = "usoryou-sent-at";
/// The header by which an agent names its node.
pub const NODE: &str = "usoryou-node";
/// The header by which an agent names the version of its program.
pub const BUILD: &str = "usoryou-build";
/// The header by which an agent names the hash of its configuration.
pub const CONFIG: &str = "usoryou-config";
/// The header by which an agent tells how far its clock is ahead of the hubs', and the round trip in which it learned that: two
/// numbers of seconds.
pub const CLOCK: &str = "usoryou-clock";
/// The header by which an agent says which word of its region it knows already, see [`Region::version`].
pub const REGION: &str = "usoryou-region";
/// The header by which an agent says that it was out of reach for so long that its region judges by itself.
pub const SOLO: &str = "usoryou-solo";

/// What became of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Taken {
    /// Observations that are kept now and were not before.
    pub taken: u64,
    /// Observations that were there already.
    pub duplicate: u64,
    /// Lines that will never be taken; the first hundred of them.
    pub refused: Vec<Refusal>,
    /// How many lines that are.
    pub refused_total: u64,
    /// When the hub began to read the batch, on its own clock …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received_at: Option<Timestamp>,
    /// … and when it answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<Timestamp>,
    /// What the agent should know of its region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
}

/// A line that will never be taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Its number, from 1.
    pub line: usize,
    /// Why.
    pub why: String,
}

/// What an agent should know of its region.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Region {
    /// Changes with what is said here.
    pub version: String,
    /// How often the agent should be heard, in milliseconds.
    pub pulse_ms: u64,
    /// The nodes that live; nothing when the agent knows this version already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes: Option<Vec<Arc<str>>>,
    /// What people have been told of already; nothing when the agent knows this version already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open: Option<Vec<Subject>>,
}
