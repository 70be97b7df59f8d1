//! Reading ahead: lines are found and read in a thread of their own while those before them are judged. Bounded: a few blocks
//! are ahead at most. Whatever could be read is handed on as soon as the source has no more at hand.

use std::{
    io::{self, Read},
    sync::mpsc::{Receiver, SyncSender},
};

use super::{
    fields::Fields,
    lines::{Line, Lines},
    parse::{Parsed, Parser},
    trace::{Odd, text},
};

/// Lines that are handed on at once, at most: as many as a core keeps at hand, so that nothing is fetched from afar.
const LINES: usize = 128;

/// Lines that have been read.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// One after the other, but for those that are no observations.
    text: String,
    unescaped: String,
    lines: Vec<Ahead>,
    /// The number of the last line, and bytes of the source up to it or behind it.
    pub(super) number: u64,
    pub(super) read: u64,
}

/// A line that is worth a word, by its number.
#[derive(Debug)]
struct Ahead {
    number: u64,
    read: Result<Place, Odd>,
}

/// Where a line is, and what is where in it.
#[derive(Debug)]
struct Place {
    begin: usize,
    end: usize,
    fields: Fields,
}

impl Batch {
    /// Each line by its number, as it is written and what it says, or what is odd about it; blank ones left out.
    pub(super) fn lines(&self) -> impl Iterator<Item = (u64, Result<(&str, Parsed<'_>), Odd>)> {
        self.lines
            .iter()
            .map(|line| (line.number, line.read.as_ref().map_err(|odd| *odd).and_then(|place| self.line(place))))
    }

    fn line(&self, place: &Place) -> Result<(&str, Parsed<'_>), Odd> {
        let line = self.text.get(place.begin..place.end).unwrap_or_default();
        Ok((line, place.fields.parsed(line, &self.unescaped)?))
    }

    fn take(&mut self, parser: &mut Parser, line: Line<'_>) {
        let Some(line) = text(line, self.number) else { return };
        let read = line.and_then(|line| {
            let fields = parser.fields(line).map_err(|_| Odd::NotJson)?.clone();
            let begin = self.text.len();
            self.text.push_str(line);
            Ok(Place { begin, end: self.text.len(), fields })
        });
        self.lines.push(Ahead { number: self.number, read });
    }
}

/// Reads a source to its end, or until nobody takes what was read. `emptied` are batches that can be filled again.
pub(super) fn read(source: impl Read, filled: &SyncSender<io::Result<Batch>>, emptied: &Receiver<Batch>) {
    let (mut lines, mut parser, mut number) = (Lines::new(source), Parser::default(), 0);
    loop {
        let mut batch = emptied.try_recv().unwrap_or_default();
        batch.text.clear();
        batch.lines.clear();
        batch.number = number;
        let ended = loop {
            match lines.next() {
                Ok(Some(line)) => {
                    batch.number += 1;
                    batch.take(&mut parser, line);
                }
                Ok(None) => break Some(Ok(())),
                Err(error) => break Some(Err(error)),
            }
            if batch.lines.len() >= LINES || !lines.has_another() {
                break None;
            }
        };
        (number, batch.read) = (batch.number, lines.read());
        batch.unescaped = parser.unescaped(std::mem::take(&mut batch.unescaped));
        if filled.send(Ok(batch)).is_err() {
            return;
        }
        match ended {
            None => {}
            Some(Ok(())) => return,
            Some(Err(error)) => {
                // Whoever has gone away does not want to hear of it.
                let _ = filled.send(Err(error));
                return;
            }
        }
    }
}
