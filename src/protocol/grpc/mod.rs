//! The `grpc` check: the standard question about health (`grpc.health.v1`) over an HTTP/2 connection of our own; held, the
//! same question on every round.

mod file;
mod health;

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};

pub use file::GrpcFile;

use super::{
    Attempt, Check, Ending, Endpoint, Hold, Ip, Looking, Overrides, Problem, Protocol, Secure, Session, TlsFile, head,
    http::{Line, OpenedBy, Order},
    session::Opening,
};
use crate::{
    model::{Connection, Failure, Kind, Phase},
    net::Net,
};
use file::split;
use health::{ANSWER_AT_MOST, Health};

/// The check.
pub struct Grpc(Arc<Call>);

/// What is asked, and whom.
struct Call {
    url: url::Url,
    ip: Ip,
    shown: String,
    headers: HeaderMap,
    question: Bytes,
    secure: Option<Arc<Secure>>,
    /// Satisfied with anything that gRPC says.
    any_answer: bool,
    has_credential: bool,
    said: AtomicBool,
}

impl Check for Grpc {
    fn key(&self) -> &'static str {
        Self::KEY
    }

    fn target(&self) -> String {
        self.0.shown.clone()
    }

    fn look<'a>(&'a self, attempt: &'a mut Attempt) -> Looking<'a> {
        Box::pin(async move {
            let looked = self.0.open(attempt).await;
            attempt.let_go();
            looked.map(drop)
        })
    }

    fn without_credential(&self) -> Option<Arc<dyn Check>> {
        let call = &*self.0;
        if !call.has_credential {
            return None;
        }
        let headers = call.headers.iter().filter(|(_, value)| !value.is_sensitive());
        Some(Arc::new(Self(Arc::new(Call {
            url: call.url.clone(),
            ip: call.ip,
            shown: call.shown.clone(),
            headers: headers.map(|(name, value)| (name.clone(), value.clone())).collect(),
            question: call.question.clone(),
            secure: call.secure.clone(),
            any_answer: true,
            has_credential: false,
            said: AtomicBool::new(false),
        }))))
    }

    fn hold(&self) -> Option<&dyn Hold> {
        Some(self)
    }

    fn blackbox_phases(&self) -> &'static [(&'static str, &'static [Phase])] {
        &[
            ("resolve", &[Phase::Resolve]),
            ("connect", &[Phase::Connect]),
            ("tls", &[Phase::Tls]),
            ("check", &[Phase::Request, Phase::FirstByte, Phase::Transfer]),
        ]
    }
}

impl Call {
    /// Opens a connection and asks on it.
    async fn open(&self, attempt: &mut Attempt) -> Result<Line, Failure> {
        let order = self.order(attempt)?;
        let opened = OpenedBy { secure: self.secure.as_deref(), http2_only: true, proxy: None };
        let mut line = Line::open(attempt, &order, opened).await?;
        self.ask(attempt, &mut line, &order).await?;
        Ok(line)
    }

    /// The call as it is sent now: it tells the server how long we wait.
    fn order(&self, attempt: &Attempt) -> Result<Order, Failure> {
        let unfit = |why: String| Failure::new(Phase::Request, Kind::Internal, why);
        let mut headers = self.headers.clone();
        let left = attempt.deadline.duration_since(tokio::time::Instant::now()).as_millis();
        // At most eight digits.
        if let Ok(value) = HeaderValue::from_str(&format!("{}m", left.clamp(1, 99_999_999))) {
            headers.insert("grpc-timeout", value);
        }
        Order::to(self.url.clone(), self.ip, Method::POST, &headers, self.question.clone()).map_err(unfit)
    }

    /// Asks on an open connection and judges the answer.
    async fn ask(&self, attempt: &mut Attempt, line: &mut Line, order: &Order) -> Result<(), Failure> {
        let asked = self.exchange(attempt, line, order).await;
        attempt.leave();
        let answered = asked?;
        let healthy = match answered {
            _ if self.any_answer => return Ok(()),
            Answered { code, body } => health::judge(Phase::Transfer, code, &body)?,
        };
        let serving = f64::from(u8::from(healthy == Health::Serving));
        attempt.gauge("probe_grpc_healthcheck_response", "1 when the service says SERVING", serving);
        if healthy == Health::NotImplemented && !self.said.swap(true, Relaxed) {
            tracing::warn!("{} lives, but has no health service (UNIMPLEMENTED): it counts as up", self.shown);
        }
        Ok(())
    }

    async fn exchange(&self, attempt: &mut Attempt, line: &mut Line, order: &Order) -> Result<Answered, Failure> {
        let (head, mut body) = line.send(attempt, order).await?.into_parts();
        attempt.note_head(head.status, &head.headers);
        if let Some(failure) = health::no_grpc(head.status, &head.headers) {
            return Err(failure);
        }
        // An answer without a message has its status in its head.
        if let Some(code) = health::status(&head.headers) {
            return Ok(Answered { code: code?, body: vec![] });
        }
        let mut answer = Vec::new();
        while let Some(frame) = line.frame(attempt, &mut body).await? {
            match frame.into_data() {
                Ok(piece) if answer.len() + piece.len() > ANSWER_AT_MOST => {
                    let detail = format!("more than {ANSWER_AT_MOST} bytes where a few were due");
                    return Err(Failure::new(Phase::Transfer, Kind::BodyTooLarge, detail));
                }
                Ok(piece) => answer.extend_from_slice(&piece),
                Err(other) => {
                    if let Ok(trailers) = other.into_trailers()
                        && let Some(code) = health::status(&trailers)
                    {
                        return Ok(Answered { code: code?, body: answer });
                    }
                }
            }
        }
        Err(Failure::new(Phase::Transfer, Kind::ProtocolError, "the answer ended without the status of gRPC"))
    }
}

struct Answered {
    code: u32,
    body: Vec<u8>,
}

impl Hold for Grpc {
    fn open<'a>(&'a self, attempt: &'a mut Attempt) -> Opening<'a> {
        Box::pin(async move {
            let opened = self.0.open(attempt).await;
            attempt.let_go();
            let line = opened?;
            Ok(Box::new(Held { call: Arc::clone(&self.0), line }) as Box<dyn Session>)
        })
    }

    /// That of gRPC's own clients: from one second, longer by 1.6 up to two minutes, a fifth of it random.
    fn backoff(&self) -> super::Backoff {
        let (first, longest) = (std::time::Duration::from_secs(1), std::time::Duration::from_mins(2));
        super::Backoff { first, factor: 1.6, longest, random: 0.2 }
    }
}

/// An open connection.
struct Held {
    call: Arc<Call>,
    line: Line,
}

impl Session for Held {
    fn ping<'a>(&'a mut self, attempt: &'a mut Attempt) -> Looking<'a> {
        Box::pin(async move {
            attempt.facts.connection = Connection::Warm;
            let order = self.call.order(attempt)?;
            let asked = if self.line.resume(attempt).await {
                self.call.ask(attempt, &mut self.line, &order).await
            } else {
                Err(self.line.ended(Phase::Request).await.failure)
            };
            attempt.leave();
            attempt.let_go();
            asked
        })
    }

    fn ended(&mut self) -> Ending<'_> {
        Box::pin(self.line.ended(Phase::Exchange))
    }

    fn close(self: Box<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move { drop(self.line) })
    }
}

impl Protocol for Grpc {
    const KEY: &'static str = "grpc";
    const SCHEMES: &'static [&'static str] = &["grpc", "grpcs"];
    type File = GrpcFile;

    fn build(file: &Self::File, net: &Arc<Net>) -> Result<Self, Problem> {
        let (secured, rest) = split(&file.address);
        let endpoint = Endpoint::parse(rest, secured.then_some(443), file.ip);
        let endpoint = endpoint.map_err(|why| match rest.split_once("://") {
            Some((other, _)) => {
                let why =
                    format!("`{other}` is not a scheme of gRPC: write host:port, grpc://host:port or grpcs://host");
                Problem::at("address", why)
            }
            None => Problem::at("address", why),
        })?;
        if !secured && file.tls != TlsFile::default() {
            let problem = Problem::at("tls", "there is no TLS here: the address does not begin with grpcs://");
            return Err(problem.help(format!("write grpcs://{endpoint}")));
        }
        let secure = if secured { Some(Arc::new(Secure::new(net, &file.tls, &["h2"])?)) } else { None };
        let scheme = if secured { "https" } else { "http" };
        let url = format!("{scheme}://{endpoint}{}", health::METHOD).parse();
        let url = url.map_err(|_| Problem::at("address", format!("`{rest}` cannot be asked")))?;
        if file.service.len() > 1024 {
            return Err(Problem::at("service", "is longer than the name of any service"));
        }
        let mut headers =
            head::headers(&file.metadata).map_err(|problem| Problem { path: renamed(problem.path), ..problem })?;
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        let shown = format!("{}://{endpoint}", if secured { "grpcs" } else { "grpc" });
        let shown = if file.service.is_empty() { shown } else { format!("{shown}/{}", file.service) };
        Ok(Self(Arc::new(Call {
            url,
            ip: file.ip,
            shown,
            headers,
            question: health::question(&file.service),
            secure,
            any_answer: false,
            has_credential: !file.metadata.is_empty(),
            said: AtomicBool::new(false),
        })))
    }

    fn from_url(url: &url::Url) -> Result<Self::File, String> {
        GrpcFile::from_url(url)
    }

    fn retarget(file: &Self::File, target: &str) -> Result<Self::File, String> {
        file.at(target)
    }

    fn apply(file: &mut Self::File, overrides: &Overrides) {
        file.ip = overrides.ip.unwrap_or(file.ip);
        file.tls.insecure |= overrides.insecure && split(&file.address).0;
        head::replace(&mut file.metadata, &overrides.headers);
    }
}

/// What other checks call headers is metadata here.
fn renamed(mut path: Vec<String>) -> Vec<String> {
    if let Some(first) = path.first_mut().filter(|first| *first == "headers") {
        "metadata".clone_into(first);
    }
    path
}

/// Takes bytes for an answer.
#[cfg(any(test, fuzzing))]
pub(super) fn parse(bytes: &[u8]) {
    let _ = health::answer(bytes);
}
