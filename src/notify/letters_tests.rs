//! A letter and its incident, for the tests of the channels.

use serde_json::json;

use crate::model::{Cause, Incident, Letter, LetterKind};

pub(super) fn incident(id: &str, cause: Cause) -> Incident {
    serde_json::from_value(json!({
        "id": id, "subject": {"party": "firebase", "product": "rtdb"}, "state": "open", "cause": cause,
        "severity": "critical", "onset": "2026-11-22T10:32:05Z", "bad_rounds": 3, "good_rounds": 0, "round": 7,
        "verdict": {
            "subject": {"party": "firebase", "product": "rtdb"}, "at": "2026-11-22T10:33:00Z", "cause": cause,
            "regions": ["eu-west", "us-east"], "regions_seen": 3, "confidence": 0.97, "round": 7,
            "evidence": ["Controls 6/6 up."],
        },
    }))
    .unwrap()
}

pub(super) fn letter(kind: LetterKind, about: Vec<Incident>) -> Letter {
    Letter {
        key: "ops/2026-11-22-firebase-1/opened".to_owned(),
        channel: "ops".into(),
        incident: "2026-11-22-firebase-1".into(),
        kind,
        headline: "It's them: Firebase rtdb is down.".to_owned(),
        lines: vec!["Controls 6/6 up.".to_owned()],
        good_news: kind == LetterKind::Closed,
        at: "2026-11-22T10:33:00Z".parse().unwrap(),
        about,
        ..Letter::default()
    }
}
