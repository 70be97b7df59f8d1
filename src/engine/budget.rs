//! What confirmations may cost one host, all probes together: a number of requests in any span of time, and none after
//! it has said that it has too many. Must not know what is asked.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::Semaphore, time::Instant};

use crate::{
    config::Confirm,
    model::{Kind, Observation, Outcome},
};

/// The largest budget that can be configured: no more needs to be remembered.
const MOST: usize = 100;

/// The budget of one host.
#[derive(Debug)]
pub(super) struct Budget {
    spent: Mutex<Spent>,
    /// Tries to open sessions again that the host sees at once.
    pub(super) returning: Arc<Semaphore>,
}

impl Default for Budget {
    fn default() -> Self {
        Self { spent: Mutex::default(), returning: Arc::new(Semaphore::new(super::session::AT_ONCE)) }
    }
}

#[derive(Debug, Default)]
struct Spent {
    /// When requests were granted, oldest first.
    at: VecDeque<Instant>,
    /// The host has said "too many requests" and has not answered well since.
    throttled: bool,
}

impl Budget {
    /// Grants as many of the wanted requests as there is room for.
    pub(super) fn take(&self, wanted: usize, confirm: &Confirm, now: Instant) -> usize {
        let mut spent = self.spent();
        if spent.throttled {
            return 0;
        }
        let recent = spent.at.iter().rev().take_while(|at| now.duration_since(**at) < confirm.per).count();
        let granted = wanted.min((confirm.budget as usize).saturating_sub(recent));
        spent.at.extend(std::iter::repeat_n(now, granted));
        let over = spent.at.len().saturating_sub(MOST);
        spent.at.drain(..over);
        granted
    }

    /// Takes back one of the requests granted at an instant, which was not made.
    pub(super) fn give_back(&self, granted: Instant) {
        let mut spent = self.spent();
        if let Some(index) = spent.at.iter().rposition(|at| *at == granted) {
            spent.at.remove(index);
        }
    }

    /// Hears of an answer of the host.
    pub(super) fn heed(&self, seen: &Observation) {
        let throttled = seen.failure.as_ref().is_some_and(|failure| failure.kind == Kind::RateLimited);
        let well = seen.varied.is_none() && matches!(seen.outcome, Outcome::Up | Outcome::Degraded);
        if throttled || well {
            self.spent().throttled = throttled;
        }
    }

    /// Whether the host has had too many requests.
    pub(super) fn is_throttled(&self) -> bool {
        self.spent().throttled
    }

    fn spent(&self) -> MutexGuard<'_, Spent> {
        // Nothing here can be left half done.
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn no_span_of_time_has_more_than_the_budget() {
        let budget = Budget::default();
        let confirm = Confirm { budget: 6, per: Duration::from_mins(10), resolver: None };
        let began = Instant::now();
        let mut granted: Vec<u64> = Vec::new();
        for second in 0..3600 {
            let got = budget.take(2, &confirm, began + Duration::from_secs(second));
            granted.extend(std::iter::repeat_n(second, got));
        }
        for (index, first) in granted.iter().enumerate() {
            let within = granted[index..].iter().take_while(|at| **at < first + 600).count();
            assert!(within <= 6, "{within} from second {first}");
        }
        assert_eq!(granted.len(), 36, "and it is not stingier than that");
    }

    #[test]
    fn what_was_not_spent_can_be_spent_later() {
        let (budget, confirm, began) = (Budget::default(), Confirm::default(), Instant::now());
        let later = began + Duration::from_secs(300);
        assert_eq!(budget.take(2, &confirm, began), 2);
        assert_eq!(budget.take(9, &confirm, later), 4);
        assert_eq!(budget.take(1, &confirm, later), 0);
        budget.give_back(began);
        assert_eq!(budget.take(9, &confirm, later), 1);
        // What was granted later is not forgotten with what was given back.
        assert_eq!(budget.take(9, &confirm, began + confirm.per), 1);
        assert_eq!(budget.take(9, &confirm, later + confirm.per), 5);
    }
}
