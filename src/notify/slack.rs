//! Slack by incoming webhook.

use std::{future::Future, pin::Pin};

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
pub struct Slack {}

impl Slack {
    pub(super) fn build(_file: &File, _http: &reqwest::Client) -> Result<Self, String> {
        Ok(Self {})
    }
}

impl Channel for Slack {
    fn deliver<'a>(
        &'a self,
        _letter: &'a Letter,
        _handing_over: HandingOver,
    ) -> Pin<Box<dyn Future<Output = Delivered> + Send + 'a>> {
        Box::pin(async { Delivered::Taken })
    }
}
