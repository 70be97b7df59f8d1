//! The way over which all channels send: one request, recorded right before it leaves, its answer read up to a bound, and
//! what a status means where a channel has no words of its own. Shows no secret, even where the other side repeats one.

use std::{
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

use super::{Attempt, Delivered, HandingOver};
use crate::{model::Secret, net::retry_after, protocol::Problem};

/// Where a channel sends, and what must not be seen of it.
pub(super) struct Line {
    http: reqwest::Client,
    secrets: Vec<Secret>,
}

/// What the other side said.
pub(super) struct Answer {
    /// Status.
    pub(super) status: u16,
    /// What it asks us to wait.
    pub(super) wait: Option<Duration>,
    /// What it said, up to the bound.
    pub(super) body: String,
    /// The beginning of what it said, in words that may be shown.
    pub(super) shown: String,
}

/// So much of an answer is shown.
const SHOWN: usize = 80;
/// So much of an answer is shown to somebody who asked for it.
const SHOWN_TO_CURIOUS: usize = 300;

impl Line {
    pub(super) fn new(http: &reqwest::Client, secrets: impl IntoIterator<Item = Secret>) -> Self {
        // What is shorter would hide letters of ordinary words.
        let secrets = secrets.into_iter().filter(|secret| secret.reveal().len() >= 4).collect();
        Self { http: http.clone(), secrets }
    }

    pub(super) fn post(&self, url: reqwest::Url) -> reqwest::RequestBuilder {
        self.http.post(url).header(http::header::CONTENT_TYPE, "application/json; charset=utf-8")
    }

    pub(super) fn get(&self, url: reqwest::Url) -> reqwest::RequestBuilder {
        self.http.get(url)
    }

    /// Sends a body in one piece, right after it was recorded that it leaves.
    pub(super) async fn send(
        &self,
        request: reqwest::RequestBuilder,
        body: String,
        bound: usize,
        attempt: &mut Attempt,
    ) -> Result<Answer, Delivered> {
        let handing_over = attempt.handing_over().map(Mutex::new);
        let body = OnePiece { piece: Some(body.into()), handing_over };
        self.ask(request.body(reqwest::Body::wrap(body)), bound, attempt).await
    }

    /// Sends a request as it is and reads the answer.
    pub(super) async fn ask(
        &self,
        request: reqwest::RequestBuilder,
        bound: usize,
        attempt: &mut Attempt,
    ) -> Result<Answer, Delivered> {
        let failed = |error| Delivered::Later { why: self.masked(&in_words(error)), wait: None };
        let mut answer = request.send().await.map_err(failed)?;
        let status = answer.status().as_u16();
        let wait = retry_after(answer.headers());
        let mut body = Vec::new();
        while body.len() < bound
            && let Ok(Some(chunk)) = answer.chunk().await
        {
            body.extend_from_slice(&chunk[..chunk.len().min(bound - body.len())]);
        }
        let body = String::from_utf8_lossy(&body).trim().to_owned();
        let shown = self.masked(&body);
        attempt.answers.push(format!("status {status} {}", cut(&shown, SHOWN_TO_CURIOUS)).trim_end().to_owned());
        Ok(Answer::new(status, wait, body, &shown))
    }

    /// A text of the other side's without what it must not repeat.
    fn masked(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.reveal(), "***"))
    }
}

impl Answer {
    /// `masked` is the body without secrets.
    pub(super) fn new(status: u16, wait: Option<Duration>, body: String, masked: &str) -> Self {
        let shown = if is_page(&body) { "a web page".to_owned() } else { masked.chars().take(SHOWN).collect() };
        Self { status, wait, body, shown }
    }

    /// `status 503, server_error`.
    pub(super) fn why(&self) -> String {
        match &*self.shown {
            "" => format!("status {}", self.status),
            shown => format!("status {}, {shown}", self.status),
        }
    }

    pub(super) fn later(&self) -> Delivered {
        Delivered::Later { why: self.why(), wait: self.wait }
    }

    pub(super) fn never(&self) -> Delivered {
        Delivered::Never { why: self.why() }
    }

    /// Whether a proxy or a login page has answered instead.
    pub(super) fn is_page(&self) -> bool {
        is_page(&self.body)
    }

    /// What a status means by itself. Only what says that this very letter is wrong ends it; a refusal that somebody can
    /// put right at the other end (a credential, a path) is tried until it is.
    pub(super) fn plain(&self) -> Delivered {
        match self.status {
            200..=299 if !self.is_page() => Delivered::Taken,
            400 | 405 | 406 | 410 | 411 | 413 | 414 | 415 | 422 | 431 if !self.is_page() => self.never(),
            _ => self.later(),
        }
    }
}

fn is_page(body: &str) -> bool {
    body.starts_with('<')
}

fn cut(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The address of a channel that is a secret: no reason is given, because it could repeat a part of it.
pub(super) fn address(written: &Secret) -> Option<reqwest::Url> {
    let url = reqwest::Url::parse(written.reveal()).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
}

/// A rule of the configuration.
pub(super) fn must_be_web(url: &url::Url, path: &str) -> Option<Problem> {
    let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
    let problem = || Problem::at(path, "this is not the address of a web server");
    (!is_web).then(|| problem().help("an address begins with http:// or https:// and names a host"))
}

/// What of an address must not be repeated by anybody: all of it, and what comes after the host.
pub(super) fn secrets_of(url: &reqwest::Url) -> Vec<Secret> {
    let tail = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let short = tail.len() < 8;
    std::iter::once(url.as_str().to_owned()).chain((!short).then_some(tail)).map(Secret::new).collect()
}

/// A body that leaves in one piece, right after it was recorded that it does.
struct OnePiece {
    piece: Option<Bytes>,
    /// Behind a mutex only because a body must be shareable between threads; it is never locked.
    handing_over: Option<Mutex<HandingOver>>,
}

impl hyper::body::Body for OnePiece {
    type Data = Bytes;
    type Error = String;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, String>>> {
        if let Some(handing_over) = &mut self.handing_over {
            let handing_over = handing_over.get_mut().unwrap_or_else(PoisonError::into_inner);
            let recorded = ready!(handing_over.as_mut().poll(cx));
            self.handing_over = None;
            if let Err(why) = recorded {
                self.piece = None;
                return Poll::Ready(Some(Err(why)));
            }
        }
        Poll::Ready(self.piece.take().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.piece.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.piece.as_ref().map_or(0, |piece| piece.len() as u64))
    }
}

/// What went wrong on the way, without the address, which may be the secret.
fn in_words(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut words = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        words = cause.to_string();
        source = cause.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(status: u16, body: &str) -> &'static str {
        match Answer::new(status, None, body.to_owned(), body).plain() {
            Delivered::Taken => "taken",
            Delivered::Later { .. } => "later",
            Delivered::Never { .. } => "never",
        }
    }

    #[test]
    fn only_what_says_that_the_letter_is_wrong_ends_it() {
        for status in [200, 201, 202, 204] {
            assert_eq!(meaning(status, "anything"), "taken", "{status}");
            assert_eq!(meaning(status, "<html>log in</html>"), "later", "{status}");
        }
        for status in [301, 302, 401, 403, 404, 407, 408, 409, 425, 429, 500, 502, 503, 504, 599] {
            assert_eq!(meaning(status, ""), "later", "{status}");
        }
        for status in [400, 410, 413, 422] {
            assert_eq!(meaning(status, "no"), "never", "{status}");
            assert_eq!(meaning(status, "<html>proxy</html>"), "later", "{status}");
        }
    }

    #[test]
    fn a_secret_that_comes_back_is_not_shown() {
        let url = reqwest::Url::parse("https://hooks.example.com/services/T0SECRET?key=hunter2").unwrap();
        let line = Line::new(
            &crate::notify::http_client(&crate::net::Trust::default()).unwrap(),
            secrets_of(&url).into_iter().chain([Secret::new("s3cret-token")]),
        );
        let said = "POST /services/T0SECRET?key=hunter2 to https://hooks.example.com/services/T0SECRET?key=hunter2 with s3cret-token";
        assert_eq!(line.masked(said), "POST *** to *** with ***");
    }
}
