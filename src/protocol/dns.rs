//! The `dns` check: one question to one server, timed by ourselves, and what its answer must be.
//!
//! A lost datagram is not hidden: an answer to a question that had to be sent again is degraded, and so is one that only
//! a later one of several servers gave.

mod asking;
mod expect;
mod server;

use std::sync::Arc;

use hickory_proto::rr::RecordType;
use schemars::JsonSchema;
use serde::Deserialize;

use self::{asking::Asked, expect::Expected, server::Server};
use super::{Attempt, Check, Ip, Looking, Overrides, Pattern, Problem, Protocol, Secure, Span, TlsFile};
use crate::{
    model::Phase,
    net::{
        Net,
        dns::{Extension, Question},
    },
};

/// A DNS question and what its answer must be.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DnsFile {
    /// Name to ask for, fully qualified: no search list is applied. An address with `type: PTR` means its reverse name.
    pub name: String,
    /// Record type: `A`, `AAAA`, `MX`, `TXT` …, or `TYPE65280` for one without a name.
    #[serde(default = "a", rename = "type")]
    pub record_type: String,
    /// Server to ask, `host` or `host:port`, or a URL for `transport: https`; the system's resolver when left out.
    #[serde(default)]
    pub server: Option<String>,
    /// Several servers to ask, one after the other until one answers.
    #[serde(default)]
    pub servers: Vec<String>,
    /// How to ask.
    #[serde(default)]
    pub transport: Transport,
    /// What the answer must be.
    #[serde(default)]
    pub expect: Expect,
    /// Address family for reaching the server.
    #[serde(default)]
    pub ip: Ip,
    /// TLS options.
    #[serde(default)]
    pub tls: TlsFile,
}

/// How a DNS question travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// RFC 1035 §4.2.1, with retransmission visible, and TCP for answers that do not fit.
    #[default]
    Udp,
    /// RFC 7766.
    Tcp,
    /// RFC 7858.
    Tls,
    /// RFC 8484.
    Https,
}

/// What a DNS answer must be.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// Response code. When left out: `NOERROR` and at least one record of the type; `NOERROR` written out takes an empty
    /// answer, too.
    pub rcode: Option<String>,
    /// Patterns of which each must match the data of at least one answer, written as in a zone file: `192.0.2.1`,
    /// `10 mail.example.`.
    pub answers: Vec<Pattern>,
    /// The least time to live that any answer may have.
    pub min_ttl: Option<Span>,
    /// Whether the resolver must say that the answer is authentic (AD bit).
    pub dnssec: Option<bool>,
}

fn a() -> String {
    "A".to_owned()
}

/// The check.
#[derive(Debug)]
pub struct Dns {
    name: String,
    record_type: RecordType,
    question: Question,
    /// None of our own: the system's.
    servers: Vec<Server>,
    transport: Transport,
    /// For the transports that need it.
    secure: Option<Secure>,
    expected: Expected,
}

impl Check for Dns {
    fn key(&self) -> &'static str {
        Self::KEY
    }

    fn target(&self) -> String {
        let servers: Vec<String> = self.servers.iter().map(|server| format!(" @{server}")).collect();
        format!("{} {}{}", self.name, self.record_type, servers.concat())
    }

    fn host(&self) -> String {
        // The servers are who is asked; without any it is the system's, for every name alike.
        let hosts: Vec<&str> = self.servers.iter().map(|server| &*server.endpoint.host).collect();
        if hosts.is_empty() { "resolver".to_owned() } else { hosts.join(" ") }
    }

    fn look<'a>(&'a self, attempt: &'a mut Attempt) -> Looking<'a> {
        Box::pin(async move {
            let Asked { reply, server, degraded } = self.ask(attempt).await?;
            expect::note(&reply, self.record_type, attempt);
            // What the certificate says of itself was noted on the way.
            attempt.facts.degraded = attempt.facts.degraded.take().or(degraded);
            self.expected.judge(&reply, &server)
        })
    }

    fn blackbox_phases(&self) -> &'static [(&'static str, &'static [Phase])] {
        &[("resolve", &[Phase::Resolve]), ("connect", &[Phase::Connect, Phase::Tls]), ("request", &[Phase::Exchange])]
    }

    fn blackbox_zeros(&self) -> &'static [(&'static str, &'static str)] {
        &expect::ZEROS
    }
}

impl Protocol for Dns {
    const KEY: &'static str = "dns";
    const SCHEMES: &'static [&'static str] = &["dns"];
    type File = DnsFile;

    fn build(file: &Self::File, net: &Arc<Net>) -> Result<Self, Problem> {
        let record_type = expect::record_type(&file.record_type)?;
        let expected = Expected::new(&file.expect, record_type)?;
        let extension = if expected.dnssec { Extension::Dnssec } else { Extension::Edns };
        let question =
            Question::new(&file.name, record_type, extension).map_err(|message| Problem::at("name", message))?;
        if file.server.is_some() && !file.servers.is_empty() {
            return Err(Problem::at("servers", "`server` and `servers` exclude each other").help("keep one of the two"));
        }
        let mut servers = Vec::new();
        let field = if file.server.is_some() { "server" } else { "servers" };
        for text in file.server.iter().chain(&file.servers) {
            let server = Server::parse(text, file.transport, file.ip);
            servers.push(server.map_err(|message| Problem::at(field, message))?);
        }
        let secure = match file.transport {
            Transport::Udp | Transport::Tcp => None,
            Transport::Tls => Some(Secure::new(net, &file.tls, &["dot"])?),
            Transport::Https => Some(Secure::new(net, &file.tls, &["h2", "http/1.1"])?),
        };
        if servers.is_empty() && secure.is_some() {
            let message = "the system's resolver is not known to speak TLS: name a server";
            return Err(Problem::at("transport", message).help("add `server:`"));
        }
        Ok(Self {
            name: file.name.clone(),
            record_type,
            question,
            servers,
            transport: file.transport,
            secure,
            expected,
        })
    }

    fn from_url(url: &url::Url) -> Result<Self::File, String> {
        server::from_url(url)
    }

    /// The target is the server, as with blackbox_exporter; the question stays.
    fn retarget(file: &Self::File, target: &str) -> Result<Self::File, String> {
        let server = target.strip_prefix("dns://").unwrap_or(target).trim_end_matches('/').to_owned();
        Server::parse(&server, file.transport, file.ip)?;
        Ok(DnsFile { server: Some(server), servers: Vec::new(), ..file.clone() })
    }

    fn apply(file: &mut Self::File, overrides: &Overrides) {
        overrides.change_way(&mut file.ip, &mut file.tls);
    }
}
