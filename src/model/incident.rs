//! The incident: a span in which a verdict stays bad.

use std::sync::Arc;

use super::{Admission, Cause, Digest, Severity, Subject, Timestamp, Verdict};

/// Where an incident stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentState {
    /// Bad, but not for long enough to say so.
    Suspected,
    /// Said.
    Open,
    /// Good again, but not for long enough to say so.
    Recovering,
    /// Over.
    Closed,
}

/// What happened to an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transition {
    /// The first bad round.
    Suspected,
    /// Bad for long enough.
    Opened,
    /// The verdict of an open incident changed.
    Updated,
    /// The first good round of an open incident.
    Recovering,
    /// Good for long enough.
    Closed,
    /// Nothing that people need to know.
    None,
}

impl IncidentState {
    /// The word in JSON and in the store.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Suspected => "suspected",
            Self::Open => "open",
            Self::Recovering => "recovering",
            Self::Closed => "closed",
        }
    }
}

impl Transition {
    /// The word in JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Suspected => "suspected",
            Self::Opened => "opened",
            Self::Updated => "updated",
            Self::Recovering => "recovering",
            Self::Closed => "closed",
            Self::None => "none",
        }
    }
}

const WENT_ON_AS: &str = "went on as incident ";

/// A span in which a verdict about one subject stays bad.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Incident {
    /// `2026-11-22-firebase-1`: day, party and a number.
    pub id: Arc<str>,
    /// Whom or what it is about.
    pub subject: Subject,
    /// Where it stands.
    pub state: IncidentState,
    /// The cause as last told.
    pub cause: Cause,
    /// The severity as last told.
    #[serde(default)]
    pub severity: Severity,
    /// When the first bad observation was due.
    pub onset: Timestamp,
    /// When what goes on of it began, where that was later: it was over or recovering and came back, or it was only slow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Every `since` that it has had, oldest first; bounded like the history.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sinces: Vec<Timestamp>,
    /// When it opened.
    #[serde(default)]
    pub opened_at: Option<Timestamp>,
    /// When the first good observation after it was due.
    #[serde(default)]
    pub recovered_at: Option<Timestamp>,
    /// When it closed.
    #[serde(default)]
    pub closed_at: Option<Timestamp>,
    /// Bad rounds in a row so far.
    pub bad_rounds: u32,
    /// Good rounds in a row so far.
    pub good_rounds: u32,
    /// The newest round counted, see [`Verdict::round`].
    pub round: i64,
    /// The last bad verdict: what an open or closed incident is shown with.
    pub verdict: Verdict,
    /// Channels that were told of its opening, and so hear of its end.
    #[serde(default)]
    pub told: Vec<Arc<str>>,
    /// It opened in a planned window and nobody was told, so that whoever plans letters looks at it again.
    #[serde(default)]
    pub muted: bool,
    /// What is special about it, for people: muted by a planned window or a silence, closed because its probes are gone.
    #[serde(default)]
    pub note: Option<String>,
    /// When the party first said so itself; before the onset when it was ahead of us.
    #[serde(default)]
    pub admitted_at: Option<Timestamp>,
    /// What it said then.
    #[serde(default)]
    pub admission: Option<Admission>,
    /// How often it has come back after it seemed to be over.
    #[serde(default)]
    pub flaps: u32,
    /// Another cause or severity that has been seen, and has not held for long enough to say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turning: Option<Turning>,
    /// What happened to it, oldest first; bounded.
    #[serde(default)]
    pub history: Vec<Moment>,
    /// The last word to those who were told: what a reminder is counted from.
    #[serde(default)]
    pub told_at: Option<Timestamp>,
    /// A word that waits for others to be said together with it, and since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owed: Option<Owed>,
    /// The digest in which it was told together with others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

impl Incident {
    /// When it was over; nothing while it is not.
    #[must_use]
    pub fn ended(&self) -> Option<Timestamp> {
        let closed = self.closed_at?;
        Some(self.recovered_at.unwrap_or(closed))
    }
}

/// Something that happened to an incident.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// What.
    pub transition: Transition,
    /// Whose fault it was held to be from then on.
    pub cause: Cause,
    /// Whose fault it was held to be before, when that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<Cause>,
    /// What is special about it, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A verdict that differs from what was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Turning {
    /// The other cause.
    pub cause: Cause,
    /// The other severity.
    pub severity: Severity,
    /// Rounds in a row in which it was so.
    pub rounds: u32,
}

/// A word that is still to be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Owed {
    /// Of what.
    pub word: Transition,
    /// Since when.
    pub since: Timestamp,
}

impl Incident {
    /// What the first bad verdict about a subject makes.
    #[must_use]
    pub fn suspected(id: Arc<str>, verdict: &Verdict, onset: Timestamp) -> Self {
        Self {
            id,
            subject: verdict.subject.clone(),
            state: IncidentState::Suspected,
            cause: verdict.cause,
            severity: verdict.severity(),
            onset,
            since: None,
            sinces: vec![],
            opened_at: None,
            recovered_at: None,
            closed_at: None,
            bad_rounds: 1,
            good_rounds: 0,
            round: verdict.round,
            verdict: verdict.clone(),
            told: vec![],
            muted: false,
            note: None,
            admitted_at: None,
            admission: None,
            flaps: 0,
            turning: None,
            history: vec![],
            told_at: None,
            owed: None,
            digest: None,
        }
    }

    /// The thread in which a channel was told of it.
    #[must_use]
    pub fn thread(&self, channel: &Arc<str>) -> &Arc<str> {
        self.digest.as_ref().and_then(|digest| digest.leader_in(channel)).unwrap_or(&self.id)
    }

    /// What is noted of one that goes on as another one.
    #[must_use]
    pub fn went_on_note(into: &str) -> String {
        format!("{WENT_ON_AS}{into}")
    }

    /// Whether it goes on as another one: several regions that judged by themselves told of the same.
    #[must_use]
    pub fn went_on(&self) -> bool {
        self.note.as_ref().is_some_and(|note| note.starts_with(WENT_ON_AS))
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.state == IncidentState::Closed
    }

    /// Whether it ended because nobody looks at it any more: nobody knows then whether it is back.
    #[must_use]
    pub fn is_unwatched(&self) -> bool {
        self.is_over() && self.recovered_at.is_none()
    }

    /// Moments that are kept: more would make every write of it large.
    pub const MOMENTS: usize = 50;

    /// When what a verdict of it tells of began.
    #[must_use]
    pub fn began(&self, verdict: &Verdict) -> Timestamp {
        match self.since {
            None => self.onset,
            Some(since) if since <= verdict.at => since,
            // A verdict of earlier than that, given again: what has come since is not what it tells of.
            Some(_) => verdict.onset.unwrap_or(self.onset),
        }
    }

    /// Adds to the history. When that is full the oldest but for the beginning goes.
    pub fn remember(&mut self, moment: Moment) {
        if self.history.len() >= Self::MOMENTS {
            self.history.remove(2);
        }
        self.history.push(moment);
        let news = self.since.filter(|since| self.sinces.last() != Some(since));
        if news.is_some() && self.sinces.len() >= Self::MOMENTS {
            self.sinces.remove(0);
        }
        self.sinces.extend(news);
    }
}
