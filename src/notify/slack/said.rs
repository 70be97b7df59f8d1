//! What Slack's Web API answers, and what its words mean.

use serde_json::Value;

use super::super::{Delivered, line::Answer};

/// Why a call did not do what it should.
pub(super) enum Failed {
    /// Slack says no, in this word.
    Refused { word: String, answer: Answer },
    /// Anything else; it is decided already.
    Otherwise(Delivered),
}

impl From<Failed> for Delivered {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Refused { word, .. } if FOR_GOOD.contains(&&*word) => Self::Never { why: in_words(&word) },
            Failed::Refused { word, answer } => Self::Later { why: in_words(&word), wait: answer.wait },
            Failed::Otherwise(delivered) => delivered,
        }
    }
}

impl Failed {
    /// We do not know enough to ask: as good as being refused.
    pub(super) fn unknown(word: &str) -> Self {
        let answer = Answer::new(200, None, String::new(), "");
        Self::Refused { word: word.to_owned(), answer }
    }

    pub(super) fn senseless() -> Self {
        Self::Otherwise(Delivered::Later { why: "Slack's answer makes no sense".to_owned(), wait: None })
    }
}

/// What an answer of the Web API says.
pub(super) fn judged(answer: Answer) -> Result<Value, Failed> {
    let said: Option<Value> = serde_json::from_str(&answer.body).ok();
    match said {
        Some(said) if said["ok"] == true && (200..=299).contains(&answer.status) => Ok(said),
        Some(said) if said["ok"] == false => {
            let word = said["error"].as_str().unwrap_or("no reason").chars().take(80).collect();
            Err(Failed::Refused { word, answer })
        }
        _ => Err(Failed::Otherwise(answer.later())),
    }
}

/// The words for what no repetition changes (<https://docs.slack.dev/reference/methods/chat.postMessage>, "Errors").
pub(super) const FOR_GOOD: [&str; 29] = [
    "access_denied",
    "account_inactive",
    "as_user_not_supported",
    "channel_id_unknown",
    "channel_not_found",
    "ekm_access_denied",
    "enterprise_is_restricted",
    "history_too_long",
    "invalid_arguments",
    "invalid_auth",
    "invalid_blocks",
    "invalid_blocks_format",
    "invalid_metadata_format",
    "invalid_metadata_schema",
    "is_archived",
    "messages_tab_disabled",
    "metadata_too_large",
    "missing_scope",
    "msg_blocks_too_long",
    "msg_too_long",
    "no_permission",
    "no_text",
    "not_allowed_token_type",
    "not_authed",
    "not_in_channel",
    "restricted_action",
    "team_access_not_granted",
    "token_expired",
    "token_revoked",
];

/// The words for a message that is gone or no longer ours to edit: another takes its place.
pub(super) const NOT_EDITABLE: [&str; 8] = [
    "cant_update_message",
    "channel_not_found",
    "edit_window_closed",
    "is_archived",
    "is_inactive",
    "message_not_found",
    "not_in_channel",
    "update_failed",
];

/// The words for a thread that nobody can write to.
pub(super) const NO_THREAD: [&str; 2] = ["cannot_reply_to_message", "thread_not_found"];

/// What a word of Slack's means for whoever has to put it right.
pub(super) fn in_words(word: &str) -> String {
    let meaning = match word {
        "channel_not_found" => {
            "there is no such channel, or the bot may not see it: invite the bot, or correct `channel`"
        }
        "not_in_channel" => "the bot is not in the channel: invite it, or give it the scope chat:write.public",
        "is_archived" => "the channel is archived",
        "invalid_auth" | "not_authed" | "not_allowed_token_type" => "the bot token is not valid",
        "account_inactive" => "the bot or its workspace was removed",
        "token_revoked" | "token_expired" => "the bot token was revoked or has expired: make a new one",
        "missing_scope" => "the bot lacks a scope: chat:write to write, channels:history (groups:history) to look",
        "channel_id_unknown" => "the channel is configured by its name: give its ID",
        "history_too_long" => "too much has been written since",
        "ratelimited" | "rate_limited" => "too many messages",
        _ => return word.to_owned(),
    };
    format!("{word}, {meaning}")
}
