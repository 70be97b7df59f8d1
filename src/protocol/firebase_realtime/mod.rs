//! The `firebase_realtime` check: a Realtime Database by the ways that its clients take: WebSocket (protocol version 5),
//! long polling, server-sent events and REST. Without a credential it sees whether the provider answers.

mod ask;
mod file;
mod frames;
mod script;
mod stream;
mod talk;
mod words;

use std::{
    pin::Pin,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use url::Url;

use file::{FirebaseRealtimeFile, Transport};

use super::{
    Attempt, Check, Ending, Hold, Ip, Looking, Opening, Problem, Protocol, Secure, Session,
    delivery::{Ledger, Moment},
    firebase::{self, AuthFile, Credential, Place, Token},
    head,
    http::Caller,
    ws::Call,
};
use crate::{
    model::{Failure, Kind, Phase},
    net::Net,
};
use stream::Flow;
use talk::Talk;

/// Redirects that are followed: from the namespace to its server's host.
const REDIRECTS: u32 = 5;

/// A message that has not come after this time is lost.
const PATIENCE: Duration = Duration::from_secs(10);

/// Without traffic for so long, the SDKs say something.
const KEEP_ALIVE: Duration = Duration::from_secs(45);

/// The check.
pub struct FirebaseRealtime {
    ways: Arc<Ways>,
    ledger: OnceLock<Arc<Mutex<Ledger>>>,
    file: FirebaseRealtimeFile,
    net: Arc<Net>,
}

/// The ways to a database, prepared once.
struct Ways {
    transport: Transport,
    /// Scheme, host and port.
    base: Url,
    namespace: String,
    /// Whether the host alone does not say which database is meant.
    names_it: bool,
    /// What is read, where nothing is written.
    path: String,
    caller: Caller,
    /// TLS for WebSocket.
    secure: Option<Secure>,
    ip: Ip,
    credential: Option<Credential>,
    /// What is listened to.
    listen: Option<String>,
    /// Whether a message is written there and waited for.
    round_trip: bool,
}

impl Ways {
    /// Who we are, where we are anybody.
    async fn token(&self, attempt: &Attempt) -> Result<Option<Token>, Failure> {
        match &self.credential {
            Some(credential) => credential.token(attempt).await.map(Some),
            None => Ok(None),
        }
    }

    /// A token that was refused is not tried again.
    fn refused(&self, failure: &Failure) {
        if let (Kind::Unauthorized, Some(credential)) = (failure.kind, &self.credential) {
            credential.forget();
        }
    }

    /// The place where WebSockets are taken, on the database's own host or on another that its server names.
    fn call(&self, host: Option<&str>) -> Result<Call, Failure> {
        let mut url = self.elsewhere(host)?;
        url.set_path("/.ws");
        url.query_pairs_mut().append_pair("v", "5");
        if self.names_it || host.is_some() {
            url.query_pairs_mut().append_pair("ns", &self.namespace);
        }
        let ours = |problem: Problem| firebase::ours(problem.message);
        let mut call =
            Call::new(&url, self.ip, head::headers(&Default::default()).map_err(ours)?, &[]).map_err(ours)?;
        call.elsewhere = host.is_some();
        Ok(call)
    }

    /// The base, or the same on a host that a server names.
    fn elsewhere(&self, host: Option<&str>) -> Result<Url, Failure> {
        let Some(host) = host else { return Ok(self.base.clone()) };
        let nowhere = || Failure::new(Phase::Exchange, Kind::RedirectLimit, "sent on to something that is no host");
        let default_port = self.base.port_or_known_default();
        let endpoint = super::Endpoint::parse(host, default_port, self.ip).map_err(|_| nowhere())?;
        format!("{}://{endpoint}", self.base.scheme()).parse().map_err(|_| nowhere())
    }

    /// How the way is shown.
    fn shown(&self) -> String {
        let mut url = self.base.clone();
        match self.transport {
            Transport::Websocket => {
                let scheme = if url.scheme() == "https" { "wss" } else { "ws" };
                url.set_path("/.ws");
                return Place::shown(&url).replacen(self.base.scheme(), scheme, 1);
            }
            Transport::LongPoll => url.set_path("/.lp"),
            Transport::Sse | Transport::Rest => url.set_path(&format!("{}.json", self.read_path())),
        }
        Place::shown(&url)
    }

    /// What is read over REST.
    fn read_path(&self) -> &str {
        let path = self.listen.as_deref().unwrap_or(&self.path);
        if path.is_empty() { "/" } else { path }
    }
}

impl FirebaseRealtime {
    /// The ledger of the vantage point: the same for all attempts but those that stand by themselves.
    fn ledger(&self, attempt: &Attempt) -> Option<Arc<Mutex<Ledger>>> {
        let new = || Arc::new(Mutex::new(Ledger::new(&attempt.vantage, PATIENCE, Moment::now())));
        if !self.ways.round_trip {
            None
        } else if attempt.alone {
            Some(new())
        } else {
            Some(Arc::clone(self.ledger.get_or_init(new)))
        }
    }

    async fn run(&self, attempt: &mut Attempt) -> Result<(), Failure> {
        let ledger = self.ledger(attempt);
        let ways = &self.ways;
        match ways.transport {
            Transport::Websocket => {
                let mut talk = Talk::open(ways, attempt, ledger).await?;
                let done = talk.round_trip(ways, attempt).await;
                talk.leave(ways, attempt).await;
                done
            }
            Transport::LongPoll => ask::start(ways, attempt).await,
            Transport::Rest => ask::rest(ways, attempt, ledger).await,
            Transport::Sse => {
                let Some(mut flow) = Flow::open(ways, attempt, ledger).await? else { return Ok(()) };
                let done = flow.round_trip(ways, attempt).await;
                flow.leave(ways, attempt).await;
                done
            }
        }
    }
}

impl FirebaseRealtime {
    /// A stream of events to hold.
    async fn open_flow(&self, attempt: &mut Attempt) -> Result<Box<dyn Session>, Failure> {
        let mut flow = Flow::open(&self.ways, attempt, self.ledger(attempt)).await?.ok_or_else(|| {
            let detail = "without a credential there is nothing to listen to";
            Failure::new(Phase::FirstByte, Kind::Unauthorized, detail)
        })?;
        flow.round_trip(&self.ways, attempt).await?;
        Ok(Box::new(stream::Held { flow, ways: Arc::clone(&self.ways) }))
    }
}

impl Check for FirebaseRealtime {
    fn key(&self) -> &'static str {
        Self::KEY
    }

    fn target(&self) -> String {
        self.ways.shown()
    }

    fn without_credential(&self) -> Option<Arc<dyn Check>> {
        self.ways.credential.as_ref()?;
        let bare = FirebaseRealtimeFile { auth: AuthFile::default(), round_trip: None, ..self.file.clone() };
        Some(Arc::new(Self::build(&bare, &self.net).ok()?))
    }

    fn look<'a>(&'a self, attempt: &'a mut Attempt) -> Looking<'a> {
        Box::pin(async move {
            let looked = self.run(attempt).await;
            attempt.let_go();
            looked
        })
    }

    fn hold(&self) -> Option<&dyn Hold> {
        matches!(self.ways.transport, Transport::Websocket | Transport::Sse).then_some(self as &dyn Hold)
    }
}

impl Hold for FirebaseRealtime {
    fn open<'a>(&'a self, attempt: &'a mut Attempt) -> Opening<'a> {
        Box::pin(async move {
            if self.ways.transport == Transport::Sse {
                return self.open_flow(attempt).await;
            }
            let mut talk = Talk::open(&self.ways, attempt, self.ledger(attempt)).await?;
            talk.round_trip(&self.ways, attempt).await?;
            Ok(Box::new(Held { talk, ways: Arc::clone(&self.ways) }) as Box<dyn Session>)
        })
    }
}

/// An open connection by WebSocket.
struct Held {
    talk: Talk,
    ways: Arc<Ways>,
}

impl Session for Held {
    fn ping<'a>(&'a mut self, attempt: &'a mut Attempt) -> Looking<'a> {
        Box::pin(async move {
            self.talk.resume(attempt);
            let asked = if self.ways.round_trip {
                self.talk.round_trip(&self.ways, attempt).await
            } else {
                self.talk.ping(attempt).await
            };
            asked.inspect_err(|failure| self.ways.refused(failure))
        })
    }

    fn ended(&mut self) -> Ending<'_> {
        Box::pin(async move {
            let end = self.talk.ended(KEEP_ALIVE).await;
            self.ways.refused(&end.failure);
            end
        })
    }

    fn close(self: Box<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(self.talk.close())
    }
}

/// Takes bytes for frames, a line each, and for a script.
#[cfg(any(test, fuzzing))]
pub(super) fn parse(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = script::read(&text);
    let mut frames = frames::Frames::default();
    for line in text.lines() {
        let Ok(whole) = frames.push(line) else { return };
        if let Some(message) = whole {
            let _ = words::Said::read(&message);
        }
    }
}
