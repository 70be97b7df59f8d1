//! Runs a check once, under a deadline, the way the engine does.

use std::{net::IpAddr, sync::Arc, time::Duration};

use serde_json::Value;
use tokio::time::Instant;
use usoryou::{
    model::{Failure, Outcome, PhaseTimes},
    net::{Net, Pin},
    protocol::{Attempt, Check, CheckFile, Facts, Gauge},
};

/// What a test gives a check.
pub const TIMEOUT: Duration = Duration::from_millis(400);

/// How much later than the deadline a check may end.
const GRACE: Duration = Duration::from_millis(50);

/// What one turn of a check came to.
#[derive(Debug)]
pub struct Looked {
    pub outcome: Outcome,
    pub failure: Option<Failure>,
    pub facts: Facts,
    pub phases: PhaseTimes,
    pub gauges: Vec<Gauge>,
}

impl Looked {
    /// Outcome, phase and kind, in the words of the product.
    pub fn words(&self) -> String {
        match &self.failure {
            Some(failure) => format!("{} {} {}", self.outcome, failure.phase, failure.kind),
            None => self.outcome.to_string(),
        }
    }

    pub fn detail(&self) -> &str {
        self.failure.as_ref().map_or("", |failure| &failure.detail)
    }

    pub fn gauge(&self, name: &str) -> Option<f64> {
        self.gauges.iter().find(|gauge| gauge.name == name).map(|gauge| gauge.value)
    }
}

/// A network in which names are addresses of this machine.
pub fn net(names: &[(&str, u16)]) -> Arc<Net> {
    let loopback = IpAddr::from([127, 0, 0, 1]);
    let pins = names.iter().map(|(host, port)| Pin { host: (*host).to_owned(), port: *port, address: loopback });
    Arc::new(Net { pins: pins.collect(), ..Net::default() })
}

/// The check that a piece of configuration describes.
pub fn check(net: &Arc<Net>, file: Value) -> Arc<dyn Check> {
    let file: CheckFile = serde_json::from_value(file).unwrap();
    file.build(net).unwrap()
}

/// One turn of a check.
pub async fn turn(net: &Arc<Net>, check: &dyn Check, turn: u32) -> Looked {
    turn_within(net, check, turn, TIMEOUT).await
}

/// The same with time enough for a program that shares a busy machine.
pub async fn turn_within(net: &Arc<Net>, check: &dyn Check, turn: u32, timeout: Duration) -> Looked {
    let mut attempt = Attempt::begin(Arc::clone(net), here(), turn, timeout);
    attempt.wants_gauges = true;
    let deadline = attempt.deadline;
    // A machine that is busy with other tests wakes everybody late: by how much is told by a timer beside the check.
    let other = tokio::spawn(async move {
        tokio::time::sleep_until(deadline).await;
        Instant::now()
    });
    let ended = match tokio::time::timeout_at(deadline, check.look(&mut attempt)).await {
        Ok(looked) => looked,
        Err(_) => Err(attempt.timed_out()),
    };
    let end = Instant::now();
    if end > deadline {
        let late = end.duration_since(other.await.unwrap().max(deadline));
        assert!(late < GRACE, "the check ended {late:?} after its deadline");
    } else {
        other.abort();
    }
    attempt.leave();
    let (outcome, failure) = match (ended, attempt.facts.degraded.clone()) {
        (Ok(()), None) => (Outcome::Up, None),
        (Ok(()), Some(degraded)) => (Outcome::Degraded, Some(degraded)),
        (Err(failure), _) if failure.kind.is_ours() => (Outcome::Inconclusive, Some(failure)),
        (Err(failure), _) => (Outcome::Down, Some(failure)),
    };
    let total = attempt.phases().total();
    let whole = attempt.started().elapsed();
    // `cargo test --test it -- --nocapture http:: tcp_tls::` prints what each case came to.
    let (case, took) = (std::thread::current(), whole.as_secs_f64() * 1e3);
    let said = failure.as_ref().map_or_else(String::new, ToString::to_string);
    crate::support::say(&format!("| {} | {outcome} | {said} | {took:.0} ms |", case.name().unwrap_or_default()));
    assert!(total <= whole + Duration::from_millis(1), "phases of {total:?} in an attempt of {whole:?}");
    Looked { outcome, failure, phases: *attempt.phases(), facts: attempt.facts, gauges: attempt.gauges }
}

/// A check that is made for one look.
pub async fn look(net: &Arc<Net>, file: Value) -> Looked {
    let check = check(net, file);
    turn(net, &*check, 0).await
}

/// Where the tests look from.
pub(crate) fn here() -> usoryou::model::Vantage {
    usoryou::model::Vantage { region: "local".into(), node: "here".into() }
}
