//! A letter that says of itself that it is a test: what `usoryou notify --test` sends.

use std::sync::Arc;

use serde_json::json;

use super::Letter;
use crate::model::{LetterKind, Timestamp};

/// A sample for a channel; `over` is the one that ends it.
#[must_use]
pub fn sample(channel: &str, now: Timestamp, over: bool) -> Letter {
    let incident: Arc<str> = format!("test-{}", now.timestamp()).into();
    let subject = json!({"party": "usoryou-test"});
    let about = serde_json::from_value(json!({
        "id": incident, "subject": subject, "state": if over { "closed" } else { "open" }, "cause": "unknown",
        "severity": "degraded", "onset": now, "opened_at": now, "closed_at": over.then_some(now),
        "bad_rounds": 0, "good_rounds": 0, "round": 0,
        "verdict": {
            "subject": subject, "at": now, "cause": "unknown", "degraded": true, "regions": [], "regions_seen": 0,
            "confidence": 0.0, "round": 0,
        },
    }));
    let headline = if over {
        "Test over: nothing was wrong.".to_owned()
    } else {
        format!(
            "Test, nothing is wrong. A real message reads: \"It's them: Example is down from 2 of 3 regions since {}.\"",
            now.format("%H:%M:%S UTC")
        )
    };
    Letter {
        key: format!("{channel}/{incident}/{}", if over { "closed" } else { "note" }),
        channel: channel.into(),
        incident: incident.clone(),
        kind: if over { LetterKind::Closed } else { LetterKind::Note },
        headline,
        lines: vec![format!("Sent by `usoryou notify --test {channel}`. Evidence and the incident's id stand here.")],
        // A test is no alarm.
        good_news: true,
        at: now,
        about: about.into_iter().collect(),
        ..Letter::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_says_so_and_is_about_something() {
        let sample = sample("support", Timestamp::default(), false);
        assert!(sample.headline.starts_with("Test, nothing is wrong."));
        assert_eq!(sample.about[0].id, sample.incident);
    }
}
