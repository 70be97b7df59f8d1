//! The `http` check.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Attempt, Check, Ip, Looking, Overrides, Problem, Protocol};
use crate::{
    model::{Failure, Kind, Phase},
    net::Net,
};

use super::{Pattern, Span, TlsFile};
use crate::model::Secret;
use std::collections::BTreeMap;

/// An HTTP request and what its answer must be.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpFile {
    /// Where to; `http://` or `https://`.
    pub url: url::Url,
    /// Request method.
    #[serde(default = "get")]
    pub method: String,
    /// Request headers; values may be secrets.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// Request body.
    #[serde(default)]
    pub body: Option<Secret>,
    /// HTTP version: `auto` lets TLS decide (ALPN).
    #[serde(default)]
    pub version: Version,
    /// A fresh connection each time, one that is kept, or both.
    #[serde(default)]
    pub connection: Reuse,
    /// Redirects to follow at most; 0 takes a redirect as the answer.
    #[serde(default = "ten")]
    pub redirects: u32,
    /// Bytes of the body to read at most, after decompression (`64KiB`-like suffixes are not understood: bytes).
    #[serde(default = "body_limit")]
    pub body_limit: u64,
    /// What the answer must be.
    #[serde(default)]
    pub expect: Expect,
    /// Address family.
    #[serde(default)]
    pub ip: Ip,
    /// TLS options.
    #[serde(default)]
    pub tls: TlsFile,
}

/// What an HTTP answer must be.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// Statuses: numbers or classes such as `2xx`; `2xx` when left out.
    pub status: Vec<StatusRange>,
    /// Header name to the pattern that its value must match.
    pub header: BTreeMap<String, Pattern>,
    /// Text that the body must hold.
    pub body_contains: Option<String>,
    /// Pattern that the body must match.
    pub body_regex: Option<Pattern>,
    /// What the body, as JSON, must hold.
    pub json: Vec<JsonExpectation>,
    /// Degraded when the whole attempt took longer.
    pub max_duration: Option<Span>,
}

/// One expectation about a JSON body; exactly one of `equals`, `matches`, `exists`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JsonExpectation {
    /// Where, as JSONPath (RFC 9535).
    pub path: String,
    /// The value there.
    #[serde(default)]
    pub equals: Option<serde_json::Value>,
    /// A pattern for the text there.
    #[serde(default)]
    pub matches: Option<Pattern>,
    /// Whether anything is there.
    #[serde(default)]
    pub exists: Option<bool>,
}

/// A status or a class of statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusRange {
    /// First status.
    pub from: u16,
    /// Last status.
    pub to: u16,
}

impl<'de> Deserialize<'de> for StatusRange {
    fn deserialize<D: serde::Deserializer<'de>>(_deserializer: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom(""))
    }
}

impl JsonSchema for StatusRange {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Status".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"anyOf": [{"type": "integer", "minimum": 100, "maximum": 599}, {"type": "string", "pattern": "^[1-5]xx$"}]})
    }
}

/// Which HTTP version to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
pub enum Version {
    /// HTTP/2 where TLS offers it, else HTTP/1.1.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    /// HTTP/1.1 alone.
    #[serde(rename = "1.1")]
    Http1,
    /// HTTP/2 alone.
    #[serde(rename = "2")]
    Http2,
}

/// Which connection a request uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reuse {
    /// A fresh one each time.
    #[default]
    Cold,
    /// One that is kept between runs.
    Warm,
    /// Each run a fresh one, then a second request on it.
    Both,
}

fn get() -> String {
    "GET".to_owned()
}

const fn ten() -> u32 {
    10
}

const fn body_limit() -> u64 {
    64 * 1024
}

/// The check.
#[derive(Debug)]
pub struct Http {
    file: HttpFile,
}

impl Check for Http {
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

impl Protocol for Http {
    const KEY: &'static str = "http";
    const SCHEMES: &'static [&'static str] = &["http", "https"];
    type File = HttpFile;

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
