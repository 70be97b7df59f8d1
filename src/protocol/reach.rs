//! The way to a peer, the same for every protocol over TCP: name to addresses, connection, TLS, each as a phase.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::client::TlsStream;

use super::{Attempt, Ip, Problem, TlsFile};
use crate::{
    model::{Failure, Kind, Phase, Timestamp, TlsFacts},
    net::{self, ClientTls, Net, Only, Shown, Socket, TlsWishes},
};

/// A host and port to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Host name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Address family.
    pub ip: Ip,
}

impl Endpoint {
    /// Reads `host:port`, `[::1]:port`, and where the protocol has a default port also a host alone.
    ///
    /// # Errors
    /// What is missing, in words.
    pub fn parse(text: &str, default_port: Option<u16>, ip: Ip) -> Result<Self, String> {
        let expected = || {
            let example = if default_port.is_some() { "`host` or `host:port`" } else { "`host:port`" };
            format!("`{text}` is not an address: write {example}, with an IPv6 address in brackets")
        };
        let bare_v6 = text.parse::<std::net::Ipv6Addr>().is_ok();
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !bare_v6 && !port.ends_with(']') => {
                (host, port.parse().ok().filter(|port| *port != 0).ok_or_else(expected)?)
            }
            _ => (text, default_port.ok_or_else(expected)?),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let is_address = host.parse::<IpAddr>().is_ok();
        let is_name = !host.is_empty()
            && host.len() <= 253
            && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if is_address || is_name { Ok(Self { host: host.to_owned(), port, ip }) } else { Err(expected()) }
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// TLS as a probe wants it, prepared once.
#[derive(Debug)]
pub struct Secure {
    tls: Arc<ClientTls>,
    server_name: Option<ServerName<'static>>,
    min_days_left: Option<u32>,
}

impl Secure {
    /// Prepares sessions with the options of a probe.
    ///
    /// # Errors
    /// What is wrong with the options, with the path below the check's key.
    pub fn new(net: &Net, file: &TlsFile, alpn: &[&'static str]) -> Result<Self, Problem> {
        let server_name = file.server_name.as_deref().map(server_name).transpose();
        let server_name = server_name.map_err(|why| Problem::at("tls.server_name", why))?;
        let wishes = TlsWishes {
            ca_file: file.ca_file.as_deref(),
            client_cert_file: file.client_cert_file.as_deref(),
            client_key_file: file.client_key_file.as_deref(),
            insecure: file.insecure,
            alpn,
        };
        let make = || ClientTls::new(&net.trust, &wishes);
        // Files are read anew with every plan: what they hold may have changed.
        let names_files = wishes.ca_file.or(wishes.client_cert_file).or(wishes.client_key_file).is_some();
        let tls = match names_files {
            true => make().map(Arc::new),
            false => net.kept.shared_or(&format!("{} {alpn:?}", file.insecure), make),
        };
        let tls = tls.map_err(|mistake| Problem::at(&format!("tls.{}", mistake.field), mistake.message))?;
        Ok(Self { tls, server_name, min_days_left: file.min_days_left })
    }

    /// Shakes hands with a host that is not the target: nothing is recorded.
    pub(super) async fn quietly<S>(&self, host: &str, stream: S) -> Result<TlsStream<S>, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = server_name(host).map_err(|why| Failure::new(Phase::Tls, Kind::Internal, why))?;
        self.tls.handshake(stream, name).await.1
    }

    /// What to say of the attempt's certificate when it ends sooner than the probe likes.
    #[must_use]
    pub fn judge(&self, attempt: &Attempt) -> Option<Failure> {
        expiring(attempt.facts.tls.as_ref()?, self.min_days_left)
    }
}

fn server_name(host: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(host.to_owned()).map_err(|_| format!("`{host}` is neither a host name nor an address"))
}

impl Attempt {
    /// Resolves and connects, each as a phase; the address used is recorded, also when it fails.
    ///
    /// # Errors
    /// Why there is no connection.
    pub async fn dial(&mut self, to: &Endpoint) -> Result<Socket, Failure> {
        let addresses = self.resolve(to).await?;
        self.enter(Phase::Connect, "TCP handshake");
        let connected = net::connect(&addresses, &mut self.facts.peer).await;
        self.leave();
        let socket = connected?;
        self.watch(socket.clone());
        Ok(socket)
    }

    /// The addresses of a peer, as a phase: those that were given instead of resolving come first.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn resolve(&mut self, to: &Endpoint) -> Result<Vec<SocketAddr>, Failure> {
        let given = to.host.parse().ok().or_else(|| self.net.pinned(&to.host, to.port));
        let only = self.net.only;
        if let Some(address) = given {
            if !only.allows(address) {
                return Err(nothing_else(to));
            }
            if only == Only::All && !to.ip.allows(address) {
                let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
                let detail = format!("{} is an {family} address, which `ip` excludes", to.host);
                return Err(Failure::new(Phase::Resolve, Kind::NameNotFound, detail));
            }
            return Ok(vec![SocketAddr::new(address, to.port)]);
        }
        let net = Arc::clone(&self.net);
        let (v4, v6) = match only {
            Only::All | Only::Except(_) => (to.ip != Ip::V6, to.ip != Ip::V4),
            Only::V4 => (true, false),
            Only::V6 => (false, true),
        };
        let lookup = net.resolver.addresses(&to.host, v4, v6);
        let answer = self.phase(Phase::Resolve, "answer of the resolver", lookup).await;
        // That the name has no other addresses is no news of those that it has.
        let answer = if only == Only::All { answer? } else { answer.map_err(|_| nothing_else(to))? };
        self.facts.resolver = answer.resolver;
        let allowed = answer.addresses.into_iter().filter(|address| only.allows(*address));
        let addresses: Vec<SocketAddr> = allowed.map(|address| SocketAddr::new(address, to.port)).collect();
        if addresses.is_empty() { Err(nothing_else(to)) } else { Ok(addresses) }
    }

    /// Shakes hands as a phase; what the server showed is recorded, also when it fails. `host` is the name to ask for
    /// and to verify, unless the options say another.
    ///
    /// # Errors
    /// Why there is no session.
    pub async fn secure<S>(&mut self, secure: &Secure, host: &str, stream: S) -> Result<TlsStream<S>, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = secure.server_name.clone();
        self.shake_hands(secure, name, host, stream).await
    }

    /// The same with a host that the options do not name: a redirect led there.
    ///
    /// # Errors
    /// Why there is no session.
    pub async fn secure_elsewhere<S>(&mut self, secure: &Secure, host: &str, stream: S) -> Result<TlsStream<S>, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.shake_hands(secure, None, host, stream).await
    }

    async fn shake_hands<S>(
        &mut self,
        secure: &Secure,
        name: Option<ServerName<'static>>,
        host: &str,
        stream: S,
    ) -> Result<TlsStream<S>, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = match name {
            Some(name) => name,
            None => server_name(host).map_err(|why| Failure::new(Phase::Tls, Kind::Internal, why))?,
        };
        self.enter(Phase::Tls, "ServerHello");
        let (shown, done) = secure.tls.handshake(stream, name).await;
        self.leave();
        self.note_shown(shown, secure);
        done
    }

    /// Resolves and opens a QUIC connection: the handshake of transport and TLS together is [`Phase::Connect`].
    /// `elsewhere`: the host is not the one that the options name.
    ///
    /// # Errors
    /// Why there is no connection; what is wrong with the certificate, in [`Phase::Tls`].
    #[cfg(feature = "http3")]
    pub async fn quic(&mut self, secure: &Secure, to: &Endpoint, elsewhere: bool) -> Result<net::Quic, Failure> {
        let addresses = self.resolve(to).await?;
        let named = secure.server_name.clone().filter(|_| !elsewhere);
        let name = named.map_or_else(|| server_name(&to.host), Ok);
        let name = name.map_err(|why| Failure::new(Phase::Tls, Kind::Internal, why))?;
        self.enter(Phase::Connect, "answer over UDP (it is blocked on the way, or nobody speaks QUIC there)");
        let (shown, done) = secure.tls.quic(&addresses, &name, &mut self.facts.peer).await;
        self.leave();
        self.note_shown(shown, secure);
        done
    }

    fn note_shown(&mut self, shown: Option<Shown>, secure: &Secure) {
        if let Some(shown) = shown {
            self.note_tls(&shown);
            self.facts.tls = Some(shown.facts);
            self.facts.degraded = self.facts.degraded.take().or_else(|| secure.judge(self));
        }
    }

    /// The figures of blackbox_exporter's `recordTLS…`.
    fn note_tls(&mut self, shown: &Shown) {
        if !self.wants_gauges {
            return;
        }
        let seconds = |at: Option<Timestamp>| at.map_or(0.0, |at| at.timestamp() as f64);
        let (facts, chain) = (&shown.facts, &shown.chain);
        let help = "Returns last SSL chain expiry in unixtime";
        self.gauge("probe_ssl_earliest_cert_expiry", help, seconds(facts.chain_not_after));
        let help = "Returns last SSL chain expiry in timestamp";
        self.gauge("probe_ssl_last_chain_expiry_timestamp_seconds", help, seconds(facts.chain_not_after));
        let labels = || {
            vec![
                ("fingerprint_sha256", chain.fingerprint_sha256.clone()),
                ("subject", facts.subject.clone().unwrap_or_default()),
                ("issuer", facts.issuer.clone().unwrap_or_default()),
                ("subjectalternative", chain.names.join(",")),
            ]
        };
        self.gauge_with("probe_ssl_last_chain_info", "Contains SSL leaf certificate information", labels, 1.0);
        if let Some(version) = &facts.version {
            let labels = || vec![("version", format!("TLS {version}"))];
            self.gauge_with("probe_tls_version_info", "Returns the TLS version used or NaN when unknown", labels, 1.0);
        }
    }
}

/// What a confirmation comes to that has nothing to vary: nothing was asked of the target.
fn nothing_else(to: &Endpoint) -> Failure {
    Failure::new(Phase::Resolve, Kind::Blocked, format!("{} has no other address", to.host))
}

/// What to say of a certificate that ends within `days`; `None` when it lasts longer.
pub(super) fn expiring(facts: &TlsFacts, days: Option<u32>) -> Option<Failure> {
    let left = facts.chain_not_after? - chrono::Utc::now();
    (left < chrono::TimeDelta::days(i64::from(days?))).then(|| {
        let seconds = u64::try_from(left.num_seconds()).unwrap_or(0);
        let detail = format!("expires in {}", net::classify::rough(seconds));
        Failure::new(Phase::Tls, Kind::CertificateExpired, detail)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_as_people_write_them() {
        let read = |text: &str, port| Endpoint::parse(text, port, Ip::Any).map(|to| (to.host, to.port));
        let is = |host: &str, port| Ok((host.to_owned(), port));
        assert_eq!(read("a.test:25", None), is("a.test", 25));
        assert_eq!(read("a.test", Some(443)), is("a.test", 443));
        assert_eq!(read("[::1]:25", None), is("::1", 25));
        assert_eq!(read("[::1]", Some(443)), is("::1", 443));
        assert_eq!(read("::1", Some(443)), is("::1", 443));
        assert_eq!(read("192.0.2.1:1", None), is("192.0.2.1", 1));
        for bad in ["a.test", ":25", "a.test:0", "a.test:x", "a b:25", "http://a.test:80", "a.test:70000"] {
            let why = read(bad, None).unwrap_err();
            assert!(why.contains(bad) && why.contains("host:port"), "{why}");
        }
    }
}
