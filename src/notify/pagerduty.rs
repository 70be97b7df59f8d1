//! PagerDuty, by its Events API v2: an incident there for each of ours, known by our id, resolved with it.

use serde_json::{Value, json};

use super::{
    Attempt, Channel, Delivered, Letter, Repeat,
    channel::Delivering,
    line::{Line, must_be_web},
};
use crate::{
    model::{LetterKind, Secret, Severity},
    protocol::Problem,
};

/// Which service to page.
#[derive(Debug, Clone, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Integration key of an `Events API v2` integration: 32 characters.
    pub routing_key: Secret,
    /// Where the Events API is (`https://events.pagerduty.com`; `https://events.eu.pagerduty.com` in Europe).
    #[serde(default)]
    pub api_url: Option<url::Url>,
}

/// What is read of an answer.
const ANSWER: usize = 4096;
/// PagerDuty refuses longer summaries.
const SUMMARY: usize = 1024;

impl File {
    #[expect(clippy::unused_self, reason = "other channels look at what is given")]
    pub(super) const fn edits(&self) -> bool {
        false
    }

    pub(super) fn review(&self) -> Result<Option<String>, Vec<Problem>> {
        let mut wrong = Vec::new();
        if self.routing_key.reveal().is_empty() {
            let problem = Problem::at("routing_key", "there is no integration key");
            wrong.push(problem.help("PagerDuty gives one out under the service's `Integrations`: Events API v2"));
        }
        if let Some(url) = &self.api_url {
            wrong.extend(must_be_web(url, "api_url"));
        }
        let odd = self.routing_key.reveal().len() != 32;
        let doubt = "an integration key has 32 characters: PagerDuty will refuse this one";
        if wrong.is_empty() { Ok(odd.then(|| doubt.to_owned())) } else { Err(wrong) }
    }
}

/// A service of PagerDuty's.
pub(super) struct PagerDuty {
    line: Line,
    url: reqwest::Url,
    routing_key: Secret,
}

impl PagerDuty {
    pub(super) fn build(file: &File, http: &reqwest::Client) -> Result<Self, String> {
        let base = file.api_url.as_ref().map_or("https://events.pagerduty.com", |url| url.as_str());
        let url = reqwest::Url::parse(&format!("{}/v2/enqueue", base.trim_end_matches('/')));
        let url = url.map_err(|_| "its address is not one of a web server")?;
        Ok(Self { line: Line::new(http, [file.routing_key.clone()]), url, routing_key: file.routing_key.clone() })
    }

    async fn send(&self, letter: &Letter, attempt: &mut Attempt) -> Delivered {
        let body = self.event(letter).to_string();
        let answer = match self.line.send(self.line.post(self.url.clone()), body, ANSWER, attempt).await {
            Ok(answer) => answer,
            Err(failed) => return failed,
        };
        match answer.status {
            202 if !answer.is_page() => Delivered::Taken,
            // What has not said 202 has not taken it: something else stands in between.
            200..=299 => answer.later(),
            _ => answer.plain(),
        }
    }

    fn event(&self, letter: &Letter) -> Value {
        let about = letter.about.first();
        let action = match letter.kind {
            LetterKind::Closed => "resolve",
            LetterKind::Note => "trigger",
            _ if letter.says_all_is_over() => "resolve",
            _ => "trigger",
        };
        let mut event = json!({
            "routing_key": self.routing_key.reveal(), "event_action": action, "dedup_key": letter.incident,
            "client": "usoryou",
        });
        if action == "resolve" {
            return event;
        }
        let severity = letter.about.iter().map(|about| about.severity).max();
        let severity = match severity.filter(|_| letter.kind != LetterKind::Note) {
            Some(Severity::Critical) => "critical",
            Some(Severity::Warning) => "error",
            Some(Severity::Degraded) => "warning",
            None => "info",
        };
        event["payload"] = json!({
            "summary": letter.headline.chars().take(SUMMARY).collect::<String>(),
            "source": about.map_or("usoryou", |about| &about.subject.party),
            "component": about.and_then(|about| about.subject.product.clone()),
            "class": about.map(|about| about.cause.word()),
            "severity": severity,
            "timestamp": about.map_or(letter.at, |about| about.onset),
            "custom_details": {
                "incident": letter.incident, "evidence": letter.lines,
                "incidents": letter.about.iter().map(|about| json!({
                    "incident": about.id, "party": about.subject.party, "product": about.subject.product,
                    "cause": about.cause, "severity": about.severity, "regions": about.verdict.regions,
                    "onset": about.onset, "ended": about.ended(),
                })).collect::<Vec<_>>(),
            },
        });
        event
    }
}

impl Channel for PagerDuty {
    fn called(&self) -> &'static str {
        "PagerDuty"
    }

    /// It knows an incident by its id.
    fn repeat(&self) -> Repeat {
        Repeat::Harmless
    }

    fn keeps_open(&self) -> bool {
        true
    }

    fn deliver<'a>(&'a self, letter: &'a Letter, attempt: &'a mut Attempt) -> Delivering<'a> {
        Box::pin(self.send(letter, attempt))
    }
}

#[cfg(test)]
#[path = "pagerduty_tests.rs"]
mod tests;
