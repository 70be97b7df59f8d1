//! Asking Slack for a letter that may have arrived: every message carries the key of its letter.

use serde_json::Value;

use super::{
    super::{Attempt, Letter},
    bot::{ANSWER, Bot, EVENT, Part, Place},
    said::{Failed, judged},
};
use crate::model::Timestamp;

/// Clocks of Slack and of this machine differ, and a letter may be a little older than its first attempt.
const SLACK_IN_TIME: chrono::Duration = chrono::Duration::minutes(10);
/// Pages of a history that are looked through, of so many messages each.
const PAGES: usize = 10;
const PAGE: &str = "100";

impl Bot {
    /// Where Slack has a part of a letter; looks a second time after what may be under way had time to get there.
    pub(super) async fn find(
        &self,
        letter: &Letter,
        part: Part,
        below: Option<&Place>,
        attempt: &mut Attempt,
    ) -> Result<Option<Place>, Failed> {
        let channel = match below {
            Some(place) => place.channel.clone(),
            None => match self.channel_id(letter, attempt).await {
                Some(channel) => channel,
                None => return Err(Failed::unknown("channel_id_unknown")),
            },
        };
        let found = self.look(letter, part, &channel, below, attempt).await?;
        if found.is_some() {
            return Ok(found);
        }
        tokio::time::sleep(attempt.look_again_after).await;
        self.look(letter, part, &channel, below, attempt).await
    }

    /// Histories are asked for by ID; where a name is configured, an earlier message knows it.
    async fn channel_id(&self, letter: &Letter, attempt: &Attempt) -> Option<String> {
        let is_id = self.channel.len() >= 9
            && self.channel.starts_with(['C', 'D', 'G'])
            && self.channel.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        if is_id {
            return Some(self.channel.clone());
        }
        let place: Place = serde_json::from_str(&attempt.newest_place(letter).await?).ok()?;
        Some(place.channel)
    }

    async fn look(
        &self,
        letter: &Letter,
        part: Part,
        channel: &str,
        below: Option<&Place>,
        attempt: &mut Attempt,
    ) -> Result<Option<Place>, Failed> {
        let oldest = seconds(letter.at - SLACK_IN_TIME);
        let mut cursor = String::new();
        for _ in 0..PAGES {
            let mut url = self.method(if below.is_some() { "conversations.replies" } else { "conversations.history" });
            url.query_pairs_mut()
                .append_pair("channel", channel)
                .append_pair("limit", PAGE)
                .append_pair("include_all_metadata", "true");
            if let Some(place) = below {
                // A thread begins with its oldest message, a history with its newest.
                url.query_pairs_mut().append_pair("ts", &place.ts).append_pair("oldest", &format!("{oldest:.6}"));
            }
            if !cursor.is_empty() {
                url.query_pairs_mut().append_pair("cursor", &cursor);
            }
            let request = self.line.get(url).header(http::header::AUTHORIZATION, self.authorization.clone());
            let answer = self.line.ask(request, ANSWER, attempt).await.map_err(Failed::Otherwise)?;
            let page: Page = serde_json::from_value(judged(answer)?).map_err(|_| Failed::senseless())?;
            if let Some(found) = page.messages.iter().find(|message| message.is(&letter.key, part)) {
                return Ok(Some(Place { channel: channel.to_owned(), ts: found.ts.clone() }));
            }
            let reached = page.messages.last().and_then(|message| message.ts.parse::<f64>().ok());
            let is_past = below.is_none() && reached.is_some_and(|reached| reached < oldest);
            cursor = page.response_metadata.map(|more| more.next_cursor).unwrap_or_default();
            if cursor.is_empty() || is_past {
                return Ok(None);
            }
        }
        Err(Failed::unknown("history_too_long"))
    }
}

/// One page of a history or a thread.
#[derive(serde::Deserialize)]
struct Page {
    messages: Vec<Found>,
    #[serde(default)]
    response_metadata: Option<More>,
}

#[derive(serde::Deserialize)]
struct More {
    #[serde(default)]
    next_cursor: String,
}

/// A message in a history.
#[derive(serde::Deserialize)]
struct Found {
    ts: String,
    #[serde(default)]
    metadata: Value,
}

impl Found {
    fn is(&self, key: &str, part: Part) -> bool {
        let payload = &self.metadata["event_payload"];
        self.metadata["event_type"] == EVENT && payload["key"] == key && payload["part"] == part.word()
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds of this century")]
fn seconds(at: Timestamp) -> f64 {
    at.timestamp_millis() as f64 / 1_000.0
}
