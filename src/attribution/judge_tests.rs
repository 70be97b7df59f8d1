//! The judge by itself, where a story on real sockets would take long.

use std::time::Duration;

use chrono::TimeDelta;

use super::*;
use crate::{
    attribution::{WorldParty, WorldProbe},
    incident::{Incidents, Policy, step},
    model::{Connection, IncidentState, Kind, Outcome, Phase, Transition, Varied},
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

/// What confirmations come to: from which regions of three, and whether another way works.
#[derive(Clone, Copy)]
struct Confirmed {
    from: usize,
    other_way: Outcome,
}

/// In which rounds an incident opens and ends, of one that lasts from the tenth on for so many.
fn opens_and_ends(interval: i64, lasts: i64, confirmed: Confirmed) -> (Vec<i64>, Vec<i64>) {
    let mut world = world();
    for probe in world.probes.values_mut() {
        probe.interval = Duration::from_secs(interval.unsigned_abs());
    }
    let (mut judge, mut incidents) = (Judge::new(world), Incidents::default());
    let start = instant(1_795_000_000_000);
    let (mut opened, mut ended) = (vec![], vec![]);
    for second in 0..interval * 60 {
        let at = start + TimeDelta::seconds(second);
        let (round, bad) = (second / interval, (10..10 + lasts).contains(&(second / interval)));
        for (place, region) in ["a", "b", "c"].into_iter().enumerate() {
            let look =
                |probe, outcome, varied| Sighting { region, varied, ..sighting(probe, at, outcome, Connection::Cold) };
            let offset = second % interval - i64::try_from(place).unwrap();
            if offset == 0 {
                judge.absorb(&look("internet", Outcome::Up, None), at);
                judge.absorb(&look("cloud", if bad { Outcome::Down } else { Outcome::Up }, None), at);
            } else if offset == 1 && round == 10 && place < confirmed.from {
                judge.absorb(&look("cloud", Outcome::Down, Some(Varied::Again)), at);
                judge.absorb(&look("cloud", confirmed.other_way, Some(Varied::Credential)), at);
            }
        }
        let step = step(&incidents, &judge.judge(at), Policy { open_after: 3, close_after: 5 }, at);
        incidents = step.incidents;
        for change in &step.changes {
            match change.transition {
                Transition::Opened => opened.push(round),
                Transition::Closed => ended.push(round),
                _ => {}
            }
        }
    }
    (opened, ended)
}

#[test]
fn where_rounds_are_short_what_several_regions_confirm_opens_a_round_sooner() {
    let by = |from| Confirmed { from, other_way: Outcome::Down };
    let nobody = by(0);
    assert_eq!(opens_and_ends(5, 8, nobody), (vec![12], vec![22]));
    assert_eq!(opens_and_ends(5, 8, by(3)), (vec![11], vec![22]), "and ends as it does otherwise");
    assert_eq!(opens_and_ends(5, 8, by(2)), (vec![11], vec![22]));
    assert_eq!(opens_and_ends(5, 8, by(1)), (vec![12], vec![22]), "one region may have lost its way there");
    let refused = Confirmed { from: 3, other_way: Outcome::Up };
    assert_eq!(opens_and_ends(5, 8, refused), (vec![12], vec![22]), "it answers otherwise");
    assert_eq!(opens_and_ends(10, 8, by(3)), opens_and_ends(10, 8, nobody), "long rounds must go by");
    assert_eq!(opens_and_ends(6, 8, by(3)).0, [12]);
    assert_eq!(opens_and_ends(4, 8, by(3)).0, [11]);
    assert_eq!(opens_and_ends(5, 1, by(3)), (vec![], vec![]), "two rounds it takes");
    assert_eq!(opens_and_ends(5, 2, nobody), (vec![], vec![]));
    assert_eq!(opens_and_ends(5, 2, by(3)), (vec![11], vec![16]), "and it is over at once when it is over");
}
