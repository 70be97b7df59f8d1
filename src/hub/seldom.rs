//! What the log says of those who try again and again: once, and then not for a while. All of it is counted elsewhere.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The same is not said again before.
const QUIET: Duration = Duration::from_mins(10);
/// More than this at once is not told apart.
const MOST: usize = 1_000;

/// When what was last said; clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Seldom(Arc<Mutex<BTreeMap<String, Instant>>>);

impl Seldom {
    /// Whether it is to be said now.
    pub(super) fn says(&self, what: &str, now: Instant) -> bool {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        said.retain(|_, at| now.duration_since(*at) < QUIET);
        if said.contains_key(what) || said.len() >= MOST {
            return false;
        }
        said.insert(what.to_owned(), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_said_once_in_a_while() {
        let (seldom, now) = (Seldom::default(), Instant::now());
        let said = ["a", "a", "b", "a"].map(|what| seldom.says(what, now));
        assert_eq!(said, [true, false, true, false]);
        assert!(seldom.clone().says("a", now + QUIET));
        for other in 0..2 * MOST {
            seldom.says(&other.to_string(), now + QUIET);
        }
        assert!(!seldom.says("one more", now + QUIET), "it is bounded");
    }
}
