//! The wall clock as something that tests can set. Owns nothing else; the monotonic clock is tokio's, which tests pause.

use crate::model::Timestamp;

/// Says what time it is. Durations never come from here.
pub trait Clock: Send + Sync {
    /// The present instant on the wall clock.
    fn wall(&self) -> Timestamp;
}

/// The clock of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn wall(&self) -> Timestamp {
        chrono::Utc::now()
    }
}
