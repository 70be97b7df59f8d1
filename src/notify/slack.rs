//! Slack by incoming webhook.

use std::{
    future::Future,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

use super::{Channel, Delivered, HandingOver, Letter};
use crate::{model::Secret, protocol::Problem};

/// How to reach Slack.
#[derive(Debug, Clone, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Incoming webhook; the whole URL is a secret. Empty: messages go to the log alone.
    pub webhook_url: Secret,
}

impl File {
    pub(super) fn review(&self) -> Result<Option<String>, Problem> {
        let written = self.webhook_url.reveal();
        if written.is_empty() {
            let said = "no webhook is given: messages for Slack go to the log alone until there is one";
            return Ok(Some(said.to_owned()));
        }
        // The reason could repeat a part of the secret.
        let is_web =
            url::Url::parse(written).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if is_web {
            return Ok(None);
        }
        let problem = Problem::at("webhook_url", "the webhook is not a URL");
        Err(problem.help("Slack gives one out under `Incoming Webhooks`; it begins with https://hooks.slack.com/"))
    }
}

/// Slack by incoming webhook.
pub(super) struct Slack {
    http: reqwest::Client,
    /// Nothing when no webhook is given: then messages go to the log alone.
    webhook: Option<reqwest::Url>,
}

impl Slack {
    pub(super) fn build(file: &File, http: &reqwest::Client) -> Result<Self, String> {
        let written = file.webhook_url.reveal();
        let webhook = if written.is_empty() {
            None
        } else {
            // The reason could repeat a part of the secret.
            Some(reqwest::Url::parse(written).map_err(|_| "the webhook is not a URL".to_owned())?)
        };
        Ok(Self { http: http.clone(), webhook })
    }

    async fn send(&self, letter: &Letter, handing_over: HandingOver) -> Delivered {
        if letter.edits {
            // A webhook cannot edit what it said.
            return Delivered::Taken;
        }
        let Some(webhook) = self.webhook.clone() else {
            return match handing_over.await {
                Ok(()) => Delivered::Taken,
                Err(why) => Delivered::Later { why, wait: None },
            };
        };
        let body = OnePiece { piece: Some(payload(letter).into()), handing_over: Some(Mutex::new(handing_over)) };
        let request = self
            .http
            .post(webhook)
            .header(http::header::CONTENT_TYPE, "application/json; charset=utf-8")
            .body(reqwest::Body::wrap(body));
        match request.send().await {
            Ok(answer) => judge(answer).await,
            Err(error) => Delivered::Later { why: in_words(error), wait: None },
        }
    }
}

impl Channel for Slack {
    fn called(&self) -> &'static str {
        if self.webhook.is_some() { "Slack" } else { "the log" }
    }

    fn deliver<'a>(
        &'a self,
        letter: &'a Letter,
        handing_over: HandingOver,
    ) -> Pin<Box<dyn Future<Output = Delivered> + Send + 'a>> {
        Box::pin(self.send(letter, handing_over))
    }
}

/// The whole letter as `text`, which every client, notification and screen reader shows, and the same as blocks with the
/// answer set apart.
fn payload(letter: &Letter) -> String {
    let headline = escaped(&letter.headline);
    let lines: Vec<String> = letter.lines.iter().map(|line| escaped(line)).collect();
    let mut text = vec![headline.clone()];
    text.extend(lines.iter().cloned());
    let mark = if letter.good_news { ":white_check_mark:" } else { ":rotating_light:" };
    let section = |text: String| serde_json::json!({"type": "section", "text": {"type": "mrkdwn", "text": cut(text)}});
    let mut blocks = vec![section(format!("{mark} *{headline}*"))];
    if !lines.is_empty() {
        let element = serde_json::json!({"type": "mrkdwn", "text": cut(lines.join("\n"))});
        blocks.push(serde_json::json!({"type": "context", "elements": [element]}));
    }
    serde_json::json!({"text": text.join("\n"), "blocks": blocks}).to_string()
}

/// The three characters that Slack gives a meaning to; the rest may stand as it is.
fn escaped(text: &str) -> String {
    // An asterisk would end the bold of the headline.
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('*', "∗")
}

/// Slack refuses a block of more than 3,000 characters; `text` has the rest.
fn cut(text: String) -> String {
    match text.char_indices().nth(2_900) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A body that leaves in one piece, right after it was recorded that it does.
struct OnePiece {
    piece: Option<Bytes>,
    /// Behind a mutex only because a body must be shareable between threads; it is never locked.
    handing_over: Option<Mutex<HandingOver>>,
}

impl hyper::body::Body for OnePiece {
    type Data = Bytes;
    type Error = String;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, String>>> {
        if let Some(handing_over) = &mut self.handing_over {
            let handing_over = handing_over.get_mut().unwrap_or_else(PoisonError::into_inner);
            let recorded = ready!(handing_over.as_mut().poll(cx));
            self.handing_over = None;
            if let Err(why) = recorded {
                self.piece = None;
                return Poll::Ready(Some(Err(why)));
            }
        }
        Poll::Ready(self.piece.take().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.piece.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.piece.as_ref().map_or(0, |piece| piece.len() as u64))
    }
}

/// No answer of Slack's is longer; what is longer is not Slack.
const ANSWER: usize = 4096;

/// What Slack's answer means.
async fn judge(mut answer: reqwest::Response) -> Delivered {
    let status = answer.status();
    let wait = answer.headers().get(http::header::RETRY_AFTER).and_then(|wait| wait.to_str().ok()?.trim().parse().ok());
    let mut body = Vec::new();
    while body.len() < ANSWER
        && let Ok(Some(chunk)) = answer.chunk().await
    {
        body.extend_from_slice(&chunk[..chunk.len().min(ANSWER - body.len())]);
    }
    verdict(status.as_u16(), wait.map(Duration::from_secs), String::from_utf8_lossy(&body).trim())
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

fn verdict(status: u16, wait: Option<Duration>, body: &str) -> Delivered {
    let is_page = body.starts_with('<');
    let said: Option<Said> = serde_json::from_str(body).ok();
    let refused =
        said.as_ref().and_then(|said| (said.ok == Some(false)).then(|| said.error.clone().unwrap_or_default()));
    let word = refused.as_deref().unwrap_or(body);
    let shown: String = if is_page { "a web page".to_owned() } else { word.chars().take(80).collect() };
    let why = if shown.is_empty() { format!("status {status}") } else { format!("status {status}, {shown}") };
    match status {
        // A page with status 200 comes from a proxy that stands in between.
        200..=299 if refused.is_none() && !is_page => Delivered::Taken,
        404 | 410 if !is_page => Delivered::Never { why },
        200..=299 | 400..=499 if FOR_GOOD.contains(&word) => Delivered::Never { why },
        _ => Delivered::Later { why, wait },
    }
}

/// An answer in JSON.
#[derive(serde::Deserialize)]
struct Said {
    ok: Option<bool>,
    error: Option<String>,
}

/// What went wrong on the way, without the address, which is the secret.
fn in_words(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut words = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        words = cause.to_string();
        source = cause.source();
    }
    words
}

#[cfg(test)]
#[path = "slack_tests.rs"]
mod tests;
