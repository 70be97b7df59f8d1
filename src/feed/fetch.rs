//! One look at a feed, whatever the other side does: an absolute deadline, a bounded body also after decompression, few
//! redirects and none from HTTPS to plain HTTP. Owns the HTTP; must not know what is in a feed.

use std::{io::Write, time::Duration};

use bytes::Bytes;
use flate2::write::GzDecoder;
use reqwest::{
    StatusCode,
    header::{
        ACCEPT_ENCODING, AGE, CONTENT_ENCODING, DATE, ETAG, HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH,
        LAST_MODIFIED, LOCATION,
    },
};
use url::Url;

use super::time;
use crate::net::retry_after;

/// A status page is never larger.
pub(super) const LARGEST: usize = 5_000_000;
/// Redirects that are followed.
const HOPS: usize = 5;
/// A copy from a cache that is older is no news.
const OLDEST: Duration = Duration::from_mins(15);

/// What the other side knew its answer by, to ask whether it has changed.
#[derive(Debug, Clone, Default)]
pub(super) struct Validators {
    etag: Option<HeaderValue>,
    modified: Option<HeaderValue>,
}

/// An answer that can be used.
#[derive(Debug)]
pub(super) enum Fetched {
    /// A body.
    Body(Bytes, Validators),
    /// The body of before.
    Unchanged,
}

/// Why there is none. Completes "cannot fetch it: …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub(super) struct NotFetched {
    why: String,
    /// What the other side asked us to wait.
    pub(super) wait: Option<Duration>,
}

impl NotFetched {
    fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), wait: None }
    }
}

/// Looks once.
pub(super) async fn fetch(
    http: &reqwest::Client,
    url: &Url,
    known: &Validators,
    deadline: Duration,
) -> Result<Fetched, NotFetched> {
    match tokio::time::timeout(deadline, look(http, url, known)).await {
        Ok(looked) => looked,
        Err(_) => Err(NotFetched::new(format!("it was not there within {} s", deadline.as_secs_f64()))),
    }
}

async fn look(http: &reqwest::Client, url: &Url, known: &Validators) -> Result<Fetched, NotFetched> {
    let mut url = url.clone();
    for _ in 0..=HOPS {
        let mut request = http.get(url.clone()).header(ACCEPT_ENCODING, "gzip");
        if let Some(etag) = &known.etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        if let Some(modified) = &known.modified {
            request = request.header(IF_MODIFIED_SINCE, modified);
        }
        let sent = request.send().await;
        let answer = sent.map_err(|error| NotFetched::new(reason(&error.without_url())))?;
        match answer.status() {
            StatusCode::OK => return body(answer).await,
            StatusCode::NOT_MODIFIED if known.etag.is_some() || known.modified.is_some() => {
                not_old(answer.headers())?;
                return Ok(Fetched::Unchanged);
            }
            status if status.is_redirection() => url = next(&url, answer.headers(), status)?,
            status => {
                let why = format!("it answers {}", status.as_u16());
                return Err(NotFetched { wait: retry_after(answer.headers()), ..NotFetched::new(why) });
            }
        }
    }
    Err(NotFetched::new(format!("more than {HOPS} redirects")))
}

fn next(from: &Url, headers: &HeaderMap, status: StatusCode) -> Result<Url, NotFetched> {
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let to = location.and_then(|location| from.join(location).ok());
    let Some(to) = to else {
        return Err(NotFetched::new(format!("it answers {} without an address", status.as_u16())));
    };
    match (from.scheme(), to.scheme()) {
        (_, "https") | ("http", "http") => Ok(to),
        (_, scheme) => Err(NotFetched::new(format!("it redirects to {scheme}, which is not safe"))),
    }
}

async fn body(mut answer: reqwest::Response) -> Result<Fetched, NotFetched> {
    let headers = answer.headers();
    not_old(headers)?;
    let validators = Validators { etag: headers.get(ETAG).cloned(), modified: headers.get(LAST_MODIFIED).cloned() };
    let coding = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or("identity").trim();
    let mut sink = match coding {
        "" | "identity" => Sink::Plain(Bounded::default()),
        "gzip" | "x-gzip" => Sink::Gzip(Box::new(GzDecoder::new(Bounded::default()))),
        other => return Err(NotFetched::new(format!("it is encoded as {}", super::notice::tidy(other)))),
    };
    if answer.content_length().is_some_and(|length| length > LARGEST as u64) {
        return Err(too_large());
    }
    let mut came = 0;
    while let Some(piece) = answer.chunk().await.map_err(|error| NotFetched::new(reason(&error.without_url())))? {
        came += piece.len();
        if came > LARGEST {
            return Err(too_large());
        }
        sink.take(&piece)?;
    }
    Ok(Fetched::Body(sink.finish()?, validators))
}

/// Caches may serve what was true hours ago, and say so.
fn not_old(headers: &HeaderMap) -> Result<(), NotFetched> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let age = text(AGE).and_then(|age| age.trim().parse().ok()).map(Duration::from_secs);
    let dated = text(DATE).and_then(time::instant).and_then(|at| (chrono::Utc::now() - at).to_std().ok());
    match age.max(dated) {
        Some(old) if old > OLDEST => Err(NotFetched::new(format!("it is a copy {} min old", old.as_secs() / 60))),
        _ => Ok(()),
    }
}

fn too_large() -> NotFetched {
    NotFetched::new(format!("it is larger than {} MB", LARGEST / 1_000_000))
}

/// The innermost reason, which names what happened.
fn reason(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    super::notice::tidy(&inner.to_string())
}

/// Takes a body piece by piece, as it is meant.
enum Sink {
    Plain(Bounded),
    Gzip(Box<GzDecoder<Bounded>>),
}

impl Sink {
    fn take(&mut self, piece: &[u8]) -> Result<(), NotFetched> {
        let taken = match self {
            Self::Plain(bounded) => bounded.write_all(piece),
            Self::Gzip(decoder) => decoder.write_all(piece),
        };
        taken.map_err(|error| Self::wrong(&error))
    }

    fn finish(self) -> Result<Bytes, NotFetched> {
        match self {
            Self::Plain(bounded) => Ok(bounded.0.into()),
            Self::Gzip(decoder) => match decoder.finish() {
                Ok(bounded) => Ok(bounded.0.into()),
                Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => Err(too_large()),
                Err(_) => Err(NotFetched::new("its compression is cut off or broken")),
            },
        }
    }

    fn wrong(error: &std::io::Error) -> NotFetched {
        match error.kind() {
            std::io::ErrorKind::FileTooLarge => too_large(),
            _ => NotFetched::new("its compression is broken"),
        }
    }
}

/// A buffer that takes so much and no more.
#[derive(Debug, Default)]
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > LARGEST {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
