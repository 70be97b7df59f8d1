//! Deterministic ids: a re-sent or replayed observation has the id that it had the first time.

use std::time::Duration;

use uuid::Uuid;

use super::{Timestamp, Vantage};

/// Namespace of our v5 UUIDs (RFC 9562 §5.5); the bytes spell the product's name.
const NAMESPACE: Uuid = Uuid::from_bytes(*b"usoryou.observat");

/// The id of an observation: a v5 UUID of (probe, vantage point, round, try).
#[must_use]
pub fn observation_id(probe: &str, vantage: &Vantage, round: i64, attempt: u32) -> Uuid {
    // The unit separator cannot occur in names, so no two different tuples spell the same text.
    let text = format!("{probe}\u{1f}{}\u{1f}{}\u{1f}{round}\u{1f}{attempt}", vantage.region, vantage.node);
    Uuid::new_v5(&NAMESPACE, text.as_bytes())
}

/// The number of the round that an instant lies in: whole intervals since the Unix epoch. All vantage points of a fleet
/// agree on it without talking to each other.
#[must_use]
pub fn round_of(at: Timestamp, interval: Duration) -> i64 {
    let interval = i64::try_from(interval.as_micros()).unwrap_or(i64::MAX).max(1);
    at.timestamp_micros().div_euclid(interval)
}
