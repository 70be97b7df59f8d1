//! Listening by server-sent events: what is there, then every change of it, over an answer of HTTP that does not end. What
//! is written meanwhile goes by REST.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::Method;
use serde_json::Value;

use super::{
    Ways,
    talk::{hear, lock, own_path, stamped},
};
use crate::{
    model::{Failure, Kind, Phase},
    protocol::{
        Attempt, End, Ending, Looking, Session,
        delivery::{Ledger, Moment},
        firebase::{self, Token},
        sse::{EventStream, Item},
    },
};

/// The provider says something every half a minute: silence for longer is none of its habits.
const SILENCE_AT_MOST: Duration = Duration::from_secs(75);

/// What only the provider calls its events by.
const ACCEPT: &str = "text/event-stream";

/// A stream of changes.
pub(super) struct Flow {
    events: EventStream,
    token: Option<Token>,
    ledger: Option<Arc<Mutex<Ledger>>>,
    is_news: bool,
    own: Option<u64>,
}

impl Flow {
    /// Opens the stream, up to its first event. `None`: a stranger was turned away in the provider's own words.
    pub(super) async fn open(
        ways: &Ways,
        attempt: &mut Attempt,
        ledger: Option<Arc<Mutex<Ledger>>>,
    ) -> Result<Option<Self>, Failure> {
        let token = ways.token(attempt).await?;
        let order = |accept| {
            let (path, none) = (ways.read_path(), String::new());
            ways.order_accepting(Method::GET, path, token.as_ref(), &[], none, Some(accept))
        };
        let opened = EventStream::open(attempt, &ways.caller, &order(ACCEPT)?).await;
        let events = match opened {
            // Whoever turned a stranger away is asked once more, for the words in which.
            Err(failure) if failure.kind == Kind::Unauthorized && token.is_none() && !ways.round_trip => {
                let answer = ways.caller.ask(attempt, &order("application/json")?).await?;
                return firebase::is_alive(&answer).map(|()| None);
            }
            Err(failure) => {
                ways.refused(&failure);
                return Err(failure);
            }
            Ok(events) => events,
        };
        let mut flow = Self { events, token, ledger, is_news: false, own: None };
        attempt.enter(Phase::Transfer, "first event");
        while !flow.is_news {
            let item = flow.events.heard(attempt).await?;
            flow.is_news = matches!(&item, Item::Event { name, .. } if name == "put");
            flow.understand(item, false)?;
        }
        attempt.leave();
        Ok(Some(flow))
    }

    /// Writes a message by REST, and waits until the stream tells of it.
    pub(super) async fn round_trip(&mut self, ways: &Ways, attempt: &mut Attempt) -> Result<(), Failure> {
        let Some(ledger) = self.ledger.clone() else { return Ok(()) };
        let letter = lock(&ledger).write(Moment::now());
        let done = self.deliver(ways, attempt, &letter.text, letter.number).await;
        if done.as_ref().is_err_and(|failure| failure.kind != Kind::NotDelivered) {
            lock(&ledger).unsent(letter.number);
        }
        attempt.facts.arrivals = lock(&ledger).take(Moment::now());
        done
    }

    async fn deliver(&mut self, ways: &Ways, attempt: &mut Attempt, text: &str, number: u64) -> Result<(), Failure> {
        let (path, value) = (own_path(ways, attempt), stamped(text).to_string());
        let order = ways.order(Method::PUT, &path, self.token.as_ref(), &[("print", "silent")], value)?;
        firebase::is_success(&ways.caller.ask(attempt, &order).await?)?;
        let detail = "the write was confirmed, and whoever listens was not told of it";
        attempt.condemn(Failure::new(Phase::Exchange, Kind::NotDelivered, detail));
        self.events.resume(attempt);
        attempt.enter(Phase::Exchange, "message of our own");
        while self.own < Some(number) {
            let item = self.events.read().await.map_err(|end| end.failure)?;
            self.understand(item, true).map_err(|end| end.failure)?;
        }
        attempt.leave();
        Ok(())
    }

    /// Removes what was written.
    pub(super) async fn leave(self, ways: &Ways, attempt: &mut Attempt) {
        if self.ledger.is_some() {
            let path = own_path(ways, attempt);
            let none = String::new();
            if let Ok(order) = ways.order(Method::DELETE, &path, self.token.as_ref(), &[("print", "silent")], none) {
                // Left over it would do no harm: the next message takes its place.
                let _ = ways.caller.ask(attempt, &order).await;
            }
        }
    }

    fn understand(&mut self, item: Item, is_news: bool) -> Result<(), End> {
        let Item::Event { name, data } = item else { return Ok(()) };
        let (kind, words, on_purpose) = match name.as_str() {
            "put" | "patch" => {
                let breach = || End {
                    failure: Failure::new(Phase::Transfer, Kind::ProtocolError, "an event that is not the provider's"),
                    on_purpose: false,
                };
                let change: Value = serde_json::from_str(&data).map_err(|_| breach())?;
                let path = change.get("path").and_then(Value::as_str).ok_or_else(breach)?;
                if let (Some(ledger), true, Some(now)) = (&self.ledger, is_news, change.get("data")) {
                    self.own = self.own.max(hear(ledger, path == "/", now));
                }
                return Ok(());
            }
            "cancel" => (Kind::Unauthorized, "nobody may listen there any more", false),
            // A token lives for an hour, and this is how its end is told.
            "auth_revoked" => (Kind::Unauthorized, "the token's life is over", true),
            _ => return Ok(()),
        };
        Err(End { failure: Failure::new(Phase::Transfer, kind, words), on_purpose })
    }
}

/// A stream that is held.
pub(super) struct Held {
    pub(super) flow: Flow,
    pub(super) ways: Arc<Ways>,
}

impl Session for Held {
    /// With a message of our own; without one nobody can be asked on a stream that goes one way, and its silence is
    /// judged.
    fn ping<'a>(&'a mut self, attempt: &'a mut Attempt) -> Looking<'a> {
        Box::pin(async move {
            self.flow.events.resume(attempt);
            if self.ways.round_trip {
                let asked = self.flow.round_trip(&self.ways, attempt).await;
                return asked.inspect_err(|failure| self.ways.refused(failure));
            }
            attempt.enter(Phase::Transfer, "event");
            let silence = self.flow.events.silence();
            attempt.leave();
            if silence <= SILENCE_AT_MOST {
                return Ok(());
            }
            let detail = format!("nothing came for {} s, not even a keep-alive", silence.as_secs());
            Err(Failure::new(Phase::Transfer, Kind::TimedOut, detail))
        })
    }

    fn ended(&mut self) -> Ending<'_> {
        Box::pin(async move {
            loop {
                let read = self.flow.events.read().await;
                if let Err(end) = read.and_then(|item| self.flow.understand(item, true)) {
                    self.ways.refused(&end.failure);
                    return end;
                }
            }
        })
    }

    fn close(self: Box<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        // There is no other farewell than to hang up.
        Box::pin(async move { drop(self) })
    }
}
