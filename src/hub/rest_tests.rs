//! Whoever looks tells people what whoever judges at each second tells them, and judges far less often.

use super::*;
use crate::{
    incident::Incidents,
    model::{Kind, LetterKind, Outcome, Phase, Sighting, Subject, Transition},
};

const PLAN: &str = "
vantage: { region: eu, node: n }
defaults: { interval: 30s, timeout: 5s }
parties:
  firebase: { kind: provider, name: Firebase }
  internet: { kind: control }
probes:
  - { name: rtdb, party: firebase, product: rtdb, check: { tcp: { address: \"127.0.0.1:1\" } } }
  - { name: auth, party: firebase, product: auth, check: { tcp: { address: \"127.0.0.1:2\" } } }
  - { name: auth-2, party: firebase, product: auth, check: { tcp: { address: \"127.0.0.1:3\" } } }
  - { name: control, party: internet, check: { tcp: { address: \"127.0.0.1:4\" } } }
  - { name: control-2, party: internet, check: { tcp: { address: \"127.0.0.1:5\" } } }
alerts: { open_after: 3, close_after: 3 }
";
const PROBES: [(&str, &str, Option<&str>); 5] = [
    ("rtdb", "firebase", Some("rtdb")),
    ("auth", "firebase", Some("auth")),
    ("auth-2", "firebase", Some("auth")),
    ("control", "internet", None),
    ("control-2", "internet", None),
];
const REGIONS: [&str; 3] = ["eu", "us", "ap"];
/// An hour and a bit, towards the end of which there is a fault.
const SECONDS: i64 = 4_000;
const FAULT: std::ops::Range<i64> = 3_000..3_400;

fn course() -> Course {
    let net = crate::net::Net::system(vec![]).unwrap();
    let read = crate::config::read_text(PLAN, "probes.yaml".as_ref(), &|_| None, &net, &Default::default());
    let mut course = Course::new(&read.unwrap_or_else(|mistakes| panic!("{mistakes}")).plan, Incidents::default());
    course.tell_somebody();
    course
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_timestamp(1_795_000_000 + second, 0).unwrap()
}

/// Chances that are the same each time.
struct Dice(u64);

impl Dice {
    fn one_in(&mut self, many: u64) -> bool {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33).is_multiple_of(many)
    }
}

/// Whether a party fails from a region during the fault.
type Fails<'a> = &'a dyn Fn(&str, &str, &mut Dice) -> bool;

/// What there is to see in a second: each probe has a moment of its own in each region, and one always fails a little.
fn seen(second: i64, dice: &mut Dice, fails: Fails<'_>) -> Vec<Sighting<'static>> {
    let places =
        PROBES.iter().enumerate().flat_map(|(probe, one)| REGIONS.iter().enumerate().map(move |r| (probe, one, r)));
    let due = places.filter(|(probe, _, (region, _))| second % 30 == i64::try_from(probe * 6 + region).unwrap());
    let sighting = |(_, &(probe, party, product), (_, region)): (usize, &(_, _, _), (usize, &&'static str))| {
        let fault = FAULT.contains(&second) && fails(party, region, dice);
        let down = fault || probe == "auth-2" && dice.one_in(25) || dice.one_in(300);
        Sighting {
            probe,
            party,
            product,
            region,
            scheduled_at: at(second),
            duration: 0.1,
            outcome: if down { Outcome::Down } else { Outcome::Up },
            failure: down.then_some((Phase::Tls, Kind::TimedOut)),
            ..Sighting::default()
        }
    };
    due.map(sighting).collect()
}

/// When people are told of what opens, and what of.
fn told(turn: &Turn, now: Timestamp) -> Vec<(Timestamp, Subject)> {
    let letters = turn.planned.letters.iter().any(|letter| letter.kind == LetterKind::Opened);
    let opened = turn.changes.iter().filter(|change| letters && change.transition == Transition::Opened);
    opened.map(|change| (now, change.incident.subject.clone())).collect()
}

#[test]
fn whoever_looks_tells_people_the_same_as_soon_and_judges_far_less_often() {
    let nothing = |_: &str, _: &str, _: &mut Dice| false;
    let all = |party: &str, _: &str, _: &mut Dice| party == "firebase";
    let half = |party: &str, _: &str, dice: &mut Dice| party == "firebase" && dice.one_in(2);
    let way = |party: &str, region: &str, _: &mut Dice| party == "firebase" && region == "us";
    let network = |_: &str, region: &str, _: &mut Dice| region == "us";
    let faults: [(&str, Fails<'_>, usize); 5] =
        [("nothing", &nothing, 0), ("all", &all, 1), ("half", &half, 1), ("way", &way, 1), ("network", &network, 1)];
    for (fault, fails, wanted) in faults {
        for seed in 0..2 {
            let (mut judges, mut looks, mut dice) = (course(), course(), Dice(seed));
            let (mut by_judging, mut by_looking, mut turns) = (vec![], vec![], 0);
            for second in 0..SECONDS {
                for one in seen(second, &mut dice, fails) {
                    judges.absorb(&one, at(second));
                    looks.absorb(&one, at(second));
                }
                by_judging.extend(told(&judges.turn(at(second)), at(second)));
                if let Some(turn) = looks.look(at(second)) {
                    turns += i64::from(!FAULT.contains(&second));
                    by_looking.extend(told(&turn, at(second)));
                }
            }
            assert_eq!(by_looking, by_judging, "{fault}, {seed}");
            assert_eq!(by_looking.len(), wanted, "{fault}, {seed}: {by_looking:?}");
            // A party that was told is looked at closely for half an hour.
            let rest = SECONDS - (FAULT.end - FAULT.start);
            let most = if wanted == 0 { rest / 8 } else { rest / 2 };
            assert!(turns < most, "{fault}, {seed}: {turns} of {rest}");
        }
    }
}
