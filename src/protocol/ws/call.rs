//! Where a WebSocket leads and what is said at the door: prepared once, opened as often as wanted.

use http::{HeaderMap, header};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::protocol::{Role, WebSocketConfig},
};
use url::{Position, Url};

use super::{MESSAGE_AT_MOST, WebSocket, upgrade};
use crate::{
    model::{Failure, Phase, Secret},
    protocol::{Attempt, Endpoint, Ip, Problem, Secure, head, link::Link},
};

/// Enough for what control frames and small messages need, and kept for as long as the connection lasts: the default is
/// 128 KiB, which becomes resident with the first frame.
const READ_BUFFER: usize = 128;

/// A WebSocket to open.
#[derive(Debug, Clone)]
pub(in crate::protocol) struct Call {
    /// Whom to connect to.
    pub(in crate::protocol) endpoint: Endpoint,
    /// Whether the URL asks for TLS: [`Call::open`] needs a [`Secure`] then.
    pub(in crate::protocol) secured: bool,
    /// Whether the server has sent us here itself, so that the probe's TLS name is not meant for it.
    pub(in crate::protocol) elsewhere: bool,
    shown: String,
    /// The head of the request, but for the key and the end: as text it is smaller than in parts.
    head: Secret,
    subprotocols: Box<[String]>,
}

impl Call {
    /// The call that a `ws` or `wss` URL stands for (`http` and `https` are taken for the same), with headers of
    /// [`super::super::head::headers`] and the subprotocols to offer, best first.
    ///
    /// # Errors
    /// What is wrong with `url`, `subprotocols` or `headers`: the fields have these names in every check.
    pub(in crate::protocol) fn new(
        url: &Url,
        ip: Ip,
        mut headers: HeaderMap,
        subprotocols: &[&str],
    ) -> Result<Self, Problem> {
        let wrong = |why: &str| Problem::at("url", why);
        let secured = match url.scheme() {
            "wss" | "https" => true,
            "ws" | "http" => false,
            other => return Err(wrong(&format!("`{other}` is not a scheme of WebSocket: write ws:// or wss://"))),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("a URL is shown in many places and must not hold a credential")
                .help("give it as a header: `headers: { Authorization: \"…\" }`"));
        }
        let shown_host =
            url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| wrong("the URL names no host"))?;
        let port = url.port_or_known_default().ok_or_else(|| wrong("the URL names no port"))?;
        let host = shown_host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let path = url[Position::BeforePath..Position::AfterQuery].parse::<http::Uri>();
        let path = path.map_err(|_| wrong("the URL cannot be sent as it is"))?;

        if let Some(own) = OUR_HEADERS.iter().find(|name| headers.contains_key(**name)) {
            return Err(Problem::at(&format!("headers.{own}"), "the upgrade to WebSocket itself sets this header"));
        }
        let is_token = |name: &&str| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_graphic() && !"()<>@,;:\\\"/[]?={}".contains(c))
        };
        if let Some(bad) = subprotocols.iter().find(|name| !is_token(name)) {
            return Err(Problem::at("subprotocols", format!("`{bad}` is not the name of a subprotocol")));
        }
        let own_host = headers.remove(header::HOST);
        let authority = url.port().map_or_else(|| shown_host.to_owned(), |port| format!("{shown_host}:{port}"));
        let authority = own_host.as_ref().and_then(|host| host.to_str().ok()).unwrap_or(&authority);
        let mut head = format!(
            "GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        );
        if !subprotocols.is_empty() {
            head += &format!("Sec-WebSocket-Protocol: {}\r\n", subprotocols.join(", "));
        }
        for (name, value) in &headers {
            let value = value.to_str().map_err(|_| wrong("a header cannot be sent as it is"))?;
            head += &format!("{name}: {value}\r\n");
        }
        let shown = format!("{}://{}{}", url.scheme(), &url[Position::BeforeHost..Position::AfterPort], url.path());
        let subprotocols = subprotocols.iter().map(|name| (*name).to_owned()).collect();
        let endpoint = Endpoint { host, port, ip };
        Ok(Self { endpoint, secured, elsewhere: false, shown, head: Secret::new(head), subprotocols })
    }

    /// The same without the headers and the parts of the query that say who we are; `None` where there are none.
    pub(in crate::protocol) fn without_credential(&self) -> Option<Self> {
        let (asked, headers) = self.head.reveal().split_once("\r\n")?;
        let query = asked.trim_end_matches(" HTTP/1.1").split_once('?').map_or("", |(_, query)| query);
        let mut url = Url::parse(&self.shown).ok()?;
        url.set_query(Some(query).filter(|query| !query.is_empty()));
        let bare = head::without_credential(&url);
        let is_bare = |line: &&str| !line.split(':').next().is_some_and(head::is_credential);
        let left: String = headers.split_inclusive("\r\n").filter(is_bare).collect();
        if bare == url && left == headers {
            return None;
        }
        let head = format!("GET {} HTTP/1.1\r\n{left}", &bare[Position::BeforePath..]);
        Some(Self { head: Secret::new(head), ..self.clone() })
    }

    /// The URL for people: without credentials, query and fragment.
    pub(in crate::protocol) fn shown(&self) -> &str {
        &self.shown
    }

    /// Resolves, connects, shakes hands and changes to WebSocket, each as a phase. `secure` is what the probe's TLS
    /// options make; it should offer `http/1.1` alone (ALPN), as clients do.
    ///
    /// # Errors
    /// Why there is no WebSocket.
    pub(in crate::protocol) async fn open(
        &self,
        attempt: &mut Attempt,
        secure: Option<&Secure>,
    ) -> Result<WebSocket, Failure> {
        let secure = secure.filter(|_| self.secured);
        let link = if self.elsewhere {
            attempt.link_elsewhere(&self.endpoint, secure).await?
        } else {
            attempt.link(&self.endpoint, secure).await?
        };
        self.upgrade(attempt, link).await
    }

    /// Changes a connection that stands already to WebSocket, as a phase.
    ///
    /// # Errors
    /// Why it was not changed.
    pub(in crate::protocol) async fn upgrade(&self, attempt: &mut Attempt, link: Link) -> Result<WebSocket, Failure> {
        let mut link = link;
        attempt.enter(Phase::Upgrade, "answer to the upgrade");
        let early = upgrade::change(attempt, &mut link, self.head.reveal(), &self.subprotocols).await;
        attempt.leave();
        let stream = WebSocketStream::from_partially_read(link, early?, Role::Client, Some(frugal())).await;
        Ok(WebSocket { stream, peer: attempt.facts.peer, pings: 0 })
    }
}

/// Headers that make the upgrade what it is.
const OUR_HEADERS: [&str; 5] =
    ["connection", "upgrade", "sec-websocket-version", "sec-websocket-key", "sec-websocket-protocol"];

/// Little memory, and an end to what a peer may send or not take.
fn frugal() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(2 * MESSAGE_AT_MOST)
        .max_message_size(Some(MESSAGE_AT_MOST))
        .max_frame_size(Some(MESSAGE_AT_MOST))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn call(url: &str, headers: &[(&str, &str)]) -> Call {
        let given = headers.iter().map(|(name, value)| ((*name).to_owned(), Secret::new(*value)));
        let headers = head::headers(&given.collect::<BTreeMap<_, _>>()).unwrap();
        Call::new(&url.parse().unwrap(), Ip::default(), headers, &["chat"]).unwrap()
    }

    #[test]
    fn what_says_who_we_are_is_left_out_and_nothing_else() {
        assert!(call("wss://a.test/x?room=1", &[("X-Room", "2")]).without_credential().is_none());
        let whole = call("wss://a.test/x?room=1&access_token=s3cret", &[("Cookie", "s3cret"), ("X-Room", "2")]);
        let bare = whole.without_credential().unwrap();
        let other = call("wss://a.test/x?room=1", &[("X-Room", "2")]);
        assert_eq!(bare.head.reveal(), other.head.reveal());
        assert_eq!(bare.shown(), whole.shown());
        assert!(bare.without_credential().is_none());
        let only = call("ws://[::1]:80/?token=s3cret", &[]).without_credential().unwrap();
        assert!(only.head.reveal().starts_with("GET / HTTP/1.1\r\nHost: [::1]"), "{}", only.head.reveal());
    }
}
