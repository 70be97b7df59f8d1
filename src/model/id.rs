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

/// Extra first runs are tries of their round from here on: far above what a clock that is set back makes …
const FIRST_TRIES: u32 = 1000;
/// … as many as there are places in a round that are told apart: far below confirmations.
const PLACES: u32 = 4000;

/// Which try of its round the extra first run of a process is, at an instant in microseconds. The process before may have run in the
/// same round, and what it saw then is another observation: where in the round they fall tells the two apart.
#[must_use]
pub fn first_try(at: i64, round: i64, interval: i64) -> u32 {
    // No more of it than goes on the wire, so that whoever reads it there comes to the same.
    let at = at.div_euclid(1000) * 1000;
    let into = at.saturating_sub(round.saturating_mul(interval)).clamp(0, interval);
    let place = i128::from(into) * i128::from(PLACES) / i128::from(interval.max(1));
    FIRST_TRIES + u32::try_from(place).unwrap_or(0)
}
