//! A line of a trace to a [`Sighting`] that borrows from it. Takes what `model::Observation` takes, and more: what a line
//! need not have may be missing or wrong, so that one odd field does not lose the line.

use std::net::SocketAddr;

use super::{
    fields::{FIELDS, Field, PHASES},
    instant::Instants,
    keys::{BEGINNING, Keys},
    number::seconds,
    peers::Peers,
    scan::{NotJson, Raw, Scan, Value},
};
use crate::model::{Connection, Kind, Outcome, Phase, Sighting, Timestamp, Varied};

/// What a line says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parsed<'a> {
    /// The observation.
    pub sighting: Sighting<'a>,
    /// When a hub took it, where the line says so.
    pub received_at: Option<Timestamp>,
    /// The outcome is a word of another version: it counts as inconclusive.
    pub foreign_outcome: bool,
}

/// Why a line is no observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoObservation {
    /// It is not a JSON object.
    NotJson,
    /// It lacks one of `probe party region outcome scheduled_at`, or has something else there.
    Lacking(&'static str),
}

impl From<NotJson> for NoObservation {
    fn from(_: NotJson) -> Self {
        Self::NotJson
    }
}

/// Reads lines; keeps room for texts that must be unescaped.
#[derive(Debug)]
pub struct Parser {
    keys: Keys<Field>,
    phases: Keys<Field>,
    words: Words,
    unescaped: String,
}

/// What words that come again and again mean.
#[derive(Debug, Default)]
struct Words {
    instants: Instants,
    peers: Peers,
}

impl Default for Parser {
    fn default() -> Self {
        Self {
            keys: Keys::new(FIELDS, Field::Other),
            phases: Keys::new(PHASES, Field::Other),
            words: Words::default(),
            unescaped: String::new(),
        }
    }
}

/// A text by its place: in the line, or among those that were unescaped.
#[derive(Debug, Clone, Copy)]
enum Text {
    Plain(u32, u32),
    Unescaped(u32, u32),
}

impl Text {
    fn of<'a>(self, line: &'a str, unescaped: &'a str) -> Option<&'a str> {
        match self {
            Self::Plain(begin, end) => line.get(begin as usize..end as usize),
            Self::Unescaped(begin, end) => unescaped.get(begin as usize..end as usize),
        }
    }
}

/// The fields of a line as they came, texts by their places: what is needed to make a [`Parsed`] of the line.
#[derive(Debug, Default)]
pub(super) struct Fields {
    probe: Option<Text>,
    party: Option<Text>,
    product: Option<Text>,
    region: Option<Text>,
    node: Option<Text>,
    build: Option<Text>,
    config: Option<Text>,
    credential: Option<Text>,
    detail: Option<Text>,
    connection: Connection,
    scheduled_at: Option<Timestamp>,
    started_at: Option<Timestamp>,
    received_at: Option<Timestamp>,
    outcome: Option<Option<Outcome>>,
    failure: Option<(Phase, Kind)>,
    duration: f64,
    resolve: Option<f64>,
    connect: Option<f64>,
    peer: Option<SocketAddr>,
    http_status: Option<u16>,
    varied: Option<Varied>,
}

impl Fields {
    /// What a line says, of which these are the fields.
    pub(super) fn parsed<'a>(&self, line: &'a str, unescaped: &'a str) -> Result<Parsed<'a>, NoObservation> {
        let text = |text: Option<Text>| text?.of(line, unescaped);
        let needed = |given: Option<Text>, name| text(given).ok_or(NoObservation::Lacking(name));
        let outcome = self.outcome.ok_or(NoObservation::Lacking("outcome"))?;
        let sighting = Sighting {
            probe: needed(self.probe, "probe")?,
            party: needed(self.party, "party")?,
            product: text(self.product),
            region: needed(self.region, "region")?,
            node: text(self.node).unwrap_or_default(),
            connection: self.connection,
            scheduled_at: self.scheduled_at.ok_or(NoObservation::Lacking("scheduled_at"))?,
            started_at: self.started_at,
            outcome: outcome.unwrap_or(Outcome::Inconclusive),
            failure: self.failure,
            detail: text(self.detail).unwrap_or_default(),
            duration: self.duration,
            resolve: self.resolve,
            connect: self.connect,
            peer: self.peer,
            http_status: self.http_status,
            build: text(self.build).unwrap_or_default(),
            config: text(self.config).unwrap_or_default(),
            credential: text(self.credential),
            varied: self.varied,
        };
        Ok(Parsed { sighting, received_at: self.received_at, foreign_outcome: outcome.is_none() })
    }

    /// Lines of one probe are likely to have the same in them.
    fn likeness(&self, line: &str) -> u8 {
        let name = self.probe.and_then(|name| name.of(line, "")).unwrap_or_default();
        name.bytes().fold(0, |mixed: u8, byte| mixed.wrapping_mul(31) ^ byte)
    }
}

impl Parser {
    /// Reads one line.
    ///
    /// # Errors
    /// Why it is no observation.
    pub fn parse<'a>(&'a mut self, line: &'a [u8]) -> Result<Parsed<'a>, NoObservation> {
        let line = std::str::from_utf8(line).map_err(|_| NoObservation::NotJson)?;
        self.unescaped.clear();
        self.fields(line)?.parsed(line, &self.unescaped)
    }

    /// What had to be unescaped of the lines since this was last asked for; `room` is used from now on.
    pub(super) fn unescaped(&mut self, mut room: String) -> String {
        room.clear();
        std::mem::replace(&mut self.unescaped, room)
    }

    /// Reads one line, but for its texts.
    pub(super) fn fields(&mut self, line: &str) -> Result<Fields, NotJson> {
        let mut fields = Fields::default();
        let mut scan = Scan::new(line);
        scan.open()?;
        let mut place = BEGINNING;
        while let Some(field) = self.keys.next(&mut scan, &mut place)? {
            match (field, scan.value()?) {
                (Field::Failure, Value::Object) => self.failure(&mut scan, &mut fields)?,
                (Field::Phases, Value::Object) => self.phases(&mut scan, &mut fields)?,
                (_, Value::Object) => self.keys.pass_over(&mut scan, place, fields.likeness(line))?,
                (Field::Other, _) => {}
                (field, Value::Text(raw)) => self.take_text(&mut fields, field, raw)?,
                (Field::Duration, Value::Number(number)) => fields.duration = seconds(number).unwrap_or_default(),
                (Field::HttpStatus, Value::Number(number)) => fields.http_status = number.parse().ok(),
                _ => {}
            }
        }
        scan.end()?;
        Ok(fields)
    }
    fn take_text(&mut self, fields: &mut Fields, field: Field, raw: Raw<'_>) -> Result<(), NotJson> {
        let text = match field {
            Field::Probe => &mut fields.probe,
            Field::Party => &mut fields.party,
            Field::Product => &mut fields.product,
            Field::Region => &mut fields.region,
            Field::Node => &mut fields.node,
            Field::Build => &mut fields.build,
            Field::Config => &mut fields.config,
            Field::Credential => &mut fields.credential,
            _ => return self.take_word(fields, field, raw),
        };
        *text = Some(self.text(raw)?);
        Ok(())
    }

    fn take_word(&mut self, fields: &mut Fields, field: Field, raw: Raw<'_>) -> Result<(), NotJson> {
        let time = match field {
            Field::ScheduledAt => &mut fields.scheduled_at,
            Field::StartedAt => &mut fields.started_at,
            Field::ReceivedAt => &mut fields.received_at,
            Field::Outcome => return self.word(raw, |word, _| fields.outcome = Some(outcome(word))),
            Field::Connection => {
                return self.word(raw, |word, _| {
                    fields.connection = if word == "warm" { Connection::Warm } else { Connection::Cold };
                });
            }
            Field::Peer => return self.word(raw, |word, words| fields.peer = words.peers.read(word)),
            Field::Varied => return self.word(raw, |word, _| fields.varied = Some(varied(word))),
            _ => return Ok(()),
        };
        self.word(raw, |word, words| *time = words.instants.read(word))
    }

    fn phases(&mut self, scan: &mut Scan<'_>, fields: &mut Fields) -> Result<(), NotJson> {
        let mut place = BEGINNING;
        while let Some(field) = self.phases.next(scan, &mut place)? {
            match (field, scan.value()?) {
                (Field::Resolve, Value::Number(number)) => fields.resolve = seconds(number),
                (Field::Connect, Value::Number(number)) => fields.connect = seconds(number),
                (_, Value::Object) => scan.leave()?,
                _ => {}
            }
        }
        Ok(())
    }

    fn failure(&mut self, scan: &mut Scan<'_>, fields: &mut Fields) -> Result<(), NotJson> {
        let (mut phase, mut kind, mut first) = (None, None, true);
        while let Some(key) = scan.key(first)? {
            first = false;
            match (key.plain().unwrap_or_default(), scan.value()?) {
                ("phase", Value::Text(raw)) => self.word(raw, |word, _| phase = Some(phase_of(word)))?,
                ("kind", Value::Text(raw)) => self.word(raw, |word, _| kind = Some(kind_of(word)))?,
                ("detail", Value::Text(raw)) => fields.detail = Some(self.text(raw)?),
                (_, Value::Object) => scan.leave()?,
                _ => {}
            }
        }
        // A phase of a newer version: where it happened cannot be told apart.
        let phase = phase.map_or(Phase::Exchange, |phase| phase.unwrap_or(Phase::Exchange));
        fields.failure = kind.map(|kind| (phase, kind));
        Ok(())
    }

    fn text(&mut self, raw: Raw<'_>) -> Result<Text, NotJson> {
        if let Some(text) = raw.plain() {
            let (begin, end) = place(raw.begin, raw.begin + text.len());
            return Ok(Text::Plain(begin, end));
        }
        let begin = self.unescaped.len();
        raw.unescape(&mut self.unescaped)?;
        let (begin, end) = place(begin, self.unescaped.len());
        Ok(Text::Unescaped(begin, end))
    }

    fn word(&mut self, raw: Raw<'_>, take: impl FnOnce(&str, &mut Words)) -> Result<(), NotJson> {
        if let Some(text) = raw.plain() {
            take(text, &mut self.words);
            return Ok(());
        }
        let begin = self.unescaped.len();
        raw.unescape(&mut self.unescaped)?;
        take(self.unescaped.get(begin..).unwrap_or_default(), &mut self.words);
        self.unescaped.truncate(begin);
        Ok(())
    }
}

#[expect(clippy::cast_possible_truncation, reason = "lines are shorter by far")]
const fn place(begin: usize, end: usize) -> (u32, u32) {
    (begin as u32, end as u32)
}

fn outcome(word: &str) -> Option<Outcome> {
    if word == "up" {
        return Some(Outcome::Up);
    }
    Outcome::ALL.into_iter().find(|outcome| outcome.word() == word)
}

fn phase_of(word: &str) -> Option<Phase> {
    Phase::ALL.into_iter().find(|phase| phase.word() == word)
}

fn kind_of(word: &str) -> Kind {
    Kind::ALL.into_iter().find(|kind| kind.word() == word).unwrap_or(Kind::Unclassified)
}

fn varied(word: &str) -> Varied {
    Varied::ALL.into_iter().find(|varied| varied.word() == word).unwrap_or(Varied::Otherwise)
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
