//! The shape of `confirm:` and what it comes to for one probe.

use std::net::{IpAddr, SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::{
    file::{File, ProbeFile},
    or_off::OrOff,
    plan::Confirm,
};
use crate::protocol::Span;

/// How far a failure is confirmed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ConfirmFile {
    /// Requests to one host at most within `per`, by all probes together (6).
    #[schemars(range(min = 1, max = 100))]
    pub(super) budget: Option<u32>,
    /// The time that `budget` is for, and the least between two confirmations of one probe (10m).
    pub(super) per: Option<Span>,
    /// Another resolver to ask, as `address` or `address:port`; left out: another one of this system's.
    pub(super) resolver: Option<Server>,
}

/// A server's address, with its port where that is not 53.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Server(pub(super) SocketAddr);

impl<'de> Deserialize<'de> for Server {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let address = text.parse().or_else(|_| text.parse::<IpAddr>().map(|address| SocketAddr::new(address, 53)));
        address.map(Self).map_err(|_| {
            serde::de::Error::custom(format!(
                "`{text}` is not the address of a resolver: write 192.0.2.53 or 192.0.2.53:53"
            ))
        })
    }
}

impl JsonSchema for Server {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Server".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "examples": ["192.0.2.53", "[2001:db8::53]:53"]})
    }
}

/// How far a failure of a probe is confirmed: what the probe does not say is as in `defaults`.
pub(super) fn confirm(file: &File, probe: &ProbeFile) -> Option<Confirm> {
    let own = probe.confirm.as_ref().map(|at| &at.value);
    let general = file.defaults.confirm.as_ref().map(|at| &at.value);
    if own.or(general) == Some(&OrOff::Off) {
        return None;
    }
    let mut confirm = Confirm::default();
    for layer in [general, own].into_iter().flatten() {
        if let OrOff::On(ConfirmFile { budget, per, resolver }) = layer {
            confirm.budget = budget.unwrap_or(confirm.budget);
            confirm.per = per.map_or(confirm.per, |per| per.0);
            confirm.resolver = resolver.map(|server| server.0).or(confirm.resolver);
        }
    }
    Some(confirm)
}
