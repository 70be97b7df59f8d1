//! HTTP for the protocols that stand on it: a request and its whole answer up to a limit, or its head and the connection
//! to read on from. Judges nothing: what an answer means is known to whoever asked.

use std::sync::OnceLock;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, header};
use url::Url;

use super::{
    body::Reading,
    line::{Body, Line, Opening},
    order::Order,
};
use crate::{
    model::{Failure, Kind, Phase},
    net::Net,
    protocol::{Attempt, Ip, Problem, Secure, TlsFile},
};

/// Bytes of an answer that are read at most.
const BODY_AT_MOST: u64 = 64 * 1024;

/// Whom to ask and how, prepared once.
pub(in crate::protocol) struct Caller {
    ip: Ip,
    tls: TlsFile,
    alpn: &'static [&'static str],
    redirects: u32,
    // Made at once where TLS is in sight, otherwise when a redirect leads to it.
    secure: OnceLock<Secure>,
}

/// A whole answer.
pub(in crate::protocol) struct Answer {
    pub(in crate::protocol) status: u16,
    pub(in crate::protocol) headers: HeaderMap,
    pub(in crate::protocol) body: Vec<u8>,
    /// Whether that is all of the body.
    pub(in crate::protocol) complete: bool,
}

impl Answer {
    /// Whether its connection carries no other: the server says so, or some of this one is still to come.
    fn is_the_last(&self) -> bool {
        let says = self.headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
        let closes = says.flat_map(|value| value.split(',')).any(|word| word.trim().eq_ignore_ascii_case("close"));
        closes || !self.complete
    }
}

impl Caller {
    /// Prepares requests to places like `base`; redirects are followed up to a number.
    pub(in crate::protocol) fn new(
        net: &Net,
        base: &Url,
        ip: Ip,
        tls: &TlsFile,
        redirects: u32,
    ) -> Result<Self, Problem> {
        let caller = Self { ip, tls: tls.clone(), alpn: &["h2", "http/1.1"], redirects, secure: OnceLock::new() };
        if base.scheme() == "https" || *tls != TlsFile::default() {
            let _ = caller.secure.set(Secure::new(net, tls, caller.alpn)?);
        }
        Ok(caller)
    }

    /// A request, put together once; `headers` may hold secrets and are never shown.
    pub(in crate::protocol) fn order(
        &self,
        method: Method,
        url: Url,
        headers: &[(header::HeaderName, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Order, String> {
        let mut map = HeaderMap::new();
        map.insert(header::USER_AGENT, HeaderValue::from_static(concat!("usoryou/", env!("CARGO_PKG_VERSION"))));
        map.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        for (name, value) in headers {
            let mut value = HeaderValue::from_str(value)
                .map_err(|_| format!("what goes into the header {name} holds characters that no header can carry"))?;
            value.set_sensitive(true);
            map.insert(name.clone(), value);
        }
        Order::to(url, self.ip, method, &map, body.into())
    }

    /// Asks on a fresh connection and reads the answer to its end.
    pub(in crate::protocol) async fn ask(&self, attempt: &mut Attempt, order: &Order) -> Result<Answer, Failure> {
        self.ask_and_keep(attempt, order).await.map(|(_, answer)| answer)
    }

    /// The same, and the connection to ask more on, unless redirects have led elsewhere.
    pub(in crate::protocol) async fn ask_and_keep(
        &self,
        attempt: &mut Attempt,
        order: &Order,
    ) -> Result<(Option<Line>, Answer), Failure> {
        let (mut line, head, redirected) = self.open(attempt, order).await?;
        let answer = self.read(attempt, &mut line, head).await;
        attempt.leave();
        let answer = answer?;
        Ok((Some(line).filter(|_| redirected.is_none() && !answer.is_the_last()), answer))
    }

    /// Asks once more, on the connection that was kept if there is one.
    pub(in crate::protocol) async fn again(
        &self,
        attempt: &mut Attempt,
        line: &mut Option<Line>,
        order: &Order,
    ) -> Result<Answer, Failure> {
        let Some(kept) = line else { return self.ask(attempt, order).await };
        attempt.enter(Phase::Request, "chance to finish the request");
        let head = self.send(attempt, kept, order).await?;
        let answer = self.read(attempt, kept, head).await;
        attempt.leave();
        line.take_if(|_| answer.as_ref().is_ok_and(Answer::is_the_last));
        answer
    }

    /// Asks on a fresh connection; ends with the head of the answer and what is needed to read on. Where redirects led
    /// elsewhere, the order that was answered comes too.
    pub(in crate::protocol) async fn open(
        &self,
        attempt: &mut Attempt,
        order: &Order,
    ) -> Result<(Line, Response<Body>, Option<Order>), Failure> {
        let mut redirected: Option<Order> = None;
        for followed in 0.. {
            let order = redirected.as_ref().unwrap_or(order);
            let secure = if order.https { Some(self.secure(&attempt.net)?) } else { None };
            let mut line = Line::open(attempt, order, Opening { secure, http2_only: false, proxy: None }).await?;
            let head = self.send(attempt, &mut line, order).await?;
            let status = head.status().as_u16();
            let location = head.headers().get(header::LOCATION);
            let location = location.filter(|_| self.redirects > 0 && matches!(status, 301 | 302 | 303 | 307 | 308));
            let Some(location) = location else { return Ok((line, head, redirected)) };
            let lost = |why: String| Failure::new(Phase::FirstByte, Kind::RedirectLimit, why);
            if followed >= self.redirects {
                return Err(lost(format!("more than {} redirects", self.redirects)));
            }
            let next = order.redirected(status, location).map_err(lost)?;
            redirected = Some(next);
        }
        // Not reached: the loop ends by itself.
        Err(Failure::new(Phase::FirstByte, Kind::Internal, "redirects without end"))
    }

    async fn send(&self, attempt: &mut Attempt, line: &mut Line, order: &Order) -> Result<Response<Body>, Failure> {
        let head = line.send(attempt, order).await?;
        attempt.note_head(head.status(), head.headers());
        Ok(head)
    }

    /// Reads an answer whose head is there.
    pub(in crate::protocol) async fn read(
        &self,
        attempt: &mut Attempt,
        line: &mut Line,
        head: Response<Body>,
    ) -> Result<Answer, Failure> {
        let (head, mut body) = head.into_parts();
        let reading = Reading { limit: BODY_AT_MOST, wants_content: true };
        let read = reading.read(attempt, line, &head.headers, &mut body).await?;
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body: read.bytes, complete: read.complete })
    }

    fn secure(&self, net: &Net) -> Result<&Secure, Failure> {
        if let Some(secure) = self.secure.get() {
            return Ok(secure);
        }
        let made = Secure::new(net, &self.tls, self.alpn)
            .map_err(|problem| Failure::new(Phase::Tls, Kind::Internal, problem.message))?;
        Ok(self.secure.get_or_init(|| made))
    }
}
