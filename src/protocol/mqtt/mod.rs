//! The `mqtt` check: a connection to an MQTT server up to its CONNACK, optionally a subscription, and a message of our own
//! that is sent and must come back; held, a ping on every round.

mod codec;
mod file;
mod held;
mod line;
mod reason;
mod talk;

use std::sync::{Arc, Mutex, atomic::AtomicU32};

pub use codec::Version;
pub use file::MqttFile;

use super::{
    Attempt, Check, Endpoint, Hold, Looking, Opening, Overrides, Problem, Protocol, Secure, Session, TlsFile,
    delivery::{Ledger, own_key},
    head,
    session::Backoff,
    ws::Call,
};
use crate::{
    model::{Failure, Secret, Vantage},
    net::Net,
};
use line::{Line, Wire};

/// The check.
#[derive(Debug)]
pub struct Mqtt {
    way: Way,
    shown: String,
    plan: Arc<Plan>,
}

/// What the packets travel on.
#[derive(Debug, Clone)]
enum Way {
    Link(Endpoint, Option<Arc<Secure>>),
    Web(Box<Call>, Option<Arc<Secure>>),
}

/// What is said, and what is known from one session to the next.
#[derive(Debug)]
struct Plan {
    version: Version,
    /// As the configuration gives it.
    client_id: Option<String>,
    /// Where it gives none.
    own_id: String,
    username: Option<String>,
    password: Option<Secret>,
    topic: Option<String>,
    round_trip: bool,
    /// Satisfied with any answer to CONNECT.
    any_answer: bool,
    ledger: Mutex<Option<Ledger>>,
    /// Sessions in a row that were soon closed without a word.
    short: AtomicU32,
}

/// Takes bytes for packets, in both versions, as far as they are.
#[cfg(any(test, fuzzing))]
pub(super) fn parse(bytes: &[u8]) {
    for version in [Version::V311, Version::V5] {
        let mut rest = bytes;
        while let Ok(Some((_, taken))) = codec::decode(version, rest) {
            rest = &rest[taken..];
        }
    }
}

impl Plan {
    /// The topic that this vantage point writes to.
    fn own_topic(&self, vantage: &Vantage) -> Option<String> {
        let topic = self.topic.as_ref().filter(|_| self.round_trip)?;
        Some(format!("{topic}/{}", own_key(vantage)))
    }
}

impl Check for Mqtt {
    fn key(&self) -> &'static str {
        Self::KEY
    }

    fn target(&self) -> String {
        self.shown.clone()
    }

    fn look<'a>(&'a self, attempt: &'a mut Attempt) -> Looking<'a> {
        Box::pin(async move {
            let looked = self.run(attempt).await;
            attempt.let_go();
            looked
        })
    }

    fn without_credential(&self) -> Option<Arc<dyn Check>> {
        if self.plan.username.is_none() && self.plan.password.is_none() {
            return None;
        }
        let plan = Arc::new(Plan { any_answer: true, ..self.plan.stranger() });
        Some(Arc::new(Self { way: self.way.clone(), shown: self.shown.clone(), plan }))
    }

    fn hold(&self) -> Option<&dyn Hold> {
        Some(self)
    }
}

impl Mqtt {
    async fn run(&self, attempt: &mut Attempt) -> Result<(), Failure> {
        let alone;
        let plan = if attempt.alone {
            alone = self.plan.alone()?;
            &alone
        } else {
            &*self.plan
        };
        let mut line = self.dial(attempt).await?;
        plan.greet(attempt, &mut line).await?;
        if let Some(own) = plan.own_topic(&attempt.vantage) {
            plan.subscribe(attempt, &mut line, &own).await?;
            plan.round_trip(attempt, &mut line, &own, 2).await?;
        } else if let Some(topic) = &plan.topic {
            plan.subscribe(attempt, &mut line, topic).await?;
        }
        line.part();
        Ok(())
    }

    /// Everything below MQTT.
    async fn dial(&self, attempt: &mut Attempt) -> Result<Line, Failure> {
        let wire = match &self.way {
            Way::Link(endpoint, secure) => Wire::Link(attempt.link(endpoint, secure.as_deref()).await?),
            Way::Web(call, secure) => Wire::Web(Box::new(call.open(attempt, secure.as_deref()).await?.into_bytes())),
        };
        Ok(Line::new(wire, self.plan.version, attempt))
    }
}

impl Hold for Mqtt {
    fn open<'a>(&'a self, attempt: &'a mut Attempt) -> Opening<'a> {
        Box::pin(async move {
            let opened = held::open(self, attempt).await;
            attempt.let_go();
            opened.map(|held| Box::new(held) as Box<dyn Session>)
        })
    }

    /// That of Eclipse Paho and of the SDKs of the large clouds: twice as long each time, up to two minutes.
    fn backoff(&self) -> Backoff {
        let longest = std::time::Duration::from_mins(2);
        Backoff { first: std::time::Duration::from_secs(1), factor: 2.0, longest, random: 0.5 }
    }
}

impl Protocol for Mqtt {
    const KEY: &'static str = "mqtt";
    const SCHEMES: &'static [&'static str] = &["mqtt", "mqtts", "mqtt+ws", "mqtt+wss"];
    type File = MqttFile;

    fn build(file: &Self::File, net: &Arc<Net>) -> Result<Self, Problem> {
        file.check()?;
        let scheme = file.url.scheme();
        let secured = matches!(scheme, "mqtts" | "wss");
        let web = matches!(scheme, "ws" | "wss");
        if !secured && file.tls != TlsFile::default() {
            let message = format!("there is no TLS here: the URL begins with {scheme}://");
            let instead = if web { "wss://" } else { "mqtts://" };
            return Err(Problem::at("tls", message).help(format!("write {instead}")));
        }
        let alpn: &[&'static str] = if web { &["http/1.1"] } else { &[] };
        let secure = if secured { Some(Arc::new(Secure::new(net, &file.tls, alpn)?)) } else { None };
        let (way, shown) = if web {
            let mut url = file.url.clone();
            if matches!(url.path(), "" | "/") {
                url.set_path("/mqtt");
            }
            let call = Call::new(&url, file.ip, head::headers(&Default::default())?, &["mqtt"])?;
            let shown = format!("mqtt+{}", call.shown());
            (Way::Web(Box::new(call), secure), shown)
        } else {
            let host = file.url.host_str().unwrap_or_default();
            let port = file.url.port().unwrap_or(if secured { 8883 } else { 1883 });
            let endpoint = Endpoint::parse(&format!("{host}:{port}"), None, file.ip);
            let endpoint = endpoint.map_err(|why| Problem::at("url", why))?;
            let shown = format!("{scheme}://{endpoint}");
            (Way::Link(endpoint, secure), shown)
        };
        let plan = Arc::new(Plan {
            version: file.version,
            client_id: file.client_id.clone(),
            own_id: talk::new_client_id(),
            username: file.username.clone(),
            password: file.password.clone(),
            topic: file.topic.clone(),
            round_trip: file.round_trip,
            any_answer: false,
            ledger: Mutex::default(),
            short: AtomicU32::new(0),
        });
        Ok(Self { way, shown, plan })
    }

    fn from_url(url: &url::Url) -> Result<Self::File, String> {
        MqttFile::from_url(url)
    }

    fn retarget(file: &Self::File, target: &str) -> Result<Self::File, String> {
        let written =
            if target.contains("://") { target.to_owned() } else { format!("{}://{target}", file.url.scheme()) };
        let url = written.parse().map_err(|error: url::ParseError| format!("`{target}` is not a URL: {error}"))?;
        let asked = MqttFile::from_url(&url)?;
        Ok(MqttFile { url: asked.url, ..file.clone() })
    }

    fn apply(file: &mut Self::File, overrides: &Overrides) {
        file.ip = overrides.ip.unwrap_or(file.ip);
        file.tls.insecure |= overrides.insecure && matches!(file.url.scheme(), "mqtts" | "wss");
    }
}
