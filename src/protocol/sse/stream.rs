//! An open stream of events: the request, what its answer has to be, and then one thing heard after the other. For every
//! protocol that streams this way.

use std::{collections::VecDeque, time::Duration};

use http::{Response, header};
use tokio::time::Instant;

use super::parser::{Item, Parser};
use crate::{
    model::{Failure, Kind, Phase},
    protocol::{
        Attempt, End, head,
        http::{Body, Caller, Line, Order},
    },
};

/// Things heard that nobody has asked for yet.
const WAITING_AT_MOST: usize = 1024;

/// An open stream of events.
pub(in crate::protocol) struct EventStream {
    line: Line,
    body: Body,
    parser: Parser,
    waiting: VecDeque<Item>,
    last_heard: Instant,
}

impl EventStream {
    /// Asks for the stream; stands in [`Phase::Transfer`] afterwards. The order should accept `text/event-stream`.
    ///
    /// # Errors
    /// Why there is no stream: another status, another kind of answer.
    pub(in crate::protocol) async fn open(
        attempt: &mut Attempt,
        caller: &Caller,
        order: &Order,
    ) -> Result<Self, Failure> {
        let (line, answer, _) = caller.open(attempt, order).await?;
        judge(&answer)?;
        let (parser, waiting) = (Parser::default(), VecDeque::new());
        Ok(Self { line, body: answer.into_body(), parser, waiting, last_heard: Instant::now() })
    }

    /// The next thing that is heard, within an attempt.
    ///
    /// # Errors
    /// How the stream ended.
    pub(in crate::protocol) async fn heard(&mut self, attempt: &mut Attempt) -> Result<Item, Failure> {
        loop {
            if let Some(item) = self.waiting.pop_front() {
                return Ok(item);
            }
            let piece = self.line.next(attempt, &mut self.body).await;
            self.take(piece).map_err(|end| end.failure)?;
        }
    }

    /// The same outside of any attempt. Dropping the future loses nothing.
    ///
    /// # Errors
    /// How the stream ended.
    pub(in crate::protocol) async fn read(&mut self) -> Result<Item, End> {
        loop {
            if let Some(item) = self.waiting.pop_front() {
                return Ok(item);
            }
            let piece = self.line.read_on(&mut self.body).await;
            self.take(piece)?;
        }
    }

    fn take(&mut self, piece: Result<Option<bytes::Bytes>, Failure>) -> Result<(), End> {
        let not_on_purpose = |failure| End { failure, on_purpose: false };
        let Some(piece) = piece.map_err(not_on_purpose)? else {
            let failure = Failure::new(Phase::Transfer, Kind::ClosedEarly, "the server ended the stream");
            return Err(End { failure, on_purpose: true });
        };
        let waiting = &mut self.waiting;
        let mut heard = false;
        let fed = self.parser.feed(&piece, |item| {
            heard = true;
            if waiting.len() < WAITING_AT_MOST {
                waiting.push_back(item);
            }
        });
        if heard {
            self.last_heard = Instant::now();
        }
        fed.map_err(|_| {
            let detail = "a line or an event of more than 64 KiB";
            not_on_purpose(Failure::new(Phase::Transfer, Kind::BodyTooLarge, detail))
        })
    }

    /// For how long nothing has been heard.
    pub(in crate::protocol) fn silence(&self) -> Duration {
        self.last_heard.elapsed()
    }

    /// The id of the last event that had one.
    pub(in crate::protocol) fn last_id(&self) -> Option<&str> {
        self.parser.last_id()
    }

    /// How long the server asks us to wait before we come back.
    pub(in crate::protocol) fn retry(&self) -> Option<Duration> {
        self.parser.retry()
    }

    /// Begins an attempt on this stream, which was open already.
    pub(in crate::protocol) fn resume(&self, attempt: &mut Attempt) {
        self.line.note(attempt);
    }

    /// Has the kernel ask whether the other end is there, since on a stream that goes one way nobody else can.
    pub(in crate::protocol) fn keep_alive(&self) {
        self.line.keep_alive();
    }
}

fn judge(answer: &Response<Body>) -> Result<(), Failure> {
    let status = answer.status();
    if status != http::StatusCode::OK {
        let other = || {
            let detail = format!("answered {} instead of a stream of events", status.as_u16());
            Failure::new(Phase::FirstByte, Kind::StatusUnexpected, detail)
        };
        return Err(head::refusal(Phase::FirstByte, status).unwrap_or_else(other));
    }
    let kind = answer.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("text/event-stream") {
        return Ok(());
    }
    let what = if essence.eq_ignore_ascii_case("text/html") { "a page" } else { "something else" };
    let detail = format!("answered {what} instead of text/event-stream");
    Err(Failure::new(Phase::FirstByte, Kind::BodyUnexpected, detail))
}
