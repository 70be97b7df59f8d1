//! What is sent, how it is signed, and what the configuration may say.

use super::*;
use crate::{
    model::{Cause, LetterKind},
    notify::letters_tests::{incident, letter},
};

#[test]
fn the_signature_is_the_one_that_anybody_computes() {
    // printf '1795343525.{}' | openssl dgst -sha256 -hmac 'hunter2-hunter2'
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"hunter2-hunter2");
    let signed = signature(&key, 1_795_343_525, "{}");
    assert_eq!(signed, "t=1795343525,v1=f953f39f781523705dda17bf7a32279391926a7f1f50b1e52556905a997a2663");
}

#[test]
fn the_body_says_everything() {
    let body = payload(&letter(LetterKind::Opened, vec![incident("2026-11-22-firebase-1", Cause::Them)]));
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    let expected = serde_json::json!({
        "version": 1, "delivery": "ops/2026-11-22-firebase-1/opened", "channel": "ops",
        "incident": "2026-11-22-firebase-1", "transition": "opened", "at": "2026-11-22T10:33:00Z", "over": false,
        "was": null, "headline": "It's them: Firebase rtdb is down.", "lines": ["Controls 6/6 up."],
        "incidents": [{
            "id": "2026-11-22-firebase-1", "party": "firebase", "product": "rtdb", "state": "open",
            "severity": "critical", "headline": "It's them: Firebase rtdb is down.", "onset": "2026-11-22T10:32:05Z",
            "opened_at": null, "ended": null, "admitted_at": null, "note": null, "flaps": 0,
            "verdict": {
                "cause": "them", "confidence": 0.97, "regions": ["eu-west", "us-east"], "regions_seen": 3,
                "failure": null, "alternatives": [], "because_of": null, "evidence": ["Controls 6/6 up."],
            },
        }],
    });
    assert_eq!(body, expected, "{body:#}");
}

#[test]
fn headers_are_checked() {
    let file: File = serde_json::from_value(json!({
        "url": "mailto:ops@example.com", "hmac_secret": "short",
        "headers": {"Authorization": "Bearer x", "Host": "x", "no name": "x", "X-Line": "a\nb"},
    }))
    .unwrap();
    let mut wrong: Vec<String> = file
        .review()
        .unwrap_err()
        .iter()
        .map(|problem| format!("{}: {}", problem.path.join("."), problem.message))
        .collect();
    wrong.sort();
    assert_eq!(
        wrong,
        [
            "headers.Host: this header is not for you to set",
            "headers.X-Line: the value holds characters that no header has",
            "headers.no name: this is not the name of a header",
            "hmac_secret: this is too short to sign anything with",
            "url: this is not the address of a web server",
        ]
    );
}
