//! Any web server that takes JSON: one signed request for each change, in the shape of `docs/WEBHOOK.md`.

use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;

use super::{
    Attempt, Channel, Delivered, Letter, Repeat,
    channel::Delivering,
    line::{Line, must_be_web, secrets_of},
};
use crate::{model::Secret, protocol::Problem};

/// Where to send, and how to sign.
#[derive(Debug, Clone, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Where to send. What is secret belongs into `headers`.
    pub url: url::Url,
    /// What `X-Usoryou-Signature` is made with; at least 8 characters.
    pub hmac_secret: Secret,
    /// Headers to add.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
}

/// The version of the shape; it changes when a reader of the one before would be wrong.
const VERSION: u32 = 1;
/// What is read of an answer.
const ANSWER: usize = 4096;
/// Headers that are ours, or the connection's.
const OURS: [&str; 7] = [
    "connection",
    "content-length",
    "content-type",
    "host",
    "transfer-encoding",
    "x-usoryou-delivery",
    "x-usoryou-signature",
];

impl File {
    #[expect(clippy::unused_self, reason = "other channels look at what is given")]
    pub(super) const fn edits(&self) -> bool {
        false
    }

    pub(super) fn review(&self) -> Result<Option<String>, Vec<Problem>> {
        let mut wrong: Vec<Problem> = must_be_web(&self.url, "url").into_iter().collect();
        if self.hmac_secret.reveal().len() < 8 {
            let problem = Problem::at("hmac_secret", "this is too short to sign anything with");
            wrong.push(problem.help("at least 8 characters, such as the output of `openssl rand -hex 32`"));
        }
        for (name, value) in &self.headers {
            let path = vec!["headers".to_owned(), name.clone()];
            let known = HeaderName::from_bytes(name.as_bytes());
            let message = match &known {
                Ok(name) if OURS.contains(&name.as_str()) => "this header is not for you to set",
                Ok(_) if HeaderValue::from_str(value.reveal()).is_err() => {
                    "the value holds characters that no header has"
                }
                Ok(_) => continue,
                Err(_) => "this is not the name of a header",
            };
            wrong.push(Problem { path, message: message.to_owned(), help: None });
        }
        if wrong.is_empty() { Ok(None) } else { Err(wrong) }
    }
}

/// A web server that takes JSON.
pub(super) struct Webhook {
    line: Line,
    url: reqwest::Url,
    key: hmac::Key,
    headers: HeaderMap,
}

impl Webhook {
    pub(super) fn build(file: &File, http: &reqwest::Client) -> Result<Self, String> {
        let url = file.url.clone();
        let mut headers = HeaderMap::new();
        for (name, value) in &file.headers {
            let wrong = |_| format!("the header `{name}` cannot be sent");
            let mut value = HeaderValue::from_str(value.reveal()).map_err(|error| wrong(error.to_string()))?;
            value.set_sensitive(true);
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| wrong(error.to_string()))?;
            headers.insert(name, value);
        }
        let secrets = file.headers.values().cloned().chain([file.hmac_secret.clone()]).chain(secrets_of(&url));
        let key = hmac::Key::new(hmac::HMAC_SHA256, file.hmac_secret.reveal().as_bytes());
        Ok(Self { line: Line::new(http, secrets), url, key, headers })
    }

    async fn send(&self, letter: &Letter, attempt: &mut Attempt) -> Delivered {
        let body = payload(letter);
        let signature = signature(&self.key, chrono::Utc::now().timestamp(), &body);
        let mut headers = self.headers.clone();
        for (name, value) in [("x-usoryou-signature", &signature), ("x-usoryou-delivery", &letter.key)] {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        }
        let request = self.line.post(self.url.clone()).headers(headers);
        match self.line.send(request, body, ANSWER, attempt).await {
            Ok(answer) => answer.plain(),
            Err(failed) => failed,
        }
    }
}

impl Channel for Webhook {
    fn called(&self) -> &'static str {
        "the webhook"
    }

    /// It knows a letter by its `X-Usoryou-Delivery`.
    fn repeat(&self) -> Repeat {
        Repeat::Harmless
    }

    fn deliver<'a>(&'a self, letter: &'a Letter, attempt: &'a mut Attempt) -> Delivering<'a> {
        Box::pin(self.send(letter, attempt))
    }
}

fn payload(letter: &Letter) -> String {
    let incidents: Vec<_> = letter
        .about
        .iter()
        .map(|about| {
            json!({
                "id": about.id, "party": about.subject.party, "product": about.subject.product,
                "state": about.state, "severity": about.severity, "headline": letter.headline_of(about),
                "onset": about.onset, "opened_at": about.opened_at, "ended": about.ended(),
                "admitted_at": about.admitted_at, "note": about.note, "flaps": about.flaps,
                "verdict": {
                    "cause": about.cause, "confidence": about.verdict.confidence, "regions": about.verdict.regions,
                    "regions_seen": about.verdict.regions_seen, "failure": about.verdict.failure,
                    "alternatives": about.verdict.alternatives, "because_of": about.verdict.because_of,
                    "evidence": about.verdict.evidence,
                },
            })
        })
        .collect();
    json!({
        "version": VERSION, "delivery": letter.key, "channel": letter.channel, "incident": letter.incident,
        "transition": letter.kind, "at": letter.at, "over": letter.good_news,
        "was": letter.was,
        "headline": letter.headline, "lines": letter.lines, "incidents": incidents,
    })
    .to_string()
}

/// `t=1795343525,v1=…`: the time is signed as well, so that a recorded request cannot be played again for ever.
fn signature(key: &hmac::Key, at: i64, body: &str) -> String {
    use std::fmt::Write as _;
    let tag = hmac::sign(key, format!("{at}.{body}").as_bytes());
    let mut text = format!("t={at},v1=");
    for byte in tag.as_ref() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
#[path = "webhook_tests.rs"]
mod tests;
