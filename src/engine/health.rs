//! Our own health: how late this process is for its own appointments. Owns the watcher that notices a stalled runtime,
//! a stopped process or a suspended machine; must not know what is done about it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::Clock;

/// How often the watcher looks.
const PERIOD: Duration = Duration::from_millis(50);
/// Lateness below this is the ordinary jitter of timers and counts as none.
const JITTER: Duration = Duration::from_millis(100);

/// How much time this process has lost so far.
#[derive(Debug)]
pub struct Health {
    base: Instant,
    lost_us: AtomicU64,
    seen_us: AtomicU64,
}

/// An instant in the life of a [`Health`], to ask later what was lost since.
#[derive(Debug, Clone, Copy)]
pub struct Mark(u64);

impl Health {
    /// Begins to watch; the watcher ends with the last handle to it. Must be called inside a runtime.
    #[must_use]
    pub fn watch(clock: Arc<dyn Clock>) -> Arc<Self> {
        let health = Arc::new(Self { base: Instant::now(), lost_us: AtomicU64::new(0), seen_us: AtomicU64::new(0) });
        let watched = Arc::downgrade(&health);
        tokio::spawn(async move {
            let (mut last, mut last_wall) = (Instant::now(), clock.wall());
            loop {
                tokio::time::sleep_until(last + PERIOD).await;
                let Some(health) = watched.upgrade() else { return };
                let (now, wall) = (Instant::now(), clock.wall());
                // The monotonic clock stands still while the machine is suspended; the wall clock tells.
                let by_wall = (wall - last_wall).to_std().unwrap_or_default();
                health.note(now, now.duration_since(last).max(by_wall).saturating_sub(PERIOD));
                (last, last_wall) = (now, wall);
            }
        });
        health
    }

    /// The present instant, for [`Health::lost_since`].
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark(self.lost_us.load(Ordering::Relaxed))
    }

    /// How much time was lost since a mark, including a stall that the watcher has not noticed yet because it has only
    /// just ended for it as well.
    #[must_use]
    pub fn lost_since(&self, mark: Mark) -> Duration {
        let noticed = Duration::from_micros(self.lost_us.load(Ordering::Relaxed).saturating_sub(mark.0));
        let seen = Duration::from_micros(self.seen_us.load(Ordering::Relaxed));
        let unnoticed = self.base.elapsed().saturating_sub(seen + PERIOD);
        if unnoticed > JITTER { noticed + unnoticed } else { noticed }
    }

    fn note(&self, now: Instant, lateness: Duration) {
        if lateness > JITTER {
            self.lost_us.fetch_add(micros(lateness), Ordering::Relaxed);
        }
        self.seen_us.store(micros(now.duration_since(self.base)), Ordering::Relaxed);
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::SystemClock;

    #[tokio::test]
    async fn a_stalled_runtime_is_noticed_even_before_the_watcher_runs() {
        let health = Health::watch(Arc::new(SystemClock));
        tokio::time::sleep(Duration::from_millis(120)).await;
        let mark = health.mark();
        // The only thread is blocked: the watcher cannot tick meanwhile.
        std::thread::sleep(Duration::from_millis(400));
        assert!(health.lost_since(mark) > Duration::from_millis(250), "{:?}", health.lost_since(mark));
        tokio::time::sleep(Duration::from_millis(120)).await;
        let lost = health.lost_since(mark);
        assert!(lost > Duration::from_millis(250), "{lost:?}");
    }

    #[tokio::test]
    async fn a_quiet_life_loses_nothing() {
        let health = Health::watch(Arc::new(SystemClock));
        let mark = health.mark();
        for _ in 0..8 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(health.lost_since(mark) < Duration::from_secs(1));
    }
}
