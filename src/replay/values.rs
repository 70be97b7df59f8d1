//! Values of a line to what they mean.

use super::{
    fields::{Field, Fields, Text},
    instant::Instants,
    number::seconds,
    peers::Peers,
    raw::Raw,
    scan::{NotJson, Value},
};
use crate::model::{Connection, Kind, Outcome, Phase, Varied};

/// Reads values; keeps room for texts that must be unescaped, and what words that come again and again mean.
#[derive(Debug, Default)]
pub(super) struct Values {
    pub(super) unescaped: String,
    words: Words,
}

#[derive(Debug, Default)]
struct Words {
    instants: Instants,
    peers: Peers,
}

impl Values {
    /// Takes the value of a field. One that cannot be its value says nothing.
    #[inline]
    pub(super) fn take(&mut self, fields: &mut Fields, field: Field, value: Value<'_>) -> Result<(), NotJson> {
        match (field, value) {
            (Field::Other, _) => {}
            (field, Value::Text(raw)) if field.is_text() => {
                let text = self.text(raw)?;
                fields.put(field, text);
            }
            (field, Value::Text(raw)) => self.take_word(fields, field, raw)?,
            (Field::Duration, Value::Number(number)) => fields.duration = seconds(number).unwrap_or_default(),
            (Field::Resolve, Value::Number(number)) => fields.resolve = seconds(number),
            (Field::HttpStatus, Value::Number(number)) => fields.http_status = number.parse().ok(),
            _ => {}
        }
        Ok(())
    }

    fn take_word(&mut self, fields: &mut Fields, field: Field, raw: Raw<'_>) -> Result<(), NotJson> {
        let Self { unescaped, words } = self;
        let before = unescaped.len();
        let word = match raw.plain() {
            Some(word) => word,
            None => {
                raw.unescape(unescaped)?;
                unescaped.get(before..).unwrap_or_default()
            }
        };
        match field {
            Field::ScheduledAt => fields.scheduled_at = words.instants.read(word),
            Field::StartedAt => fields.started_at = words.instants.read(word),
            Field::ReceivedAt => fields.received_at = words.instants.read(word),
            Field::Outcome => fields.outcome = Some(outcome(word)),
            Field::Connection => {
                fields.connection = if word == "warm" { Connection::Warm } else { Connection::Cold };
            }
            Field::Peer => fields.peer = words.peers.read(word),
            Field::Varied => fields.varied = Some(varied(word)),
            Field::FailurePhase => fields.failure_phase = Some(phase_of(word)),
            Field::FailureKind => fields.failure_kind = Some(kind_of(word)),
            _ => {}
        }
        unescaped.truncate(before);
        Ok(())
    }

    fn text(&mut self, raw: Raw<'_>) -> Result<Text, NotJson> {
        if let Some(text) = raw.plain() {
            return Ok(Text::plain(raw.begin, raw.begin + text.len()));
        }
        let begin = self.unescaped.len();
        raw.unescape(&mut self.unescaped)?;
        Ok(Text::unescaped(begin, self.unescaped.len()))
    }
}

fn outcome(word: &str) -> Option<Outcome> {
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
