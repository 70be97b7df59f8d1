//! Incidents, round by round.

use super::*;

const POLICY: Policy = Policy { open_after: 3, close_after: 2 };

fn at(second: i64) -> Timestamp {
    Timestamp::from_timestamp(1_795_000_000 + second, 0).unwrap()
}

fn verdict(cause: Cause, round: i64) -> Verdict {
    serde_json::from_value(serde_json::json!({
        "subject": {"party": "firebase"}, "at": at(round * 10), "cause": cause, "regions": ["r"], "regions_seen": 1,
        "confidence": 0.9, "round": round, "onset": at(round * 10),
    }))
    .unwrap()
}

/// Plays verdicts one after the other and says what happened.
fn play(verdicts: &[Verdict]) -> (Incidents, Vec<Transition>) {
    let (mut incidents, mut happened) = (Incidents::default(), vec![]);
    for verdict in verdicts {
        let step = step(&incidents, std::slice::from_ref(verdict), POLICY, verdict.at);
        happened.extend(step.changes.iter().map(|change| change.transition));
        incidents = step.incidents;
    }
    (incidents, happened)
}

fn rounds(cause: Cause, rounds: impl IntoIterator<Item = i64>) -> Vec<Verdict> {
    rounds.into_iter().map(|round| verdict(cause, round)).collect()
}

#[test]
fn a_round_counts_once_however_often_it_is_judged() {
    let (incidents, happened) = play(&rounds(Cause::Them, [1, 1, 1, 2, 2, 2]));
    assert_eq!(happened, [Transition::Suspected]);
    assert_eq!(incidents.current().next().unwrap().bad_rounds, 2);
}

#[test]
fn bad_rounds_open_and_good_rounds_close() {
    let mut verdicts = rounds(Cause::Them, 1..=4);
    verdicts.extend(rounds(Cause::Ok, [5, 5, 6, 7]));
    let (incidents, happened) = play(&verdicts);
    use Transition::{Closed, Opened, Recovering, Suspected};
    assert_eq!(happened, [Suspected, Opened, Recovering, Closed]);
    assert_eq!(incidents.current().count(), 0);
}

#[test]
fn a_good_round_ends_a_suspicion_and_frees_its_number() {
    let mut verdicts = rounds(Cause::Them, [1, 2]);
    verdicts.extend(rounds(Cause::Ok, [3]));
    verdicts.extend(rounds(Cause::Them, [4]));
    let (incidents, happened) = play(&verdicts);
    assert_eq!(happened, [Transition::Suspected, Transition::None, Transition::Suspected]);
    assert!(incidents.current().next().unwrap().id.ends_with("-firebase-1"));
}

#[test]
fn a_relapse_is_the_same_incident() {
    let mut verdicts = rounds(Cause::Them, 1..=3);
    verdicts.extend(rounds(Cause::Ok, [4]));
    verdicts.extend(rounds(Cause::Them, [5]));
    verdicts.extend(rounds(Cause::Ok, [6, 7]));
    let (_, happened) = play(&verdicts);
    use Transition::{Closed, Opened, Recovering, Suspected, Updated};
    assert_eq!(happened, [Suspected, Opened, Recovering, Updated, Recovering, Closed]);
}

#[test]
fn a_second_incident_of_the_day_has_the_next_number() {
    let mut verdicts = rounds(Cause::Them, 1..=3);
    verdicts.extend(rounds(Cause::Ok, [4, 5]));
    verdicts.extend(rounds(Cause::Them, [6]));
    let (incidents, _) = play(&verdicts);
    let id = incidents.current().next().unwrap().id.clone();
    assert_eq!(&*id, format!("{}-firebase-2", at(0).format("%Y-%m-%d")));
}

#[test]
fn no_evidence_counts_neither_way() {
    let mut blind = rounds(Cause::Unknown, [4, 5, 6]);
    blind.iter_mut().for_each(|verdict| verdict.regions_seen = 0);
    let (incidents, happened) = play(&blind);
    assert_eq!((incidents.current().count(), happened.len()), (0, 0));
    let mut verdicts = rounds(Cause::Them, 1..=3);
    verdicts.extend(blind);
    let (incidents, _) = play(&verdicts);
    assert_eq!(incidents.current().next().unwrap().bad_rounds, 3);
}

#[test]
fn what_is_explained_or_slow_opens_nothing() {
    let mut explained = rounds(Cause::Them, 1..=9);
    explained.iter_mut().for_each(|verdict| verdict.because_of = Some(Subject { party: "x".into(), product: None }));
    let mut slow = rounds(Cause::Them, 10..=19);
    slow.iter_mut().for_each(|verdict| verdict.degraded = true);
    explained.extend(slow);
    assert_eq!(play(&explained).1, []);
}

#[test]
fn what_nobody_looks_at_any_more_ends_with_a_note() {
    let (incidents, _) = play(&rounds(Cause::Them, 1..=3));
    let gone = step(&incidents, &[], POLICY, at(99));
    assert_eq!(gone.incidents.current().count(), 0);
    assert_eq!(gone.changes[0].transition, Transition::None);
    assert_eq!(gone.changes[0].incident.state, IncidentState::Closed);
    assert!(gone.changes[0].incident.note.is_some());
}

#[test]
fn incidents_go_on_after_a_restart() {
    let (incidents, _) = play(&rounds(Cause::Them, 1..=2));
    let stored: Vec<Incident> = incidents.current().cloned().collect();
    let resumed = Incidents::from_stored(stored);
    let opened = step(&resumed, &[verdict(Cause::Them, 3)], POLICY, at(30));
    assert_eq!(opened.changes[0].transition, Transition::Opened);
}
