//! What PagerDuty is sent.

use super::*;
use crate::{
    model::Cause,
    notify::letters_tests::{incident, letter},
};

fn channel() -> PagerDuty {
    let key = "0123456789abcdef0123456789abcdef";
    let file: File = serde_json::from_value(json!({"routing_key": key, "api_url": "http://events/"})).unwrap();
    assert_eq!(file.review(), Ok(None));
    PagerDuty::build(&file, &crate::notify::http_client(&crate::net::Trust::default()).unwrap()).unwrap()
}

#[test]
fn an_incident_is_triggered_and_resolved_by_its_id() {
    let channel = channel();
    assert_eq!(channel.url.as_str(), "http://events/v2/enqueue");
    let opened = channel.event(&letter(LetterKind::Opened, vec![incident("2026-11-22-firebase-1", Cause::Them)]));
    assert_eq!(opened["event_action"], "trigger");
    assert_eq!(opened["dedup_key"], "2026-11-22-firebase-1");
    let payload = &opened["payload"];
    assert_eq!(payload["summary"], "It's them: Firebase rtdb is down.");
    assert_eq!((&payload["severity"], &payload["source"]), (&json!("critical"), &json!("firebase")));
    assert_eq!((&payload["component"], &payload["class"]), (&json!("rtdb"), &json!("them")));
    assert_eq!(payload["timestamp"], "2026-11-22T10:32:05Z");
    assert_eq!(payload["custom_details"]["incidents"][0]["regions"], json!(["eu-west", "us-east"]));
    let closed = channel.event(&letter(LetterKind::Closed, vec![]));
    assert_eq!((&closed["event_action"], &closed["dedup_key"]), (&json!("resolve"), &opened["dedup_key"]));
}

/// A letter about several: these have ended.
fn digest(kind: LetterKind, ended: [bool; 2]) -> Letter {
    let about = ended.map(|ended| {
        let at = ended.then(|| "2026-11-22T10:40:00Z".parse().unwrap());
        crate::model::Incident { closed_at: at, ..incident("2026-11-22-firebase-1", Cause::Them) }
    });
    Letter { good_news: true, ..letter(kind, about.to_vec()) }
}

#[test]
fn what_is_over_in_part_stays_open_there() {
    let action = |letter: &Letter| channel().event(letter)["event_action"].clone();
    assert_eq!(action(&digest(LetterKind::Updated, [true, false])), "trigger");
    assert_eq!(action(&digest(LetterKind::Updated, [true, true])), "resolve");
    // A letter of an earlier version says no more than that.
    assert_eq!(action(&Letter { good_news: true, ..letter(LetterKind::Updated, vec![]) }), "resolve");
}

#[test]
fn a_long_summary_is_cut_and_a_sample_pages_nobody_hard() {
    let mut sample = letter(LetterKind::Note, vec![]);
    sample.headline = "ü".repeat(2_000);
    let event = channel().event(&sample);
    assert_eq!(event["payload"]["severity"], "info");
    assert_eq!(event["payload"]["summary"].as_str().unwrap().chars().count(), 1_024);
}

#[test]
fn a_key_of_another_length_is_doubted() {
    let review = |key: &str| serde_json::from_value::<File>(json!({"routing_key": key})).unwrap().review();
    assert!(review("short").unwrap().is_some());
    assert!(review("").is_err());
}
