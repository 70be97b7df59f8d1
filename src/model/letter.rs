//! A letter to one channel about one change of an incident, and what became of an attempt to deliver it.

use std::{sync::Arc, time::Duration};

use super::{Incident, Timestamp};

/// A notification on its way to one channel.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Letter {
    /// Unique for (channel, incident, change): what makes saying it twice impossible.
    pub key: String,
    /// Channel's name.
    pub channel: Arc<str>,
    /// Incident that it is about.
    pub incident: Arc<str>,
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
