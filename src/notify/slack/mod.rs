//! Slack, by incoming webhook or by a bot: the shape of both in the configuration, and which of them it is.

mod blocks;
mod bot;
mod said;
mod seek;
mod webhook;

pub(crate) use blocks::escaped;

use serde::Deserialize as _;

use super::{
    Attempt, Channel, Letter, Repeat,
    channel::Delivering,
    line::{address, must_be_web},
};
use crate::{model::Secret, protocol::Problem};

/// How to reach Slack: an incoming webhook, or a bot with its channel.
#[derive(Debug, Clone, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    /// Incoming webhook; the whole URL is a secret. One message for each change. Empty: messages go to the log alone.
    #[serde(deserialize_with = "written")]
    pub webhook_url: Option<Secret>,
    /// Token of a bot (`xoxb-…`) with the scopes `chat:write` and, so that nothing is told twice, `channels:history`. One
    /// message for each incident, edited in place, with everything else in its thread. Empty: messages go to the log alone.
    #[serde(deserialize_with = "written")]
    pub bot_token: Option<Secret>,
    /// The bot's channel: its ID (`C0123456789`) or its name.
    pub channel: Option<String>,
    /// Where the Web API is (`https://slack.com/api`).
    pub api_url: Option<url::Url>,
}

/// What is written, also when a variable has left it empty.
fn written<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    Secret::deserialize(deserializer).map(Some)
}

impl File {
    /// A bot edits its messages; a webhook cannot.
    pub(super) fn edits(&self) -> bool {
        self.bot_token.as_ref().is_some_and(|token| !token.reveal().is_empty())
    }

    pub(super) fn review(&self) -> Result<Option<String>, Vec<Problem>> {
        let mut wrong = Vec::new();
        let problem = |path: &str, message: &str, help: &str| Problem::at(path, message).help(help);
        match (&self.webhook_url, &self.bot_token) {
            (Some(_), Some(_)) => wrong.push(problem(
                "bot_token",
                "there is a webhook already: this channel is either a webhook or a bot",
                "make two channels of it, or remove `webhook_url` or `bot_token`",
            )),
            (None, None) => wrong.push(
                Problem { path: Vec::new(), message: "neither a webhook nor a bot is given".to_owned(), help: None }
                    .help("add `webhook_url`, or `bot_token` and `channel`"),
            ),
            (Some(webhook), None) => {
                if !webhook.reveal().is_empty() && address(webhook).is_none() {
                    let help = "Slack gives one out under `Incoming Webhooks`; it begins with https://hooks.slack.com/";
                    wrong.push(problem("webhook_url", "the webhook is not a URL", help));
                }
                let of_bots = [("channel", self.channel.is_some()), ("api_url", self.api_url.is_some())];
                wrong.extend(of_bots.iter().filter(|(_, given)| *given).map(|(key, _)| {
                    let message = format!("`{key}` belongs to `bot_token`: a webhook leads where it was made for");
                    Problem::at(key, message).help(format!("remove `{key}`, or give a `bot_token`"))
                }));
            }
            (None, Some(token)) => wrong.extend(self.wrong_with_bot(token)),
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let given = self.webhook_url.as_ref().or(self.bot_token.as_ref()).is_some_and(|one| !one.reveal().is_empty());
        let missing = if self.bot_token.is_some() { "bot token" } else { "webhook" };
        Ok((!given)
            .then(|| format!("no {missing} is given: messages for Slack go to the log alone until there is one")))
    }

    fn wrong_with_bot(&self, token: &Secret) -> Vec<Problem> {
        let mut wrong = Vec::new();
        if self.channel.as_deref().is_none_or(|channel| channel.trim().is_empty()) {
            let path = self.channel.iter().map(|_| "channel".to_owned()).collect();
            let message = "a bot needs to know the channel that it writes to".to_owned();
            wrong.push(
                Problem { path, message, help: None }
                    .help("add `channel: C0123456789`; Slack shows the ID under the channel's details"),
            );
        }
        if http::HeaderValue::from_str(token.reveal()).is_err() {
            wrong.push(Problem::at("bot_token", "the bot's token holds characters that no token has"));
        }
        if let Some(url) = &self.api_url {
            wrong.extend(must_be_web(url, "api_url"));
        }
        wrong
    }
}

/// Slack.
pub(super) enum Slack {
    /// Nothing is given to reach it: messages go to the log alone.
    Log,
    Webhook(webhook::Webhook),
    Bot(bot::Bot),
}

impl Slack {
    pub(super) fn build(file: &File, http: &reqwest::Client) -> Result<Self, String> {
        let given = |secret: &Option<Secret>| secret.clone().filter(|secret| !secret.reveal().is_empty());
        if let Some(webhook) = given(&file.webhook_url) {
            // The reason could repeat a part of the secret.
            let url = address(&webhook).ok_or("the webhook is not a URL")?;
            return Ok(Self::Webhook(webhook::Webhook::new(url, http)));
        }
        match given(&file.bot_token) {
            Some(token) => {
                let channel = file.channel.as_deref().ok_or("the bot has no channel")?;
                Ok(Self::Bot(bot::Bot::new(token, channel.trim(), file.api_url.as_ref(), http)?))
            }
            None => Ok(Self::Log),
        }
    }
}

impl Channel for Slack {
    fn called(&self) -> &'static str {
        match self {
            Self::Log => "the log",
            Self::Webhook(_) | Self::Bot(_) => "Slack",
        }
    }

    fn repeat(&self) -> Repeat {
        match self {
            Self::Log | Self::Webhook(_) => Repeat::Shown,
            Self::Bot(_) => Repeat::Sought,
        }
    }

    fn edits(&self) -> bool {
        matches!(self, Self::Bot(_))
    }

    fn deliver<'a>(&'a self, letter: &'a Letter, attempt: &'a mut Attempt) -> Delivering<'a> {
        match self {
            Self::Log => Box::pin(to_log(letter, attempt)),
            Self::Webhook(webhook) => Box::pin(webhook.send(letter, attempt)),
            Self::Bot(bot) => Box::pin(bot.send(letter, attempt)),
        }
    }
}

/// The log has said everything by itself; what remains is to record that the letter is done.
async fn to_log(_: &Letter, attempt: &mut Attempt) -> super::Delivered {
    let recorded = match attempt.handing_over() {
        Some(handing_over) => handing_over.await,
        None => Ok(()),
    };
    match recorded {
        Ok(()) => super::Delivered::Taken,
        Err(why) => super::Delivered::Later { why, wait: None },
    }
}

#[cfg(test)]
mod tests;
