//! The `sse` check: a stream of events over HTTP, as `EventSource` of browsers reads it; held, something has to come
//! within the time that the server promises.

pub(super) mod parser;
mod stream;

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::{HeaderName, Method, header};
use schemars::JsonSchema;
use serde::Deserialize;

pub(super) use self::stream::EventStream;
pub(super) use parser::Item;

use super::{
    Attempt, Backoff, Check, End, Ending, Hold, Ip, Looking, Opening, Overrides, Problem, Protocol, Session, Span,
    TlsFile, head,
    http::{Caller, Order},
};
use crate::{
    model::{Failure, Kind, Phase, Secret},
    net::Net,
};

/// Redirects that are followed, as browsers do.
const REDIRECTS: u32 = 10;
/// Events that are read at most while looking for one.
const EVENTS_AT_MOST: usize = 10_000;

/// A stream of events over HTTP (`text/event-stream`).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SseFile {
    /// Where to; `http://` or `https://`.
    pub url: url::Url,
    /// Name of an event that must come within the timeout; those without a name are called `message`.
    #[serde(default)]
    pub expect_event: Option<String>,
    /// How long the stream may be silent: an event or a comment must come within this time.
    #[serde(default)]
    pub heartbeat: Option<Span>,
    /// Request headers; values may be secrets.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// Address family.
    #[serde(default)]
    pub ip: Ip,
    /// TLS options.
    #[serde(default)]
    pub tls: TlsFile,
}

/// The check.
pub struct Sse {
    url: url::Url,
    headers: Vec<(HeaderName, Secret)>,
    caller: Arc<Caller>,
    order: Order,
    wanted: Option<String>,
    heartbeat: Option<Duration>,
    /// What the held stream said last of how to come back.
    resume: Arc<Mutex<Resume>>,
    /// Satisfied with any answer.
    any_answer: bool,
}

/// Where to go on from.
#[derive(Debug, Default)]
struct Resume {
    last_id: Option<String>,
    retry: Option<Duration>,
}

impl Check for Sse {
    fn key(&self) -> &'static str {
        Self::KEY
    }

    fn target(&self) -> String {
        // Another protocol goes by the bare URL.
        format!("sse+{}", self.order.shown())
    }

    fn look<'a>(&'a self, attempt: &'a mut Attempt) -> Looking<'a> {
        Box::pin(async move {
            let looked = self.open_stream(attempt, &self.order).await;
            attempt.leave();
            attempt.let_go();
            match looked {
                Err(_) if self.any_answer && attempt.was_answered() => Ok(()),
                looked => looked.map(drop),
            }
        })
    }

    fn without_credential(&self) -> Option<Arc<dyn Check>> {
        Some(Arc::new(Self {
            url: self.url.clone(),
            headers: Vec::new(),
            caller: Arc::clone(&self.caller),
            order: self.order.without_credential()?,
            wanted: None,
            heartbeat: None,
            resume: Arc::default(),
            any_answer: true,
        }))
    }

    fn hold(&self) -> Option<&dyn Hold> {
        Some(self)
    }
}

impl Sse {
    /// Opens the stream, and waits for what has to come at its beginning.
    async fn open_stream(&self, attempt: &mut Attempt, order: &Order) -> Result<EventStream, Failure> {
        let mut stream = EventStream::open(attempt, &self.caller, order).await?;
        if let Some(wanted) = &self.wanted {
            attempt.enter(Phase::Transfer, "event of the expected name");
            wait_for(attempt, &mut stream, wanted).await?;
        } else if let Some(heartbeat) = self.heartbeat
            && tokio::time::Instant::now() + heartbeat < attempt.deadline
        {
            attempt.enter(Phase::Transfer, "event or comment");
            match tokio::time::timeout(heartbeat, stream.heard(attempt)).await {
                Ok(heard) => heard.map(drop)?,
                Err(_) => return Err(silent(heartbeat)),
            }
        }
        Ok(stream)
    }

    fn order(
        url: &url::Url,
        caller: &Caller,
        given: &[(HeaderName, Secret)],
        last: Option<&str>,
    ) -> Result<Order, String> {
        let mut headers = vec![(header::ACCEPT, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
        headers.extend(given.iter().map(|(name, value)| (name.clone(), value.reveal())));
        headers.extend(last.map(|id| (HeaderName::from_static("last-event-id"), id)));
        caller.order(Method::GET, url.clone(), &headers, "")
    }
}

async fn wait_for(attempt: &mut Attempt, stream: &mut EventStream, wanted: &str) -> Result<(), Failure> {
    for _ in 0..EVENTS_AT_MOST {
        if matches!(stream.heard(attempt).await?, Item::Event { name, .. } if name == wanted) {
            return Ok(());
        }
    }
    let detail = format!("no event `{wanted}` among the first {EVENTS_AT_MOST}");
    Err(Failure::new(Phase::Transfer, Kind::BodyUnexpected, detail))
}

fn silent(heartbeat: Duration) -> Failure {
    let detail = format!("no event or comment within {}", super::attempt::Seconds(heartbeat));
    Failure::new(Phase::Transfer, Kind::TimedOut, detail)
}

impl Hold for Sse {
    fn open<'a>(&'a self, attempt: &'a mut Attempt) -> Opening<'a> {
        Box::pin(async move {
            let last = self.resume.lock().unwrap_or_else(PoisonError::into_inner).last_id.clone();
            let resumed = match &last {
                // An id that cannot be sent is the server's own mistake: a client goes on without it.
                Some(id) => Self::order(&self.url, &self.caller, &self.headers, Some(id)).ok(),
                None => None,
            };
            let stream = self.open_stream(attempt, resumed.as_ref().unwrap_or(&self.order)).await?;
            attempt.leave();
            stream.keep_alive();
            Ok(Box::new(Held { stream, heartbeat: self.heartbeat, resume: Arc::clone(&self.resume) })
                as Box<dyn Session>)
        })
    }

    fn backoff(&self) -> Backoff {
        let retry = self.resume.lock().unwrap_or_else(PoisonError::into_inner).retry;
        // Browsers wait about three seconds where the stream says nothing else.
        let first = retry.unwrap_or(Duration::from_secs(3));
        Backoff { first, factor: 1.5, longest: first.max(Duration::from_secs(30)), random: 0.5 }
    }
}

/// An open stream.
struct Held {
    stream: EventStream,
    heartbeat: Option<Duration>,
    resume: Arc<Mutex<Resume>>,
}

impl Session for Held {
    /// Nobody can be asked on a stream that goes one way: what has come is taken in, and the silence is judged.
    fn ping<'a>(&'a mut self, attempt: &'a mut Attempt) -> Looking<'a> {
        Box::pin(async move {
            self.stream.resume(attempt);
            attempt.enter(Phase::Transfer, "event or comment");
            let left = self.heartbeat.map(|most| most.saturating_sub(self.stream.silence()));
            let heard = match left {
                Some(left) if left.is_zero() => Err(silent(self.heartbeat.unwrap_or_default())),
                _ => match tokio::time::timeout(Duration::ZERO, self.stream.read()).await {
                    Ok(Err(end)) => Err(end.failure),
                    Ok(Ok(_)) | Err(_) => Ok(()),
                },
            };
            attempt.leave();
            heard
        })
    }

    fn ended(&mut self) -> Ending<'_> {
        Box::pin(async move {
            loop {
                let read = match self.heartbeat {
                    None => self.stream.read().await,
                    Some(most) => {
                        let left = most.saturating_sub(self.stream.silence());
                        match tokio::time::timeout(left, self.stream.read()).await {
                            Ok(read) => read,
                            Err(_) => return End { failure: silent(most), on_purpose: false },
                        }
                    }
                };
                let mut resume = self.resume.lock().unwrap_or_else(PoisonError::into_inner);
                resume.last_id = self.stream.last_id().map(str::to_owned);
                resume.retry = self.stream.retry();
                drop(resume);
                if let Err(end) = read {
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

impl Protocol for Sse {
    const KEY: &'static str = "sse";
    const SCHEMES: &'static [&'static str] = &["sse+http", "sse+https"];
    type File = SseFile;

    fn build(file: &Self::File, net: &Arc<Net>) -> Result<Self, Problem> {
        let url = &file.url;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Problem::at("url", "a URL is shown in many places and must not hold a credential")
                .help("give it as a header: `headers: { Authorization: \"…\" }`"));
        }
        if file.heartbeat.is_some_and(|heartbeat| heartbeat.0.is_zero()) {
            return Err(Problem::at("heartbeat", "a heartbeat is longer than nothing"));
        }
        // Names and values are looked at here, so that the mistake has its place.
        head::headers(&file.headers)?;
        let named = file.headers.iter().filter_map(|(name, value)| Some((name.parse().ok()?, value.clone())));
        let headers: Vec<(HeaderName, Secret)> = named.collect();
        let caller = Arc::new(Caller::new(net, url, file.ip, &file.tls, REDIRECTS)?);
        let order = Self::order(url, &caller, &headers, None).map_err(|why| Problem::at("url", why))?;
        let wanted = file.expect_event.clone();
        let heartbeat = file.heartbeat.map(|span| span.0);
        let resume = Arc::default();
        Ok(Self { url: url.clone(), headers, caller, order, wanted, heartbeat, resume, any_answer: false })
    }

    fn from_url(url: &url::Url) -> Result<Self::File, String> {
        let plain = url.as_str().strip_prefix("sse+").unwrap_or(url.as_str());
        let url = plain.parse().map_err(|error: url::ParseError| format!("`{plain}` is not a URL: {error}"))?;
        Ok(SseFile {
            url,
            expect_event: None,
            heartbeat: None,
            headers: BTreeMap::new(),
            ip: Ip::default(),
            tls: TlsFile::default(),
        })
    }

    fn retarget(file: &Self::File, target: &str) -> Result<Self::File, String> {
        let target = target.strip_prefix("sse+").unwrap_or(target);
        let has_scheme = target.starts_with("http://") || target.starts_with("https://");
        let url = if has_scheme { target.parse() } else { format!("http://{target}").parse() };
        let url = url.map_err(|error: url::ParseError| format!("`{target}` is not a URL: {error}"))?;
        Ok(SseFile { url, ..file.clone() })
    }

    fn apply(file: &mut Self::File, overrides: &Overrides) {
        overrides.change_way(&mut file.ip, &mut file.tls);
        head::replace(&mut file.headers, &overrides.headers);
    }
}
