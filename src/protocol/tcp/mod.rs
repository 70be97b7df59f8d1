//! The `tcp` check: a connection, optionally TLS asked for in the middle of a protocol, and a banner exchange.

mod exchange;
mod start_tls;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Attempt, Check, Endpoint, Ip, Looking, Overrides, Pattern, Problem, Protocol, Secure, TlsFile};
use crate::{
    model::{Failure, Phase, Secret},
    net::Net,
};

use start_tls::StartTls;

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

/// The check.
#[derive(Debug)]
pub struct Tcp {
    endpoint: Endpoint,
    send: Option<Secret>,
    expect: Option<Pattern>,
    start_tls: Option<(StartTls, Secure)>,
}

impl Check for Tcp {
    fn key(&self) -> &'static str {
        Self::KEY
    }

    fn target(&self) -> String {
        format!("tcp://{}", self.endpoint)
    }

    fn look<'a>(&'a self, attempt: &'a mut Attempt) -> Looking<'a> {
        Box::pin(async move {
            let looked = self.run(attempt).await;
            attempt.let_go();
            looked
        })
    }

    fn blackbox_zeros(&self) -> &'static [(&'static str, &'static str)] {
        &[exchange::FAILED_DUE_TO_REGEX]
    }
}

impl Tcp {
    async fn run(&self, attempt: &mut Attempt) -> Result<(), Failure> {
        let mut socket = attempt.dial(&self.endpoint).await?;
        match &self.start_tls {
            None => self.exchange(attempt, socket).await,
            Some((protocol, secure)) => {
                attempt.phase(Phase::Upgrade, "way to TLS", protocol.ask(&mut socket)).await?;
                let session = attempt.secure(secure, &self.endpoint.host, socket).await?;
                self.exchange(attempt, session).await
            }
        }
    }
}

impl Protocol for Tcp {
    const KEY: &'static str = "tcp";
    const SCHEMES: &'static [&'static str] = &["tcp"];
    type File = TcpFile;

    fn build(file: &Self::File, net: &Arc<Net>) -> Result<Self, Problem> {
        let endpoint = Endpoint::parse(&file.address, None, file.ip).map_err(|why| Problem::at("address", why))?;
        let start_tls = match file.start_tls {
            Some(protocol) => Some((protocol, Secure::new(net, &file.tls, &[])?)),
            None if file.tls != TlsFile::default() => {
                return Err(Problem::at("tls", "there is no TLS here without `start_tls`")
                    .help("for a port that speaks TLS from the start write a `tls` check"));
            }
            None => None,
        };
        Ok(Self { endpoint, send: file.send.clone(), expect: file.expect_regex.clone(), start_tls })
    }

    fn from_url(url: &url::Url) -> Result<Self::File, String> {
        let (Some(host), Some(port)) = (url.host_str().filter(|host| !host.is_empty()), url.port()) else {
            return Err("write tcp://host:port".to_owned());
        };
        Ok(TcpFile {
            address: format!("{host}:{port}"),
            send: None,
            expect_regex: None,
            start_tls: None,
            ip: Ip::default(),
            tls: TlsFile::default(),
        })
    }

    fn retarget(file: &Self::File, target: &str) -> Result<Self::File, String> {
        Endpoint::parse(target, None, file.ip)?;
        Ok(TcpFile { address: target.to_owned(), ..file.clone() })
    }

    fn apply(file: &mut Self::File, overrides: &Overrides) {
        file.ip = overrides.ip.unwrap_or(file.ip);
        file.tls.insecure |= overrides.insecure && file.start_tls.is_some();
    }
}
