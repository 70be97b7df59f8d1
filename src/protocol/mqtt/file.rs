//! The shape of an `mqtt` check in `probes.yaml`, and what can be wrong with it.

use schemars::JsonSchema;
use serde::Deserialize;

use super::codec::Version;
use crate::{
    model::Secret,
    protocol::{Ip, Problem, TlsFile},
};

/// A connection to an MQTT server, optionally a subscription, and a message that is sent there and must come back.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MqttFile {
    /// Where to; `mqtt://`, `mqtts://`, `ws://` or `wss://`.
    pub url: url::Url,
    /// Version of MQTT.
    #[serde(default)]
    pub version: Version,
    /// Name of the client; a new one for each probe and start when left out. Two clients of the same name end each
    /// other's sessions: where one is given it must differ from region to region and node to node.
    #[serde(default)]
    pub client_id: Option<String>,
    /// User name.
    #[serde(default)]
    pub username: Option<String>,
    /// Password.
    #[serde(default)]
    pub password: Option<Secret>,
    /// Topic filter to subscribe to. With `round_trip` the topic below which each vantage point has one of its own.
    #[serde(default)]
    pub topic: Option<String>,
    /// Publish a small message below `topic` and wait until it comes back.
    #[serde(default)]
    pub round_trip: bool,
    /// Address family.
    #[serde(default)]
    pub ip: Ip,
    /// TLS options.
    #[serde(default)]
    pub tls: TlsFile,
}

/// What a topic may be at most: room is left for the name of a vantage point.
const TOPIC_AT_MOST: usize = 1024;

impl MqttFile {
    /// A connection and nothing more.
    pub(super) fn to(url: url::Url) -> Self {
        Self {
            url,
            version: Version::default(),
            client_id: None,
            username: None,
            password: None,
            topic: None,
            round_trip: false,
            ip: Ip::default(),
            tls: TlsFile::default(),
        }
    }

    /// What a URL of the command line says, in the form of mosquitto's clients: `mqtt://USER:PASSWORD@HOST:PORT/TOPIC`.
    pub(super) fn from_url(url: &url::Url) -> Result<Self, String> {
        let written = url.as_str();
        let written = ["mqtt+ws://", "mqtt+wss://"]
            .iter()
            .find_map(|scheme| written.strip_prefix(scheme).map(|rest| (scheme.trim_start_matches("mqtt+"), rest)))
            .map_or_else(|| written.to_owned(), |(scheme, rest)| format!("{scheme}{rest}"));
        let mut url: url::Url = written.parse().map_err(|_| "write mqtt://host or mqtts://host:port".to_owned())?;
        if url.host_str().is_none_or(str::is_empty) {
            return Err("write mqtt://host or mqtts://host:port".to_owned());
        }
        let decoded = |text: &str| {
            let pair = format!("x={}", text.replace('+', "%2B"));
            url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned())
        };
        let username = decoded(url.username()).filter(|name| !name.is_empty());
        let password = url.password().and_then(decoded).map(Secret::new);
        // Neither can fail where there is a host.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let topic = decoded(url.path().trim_start_matches('/')).filter(|topic| !topic.is_empty());
        let mut file = Self { username, password, ..Self::to(url) };
        if let (Some(topic), "mqtt" | "mqtts") = (topic, file.url.scheme()) {
            file.url.set_path("");
            file.topic = Some(topic);
            file.round_trip = true;
        }
        Ok(file)
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        let scheme = self.url.scheme();
        if !matches!(scheme, "mqtt" | "mqtts" | "ws" | "wss") {
            let message = format!("`{scheme}` is not a scheme of MQTT: write mqtt://, mqtts://, ws:// or wss://");
            return Err(Problem::at("url", message));
        }
        if !self.url.username().is_empty() || self.url.password().is_some() {
            return Err(Problem::at("url", "a URL is shown in many places and must not hold a credential")
                .help("write it below `username` and `password`"));
        }
        if matches!(scheme, "mqtt" | "mqtts") && !matches!(self.url.path(), "" | "/") {
            return Err(Problem::at("url", "a URL of MQTT has no path").help("write the topic below `topic`"));
        }
        let texts = [("client_id", &self.client_id), ("username", &self.username), ("topic", &self.topic)];
        for (field, text) in texts {
            let Some(text) = text else { continue };
            if text.is_empty() || text.contains('\0') || text.len() > TOPIC_AT_MOST {
                let message = format!("must be 1 to {TOPIC_AT_MOST} bytes without NUL");
                return Err(Problem::at(field, message));
            }
        }
        if self.password.as_ref().is_some_and(|password| password.reveal().len() > usize::from(u16::MAX)) {
            return Err(Problem::at("password", "is longer than MQTT can say"));
        }
        if self.version == Version::V311 && self.password.is_some() && self.username.is_none() {
            return Err(Problem::at("password", "MQTT 3.1.1 has no password without a user name")
                .help("give a `username`, or write `version: \"5\"`"));
        }
        match &self.topic {
            None if self.round_trip => {
                Err(Problem::at("round_trip", "there is no topic to write to").help("give a `topic`"))
            }
            Some(topic) if self.round_trip && (topic.contains(['+', '#']) || topic.ends_with('/')) => {
                let message = format!("`{topic}` cannot be written to: each vantage point writes to a topic below it");
                Err(Problem::at("topic", message).help("write a topic without wildcards and without / at its end"))
            }
            Some(topic) if !self.round_trip && !is_filter(topic) => {
                let message =
                    format!("`{topic}` is not a topic filter: + and # stand for whole levels, # for the last");
                Err(Problem::at("topic", message))
            }
            _ => Ok(()),
        }
    }
}

fn is_filter(filter: &str) -> bool {
    let levels: Vec<&str> = filter.split('/').collect();
    let whole = |level: &&str| matches!(*level, "+" | "#") || !level.contains(['+', '#']);
    levels.iter().all(whole) && levels.iter().rev().skip(1).all(|level| *level != "#")
}
