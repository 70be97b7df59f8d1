//! A line of a trace to a [`Sighting`] that borrows from it. Takes what `model::Observation` takes, and more: what a line
//! need not have may be missing or wrong, so that one odd field does not lose the line.

use super::{
    fields::{Field, Fields},
    scan::{NotJson, Scan, Value},
    template::{Leaves, Templates},
    values::Values,
};
use crate::model::{Sighting, Timestamp};

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

/// Reads lines; remembers how those before were written.
#[derive(Debug, Default)]
pub struct Parser {
    templates: Templates,
    leaves: Leaves,
    values: Values,
}

impl Parser {
    /// Reads one line.
    ///
    /// # Errors
    /// Why it is no observation.
    pub fn parse<'a>(&'a mut self, line: &'a [u8]) -> Result<Parsed<'a>, NoObservation> {
        let line = std::str::from_utf8(line).map_err(|_| NoObservation::NotJson)?;
        self.values.unescaped.clear();
        self.fields(line)?.parsed(line, &self.values.unescaped)
    }

    /// What had to be unescaped of the lines since this was last asked for; `room` is used from now on.
    pub(super) fn unescaped(&mut self, mut room: String) -> String {
        room.clear();
        std::mem::replace(&mut self.values.unescaped, room)
    }

    /// Reads one line, but for its texts.
    pub(super) fn fields(&mut self, line: &str) -> Result<Fields, NotJson> {
        let place = match self.templates.read(line, &mut self.values) {
            Ok(fields) => return Ok(fields),
            Err(place) => place,
        };
        let (mut fields, mut scan) = (Fields::default(), Scan::new(line));
        self.leaves.clear();
        scan.open()?;
        self.object(Field::Other, &mut scan, &mut fields)?;
        scan.end()?;
        self.templates.learn(place, line, &self.leaves, &mut self.values);
        Ok(fields)
    }

    /// The rest of an object that was entered: the line itself, or one of ours in it.
    fn object(&mut self, within: Field, scan: &mut Scan<'_>, fields: &mut Fields) -> Result<(), NotJson> {
        let mut first = true;
        while let Some(key) = scan.key(first)? {
            first = false;
            // A key that is written with an escape is none of ours.
            let field = Field::called(key.plain().unwrap_or_default(), within);
            let (begin, value) = (scan.next()?, scan.value()?);
            match (field, value) {
                (Field::Failure | Field::Phases, Value::Object) => {
                    self.leaves.enter(field);
                    if field == Field::Failure {
                        (fields.failure_phase, fields.failure_kind) = (None, None);
                    }
                    self.object(field, scan, fields)?;
                    continue;
                }
                (_, Value::Object) => scan.leave()?,
                _ => self.values.take(fields, field, value)?,
            }
            self.leaves.add(field, begin, scan.at(), value);
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
