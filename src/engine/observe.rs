//! One run of one probe: attempts under one absolute deadline, and an observation of whatever happened. `run`, `check`
//! and `GET /probe` share this one path. Must not know when runs are due or what becomes of observations.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::{Clock, Health, Mark, confirm::Otherwise};
use crate::{
    config::Probe,
    model::{Failure, Kind, Observation, Outcome, Phase, Timestamp, Vantage, Varied, observation_id, round_of},
    net::{self, Net},
    protocol::{Attempt, Check, Gauge, Hold, Looking, Session},
};

/// Less lost time than this never explains a timeout.
const LOST_AT_LEAST: Duration = Duration::from_millis(200);

/// Confirmations of a round are tries from here on: rounds that are run again after the clock was set back stay below.
const CONFIRMATIONS: u32 = 1 << 16;

/// What every run of a process or of a plan shares.
#[derive(Clone)]
pub struct Observer {
    /// Resolver, trust and sockets.
    pub net: Arc<Net>,
    /// Where we look from.
    pub vantage: Vantage,
    /// Hash of the configuration; empty where there is none.
    pub config: Arc<str>,
    /// Version of this program.
    pub build: Arc<str>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Our own lateness, so that it is not taken for the target's.
    pub health: Arc<Health>,
    /// Whether to gather the figures of `GET /probe`.
    pub wants_gauges: bool,
}

/// Which run it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// When it was due.
    pub scheduled_at: Timestamp,
    /// Number of the round.
    pub round: i64,
    /// How often this round has been run before: more than none only after the clock was set back.
    pub generation: u32,
}

/// What one attempt came to.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The fact.
    pub observation: Observation,
    /// Figures for `GET /probe`.
    pub gauges: Vec<Gauge>,
}

impl Due {
    /// A run outside any schedule: due now.
    #[must_use]
    pub fn at(now: Timestamp, interval: Duration) -> Self {
        Self { scheduled_at: now, round: round_of(now, interval), generation: 0 }
    }
}

impl Observer {
    /// An observer that reads this machine's clock and watches this process. Must be called inside a runtime.
    #[must_use]
    pub fn new(net: Arc<Net>, vantage: Vantage, config: Arc<str>) -> Self {
        net::gather_entropy();
        let clock: Arc<dyn Clock> = Arc::new(super::SystemClock);
        let health = Health::watch(Arc::clone(&clock));
        Self { net, vantage, config, build: env!("CARGO_PKG_VERSION").into(), clock, health, wants_gauges: false }
    }

    /// Runs a probe once: an observation for each of its check's turns, up to the first that did not succeed (the
    /// later ones build on it). Returns at the latest when the probe's timeout has passed, whatever the target does.
    pub async fn observe(&self, probe: &Probe, due: Due) -> Vec<Seen> {
        let turns = probe.check.turns().max(1);
        let deadline = Instant::now() + probe.timeout;
        let mut seen = Vec::with_capacity(turns as usize);
        for turn in 0..turns {
            let one = Look {
                probe,
                check: &*probe.check,
                net: &self.net,
                due,
                attempt: due.generation * turns + turn,
                turn,
                timeout: probe.timeout,
                deadline,
                varied: None,
            };
            let one = self.attempt(one).await;
            let failed = matches!(one.observation.outcome, Outcome::Down | Outcome::Inconclusive);
            seen.push(one);
            if failed {
                break;
            }
        }
        seen
    }

    /// Runs a probe once more, with one thing otherwise, beside its own rounds.
    pub(super) async fn confirm(&self, probe: &Probe, due: Due, otherwise: &Otherwise) -> Observation {
        let Otherwise { varied, net, check, timeout } = otherwise;
        let look = Look {
            probe,
            check: check.as_deref().unwrap_or(&*probe.check),
            net,
            due,
            attempt: CONFIRMATIONS.saturating_mul(due.generation.saturating_add(1)).wrapping_add(*varied as u32),
            turn: 0,
            timeout: *timeout,
            deadline: Instant::now() + *timeout,
            varied: Some(*varied),
        };
        self.attempt(look).await.observation
    }

    /// Runs one step of a probe whose connection is held, as an observation: opening it, or asking on it. `turn` is
    /// which observation of the round it is.
    pub(super) async fn held(&self, probe: &Probe, due: Due, turn: u32, step: Step<'_>) -> Seen {
        let look = Look {
            probe,
            check: &*probe.check,
            net: &self.net,
            due,
            attempt: due.generation * super::session::TURNS + turn,
            turn,
            timeout: probe.timeout,
            deadline: Instant::now() + probe.timeout,
            varied: None,
        };
        self.attempt_to(step, look).await
    }

    async fn attempt(&self, look: Look<'_>) -> Seen {
        self.attempt_to(Step::Look(look.check), look).await
    }

    async fn attempt_to(&self, step: Step<'_>, look: Look<'_>) -> Seen {
        let Look { probe, check, due, timeout, deadline, .. } = look;
        let started_at = self.clock.wall();
        let mark = self.health.mark();
        let mut attempt = Attempt::begin(Arc::clone(look.net), self.vantage.clone(), look.turn, timeout);
        attempt.deadline = deadline;
        attempt.alone = look.varied.is_some();
        attempt.wants_gauges = self.wants_gauges;

        let looked = AssertUnwindSafe(step.run(&mut attempt)).catch_unwind();
        let ended = match tokio::time::timeout_at(deadline, looked).await {
            Ok(Ok(looked)) => looked,
            Ok(Err(_panic)) => Err(panicked()),
            Err(_) => Err(attempt.timed_out()),
        };
        attempt.leave();
        attempt.let_go();
        let duration = attempt.started().elapsed();
        let (outcome, failure) = self.judge(ended, &mut attempt, timeout, mark);

        let phases = *attempt.phases();
        let facts = attempt.facts;
        let observation = Observation {
            id: observation_id(&probe.name, &self.vantage, due.round, look.attempt),
            probe: Arc::clone(&probe.name),
            party: Arc::clone(&probe.subject.party),
            product: probe.subject.product.clone(),
            protocol: check.key().into(),
            region: Arc::clone(&self.vantage.region),
            node: Arc::clone(&self.vantage.node),
            round: due.round,
            scheduled_at: due.scheduled_at,
            started_at: Some(started_at),
            outcome,
            failure,
            phases,
            duration,
            connection: facts.connection,
            peer: facts.peer,
            resolver: facts.resolver,
            tls: facts.tls,
            tcp: facts.tcp,
            http_status: facts.http_status,
            retry_after: facts.retry_after.map(|wait| wait.as_secs()),
            build: Arc::clone(&self.build),
            config: Arc::clone(&self.config),
            credential: None,
            varied: look.varied,
            arrivals: facts.arrivals,
            session: None,
            steps: facts.steps,
            received_at: None,
        };
        Seen { observation, gauges: attempt.gauges }
    }

    /// Turns how an attempt ended into an outcome. Our own faults count against nobody.
    fn judge(
        &self,
        ended: Result<(), Failure>,
        attempt: &mut Attempt,
        timeout: Duration,
        mark: Mark,
    ) -> (Outcome, Option<Failure>) {
        let (outcome, failure) = match (ended, attempt.facts.degraded.take()) {
            (Ok(()), None) => return (Outcome::Up, None),
            (Ok(()), Some(degraded)) => (Outcome::Degraded, degraded),
            (Err(failure), _) if failure.kind.is_ours() => (Outcome::Inconclusive, failure),
            (Err(failure), _) => (Outcome::Down, failure),
        };
        // A short stall does not explain that a target was silent for seconds; one of a tenth of the time may. One as
        // long as the whole deadline (a suspended machine) explains anything: connections do not outlive it.
        let lost = self.health.lost_since(mark);
        let slow = failure.kind == Kind::TimedOut && lost >= LOST_AT_LEAST.max(timeout / 10);
        let starved = slow || lost >= LOST_AT_LEAST.max(timeout);
        if starved && outcome != Outcome::Inconclusive {
            let detail = format!("this process itself stood still for {} ms meanwhile", lost.as_millis());
            return (Outcome::Inconclusive, Some(Failure::new(failure.phase, Kind::Starved, detail)));
        }
        (outcome, Some(failure))
    }
}

/// What an attempt does.
pub(super) enum Step<'s> {
    /// Looks once.
    Look(&'s dyn Check),
    /// Opens a connection to hold, and puts it there.
    Open(&'s dyn Hold, &'s mut Option<Box<dyn Session>>),
    /// Asks on a connection that is held.
    Ping(&'s mut dyn Session),
}

impl<'s> Step<'s> {
    fn run<'a>(self, attempt: &'a mut Attempt) -> Looking<'a>
    where
        's: 'a,
    {
        match self {
            Self::Look(check) => check.look(attempt),
            Self::Open(hold, there) => Box::pin(async move {
                *there = Some(hold.open(attempt).await?);
                Ok(())
            }),
            Self::Ping(session) => session.ping(attempt),
        }
    }
}

/// One attempt, and all that makes it that one.
#[derive(Clone, Copy)]
struct Look<'a> {
    probe: &'a Probe,
    check: &'a dyn Check,
    net: &'a Arc<Net>,
    due: Due,
    /// Which try of the round it is.
    attempt: u32,
    /// Which of the check's turns.
    turn: u32,
    timeout: Duration,
    deadline: Instant,
    varied: Option<Varied>,
}

/// What the panic said is in the log already: the process's panic hook has written it.
fn panicked() -> Failure {
    Failure::new(Phase::Exchange, Kind::Internal, "the check stopped with a fault of our own, see the log")
}

#[cfg(test)]
#[path = "observe_tests.rs"]
mod tests;
