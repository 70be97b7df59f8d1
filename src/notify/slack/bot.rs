//! Slack by a bot: one message for each incident, edited in place, and everything else in its thread. Every message
//! carries the key of its letter, so that Slack can be asked for a letter that may have arrived.

use serde_json::{Value, json};

use super::{
    super::{Attempt, Delivered, Doubt, Letter, line::Line},
    blocks::message,
    said::{FOR_GOOD, Failed, NO_THREAD, NOT_EDITABLE, in_words, judged},
    webhook::mark,
};
use crate::model::{LetterKind, Secret};

/// Slack repeats whole messages, and histories are made of many.
pub(super) const ANSWER: usize = 4 << 20;
/// Lines of the message itself; the rest goes into its thread.
const LINES: usize = 6;
/// What our messages are called in their metadata.
pub(super) const EVENT: &str = "usoryou_letter";

pub(in crate::notify) struct Bot {
    pub(super) line: Line,
    api: reqwest::Url,
    pub(super) authorization: http::HeaderValue,
    pub(super) channel: String,
}

/// Where a message is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Place {
    pub(super) channel: String,
    pub(super) ts: String,
}

/// Which of a letter's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The one that is edited.
    Message,
    /// The one in its thread.
    Reply,
}

impl Bot {
    pub(super) fn new(
        token: Secret,
        channel: &str,
        api: Option<&url::Url>,
        http: &reqwest::Client,
    ) -> Result<Self, String> {
        let mut api =
            api.cloned().map_or_else(|| url::Url::parse("https://slack.com/api"), Ok).map_err(|_| "no API")?;
        // So that methods are joined below the path and not in place of its last part.
        if !api.path().ends_with('/') {
            api.set_path(&format!("{}/", api.path()));
        }
        let mut authorization = http::HeaderValue::from_str(&format!("Bearer {}", token.reveal()))
            .map_err(|_| "the bot's token holds characters that no token has")?;
        authorization.set_sensitive(true);
        Ok(Self { line: Line::new(http, [token]), api, authorization, channel: channel.to_owned() })
    }

    pub(super) async fn send(&self, letter: &Letter, attempt: &mut Attempt) -> Delivered {
        match self.tell(letter, attempt).await {
            Ok(()) => Delivered::Taken,
            Err(failed) => failed.into(),
        }
    }

    async fn tell(&self, letter: &Letter, attempt: &mut Attempt) -> Result<(), Failed> {
        let mark = attempt.standing.mark.clone();
        let mut known = mark.as_ref().and_then(|mark| serde_json::from_str::<Place>(&mark.place).ok());
        let shows_it = known.is_some() && mark.is_some_and(|mark| mark.by == letter.key);
        if let Some(place) = &known
            && !shows_it
            && letter.kind != LetterKind::Note
        {
            match self.update(letter, place, attempt).await {
                Err(Failed::Refused { word, .. }) if NOT_EDITABLE.contains(&&*word) => known = None,
                updated => updated?,
            }
        }
        let is_new = known.is_none();
        if is_new && letter.edits {
            // There is nothing to edit, and nothing new to say.
            return Ok(());
        }
        let place = match known {
            Some(place) => place,
            None => match self.post_once(letter, Part::Message, None, attempt).await? {
                Some(place) => place,
                // It has arrived for all that can be known, and nobody can say where.
                None => return Ok(()),
            },
        };
        if !shows_it {
            let spot = serde_json::to_string(&place).unwrap_or_default();
            let unmarked = |why| Failed::Otherwise(Delivered::Later { why, wait: None });
            attempt.mark(letter, &spot).await.map_err(unmarked)?;
        }
        // What was posted by this letter alone, now or by an attempt before.
        let is_first = is_new || (shows_it && letter.kind == LetterKind::Opened);
        if letter.edits || (is_first && letter.lines.len() <= LINES) {
            return Ok(());
        }
        match self.post_once(letter, Part::Reply, Some((&place, is_first)), attempt).await {
            // The answer is told; only its thread is gone.
            Err(Failed::Refused { word, .. }) if NO_THREAD.contains(&&*word) => Ok(()),
            replied => replied.map(|_| ()),
        }
    }

    /// Posts a part of a letter, unless Slack has it already; says where it is, if that is known.
    async fn post_once(
        &self,
        letter: &Letter,
        part: Part,
        below: Option<(&Place, bool)>,
        attempt: &mut Attempt,
    ) -> Result<Option<Place>, Failed> {
        if let Some(doubt) = attempt.doubt {
            match self.find(letter, part, below.map(|(place, _)| place), attempt).await {
                Ok(Some(place)) => return Ok(Some(place)),
                Ok(None) => {}
                Err(Failed::Refused { word, .. }) if FOR_GOOD.contains(&&*word) => {
                    tracing::warn!(
                        channel = &*letter.channel,
                        "cannot ask Slack whether a message has arrived: {}",
                        in_words(&word)
                    );
                    // The same as for a channel that cannot be asked.
                    if doubt == Doubt::Likely {
                        return Ok(None);
                    }
                }
                Err(failed) => return Err(failed),
            }
        }
        let sent = match below {
            None => self.post(letter, part, &self.channel, body(letter), attempt).await?,
            Some((place, is_first)) => {
                let mut body = if is_first { details(letter) } else { reply(letter) };
                body["thread_ts"] = json!(place.ts);
                if letter.kind == LetterKind::Reminder {
                    // Whoever does not follow the thread is reminded too.
                    body["reply_broadcast"] = json!(true);
                }
                self.post(letter, part, &place.channel, body, attempt).await?
            }
        };
        Ok(Some(sent))
    }

    async fn post(
        &self,
        letter: &Letter,
        part: Part,
        channel: &str,
        mut body: Value,
        attempt: &mut Attempt,
    ) -> Result<Place, Failed> {
        body["channel"] = json!(channel);
        body["metadata"] = json!({"event_type": EVENT, "event_payload": {"key": letter.key, "incident": letter.incident, "part": part.word()}});
        body["unfurl_links"] = json!(false);
        let sent = self.line.send(self.call("chat.postMessage"), body.to_string(), ANSWER, attempt).await;
        serde_json::from_value(judged(sent.map_err(Failed::Otherwise)?)?).map_err(|_| Failed::senseless())
    }

    /// Changes the message in place. Doing it twice changes nothing, so it is not recorded before.
    async fn update(&self, letter: &Letter, place: &Place, attempt: &mut Attempt) -> Result<(), Failed> {
        let mut body = body(letter);
        body["channel"] = json!(place.channel);
        body["ts"] = json!(place.ts);
        let request = self.call("chat.update").body(body.to_string());
        let answer = self.line.ask(request, ANSWER, attempt).await.map_err(Failed::Otherwise)?;
        judged(answer).map(|_| ())
    }

    pub(super) fn method(&self, name: &str) -> reqwest::Url {
        let mut url = self.api.clone();
        url.set_path(&format!("{}{name}", self.api.path()));
        url
    }

    fn call(&self, method: &str) -> reqwest::RequestBuilder {
        self.line.post(self.method(method)).header(http::header::AUTHORIZATION, self.authorization.clone())
    }
}

impl Part {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Reply => "reply",
        }
    }
}

/// The message: the answer as it is now, and what matters most.
fn body(letter: &Letter) -> Value {
    let mut lines = letter.lines.iter().take(LINES).cloned().collect::<Vec<_>>();
    if letter.lines.len() > LINES && !letter.edits {
        lines.push("More in the thread.".to_owned());
    }
    message(mark(letter), &letter.headline, &lines)
}

/// In the thread, when the message is new: what it had no room for.
fn details(letter: &Letter) -> Value {
    message("", "Details", letter.lines.get(LINES..).unwrap_or_default())
}

/// In the thread, when the message was edited: what it says now, so that the thread tells the whole story.
fn reply(letter: &Letter) -> Value {
    message("", &letter.headline, &letter.lines)
}
