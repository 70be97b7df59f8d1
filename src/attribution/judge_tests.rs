//! The judge by itself, where a story on real sockets would take long.

use std::time::Duration;

use chrono::TimeDelta;

use super::*;
use crate::{
    attribution::{WorldParty, WorldProbe},
    incident::{Incidents, Policy, step},
    model::{Connection, IncidentState, Kind, Outcome, Phase},
};

fn world() -> World {
    let mut world = World::default();
    for (key, kind) in [("cloud", PartyKind::Provider), ("internet", PartyKind::Control)] {
        world.parties.insert(key.into(), WorldParty { kind, name: key.into(), depends_on: vec![] });
        let subject = Subject { party: key.into(), product: None };
        let (interval, timeout) = (Duration::from_secs(10), Duration::from_secs(5));
        world.probes.insert(key.into(), WorldProbe { subject, interval, timeout });
    }
    world
}

fn sighting(probe: &str, at: Timestamp, outcome: Outcome, connection: Connection) -> Sighting<'_> {
    Sighting {
        probe,
        party: probe,
        product: None,
        region: "local",
        node: "n1",
        connection,
        scheduled_at: at,
        started_at: Some(at),
        outcome,
        failure: (outcome == Outcome::Down).then_some((Phase::Connect, Kind::Refused)),
        detail: "",
        duration: 0.1,
        resolve: None,
        connect: None,
        peer: None,
        http_status: None,
        build: "1",
        config: "a",
        credential: None,
        varied: None,
    }
}

/// A session that is open again is not opened in the rounds that follow: its cold cell falls silent for good.
#[test]
fn an_incident_of_a_held_session_ends_when_the_session_is_back() {
    let mut judge = Judge::new(world());
    let mut incidents = Incidents::default();
    let start = instant(1_795_000_000_000);
    let mut states = vec![];
    for round in 0..60 {
        let at = start + TimeDelta::seconds(round * 10);
        let (outcome, connection) = match round {
            20..30 => (Outcome::Down, Connection::Cold),
            0 | 30 => (Outcome::Up, Connection::Cold),
            _ => (Outcome::Up, Connection::Warm),
        };
        judge.absorb(&sighting("internet", at, Outcome::Up, Connection::Cold), at);
        judge.absorb(&sighting("cloud", at, outcome, connection), at);
        let now = at + TimeDelta::seconds(1);
        let step = step(&incidents, &judge.judge(now), Policy { open_after: 3, close_after: 5 }, now);
        incidents = step.incidents;
        states.extend(step.changes.iter().map(|change| (round, change.incident.state)));
    }
    let when = |wanted| states.iter().find(|(_, state)| *state == wanted).map(|(round, _)| *round);
    assert_eq!(when(IncidentState::Open), Some(22), "{states:?}");
    assert!(when(IncidentState::Closed).is_some_and(|round| round <= 38), "{states:?}");
}
