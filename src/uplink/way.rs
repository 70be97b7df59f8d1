//! The hubs of an agent, and which of them is kept to: the one that answered last, and the next when it does not. Owns when to try again.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use tokio::time::Instant;
use url::Url;

use super::answer::Taken;

/// The first pause after a failure; each further one is twice as long …
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// … up to this.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// … or this, while a whole region waits for the hubs to be back.
pub(super) const LONGEST_PAUSE_ALONE: Duration = Duration::from_secs(5);

/// Why a batch was not taken.
#[derive(Debug)]
pub(super) enum NotTaken {
    /// The hub is well and wants us to wait.
    Busy(Duration),
    /// It cannot be reached, or answers what no hub answers.
    Failed(String),
    /// It is taken by no hub however often it is sent.
    Never(String),
}

/// What is known of one hub.
#[derive(Debug, Default)]
struct Known {
    failures: u32,
    not_before: Option<Instant>,
}

/// The hubs, and which of them is kept to.
pub(super) struct Way {
    pub(super) urls: Vec<Url>,
    known: Vec<Known>,
    current: usize,
    /// The last attempt was answered by a hub.
    well: bool,
    longest_pause: Duration,
}

impl Default for Way {
    fn default() -> Self {
        Self { urls: Vec::new(), known: Vec::new(), current: 0, well: true, longest_pause: LONGEST_PAUSE }
    }
}

impl Way {
    pub(super) fn adopt(&mut self, urls: &[Url]) {
        if self.urls != urls {
            self.urls = urls.to_vec();
            self.known = urls.iter().map(|_| Known::default()).collect();
            // Agents of a fleet begin at different hubs.
            self.current = usize::try_from(random() % urls.len().max(1) as u64).unwrap_or(0);
        }
    }

    /// Tries failed hubs no later than after this pause.
    pub(super) fn hurry(&mut self, longest_pause: Duration) {
        if longest_pause < self.longest_pause {
            let latest = Instant::now() + longest_pause;
            for known in self.known.iter_mut().filter(|known| known.failures > 0) {
                known.not_before = known.not_before.map(|at| at.min(latest));
            }
        }
        self.longest_pause = longest_pause;
    }

    /// The hub to ask now: the one kept to, or the next that need not be waited for; or until when to wait.
    pub(super) fn choose(&mut self, now: Instant) -> Result<usize, Instant> {
        let count = self.known.len();
        let free = |known: &Known| known.not_before.is_none_or(|at| at <= now);
        let next =
            (0..count).map(|step| (self.current + step) % count).find(|at| self.known.get(*at).is_some_and(free));
        match next {
            Some(at) => {
                self.current = at;
                Ok(at)
            }
            None => Err(self.known.iter().filter_map(|known| known.not_before).min().unwrap_or(now + FIRST_PAUSE)),
        }
    }

    pub(super) fn note(&mut self, at: usize, outcome: &Result<Taken, NotTaken>) {
        let (Some(known), Some(url)) = (self.known.get_mut(at), self.urls.get(at)) else { return };
        let name = url.host_str().unwrap_or_default();
        match outcome {
            Ok(_) | Err(NotTaken::Never(_)) => {
                *known = Known::default();
                if !std::mem::replace(&mut self.well, true) {
                    tracing::info!("the hub {name} takes observations again");
                }
            }
            Err(NotTaken::Busy(wait)) => known.not_before = Some(Instant::now() + jittered(*wait, 1.0)),
            Err(NotTaken::Failed(why)) => {
                let pause = FIRST_PAUSE.saturating_mul(1 << known.failures.min(10)).min(self.longest_pause);
                known.failures = known.failures.saturating_add(1);
                known.not_before = Some(Instant::now() + jittered(pause, 0.5));
                if std::mem::replace(&mut self.well, false) {
                    tracing::warn!("cannot hand observations to the hub {name}: {why}: they wait in the spool");
                }
            }
        }
    }
}

/// A pause from `least` of it to half as much again, so that a fleet does not come back all at once.
fn jittered(pause: Duration, least: f64) -> Duration {
    #[expect(clippy::cast_precision_loss, reason = "a random share need not be exact")]
    let share = (random() >> 11) as f64 / (1u64 << 53) as f64;
    pause.mul_f64(least + share / 2.0)
}

fn random() -> u64 {
    RandomState::new().hash_one(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_hub_is_kept_to_until_it_fails_and_what_it_asks_for_is_honoured() {
        let mut way = Way::default();
        way.adopt(&["http://a.test/".parse().unwrap(), "http://b.test/".parse().unwrap()]);
        way.current = 0;
        let now = Instant::now();
        assert_eq!(way.choose(now), Ok(0));
        way.note(0, &Ok(Taken::default()));
        assert_eq!(way.choose(now), Ok(0));
        way.note(0, &Err(NotTaken::Failed("refused".to_owned())));
        assert_eq!(way.choose(now), Ok(1));
        way.note(1, &Err(NotTaken::Busy(Duration::from_secs(7))));
        let until = way.choose(now).unwrap_err();
        assert!((now + FIRST_PAUSE / 2..=now + FIRST_PAUSE).contains(&until), "the first hub is tried sooner");
        for _ in 0..20 {
            way.note(0, &Err(NotTaken::Failed("refused".to_owned())));
        }
        let until = way.choose(now).unwrap_err();
        assert!(until >= now + Duration::from_secs(7), "no sooner than it asked for");
        assert!(until <= now + LONGEST_PAUSE);
    }
}
