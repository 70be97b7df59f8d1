//! Alertmanager: an incident is an alert that is said again and again until it is over, because an alert of which nothing
//! is heard resolves by itself. Grouping, silences and further routes are Alertmanager's.

use std::{collections::BTreeMap, time::Duration};

use chrono::TimeDelta;
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{
    Attempt, Channel, Delivered, Letter, Repeat,
    channel::Delivering,
    line::{Line, must_be_web, secrets_of},
};
use crate::{
    model::{Cause, Incident, LetterKind, Secret, Timestamp},
    protocol::Problem,
};

/// Where the Alertmanagers are.
#[derive(Debug, Clone, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Base address of an Alertmanager: `http://alertmanager:9093`.
    #[serde(default)]
    pub url: Option<url::Url>,
    /// Base addresses of all members of a cluster: each gets every alert.
    #[serde(default)]
    pub urls: Vec<url::Url>,
    /// `Authorization: Bearer …`
    #[serde(default)]
    pub bearer_token: Option<Secret>,
    /// `Authorization: Basic …`, together with `password`.
    #[serde(default)]
    pub username: Option<String>,
    /// The user's password.
    #[serde(default)]
    pub password: Option<Secret>,
    /// Labels to add to every alert.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// What every alert is called.
const ALERT: &str = "UsoryouIncident";
/// What is read of an answer.
const ANSWER: usize = 4096;
/// How often an open incident is said again …
const AGAIN: Duration = Duration::from_mins(1);
/// … and for how long that holds. Alertmanager's own `resolve_timeout` counts only where no end is given.
const HOLDS: TimeDelta = TimeDelta::minutes(5);
/// Labels that are ours to set.
const OURS: [&str; 7] = ["alertname", "cause", "incident", "party", "product", "region", "severity"];

impl File {
    fn addresses(&self) -> impl Iterator<Item = (String, &url::Url)> {
        let one = self.url.iter().map(|url| ("url".to_owned(), url));
        one.chain(self.urls.iter().enumerate().map(|(index, url)| (format!("urls.{index}"), url)))
    }

    #[expect(clippy::unused_self, reason = "other channels look at what is given")]
    pub(super) const fn edits(&self) -> bool {
        true
    }

    pub(super) fn review(&self) -> Result<Option<String>, Vec<Problem>> {
        let mut wrong: Vec<Problem> =
            self.addresses().filter_map(|(path, written)| must_be_web(written, &path)).collect();
        if self.addresses().next().is_none() {
            let message = "no Alertmanager is given".to_owned();
            let help = Some("add `url: http://alertmanager:9093`, or `urls` for all of a cluster".to_owned());
            wrong.push(Problem { path: Vec::new(), message, help });
        }
        match (&self.username, &self.password, &self.bearer_token) {
            (Some(_), None, _) => {
                wrong.push(Problem::at("username", "a user without a password").help("add `password`"));
            }
            (None, Some(_), _) => {
                wrong.push(Problem::at("password", "a password without a user").help("add `username`"));
            }
            (Some(_), Some(_), Some(_)) => {
                let problem = Problem::at("bearer_token", "there is a user with a password already");
                wrong.push(problem.help("remove one of the two"));
            }
            _ => {}
        }
        if self.bearer_token.as_ref().is_some_and(|token| http::HeaderValue::from_str(token.reveal()).is_err()) {
            wrong.push(Problem::at("bearer_token", "the token holds characters that no header has"));
        }
        for name in self.labels.keys() {
            let path = vec!["labels".to_owned(), name.clone()];
            if OURS.contains(&&**name) {
                wrong.push(Problem { path, message: "this label is set for every alert".to_owned(), help: None });
            } else if !is_label(name) {
                let message = "a label has letters, digits and `_`, and begins with no digit".to_owned();
                wrong.push(Problem { path, message, help: None });
            }
        }
        if wrong.is_empty() { Ok(None) } else { Err(wrong) }
    }
}

fn is_label(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit())
}

/// A cluster of Alertmanagers, or a single one.
pub(super) struct Alertmanager {
    line: Line,
    urls: Vec<reqwest::Url>,
    file: File,
}

impl Alertmanager {
    pub(super) fn build(file: &File, http: &reqwest::Client) -> Result<Self, String> {
        let mut urls = Vec::new();
        for (_, written) in file.addresses() {
            let mut url = written.clone();
            url.set_path(&format!("{}/api/v2/alerts", url.path().trim_end_matches('/')));
            urls.push(url);
        }
        // A path may lead through a gateway that takes it for a key.
        let mut secrets: Vec<Secret> = urls.iter().flat_map(secrets_of).collect();
        secrets.extend([&file.bearer_token, &file.password].into_iter().flatten().cloned());
        Ok(Self { line: Line::new(http, secrets), urls, file: file.clone() })
    }

    async fn send(&self, letter: &Letter, attempt: &mut Attempt) -> Delivered {
        let now = chrono::Utc::now();
        let mut alerts: Vec<Value> = Vec::new();
        for about in &letter.about {
            let alert = self.alert(about, letter, now);
            let known = attempt.standing.letter.iter().flat_map(|known| &known.about);
            if let Some(before) = known.into_iter().find(|known| known.id == about.id)
                && let Some(before) = Some(self.labels(before)).filter(|labels| *labels != alert["labels"])
            {
                // Other labels are another alert: the one that was told ends here.
                alerts.push(json!({"labels": before, "endsAt": now}));
            }
            alerts.push(alert);
        }
        self.push(alerts, attempt).await
    }

    async fn again(&self, letters: &[Letter]) -> Delivered {
        let now = chrono::Utc::now();
        let alerts: Vec<Value> =
            letters.iter().flat_map(|letter| letter.about.iter().map(|about| self.alert(about, letter, now))).collect();
        self.push(alerts, &mut Attempt::alone()).await
    }

    /// To all of them at once: they tell each other what was notified, but not what is alerting. One that takes it is
    /// enough; the others hear of it again within a minute.
    async fn push(&self, alerts: Vec<Value>, attempt: &mut Attempt) -> Delivered {
        if alerts.is_empty() {
            return Delivered::Taken;
        }
        if let Some(handing_over) = attempt.handing_over()
            && let Err(why) = handing_over.await
        {
            return Delivered::Later { why, wait: None };
        }
        let body = Value::Array(alerts).to_string();
        let asked = self.urls.iter().map(|url| async {
            let mut attempt = Attempt::alone();
            let request = self.line.post(url.clone());
            let request = match (&self.file.bearer_token, &self.file.username, &self.file.password) {
                (Some(token), _, _) => request.bearer_auth(token.reveal()),
                (None, Some(user), Some(password)) => request.basic_auth(user, Some(password.reveal())),
                _ => request,
            };
            let said = match self.line.send(request, body.clone(), ANSWER, &mut attempt).await {
                Ok(answer) => answer.plain(),
                Err(failed) => failed,
            };
            (said, attempt.answers)
        });
        let mut best = None;
        for (said, answers) in join_all(asked).await {
            attempt.answers.extend(answers);
            let rank = |said: &Delivered| match said {
                Delivered::Taken => 2,
                Delivered::Later { .. } => 1,
                Delivered::Never { .. } => 0,
            };
            if best.as_ref().is_none_or(|best| rank(best) < rank(&said)) {
                best = Some(said);
            }
        }
        best.unwrap_or(Delivered::Taken)
    }

    fn alert(&self, about: &Incident, letter: &Letter, now: Timestamp) -> Value {
        let ended = about.ended().is_some() || (letter.kind == LetterKind::Closed && letter.about.len() == 1);
        json!({
            "labels": self.labels(about),
            "annotations": {
                "summary": letter.headline_of(about), "description": letter.lines.join("\n"),
                "regions": about.verdict.regions.join(", "),
            },
            "startsAt": about.onset,
            // Not when it ended but when it is said: what ended before it began to be heard of would never be told.
            "endsAt": if ended { now } else { now + HOLDS },
        })
    }

    /// What makes the alert what it is. The region only where the verdict is about one: a failure that spreads stays the
    /// same alert.
    fn labels(&self, about: &Incident) -> Value {
        let mut labels = self.file.labels.clone();
        let mut set = |name: &str, value: &str| labels.insert(name.to_owned(), value.to_owned());
        set("alertname", ALERT);
        set("incident", &about.id);
        set("party", &about.subject.party);
        set("product", about.subject.product.as_deref().unwrap_or_default());
        set("cause", about.cause.word());
        set("severity", about.severity.word());
        if matches!(about.cause, Cause::Path | Cause::Probe) {
            set("region", &about.verdict.regions.join(","));
        }
        // An empty label is none, and Alertmanager would say so by leaving it out.
        labels.retain(|_, value| !value.is_empty());
        json!(labels)
    }
}

impl Channel for Alertmanager {
    fn called(&self) -> &'static str {
        "Alertmanager"
    }

    fn repeat(&self) -> Repeat {
        Repeat::Harmless
    }

    fn edits(&self) -> bool {
        true
    }

    fn refresh_every(&self) -> Option<Duration> {
        Some(AGAIN)
    }

    fn deliver<'a>(&'a self, letter: &'a Letter, attempt: &'a mut Attempt) -> Delivering<'a> {
        Box::pin(self.send(letter, attempt))
    }

    fn refresh<'a>(&'a self, standing: &'a [Letter]) -> Delivering<'a> {
        Box::pin(self.again(standing))
    }
}

#[cfg(test)]
#[path = "alertmanager_tests.rs"]
mod tests;
