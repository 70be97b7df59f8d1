//! What is known of a connection that is held (`session:`) when it is observed.

use serde::{Deserialize, Serialize};

use super::Kind;

/// A held connection as an observation sees it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SessionFacts {
    /// For how long it has been open, in seconds; absent while it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age: Option<f64>,
    /// How long it took to be open again, in seconds; on the observation of having been opened again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconnected: Option<f64>,
    /// How it ended since the round before, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped: Option<Dropped>,
}

/// An end that was not ours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dropped {
    /// What happened.
    pub kind: Kind,
    /// How old the session was, in seconds.
    pub age: f64,
    /// Whether this is how its sessions always end: told by the other side, or learned from the ends before it. Such an
    /// end makes no bad round.
    pub expected: bool,
}
