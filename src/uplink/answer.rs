//! What a hub says to a batch, as both sides write and read it.

use serde::{Deserialize, Serialize};

/// The header by which an agent says when it sent a batch, on its own clock (RFC 3339).
pub const SENT_AT: &str = "usoryou-sent-at";

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
}

/// A line that will never be taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Its number, from 1.
    pub line: usize,
    /// Why.
    pub why: String,
}
