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
    verdicts.extend(rounds(Cause::Ok, 6..=8));
    let (incidents, happened) = play(&verdicts);
    use Transition::{Closed, Opened, Recovering, Suspected, Updated};
    assert_eq!(happened, [Suspected, Opened, Recovering, Updated, Recovering]);
    assert_eq!(incidents.current().next().unwrap().flaps, 1);
    // What has come back once must hold still for twice as long.
    verdicts.extend(rounds(Cause::Ok, [9]));
    let (incidents, happened) = play(&verdicts);
    assert_eq!((incidents.current().count(), happened.last()), (0, Some(&Closed)));
}

#[test]
fn what_goes_on_after_a_relapse_began_with_it_also_while_its_cause_is_not_clear_yet() {
    for cause in [Cause::Them, Cause::Unknown] {
        let mut verdicts = rounds(Cause::Them, 1..=3);
        verdicts.extend(rounds(Cause::Ok, [4]));
        verdicts.extend((5..=7).map(|round| Verdict { onset: Some(at(50)), ..verdict(cause, round) }));
        let (incidents, _) = play(&verdicts);
        let incident = incidents.current().next().unwrap();
        assert_eq!((incident.onset, incident.cause), (at(30), Cause::Them));
        assert_eq!(incident.began(&incident.verdict), at(50));
    }
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
fn what_is_explained_opens_nothing() {
    let mut explained = rounds(Cause::Them, 1..=9);
    explained.iter_mut().for_each(|verdict| verdict.because_of = Some(Subject { party: "x".into(), product: None }));
    assert_eq!(play(&explained).1, []);
}

fn slow(range: std::ops::RangeInclusive<i64>) -> Vec<Verdict> {
    let mut slow = rounds(Cause::Them, range);
    slow.iter_mut().for_each(|verdict| verdict.degraded = true);
    slow
}

#[test]
fn what_is_slow_opens_as_degraded_and_pages_only_when_it_has_been_down_for_as_long_as_any_other() {
    let mut verdicts = slow(1..=3);
    let (incidents, happened) = play(&verdicts);
    assert_eq!(happened, [Transition::Suspected, Transition::Opened]);
    assert_eq!(incidents.open().next().unwrap().severity, Severity::Degraded);
    verdicts.extend(rounds(Cause::Them, 4..=5));
    assert_eq!(play(&verdicts).1.len(), 2);
    verdicts.extend(rounds(Cause::Them, [6]));
    let (incidents, changes) = changes(&verdicts);
    let last = changes.last().unwrap();
    assert_eq!((last.transition, last.news, last.was), (Transition::Updated, News::Severity, None));
    assert_eq!(incidents.open().next().unwrap().severity, Severity::Critical);
}

#[test]
fn slow_rounds_do_not_add_up_to_one_that_is_down() {
    let mut verdicts = slow(1..=2);
    verdicts.extend(rounds(Cause::Them, 3..=4));
    assert_eq!(play(&verdicts).1, [Transition::Suspected]);
}

#[test]
fn what_was_down_and_is_slow_is_over_and_its_slowness_is_another_incident() {
    let mut verdicts = rounds(Cause::Them, 1..=3);
    verdicts.extend(slow(4..=8));
    let (incidents, happened) = play(&verdicts);
    use Transition::{Closed, Opened, Recovering, Suspected};
    assert_eq!(happened, [Suspected, Opened, Recovering, Closed, Suspected, Opened]);
    let slow = incidents.open().next().unwrap();
    assert_eq!((slow.severity, slow.flaps), (Severity::Degraded, 0));
    assert!(slow.id.ends_with("-2"));
}

/// The same with all that is known of the changes.
fn changes(verdicts: &[Verdict]) -> (Incidents, Vec<Change>) {
    let (mut incidents, mut changes) = (Incidents::default(), vec![]);
    for verdict in verdicts {
        let step = step(&incidents, std::slice::from_ref(verdict), POLICY, verdict.at);
        changes.extend(step.changes);
        incidents = step.incidents;
    }
    (incidents, changes)
}

#[test]
fn another_cause_is_told_when_it_has_held() {
    let mut verdicts = rounds(Cause::Them, 1..=3);
    verdicts.extend(rounds(Cause::Path, [4]));
    verdicts.extend(rounds(Cause::Them, [5]));
    verdicts.extend(rounds(Cause::Path, [6]));
    assert_eq!(play(&verdicts).1.len(), 2, "a cause for one round is no news");
    verdicts.extend(rounds(Cause::Path, [7]));
    let (incidents, happened) = changes(&verdicts);
    let last = happened.last().unwrap();
    assert_eq!((last.was, last.news), (Some(Cause::Them), News::Cause));
    let incident = incidents.open().next().unwrap();
    assert_eq!((incident.cause, incident.verdict.cause), (Cause::Path, Cause::Path));
    assert_eq!(incident.history.last().unwrap().was, Some(Cause::Them));
    // Having changed once, it must hold for longer before it changes back.
    verdicts.extend(rounds(Cause::Them, 8..=10));
    assert_eq!(changes(&verdicts).1.len(), happened.len());
    verdicts.extend(rounds(Cause::Them, [11]));
    assert_eq!(changes(&verdicts).1.last().unwrap().was, Some(Cause::Path));
}

#[test]
fn what_was_known_does_not_become_unknown() {
    let mut verdicts = rounds(Cause::Them, 1..=3);
    verdicts.extend(rounds(Cause::Unknown, 4..=20));
    let (incidents, happened) = play(&verdicts);
    assert_eq!(happened.len(), 2);
    assert_eq!(incidents.open().next().unwrap().cause, Cause::Them);
}

#[test]
fn what_is_back_within_half_an_hour_is_the_same_incident_also_after_a_restart() {
    let mut verdicts = rounds(Cause::Them, 1..=3);
    verdicts.extend(rounds(Cause::Ok, [4, 5]));
    let (incidents, _) = play(&verdicts);
    let ended: Vec<Incident> = incidents.over().cloned().collect();
    let first = ended[0].id.clone();
    for (gap, same) in [(100, true), (300, false)] {
        let mut incidents = Incidents::from_stored(ended.clone());
        let mut seen = vec![];
        for round in 5 + gap..8 + gap {
            let step = step(&incidents, &[verdict(Cause::Us, round)], POLICY, at(round * 10));
            seen.extend(step.changes.iter().map(|change| (change.transition, change.news, change.was)));
            assert_eq!(step.dropped.is_empty(), !(same && round == 7 + gap), "the suspicion's number is free again");
            incidents = step.incidents;
        }
        let incident = incidents.open().next().unwrap();
        assert_eq!((incident.id == first, incident.flaps), (same, u32::from(same)));
        let expected = if same {
            (Transition::Updated, News::Again, Some(Cause::Them))
        } else {
            (Transition::Opened, News::Look, None)
        };
        assert_eq!(seen, [(Transition::Suspected, News::Look, None), expected]);
        assert_eq!(incident.closed_at, None);
    }
}

#[test]
fn flapping_is_one_incident_and_said_once() {
    let mut verdicts = rounds(Cause::Them, 1..=3);
    for flap in 0..40 {
        verdicts.extend(rounds(Cause::Ok, [4 + flap * 2]));
        verdicts.extend(rounds(Cause::Them, [5 + flap * 2]));
    }
    let (incidents, happened) = changes(&verdicts);
    let incident = incidents.open().next().unwrap();
    assert_eq!(incident.flaps, 40);
    assert_eq!(happened.iter().filter(|change| change.news == News::Flapping).count(), 1);
    assert_eq!(incident.history.len(), Incident::MOMENTS);
    assert_eq!(incident.history[1].transition, Transition::Opened);
    assert_eq!(incident.history.last().unwrap().at, at(830));
}

#[test]
fn what_nobody_looks_at_any_more_ends_with_a_note() {
    let (incidents, _) = play(&rounds(Cause::Them, 1..=3));
    let gone = step(&incidents, &[], POLICY, at(99));
    assert_eq!(gone.incidents.current().count(), 0);
    assert_eq!(gone.changes[0].transition, Transition::Closed);
    assert!(gone.changes[0].incident.is_unwatched());
    assert!(gone.changes[0].incident.note.is_some());
    assert_eq!(gone.changes[0].incident.history.last().unwrap().note, gone.changes[0].incident.note);
    // Somebody looks again: that nobody does is no longer true.
    let mut incidents = gone.incidents;
    for round in 12..=14 {
        incidents = step(&incidents, &[verdict(Cause::Them, round)], POLICY, at(round * 10)).incidents;
    }
    let again = incidents.open().next().unwrap();
    assert_eq!((&again.id, &again.note), (&gone.changes[0].incident.id, &None));
}

#[test]
fn a_party_that_is_not_judged_as_a_whole_any_more_is_not_told_to_be_gone() {
    let (incidents, _) = play(&rounds(Cause::Them, 1..=3));
    let mut of_product = verdict(Cause::Ok, 4);
    of_product.subject.product = Some("auth".into());
    let silent = step(&incidents, &[of_product], POLICY, at(40));
    assert_eq!(silent.changes[0].transition, Transition::None);
    assert!(silent.changes[0].incident.is_over());
}

#[test]
fn incidents_go_on_after_a_restart() {
    let (incidents, _) = play(&rounds(Cause::Them, 1..=2));
    let stored: Vec<Incident> = incidents.current().cloned().collect();
    let resumed = Incidents::from_stored(stored);
    let opened = step(&resumed, &[verdict(Cause::Them, 3)], POLICY, at(30));
    assert_eq!(opened.changes[0].transition, Transition::Opened);
}

/// A party as a whole and one of its products, round by round: what is told of each.
fn whole_and_product(whole: &[Cause], product: &[Cause]) -> Vec<(i64, bool, Transition)> {
    let (mut incidents, mut told) = (Incidents::default(), vec![]);
    for (round, (whole, product)) in (1..).zip(whole.iter().zip(product)) {
        let mut of_product = verdict(*product, round);
        of_product.subject.product = Some("auth".into());
        let step = step(&incidents, &[verdict(*whole, round), of_product], POLICY, at(round * 10));
        let changes = step.changes.iter();
        told.extend(changes.map(|one| (round, one.incident.subject.product.is_some(), one.transition)));
        incidents = step.incidents;
    }
    told.retain(|(.., transition)| matches!(transition, Transition::Opened | Transition::Closed));
    told
}

#[test]
fn a_product_of_a_party_that_is_known_to_be_bad_as_a_whole_is_news_when_that_is_over() {
    use Cause::{Ok, Probe, Them, Unknown};
    use Transition::{Closed, Opened};
    let whole = [Them, Them, Them, Ok, Them, Ok, Ok, Ok, Ok, Ok, Ok];
    let mut product = [Ok, Ok, Ok, Them, Them, Them, Them, Unknown, Unknown, Unknown, Unknown];
    let told = whole_and_product(&whole, &product);
    let [first, over, news] = told[..] else { panic!("{told:?}") };
    assert_eq!((first, over.1, over.2), ((3, false, Opened), false, Closed));
    assert_eq!((news.0 - over.0 <= 1, news.1, news.2), (true, true, Opened));
    // What has another cause is another thing.
    product[3..].fill(Probe);
    let told = whole_and_product(&whole, &product);
    assert_eq!(told[1], (6, true, Opened), "{told:?}");
}

#[test]
fn the_way_from_another_region_is_news_though_the_way_from_one_is_known() {
    let opened = |region: &str| {
        let mut incidents = Incidents::default();
        let mut told = 0;
        for round in 1..=9 {
            let mut of_product = verdict(if round > 3 { Cause::Path } else { Cause::Ok }, round);
            of_product.subject.product = Some("auth".into());
            of_product.regions = vec![region.into()];
            let step = step(&incidents, &[verdict(Cause::Path, round), of_product], POLICY, at(round * 10));
            told += step.changes.iter().filter(|one| one.transition == Transition::Opened).count();
            incidents = step.incidents;
        }
        told
    };
    assert_eq!((opened("r"), opened("other")), (1, 2));
}

#[test]
fn what_is_back_began_when_it_came_back_however_little_of_it_the_judge_still_sees() {
    let mut verdicts = rounds(Cause::Them, 1..=3);
    verdicts.extend(rounds(Cause::Ok, 4..=5));
    verdicts.extend(
        (8..=100).map(|round| Verdict { onset: Some(at((round - 6).max(8) * 10)), ..verdict(Cause::Path, round) }),
    );
    let (incidents, _) = play(&verdicts);
    let incident = incidents.current().next().unwrap();
    assert_eq!((incident.onset, incident.flaps), (at(30), 1));
    assert_eq!(incident.began(&incident.verdict), at(80));
}

#[test]
fn one_look_that_fails_while_it_recovers_is_no_relapse() {
    use Transition::{Closed, Opened, Recovering, Suspected, Updated};
    let weighs = |cause, round, weight| Verdict { weight: Some(weight), ..verdict(cause, round) };
    let opened: Vec<Verdict> = (1..=3).map(|round| weighs(Cause::Them, round, 3.0)).collect();
    let mut verdicts = opened.clone();
    for round in [4, 6] {
        verdicts.extend([weighs(Cause::Ok, round, 0.0), weighs(Cause::Path, round + 1, 1.0)]);
    }
    assert_eq!(play(&verdicts).1, [Opened, Recovering, Closed, Suspected]);
    let back = [weighs(Cause::Ok, 4, 0.0), weighs(Cause::Them, 6, 2.0)];
    assert_eq!(play(&[opened, back.to_vec()].concat()).1, [Opened, Recovering, Updated]);
}

#[test]
fn what_their_page_says_meanwhile_is_a_look_and_no_news() {
    use Transition::{None, Opened, Suspected};
    let says = |round, words: &str| Verdict { page_says: Some(words.to_owned()), ..verdict(Cause::Them, round) };
    let mut verdicts: Vec<Verdict> = (1..=4).map(|round| says(round, "nothing yet")).collect();
    verdicts.extend((5..=6).map(|round| says(round, "'Elevated errors'")));
    let (incidents, changes) = changes(&verdicts);
    let seen: Vec<(Transition, News)> = changes.iter().map(|change| (change.transition, change.news)).collect();
    assert_eq!(seen, [(Suspected, News::Look), (Opened, News::Look), (None, News::Look)]);
    assert_eq!(changes[2].incident.verdict.page_says.as_deref(), Some("'Elevated errors'"));
    assert_eq!(incidents.open().next().unwrap().history.len(), 2);
}
