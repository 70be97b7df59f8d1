//! What of a line is looked at: its fields by their names, and their values as they came.

use std::net::SocketAddr;

use super::parse::{NoObservation, Parsed};
use crate::model::{Connection, Kind, Outcome, Phase, Sighting, Timestamp, Varied};

/// What of a line is looked at. Texts that are handed on as they are come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Probe,
    Party,
    Product,
    Region,
    Node,
    Build,
    Config,
    Credential,
    Detail,
    ScheduledAt,
    StartedAt,
    ReceivedAt,
    Outcome,
    Connection,
    Peer,
    Varied,
    Failure,
    FailurePhase,
    FailureKind,
    Phases,
    Duration,
    HttpStatus,
    Resolve,
    Other,
}

/// How many fields are texts.
const TEXTS: usize = Field::Detail as usize + 1;

impl Field {
    /// By a key of a line, or of an object in it.
    pub(super) fn called(key: &str, within: Option<Self>) -> Self {
        match (within, key) {
            (None, "probe") => Self::Probe,
            (None, "party") => Self::Party,
            (None, "product") => Self::Product,
            (None, "region") => Self::Region,
            (None, "node") => Self::Node,
            (None, "build") => Self::Build,
            (None, "config") => Self::Config,
            (None, "credential") => Self::Credential,
            (None, "scheduled_at") => Self::ScheduledAt,
            (None, "started_at") => Self::StartedAt,
            (None, "received_at") => Self::ReceivedAt,
            (None, "outcome") => Self::Outcome,
            (None, "connection") => Self::Connection,
            (None, "peer") => Self::Peer,
            (None, "varied") => Self::Varied,
            (None, "failure") => Self::Failure,
            (None, "phases") => Self::Phases,
            (None, "duration") => Self::Duration,
            (None, "http_status") => Self::HttpStatus,
            (Some(Self::Phases), "resolve") => Self::Resolve,
            (Some(Self::Failure), "phase") => Self::FailurePhase,
            (Some(Self::Failure), "kind") => Self::FailureKind,
            (Some(Self::Failure), "detail") => Self::Detail,
            _ => Self::Other,
        }
    }

    /// Whether it is a text that is handed on as it is.
    pub(super) const fn is_text(self) -> bool {
        (self as usize) < TEXTS
    }
}

/// A text by its place: in the line, or among those that were unescaped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Text {
    #[default]
    Missing,
    Plain(u32, u32),
    Unescaped(u32, u32),
}

impl Text {
    /// From a place in the line to another.
    pub(super) const fn plain(begin: usize, end: usize) -> Self {
        let (begin, end) = places(begin, end);
        Self::Plain(begin, end)
    }

    /// From a place among the texts that were unescaped to another.
    pub(super) const fn unescaped(begin: usize, end: usize) -> Self {
        let (begin, end) = places(begin, end);
        Self::Unescaped(begin, end)
    }

    fn of<'a>(self, line: &'a str, unescaped: &'a str) -> Option<&'a str> {
        match self {
            Self::Missing => None,
            Self::Plain(begin, end) => line.get(begin as usize..end as usize),
            Self::Unescaped(begin, end) => unescaped.get(begin as usize..end as usize),
        }
    }
}

/// The values of a line as they came, texts by their places: what is needed to make a [`Parsed`] of the line.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields {
    texts: [Text; TEXTS],
    pub(super) connection: Connection,
    pub(super) scheduled_at: Option<Timestamp>,
    pub(super) started_at: Option<Timestamp>,
    pub(super) received_at: Option<Timestamp>,
    pub(super) outcome: Option<Option<Outcome>>,
    pub(super) failure_phase: Option<Option<Phase>>,
    pub(super) failure_kind: Option<Kind>,
    pub(super) duration: f64,
    pub(super) resolve: Option<f64>,
    pub(super) peer: Option<SocketAddr>,
    pub(super) http_status: Option<u16>,
    pub(super) varied: Option<Varied>,
}

impl Fields {
    /// Where the text of a field is.
    pub(super) fn put(&mut self, field: Field, text: Text) {
        if let Some(place) = self.texts.get_mut(field as usize) {
            *place = text;
        }
    }

    /// What a line says, of which these are the fields.
    pub(super) fn parsed<'a>(&self, line: &'a str, unescaped: &'a str) -> Result<Parsed<'a>, NoObservation> {
        let text = |field: Field| self.texts.get(field as usize)?.of(line, unescaped);
        let needed = |field, name| text(field).ok_or(NoObservation::Lacking(name));
        let outcome = self.outcome.ok_or(NoObservation::Lacking("outcome"))?;
        // A phase of a newer version: where it happened cannot be told apart.
        let phase = self.failure_phase.flatten().unwrap_or(Phase::Exchange);
        let sighting = Sighting {
            probe: needed(Field::Probe, "probe")?,
            party: needed(Field::Party, "party")?,
            product: text(Field::Product),
            region: needed(Field::Region, "region")?,
            node: text(Field::Node).unwrap_or_default(),
            connection: self.connection,
            scheduled_at: self.scheduled_at.ok_or(NoObservation::Lacking("scheduled_at"))?,
            started_at: self.started_at,
            outcome: outcome.unwrap_or(Outcome::Inconclusive),
            failure: self.failure_kind.map(|kind| (phase, kind)),
            detail: text(Field::Detail).unwrap_or_default(),
            duration: self.duration,
            resolve: self.resolve,
            peer: self.peer,
            http_status: self.http_status,
            build: text(Field::Build).unwrap_or_default(),
            config: text(Field::Config).unwrap_or_default(),
            credential: text(Field::Credential),
            varied: self.varied,
        };
        Ok(Parsed { sighting, received_at: self.received_at, foreign_outcome: outcome.is_none() })
    }
}

#[expect(clippy::cast_possible_truncation, reason = "lines are shorter by far")]
const fn places(begin: usize, end: usize) -> (u32, u32) {
    (begin as u32, end as u32)
}
