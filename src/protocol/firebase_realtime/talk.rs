//! A connection by WebSocket: the hello, the host that a server sends us on to, who we are, what we listen to, and a
//! message that is written and waited for. Every end of it is told as an [`End`].

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    Ways,
    frames::{Frames, split},
    words::{Ask, KEEP_ALIVE, PING, Said, breach, refused},
};
use crate::{
    model::{Failure, Kind, Phase},
    protocol::{
        Attempt, End,
        delivery::{Heard, Ledger, Moment, own_key},
        firebase::Token,
        ws::{Message, WebSocket},
    },
};

/// How often a server may send us on to another one.
const HOPS: u32 = 5;

/// A control ping is answered at some cost: not more often than this.
const PING_EVERY: Duration = Duration::from_secs(60);

/// An open connection that is ready to work.
pub(super) struct Talk {
    socket: WebSocket,
    frames: Frames,
    requests: u64,
    ledger: Option<Arc<Mutex<Ledger>>>,
    /// Paths of the values that are listened to begin so.
    below: String,
    /// Whether what comes is news, and not what was there before.
    is_news: bool,
    /// The newest message of our own that has arrived.
    own: Option<u64>,
    asked: Option<Instant>,
    /// Whether the server answers control pings, where that is known.
    answers: Option<bool>,
}

impl Talk {
    /// Opens a connection, up to where the server says that we listen.
    pub(super) async fn open(
        ways: &Ways,
        attempt: &mut Attempt,
        ledger: Option<Arc<Mutex<Ledger>>>,
    ) -> Result<Self, Failure> {
        let token = ways.token(attempt).await?;
        let mut host: Option<String> = None;
        for _ in 0..=HOPS {
            let call = ways.call(host.as_deref())?;
            let socket = call.open(attempt, ways.secure.as_ref()).await?;
            let mut talk = Self {
                socket,
                frames: Frames::default(),
                requests: 0,
                ledger: ledger.clone(),
                below: String::new(),
                is_news: false,
                own: None,
                asked: None,
                answers: None,
            };
            match attempt.phase(Phase::Exchange, "hello", talk.hello()).await? {
                None => {
                    talk.prepare(ways, attempt, token.as_ref()).await?;
                    return Ok(talk);
                }
                Some(other) => {
                    talk.socket.part();
                    host = Some(other);
                }
            }
        }
        let detail = format!("sent on to another host more than {HOPS} times");
        Err(Failure::new(Phase::Exchange, Kind::RedirectLimit, detail))
    }

    /// Waits for the hello; another host, where the server sends us on.
    async fn hello(&mut self) -> Result<Option<String>, Failure> {
        loop {
            match self.said().await? {
                Said::Hello => return Ok(None),
                Said::Reset(host) => return Ok(Some(host)),
                other => self.take_in(other)?,
            }
        }
    }

    /// Says who we are, and listens.
    async fn prepare(&mut self, ways: &Ways, attempt: &mut Attempt, token: Option<&Token>) -> Result<(), Failure> {
        if let Some(token) = token {
            let ask = Ask::Auth { token: token.text.reveal(), is_oauth: token.is_oauth };
            let asked = self.ask(ask, "auth");
            if let Err(failure) = attempt.phase(Phase::Exchange, "answer to the sign-in", asked).await {
                ways.refused(&failure);
                return Err(failure);
            }
        }
        let Some(path) = &ways.listen else { return Ok(()) };
        path.trim_matches('/').clone_into(&mut self.below);
        let asked = self.ask(Ask::Listen { path }, "listen");
        let listening = attempt.phase(Phase::Exchange, "answer to the listen", asked).await;
        self.is_news = true;
        match listening {
            // A stranger who is turned away has met the provider.
            Err(failure) if failure.kind == Kind::Unauthorized && token.is_none() && !ways.round_trip => {}
            other => other?,
        }
        if ways.round_trip {
            let path = own_path(ways, attempt);
            self.request(Ask::RemoveAtEnd { path: &path }).await?;
        }
        Ok(())
    }

    /// Writes a message and waits until it has come back to us who listen.
    pub(super) async fn round_trip(&mut self, ways: &Ways, attempt: &mut Attempt) -> Result<(), Failure> {
        let Some(ledger) = self.ledger.clone() else { return Ok(()) };
        let path = own_path(ways, attempt);
        attempt.enter(Phase::Exchange, "message of our own");
        let done = self.deliver(&ledger, &path, attempt).await;
        attempt.leave();
        attempt.facts.arrivals = lock(&ledger).take(Moment::now());
        done
    }

    async fn deliver(&mut self, ledger: &Mutex<Ledger>, path: &str, attempt: &mut Attempt) -> Result<(), Failure> {
        let letter = lock(ledger).write(Moment::now());
        let value = stamped(&letter.text);
        let number = match self.request(Ask::Put { path, value }).await {
            Ok(number) => number,
            Err(end) => {
                lock(ledger).unsent(letter.number);
                return Err(end.failure);
            }
        };
        while self.own < Some(letter.number) {
            match self.said().await? {
                Said::Reply { number: answered, status } if answered == number => {
                    if status != "ok" {
                        lock(ledger).unsent(letter.number);
                        return Err(refused(&status, "put"));
                    }
                    let detail = "the write was confirmed, and whoever listens was not told of it";
                    attempt.condemn(Failure::new(Phase::Exchange, Kind::NotDelivered, detail));
                }
                other => self.take_in(other)?,
            }
        }
        Ok(())
    }

    /// Asks whether the server is there, in its own words where it knows them, else in those of WebSocket.
    pub(super) async fn ping(&mut self, attempt: &mut Attempt) -> Result<(), Failure> {
        let before = *attempt.phases();
        let is_time = self.asked.is_none_or(|asked| asked.elapsed() >= PING_EVERY);
        if is_time && self.answers != Some(false) {
            self.asked = Some(Instant::now());
            attempt.enter(Phase::Exchange, "answer to the ping");
            let left = attempt.deadline.saturating_duration_since(Instant::now());
            // Some servers do not know it: then there is time to ask otherwise.
            let patience = if self.answers == Some(true) { left } else { left / 2 };
            match tokio::time::timeout(patience, self.control_ping()).await {
                Ok(answered) => {
                    attempt.leave();
                    answered?;
                    self.answers = Some(true);
                    return Ok(());
                }
                Err(_) if self.answers == Some(true) => return Err(attempt.timed_out()),
                Err(_) => attempt.back_to(before),
            }
        }
        let mut read = Vec::new();
        let asked = async { Ok(self.socket.ping(|message| keep(&mut read, message)).await?) };
        attempt.phase(Phase::Exchange, "pong", asked).await?;
        if is_time && self.answers.is_none() {
            self.answers = Some(false);
        }
        for message in read {
            if let Some(said) = self.understand(message)? {
                self.take_in(said)?;
            }
        }
        Ok(())
    }

    async fn control_ping(&mut self) -> Result<(), Failure> {
        self.socket.send_text(PING).await?;
        loop {
            match self.said().await? {
                Said::Pong => return Ok(()),
                other => self.take_in(other)?,
            }
        }
    }

    /// Takes in what comes, and keeps the connection from looking idle, until it ends.
    pub(super) async fn ended(&mut self, keep_alive: Duration) -> End {
        loop {
            let ended = match tokio::time::timeout(keep_alive, self.said()).await {
                Ok(Ok(said)) => self.take_in(said),
                Ok(Err(end)) => Err(end),
                Err(_) => self.socket.send_text(KEEP_ALIVE).await,
            };
            if let Err(end) = ended {
                return end;
            }
        }
    }

    /// Takes its leave, without a trace of what was written. Waits for nothing.
    pub(super) async fn leave(mut self, ways: &Ways, attempt: &Attempt) {
        if ways.round_trip {
            let path = own_path(ways, attempt);
            let _ = self.request(Ask::Put { path: &path, value: Value::Null }).await;
        }
        self.socket.part();
    }

    /// The same of a session, whose server removes what was written when it ends.
    pub(super) async fn close(mut self) {
        self.socket.close().await;
    }

    /// Begins an attempt on this connection.
    pub(super) fn resume(&self, attempt: &mut Attempt) {
        self.socket.resume(attempt);
    }

    /// Sends a request and waits for its answer.
    async fn ask(&mut self, ask: Ask<'_>, name: &str) -> Result<(), Failure> {
        let number = self.request(ask).await?;
        loop {
            match self.said().await? {
                Said::Reply { number: answered, status } if answered == number => {
                    return if status == "ok" { Ok(()) } else { Err(refused(&status, name)) };
                }
                other => self.take_in(other)?,
            }
        }
    }

    /// Sends a request; its number.
    async fn request(&mut self, ask: Ask<'_>) -> Result<u64, End> {
        self.requests += 1;
        for frame in split(&ask.write(self.requests)) {
            self.socket.send_text(&frame).await?;
        }
        Ok(self.requests)
    }

    /// What the server says next. Dropping the future loses nothing.
    async fn said(&mut self) -> Result<Said, End> {
        loop {
            let message = self.socket.read().await?;
            if let Some(said) = self.understand(message)? {
                return Ok(said);
            }
        }
    }

    fn understand(&mut self, message: Message) -> Result<Option<Said>, End> {
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(_) => return Err(unplanned(breach("bytes where text was due"))),
            Message::Pong(_) => return Ok(None),
        };
        let whole = self.frames.push(&text).map_err(unplanned)?;
        whole.map(|text| Said::read(&text)).transpose().map_err(unplanned)
    }

    /// What was said means this to a connection that waits for nothing in particular.
    fn take_in(&mut self, said: Said) -> Result<(), End> {
        let (kind, words, on_purpose) = match said {
            Said::Change { path, now } => {
                self.hear(&path, &now);
                return Ok(());
            }
            Said::Hello | Said::Pong | Said::Reply { .. } | Said::Other => return Ok(()),
            Said::Reset(_) => (Kind::ClosedEarly, "the server moves us to another one", true),
            Said::Shutdown => (Kind::NotServing, "the server shuts down, and clients do not come back", false),
            Said::Complaint => (Kind::ProtocolError, "the server complains of what was sent", false),
            Said::ListenRevoked => (Kind::Unauthorized, "nobody may listen there any more", false),
            Said::AuthRevoked { expired: true } => (Kind::Unauthorized, "the token's life is over", true),
            Said::AuthRevoked { expired: false } => (Kind::Unauthorized, "the credential was revoked", false),
        };
        Err(End { failure: Failure::new(Phase::Exchange, kind, words), on_purpose })
    }

    /// Notes a message that was written below the path that we listen to.
    fn hear(&mut self, path: &str, now: &Value) {
        let (Some(ledger), true) = (&self.ledger, self.is_news) else { return };
        self.own = self.own.max(hear(ledger, path.trim_matches('/') == self.below, now));
    }
}

/// Notes the message in a value, or, where it is what is listened to as a whole, those in each of its fields. The newest
/// of our own.
pub(super) fn hear(ledger: &Mutex<Ledger>, is_whole: bool, now: &Value) -> Option<u64> {
    let mut ledger = lock(ledger);
    let mut own = None;
    let mut hear = |value: &Value| {
        if value.is_object()
            && let Heard::Own(number) = ledger.hear(value.to_string().as_bytes(), Moment::now())
        {
            own = own.max(Some(number));
        }
    };
    if is_whole {
        now.as_object().into_iter().flatten().for_each(|(_, value)| hear(value));
    } else {
        hear(now);
    }
    own
}

/// The messages of a while, as many as can matter.
fn keep(read: &mut Vec<Message>, message: Message) {
    if read.len() < 1000 {
        read.push(message);
    }
}

fn unplanned(failure: Failure) -> End {
    End { failure, on_purpose: false }
}

pub(super) fn lock(ledger: &Mutex<Ledger>) -> std::sync::MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where this vantage point writes.
pub(super) fn own_path(ways: &Ways, attempt: &Attempt) -> String {
    format!("{}/{}", ways.listen.as_deref().unwrap_or_default().trim_end_matches('/'), own_key(&attempt.vantage))
}

/// A message with the time of the server that takes it.
pub(super) fn stamped(letter: &str) -> Value {
    let mut value: Value = serde_json::from_str(letter).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.insert("taken".to_owned(), json!({".sv": "timestamp"}));
    }
    value
}
