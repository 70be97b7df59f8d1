//! The parts that sentences are made of; whole messages are in `tests/scenarios`.

use super::*;
use crate::{model::IncidentState, notify::plan::Saying};

#[test]
fn spans_are_read_aloud() {
    let said = |seconds| span(Duration::from_secs(seconds));
    let spans = [0, 45, 60, 545, 3_600, 7_380, 86_400, 270_000].map(said);
    assert_eq!(spans, ["0 s", "45 s", "1 min", "9 min 5 s", "1 h", "2 h 3 min", "1 d", "3 d 3 h"]);
}

#[test]
fn lateness_names_who_is_to_blame() {
    let late = lateness(Duration::from_secs(250), Some("Slack"));
    assert_eq!(late, "(This message is 4 min late: Slack did not take it earlier.)");
    let late = lateness(Duration::from_secs(75), None);
    assert_eq!(late, "(This message is 75 s late: it could not be sent earlier.)");
}

#[test]
fn a_day_is_named_when_it_is_not_today() {
    let (at, next): (Timestamp, Timestamp) =
        ("2026-11-22T10:32:05Z".parse().unwrap(), "2026-11-23T00:00:01Z".parse().unwrap());
    assert_eq!(clock(at, at), "10:32:05 UTC");
    assert_eq!(clock(at, next), "2026-11-22 10:32:05 UTC");
}

#[test]
fn lists_are_read_aloud() {
    assert_eq!(join(["a"].into_iter(), "and"), "a");
    assert_eq!(join(["a", "b"].into_iter(), "and"), "a and b");
    assert_eq!(join(["a", "b", "c"].into_iter(), "or"), "a, b or c");
}

#[test]
fn it_began_when_people_were_told_that_it_did() {
    let at = |second: u32| -> Timestamp { format!("2026-11-22T10:32:{second:02}Z").parse().unwrap() };
    let verdict: Verdict = serde_json::from_value(serde_json::json!({
        "subject": {"party": "firebase"}, "at": at(50), "cause": "them", "regions": ["a", "b"], "regions_seen": 2,
        "confidence": 0.9, "round": 1, "onset": at(17),
    }))
    .unwrap();
    let began = |state| {
        let incident = Incident { state, ..Incident::suspected("1".into(), &verdict, at(12)) };
        super::super::asked::began(&verdict, Some(&incident))
    };
    assert_eq!(began(IncidentState::Open), Some(at(12)));
    // Whoever asks for an earlier instant may ask about what is over by now.
    assert_eq!(began(IncidentState::Closed), Some(at(12)));
    assert_eq!(began(IncidentState::Suspected), Some(at(17)));
}

#[test]
fn what_was_over_and_is_back_began_again() {
    let at = |second: u32| -> Timestamp { format!("2026-11-22T10:32:{second:02}Z").parse().unwrap() };
    let verdict: Verdict = serde_json::from_value(serde_json::json!({
        "subject": {"party": "firebase"}, "at": at(50), "cause": "path", "regions": ["a"], "regions_seen": 2,
        "confidence": 0.9, "round": 1, "onset": at(40),
    }))
    .unwrap();
    let incident = Incident {
        state: IncidentState::Open,
        flaps: 1,
        since: Some(at(40)),
        ..Incident::suspected("1".into(), &verdict, at(12))
    };
    let world = World::default();
    let headline = opening(&world, &incident).headline;
    assert!(
        headline.starts_with("It's the path from a: firebase is down from 1 of 2 regions since 10:32:40 UTC."),
        "{headline}"
    );
    assert!(sentence(&world, &verdict, Some(&incident)).starts_with(&headline));
    let facts = super::super::asked::facts(&verdict, Some(&incident));
    assert!(facts.contains(&("since", "2026-11-22 10:32:40 UTC, 10 s".to_owned())), "{facts:?}");
    assert!(facts.contains(&("again", "1 flap in 38 s".to_owned())), "{facts:?}");
    let before = Verdict { at: at(30), onset: Some(at(25)), ..verdict };
    assert_eq!(incident.began(&before), at(25));
}

#[test]
fn of_what_nobody_looks_at_any_more_nobody_says_that_it_is_back() {
    let world = World::default();
    let incident = |party: &str, recovered: bool| {
        let at: Timestamp = "2026-11-22T10:32:00Z".parse().unwrap();
        let verdict: Verdict = serde_json::from_value(serde_json::json!({
            "subject": {"party": party}, "at": at, "cause": "them", "regions": ["a"], "regions_seen": 1,
            "confidence": 0.9, "round": 1, "onset": at,
        }))
        .unwrap();
        let (recovered_at, closed_at) = (recovered.then_some(at), Some(at));
        let suspected = Incident::suspected(party.into(), &verdict, at);
        Incident { state: IncidentState::Closed, recovered_at, closed_at, ..suspected }
    };
    let (gone, two, back) = (incident("gone", false), incident("two", false), incident("back", true));
    let said = "Over: nobody looks at gone any more (removed from the configuration). It is not known whether it is back. \
                It was them.";
    assert_eq!(closing(&world, &gone).headline, said);
    assert_eq!(looking(&world, &gone).headline, said);
    let many = |all: &[&Incident]| many::words(&world, Saying::Ending, all, all).headline;
    assert_eq!(many(&[&gone, &two]), "Over: nobody looks any more at gone and two.");
    assert_eq!(
        many(&[&gone, &back]),
        "Over: 1 of 2 is back since 10:32:00 UTC, after 0 s: back. Nobody looks any more at gone."
    );
}

#[test]
fn what_recovers_before_many_are_told_of_it_is_named_all_the_same() {
    let world = World::default();
    let incident = |party: &str| {
        let at: Timestamp = "2026-11-22T10:32:00Z".parse().unwrap();
        let verdict: Verdict = serde_json::from_value(serde_json::json!({
            "subject": {"party": party}, "at": at, "cause": "them", "regions": ["a"], "regions_seen": 1,
            "confidence": 0.9, "round": 1, "onset": at,
        }))
        .unwrap();
        Incident { state: IncidentState::Recovering, ..Incident::suspected(party.into(), &verdict, at) }
    };
    let (one, two) = (incident("one"), incident("two"));
    let all = [&one, &two];
    for saying in [Saying::Opening, Saying::Reminding] {
        let said = many::words(&world, saying, &all, &all).headline;
        assert!(said.contains("2 ") && said.contains("one and two. It's them."), "{said}");
    }
    assert_eq!(many::words(&world, Saying::Looking, &all, &all).headline, "Recovering: one and two.");
    let open = |party: &str| Incident { state: IncidentState::Open, ..incident(party) };
    let (three, four) = (open("three"), open("four"));
    let reminder = many::words(&world, Saying::Reminding, &[&three, &four], &[&one, &three, &four]).headline;
    assert_eq!(reminder, "Still down after 0 s, 2 at once: three and four. It's them.");
}
