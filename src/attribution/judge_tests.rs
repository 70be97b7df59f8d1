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

#[test]
fn nodes_that_come_and_go_are_forgotten_and_those_that_stay_are_not() {
    let mut judge = Judge::new(world());
    let start = instant(1_795_000_000_000);
    for hour in 0..24 * 10 {
        let at = start + TimeDelta::hours(hour);
        let node = format!("node-{hour}");
        for node in ["n1", &node] {
            judge.absorb(&Sighting { node, ..sighting("cloud", at, Outcome::Up, Connection::Cold) }, at);
        }
        judge.judge(at);
    }
    let Seen { cells, by_key, parts, cells_of, .. } = &judge.seen;
    assert!((24..=28).contains(&by_key.len()) && cells.len() <= 28, "{} of {}", by_key.len(), cells.len());
    assert!(parts.iter().map(|part| &part.cells).chain(cells_of).all(|cells| cells.is_sorted() && cells.len() <= 28));
    let stays = cells.iter().map(|cell| cell.samples.len()).max();
    assert_eq!(stays, Some(super::super::cell::SAMPLES), "the node that was always there");
}

/// Nothing is looked at as before, and nobody has looked anew yet.
#[test]
fn after_all_probes_were_renamed_no_region_is_missed() {
    let mut judge = Judge::new(world());
    let start = instant(1_795_000_000_000);
    for (second, region) in [(0, "a"), (0, "b"), (10, "a"), (10, "b")] {
        let at = start + TimeDelta::seconds(second);
        judge.absorb(&Sighting { region, ..sighting("cloud", at, Outcome::Up, Connection::Cold) }, at);
        judge.judge(at);
    }
    let mut renamed = world();
    renamed.probes = renamed.probes.into_iter().map(|(name, probe)| (format!("new-{name}").into(), probe)).collect();
    judge.adopt(renamed);
    for second in 11..200 {
        let verdicts = judge.judge(start + TimeDelta::seconds(second));
        assert!(!verdicts.iter().any(|verdict| verdict.is_bad() && verdict.has_evidence()), "{verdicts:?}");
    }
}

/// What a region saw while it could not see says nothing about others, also under another configuration.
#[test]
fn a_reload_keeps_in_mind_when_a_region_could_not_see() {
    let (mut judge, start) = (Judge::new(world()), instant(1_795_000_000_000));
    for round in 0..30 {
        let at = start + TimeDelta::seconds(round * 10);
        for (region, down) in [("a", (20..26).contains(&round)), ("b", false), ("c", false)] {
            for probe in ["cloud", "internet"] {
                let outcome = if down { Outcome::Down } else { Outcome::Up };
                judge.absorb(&Sighting { region, ..sighting(probe, at, outcome, Connection::Cold) }, at);
            }
        }
        judge.judge(at + TimeDelta::seconds(1));
    }
    let could_see = |judge: &Judge, round: i64| {
        let at = (start + TimeDelta::seconds(round * 10)).timestamp_millis();
        judge.seen.regions.iter().map(|region| region.may_have_seen(at)).collect::<Vec<_>>()
    };
    assert_eq!((could_see(&judge, 10), could_see(&judge, 24)), (vec![true; 3], vec![false, true, true]));
    let mut more = world();
    let probe = more.probes["cloud"].clone();
    more.probes.insert("cloud-too".into(), probe);
    judge.adopt(more);
    assert_eq!((could_see(&judge, 10), could_see(&judge, 24)), (vec![true; 3], vec![false, true, true]));
}

/// Whoever makes up names takes the room of new ones, and not that of those who were there before.
#[test]
fn with_no_room_for_names_known_places_are_heard_and_new_nodes_share_one() {
    let (mut judge, at) = (Judge::new(world()), instant(1_795_000_000_000));
    let take = |judge: &mut Judge, region: &str, node: &str, second: i64| {
        let at = at + TimeDelta::seconds(second);
        judge.absorb(&Sighting { region, node, ..sighting("cloud", at, Outcome::Up, Connection::Cold) }, at)
    };
    assert_eq!(take(&mut judge, "a", "n1", 0), Absorbed::Taken);
    let mut made_up = 0;
    while !judge.seen.names.is_full() {
        take(&mut judge, "a", &format!("made-up-{made_up}"), 0);
        made_up += 1;
    }
    let cells = judge.seen.by_key.len();
    assert_eq!(take(&mut judge, "a", "n1", 10), Absorbed::Taken);
    assert_eq!((take(&mut judge, "a", "n2", 11), take(&mut judge, "a", "n3", 12)), (Absorbed::Taken, Absorbed::Taken));
    assert_eq!(judge.seen.by_key.len(), cells + 1);
    assert_eq!(take(&mut judge, "b", "n1", 13), Absorbed::Full);
}
