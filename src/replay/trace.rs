//! A trace: lines to observations in the order in which they came to be known, and a count of all that is odd. One bad
//! line never costs a good one.

use std::{
    collections::BTreeMap,
    io,
    num::NonZero,
    sync::mpsc::{channel, sync_channel},
    thread,
};

use super::{
    ahead::{self, Batch},
    lines::{Line, Lines},
    order::{Held, Order, Turn},
    parse::{NoObservation, Parsed, Parser},
};
use crate::{
    attribution::Absorbed,
    model::{Sighting, Timestamp},
};

/// Lines between two looks of whoever watches.
const WATCHED_EVERY: u64 = 1 << 14;
/// Batches of lines that are read ahead.
const AHEAD: usize = 2;

/// Something about a trace that is not as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Odd {
    /// The line is longer than any observation.
    TooLong,
    /// The line is no JSON object.
    NotJson,
    /// A field that every observation has is missing or wrong.
    Lacking(&'static str),
    /// It was due at a time that nobody believes.
    Absurd,
    /// Its outcome is a word that we do not know.
    ForeignOutcome,
    /// The configuration does not have its probe.
    UnknownProbe,
    /// It was there before.
    Duplicate,
    /// A newer one of the same probe and vantage point came before.
    OutOfOrder,
    /// It came too late to say anything.
    Stale,
    /// There was no room for another vantage point.
    Full,
}

impl From<NoObservation> for Odd {
    fn from(why: NoObservation) -> Self {
        match why {
            NoObservation::NotJson => Self::NotJson,
            NoObservation::Lacking(field) => Self::Lacking(field),
        }
    }
}

impl Odd {
    /// The same for people: `3 lines …`.
    #[must_use]
    pub fn in_words(self, count: u64) -> String {
        let lines = if count == 1 { "line is" } else { "lines are" };
        let seen = if count == 1 { "observation" } else { "observations" };
        match self {
            Self::TooLong => format!("{lines} longer than 1 MiB and skipped"),
            Self::NotJson => format!("{lines} no JSON object and skipped"),
            Self::Lacking(field) => format!("{lines} without a usable `{field}` and skipped"),
            Self::Absurd => format!("{seen} from a time that nothing else in the trace is near to, skipped"),
            Self::ForeignOutcome => {
                format!("{seen} with an outcome that this version does not know, taken as inconclusive")
            }
            Self::UnknownProbe => format!("{seen} of a probe that the configuration does not have, not judged"),
            Self::Duplicate => format!("{seen} seen before"),
            Self::OutOfOrder => format!("{seen} older than one of the same probe and place that came before"),
            Self::Stale => format!("{seen} too late to say anything"),
            Self::Full => format!("{seen} of more places than can be kept apart"),
        }
    }
}

/// What a trace held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Observations, odd or not.
    pub observations: u64,
    /// Bytes of lines.
    pub bytes: u64,
    /// When the first and the last were due.
    pub span: Option<(Timestamp, Timestamp)>,
    /// What was odd: how often, and the number of the first line.
    pub odd: BTreeMap<Odd, (u64, u64)>,
}

impl Tally {
    fn note(&mut self, odd: Odd, line: u64) {
        let (count, _) = self.odd.entry(odd).or_insert((0, line));
        *count += 1;
    }

    fn absorbed(&mut self, absorbed: Absorbed, line: u64) {
        match absorbed {
            Absorbed::Duplicate => self.note(Odd::Duplicate, line),
            Absorbed::OutOfOrder => self.note(Odd::OutOfOrder, line),
            Absorbed::Stale => self.note(Odd::Stale, line),
            Absorbed::Absurd => self.note(Odd::Absurd, line),
            Absorbed::Full => self.note(Odd::Full, line),
            // Probes that are not judged are told apart before.
            Absorbed::Taken | Absorbed::Confirmation | Absorbed::UnknownProbe => {}
        }
    }
}

/// Whoever takes a trace.
pub trait Taker {
    /// Takes an observation that was known at an instant; nothing when its probe is none that is judged.
    fn take(&mut self, seen: &Sighting<'_>, known_at: Timestamp) -> Option<Absorbed>;

    /// Looks at how far the trace has been read; called now and then.
    fn watch(&mut self, _tally: &Tally) {}
}

/// Reads a trace to its end. Where there is another core, lines are read there; what they say is taken in this thread.
///
/// # Errors
/// When the source cannot be read.
pub fn read(source: impl io::Read + Send, taker: &mut impl Taker) -> io::Result<Tally> {
    read_on(thread::available_parallelism().map_or(1, NonZero::get), source, taker)
}

fn read_on(cores: usize, source: impl io::Read + Send, taker: &mut impl Taker) -> io::Result<Tally> {
    let (order, waiting) = (Order::default(), Parser::default());
    let mut way = Way { order, waiting, tally: Tally::default(), taker, watched: 0 };
    if cores > 1 {
        way.read_ahead(source)?
    } else {
        way.read_here(source)?
    }
    way.end();
    way.taker.watch(&way.tally);
    Ok(way.tally)
}

/// What is written in the line of this number, or what is odd about it; nothing of a blank one.
pub(super) fn text(line: Line<'_>, number: u64) -> Option<Result<&str, Odd>> {
    let line = match line {
        Line::TooLong => return Some(Err(Odd::TooLong)),
        Line::Whole(line) if number == 1 => line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line),
        Line::Whole(line) => line,
    };
    let text = simdutf8::basic::from_utf8(line).map_err(|_| Odd::NotJson);
    (!line.trim_ascii().is_empty()).then_some(text)
}

/// What lies between a line and whoever takes it.
struct Way<'a, T> {
    order: Order,
    /// Reads lines again that have waited.
    waiting: Parser,
    tally: Tally,
    taker: &'a mut T,
    /// The number of the line at which `taker` last looked.
    watched: u64,
}

impl<T: Taker> Way<'_, T> {
    /// Each line is taken as soon as it is read.
    fn read_here(&mut self, source: impl io::Read) -> io::Result<()> {
        let (mut lines, mut parser, mut number) = (Lines::new(source), Parser::default(), 0);
        while let Some(line) = lines.next()? {
            number += 1;
            match text(line, number).map(|line| line.and_then(|line| Ok((line, parser.parse_text(line)?)))) {
                Some(Ok((line, parsed))) => self.line(line, &parsed, number),
                Some(Err(odd)) => self.tally.note(odd, number),
                None => {}
            }
            self.passed(number, lines.read());
        }
        Ok(())
    }

    /// Lines are read in a thread of their own while those before them are taken.
    fn read_ahead(&mut self, source: impl io::Read + Send) -> io::Result<()> {
        let (filled, batches) = sync_channel(AHEAD);
        let (emptied, empties) = channel();
        thread::scope(|scope| {
            thread::Builder::new().spawn_scoped(scope, move || ahead::read(source, &filled, &empties))?;
            for batch in batches {
                let batch: Batch = batch?;
                for (number, line) in batch.lines() {
                    match line {
                        Ok((line, parsed)) => self.line(line, &parsed, number),
                        Err(odd) => self.tally.note(odd, number),
                    }
                }
                self.passed(batch.number, batch.read);
                // At the end nobody fills it again.
                let _ = emptied.send(batch);
            }
            Ok(())
        })
    }

    /// All lines to the one of this number have been taken, and so many bytes read.
    fn passed(&mut self, number: u64, read: u64) {
        self.tally.bytes = read;
        if number >= self.watched + WATCHED_EVERY {
            self.watched = number;
            self.taker.watch(&self.tally);
        }
    }

    fn line(&mut self, line: &str, parsed: &Parsed<'_>, number: u64) {
        match self.order.turn(parsed.sighting.scheduled_at, parsed.received_at) {
            Turn::Now(known_at) => {
                while let Some(held) = self.order.ready(known_at) {
                    self.held(&held);
                }
                self.one(parsed, known_at, number);
            }
            Turn::Later { known_at, at } => {
                if let Some(held) = self.order.hold(known_at, at, number, line.as_bytes()) {
                    self.held(&held);
                }
            }
            Turn::Never => self.absurd(number),
        }
    }

    fn end(&mut self) {
        while let Some((held, believed)) = self.order.rest() {
            if believed {
                self.held(&held);
            } else {
                self.absurd(held.number);
            }
        }
    }

    fn held(&mut self, held: &Held) {
        let mut parser = std::mem::take(&mut self.waiting);
        if let Ok(parsed) = parser.parse(&held.line) {
            self.one(&parsed, held.known_at, held.number);
        }
        self.waiting = parser;
    }

    fn one(&mut self, parsed: &Parsed<'_>, known_at: Timestamp, number: u64) {
        let at = parsed.sighting.scheduled_at;
        self.tally.observations += 1;
        self.tally.span = Some(self.tally.span.map_or((at, at), |(first, last)| (first.min(at), last.max(at))));
        if parsed.foreign_outcome {
            self.tally.note(Odd::ForeignOutcome, number);
        }
        match self.taker.take(&parsed.sighting, known_at) {
            Some(absorbed) => self.tally.absorbed(absorbed, number),
            None => self.tally.note(Odd::UnknownProbe, number),
        }
    }

    fn absurd(&mut self, number: u64) {
        self.tally.observations += 1;
        self.tally.note(Odd::Absurd, number);
    }
}

#[cfg(test)]
#[path = "trace_tests.rs"]
mod tests;
