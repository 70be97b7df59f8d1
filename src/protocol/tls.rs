//! The `tls` check.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Attempt, Check, Ip, Looking, Overrides, Problem, Protocol};
use crate::{
    model::{Failure, Kind, Phase},
    net::Net,
};

use super::{Pattern, Span, TlsFile};

/// A TLS handshake and the certificate it shows.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HandshakeFile {
    /// `host:port`; port 443 when left out.
    pub address: String,
    /// What the certificate must be.
    #[serde(default)]
    pub expect: Expect,
    /// Address family.
    #[serde(default)]
    pub ip: Ip,
    /// TLS options.
    #[serde(default)]
    pub tls: TlsFile,
}

/// What a certificate must be.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// Pattern for the issuer.
    pub issuer: Option<Pattern>,
    /// How long the certificate must still be valid.
    pub not_after_in: Option<Span>,
}

/// The check.
#[derive(Debug)]
pub struct Tls {
    file: HandshakeFile,
}

impl Check for Tls {
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

impl Protocol for Tls {
    const KEY: &'static str = "tls";
    const SCHEMES: &'static [&'static str] = &["tls"];
    type File = HandshakeFile;

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
