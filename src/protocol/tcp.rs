//! The `tcp` check.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Attempt, Check, Ip, Looking, Overrides, Problem, Protocol};
use crate::{
    model::{Failure, Kind, Phase},
    net::Net,
};

use super::{Pattern, TlsFile};
use crate::model::Secret;

/// A TCP connection, optionally a banner exchange and STARTTLS.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TcpFile {
    /// `host:port`.
    pub address: String,
    /// Text to send once connected.
    #[serde(default)]
    pub send: Option<Secret>,
    /// Pattern that what comes back must match.
    #[serde(default)]
    pub expect_regex: Option<Pattern>,
    /// Ask for TLS in the middle of the protocol.
    #[serde(default)]
    pub start_tls: Option<StartTls>,
    /// Address family.
    #[serde(default)]
    pub ip: Ip,
    /// TLS options, for `start_tls`.
    #[serde(default)]
    pub tls: TlsFile,
}

/// How to ask for TLS in the middle of a protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StartTls {
    /// RFC 3207.
    Smtp,
    /// RFC 9051 §6.2.1.
    Imap,
    /// PostgreSQL `SSLRequest`.
    Postgres,
}

/// The check.
#[derive(Debug)]
pub struct Tcp {
    file: TcpFile,
}

impl Check for Tcp {
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

impl Protocol for Tcp {
    const KEY: &'static str = "tcp";
    const SCHEMES: &'static [&'static str] = &["tcp"];
    type File = TcpFile;

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
