//! `POST /slack/command`: whose fault it is, to somebody who asks in Slack (`/usoryou firebase`). Owns who may ask and how
//! the answer looks there; what is said is worded elsewhere. Answers from what the hub thinks at this moment: Slack waits for
//! three seconds.

use std::{borrow::Cow, fmt::Write as _};

use aws_lc_rs::{constant_time, hmac};
use axum::{
    Json,
    body::to_bytes,
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use chrono::TimeDelta;
use url::form_urlencoded;

use super::{Site, no_such_page};
use crate::{
    config::Plan,
    hub::View,
    model::{Incident, Secret, Timestamp},
    notify::{
        asked::{NOTHING_WRONG, Told, choose, facts, known, lasted},
        escaped_for_slack,
    },
};

/// No question is larger.
const QUESTION: usize = 16 << 10;
/// A question that was signed longer ago was recorded by somebody and sent again; a clock may be off by as much.
const SIGNED_WITHIN: u64 = 300;
/// A judgement that is older than this says when it was made.
const OLD: TimeDelta = TimeDelta::minutes(2);
/// No answer is longer, in bytes before it is made safe for Slack, which takes 40 000 characters.
const LONGEST: usize = 8000;

pub(super) async fn answer(State(site): State<Site>, request: Request) -> Response {
    let plan = site.given.plan.borrow().clone();
    let Some(secret) = &plan.slack_signing_secret else { return no_such_page().await.into_response() };
    let stranger = || (StatusCode::UNAUTHORIZED, "not signed by Slack\n").into_response();
    let (head, body) = request.into_parts();
    let now = chrono::Utc::now();
    // Nothing is read for somebody who does not even claim to be Slack.
    let Some(signed) = Signed::of(&head.headers, now.timestamp()) else { return stranger() };
    let Ok(body) = to_bytes(body, QUESTION).await else {
        return (StatusCode::PAYLOAD_TOO_LARGE, "no question of Slack is that large\n").into_response();
    };
    if !signed.by(secret, &body) {
        return stranger();
    }
    let asked =
        form_urlencoded::parse(&body).find(|(name, _)| name == "text").map_or(Cow::Borrowed(""), |(_, text)| text);
    let text = {
        let view = site.given.view.borrow();
        said(&told(&plan, &view), &view.incidents, asked.trim(), view.at, now)
    };
    Json(serde_json::json!({ "response_type": "ephemeral", "text": escaped_for_slack(&shortened(text)) }))
        .into_response()
}

/// A signature, as Slack describes it under "Verifying requests from Slack".
struct Signed<'a> {
    at: &'a str,
    signature: &'a str,
}

impl<'a> Signed<'a> {
    /// What a request claims; nothing when it is too old, from the future, or no claim at all.
    fn of(headers: &'a HeaderMap, now: i64) -> Option<Self> {
        let header = |name: &str| {
            let mut given = headers.get_all(name).iter();
            let only = given.next()?;
            given.next().is_none().then(|| only.to_str().ok())?
        };
        let (at, signature) = (header("x-slack-request-timestamp")?, header("x-slack-signature")?);
        let age = now.abs_diff(at.parse().ok()?);
        (age <= SIGNED_WITHIN).then_some(Self { at, signature })
    }

    /// Whether it is true.
    fn by(&self, secret: &Secret, body: &[u8]) -> bool {
        let mut signing = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes()));
        for part in [b"v0:", self.at.as_bytes(), b":", body] {
            signing.update(part);
        }
        let mut right = String::from("v0=");
        for byte in signing.sign().as_ref() {
            // Writing to a String cannot fail.
            let _ = write!(right, "{byte:02x}");
        }
        constant_time::verify_slices_are_equal(right.as_bytes(), self.signature.as_bytes()).is_ok()
    }
}

fn told(plan: &Plan, view: &View) -> Vec<Told> {
    let both = view.verdicts.iter().zip(&view.sentences);
    both.map(|(verdict, sentence)| {
        let party = &verdict.subject.party;
        let party_name = plan.parties.get(party).map_or_else(|| party.to_string(), |party| party.name.to_string());
        Told { party_name, sentence: sentence.clone(), began: None, verdict: verdict.clone() }
    })
    .collect()
}

/// The answer to a question, as plain text.
fn said(told: &[Told], incidents: &[Incident], asked: &str, judged_at: Option<Timestamp>, now: Timestamp) -> String {
    let Some(judged_at) = judged_at.filter(|_| !told.is_empty()) else {
        return "Nothing has been judged here yet. Ask again in a minute.".to_owned();
    };
    let mut lines = Vec::new();
    if asked.is_empty() || asked == "help" {
        lines.extend(told.iter().filter(|one| one.verdict.is_bad()).map(|one| one.sentence.clone()));
        if lines.is_empty() {
            lines.push(NOTHING_WRONG.to_owned());
        }
        lines.push(format!("Ask about one of: {}.", known(told)));
    } else {
        match choose(told, asked) {
            Err(unclear) => lines.push(sentence(&unclear)),
            Ok(wanted) => {
                let mut asked: Vec<_> = told.iter().filter(|one| wanted.contains(&one.verdict.subject)).collect();
                // What is wrong is what was asked for.
                asked.sort_by_key(|one| !one.verdict.is_bad());
                for one in asked {
                    let incident = incidents
                        .iter()
                        .find(|incident| incident.subject == one.verdict.subject && lasted(incident, None));
                    lines.push(one.sentence.clone());
                    lines
                        .extend(facts(&one.verdict, incident).iter().map(|(name, value)| format!("• {name}: {value}")));
                }
            }
        }
    }
    if now - judged_at > OLD {
        lines.push(format!("This was judged at {} UTC, and nothing since.", judged_at.format("%Y-%m-%d %H:%M:%S")));
    }
    lines.join("\n")
}

/// A reason, as a sentence of its own.
fn sentence(reason: &str) -> String {
    let mut letters = reason.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}

fn shortened(mut text: String) -> String {
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push_str(" … (cut)");
    }
    text
}

#[cfg(test)]
#[path = "slack_tests.rs"]
mod tests;
