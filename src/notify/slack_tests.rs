//! What Slack answers and what it is sent, without a Slack.

use std::sync::Arc;

use super::*;

fn later(why: &str) -> Delivered {
    Delivered::Later { why: why.to_owned(), wait: None }
}

fn never(why: &str) -> Delivered {
    Delivered::Never { why: why.to_owned() }
}

#[test]
fn answers_mean_what_slack_means() {
    assert_eq!(verdict(200, None, "ok"), Delivered::Taken);
    assert_eq!(verdict(200, None, r#"{"ok":true}"#), Delivered::Taken);
    assert_eq!(verdict(204, None, ""), Delivered::Taken);
    assert_eq!(verdict(200, None, r#"{"ok":false,"error":"rate_limited"}"#), later("status 200, rate_limited"));
    assert_eq!(verdict(200, None, r#"{"ok":false,"error":"invalid_auth"}"#), never("status 200, invalid_auth"));
    assert_eq!(verdict(200, None, "<html>log in</html>"), later("status 200, a web page"));
    assert_eq!(verdict(301, None, ""), later("status 301"));
    assert_eq!(verdict(400, None, "invalid_payload"), never("status 400, invalid_payload"));
    assert_eq!(verdict(403, None, "invalid_token"), never("status 403, invalid_token"));
    assert_eq!(verdict(403, None, "a proxy says no"), later("status 403, a proxy says no"));
    assert_eq!(verdict(404, None, "no_service"), never("status 404, no_service"));
    assert_eq!(verdict(404, None, "<html>nginx</html>"), later("status 404, a web page"));
    assert_eq!(verdict(410, None, "channel_is_archived"), never("status 410, channel_is_archived"));
    assert_eq!(verdict(500, None, "server_error"), later("status 500, server_error"));
    let wait = Some(Duration::from_secs(7));
    assert_eq!(verdict(429, wait, ""), Delivered::Later { why: "status 429".to_owned(), wait });
    assert_eq!(verdict(503, None, &"x".repeat(4096)), later(&format!("status 503, {}", "x".repeat(80))));
}

fn letter(headline: &str, lines: &[&str]) -> Letter {
    Letter {
        key: "k".to_owned(),
        channel: Arc::from("support"),
        incident: Arc::from("i"),
        headline: headline.to_owned(),
        lines: lines.iter().map(|line| (*line).to_owned()).collect(),
        good_news: false,
        ..Letter::default()
    }
}

#[test]
fn the_text_is_complete_and_no_mark_up_gets_in() {
    let payload: serde_json::Value =
        serde_json::from_str(&payload(&letter("<!channel> A & *B*", &["x > y", "z"]))).unwrap();
    assert_eq!(payload["text"], "&lt;!channel&gt; A &amp; ∗B∗\nx &gt; y\nz");
    assert_eq!(payload["blocks"][0]["text"]["text"], ":rotating_light: *&lt;!channel&gt; A &amp; ∗B∗*");
    assert_eq!(payload["blocks"][1]["elements"][0]["text"], "x &gt; y\nz");
}

#[test]
fn a_block_is_never_longer_than_slack_allows() {
    let long = "ü".repeat(10_000);
    let payload: serde_json::Value = serde_json::from_str(&payload(&letter(&long, &[&long]))).unwrap();
    for text in [&payload["blocks"][0]["text"]["text"], &payload["blocks"][1]["elements"][0]["text"]] {
        assert!(text.as_str().unwrap().chars().count() <= 3_000);
    }
    assert!(payload["text"].as_str().unwrap().len() > 40_000);
}
