//! Servers and questions as people write them.

use url::Url;

use super::{DnsFile, Expect, Transport, a};
use crate::protocol::{Endpoint, Ip, TlsFile};

/// A server to ask.
#[derive(Debug, Clone)]
pub(super) struct Server {
    pub(super) endpoint: Endpoint,
    /// Where the question is posted to; with `transport: https` alone.
    pub(super) url: Option<Url>,
}

impl Server {
    /// Reads `host`, `host:port`, or a URL for `transport: https`.
    pub(super) fn parse(text: &str, transport: Transport, ip: Ip) -> Result<Self, String> {
        if transport == Transport::Https {
            return Self::parse_url(text, ip);
        }
        if text.contains("://") {
            return Err(format!("`{text}` is a URL, which only `transport: https` takes: write `host` or `host:port`"));
        }
        let port = if transport == Transport::Tls { 853 } else { 53 };
        Ok(Self { endpoint: Endpoint::parse(text, Some(port), ip)?, url: None })
    }

    /// A host alone stands for the path that everybody uses (RFC 8484 §4.1.1 names it in its examples).
    fn parse_url(text: &str, ip: Ip) -> Result<Self, String> {
        let whole = if text.contains("://") { text.to_owned() } else { format!("https://{text}/dns-query") };
        let expected = || format!("`{text}` is no server for `transport: https`: write https://host/dns-query");
        let url: Url = whole.parse().map_err(|_| expected())?;
        let host = url.host_str().filter(|_| url.scheme() == "https").ok_or_else(expected)?;
        let host = host.trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().unwrap_or(443);
        Ok(Self { endpoint: Endpoint { host, port, ip }, url: Some(url) })
    }
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.url {
            // A path may hold an account's token.
            Some(url) => write!(f, "{}", url.origin().ascii_serialization()),
            None => write!(f, "{}", self.endpoint),
        }
    }
}

/// Reads `dns://[server[:port]]/name[?type=A&transport=udp]` and `dns:name[?type=A]` (RFC 4501). Where there is no path the
/// host is the name, asked of the system's resolver: what people mean by `dns://example.com`.
pub(super) fn from_url(url: &Url) -> Result<DnsFile, String> {
    let path = url.path().trim_matches('/').to_owned();
    let host = url.host_str().unwrap_or_default().to_owned();
    let (name, server) = match (path.is_empty(), host.is_empty()) {
        (true, true) => return Err("the URL names nothing to ask for: write dns://[SERVER]/NAME".to_owned()),
        (true, false) if url.port().is_some() => {
            return Err(format!("what to ask {host} for? write dns://{host}:PORT/NAME"));
        }
        (true, false) => (host, None),
        (false, true) => (path, None),
        (false, false) => (path, Some(url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}")))),
    };
    let mut file = DnsFile {
        name,
        record_type: a(),
        server,
        servers: Vec::new(),
        transport: Transport::default(),
        expect: Expect::default(),
        ip: Ip::default(),
        tls: TlsFile::default(),
    };
    // RFC 4501 separates by semicolons, everybody else by ampersands.
    for pair in url.query().unwrap_or_default().split([';', '&']).filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        match (key.to_ascii_lowercase().as_str(), value.to_ascii_lowercase().as_str()) {
            ("type", _) => value.clone_into(&mut file.record_type),
            ("class", "in") => {}
            ("transport", "udp") => file.transport = Transport::Udp,
            ("transport", "tcp") => file.transport = Transport::Tcp,
            ("transport", "tls") => file.transport = Transport::Tls,
            ("transport", "https") => file.transport = Transport::Https,
            _ => {
                return Err(format!(
                    "`{pair}` is not understood: dns://SERVER/NAME takes `?type=A&transport=udp`, \
                     with the transports udp, tcp, tls and https"
                ));
            }
        }
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(String, String, Option<String>, Transport), String> {
        let file = from_url(&text.parse().unwrap())?;
        Ok((file.name, file.record_type, file.server, file.transport))
    }

    #[test]
    fn urls_say_what_to_ask_and_whom() {
        let is = |name: &str, kind: &str, server: Option<&str>, transport| {
            Ok((name.to_owned(), kind.to_owned(), server.map(str::to_owned), transport))
        };
        assert_eq!(read("dns://example.com"), is("example.com", "A", None, Transport::Udp));
        assert_eq!(read("dns:example.com.?clAsS=IN;tYpE=MX"), is("example.com.", "MX", None, Transport::Udp));
        assert_eq!(read("dns:///example.com"), is("example.com", "A", None, Transport::Udp));
        let wanted = is("example.com", "AAAA", Some("192.0.2.1:5353"), Transport::Tcp);
        assert_eq!(read("dns://192.0.2.1:5353/example.com?type=AAAA&transport=tcp"), wanted);
        assert_eq!(read("dns://[::1]:5353/a.test").unwrap().2.as_deref(), Some("[::1]:5353"));
        for bad in ["dns://", "dns://192.0.2.1:53", "dns://a/b?typ=A", "dns://a/b?class=CH", "dns://a/b?transport=quic"]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn servers_have_the_port_of_their_transport() {
        let server =
            |text, transport| Server::parse(text, transport, Ip::Any).map(|server| server.endpoint.to_string());
        assert_eq!(server("dns.test", Transport::Udp).unwrap(), "dns.test:53");
        assert_eq!(server("::1", Transport::Tls).unwrap(), "[::1]:853");
        assert_eq!(server("[::1]:5300", Transport::Tcp).unwrap(), "[::1]:5300");
        assert_eq!(server("dns.test", Transport::Https).unwrap(), "dns.test:443");
        assert_eq!(server("https://dns.test:8443/x", Transport::Https).unwrap(), "dns.test:8443");
        assert!(server("https://dns.test/dns-query", Transport::Udp).unwrap_err().contains("transport: https"));
        assert!(server("http://dns.test/dns-query", Transport::Https).is_err());
    }
}
