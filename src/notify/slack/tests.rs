//! What Slack answers and what it is sent, without a Slack.

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use super::{super::line::Answer, *};
use crate::model::Delivered;

fn verdict(status: u16, wait: Option<Duration>, body: &str) -> Delivered {
    webhook::verdict(&Answer::new(status, wait, body.to_owned(), body))
}

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
    let payload: Value =
        serde_json::from_str(&webhook::payload(&letter("<!channel> A & *B*", &["x > y", "z"]))).unwrap();
    assert_eq!(payload["text"], "&lt;!channel&gt; A &amp; ∗B∗\nx &gt; y\nz");
    assert_eq!(payload["blocks"][0]["text"]["text"], ":rotating_light: *&lt;!channel&gt; A &amp; ∗B∗*");
    assert_eq!(payload["blocks"][1]["elements"][0]["text"], "x &gt; y\nz");
}

#[test]
fn what_is_over_in_part_is_marked_as_what_it_is() {
    use crate::{
        model::{Cause, Incident, LetterKind, Timestamp},
        notify::letters_tests,
    };
    let one = |closed_at: Option<Timestamp>| Incident { closed_at, ..letters_tests::incident("i", Cause::Them) };
    let mark = |about: Vec<Incident>| {
        let letter = Letter { good_news: true, ..letters_tests::letter(LetterKind::Updated, about) };
        webhook::mark(&letter)
    };
    let over = Some(Timestamp::default());
    assert_eq!(mark(vec![one(over), one(None)]), ":rotating_light:");
    assert_eq!(mark(vec![one(over), one(over)]), ":white_check_mark:");
    assert_eq!(mark(vec![]), ":white_check_mark:", "a letter of an earlier version");
    let sample = crate::notify::sample("ops", Timestamp::default(), false);
    assert_eq!(webhook::mark(&sample), ":white_check_mark:", "a test is no alarm");
}

#[test]
fn a_block_is_never_longer_than_slack_allows() {
    let long = "ü".repeat(10_000);
    let payload: Value = serde_json::from_str(&webhook::payload(&letter(&long, &[&long]))).unwrap();
    for text in [&payload["blocks"][0]["text"]["text"], &payload["blocks"][1]["elements"][0]["text"]] {
        assert!(text.as_str().unwrap().chars().count() <= 3_000);
    }
    assert!(payload["text"].as_str().unwrap().len() > 40_000);
}

#[test]
fn too_much_is_cut_and_says_so() {
    let lines: Vec<String> = (0..200).map(|number| format!("{number} {}", "x".repeat(1_500))).collect();
    let message = blocks::message("", &"&".repeat(4_000), &lines);
    let blocks = message["blocks"].as_array().unwrap();
    assert_eq!(blocks.len(), 40);
    let headline = blocks[0]["text"]["text"].as_str().unwrap();
    assert!(headline.len() <= 3_000 && headline.ends_with("&amp;… (cut)*"), "{headline}");
    assert_eq!(blocks[39]["elements"][0]["text"], "(162 more lines were cut.)");
    let text = message["text"].as_str().unwrap();
    assert!(text.chars().count() <= 40_000 && text.ends_with("… (cut)"));
}

fn shape(json: Value) -> File {
    serde_json::from_value(json).unwrap()
}

fn wrong(json: Value) -> Vec<String> {
    let problems = shape(json).review().unwrap_err();
    problems.into_iter().map(|problem| format!("{}: {}", problem.path.join("."), problem.message)).collect()
}

#[test]
fn a_channel_is_a_webhook_or_a_bot() {
    use serde_json::json;
    let webhook = "https://hooks.slack.com/services/T0";
    assert_eq!(shape(json!({"webhook_url": webhook})).review(), Ok(None));
    assert_eq!(shape(json!({"bot_token": "xoxb-1", "channel": "C0123456789"})).review(), Ok(None));
    let doubt = |json| shape(json).review().unwrap().unwrap();
    assert!(doubt(json!({"webhook_url": ""})).starts_with("no webhook is given"));
    assert!(doubt(json!({"bot_token": "", "channel": "C0123456789"})).starts_with("no bot token is given"));
    assert_eq!(wrong(json!({})), [": neither a webhook nor a bot is given"]);
    assert_eq!(
        wrong(json!({"webhook_url": webhook, "bot_token": "xoxb-1", "channel": "C0"})),
        ["bot_token: there is a webhook already: this channel is either a webhook or a bot"]
    );
    assert_eq!(
        wrong(json!({"webhook_url": "ftp://x", "channel": "C0", "api_url": "http://a"})),
        [
            "webhook_url: the webhook is not a URL",
            "channel: `channel` belongs to `bot_token`: a webhook leads where it was made for",
            "api_url: `api_url` belongs to `bot_token`: a webhook leads where it was made for",
        ]
    );
    assert_eq!(
        wrong(json!({"bot_token": "xoxb-\n", "api_url": "ftp://slack.com/api"})),
        [
            ": a bot needs to know the channel that it writes to",
            "bot_token: the bot's token holds characters that no token has",
            "api_url: this is not the address of a web server",
        ]
    );
}
