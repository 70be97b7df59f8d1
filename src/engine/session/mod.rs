//! A connection that is held, and measured: opened at the first round, asked on every round after it, opened again when
//! it ends. Owns when that happens and what is told of it; must not know what the protocol says on it. What is held by
//! the thousand is small: whatever is large while it runs is boxed and gone afterwards.

mod ages;
mod seat;
mod telling;

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher as _, Hasher as _},
    panic::AssertUnwindSafe,
    sync::Arc,
    time::Duration,
};

use futures_util::FutureExt as _;
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep_until, timeout},
};

pub(super) use self::seat::Seat;
use super::{Due, Observer, Seen, lane::Crew, observe::Step};
use crate::{
    config::Probe,
    metrics::SessionSeries,
    model::{Dropped, Failure, Kind, Outcome, Phase, SessionFacts},
    protocol::{End, Hold, Session},
};
use ages::Ages;
use seat::Ask;
use telling::{Untold, with_arrivals_of};

/// No wait between two tries to come back is longer, whatever a client of the protocol would do: a server that returns
/// has all of its sessions back within ten seconds.
const LONGEST_WAIT: Duration = Duration::from_secs(6);
/// The first try comes at once, but for this much drawn at random: thousands that ended together do not return together.
const FIRST_SPREAD: Duration = Duration::from_millis(300);
/// A session that lived for less has not worked, and the next try waits as after one that failed.
const WORKED: Duration = Duration::from_secs(30);
/// Tries to come back that one host sees at once.
pub(super) const AT_ONCE: usize = 64;
/// A target that asks us to wait longer than this is asked again all the same.
const QUIET_AT_MOST: Duration = Duration::from_secs(3600);
/// An end in order takes no longer.
pub(super) const PARTING: Duration = Duration::from_secs(1);

/// Who keeps the session of one probe.
pub(super) struct Keeper {
    pub(super) probe: Arc<Probe>,
    pub(super) series: SessionSeries,
    pub(super) seat: Arc<Seat>,
    /// What tries to come back to one host share.
    pub(super) slots: Arc<Semaphore>,
    crew: Option<Arc<Crew>>,
    ages: Ages,
    /// Not told yet in any round.
    untold: Untold,
    /// Sessions in a row that ended soon after they were opened.
    short: u32,
}

/// Where a session stands.
enum State {
    /// Before the first round.
    New,
    Open {
        session: Box<dyn Session>,
        since: Instant,
    },
    /// Being opened again.
    Down {
        since: Instant,
        next: Instant,
        tries: u32,
        /// What the last try came to.
        last: Option<Box<Seen>>,
    },
    /// The probe is gone.
    Over,
}

impl Keeper {
    pub(super) fn new(probe: Arc<Probe>, series: SessionSeries, seat: Arc<Seat>, slots: Arc<Semaphore>) -> Self {
        Self { probe, series, seat, slots, crew: None, ages: Ages::default(), untold: Untold::default(), short: 0 }
    }

    /// Keeps the session until the seat is left. What is awaited for long without a session, or briefly with one, is
    /// boxed: this future is as large as its largest state, and there is one for each session.
    pub(super) async fn keep(mut self: Box<Self>) {
        let mut state = State::New;
        loop {
            state = match state {
                State::New => Box::pin(self.before_the_first_round()).await,
                State::Open { session, since } => match self.watch(session).await {
                    (session, Next::Round(ask)) => Box::pin(self.round(session, since, ask)).await,
                    (_, Next::End(end)) => self.dropped(since.elapsed(), end),
                },
                State::Down { since, next, tries, last } => {
                    Box::pin(self.while_down(Down { since, next, tries, last })).await
                }
                State::Over => break,
            };
        }
        self.series.is_over();
    }

    /// Watches an open session until it ends or a round is due.
    async fn watch(&self, mut session: Box<dyn Session>) -> (Box<dyn Session>, Next) {
        let next = tokio::select! {
            biased;
            ask = self.seat.asked() => Next::Round(ask),
            end = ended(&mut session) => Next::End(end),
        };
        (session, next)
    }

    async fn before_the_first_round(&mut self) -> State {
        match self.seat.asked().await {
            Some(ask) => self.first_round(ask).await,
            None => State::Over,
        }
    }

    async fn round(&mut self, session: Box<dyn Session>, since: Instant, ask: Option<Ask>) -> State {
        match ask {
            Some(ask) => self.ping(session, since, ask).await,
            None => {
                part(session).await;
                State::Over
            }
        }
    }

    async fn while_down(&mut self, down: Down) -> State {
        let ask = tokio::select! {
            biased;
            ask = self.seat.asked() => Some(ask),
            () = sleep_until(down.next) => None,
        };
        match ask {
            Some(None) => State::Over,
            Some(Some(ask)) => self.round_while_down(down, ask).await,
            None => self.come_back(down).await,
        }
    }

    /// The first round of all opens the session.
    async fn first_round(&mut self, ask: Ask) -> State {
        self.crew = Some(Arc::clone(&ask.crew));
        let (seen, session) = self.open(&ask.crew.observer, ask.due).await;
        match session {
            Some(session) => {
                self.tell(ask, vec![seen]);
                self.opened(session, None)
            }
            None => {
                let mut kept = seen.clone();
                kept.observation.arrivals.clear();
                let now = Instant::now();
                let down = Down { since: now, next: now, tries: 0, last: None };
                self.tell(ask, vec![seen]);
                self.after_a_failed_try(down, kept)
            }
        }
    }

    /// A round on an open session: asks whether it is there, or opens another when this one has been held for long
    /// enough.
    async fn ping(&mut self, mut session: Box<dyn Session>, since: Instant, ask: Ask) -> State {
        self.crew = Some(Arc::clone(&ask.crew));
        let hold = self.probe.session.map_or(Duration::MAX, |session| session.hold);
        if since.elapsed() >= hold {
            part(session).await;
            self.series.ended_by_us();
            self.untold = Untold::default();
            return self.first_round(ask).await;
        }
        let mut told = self.take_untold(ask.due);
        let turn = u32::try_from(told.len()).unwrap_or(0);
        let observer = &ask.crew.observer;
        let mut seen = observer.held(&self.probe, ask.due, turn, Step::Ping(&mut *session)).await;
        let age = since.elapsed();
        seen.observation.session = Some(SessionFacts { age: Some(age.as_secs_f64()), ..SessionFacts::default() });
        let state = if matches!(seen.observation.outcome, Outcome::Up | Outcome::Degraded) {
            State::Open { session, since }
        } else {
            // A stall of our own says nothing of the session; it goes on, and the next round asks again.
            let failure = seen.observation.failure.clone();
            match failure {
                Some(failure) if seen.observation.outcome == Outcome::Down => {
                    let state = self.dropped(age, End { failure, on_purpose: false });
                    // This very round tells it.
                    if let Some(facts) = &mut seen.observation.session {
                        facts.dropped = self.untold.dropped.take();
                    }
                    self.untold.bad = None;
                    state
                }
                _ => self.dropped_by_us(),
            }
        };
        told.push(seen);
        self.tell(ask, told);
        state
    }

    /// A round that falls while the session is down: what the last try came to. When there was none yet, it is made now.
    async fn round_while_down(&mut self, down: Down, ask: Ask) -> State {
        self.crew = Some(Arc::clone(&ask.crew));
        let mut state = match down.last {
            Some(_) => down.into(),
            None => self.come_back(down).await,
        };
        let told = match &mut state {
            State::Down { last: Some(last), .. } => self.as_round(last, ask.due),
            _ => self.take_untold(ask.due),
        };
        self.tell(ask, told);
        state
    }

    /// One more try to open the session.
    async fn come_back(&mut self, down: Down) -> State {
        let Some(crew) = self.crew.clone() else { return State::New };
        // Rounds wait for the try meanwhile, which has its deadline; the slot comes soon or at the next of these.
        let slots = Arc::clone(&self.slots);
        let Ok(Ok(slot)) = timeout(self.probe.timeout, slots.acquire()).await else {
            return Down { next: Instant::now() + spread(FIRST_SPREAD), ..down }.into();
        };
        let due = Due::at(crew.observer.clock.wall(), self.probe.interval);
        let (seen, session) = self.open(&crew.observer, due).await;
        drop(slot);
        match session {
            Some(session) => {
                let seen = with_arrivals_of(down.last, seen);
                self.untold.opened = Some(Box::new(seen));
                self.opened(session, Some(down.since))
            }
            None => self.after_a_failed_try(down, seen),
        }
    }

    fn after_a_failed_try(&mut self, down: Down, seen: Seen) -> State {
        let tries = down.tries.saturating_add(1);
        let wait = self.wait(tries);
        let told_to = seen.observation.retry_after.map(Duration::from_secs).unwrap_or_default().min(QUIET_AT_MOST);
        let next = Instant::now() + wait.max(told_to);
        self.series.down();
        State::Down { since: down.since, next, tries, last: Some(Box::new(with_arrivals_of(down.last, seen))) }
    }

    /// How long to wait before a try, after so many that came to nothing.
    fn wait(&self, tries: u32) -> Duration {
        let backoff = self.probe.check.hold().map(Hold::backoff).unwrap_or_default();
        backoff.wait(tries, chance()).min(LONGEST_WAIT)
    }

    /// Tries to open the session, as an observation.
    async fn open(&self, observer: &Observer, due: Due) -> (Seen, Option<Box<dyn Session>>) {
        let mut session = None;
        let Some(hold) = self.probe.check.hold() else {
            // Nobody makes a keeper for such a check.
            return (observer.held(&self.probe, due, 0, Step::Look(&*self.probe.check)).await, None);
        };
        let seen = observer.held(&self.probe, due, 0, Step::Open(hold, &mut session)).await;
        (seen, session)
    }

    fn opened(&mut self, session: Box<dyn Session>, down_since: Option<Instant>) -> State {
        self.untold.took = down_since.map(|since| since.elapsed());
        self.series.opened(self.untold.took);
        State::Open { session, since: Instant::now() }
    }

    /// The session has ended, and not by us.
    fn dropped(&mut self, age: Duration, end: End) -> State {
        let expected = self.ages.expects(age, end.on_purpose);
        self.series.dropped(end.failure.kind);
        let dropped = Dropped { kind: end.failure.kind, age: age.as_secs_f64(), expected };
        self.untold.dropped = Some(dropped);
        if expected {
            tracing::debug!("session of {} ended as usual after {age:.0?}: {}", self.probe.name, end.failure);
        } else {
            // One that keeps ending is told by its rounds; the log has the first.
            if self.short == 0 {
                tracing::info!("session of {} ended after {age:.0?}: {}", self.probe.name, end.failure);
            }
            self.untold.bad = Some(end.failure);
        }
        self.short = if age < WORKED { self.short.saturating_add(1) } else { 0 };
        // The first that did not last is opened again at once as any other.
        let tries = self.short.saturating_sub(1);
        let now = Instant::now();
        State::Down { since: now, next: now + self.wait(tries).max(spread(FIRST_SPREAD)), tries, last: None }
    }

    /// The session is given up for a fault of our own: nobody's drop.
    fn dropped_by_us(&mut self) -> State {
        self.series.ended_by_us();
        let now = Instant::now();
        State::Down { since: now, next: now, tries: 0, last: None }
    }

    fn tell(&self, ask: Ask, told: Vec<Seen>) {
        // Nobody waits any more only when the process stops.
        let _ = ask.answer.send(told);
    }
}

/// A round of a session has two observations at most: that it was opened again, and that it was asked.
pub(super) const TURNS: u32 = 2;

struct Down {
    since: Instant,
    next: Instant,
    tries: u32,
    last: Option<Box<Seen>>,
}

impl From<Down> for State {
    fn from(Down { since, next, tries, last }: Down) -> Self {
        Self::Down { since, next, tries, last }
    }
}

enum Next {
    Round(Option<Ask>),
    End(End),
}

/// How the session ends, a fault of our own in watching it included.
async fn ended(session: &mut Box<dyn Session>) -> End {
    let watched = AssertUnwindSafe(session.ended()).catch_unwind().await;
    watched.unwrap_or_else(|_| End { failure: no_hold(), on_purpose: false })
}

async fn part(session: Box<dyn Session>) {
    // Whoever does not answer a farewell is left all the same.
    let _ = timeout(PARTING, session.close()).await;
}

fn no_hold() -> Failure {
    Failure::new(Phase::Exchange, Kind::Internal, "the session stopped with a fault of our own, see the log")
}

/// Something from 0 to 1 that is another for everybody.
fn chance() -> f64 {
    let drawn = RandomState::new().build_hasher().finish() >> 11;
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double")]
    let drawn = drawn as f64;
    drawn / (1_u64 << 53) as f64
}

fn spread(most: Duration) -> Duration {
    most.mul_f64(chance())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_thousands_of_is_small() {
        const fn size_of_future<F>(_: fn(Box<Keeper>) -> F) -> usize {
            size_of::<F>()
        }
        let room = size_of_future(Keeper::keep);
        assert!(room <= 384, "{room} bytes");
    }
}
