//! Who was started in the middle goes on as whoever was there from the beginning.

use super::*;
use crate::{
    incident::Incidents,
    model::{Kind, Outcome, Phase, Verdict},
};

const PLAN: &str = "
vantage: { region: eu, node: n }
defaults: { interval: 10s, timeout: 5s }
parties:
  firebase: { kind: provider, name: Firebase }
  internet: { kind: control }
probes:
  - { name: rtdb, party: firebase, product: rtdb, check: { tcp: { address: \"127.0.0.1:1\" } } }
  - { name: auth, party: firebase, product: auth, check: { tcp: { address: \"127.0.0.1:2\" } } }
  - { name: control, party: internet, check: { tcp: { address: \"127.0.0.1:3\" } } }
alerts: { open_after: 3, close_after: 3 }
";

fn course() -> Course {
    let net = crate::net::Net::system(vec![]).unwrap();
    let read = crate::config::read_text(PLAN, "probes.yaml".as_ref(), &|_| None, &net, &Default::default());
    Course::new(&read.unwrap_or_else(|mistakes| panic!("{mistakes}")).plan, Incidents::default())
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_timestamp_millis(1_795_000_000_000 + millis).unwrap()
}

/// What one look at a round comes to, 100 ms after it was due. The probes begin a second apart.
fn seen(probe: usize, region: &'static str, round: i64) -> Sighting<'static> {
    let (name, party, product) =
        [("rtdb", "firebase", Some("rtdb")), ("auth", "firebase", Some("auth")), ("control", "internet", None)][probe];
    // A product fails for four rounds, comes back for two, and fails for three more.
    let down = probe == 0 && ((6..10).contains(&round) || (12..15).contains(&round));
    Sighting {
        probe: name,
        party,
        product,
        region,
        node: "n",
        scheduled_at: at(round * 10_000 + i64::try_from(probe).unwrap() * 1_000),
        duration: 0.1,
        outcome: if down { Outcome::Down } else { Outcome::Up },
        failure: down.then_some((Phase::Tls, Kind::TimedOut)),
        ..Sighting::default()
    }
}

/// What is said of each subject: all that an incident goes by.
fn said(verdicts: &[Verdict]) -> Vec<String> {
    let of = |one: &Verdict| format!("{} {:?} {:?} {:?}", one.subject, one.cause, one.weight, one.round);
    verdicts.iter().map(of).collect()
}

#[test]
fn who_was_started_in_the_middle_says_what_whoever_was_there_says() {
    let rounds = |from: i64, until: i64| {
        let places = move |round| (0..3).flat_map(move |probe| ["eu", "us"].map(|region| (probe, region, round)));
        (from..until).flat_map(places).map(|(probe, region, round)| seen(probe, region, round))
    };
    for started in 1..24 {
        let (mut there, mut late) = (course(), course());
        let mut way = Way::through(late.plan());
        let mut clock = at(0);
        for one in rounds(0, 24) {
            let known = one.scheduled_at + TimeDelta::milliseconds(100);
            // Whoever is there judges twice a second.
            while clock < known {
                let verdicts = there.turn(clock).verdicts;
                // While all is well verdicts are repeated for a while, by each from where it began.
                if one.scheduled_at >= at(started * 10_000).max(at(60_000)) {
                    assert_eq!(said(&late.turn(clock).verdicts), said(&verdicts), "started at {started}, {clock}");
                }
                clock += TimeDelta::milliseconds(500);
            }
            there.absorb(&one, known);
            if one.scheduled_at < at(started * 10_000) {
                way.take(&one, &mut late, at(started * 10_000));
            } else {
                late.absorb(&one, known);
            }
        }
    }
}

#[test]
fn what_a_hostile_or_a_foreign_file_holds_is_gone_through_all_the_same() {
    let mut course = course();
    let mut way = Way::through(course.plan());
    for (scheduled_at, duration) in [
        (at(0), f64::NAN),
        (at(10_000), -1.0),
        (at(20_000), 1e300),
        (Timestamp::MAX_UTC, 1e9),
        (Timestamp::MIN_UTC, 0.0),
    ] {
        way.take(&Sighting { scheduled_at, duration, ..seen(0, "eu", 0) }, &mut course, at(30_000));
    }
    assert!(way.clock <= at(30_000), "{}", way.clock);
}
