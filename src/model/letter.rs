//! A letter to one channel about one change of an incident, and what became of an attempt to deliver it.

use std::{sync::Arc, time::Duration};

use super::{Cause, Incident, Timestamp};

/// What a letter says of its incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LetterKind {
    /// It has opened.
    #[default]
    Opened,
    /// It is another now than was told: another cause, more severe, open again, flapping.
    Updated,
    /// It is still open.
    Reminder,
    /// It is over.
    Closed,
    /// A sample, or something else that is about no incident's state.
    Note,
}

impl LetterKind {
    /// The word in JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Updated => "updated",
            Self::Reminder => "reminder",
            Self::Closed => "closed",
            Self::Note => "note",
        }
    }
}

/// A notification on its way to one channel.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Letter {
    /// Unique for (channel, incident, change): what makes saying it twice impossible.
    pub key: String,
    /// Channel's name.
    pub channel: Arc<str>,
    /// Channels that get it, in this order, when the one before has been out of reach for a while.
    #[serde(default)]
    pub fallbacks: Vec<Arc<str>>,
    /// Incident that it is about; of a digest the one that names it: all letters with the same incident are one thread.
    pub incident: Arc<str>,
    /// What it says of the incident.
    #[serde(default)]
    pub kind: LetterKind,
    /// It only changes the look of what was said before. A channel that can edit its message does so and says nothing
    /// new; any other channel takes it without a word.
    #[serde(default)]
    pub edits: bool,
    /// The answer, one sentence.
    pub headline: String,
    /// What follows it: lines of evidence and consequence.
    pub lines: Vec<String>,
    /// Whether it says that something is over.
    pub good_news: bool,
    /// When what it says happened.
    pub at: Timestamp,
    /// The incidents that it is about, as they were then: facts for channels that machines read. Empty in letters of an
    /// earlier version.
    #[serde(default)]
    pub about: Vec<Incident>,
    /// The answer about each of them, where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub each: Vec<String>,
    /// Whose fault was told before, when that has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<Cause>,
}

impl Letter {
    /// Whether all that it is about is over: what several were told of ends one by one.
    #[must_use]
    pub fn says_all_is_over(&self) -> bool {
        // A letter of an earlier version says no more than that something is.
        self.good_news && self.about.iter().all(|incident| incident.ended().is_some())
    }

    /// The answer about one of the incidents: all of it when there is but one.
    #[must_use]
    pub fn headline_of(&self, incident: &Incident) -> String {
        if self.about.len() <= 1 {
            return self.headline.clone();
        }
        let place = self.about.iter().position(|one| one.id == incident.id);
        if let Some(answer) = place.and_then(|place| self.each.get(place)) {
            return answer.clone();
        }
        // A letter of an earlier version: whom it is about and whose fault.
        let product = incident.subject.product.as_ref().map(|product| format!(" {product}")).unwrap_or_default();
        let over = if incident.ended().is_some() { ", over" } else { "" };
        format!("{}{product}: {}{over}", incident.subject.party, incident.cause)
    }

    /// The same letter to another channel; when that is one of the fallbacks, only those after it remain.
    #[must_use]
    pub fn to(&self, channel: &Arc<str>) -> Self {
        let change = self.key.strip_prefix(&*self.channel).unwrap_or(&self.key);
        let fallbacks = self.fallbacks.iter().skip_while(|next| *next != channel).skip(1).cloned().collect();
        Self { key: format!("{channel}{change}"), channel: channel.clone(), fallbacks, ..self.clone() }
    }
}

/// What became of one attempt to deliver a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivered {
    /// The other side has taken it.
    Taken,
    /// Not now: try again, not before the given time has passed.
    Later {
        /// What the other side said, without secrets.
        why: String,
        /// What it asked us to wait.
        wait: Option<Duration>,
    },
    /// Never: it will not be taken however often we try (a revoked webhook, for instance).
    Never {
        /// What the other side said, without secrets.
        why: String,
    },
}

/// What it does when a channel gets a letter for a second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// People see it twice, and nobody can say afterwards whether it had arrived.
    Shown,
    /// It can be asked first whether it has it.
    Sought,
    /// Nothing: it knows a letter by its key.
    Harmless,
}

/// Whether a letter that was handed over, and of which no answer is known, has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// The channel was well.
    Likely,
    /// The channel was not taking letters.
    Unlikely,
}

impl Doubt {
    /// The word in the store.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Likely => "likely",
            Self::Unlikely => "unlikely",
        }
    }

    /// The doubt of that word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        [Self::Likely, Self::Unlikely].into_iter().find(|doubt| doubt.word() == word)
    }
}
