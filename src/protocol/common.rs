//! Shapes that several checks share: durations, patterns, address family, TLS options, the flags of the command line.

use std::{borrow::Cow, net::IpAddr, path::PathBuf, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de::Error as _};

/// Something wrong with a check's shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Field names from the check's key down to what is wrong.
    pub path: Vec<String>,
    /// What is wrong and what was expected.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Problem {
    /// A problem with the field at a dotted path (`tls.ca_file`).
    pub fn at(path: &str, message: impl Into<String>) -> Self {
        Self { path: path.split('.').map(str::to_owned).collect(), message: message.into(), help: None }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// A duration as people write it: `500ms`, `10s`, `2m`, `1h`, `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl std::str::FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected =
            || format!("`{text}` is not a duration: write a number and a unit, such as 500ms, 10s, 2m, 1h or 7d");
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(expected)?;
        let (number, unit) = text.split_at(digits);
        let seconds_each = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return Err(expected()),
        };
        let number: f64 = number.parse().map_err(|_| expected())?;
        Duration::try_from_secs_f64(number * seconds_each).map(Self).map_err(|_| expected())
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": r"^[0-9.]+(ms|s|m|h|d)$|\$\{", "examples": ["500ms", "10s", "2m"]})
    }
}

/// A regular expression, compiled while the configuration is read.
#[derive(Debug, Clone)]
pub struct Pattern(pub regex::Regex);

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let compiled = regex::RegexBuilder::new(&text).size_limit(1 << 20).build();
        compiled.map(Self).map_err(|error| {
            let last_line =
                error.to_string().lines().last().unwrap_or_default().trim().trim_start_matches("error: ").to_owned();
            D::Error::custom(format!("the regular expression does not compile: {last_line}"))
        })
    }
}

impl JsonSchema for Pattern {
    fn schema_name() -> Cow<'static, str> {
        "Pattern".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "regex"})
    }
}

/// Which address family to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
pub enum Ip {
    /// Race both, as clients do (RFC 8305).
    #[default]
    #[serde(rename = "any")]
    Any,
    /// IPv4 alone.
    #[serde(rename = "4")]
    V4,
    /// IPv6 alone.
    #[serde(rename = "6")]
    V6,
}

impl Ip {
    /// Whether an address may be used.
    #[must_use]
    pub const fn allows(self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }
}

/// Options of a TLS session.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TlsFile {
    /// Name to ask for and to verify, where it is not the host's.
    pub server_name: Option<String>,
    /// Authorities to trust besides the built-in and the system's, as PEM.
    pub ca_file: Option<PathBuf>,
    /// Certificate chain of the client, as PEM.
    pub client_cert_file: Option<PathBuf>,
    /// Private key of the client, as PEM.
    pub client_key_file: Option<PathBuf>,
    /// Do not verify the certificate (its details are still recorded).
    pub insecure: bool,
    /// Degraded when the certificate has fewer days left than this.
    pub min_days_left: Option<u32>,
}

/// The flags of `usoryou check` that change a check.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `-4`, `-6`.
    pub ip: Option<Ip>,
    /// `--insecure`.
    pub insecure: bool,
    /// `--header NAME:VALUE`.
    pub headers: Vec<(String, String)>,
    /// `--expect-status`, as written.
    pub expect_status: Vec<String>,
    /// `--http1.1`, `--http2`, `--http3`: the value of `version`.
    pub http_version: Option<&'static str>,
}

impl Overrides {
    /// Applies what concerns the way there, whatever is spoken on it.
    pub(super) fn change_way(&self, ip: &mut Ip, tls: &mut TlsFile) {
        *ip = self.ip.unwrap_or(*ip);
        tls.insecure |= self.insecure;
    }
}
