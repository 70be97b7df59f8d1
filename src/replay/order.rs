//! The order in which observations came to be known, where a file has another one. What was received long after it was
//! due waits here until the trace has come to that instant; what no honest clock says does not move the clock. Bounded:
//! when too much waits, the first of it is taken early.

use std::{cmp::Reverse, collections::BinaryHeap, ops::Range};

use crate::model::Timestamp;

/// Microseconds since 1970, or between two instants: asked for with every line.
type Micros = i64;

const SECOND: Micros = 1_000_000;
/// An observation may be known so much later than those around it and is still taken at once.
const SLACK: Micros = 5 * SECOND;
/// A trace that goes on so much later has a gap, or one line is wrong: the next lines tell.
const LEAP: Micros = 3_600 * SECOND;
/// So many lines in a row are not wrong.
const AGREED: usize = 8;
/// Nothing is delivered so much earlier or later; whoever says so does not know the time.
const DELIVERED: Range<Micros> = -86_400 * SECOND..7 * 86_400 * SECOND;
/// The years in which we could live, 2000 to 2099.
const OURS: Range<Micros> = 946_684_800 * SECOND..4_102_444_800 * SECOND;
/// Lines that wait, and their bytes, at most.
const ROOM: (usize, usize) = (100_000, 64 << 20);

/// When a line is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Now, as known at this instant.
    Now(Timestamp),
    /// It waits until this instant: hand it over.
    Later {
        /// When it was known.
        known_at: Timestamp,
        /// The instant that it tells of.
        at: Micros,
    },
    /// Never: it was due in no year that we could live in.
    Never,
}

/// A line that waits.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Held {
    pub(super) known_at: Timestamp,
    pub(super) number: u64,
    pub(super) line: Box<[u8]>,
    at: Micros,
}

/// Where a trace has come to.
#[derive(Debug, Default)]
pub(super) struct Order {
    waiting: BinaryHeap<Reverse<Held>>,
    bytes: usize,
    frontier: Option<Micros>,
    /// Lines in a row that are far ahead of the frontier.
    leap: Vec<Micros>,
}

impl Order {
    /// When a line is to be taken that was due and, perhaps, received at these instants.
    pub(super) fn turn(&mut self, scheduled_at: Timestamp, received_at: Option<Timestamp>) -> Turn {
        let due = scheduled_at.timestamp_micros();
        if !OURS.contains(&due) {
            return Turn::Never;
        }
        let received = received_at.map(|at| (at, at.timestamp_micros()));
        let received = received.filter(|(_, received)| DELIVERED.contains(&(received - due)));
        let (known_at, known) = received.unwrap_or((scheduled_at, due));
        // A clock that is ahead makes what was due later than received, never what was received later than it was.
        let at = known.min(due);
        let Some(frontier) = self.frontier else {
            self.leap.push(at);
            if self.leap.len() > AGREED {
                self.leap.sort_unstable();
                self.frontier = self.leap.get(AGREED / 2).copied();
                self.leap.clear();
            }
            return Turn::Later { known_at, at };
        };
        if at - frontier > LEAP {
            self.leap.push(at);
            if self.leap.len() > AGREED {
                self.frontier = self.leap.iter().min().copied();
                self.leap.clear();
            }
            return Turn::Later { known_at, at };
        }
        self.leap.clear();
        let frontier = frontier.max(at);
        self.frontier = Some(frontier);
        if known - frontier <= SLACK { Turn::Now(known_at) } else { Turn::Later { known_at, at } }
    }

    /// Keeps a line until its time has come; gives back what finds no room any more.
    pub(super) fn hold(&mut self, known_at: Timestamp, at: Micros, number: u64, line: &[u8]) -> Option<Held> {
        self.bytes += line.len();
        self.waiting.push(Reverse(Held { known_at, number, line: line.into(), at }));
        if self.waiting.len() > ROOM.0 || self.bytes > ROOM.1 { self.pop() } else { None }
    }

    /// The first line that waits and was known by an instant.
    pub(super) fn ready(&mut self, by: Timestamp) -> Option<Held> {
        if self.waiting.peek().is_some_and(|Reverse(first)| first.known_at <= by) { self.pop() } else { None }
    }

    /// Nothing more comes: the lines that wait, in their order; and whether the trace ever came near to them.
    pub(super) fn rest(&mut self) -> Option<(Held, bool)> {
        let leap = std::mem::take(&mut self.leap);
        if self.frontier.is_none() || leap.len() > 1 {
            self.frontier = self.frontier.max(leap.into_iter().max());
        }
        let held = self.pop()?;
        let believed = self.frontier.is_some_and(|frontier| held.at - frontier <= LEAP);
        Some((held, believed))
    }

    fn pop(&mut self) -> Option<Held> {
        let Reverse(held) = self.waiting.pop()?;
        self.bytes -= held.line.len();
        Some(held)
    }
}
