//! The event stream format (HTML, §9.2.6): bytes in pieces of any size to events. Pure; takes no more memory than the
//! longest line and event that it allows.

use std::time::Duration;

/// What one line or event may be at most.
const AT_MOST: usize = 64 * 1024;

/// Something that the stream says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::protocol) enum Item {
    /// An event; `message` is the name of those without one.
    Event {
        /// What happened.
        name: String,
        /// The lines of data, with line feeds between them.
        data: String,
    },
    /// A comment: says only that somebody is there.
    Comment,
}

/// A line or an event is longer than anybody should send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) struct TooLong;

/// Where in a stream we are.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Parser {
    line: Vec<u8>,
    begun: bool,
    after_cr: bool,
    name: String,
    data: String,
    has_data: bool,
    id: Option<String>,
    next_id: Option<String>,
    retry: Option<Duration>,
}

impl Parser {
    /// The id of the last event that had one: where to go on from.
    pub(in crate::protocol) fn last_id(&self) -> Option<&str> {
        self.id.as_deref().filter(|id| !id.is_empty())
    }

    /// How long the server asks us to wait before we come back.
    pub(in crate::protocol) fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// Takes in some bytes; what they complete goes to `heard`.
    ///
    /// # Errors
    /// A line or an event is too long; nothing more can be made of the stream.
    pub(in crate::protocol) fn feed(&mut self, bytes: &[u8], mut heard: impl FnMut(Item)) -> Result<(), TooLong> {
        for &byte in bytes {
            let after_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
            match byte {
                b'\n' if after_cr => {}
                b'\r' | b'\n' => {
                    let line = std::mem::take(&mut self.line);
                    self.take(&line, &mut heard)?;
                    self.line = line;
                    self.line.clear();
                }
                _ if self.line.len() == AT_MOST => return Err(TooLong),
                _ => self.line.push(byte),
            }
        }
        // Nothing is kept for a line that may be long in coming.
        if self.line.is_empty() {
            self.line = Vec::new();
        }
        Ok(())
    }

    fn take(&mut self, line: &[u8], heard: &mut impl FnMut(Item)) -> Result<(), TooLong> {
        let line = match std::mem::replace(&mut self.begun, true) {
            true => line,
            false => line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line),
        };
        if line.is_empty() {
            self.dispatch(heard);
            return Ok(());
        }
        let line = String::from_utf8_lossy(line);
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" => heard(Item::Comment),
            "event" => value.clone_into(&mut self.name),
            "data" => {
                if self.data.len() + value.len() > AT_MOST {
                    return Err(TooLong);
                }
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            "id" if !value.contains('\0') => self.next_id = Some(value.to_owned()),
            "retry" if !value.is_empty() && value.bytes().all(|digit| digit.is_ascii_digit()) => {
                self.retry = value.parse().ok().map(Duration::from_millis);
            }
            _ => {}
        }
        Ok(())
    }

    fn dispatch(&mut self, heard: &mut impl FnMut(Item)) {
        if let Some(id) = self.next_id.take() {
            self.id = Some(id);
        }
        let (name, data) = (std::mem::take(&mut self.name), std::mem::take(&mut self.data));
        if std::mem::take(&mut self.has_data) {
            let name = if name.is_empty() { "message".to_owned() } else { name };
            heard(Item::Event { name, data });
        }
    }
}

/// Takes bytes for a stream, whole and in two pieces.
#[cfg(any(test, fuzzing))]
pub(in crate::protocol) fn parse(bytes: &[u8]) {
    let (begin, rest) = bytes.split_at(bytes.len() / 2);
    for pieces in [&[bytes][..], &[begin, rest]] {
        let mut parser = Parser::default();
        let mut feed = pieces.iter().map(|piece| parser.feed(piece, |_| {}));
        let _ = feed.try_for_each(|fed| fed);
    }
}

#[cfg(test)]
#[path = "parser_tests.rs"]
mod tests;
