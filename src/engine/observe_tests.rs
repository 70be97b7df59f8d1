//! What a run makes of what a check says.

use std::sync::atomic::{AtomicI64, Ordering::SeqCst};

use chrono::TimeDelta;

use super::*;
use crate::{
    model::{Connection, PartyKind, Subject},
    protocol::{Check, Looking},
};

/// A check of two turns; what it does in each is a function of the turn.
struct Turns<F>(F);

impl<F> Check for Turns<F>
where
    F: for<'a> Fn(&'a mut Attempt) -> Looking<'a> + Send + Sync,
{
    fn key(&self) -> &'static str {
        "fake"
    }

    fn target(&self) -> String {
        "fake".into()
    }

    fn turns(&self) -> u32 {
        2
    }

    fn look<'a>(&'a self, attempt: &'a mut Attempt) -> Looking<'a> {
        (self.0)(attempt)
    }
}

/// Stands still but for what a test adds.
#[derive(Default)]
struct Wall(AtomicI64);

impl Clock for Wall {
    fn wall(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::milliseconds(self.0.load(SeqCst))
    }
}

async fn observe(look: impl for<'a> Fn(&'a mut Attempt) -> Looking<'a> + Send + Sync + 'static) -> Vec<Observation> {
    let clock: Arc<dyn Clock> = Arc::new(Wall::default());
    let vantage = Vantage { region: "eu-west".into(), node: "n1".into() };
    let net = Net::system(Vec::new()).unwrap();
    let health = Health::watch(Arc::clone(&clock));
    let observer = Observer { clock, health, ..Observer::new(net, vantage, "sha256:0".into()) };
    let probe = Probe {
        name: "p".into(),
        subject: Subject { party: "party".into(), product: Some("product".into()) },
        kind: PartyKind::Provider,
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(5),
        confirm: None,
        session: None,
        check: Arc::new(Turns(look)),
        file: serde_json::from_value(serde_json::json!({"tcp": {"address": "127.0.0.1:1"}})).unwrap(),
        vantages: 2,
        fingerprint: "".into(),
    };
    let due = Due { scheduled_at: Timestamp::UNIX_EPOCH, round: 7, generation: 0 };
    observer.observe(&probe, due).await.into_iter().map(|seen| seen.observation).collect()
}

#[tokio::test(start_paused = true)]
async fn each_turn_is_a_fact_with_an_id_of_its_own() {
    let seen = observe(|attempt| {
        Box::pin(async move {
            attempt.facts.connection = if attempt.turn == 0 { Connection::Cold } else { Connection::Warm };
            attempt.enter(Phase::Exchange, "answer");
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok(())
        })
    })
    .await;
    assert_eq!(seen.len(), 2);
    assert_ne!(seen[0].id, seen[1].id);
    assert_eq!((seen[0].connection, seen[1].connection), (Connection::Cold, Connection::Warm));
    assert!(seen.iter().all(|fact| fact.outcome == Outcome::Up && fact.round == 7 && fact.failure.is_none()));
    assert!(seen.iter().all(|fact| fact.phases.get(Phase::Exchange) == Some(Duration::from_millis(20))));
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_fails_is_the_last_and_the_deadline_is_for_all() {
    let seen = observe(|attempt| {
        Box::pin(async move {
            attempt.enter(Phase::Connect, "TCP handshake");
            let wait = if attempt.turn == 0 { 4 } else { 3600 };
            tokio::time::sleep(Duration::from_secs(wait)).await;
            Ok(())
        })
    })
    .await;
    assert_eq!((seen[0].outcome, seen[1].outcome), (Outcome::Up, Outcome::Down));
    assert!(seen[1].duration <= Duration::from_millis(1010), "{:?}", seen[1].duration);

    let seen = observe(|_| Box::pin(async { Err(Failure::new(Phase::Connect, Kind::Refused, "closed port")) })).await;
    assert_eq!((seen.len(), seen[0].outcome), (1, Outcome::Down));
}

#[tokio::test(start_paused = true)]
async fn what_was_learned_before_the_deadline_is_kept() {
    let seen = observe(|attempt| {
        Box::pin(async move {
            attempt.phase(Phase::Connect, "TCP handshake", async { Ok(()) }).await?;
            attempt.facts.peer = Some(([192, 0, 2, 1], 443).into());
            attempt.enter(Phase::Tls, "ServerHello");
            std::future::pending().await
        })
    })
    .await;
    let failure = seen[0].failure.as_ref().unwrap();
    assert_eq!(
        (failure.phase, failure.kind, &*failure.detail),
        (Phase::Tls, Kind::TimedOut, "no ServerHello within 5s")
    );
    assert!(seen[0].peer.is_some() && seen[0].phases.get(Phase::Connect).is_some());
}

#[tokio::test(start_paused = true)]
async fn poorer_than_expected_is_degraded_and_our_own_fault_inconclusive() {
    let seen = observe(|attempt| {
        attempt.facts.degraded = Some(Failure::new(Phase::Tls, Kind::CertificateExpired, "3 days left"));
        Box::pin(async { Ok(()) })
    })
    .await;
    assert_eq!((seen.len(), seen[0].outcome), (2, Outcome::Degraded));
    assert_eq!(seen[0].failure.as_ref().unwrap().detail, "3 days left");

    let seen = observe(|_| Box::pin(async { Err(Failure::new(Phase::Exchange, Kind::NotPermitted, "")) })).await;
    assert_eq!((seen.len(), seen[0].outcome), (1, Outcome::Inconclusive));
}
