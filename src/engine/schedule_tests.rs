//! The schedule's arithmetic, without waiting.

use chrono::TimeDelta;

use super::*;
use crate::model::round_of;

const SECOND: Duration = Duration::from_secs(1);

fn vantage(region: &str) -> Vantage {
    Vantage { region: region.into(), node: "n1".into() }
}

fn start() -> Timestamp {
    "2026-11-22T10:32:00.123Z".parse().unwrap()
}

fn probes(count: usize, interval: Duration) -> Vec<Wanted<usize>> {
    (0..count).map(|item| Wanted { name: format!("p{item}").into(), interval, gathered: false, item }).collect()
}

fn schedule(region: &str, count: usize, interval: Duration) -> Schedule<usize> {
    let mut schedule = Schedule::new(&vantage(region));
    schedule.replace(probes(count, interval), start());
    schedule
}

/// Everything that is due up to an instant, popped exactly when it is due.
fn until(schedule: &mut Schedule<usize>, mut now: Timestamp, end: Timestamp) -> Vec<Planned<usize>> {
    let mut all = Vec::new();
    loop {
        now += schedule.wait(now).unwrap();
        if now > end {
            return all;
        }
        all.push(schedule.pop(now).unwrap());
    }
}

#[test]
fn a_day_has_every_round_exactly_once_and_no_drift() {
    let mut schedule = schedule("eu-west", 1, 10 * SECOND);
    let runs = until(&mut schedule, start(), start() + TimeDelta::days(1));
    assert!((8638..=8641).contains(&runs.len()), "{}", runs.len());
    let phase = |at: Timestamp| at.timestamp_micros().rem_euclid(10_000_000);
    for pair in runs[1..].windows(2) {
        assert_eq!(pair[0].due.round + 1, pair[1].due.round);
        assert_eq!(phase(pair[0].due.scheduled_at), phase(pair[1].due.scheduled_at));
    }
    assert!(runs.iter().all(|run| run.missed == 0 && (run.due.generation == 0) != run.first));
    assert!(runs.iter().all(|run| run.due.round == round_of(run.due.scheduled_at, 10 * SECOND)));
    assert!(runs[1].due.round > runs[0].due.round && runs[0].first && !runs[1].first);
}

#[test]
fn regions_share_round_numbers_and_not_instants() {
    let late_enough = start() + TimeDelta::minutes(1);
    let mut instants = std::collections::BTreeSet::new();
    for region in ["eu-west", "us-east", "asia-south"] {
        let mut schedule = schedule(region, 1, 10 * SECOND);
        let runs = until(&mut schedule, start(), late_enough);
        let last = runs.last().unwrap();
        assert_eq!(last.due.round, round_of(last.due.scheduled_at, 10 * SECOND));
        assert!(round_of(late_enough, 10 * SECOND) - last.due.round <= 1);
        instants.insert(last.due.scheduled_at.timestamp_micros().rem_euclid(10_000_000) / 100_000);
    }
    assert_eq!(instants.len(), 3, "{instants:?}");
}

#[test]
fn two_thousand_probes_at_one_second_start_evenly() {
    let mut schedule = schedule("eu-west", 2000, SECOND);
    let from = start() + TimeDelta::seconds(5);
    until(&mut schedule, start(), from);
    let runs = until(&mut schedule, from, from + TimeDelta::seconds(1));
    assert!((1999..=2001).contains(&runs.len()), "{}", runs.len());
    let mut per_10_ms = [0; 101];
    for run in &runs {
        let since = (run.due.scheduled_at - from).num_milliseconds();
        per_10_ms[usize::try_from(since / 10).unwrap()] += 1;
    }
    assert!(per_10_ms[..100].iter().all(|count| (15..=25).contains(count)), "{per_10_ms:?}");
}

#[test]
fn a_new_probe_runs_at_once_and_never_twice_in_a_round() {
    for offset in 0..200 {
        let now = start() + TimeDelta::milliseconds(offset * 53);
        let mut schedule = Schedule::new(&vantage("eu-west"));
        schedule.replace(probes(7, 10 * SECOND), now);
        let runs = until(&mut schedule, now, now + TimeDelta::seconds(60));
        for probe in 0..7 {
            let own: Vec<_> = runs.iter().filter(|run| run.item == probe).collect();
            assert!(own[0].first && own[0].due.scheduled_at < now + TimeDelta::seconds(1));
            assert!(own.windows(2).all(|pair| pair[0].due.round < pair[1].due.round), "{own:?}");
            let gap = own[1].due.scheduled_at - own[0].due.scheduled_at;
            assert!(gap >= TimeDelta::seconds(5) && gap <= TimeDelta::seconds(20), "{gap}");
        }
        assert_eq!(runs[0].due.scheduled_at.timestamp_millis(), now.timestamp_millis(), "the very first is immediate");
    }
}

#[test]
fn after_a_stall_the_newest_round_runs_and_the_others_are_missed() {
    let mut schedule = schedule("eu-west", 1, SECOND);
    let mut now = start();
    for _ in 0..3 {
        now += schedule.wait(now).unwrap();
        schedule.pop(now).unwrap();
    }
    let last = now;
    now += TimeDelta::milliseconds(4300);
    let run = schedule.pop(now).unwrap();
    assert_eq!(run.missed, 3);
    assert_eq!(run.late, Duration::from_millis(300));
    assert_eq!(run.patience, Duration::from_millis(700));
    assert_eq!(run.due.scheduled_at, last + TimeDelta::seconds(4));
    assert_eq!(schedule.pop(now), None, "nothing is queued up");
}

#[test]
fn a_clock_set_forward_counts_what_it_skipped() {
    let mut schedule = schedule("eu-west", 3, 10 * SECOND);
    let from = start() + TimeDelta::minutes(1);
    until(&mut schedule, start(), from);
    let to = from + TimeDelta::hours(1);
    let mut missed = [0; 3];
    schedule.clock_was_set(from, to, |probe, rounds| missed[*probe] = rounds);
    assert!(missed.iter().all(|rounds| (359..=361).contains(rounds)), "{missed:?}");
    let runs = until(&mut schedule, to, to + TimeDelta::seconds(10));
    assert_eq!(runs.len(), 3);
    assert!(runs.iter().all(|run| run.late.is_zero() && run.missed == 0 && run.due.scheduled_at > to));
}

#[test]
fn a_clock_set_far_forward_counts_within_reason() {
    let mut schedule = schedule("eu-west", 1, SECOND);
    let mut missed = 0;
    schedule.clock_was_set(start(), start() + TimeDelta::days(20_000), |_, rounds| missed = rounds);
    assert_eq!(missed, MISSED_AT_MOST);
}

#[test]
fn a_clock_set_back_runs_rounds_again_under_other_ids() {
    let mut schedule = schedule("eu-west", 1, 10 * SECOND);
    let from = start() + TimeDelta::hours(2);
    let mut seen: std::collections::HashSet<(i64, u32)> = std::collections::HashSet::new();
    let mut all_new = |runs: Vec<Planned<usize>>| {
        runs.iter().all(|run| seen.insert((run.due.round, run.due.generation))).then_some(runs).unwrap()
    };
    all_new(until(&mut schedule, start(), from));
    let back = from - TimeDelta::hours(1);
    schedule.clock_was_set(from, back, |_, rounds| panic!("{rounds} missed by a clock that was set back"));
    let again = all_new(until(&mut schedule, back, back + TimeDelta::minutes(30)));
    assert!((179..=181).contains(&again.len()) && again.iter().all(|run| run.due.generation == 1));
    let twice = back + TimeDelta::minutes(30);
    schedule.clock_was_set(twice, twice - TimeDelta::minutes(20), |_, _| {});
    let runs = all_new(until(&mut schedule, twice - TimeDelta::minutes(20), from + TimeDelta::hours(1)));
    assert_eq!((runs[0].due.generation, runs.last().unwrap().due.generation), (2, 0));
}

#[test]
fn a_reload_moves_nobody_who_stays() {
    let mut schedule = schedule("eu-west", 5, 10 * SECOND);
    let now = start() + TimeDelta::seconds(30);
    until(&mut schedule, start(), now);
    let dues = |schedule: &Schedule<usize>| -> Vec<(Arc<str>, Micros)> {
        schedule.entries.iter().map(|entry| (Arc::clone(&entry.name), entry.next.at)).collect()
    };
    let before = dues(&schedule);
    let mut wanted = probes(5, 10 * SECOND);
    wanted.remove(1);
    wanted.insert(0, Wanted { name: "new".into(), interval: 10 * SECOND, gathered: false, item: 99 });
    schedule.replace(wanted, now);
    let after = dues(&schedule);
    for (name, at) in &before {
        let kept = after.iter().find(|(other, _)| other == name).map(|(_, at)| at);
        assert_eq!(kept, (&**name != "p1").then_some(at), "{name}");
    }
    let first = schedule.pop(now + TimeDelta::seconds(1)).unwrap();
    assert!(first.item == 99 && first.first, "the new one runs at once");
}

#[test]
fn another_interval_is_another_slot_without_an_extra_run() {
    let mut schedule = schedule("eu-west", 1, 10 * SECOND);
    let now = start() + TimeDelta::seconds(30);
    until(&mut schedule, start(), now);
    schedule.replace(probes(1, SECOND), now);
    let runs = until(&mut schedule, now, now + TimeDelta::seconds(10));
    assert_eq!(runs.len(), 10);
    assert!(runs.iter().all(|run| !run.first));
}

#[test]
fn what_is_gathered_begins_some_sixteen_at_a_time_and_never_far_from_where_it_would() {
    let interval = 30 * SECOND;
    let of_round = |gathered: bool, count: usize| {
        let mut schedule = Schedule::new(&vantage("eu-west"));
        schedule.replace(probes(count, interval).into_iter().map(|probe| Wanted { gathered, ..probe }), start());
        let from = start() + TimeDelta::minutes(1);
        until(&mut schedule, start(), from);
        let mut runs = until(&mut schedule, from, from + TimeDelta::seconds(30));
        runs.sort_by_key(|run| (run.item, run.due.round));
        runs
    };
    let (spread, together) = (of_round(false, 5000), of_round(true, 5000));
    let instants: std::collections::BTreeSet<Timestamp> = together.iter().map(|run| run.due.scheduled_at).collect();
    assert!((290..=320).contains(&instants.len()), "{}", instants.len());
    let mut moved = 0;
    for (one, other) in spread.iter().zip(&together) {
        if one.item == other.item && one.due.round == other.due.round {
            let by = one.due.scheduled_at - other.due.scheduled_at;
            assert!(by >= TimeDelta::zero() && by < TimeDelta::milliseconds(100), "{by}");
            moved += 1;
        }
    }
    assert!(moved > 4900, "{moved}");
    // A hundred thousand do not begin more at a time: their slots are closer.
    let mut most: HashMap<Timestamp, u32> = HashMap::new();
    for run in of_round(true, 100_000) {
        *most.entry(run.due.scheduled_at).or_default() += 1;
    }
    assert!(most.values().all(|count| *count <= 32), "{:?}", most.values().max());
    // Where there are few each stays alone.
    let instants: std::collections::BTreeSet<Timestamp> =
        of_round(true, 20).iter().map(|run| run.due.scheduled_at).collect();
    assert!(instants.len() >= 19, "{}", instants.len());
}
