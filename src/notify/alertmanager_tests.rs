//! What becomes an alert, and when it ends.

use super::*;
use crate::notify::letters_tests::{incident, letter};

fn channel(labels: Value) -> Alertmanager {
    let file: File = serde_json::from_value(json!({"url": "http://am:9093/base/", "labels": labels})).unwrap();
    Alertmanager::build(&file, &crate::notify::http_client(&crate::net::Trust::default()).unwrap()).unwrap()
}

#[test]
fn an_alert_says_whose_fault_and_holds_for_five_minutes() {
    let channel = channel(json!({"team": "support"}));
    assert_eq!(channel.urls[0].as_str(), "http://am:9093/base/api/v2/alerts");
    let told = letter(LetterKind::Opened, vec![incident("i-1", Cause::Them)]);
    let now = "2026-11-22T10:33:30Z".parse().unwrap();
    let expected = json!({
        "labels": {
            "alertname": "UsoryouIncident", "incident": "i-1", "party": "firebase", "product": "rtdb", "cause": "them",
            "severity": "critical", "team": "support",
        },
        "annotations": {
            "summary": "It's them: Firebase rtdb is down.", "description": "Controls 6/6 up.", "regions": "eu-west, us-east",
        },
        "startsAt": "2026-11-22T10:32:05Z", "endsAt": "2026-11-22T10:38:30Z",
    });
    assert_eq!(channel.alert(&told.about[0], &told, now), expected);
    let path = incident("i-2", Cause::Path);
    assert_eq!(channel.labels(&path)["region"], "eu-west,us-east", "a verdict about regions names them");
    let mut closed = incident("i-1", Cause::Them);
    closed.closed_at = Some(now);
    let told = letter(LetterKind::Closed, vec![closed]);
    assert_eq!(channel.alert(&told.about[0], &told, now)["endsAt"], "2026-11-22T10:33:30Z");
}

#[test]
fn what_cannot_be_is_a_mistake() {
    let wrong = |json: Value| -> Vec<String> {
        let file: File = serde_json::from_value(json).unwrap();
        let problems = file.review().unwrap_err();
        problems.iter().map(|problem| format!("{}: {}", problem.path.join("."), problem.message)).collect()
    };
    assert_eq!(wrong(json!({})), [": no Alertmanager is given"]);
    assert_eq!(
        wrong(json!({"urls": ["http://a", "ftp://b"], "username": "u", "labels": {"cause": "x", "a-b": "y"}})),
        [
            "urls.1: this is not the address of a web server",
            "username: a user without a password",
            "labels.a-b: a label has letters, digits and `_`, and begins with no digit",
            "labels.cause: this label is set for every alert",
        ]
    );
    assert_eq!(
        wrong(json!({"url": "http://a", "username": "u", "password": "p", "bearer_token": "t"})),
        ["bearer_token: there is a user with a password already"]
    );
}
