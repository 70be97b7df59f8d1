//! The `tls` check: a handshake, and what the server's certificate must be.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Attempt, Check, Endpoint, Ip, Looking, Overrides, Pattern, Problem, Protocol, Secure, Span, TlsFile};
use crate::{
    model::{Failure, Kind, Phase},
    net::{Net, classify::rough},
};

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
    /// Pattern for the issuer, as a distinguished name: `CN=R11,O=Let's Encrypt,C=US`.
    pub issuer: Option<Pattern>,
    /// How long every certificate of the chain must still be valid.
    pub not_after_in: Option<Span>,
}

/// The check.
#[derive(Debug)]
pub struct Tls {
    endpoint: Endpoint,
    secure: Secure,
    expect: Expect,
}

impl Check for Tls {
    fn key(&self) -> &'static str {
        Self::KEY
    }

    fn target(&self) -> String {
        format!("tls://{}", self.endpoint)
    }

    fn look<'a>(&'a self, attempt: &'a mut Attempt) -> Looking<'a> {
        Box::pin(async move {
            let looked = self.run(attempt).await;
            attempt.let_go();
            looked
        })
    }

    fn blackbox_zeros(&self) -> &'static [(&'static str, &'static str)] {
        // There it is the check of a banner that happens to be encrypted.
        &[("probe_failed_due_to_regex", "Indicates if probe failed due to regex")]
    }
}

impl Tls {
    async fn run(&self, attempt: &mut Attempt) -> Result<(), Failure> {
        let socket = attempt.dial(&self.endpoint).await?;
        let _session = attempt.secure(&self.secure, &self.endpoint.host, socket).await?;
        self.judge(attempt)
    }

    fn judge(&self, attempt: &Attempt) -> Result<(), Failure> {
        let facts = attempt.facts.tls.clone().unwrap_or_default();
        if let Some(Pattern(wanted)) = &self.expect.issuer {
            let issuer = facts.issuer.unwrap_or_default();
            if !wanted.is_match(&issuer) {
                let detail = format!("issued by {issuer}, expected a match of `{wanted}`");
                return Err(Failure::new(Phase::Tls, Kind::CertificateUntrusted, detail));
            }
        }
        if let (Some(Span(wanted)), Some(end)) = (self.expect.not_after_in, facts.chain_not_after) {
            let left = (end - chrono::Utc::now()).to_std().unwrap_or_default();
            if left < wanted {
                let (left, wanted) = (rough(left.as_secs()), rough(wanted.as_secs()));
                let detail = format!("expires in {left}, expected at least {wanted}");
                return Err(Failure::new(Phase::Tls, Kind::CertificateExpired, detail));
            }
        }
        Ok(())
    }
}

impl Protocol for Tls {
    const KEY: &'static str = "tls";
    const SCHEMES: &'static [&'static str] = &["tls"];
    type File = HandshakeFile;

    fn build(file: &Self::File, net: &Arc<Net>) -> Result<Self, Problem> {
        let endpoint = Endpoint::parse(&file.address, Some(443), file.ip).map_err(|why| Problem::at("address", why))?;
        Ok(Self { endpoint, secure: Secure::new(net, &file.tls, &[])?, expect: file.expect.clone() })
    }

    fn from_url(url: &url::Url) -> Result<Self::File, String> {
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or("write tls://host or tls://host:port")?;
        let address = format!("{host}:{}", url.port().unwrap_or(443));
        Ok(HandshakeFile { address, expect: Expect::default(), ip: Ip::default(), tls: TlsFile::default() })
    }

    fn retarget(file: &Self::File, target: &str) -> Result<Self::File, String> {
        Endpoint::parse(target, Some(443), file.ip)?;
        Ok(HandshakeFile { address: target.to_owned(), ..file.clone() })
    }

    fn apply(file: &mut Self::File, overrides: &Overrides) {
        overrides.change_way(&mut file.ip, &mut file.tls);
    }
}
