//! Slack by incoming webhook: one message for each change. It can neither be edited nor asked for.

use super::{
    super::{
        Attempt, Delivered, Letter,
        line::{Answer, Line, secrets_of},
    },
    blocks::message,
};
use crate::model::LetterKind;

/// No answer of a webhook's is longer; what is longer is not Slack.
const ANSWER: usize = 4096;

pub(in crate::notify) struct Webhook {
    line: Line,
    url: reqwest::Url,
}

impl Webhook {
    pub(super) fn new(url: reqwest::Url, http: &reqwest::Client) -> Self {
        Self { line: Line::new(http, secrets_of(&url)), url }
    }

    pub(super) async fn send(&self, letter: &Letter, attempt: &mut Attempt) -> Delivered {
        let body = payload(letter);
        match self.line.send(self.line.post(self.url.clone()), body, ANSWER, attempt).await {
            Ok(answer) => verdict(&answer),
            Err(failed) => failed,
        }
    }
}

pub(super) fn payload(letter: &Letter) -> String {
    message(mark(letter), &letter.headline, &letter.lines).to_string()
}

/// The sign before the answer.
pub(super) fn mark(letter: &Letter) -> &'static str {
    let is_test = letter.kind == LetterKind::Note && letter.good_news;
    if is_test || letter.says_all_is_over() { ":white_check_mark:" } else { ":rotating_light:" }
}

/// What Slack says when no repetition will help (<https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>,
/// "Error handling"; the others are of the Web API).
const FOR_GOOD: [&str; 20] = [
    "account_inactive",
    "action_prohibited",
    "channel_is_archived",
    "channel_not_found",
    "invalid_auth",
    "invalid_blocks",
    "invalid_payload",
    "invalid_token",
    "is_archived",
    "msg_too_long",
    "no_active_hooks",
    "no_permission",
    "no_service",
    "no_service_id",
    "no_team",
    "no_text",
    "not_authed",
    "team_disabled",
    "token_revoked",
    "user_not_found",
];

pub(super) fn verdict(answer: &Answer) -> Delivered {
    let said: Option<Said> = serde_json::from_str(&answer.body).ok();
    let refused = said.and_then(|said| (said.ok == Some(false)).then(|| said.error.unwrap_or_default()));
    let word = refused.as_deref().unwrap_or(&answer.body);
    // The word says more than the JSON around it.
    let said = Answer::new(answer.status, answer.wait, String::new(), refused.as_deref().unwrap_or(&answer.shown));
    let is_page = answer.is_page();
    match answer.status {
        // A page with status 200 comes from a proxy that stands in between.
        200..=299 if refused.is_none() && !is_page => Delivered::Taken,
        404 | 410 if !is_page => said.never(),
        200..=299 | 400..=499 if FOR_GOOD.contains(&word) => said.never(),
        _ => said.later(),
    }
}

/// An answer in JSON.
#[derive(serde::Deserialize)]
struct Said {
    ok: Option<bool>,
    error: Option<String>,
}
