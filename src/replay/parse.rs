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
    /// Of the line that was read last.
    fields: Fields,
}

impl Parser {
    /// Reads one line.
    ///
    /// # Errors
    /// Why it is no observation.
    pub fn parse<'a>(&'a mut self, line: &'a [u8]) -> Result<Parsed<'a>, NoObservation> {
        let line = std::str::from_utf8(line).map_err(|_| NoObservation::NotJson)?;
        self.parse_text(line)
    }

    /// Reads one line that is text.
    pub(super) fn parse_text<'a>(&'a mut self, line: &'a str) -> Result<Parsed<'a>, NoObservation> {
        self.values.unescaped.clear();
        self.fields(line)?;
        self.fields.parsed(line, &self.values.unescaped)
    }

    /// What had to be unescaped of the lines since this was last asked for; `room` is used from now on.
    pub(super) fn unescaped(&mut self, mut room: String) -> String {
        room.clear();
        std::mem::replace(&mut self.values.unescaped, room)
    }

    /// Reads one line, but for its texts.
    pub(super) fn fields(&mut self, line: &str) -> Result<&Fields, NotJson> {
        let Self { templates, leaves, values, fields } = self;
        if let Err(place) = templates.read(line, values, fields) {
            let mut scan = Scan::new(line);
            *fields = Fields::default();
            leaves.clear();
            scan.open()?;
            object(None, &mut scan, fields, (leaves, values))?;
            scan.end()?;
            templates.learn(place, line, leaves, values);
        }
        Ok(fields)
    }
}

/// The rest of an object that was entered: the line itself, or one in it.
fn object(
    within: Option<Field>,
    scan: &mut Scan<'_>,
    fields: &mut Fields,
    (leaves, values): (&mut Leaves, &mut Values),
) -> Result<(), NotJson> {
    let mut first = true;
    while let Some(key) = scan.key(first)? {
        first = false;
        // A key that is written with an escape is none of ours.
        let field = Field::called(key.plain().unwrap_or_default(), within);
        let (begin, value) = (scan.next()?, scan.value()?);
        match (field, value) {
            (Field::Failure | Field::Phases, Value::Object) => {
                leaves.enter(field);
                if field == Field::Failure {
                    (fields.failure_phase, fields.failure_kind) = (None, None);
                }
                object(Some(field), scan, fields, (leaves, values))?;
                continue;
            }
            // Of what is none of ours most stays the same from line to line, but not all.
            (Field::Other, Value::Object) if within.is_none() => {
                object(Some(field), scan, fields, (leaves, values))?;
                continue;
            }
            (_, Value::Object) => scan.leave()?,
            _ => values.take(fields, field, value)?,
        }
        leaves.add(field, begin, scan.at(), value);
    }
    Ok(())
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
