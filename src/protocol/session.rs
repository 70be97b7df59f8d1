//! A connection that is held: what a protocol that lives on long connections provides beside its single look. Owns the
//! words for opening, asking, ending and coming back; must not know who holds it, for how long, or what is counted.

use std::{future::Future, pin::Pin, time::Duration};

use super::{Attempt, Looking};
use crate::model::Failure;

/// A future that ends with an open session.
pub type Opening<'a> = Pin<Box<dyn Future<Output = Result<Box<dyn Session>, Failure>> + Send + 'a>>;

/// A future that ends when the session does.
pub type Ending<'a> = Pin<Box<dyn Future<Output = End> + Send + 'a>>;

/// A check whose connection can be held.
pub trait Hold: Send + Sync {
    /// Opens a session: every phase up to where the protocol itself says that it is ready to work.
    ///
    /// # Errors
    /// Why there is no session, as with [`super::Check::look`].
    fn open<'a>(&'a self, attempt: &'a mut Attempt) -> Opening<'a>;

    /// How long a real client of this protocol waits before it tries again.
    fn backoff(&self) -> Backoff {
        Backoff::default()
    }
}

/// An open session. The holder alternates between [`Session::ended`], which it may drop at any await point, and
/// [`Session::ping`].
pub trait Session: Send {
    /// Asks the other end, in the protocol's own words, whether it is still there, and waits for the answer.
    ///
    /// # Errors
    /// Why there was none. The session is over then.
    fn ping<'a>(&'a mut self, attempt: &'a mut Attempt) -> Looking<'a>;

    /// Takes in what the other end sends unasked, for as long as the session lasts. Dropping the future loses nothing.
    fn ended(&mut self) -> Ending<'_>;

    /// Takes its leave as the protocol wants it. The caller gives it little time.
    fn close(self: Box<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// What happened, in the words of a failure.
    pub failure: Failure,
    /// Whether the other end said that it ends the session as it always does: a token's life is over, a connection has
    /// reached its age, the server moves or restarts in order.
    pub on_purpose: bool,
}

/// The waits between tries to come back: the first, then each longer by a factor up to the longest, of each a share
/// drawn at random.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// Before the first try that follows one that failed.
    pub first: Duration,
    /// By how much each wait is longer than the one before.
    pub factor: f64,
    /// No wait is longer.
    pub longest: Duration,
    /// Share of a wait that is drawn at random, 0 to 1: 0.7 makes of 10 s anything from 3 s to 10 s.
    pub random: f64,
}

impl Default for Backoff {
    /// That of the Firebase SDK for Android: 1 s, longer by 1.3 up to 30 s, seven tenths of it random.
    fn default() -> Self {
        Self { first: Duration::from_secs(1), factor: 1.3, longest: Duration::from_secs(30), random: 0.7 }
    }
}

impl Backoff {
    /// How long to wait before try number `tries` (from 0: at once), with `chance` from 0 to 1.
    #[must_use]
    pub fn wait(&self, tries: u32, chance: f64) -> Duration {
        let Some(again) = tries.checked_sub(1) else { return Duration::ZERO };
        let full = self.first.as_secs_f64() * self.factor.powi(i32::try_from(again.min(1000)).unwrap_or(1000));
        let full = full.min(self.longest.as_secs_f64());
        Duration::try_from_secs_f64(full * (1.0 - self.random * chance.clamp(0.0, 1.0))).unwrap_or(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_longest_and_are_spread() {
        let backoff = Backoff::default();
        assert_eq!(backoff.wait(0, 0.5), Duration::ZERO);
        assert_eq!(backoff.wait(1, 0.0), Duration::from_secs(1));
        assert_eq!(backoff.wait(2, 0.0), Duration::from_millis(1300));
        assert_eq!(backoff.wait(u32::MAX, 0.0), Duration::from_secs(30));
        assert_eq!(backoff.wait(u32::MAX, 1.0), Duration::from_secs(9));
    }
}
