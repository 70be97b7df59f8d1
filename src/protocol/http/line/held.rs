//! A connection whose answer does not end: it is read while no attempt is under way.

use std::{future::poll_fn, pin::pin};

use bytes::Bytes;
use http_body_util::BodyExt as _;

use super::{Body, Line, Link};
use crate::{
    model::{Connection, Failure, Phase},
    net::classify,
    protocol::Attempt,
};

impl Line {
    /// The next piece of a body, outside of any attempt; `None` at its end. Dropping the future loses nothing.
    pub(in crate::protocol) async fn read_on(&mut self, body: &mut Body) -> Result<Option<Bytes>, Failure> {
        let body = match body {
            Body::Stream(body) => body,
            #[cfg(feature = "http3")]
            Body::Quic(body) => return super::quic::next(body).await,
        };
        loop {
            let mut frame = pin!(body.frame());
            let link = &mut self.link;
            let read = poll_fn(|cx| {
                if let Link::Http1(_, driver) = link {
                    driver.poll(cx);
                }
                frame.as_mut().poll(cx)
            });
            match read.await {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(piece) = frame.into_data() {
                        return Ok(Some(piece));
                    }
                }
                Some(Err(error)) => return Err(classify::http(Phase::Transfer, &error)),
            }
        }
    }

    /// Notes in an attempt which connection it is on: one that was open already.
    pub(in crate::protocol) fn note(&self, attempt: &mut Attempt) {
        attempt.facts.connection = Connection::Warm;
        attempt.facts.peer = self.peer;
        if let Some(socket) = &self.socket {
            attempt.watch(socket.clone());
        }
    }

    /// Has the kernel ask whether the other end is there when nothing comes.
    pub(in crate::protocol) fn keep_alive(&self) {
        if let Some(socket) = &self.socket {
            socket.keep_alive();
        }
    }
}
