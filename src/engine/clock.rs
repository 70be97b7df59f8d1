//! The wall clock as something that tests can set, and the watch that notices when it was set. The monotonic clock is
//! tokio's, which tests pause.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use tokio::time::Instant;

use crate::model::Timestamp;

/// Wall and monotonic clock part by more than this only when one was set or the machine was suspended; slewing and our
/// own slowness between two readings stay below.
const JUMP: TimeDelta = TimeDelta::milliseconds(250);

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

/// Looks at both clocks together.
pub(super) struct Watch {
    clock: Arc<dyn Clock>,
    wall: Timestamp,
    monotonic: Instant,
}

/// The wall clock is not where it would be had nobody touched it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Jump {
    /// Where it would be.
    pub(super) from: Timestamp,
    /// Where it is.
    pub(super) to: Timestamp,
}

impl Watch {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let (wall, monotonic) = both(&*clock);
        Self { clock, wall, monotonic }
    }

    /// The present instant, and the jump since the last look, if there was one. To be called at least every second or
    /// so: what both clocks say is compared from one look to the next.
    pub(super) fn look(&mut self) -> (Timestamp, Option<Jump>) {
        let (wall, monotonic) = both(&*self.clock);
        let from = self.wall + monotonic.duration_since(self.monotonic);
        (self.wall, self.monotonic) = (wall, monotonic);
        (wall, ((wall - from).abs() > JUMP).then_some(Jump { from, to: wall }))
    }
}

/// Reads both clocks at the same instant: again when this process was held up between the two readings.
fn both(clock: &dyn Clock) -> (Timestamp, Instant) {
    loop {
        let before = Instant::now();
        let wall = clock.wall();
        if before.elapsed() < Duration::from_millis(20) {
            return (wall, before);
        }
    }
}
