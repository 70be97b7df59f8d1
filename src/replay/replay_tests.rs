//! Traces made by hand, and what is said of them.

use super::*;
use crate::model::{Connection, Kind, Outcome, Phase};

const PLAN: &str = "
vantage: { region: r, node: n }
defaults: { interval: 10s, timeout: 5s }
parties:
  firebase: { kind: provider, name: Firebase }
  internet: { kind: control }
probes:
  - { name: rtdb, party: firebase, product: realtime-database, check: { tcp: { address: \"127.0.0.1:1\" } } }
  - { name: control, party: internet, check: { tcp: { address: \"127.0.0.1:2\" } } }
alerts: { open_after: 3, close_after: 2 }
";

fn plan(text: &str) -> Arc<Plan> {
    let net = crate::net::Net::system(vec![]).unwrap();
    let read = crate::config::read_text(text, "probes.yaml".as_ref(), &|_| None, &net, &Default::default());
    read.unwrap_or_else(|mistakes| panic!("{mistakes}")).plan
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_timestamp(1_795_000_000 + second, 0).unwrap()
}

fn seen(probe: &'static str, region: &'static str, second: i64, down: bool) -> Sighting<'static> {
    let party = if probe == "rtdb" { "firebase" } else { "internet" };
    Sighting {
        probe,
        party,
        product: (probe == "rtdb").then_some("realtime-database"),
        region,
        scheduled_at: at(second),
        outcome: if down { Outcome::Down } else { Outcome::Up },
        failure: down.then_some((Phase::Tls, Kind::TimedOut)),
        connection: Connection::Cold,
        ..Sighting::default()
    }
}

/// Rounds of ten seconds from two regions, in some of which the database is down.
fn play(replay: &mut Replay, seconds: std::ops::Range<i64>, down: impl Fn(i64) -> bool) -> Vec<Line> {
    let mut lines = vec![];
    for second in seconds.step_by(10) {
        for region in ["eu-west", "us-east"] {
            for probe in ["control", "rtdb"] {
                let one = seen(probe, region, second, probe == "rtdb" && down(second));
                lines.extend(replay.take(&one, at(second)).0);
            }
        }
    }
    lines
}

fn transitions(lines: &[Line]) -> Vec<(i64, Transition, bool)> {
    lines.iter().map(|line| ((line.at - at(0)).num_seconds(), line.transition, line.page)).collect()
}

#[test]
fn an_incident_from_its_first_bad_round_to_its_end() {
    let mut replay = Replay::new(&plan(PLAN));
    let mut lines = play(&mut replay, 0..600, |second| (300..400).contains(&second));
    lines.extend(replay.finish());
    let opened = lines.iter().find(|line| line.transition == Transition::Opened).unwrap();
    assert_eq!((opened.cause, opened.page, opened.onset), (Cause::Them, true, Some(at(300))));
    assert_eq!(opened.regions, ["eu-west".into(), "us-east".into()]);
    assert!(opened.headline.as_ref().unwrap().starts_with("It's them: Firebase realtime-database is down"));
    let ids: std::collections::BTreeSet<_> = lines.iter().filter_map(|line| line.incident.clone()).collect();
    assert_eq!(ids.len(), 1);
    let last = lines.last().unwrap();
    assert_eq!((last.transition, last.cause, last.page), (Transition::Closed, Cause::Ok, false));
    assert_eq!(lines.iter().filter(|line| line.page).count(), 1, "{:?}", transitions(&lines));
}

#[test]
fn rounds_are_counted_in_what_is_seen_whatever_the_configuration_says() {
    // Looked at every ten seconds, as the trace shows.
    let often = plan(&PLAN.replace("interval: 10s, timeout: 5s", "interval: 2s, timeout: 1s"));
    let told = |plan: &Arc<Plan>, bad: std::ops::Range<i64>| {
        let mut replay = Replay::new(plan);
        let mut lines = play(&mut replay, 0..600, |second| bad.contains(&second));
        lines.extend(replay.finish());
        // Until eight looks have been seen what comes less often than it should is not fresh.
        lines.retain(|line| line.transition != Transition::None);
        transitions(&lines)
    };
    for bad in [300..320, 300..330, 300..400] {
        assert_eq!(told(&often, bad.clone()), told(&plan(PLAN), bad));
    }
    assert!(!told(&often, 300..320).iter().any(|(_, _, page)| *page), "two bad rounds");
    assert!(told(&often, 300..330).iter().any(|(_, _, page)| *page), "three");
}

#[test]
fn nothing_is_said_of_what_is_well() {
    let mut replay = Replay::new(&plan(PLAN));
    assert_eq!(play(&mut replay, 0..600, |_| false), []);
    assert_eq!(replay.finish().count(), 0);
}

#[test]
fn the_clock_never_goes_back() {
    let mut replay = Replay::new(&plan(PLAN));
    play(&mut replay, 0..600, |_| false);
    let old = seen("rtdb", "eu-west", 590, true);
    let (lines, absorbed) = replay.take(&old, at(-86_400));
    assert_eq!((lines.count(), absorbed), (0, Absorbed::Duplicate));
}

#[test]
fn silence_is_told_once_and_days_of_it_cost_little() {
    let mut replay = Replay::new(&plan(PLAN));
    play(&mut replay, 0..600, |_| false);
    let year = 86_400 * 365;
    let began = std::time::Instant::now();
    let lines = play(&mut replay, year..year + 600, |_| false);
    assert!(began.elapsed() < Duration::from_secs(5));
    let gone: Vec<&Line> = lines.iter().filter(|line| &*line.party == "firebase").collect();
    assert_eq!(gone.iter().map(|line| line.cause).collect::<Vec<_>>(), [Cause::Unknown, Cause::Ok], "{gone:?}");
    assert!((gone[0].at - at(590)).num_seconds() < 120, "{gone:?}");
}

#[test]
fn a_planned_window_makes_a_note_of_a_page_until_it_is_over() {
    // 1_795_000_000 is 2026-11-18T11:06:40Z.
    let text =
        format!("{PLAN}maintenance:\n  - {{ party: firebase, cron: \"0 11 * * *\", duration: 15m, note: weekly }}\n");
    let mut replay = Replay::new(&plan(&text));
    let mut lines = play(&mut replay, 0..900, |second| second >= 100);
    lines.extend(replay.finish());
    let opened = lines.iter().find(|line| line.transition == Transition::Opened).unwrap();
    assert!(!opened.page);
    let page = lines.iter().find(|line| line.page).unwrap();
    assert_eq!((page.at, &page.incident), ("2026-11-18T11:15:00Z".parse().unwrap(), &opened.incident));
}
