//! The rules of docs/REPORT.md, one by one.

use super::*;
use crate::model::Verdict;

fn at(second: i64) -> Timestamp {
    Timestamp::from_timestamp(1_795_000_000 + second, 0).unwrap()
}

fn incident(party: &str, product: Option<&str>, cause: &str, from: i64, to: Option<i64>) -> Incident {
    let subject = serde_json::json!({"party": party, "product": product});
    let verdict = serde_json::json!({
        "subject": subject, "at": at(from), "cause": cause, "regions": ["eu"], "regions_seen": 1, "confidence": 0.9, "round": 1,
    });
    let _: Verdict = serde_json::from_value(verdict.clone()).unwrap();
    serde_json::from_value(serde_json::json!({
        "id": format!("i-{from}-{party}"), "subject": subject, "state": if to.is_some() { "closed" } else { "open" },
        "cause": cause, "onset": at(from), "opened_at": at(from + 30), "recovered_at": to.map(at),
        "closed_at": to.map(|to| at(to + 50)), "bad_rounds": 3, "good_rounds": 0, "round": 1, "verdict": verdict,
    }))
    .unwrap()
}

fn seen(region: &'static str, second: i64, outcome: Outcome) -> Sighting<'static> {
    Sighting {
        probe: "rtdb",
        party: "firebase",
        product: Some("database"),
        region,
        scheduled_at: at(second),
        outcome,
        duration: 0.1,
        ..Sighting::default()
    }
}

/// A thousand seconds in rounds of ten from two regions; down in these spans.
fn report(incidents: &[Incident], down: &[(&str, i64, i64)], planned: (i64, i64)) -> Report {
    let who = |party: &str| Who { name: party.into(), kind: PartyKind::Provider, status_page: true };
    let planned = |_: &str, when: Timestamp| (at(planned.0)..at(planned.1)).contains(&when);
    let terms = Terms { from: at(0), to: at(1000), who: &who, planned: &planned, wanted: &|party| party == "firebase" };
    let mut account = Account::new(terms, incidents);
    for second in (0..1200).step_by(10) {
        for region in ["eu", "us"] {
            let down = down.iter().any(|(place, from, to)| *place == region && (*from..*to).contains(&second));
            account.take(&seen(region, second, if down { Outcome::Down } else { Outcome::Up }));
        }
    }
    account.take(&Sighting { party: "other", ..seen("eu", 999, Outcome::Down) });
    account.close(at(2000), Some(at(-5)))
}

fn whole(report: &Report) -> &Figures {
    &report.parties[0].whole
}

const NEVER: (i64, i64) = (-2, -1);
const BOTH: [(&str, i64, i64); 2] = [("eu", 100, 200), ("us", 100, 200)];

fn close(found: f64, meant: f64) -> bool {
    (found - meant).abs() < 1e-9
}

#[test]
fn what_is_provably_theirs_is_told_apart_from_the_rest() {
    let theirs = [incident("firebase", Some("database"), "them", 100, Some(200))];
    let report = report(&theirs, &[BOTH[0], BOTH[1], ("eu", 500, 510)], NEVER);
    let figures = whole(&report);
    // The first round of each region stands for nothing yet: 99 rounds of ten seconds each.
    assert!(close(figures.watched, 1980.0), "{figures:?}");
    assert!(close(figures.down_own, 200.0) && close(figures.down_other, 10.0), "{figures:?}");
    assert!(close(figures.availability.unwrap(), 1.0 - 200.0 / 1980.0));
    assert!(close(figures.raw_availability.unwrap(), 1.0 - 210.0 / 1980.0));
    assert_eq!((figures.incidents, figures.longest, figures.total), (1, 100.0, 100.0));
    assert_eq!((report.observations, report.parties.len()), (200, 1));
    assert_eq!(report.regions.iter().map(|region| &**region).collect::<Vec<_>>(), ["eu", "us"]);
    assert!((figures.p50.unwrap() / 0.1 - 1.0).abs() < 0.012);
}

/// A moment of an incident's history.
fn moment(second: i64, transition: &str, cause: &str) -> crate::model::Moment {
    serde_json::from_value(serde_json::json!({"at": at(second), "transition": transition, "cause": cause})).unwrap()
}

#[test]
fn what_comes_back_for_another_reason_does_not_take_back_what_was_theirs() {
    let back = |other: &str| {
        let mut incident = incident("firebase", Some("database"), other, 100, Some(600));
        incident.history = vec![
            moment(110, "suspected", "unknown"),
            moment(130, "opened", "unknown"),
            moment(150, "updated", "them"),
            moment(200, "recovering", "them"),
            moment(250, "closed", "them"),
            moment(530, "updated", other),
            moment(600, "recovering", other),
            moment(650, "closed", other),
        ];
        incident.admitted_at = Some(at(160));
        report(&[incident], &[BOTH[0], BOTH[1], ("eu", 500, 600), ("us", 500, 600)], NEVER)
    };
    let rows = |report: &Report| -> Vec<(Cause, f64, Option<f64>)> {
        report.incidents.iter().map(|row| (row.cause, row.lasted, row.admission_lag)).collect()
    };
    let ours = back("probe");
    assert_eq!(rows(&ours), [(Cause::Them, 100.0, Some(60.0)), (Cause::Probe, 70.0, None)]);
    assert!(ours.incidents[0].regions.is_empty() && !ours.incidents[1].regions.is_empty(), "of then nobody knows");
    let figures = whole(&ours);
    assert!(close(figures.down_own, 200.0) && close(figures.down_other, 60.0), "{figures:?}");
    assert!(close(figures.not_judged, 160.0), "{figures:?}");
    assert_eq!((figures.incidents, figures.total), (1, 100.0));
    let path = back("path");
    assert_eq!(rows(&path), [(Cause::Them, 100.0, Some(60.0)), (Cause::Path, 70.0, None)], "well since the first end");
    assert!(close(whole(&path).down_own, 200.0) && close(whole(&path).down_path, 140.0), "{:?}", whole(&path));
    // For the same reason as well: what lies in between was no outage.
    let again = back("them");
    assert_eq!(rows(&again), [(Cause::Them, 100.0, Some(60.0)), (Cause::Them, 70.0, None)]);
    let figures = whole(&again);
    assert_eq!((figures.incidents, figures.longest, figures.total), (2, 100.0, 170.0));
}

#[test]
fn what_comes_back_begins_with_its_first_bad_round() {
    let mut incident = incident("firebase", Some("database"), "probe", 100, Some(600));
    incident.since = Some(at(500));
    incident.sinces = vec![at(300), at(500)];
    incident.history = vec![
        moment(130, "opened", "them"),
        moment(200, "recovering", "them"),
        moment(250, "closed", "them"),
        moment(330, "updated", "path"),
        // It fell back once before it was over.
        moment(350, "recovering", "path"),
        moment(360, "updated", "path"),
        moment(400, "closed", "path"),
        moment(530, "updated", "probe"),
        moment(600, "recovering", "probe"),
        moment(650, "closed", "probe"),
    ];
    let report = report(&[incident], &[("eu", 100, 200), ("eu", 300, 400), ("eu", 500, 600)], NEVER);
    let found: Vec<_> = report.incidents.iter().map(|row| (row.cause, row.onset, row.ended)).collect();
    let spans = [(Cause::Them, 100, 200), (Cause::Path, 300, 400), (Cause::Probe, 500, 600)];
    assert_eq!(found, spans.map(|(cause, from, to)| (cause, at(from), Some(at(to)))));
    let figures = whole(&report);
    assert!(close(figures.down_own, 100.0) && close(figures.down_path, 100.0), "{figures:?}");
    assert!(close(figures.down_other, 0.0), "{figures:?}");
}

#[test]
fn the_path_is_shown_apart_and_our_own_fault_is_left_out() {
    let path = [incident("firebase", Some("database"), "path", 100, Some(200))];
    let figures = whole(&report(&path, &BOTH, NEVER)).clone();
    assert!(close(figures.down_path, 200.0) && close(figures.availability.unwrap(), 1.0));
    assert_eq!(figures.incidents, 0);
    for ours in
        [incident("usoryou", Some("eu"), "probe", 100, Some(200)), incident("firebase", None, "probe", 100, Some(200))]
    {
        let figures = whole(&report(&[ours], &BOTH[..1], NEVER)).clone();
        assert!(close(figures.raw_availability.unwrap(), 1.0), "{figures:?}");
        assert!(figures.not_judged >= 110.0, "{figures:?}");
    }
}

#[test]
fn a_planned_window_counts_neither_way() {
    let theirs = [incident("firebase", Some("database"), "them", 100, Some(200))];
    let figures = whole(&report(&theirs, &BOTH, (100, 300))).clone();
    assert!(close(figures.in_maintenance, 400.0) && close(figures.watched, 1580.0), "{figures:?}");
    assert!(close(figures.raw_availability.unwrap(), 1.0));
    assert_eq!(figures.incidents, 0);
}

#[test]
fn an_incident_counts_as_far_as_it_lies_in_the_period() {
    let before = incident("firebase", Some("database"), "them", -100, Some(50));
    let still = incident("firebase", Some("auth"), "them", 20, None);
    let long_ago = incident("firebase", Some("database"), "them", -900, Some(-800));
    let figures = whole(&report(&[before, still, long_ago], &[], NEVER)).clone();
    assert_eq!((figures.incidents, figures.longest, figures.total), (2, 980.0, 1000.0));
}

#[test]
fn what_went_on_as_another_incident_is_not_counted_again() {
    let goes_on = incident("firebase", Some("database"), "them", 100, Some(200));
    // The other region told of it a round earlier, and never saw its end.
    let mut joined = incident("firebase", Some("database"), "them", 90, None);
    joined.state = IncidentState::Closed;
    joined.closed_at = Some(at(150));
    joined.note = Some(Incident::went_on_note(&goes_on.id));
    let report = report(&[joined, goes_on], &[("eu", 90, 200), ("us", 90, 200)], NEVER);
    assert_eq!(report.incidents.len(), 1);
    let figures = whole(&report);
    assert_eq!((figures.incidents, figures.longest, figures.total), (1, 100.0, 100.0));
    assert!(close(figures.down_own, 220.0) && close(figures.down_other, 0.0), "{figures:?}");
}

#[test]
fn admissions_have_a_lag_or_are_missing() {
    let mut late = incident("firebase", Some("database"), "them", 100, Some(200));
    late.admitted_at = Some(at(160));
    let mut ahead = incident("firebase", Some("database"), "them", 300, Some(400));
    ahead.admitted_at = Some(at(290));
    let silent = incident("firebase", Some("database"), "them", 500, Some(600));
    let report = report(&[late, ahead, silent], &[], NEVER);
    let figures = whole(&report);
    assert_eq!((figures.incidents, figures.admitted, figures.admission_lag), (3, 2, Some(-10.0)));
}

#[test]
fn what_was_not_watched_does_not_count() {
    let terms = Terms {
        from: at(0),
        to: at(1_000_000),
        who: &|party| Who { name: party.into(), kind: PartyKind::Provider, status_page: true },
        planned: &|_, _| false,
        wanted: &|_| true,
    };
    let mut account = Account::new(terms, &[]);
    for second in [0, 10, 20, 900_000, 900_010] {
        account.take(&seen("eu", second, Outcome::Up));
    }
    account.take(&seen("eu", 900_020, Outcome::Inconclusive));
    let report = account.close(at(0), None);
    assert!(close(whole(&report).watched, 50.0), "{:?}", whole(&report));
    assert!(close(whole(&report).not_judged, 10.0));
}

/// What was watched of looks from one region at these seconds, all good.
fn watched(seconds: &[i64]) -> f64 {
    let who = |party: &str| Who { name: party.into(), kind: PartyKind::Provider, status_page: true };
    let terms = Terms { from: at(0), to: at(100_000), who: &who, planned: &|_, _| false, wanted: &|_| true };
    let mut account = Account::new(terms, &[]);
    seconds.iter().for_each(|second| account.take(&seen("eu", *second, Outcome::Up)));
    whole(&account.close(at(100_000), None)).watched
}

#[test]
fn one_look_that_came_soon_after_another_takes_nothing_from_the_rest() {
    // Every five minutes, but for an agent that was started anew two seconds after a look.
    let mut seconds: Vec<i64> = (0..40).map(|round| round * 300).collect();
    seconds.push(10 * 300 + 2);
    seconds.sort_unstable();
    assert!(close(watched(&seconds), 39.0 * 300.0), "{}", watched(&seconds));
}

#[test]
fn rounds_that_have_become_longer_stand_for_all_of_it() {
    // Every ten seconds, then every minute: the first of those may stand for less, until it is known.
    let seconds: Vec<i64> = (0..60).map(|round| round * 10).chain((10..70).map(|round| round * 60)).collect();
    let (whole, found) = (69.0 * 60.0, watched(&seconds));
    assert!(found <= whole && found > whole - 8.0 * 60.0, "{found} of {whole}");
    // What nobody watched for an hour is no part of it all the same.
    let seconds: Vec<i64> = (0..60).chain(420..480).map(|round| round * 10).collect();
    assert!(close(watched(&seconds), 118.0 * 10.0 + 20.0), "{}", watched(&seconds));
}
