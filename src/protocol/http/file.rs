//! The shape of an `http` check in `probes.yaml`. Only the shape: what can be wrong with a value alone is said here, what
//! takes more to know is said where the check is built.

use std::{borrow::Cow, collections::BTreeMap, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

use super::super::{Ip, Pattern, Span, TlsFile};
use crate::model::Secret;

/// An HTTP request and what its answer must be.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpFile<U = url::Url> {
    /// Where to; `http://` or `https://`.
    pub url: U,
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
    /// Bytes of the body to read at most, after decompression. Without an expectation about the body the rest is not
    /// read, and that is fine; an expectation that the bytes up to here do not meet fails as `body_too_large`.
    #[serde(default = "body_limit")]
    pub body_limit: u64,
    /// What the answer must be.
    #[serde(default)]
    pub expect: Expect,
    /// Through a proxy: `http://`, `https://` or `socks5://`, with `user:password@` where it wants them. It resolves the
    /// name, and asking it for the way is a phase of its own.
    #[serde(default)]
    pub proxy: Option<Secret>,
    /// Address family; behind a proxy, of the proxy.
    #[serde(default)]
    pub ip: Ip,
    /// TLS options.
    #[serde(default)]
    pub tls: TlsFile,
}

impl HttpFile {
    /// A plain `GET` that expects a 2xx.
    #[must_use]
    pub fn get(url: url::Url) -> Self {
        Self {
            url,
            method: get(),
            headers: BTreeMap::new(),
            body: None,
            version: Version::default(),
            connection: Reuse::default(),
            redirects: ten(),
            body_limit: body_limit(),
            expect: Expect::default(),
            proxy: None,
            ip: Ip::default(),
            tls: TlsFile::default(),
        }
    }
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

impl StatusRange {
    /// What an answer is when nothing is said: `2xx`.
    pub const SUCCESS: Self = Self { from: 200, to: 299 };

    /// Whether a status is inside.
    #[must_use]
    pub const fn holds(self, status: u16) -> bool {
        self.from <= status && status <= self.to
    }

    fn of(status: u64) -> Option<Self> {
        let status = u16::try_from(status).ok().filter(|status| (100..600).contains(status))?;
        Some(Self { from: status, to: status })
    }
}

impl fmt::Display for StatusRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from == self.to { write!(f, "{}", self.from) } else { write!(f, "{}xx", self.from / 100) }
    }
}

impl FromStr for StatusRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let class = text.strip_suffix("xx").and_then(|digit| digit.parse().ok()).filter(|digit| (1..6).contains(digit));
        class
            .map(|digit: u16| Self { from: digit * 100, to: digit * 100 + 99 })
            .or_else(|| text.parse().ok().and_then(Self::of))
            .ok_or_else(|| {
                format!("`{text}` is not an HTTP status: write a number from 100 to 599, or a class such as 2xx")
            })
    }
}

impl<'de> Deserialize<'de> for StatusRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrClass;

        impl de::Visitor<'_> for NumberOrClass {
            type Value = StatusRange;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an HTTP status: a number from 100 to 599, or a class such as 2xx")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<StatusRange, E> {
                StatusRange::of(number).ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(number), &self))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<StatusRange, E> {
                let status = u64::try_from(number).ok().and_then(StatusRange::of);
                status.ok_or_else(|| E::invalid_value(de::Unexpected::Signed(number), &self))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<StatusRange, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(NumberOrClass)
    }
}

impl JsonSchema for StatusRange {
    fn schema_name() -> Cow<'static, str> {
        "Status".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [
            {"type": "integer", "minimum": 100, "maximum": 599},
            {"type": "string", "pattern": r"^[1-5]xx$|^[1-5][0-9]{2}$|\$\{"}
        ]})
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
    /// HTTP/2 alone; without TLS by prior knowledge.
    #[serde(rename = "2")]
    Http2,
    /// HTTP/3 alone, over QUIC.
    #[serde(rename = "3")]
    Http3,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_as_people_write_them() {
        let read = |text| serde_json::from_str::<StatusRange>(text).map(|range| (range.from, range.to)).ok();
        assert_eq!(read("200"), Some((200, 200)));
        assert_eq!(read("\"2xx\""), Some((200, 299)));
        assert_eq!(read("\"404\""), Some((404, 404)));
        for bad in ["99", "600", "-1", "\"6xx\"", "\"0xx\"", "\"xx\"", "\"12xx\"", "true"] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!("5xx".parse::<StatusRange>().map(|range| range.to_string()), Ok("5xx".to_owned()));
    }
}
