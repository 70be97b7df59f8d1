//! The way through a proxy: HTTP CONNECT (RFC 9110 §9.3.6) and SOCKS5 (RFC 1928, 1929), by hand, so that it is a phase of
//! its own. The proxy resolves the target's name. Variables such as `HTTPS_PROXY` are not heeded: a probe goes the way
//! that its configuration says.

mod way;

use std::{io, net::IpAddr};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use url::Url;

pub use way::Way;

use super::{Attempt, Endpoint, Ip, Secure, TlsFile, basic::basic};
use crate::{
    model::{Failure, Kind, Phase, Secret},
    net::{Net, classify},
};

/// What the head of a proxy's answer may be at most.
const HEAD_AT_MOST: usize = 16 * 1024;
/// RFC 1929 §2.
const SOCKS_TEXT_AT_MOST: usize = 255;
const AWAITED: &str = "answer of the proxy";

/// A proxy, prepared once.
#[derive(Debug)]
pub struct Proxy {
    endpoint: Endpoint,
    /// User and password.
    user: Option<(Secret, Secret)>,
    speaks: Speaks,
}

#[derive(Debug)]
enum Speaks {
    Http,
    Https(Box<Secure>),
    Socks5,
}

impl Proxy {
    /// Reads `http://`, `https://` or `socks5://`, with `user:password@` where the proxy wants them. `tls` are the options
    /// of the probe: an authority that it trusts may have made the proxy's certificate too.
    ///
    /// # Errors
    /// What is wrong with it, in words that show nothing of it.
    pub fn parse(text: &Secret, ip: Ip, net: &Net, tls: &TlsFile) -> Result<Self, String> {
        let url: Url = text.reveal().parse().map_err(|error| format!("this is not a URL: {error}"))?;
        let speaks = match url.scheme() {
            "http" => Speaks::Http,
            "https" => {
                let tls = TlsFile { ca_file: tls.ca_file.clone(), insecure: tls.insecure, ..TlsFile::default() };
                let secure = Secure::new(net, &tls, &["http/1.1"]).map_err(|problem| problem.message)?;
                Speaks::Https(Box::new(secure))
            }
            "socks5" | "socks5h" => Speaks::Socks5,
            _ => return Err("write http://host:port, https://host:port or socks5://host:port".to_owned()),
        };
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or("the URL of the proxy names no host")?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let standard = if matches!(speaks, Speaks::Socks5) { Some(1080) } else { url.port_or_known_default() };
        let port = url.port().or(standard).ok_or("the URL of the proxy names no port")?;
        if !matches!(url.path(), "" | "/") || url.query().is_some() {
            return Err("the URL of a proxy ends with its port".to_owned());
        }
        let user = match (url.username(), url.password()) {
            ("", None) => None,
            (user, password) => Some((decoded(user)?, decoded(password.unwrap_or_default())?)),
        };
        if let (Some((user, password)), Speaks::Socks5) = (&user, &speaks) {
            let fits = |text: &Secret| (1..=SOCKS_TEXT_AT_MOST).contains(&text.reveal().len());
            if !fits(user) || !fits(password) {
                return Err("SOCKS5 takes a user and a password of 1 to 255 bytes each".to_owned());
            }
        }
        Ok(Self { endpoint: Endpoint { host, port, ip }, user, speaks })
    }

    /// Whether it takes requests of plain HTTP as they are, with the whole URL.
    #[must_use]
    pub const fn takes_requests(&self) -> bool {
        !matches!(self.speaks, Speaks::Socks5)
    }

    /// The value of `Proxy-Authorization`, for a proxy that wants one.
    #[must_use]
    pub fn authorization(&self) -> Option<Secret> {
        self.user.as_ref().map(|(user, password)| basic(user.reveal(), password.reveal()))
    }
}

fn decoded(text: &str) -> Result<Secret, String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        bytes.push(match byte {
            b'%' => match (digit(rest.next()), digit(rest.next())) {
                (Some(high), Some(low)) => u8::try_from(high * 16 + low).unwrap_or_default(),
                _ => return Err("a `%` in the user or the password of a proxy is written `%25`".to_owned()),
            },
            other => other,
        });
    }
    let text = String::from_utf8(bytes).map_err(|_| "user and password of a proxy are UTF-8 text")?;
    Ok(Secret::new(text))
}

impl Attempt {
    /// Connects: to the target itself, or to a proxy and through it. Through a proxy, the peer of the attempt is the
    /// proxy, and a tunnel is asked for in [`Phase::Proxy`].
    ///
    /// # Errors
    /// Why there is no way there.
    pub async fn reach(&mut self, to: &Endpoint, proxy: Option<&Proxy>) -> Result<Way, Failure> {
        match proxy {
            None => Ok(Way::direct(self.dial(to).await?)),
            Some(proxy) => {
                let way = self.reach_proxy(proxy).await?;
                self.phase(Phase::Proxy, AWAITED, proxy.tunnel(way, to)).await
            }
        }
    }

    /// Connects to a proxy that takes requests as they are.
    ///
    /// # Errors
    /// Why there is no way there.
    pub async fn reach_proxy(&mut self, proxy: &Proxy) -> Result<Way, Failure> {
        let socket = self.dial(&proxy.endpoint).await?;
        match &proxy.speaks {
            Speaks::Http | Speaks::Socks5 => Ok(Way::direct(socket)),
            Speaks::Https(secure) => {
                let secured = secure.quietly(&proxy.endpoint.host, socket.clone());
                let stream = self.phase(Phase::Proxy, "ServerHello of the proxy", secured).await;
                let stream = stream.map_err(|failure| Failure { phase: Phase::Proxy, ..failure })?;
                Ok(Way::secured(socket, stream))
            }
        }
    }
}

impl Proxy {
    async fn tunnel(&self, way: Way, to: &Endpoint) -> Result<Way, Failure> {
        match self.speaks {
            Speaks::Socks5 => self.socks(way, to).await,
            Speaks::Http | Speaks::Https(_) => self.connect(way, to).await,
        }
    }

    async fn connect(&self, mut way: Way, to: &Endpoint) -> Result<Way, Failure> {
        let mut request = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n");
        request.push_str(concat!("User-Agent: usoryou/", env!("CARGO_PKG_VERSION"), "\r\n"));
        if let Some(value) = self.authorization() {
            request.push_str(&format!("Proxy-Authorization: {}\r\n", value.reveal()));
        }
        request.push_str("\r\n");
        way.write_all(request.as_bytes()).await.map_err(broken)?;
        way.flush().await.map_err(broken)?;
        let mut head = BytesMut::new();
        loop {
            if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
                // What comes after it is the target's.
                way.early = head.split_off(end + 4);
                break;
            }
            if head.len() > HEAD_AT_MOST {
                return Err(garbled("the head of the proxy's answer is too large"));
            }
            if way.read_buf(&mut head).await.map_err(broken)? == 0 {
                let whole =
                    if head.is_empty() { "the proxy closed the connection" } else { "the proxy's answer ends early" };
                return Err(Failure::new(Phase::Proxy, Kind::ClosedEarly, whole));
            }
        }
        let status = status_of(&head).ok_or_else(|| garbled("what the proxy answers is not HTTP"))?;
        refused(status).map_or(Ok(way), Err)
    }

    async fn socks(&self, mut way: Way, to: &Endpoint) -> Result<Way, Failure> {
        let methods: &[u8] = if self.user.is_some() { &[5, 2, 0, 2] } else { &[5, 1, 0] };
        let [version, method] = way.asks::<2>(methods).await?;
        if version != 5 {
            return Err(garbled("what the proxy answers is not SOCKS5"));
        }
        match (method, &self.user) {
            (0, _) => {}
            (2, Some((user, password))) => {
                let mut said = vec![1];
                for text in [user.reveal(), password.reveal()] {
                    said.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
                    said.extend_from_slice(text.as_bytes());
                }
                let [_, status] = way.asks::<2>(&said).await?;
                if status != 0 {
                    let detail = "the proxy refuses our user and password";
                    return Err(Failure::new(Phase::Proxy, Kind::Unauthorized, detail));
                }
            }
            (0xff, Some(_)) => return Err(unauthorized("the proxy wants another way to say who we are")),
            (0xff, None) => return Err(unauthorized("the proxy wants to know who we are")),
            _ => return Err(garbled("the proxy wants what was not offered")),
        }
        let mut request = vec![5, 1, 0];
        match to.host.parse() {
            Ok(IpAddr::V4(address)) => {
                request.push(1);
                request.extend(address.octets());
            }
            Ok(IpAddr::V6(address)) => {
                request.push(4);
                request.extend(address.octets());
            }
            Err(_) => {
                let length = u8::try_from(to.host.len()).map_err(|_| {
                    Failure::new(Phase::Proxy, Kind::Internal, "the target's name is too long for SOCKS5")
                })?;
                request.extend([3, length]);
                request.extend_from_slice(to.host.as_bytes());
            }
        }
        request.extend(to.port.to_be_bytes());
        let [version, reply, _, kind] = way.asks::<4>(&request).await?;
        if version != 5 {
            return Err(garbled("what the proxy answers is not SOCKS5"));
        }
        if let Some(failure) = socks_refused(reply) {
            return Err(failure);
        }
        // The address from which it reaches the target, which nobody needs.
        let length = match kind {
            1 => 4,
            4 => 16,
            3 => usize::from(way.asks::<1>(&[]).await?[0]),
            _ => return Err(garbled("what the proxy answers is not SOCKS5")),
        };
        let mut rest = vec![0; length + 2];
        way.read_exact(&mut rest).await.map_err(broken)?;
        Ok(way)
    }
}

/// The status of an answer, by its first line.
fn status_of(head: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(head.split(|byte| *byte == b'\r').next()?).ok()?;
    let mut words = line.strip_prefix("HTTP/1.")?.split(' ').skip(1);
    words.next()?.parse().ok().filter(|status| (100..600).contains(status))
}

/// Why a proxy that answers with a status makes no tunnel.
fn refused(status: u16) -> Option<Failure> {
    let (kind, words) = match status {
        200..300 => return None,
        // Ours, not the target's: the credential for the proxy.
        // Some say 401 for it, which is meant for servers.
        401 | 407 => (Kind::Unauthorized, "the proxy wants a user and a password, or others than these"),
        403 | 405 => (Kind::Refused, "the proxy does not let us through to the target"),
        429 => (Kind::RateLimited, "the proxy has too many requests from us"),
        500 | 502 | 503 => (Kind::Unreachable, "the proxy does not reach the target"),
        504 => (Kind::TimedOut, "the proxy waited for the target in vain"),
        _ => (Kind::StatusUnexpected, "the proxy makes no tunnel"),
    };
    Some(Failure::new(Phase::Proxy, kind, format!("{words} ({status})")))
}

/// The same for the replies of RFC 1928 §6.
fn socks_refused(reply: u8) -> Option<Failure> {
    let (kind, words) = match reply {
        0 => return None,
        1 => (Kind::Unreachable, "the proxy does not reach the target"),
        2 => (Kind::Refused, "the proxy does not let us through to the target"),
        3 => (Kind::Unreachable, "the target's network is unreachable for the proxy"),
        4 => (Kind::Unreachable, "the target is unreachable for the proxy, or it knows no such name"),
        5 => (Kind::Refused, "the target refuses the proxy's connection"),
        6 => (Kind::TimedOut, "the proxy waited for the target in vain"),
        _ => (Kind::ProtocolError, "the proxy does not take the request"),
    };
    Some(Failure::new(Phase::Proxy, kind, format!("{words} (SOCKS5 reply {reply})")))
}

/// What a status of the proxy itself means, where the request was handed to it as it is: only 407 is never the target's.
pub(super) fn refused_by_proxy(status: u16) -> Option<Failure> {
    if status == 407 { refused(status) } else { None }
}

fn broken(error: io::Error) -> Failure {
    classify::io(Phase::Proxy, &error)
}

fn garbled(words: &str) -> Failure {
    Failure::new(Phase::Proxy, Kind::ProtocolError, words)
}

fn unauthorized(words: &str) -> Failure {
    Failure::new(Phase::Proxy, Kind::Unauthorized, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Proxy, String> {
        Proxy::parse(&Secret::new(text), Ip::Any, &Net::default(), &TlsFile::default())
    }

    #[test]
    fn proxies_as_people_write_them() {
        let read = |text: &str| parse(text).map(|proxy| proxy.endpoint.to_string());
        assert_eq!(read("http://proxy.test:3128").as_deref(), Ok("proxy.test:3128"));
        assert_eq!(read("http://proxy.test/").as_deref(), Ok("proxy.test:80"));
        assert_eq!(read("socks5://[::1]").as_deref(), Ok("[::1]:1080"));
        let proxy = parse("http://me:p%40ss%25@proxy.test:1").unwrap();
        assert_eq!(proxy.user.as_ref().unwrap().1.reveal(), "p@ss%");
        assert!(!format!("{proxy:?}").contains("p@ss"));
        for bad in ["proxy.test:3128", "ftp://a", "http://a/path", "socks5://user@a:1", "http://a:s3cret%zz@a", "x"] {
            let why = parse(bad).unwrap_err();
            assert!(!why.contains("s3cret"), "{why}");
        }
    }

    #[test]
    fn first_lines_of_answers() {
        let read = |text: &str| status_of(text.as_bytes());
        assert_eq!(read("HTTP/1.1 200 Connection established\r\n\r\n"), Some(200));
        assert_eq!(read("HTTP/1.0 407\r\n\r\n"), Some(407));
        for bad in ["", "SSH-2.0\r\n", "HTTP/1.1\r\n", "HTTP/1.1 99 x\r\n", "HTTP/1.1 2000\r\n", "HTTP/2 200\r\n"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
