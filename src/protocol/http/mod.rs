//! The `http` check: HTTP/1.1 and 2 over connections that we drive ourselves, so that every phase is timed where it
//! happens.

mod body;
mod caller;
mod expect;
mod figures;
mod file;
mod line;
mod order;
mod wire;

use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use http::{Response, header};
use hyper::body::Incoming;

pub(in crate::protocol) use caller::{Answer, Caller};
pub use file::{HttpFile, Reuse, StatusRange, Version};
pub(in crate::protocol) use {line::Line, order::Order};

use super::{Attempt, Check, Ip, Looking, Overrides, Problem, Protocol, Secure, TlsFile, head};
use crate::{
    model::{Connection, Failure, Kind, Phase},
    net::Net,
};
use body::Reading;
use expect::Expectations;
use line::Opening;

/// More than any answer that a probe should look into.
const BODY_LIMIT_AT_MOST: u64 = 64 << 20;

/// The check.
pub struct Http {
    order: Order,
    expectations: Expectations,
    max_duration: Option<Duration>,
    version: Version,
    reuse: Reuse,
    redirects: u32,
    reading: Reading,
    tls: TlsFile,
    // Made at once where TLS is in sight, otherwise when a redirect leads to it.
    secure: OnceLock<Secure>,
    kept: Mutex<Option<Line>>,
}

impl Check for Http {
    fn key(&self) -> &'static str {
        Self::KEY
    }

    fn target(&self) -> String {
        self.order.shown()
    }

    fn turns(&self) -> u32 {
        if self.reuse == Reuse::Both { 2 } else { 1 }
    }

    fn without_credential(&self) -> Option<Arc<dyn Check>> {
        Some(Arc::new(Self {
            order: self.order.without_credential()?,
            expectations: Expectations::any_answer(),
            max_duration: None,
            version: self.version,
            reuse: Reuse::Cold,
            redirects: 0,
            reading: Reading { limit: self.reading.limit, wants_content: false },
            tls: self.tls.clone(),
            secure: OnceLock::new(),
            kept: Mutex::default(),
        }))
    }

    fn look<'a>(&'a self, attempt: &'a mut Attempt) -> Looking<'a> {
        Box::pin(async move {
            let looked = self.run(attempt).await;
            attempt.let_go();
            looked
        })
    }

    fn blackbox_phases(&self) -> &'static [(&'static str, &'static [Phase])] {
        &[
            ("resolve", &[Phase::Resolve]),
            ("connect", &[Phase::Connect]),
            ("tls", &[Phase::Tls]),
            ("processing", &[Phase::Request, Phase::FirstByte]),
            ("transfer", &[Phase::Transfer]),
        ]
    }

    fn blackbox_zeros(&self) -> &'static [(&'static str, &'static str)] {
        figures::ALWAYS
    }
}

impl Http {
    async fn run(&self, attempt: &mut Attempt) -> Result<(), Failure> {
        let (mut line, mut answer) = self.ask_first(attempt).await?;
        let mut redirected: Option<Order> = None;
        for followed in 0.. {
            let order = redirected.as_ref().unwrap_or(&self.order);
            attempt.note_head(answer.status(), answer.headers());
            if attempt.wants_gauges {
                figures::of_head(attempt, order.https, &answer, followed);
            }
            let status = answer.status().as_u16();
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
            let next = order.redirected(status, location).map_err(lost)?;
            (line, answer) = self.ask(attempt, &next).await?;
            redirected = Some(next);
        }
        self.judge(attempt, line, answer, redirected.is_none()).await
    }

    /// Asks the probe's own URL, on the connection that was kept if there is one.
    async fn ask_first(&self, attempt: &mut Attempt) -> Result<(Line, Response<Incoming>), Failure> {
        let wants_warm = self.reuse == Reuse::Warm || (self.reuse == Reuse::Both && attempt.turn > 0);
        let kept = if wants_warm && !attempt.alone { self.kept().take() } else { None };
        if let Some(mut line) = kept {
            if line.resume(attempt).await {
                match line.send(attempt, &self.order).await {
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
            attempt.forget_phases();
            attempt.facts.connection = Connection::Cold;
        }
        self.ask(attempt, &self.order).await
    }

    /// Asks on a fresh connection.
    async fn ask(&self, attempt: &mut Attempt, order: &Order) -> Result<(Line, Response<Incoming>), Failure> {
        let secure = if order.https { Some(self.secure(&attempt.net)?) } else { None };
        let opening = Opening { secure, http2_only: self.version == Version::Http2 };
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
        answer: Response<Incoming>,
        is_first_host: bool,
    ) -> Result<(), Failure> {
        let (head, mut body) = answer.into_parts();
        let judged = self.expectations.judge_head(&head);
        if let Err(failure) = &judged {
            if failure.kind == Kind::BodyUnexpected {
                figures::failed_due_to_regex(attempt);
            }
            if self.reuse == Reuse::Cold && !attempt.wants_gauges {
                return judged;
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
        if let Some(limit) = self.max_duration {
            self.judge_duration(attempt, limit);
        }
        Ok(())
    }

    fn judge_duration(&self, attempt: &mut Attempt, limit: Duration) {
        let took = attempt.started().elapsed();
        if took > limit {
            let slowest = attempt.phases().iter().max_by_key(|(_, took)| *took);
            let phase = slowest.map_or(Phase::Transfer, |(phase, _)| phase);
            let detail = format!("took {} ms, expected at most {} ms", took.as_millis(), limit.as_millis());
            attempt.facts.degraded = Some(Failure::new(phase, Kind::TimedOut, detail));
        }
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

const fn alpn(version: Version) -> &'static [&'static str] {
    match version {
        Version::Auto => &["h2", "http/1.1"],
        Version::Http1 => &["http/1.1"],
        Version::Http2 => &["h2"],
    }
}

impl Protocol for Http {
    const KEY: &'static str = "http";
    const SCHEMES: &'static [&'static str] = &["http", "https"];
    type File = HttpFile;

    fn build(file: &Self::File, net: &Arc<Net>) -> Result<Self, Problem> {
        let order = Order::of(file)?;
        if file.body_limit > BODY_LIMIT_AT_MOST {
            let message = format!("{} is too much, at most {BODY_LIMIT_AT_MOST} bytes are read", file.body_limit);
            return Err(Problem::at("body_limit", message));
        }
        let secure = OnceLock::new();
        // Options of TLS are tried out also where only a redirect can lead to TLS: a mistake is found now or never.
        if order.https || file.tls != TlsFile::default() {
            let _ = secure.set(Secure::new(net, &file.tls, alpn(file.version))?);
        }
        Ok(Self {
            order,
            expectations: Expectations::of(&file.expect)?,
            max_duration: file.expect.max_duration.map(|span| span.0),
            version: file.version,
            reuse: file.connection,
            redirects: file.redirects,
            reading: Reading { limit: file.body_limit, wants_content: file.expect.wants_body() },
            tls: file.tls.clone(),
            secure,
            kept: Mutex::default(),
        })
    }

    fn from_url(url: &url::Url) -> Result<Self::File, String> {
        Ok(HttpFile::get(url.clone()))
    }

    fn retarget(file: &Self::File, target: &str) -> Result<Self::File, String> {
        let has_scheme = target.starts_with("http://") || target.starts_with("https://");
        let url = if has_scheme { target.parse() } else { format!("http://{target}").parse() };
        let url = url.map_err(|error: url::ParseError| format!("`{target}` is not a URL: {error}"))?;
        Ok(Self::File { url, ..file.clone() })
    }

    fn apply(file: &mut Self::File, overrides: &Overrides) {
        file.ip = overrides.ip.unwrap_or(file.ip);
        file.tls.insecure |= overrides.insecure;
        head::replace(&mut file.headers, &overrides.headers);
        if !overrides.expect_status.is_empty() {
            file.expect.status = overrides.expect_status.iter().filter_map(|text| text.parse().ok()).collect();
        }
        file.version = match overrides.http_version {
            Some("1.1") => Version::Http1,
            Some("2") => Version::Http2,
            _ => file.version,
        };
    }
}
