//! Asking over HTTP: an order on a connection of its own or on one that is kept, redirects, the body as far as anybody
//! wants it, and whether the answer is as expected. What is asked, and what becomes of the answer, is the caller's.

use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use http::{HeaderMap, Response, header};
use tokio::time::Instant;

use super::{
    body::{Read, Reading},
    expect::Expectations,
    figures,
    file::{HttpFile, Reuse, Version},
    line::{Body, Line, Opening},
    order::Order,
};
use crate::{
    model::{Connection, Failure, Kind, Phase},
    net::Net,
    protocol::{Attempt, Problem, Proxy, Secure, TlsFile},
};

/// More than any answer that a probe should look into.
const BODY_LIMIT_AT_MOST: u64 = 64 << 20;

/// How to ask and what the answer must be, prepared once.
pub(in crate::protocol) struct Asking {
    expectations: Expectations,
    max_duration: Option<Duration>,
    version: Version,
    reuse: Reuse,
    redirects: u32,
    reading: Reading,
    /// A connection that is kept is part of one run, which is no warmer for it.
    within_one_run: bool,
    proxy: Option<Arc<Proxy>>,
    tls: TlsFile,
    // Made at once where TLS is in sight, otherwise when a redirect leads to it.
    secure: OnceLock<Secure>,
    kept: Mutex<Option<Line>>,
}

/// An answer that is as expected.
pub(in crate::protocol) struct Heard {
    /// Status.
    pub(in crate::protocol) status: u16,
    /// Headers.
    pub(in crate::protocol) headers: HeaderMap,
    /// Body.
    pub(in crate::protocol) read: Read,
}

impl Asking {
    /// Prepares to ask as a shape says. `https`: TLS is in sight.
    pub(in crate::protocol) fn of<U>(file: &HttpFile<U>, https: bool, net: &Arc<Net>) -> Result<Self, Problem> {
        if file.body_limit > BODY_LIMIT_AT_MOST {
            let message = format!("{} is too much, at most {BODY_LIMIT_AT_MOST} bytes are read", file.body_limit);
            return Err(Problem::at("body_limit", message));
        }
        if file.version == Version::Http3 {
            if cfg!(not(feature = "http3")) {
                return Err(Problem::at("version", "this program was built without HTTP/3"));
            }
            if !https {
                return Err(Problem::at("version", "HTTP/3 is spoken over TLS alone: the URL begins with https://"));
            }
            if file.proxy.is_some() {
                return Err(Problem::at("version", "HTTP/3 does not go through a proxy"));
            }
        }
        let proxy = file.proxy.as_ref().map(|proxy| Proxy::parse(proxy, file.ip, net, &file.tls)).transpose();
        let proxy = proxy.map_err(|why| Problem::at("proxy", why))?.map(Arc::new);
        let secure = OnceLock::new();
        // Options of TLS are tried out also where only a redirect can lead to TLS: a mistake is found now or never.
        if https || file.tls != TlsFile::default() {
            let _ = secure.set(Secure::new(net, &file.tls, alpn(file.version))?);
        }
        Ok(Self {
            expectations: Expectations::of(&file.expect)?,
            max_duration: file.expect.max_duration.map(|span| span.0),
            version: file.version,
            reuse: file.connection,
            redirects: file.redirects,
            reading: Reading { limit: file.body_limit, wants_content: file.expect.wants_body() },
            within_one_run: false,
            proxy,
            tls: file.tls.clone(),
            secure,
            kept: Mutex::default(),
        })
    }

    /// The same, but the content of the answer is wanted, whatever is expected of it.
    #[must_use]
    pub(in crate::protocol) fn wanting_content(mut self) -> Self {
        self.reading.wants_content = true;
        self
    }

    /// The same for several requests of one run: they share a connection, which is cold as the run is.
    #[must_use]
    pub(in crate::protocol) fn within_one_run(mut self) -> Self {
        self.reuse = Reuse::Warm;
        self.within_one_run = true;
        self
    }

    /// The same, satisfied with any answer that is no error of the server's own, each on a connection of its own.
    pub(super) fn for_any_answer(&self) -> Self {
        Self {
            expectations: Expectations::any_answer(),
            max_duration: None,
            version: self.version,
            reuse: Reuse::Cold,
            redirects: 0,
            reading: Reading { limit: self.reading.limit, wants_content: false },
            within_one_run: false,
            proxy: self.proxy.clone(),
            tls: self.tls.clone(),
            secure: OnceLock::new(),
            kept: Mutex::default(),
        }
    }

    /// How many observations one run makes.
    pub(super) const fn turns(&self) -> u32 {
        match self.reuse {
            Reuse::Both => 2,
            Reuse::Cold | Reuse::Warm => 1,
        }
    }

    /// Lets go of the connection that is kept.
    pub(in crate::protocol) fn forget(&self) {
        self.kept().take();
    }

    /// Asks, and compares the answer with what is expected.
    pub(in crate::protocol) async fn ask(&self, attempt: &mut Attempt, order: &Order) -> Result<Heard, Failure> {
        let began = Instant::now();
        let (mut line, mut answer) = self.ask_first(attempt, order).await?;
        let mut redirected: Option<Order> = None;
        for followed in 0.. {
            let present = redirected.as_ref().unwrap_or(order);
            let status = answer.status().as_u16();
            attempt.note_head(answer.status(), answer.headers());
            if attempt.wants_gauges {
                figures::of_head(attempt, present.https, &answer, followed);
            }
            let location = answer.headers().get(header::LOCATION);
            let Some(location) = location.filter(|_| matches!(status, 301 | 302 | 303 | 307 | 308)) else { break };
            if self.redirects == 0 {
                figures::not_followed(attempt);
                break;
            }
            let lost = |why: String| Failure::new(Phase::FirstByte, Kind::RedirectLimit, why);
            if followed == self.redirects {
                return Err(lost(format!("more than {} redirects", self.redirects)));
            }
            let next = present.redirected(status, location).map_err(lost)?;
            (line, answer) = self.ask_afresh(attempt, &next).await?;
            redirected = Some(next);
        }
        let heard = self.judge(attempt, line, answer, redirected.is_none()).await?;
        if let Some(limit) = self.max_duration {
            judge_duration(attempt, began.elapsed(), limit);
        }
        Ok(heard)
    }

    /// Asks the probe's own URL, on the connection that was kept if there is one.
    async fn ask_first(&self, attempt: &mut Attempt, order: &Order) -> Result<(Line, Response<Body>), Failure> {
        let before = *attempt.phases();
        let wants_warm = self.reuse == Reuse::Warm || (self.reuse == Reuse::Both && attempt.turn > 0);
        let kept = if wants_warm && !attempt.alone { self.kept().take() } else { None };
        if let Some(mut line) = kept {
            if !self.within_one_run {
                attempt.facts.connection = Connection::Warm;
            }
            if line.resume(attempt).await {
                match line.send(attempt, order).await {
                    Ok(answer) => {
                        attempt.facts.degraded = self.secure.get().and_then(|secure| secure.judge(attempt));
                        return Ok((line, answer));
                    }
                    // The server closed it while it lay idle: no news, and a client would open another as well.
                    Err(failure)
                        if matches!(failure.kind, Kind::Reset | Kind::ClosedEarly) && !line.answered_anything() => {}
                    Err(failure) => return Err(failure),
                }
            }
            attempt.back_to(before);
            attempt.facts.connection = Connection::Cold;
        }
        self.ask_afresh(attempt, order).await
    }

    /// Asks on a fresh connection.
    async fn ask_afresh(&self, attempt: &mut Attempt, order: &Order) -> Result<(Line, Response<Body>), Failure> {
        let secure = if order.https { Some(self.secure(&attempt.net)?) } else { None };
        let opening = Opening { secure, http2_only: self.version == Version::Http2, proxy: self.proxy.as_ref() };
        #[cfg(feature = "http3")]
        if let (Version::Http3, Some(secure)) = (self.version, secure) {
            let mut line = Line::open_quic(attempt, order, secure).await?;
            let answer = line.send(attempt, order).await?;
            return Ok((line, answer));
        }
        let mut line = Line::open(attempt, order, opening).await?;
        let answer = line.send(attempt, order).await?;
        Ok((line, answer))
    }

    fn secure(&self, net: &Net) -> Result<&Secure, Failure> {
        if let Some(secure) = self.secure.get() {
            return Ok(secure);
        }
        let made = Secure::new(net, &self.tls, alpn(self.version))
            .map_err(|problem| Failure::new(Phase::Tls, Kind::Internal, problem.message))?;
        Ok(self.secure.get_or_init(|| made))
    }

    /// Reads the rest of the answer as far as anybody wants it, and compares.
    async fn judge(
        &self,
        attempt: &mut Attempt,
        mut line: Line,
        answer: Response<Body>,
        is_first_host: bool,
    ) -> Result<Heard, Failure> {
        let (head, mut body) = answer.into_parts();
        let judged = self.expectations.judge_head(head.status.as_u16(), &head.headers);
        if let Err(failure) = &judged {
            if failure.kind == Kind::BodyUnexpected {
                figures::failed_due_to_regex(attempt);
            }
            if self.reuse == Reuse::Cold && !attempt.wants_gauges {
                return Err(failure.clone());
            }
            attempt.condemn(failure.clone());
        }
        let read = self.reading.read(attempt, &mut line, &head.headers, &mut body).await;
        attempt.leave();
        if let Ok(read) = &read {
            figures::of_body(attempt, read.length);
        }
        judged?;
        let read = read?;
        if let Err(failure) = self.expectations.judge_body(&read) {
            figures::failed_due_to_regex(attempt);
            return Err(failure);
        }
        if read.complete && is_first_host && !attempt.alone {
            self.keep(line, attempt.turn);
        }
        Ok(Heard { status: head.status.as_u16(), headers: head.headers, read })
    }

    fn keep(&self, line: Line, turn: u32) {
        let last = match self.reuse {
            Reuse::Cold => return,
            Reuse::Warm => false,
            Reuse::Both => turn + 1 == self.turns(),
        };
        if !last {
            *self.kept() = Some(line);
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Option<Line>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn judge_duration(attempt: &mut Attempt, took: Duration, limit: Duration) {
    if took > limit {
        let slowest = attempt.phases().iter().max_by_key(|(_, took)| *took);
        let phase = slowest.map_or(Phase::Transfer, |(phase, _)| phase);
        let detail = format!("took {} ms, expected at most {} ms", took.as_millis(), limit.as_millis());
        attempt.facts.degraded = Some(Failure::new(phase, Kind::TimedOut, detail));
    }
}

const fn alpn(version: Version) -> &'static [&'static str] {
    match version {
        Version::Auto => &["h2", "http/1.1"],
        Version::Http1 => &["http/1.1"],
        Version::Http2 => &["h2"],
        Version::Http3 => &["h3"],
    }
}
