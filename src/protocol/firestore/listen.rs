//! Listening to a document as clients do: `Listen` over gRPC on an HTTP/2 connection of our own, and, with `round_trip`, a
//! document that is committed and waited for.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use h2::{
    PingPong, RecvStream, SendStream,
    client::{ResponseFuture, SendRequest},
};
use http::{HeaderMap, Method, Request, header};
use tokio::task::AbortHandle;
use url::Url;

use super::message::{Frames, Heard, Target, commit, heard, listen};
use crate::{
    model::{Failure, Kind, Phase},
    net::classify,
    protocol::{
        Attempt, End, Ending, Endpoint, Looking, Secure, Session,
        delivery::{self, Ledger, Moment},
        firebase::{Credential, ours},
        link::Link,
    },
};

/// What the server may send ahead of our reading.
const WINDOW: u32 = 128 * 1024;

/// What is listened to and how, prepared once.
pub(super) struct Listening {
    pub(super) url: Url,
    pub(super) endpoint: Endpoint,
    pub(super) secure: Option<Secure>,
    /// `projects/P/databases/D`.
    pub(super) database: String,
    /// Path of the document, below the database's root.
    pub(super) document: String,
    /// The collection in which a message of ours is written and waited for.
    pub(super) round_trip: Option<String>,
    pub(super) credential: Option<Credential>,
    /// Whether being turned away is enough.
    pub(super) is_stranger: bool,
}

impl Listening {
    /// What is listened to, and the target's name that a stranger is turned away from.
    fn question(&self) -> Bytes {
        let root = format!("{}/documents", self.database);
        match &self.round_trip {
            Some(collection) => listen(&self.database, &Target::Collection(&root, collection)),
            None => listen(&self.database, &Target::Document(&format!("{root}/{}", self.document))),
        }
    }

    /// The document of this vantage point.
    fn own(&self, attempt: &Attempt) -> String {
        let collection = self.round_trip.as_deref().unwrap_or_default();
        format!("{}/documents/{collection}/{}", self.database, delivery::own_key(&attempt.vantage))
    }

    fn request(&self, method: &str, bearer: Option<&str>) -> Result<Request<()>, Failure> {
        let mut url = self.url.clone();
        url.set_path(&format!("/google.firestore.v1.Firestore/{method}"));
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(url.as_str())
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers")
            .header(header::USER_AGENT, concat!("usoryou/", env!("CARGO_PKG_VERSION")))
            .header("google-cloud-resource-prefix", &self.database);
        if let Some(bearer) = bearer {
            request = request.header(header::AUTHORIZATION, format!("Bearer {bearer}"));
        }
        request.body(()).map_err(|_| ours("the request cannot be sent like this".to_owned()))
    }

    /// Opens a connection and listens, up to where everything that was there has been told. `None`: a stranger was
    /// turned away in the provider's own words.
    pub(super) async fn open(
        self: &Arc<Self>,
        attempt: &mut Attempt,
        ledger: Option<Arc<Mutex<Ledger>>>,
    ) -> Result<Option<Talk>, Failure> {
        let token = match &self.credential {
            Some(credential) => Some(credential.token(attempt).await?),
            None => None,
        };
        let link = attempt.link(&self.endpoint, self.secure.as_ref()).await?;
        if let Link::Tls(stream) = &link
            && stream.get_ref().1.alpn_protocol() != Some(b"h2")
        {
            return Err(Failure::new(Phase::Tls, Kind::ProtocolError, "the server does not offer HTTP/2"));
        }
        attempt.enter(Phase::Request, "chance to finish the request");
        let wrong = |error: h2::Error| classify::http2(Phase::Request, &error);
        let (send, mut connection) = h2::client::Builder::new()
            .initial_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_header_list_size(64 * 1024)
            .enable_push(false)
            .handshake(link)
            .await
            .map_err(wrong)?;
        let ping = connection.ping_pong().ok_or_else(|| ours("no ping for this connection".to_owned()))?;
        let driver = Driver(tokio::spawn(async move { drop(connection.await) }).abort_handle());
        let bearer = token.map(|token| token.text);
        let request = self.request("Listen", bearer.as_ref().map(|token| token.reveal()))?;
        let mut send = send.ready().await.map_err(wrong)?;
        let (answer, mut upload) = send.send_request(request, false).map_err(wrong)?;
        upload.send_data(self.question(), false).map_err(wrong)?;
        attempt.enter(Phase::FirstByte, "answer");
        let (head, body) = answer.await.map_err(|error| classify::http2(Phase::FirstByte, &error))?.into_parts();
        attempt.note_head(head.status, &head.headers);
        is_grpc(head.status, &head.headers)?;
        let mut talk = Talk {
            listening: Arc::clone(self),
            bearer,
            send,
            ping,
            _upload: upload,
            body,
            frames: Frames::default(),
            ledger,
            is_news: false,
            own: None,
            _driver: driver,
        };
        attempt.enter(Phase::Exchange, "word that the listener is up to date");
        let settled = match code(&head.headers) {
            Some(code) => Err(refused(code)),
            None => talk.settle().await,
        };
        attempt.leave();
        match settled {
            // Of a stranger the provider knows neither who they are nor what they ask for.
            Err(Refused { is_word: true, .. }) if self.is_stranger => Ok(None),
            Err(refused) => {
                if let (Kind::Unauthorized, Some(credential)) = (refused.failure.kind, &self.credential) {
                    credential.forget();
                }
                Err(refused.failure)
            }
            Ok(()) => Ok(Some(talk)),
        }
    }
}

/// Why there is nothing to listen to; whether the server said so itself, in gRPC.
struct Refused {
    failure: Failure,
    is_word: bool,
}

impl From<End> for Refused {
    fn from(end: End) -> Self {
        Self { failure: end.failure, is_word: false }
    }
}

/// The task of a connection, which ends with it.
struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A listener.
pub(super) struct Talk {
    listening: Arc<Listening>,
    bearer: Option<crate::model::Secret>,
    send: SendRequest<Bytes>,
    ping: PingPong,
    /// The server would take its end for the wish to stop listening.
    _upload: SendStream<Bytes>,
    body: RecvStream,
    frames: Frames,
    ledger: Option<Arc<Mutex<Ledger>>>,
    /// Whether what comes is news, and not what was there before.
    is_news: bool,
    own: Option<u64>,
    _driver: Driver,
}

impl Talk {
    async fn settle(&mut self) -> Result<(), Refused> {
        loop {
            match self.next().await {
                Ok(Heard::Current) => break,
                Ok(Heard::Removed(code)) => return Err(refused(code)),
                Ok(_) => {}
                Err(Over::Status(code)) => return Err(refused(code)),
                Err(Over::End(end)) => return Err(end.into()),
            }
        }
        self.is_news = true;
        Ok(())
    }

    /// What is told next. Dropping the future loses nothing.
    async fn next(&mut self) -> Result<Heard, Over> {
        loop {
            if let Some(message) = self.frames.next().map_err(unplanned)? {
                let told = heard(&message).map_err(unplanned)?;
                if let (Heard::Changed(Some(text)), Some(ledger), true) = (&told, &self.ledger, self.is_news)
                    && let delivery::Heard::Own(number) = lock(ledger).hear(text.as_bytes(), Moment::now())
                {
                    self.own = self.own.max(Some(number));
                }
                return Ok(told);
            }
            match self.body.data().await {
                Some(Ok(piece)) => {
                    // What has been taken may be sent again; an error here is told by the next read.
                    let _ = self.body.flow_control().release_capacity(piece.len());
                    self.frames.push(&piece);
                }
                Some(Err(error)) => return Err(broken(&error)),
                None => {
                    let trailers = self.body.trailers().await.map_err(|error| broken(&error))?;
                    return Err(match trailers.as_ref().and_then(code) {
                        Some(code) => Over::Status(code),
                        None => unplanned(breach("the answer ended without the status of gRPC")),
                    });
                }
            }
        }
    }

    /// Writes a message and waits until whoever listens is told of it.
    pub(super) async fn round_trip(&mut self, attempt: &mut Attempt) -> Result<(), Failure> {
        let Some(ledger) = self.ledger.clone() else { return Ok(()) };
        let name = self.listening.own(attempt);
        attempt.enter(Phase::Exchange, "message of our own");
        let done = self.deliver(&ledger, &name, attempt).await;
        attempt.leave();
        attempt.facts.arrivals = lock(&ledger).take(Moment::now());
        done
    }

    async fn deliver(&mut self, ledger: &Mutex<Ledger>, name: &str, attempt: &mut Attempt) -> Result<(), Failure> {
        let letter = lock(ledger).write(Moment::now());
        let request = commit(&self.listening.database, name, Some(&letter.text));
        if let Err(failure) = self.commit(request).await {
            lock(ledger).unsent(letter.number);
            return Err(failure);
        }
        let detail = "the write was confirmed, and whoever listens was not told of it";
        attempt.condemn(Failure::new(Phase::Exchange, Kind::NotDelivered, detail));
        while self.own < Some(letter.number) {
            match self.next().await {
                Ok(Heard::Removed(code)) | Err(Over::Status(code)) => return Err(refused(code).failure),
                Ok(_) => {}
                Err(Over::End(end)) => return Err(end.failure),
            }
        }
        Ok(())
    }

    /// A call of its own on the same connection.
    async fn commit(&mut self, request: Bytes) -> Result<(), Failure> {
        let wrong = |error: h2::Error| classify::http2(Phase::Exchange, &error);
        let head = self.listening.request("Commit", self.bearer.as_ref().map(|token| token.reveal()))?;
        let mut send = self.send.clone().ready().await.map_err(wrong)?;
        let (answer, mut upload): (ResponseFuture, _) = send.send_request(head, false).map_err(wrong)?;
        upload.send_data(request, true).map_err(wrong)?;
        let (head, mut body) = answer.await.map_err(wrong)?.into_parts();
        is_grpc(head.status, &head.headers)?;
        let mut said = code(&head.headers);
        while let Some(piece) = body.data().await {
            let length = piece.map_err(wrong)?.len();
            let _ = body.flow_control().release_capacity(length);
        }
        if said.is_none() {
            said = body.trailers().await.map_err(wrong)?.as_ref().and_then(code);
        }
        match said {
            Some(0) => Ok(()),
            Some(code) => Err(refused(code).failure),
            None => Err(breach("the answer ended without the status of gRPC")),
        }
    }

    /// Removes what was written.
    pub(super) async fn leave(mut self, attempt: &Attempt) {
        if self.ledger.is_some() {
            let name = self.listening.own(attempt);
            let request = commit(&self.listening.database, &name, None);
            let little = std::time::Duration::from_secs(1)
                .min(attempt.deadline.saturating_duration_since(tokio::time::Instant::now()));
            let _ = tokio::time::timeout(little / 2, self.commit(request)).await;
        }
    }
}

impl Session for Talk {
    fn ping<'a>(&'a mut self, attempt: &'a mut Attempt) -> Looking<'a> {
        Box::pin(async move {
            attempt.facts.connection = crate::model::Connection::Warm;
            if self.ledger.is_some() {
                return self.round_trip(attempt).await;
            }
            let asked = async {
                let answered = self.ping.ping(h2::Ping::opaque()).await;
                answered.map(drop).map_err(|error| classify::http2(Phase::Exchange, &error))
            };
            attempt.phase(Phase::Exchange, "answer to the ping", asked).await
        })
    }

    fn ended(&mut self) -> Ending<'_> {
        Box::pin(async move {
            loop {
                match self.next().await {
                    Ok(Heard::Removed(code)) | Err(Over::Status(code)) => {
                        // Without an error the server has only had enough of this call.
                        let failure = match code {
                            0 => Failure::new(Phase::Exchange, Kind::ClosedEarly, "the server ended the call"),
                            code => refused(code).failure,
                        };
                        return End { failure, on_purpose: code == 0 };
                    }
                    Ok(_) => {}
                    Err(Over::End(end)) => return end,
                }
            }
        })
    }

    fn close(self: Box<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move { drop(self) })
    }
}

/// Why nothing more is told.
enum Over {
    /// The server said so, with a code of gRPC.
    Status(u64),
    /// The connection ended.
    End(End),
}

fn unplanned(failure: Failure) -> Over {
    Over::End(End { failure, on_purpose: false })
}

fn broken(error: &h2::Error) -> Over {
    let on_purpose = error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR);
    Over::End(End { failure: classify::http2(Phase::Exchange, error), on_purpose })
}

fn lock(ledger: &Mutex<Ledger>) -> std::sync::MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The status of gRPC, where it is there.
fn code(headers: &HeaderMap) -> Option<u64> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

/// Whether the answer is one of gRPC, and not of a proxy before it.
fn is_grpc(status: http::StatusCode, headers: &HeaderMap) -> Result<(), Failure> {
    let sort = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if status.as_u16() != 200 {
        let detail = format!("answered {} instead of gRPC", status.as_u16());
        let other = Failure::new(Phase::FirstByte, Kind::StatusUnexpected, detail);
        return Err(crate::protocol::head::refusal(Phase::FirstByte, status).unwrap_or(other));
    }
    if sort.starts_with("application/grpc") {
        return Ok(());
    }
    let what = if sort.starts_with("text/html") { "a page" } else { "something" };
    let detail = format!("200 with {what} that is not gRPC: somebody between may answer");
    Err(Failure::new(Phase::FirstByte, Kind::BodyUnexpected, detail))
}

/// What a status of gRPC stands for.
fn refused(code: u64) -> Refused {
    let (kind, word) = match code {
        3 => (Kind::StatusUnexpected, "INVALID_ARGUMENT"),
        4 => (Kind::TimedOut, "DEADLINE_EXCEEDED"),
        5 => (Kind::StatusUnexpected, "NOT_FOUND"),
        7 => (Kind::Unauthorized, "PERMISSION_DENIED"),
        8 => (Kind::RateLimited, "RESOURCE_EXHAUSTED"),
        9 => (Kind::StatusUnexpected, "FAILED_PRECONDITION"),
        13 => (Kind::StatusUnexpected, "INTERNAL"),
        14 => (Kind::NotServing, "UNAVAILABLE"),
        16 => (Kind::Unauthorized, "UNAUTHENTICATED"),
        0..=16 => (Kind::StatusUnexpected, "an error"),
        _ => (Kind::ProtocolError, "a status that gRPC does not have"),
    };
    let is_word = matches!(code, 3 | 5 | 7 | 9 | 16);
    Refused { failure: Failure::new(Phase::Exchange, kind, format!("{word} ({code})")), is_word }
}

fn breach(what: &str) -> Failure {
    Failure::new(Phase::Exchange, Kind::ProtocolError, what)
}
