//! The `dns` check.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Attempt, Check, Ip, Looking, Overrides, Problem, Protocol};
use crate::{
    model::{Failure, Kind, Phase},
    net::Net,
};

use super::{Pattern, Span, TlsFile};

/// A DNS question and what its answer must be.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DnsFile {
    /// Name to ask for.
    pub name: String,
    /// Record type.
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
    /// RFC 1035 §4.2.1, with retransmission visible.
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
    /// Response code, `NOERROR` when left out.
    pub rcode: Option<String>,
    /// Patterns of which each must match at least one answer.
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
    file: DnsFile,
}

impl Check for Dns {
    fn key(&self) -> &'static str {
        Self::KEY
    }

    fn target(&self) -> String {
        format!("{:?}", self.file)
    }

    fn look<'a>(&'a self, _attempt: &'a mut Attempt) -> Looking<'a> {
        Box::pin(async { Err(Failure::new(Phase::Exchange, Kind::Internal, "")) })
    }
}

impl Protocol for Dns {
    const KEY: &'static str = "dns";
    const SCHEMES: &'static [&'static str] = &["dns"];
    type File = DnsFile;

    fn build(file: &Self::File, _net: &Arc<Net>) -> Result<Self, Problem> {
        Ok(Self { file: file.clone() })
    }

    fn from_url(_url: &url::Url) -> Result<Self::File, String> {
        Err(String::new())
    }

    fn retarget(_file: &Self::File, _target: &str) -> Result<Self::File, String> {
        Err(String::new())
    }

    fn apply(file: &mut Self::File, overrides: &Overrides) {
        file.ip = overrides.ip.unwrap_or(file.ip);
    }
}
