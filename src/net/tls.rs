//! TLS sessions as a client: full handshakes only, and the server's certificates are known also when they are refused.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, ProtocolVersion,
    client::Resumption,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{Chain, Trust, classify, trust, verify::Recording};
use crate::model::{Failure, Kind, Phase, TlsFacts};

/// What a session should be like.
#[derive(Debug, Clone, Copy, Default)]
pub struct TlsWishes<'a> {
    /// Authorities to trust besides those of [`Trust`].
    pub ca_file: Option<&'a Path>,
    /// Certificate chain of the client.
    pub client_cert_file: Option<&'a Path>,
    /// Private key of the client.
    pub client_key_file: Option<&'a Path>,
    /// Take any certificate.
    pub insecure: bool,
    /// Application protocols to offer, best first.
    pub alpn: &'a [&'static str],
}

/// A wish that cannot be fulfilled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsMistake {
    /// The field of [`TlsWishes`] that is to blame.
    pub field: &'static str,
    /// Why, in words.
    pub message: String,
}

/// Everything that is prepared once for many sessions.
#[derive(Debug)]
pub struct ClientTls {
    config: ClientConfig,
    trust: Trust,
    insecure: bool,
}

/// What the server showed, whether or not the handshake succeeded.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Session and leaf certificate.
    pub facts: TlsFacts,
    /// The whole chain.
    pub chain: Arc<Chain>,
}

impl ClientTls {
    /// Prepares sessions.
    ///
    /// # Errors
    /// Which wish cannot be fulfilled.
    pub fn new(trust: &Trust, wishes: &TlsWishes<'_>) -> Result<Self, TlsMistake> {
        let mistake = |field| move |message| TlsMistake { field, message };
        let trust = match wishes.ca_file {
            Some(file) => trust.with_file(file).map_err(mistake("ca_file"))?,
            None => trust.clone(),
        };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&trust.provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsMistake { field: "insecure", message: error.to_string() })?
            .dangerous()
            .with_custom_certificate_verifier(Recording::new(trust.clone(), wishes.insecure));
        let mut config = match (wishes.client_cert_file, wishes.client_key_file) {
            (Some(chain), Some(key)) => {
                let chain = trust::certificates(chain).map_err(mistake("client_cert_file"))?;
                let key = private_key(key).map_err(mistake("client_key_file"))?;
                let unusable = |error: rustls::Error| TlsMistake {
                    field: "client_key_file",
                    message: format!("the key cannot be used with the certificate: {error}"),
                };
                builder.with_client_auth_cert(chain, key).map_err(unusable)?
            }
            (None, None) => builder.with_no_client_auth(),
            (Some(_), None) => return Err(mistake("client_cert_file")("needs `client_key_file` too".to_owned())),
            (None, Some(_)) => return Err(mistake("client_key_file")("needs `client_cert_file` too".to_owned())),
        };
        // A resumed session skips what a probe is there to measure, and shows no certificate.
        config.resumption = Resumption::disabled();
        config.alpn_protocols = wishes.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Ok(Self { config, trust, insecure: wishes.insecure })
    }

    /// Shakes hands. What the server showed comes back in either case.
    ///
    /// # Errors
    /// Why there is no session, in [`Phase::Tls`].
    pub async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        name: ServerName<'static>,
    ) -> (Option<Shown>, Result<TlsStream<S>, Failure>) {
        let (recording, config) = self.recorded();
        let done = TlsConnector::from(Arc::new(config)).connect(name, stream).await;

        let certificates = recording.take();
        let mut shown = (!certificates.is_empty()).then(|| {
            let chain = self.read(&certificates);
            Shown { facts: chain.facts.clone(), chain }
        });
        match done {
            Ok(stream) => {
                if let Some(shown) = &mut shown {
                    add_session(&mut shown.facts, stream.get_ref().1);
                }
                (shown, Ok(stream))
            }
            Err(error) => {
                let failure = explain(classify::io(Phase::Tls, &error), shown.as_ref());
                (shown, Err(failure))
            }
        }
    }

    /// The verifier is told nothing of the connection that it verifies for, so each connection has its own.
    pub(super) fn recorded(&self) -> (Arc<Recording>, ClientConfig) {
        let recording = Recording::new(self.trust.clone(), self.insecure);
        let mut config = self.config.clone();
        config.dangerous().set_certificate_verifier(Arc::clone(&recording) as _);
        (recording, config)
    }

    pub(super) fn read(&self, certificates: &[CertificateDer<'static>]) -> Arc<Chain> {
        self.trust.chains.read(certificates)
    }
}

pub(super) fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_file(file).map_err(|error| format!("cannot read {}: {error}", file.display()))
}

fn add_session(facts: &mut TlsFacts, session: &rustls::ClientConnection) {
    facts.version = session.protocol_version().map(|version| match version {
        ProtocolVersion::TLSv1_2 => "1.2".to_owned(),
        ProtocolVersion::TLSv1_3 => "1.3".to_owned(),
        other => format!("{other:?}"),
    });
    facts.cipher = session
        .negotiated_cipher_suite()
        .and_then(|suite| suite.suite().as_str())
        .map(|name| name.replacen("TLS13_", "TLS_", 1));
    facts.alpn = session.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
}

/// Says who issued a certificate that we do not trust: the first thing that a reader asks.
pub(super) fn explain(mut failure: Failure, shown: Option<&Shown>) -> Failure {
    if let (Kind::CertificateUntrusted, Some(shown)) = (failure.kind, shown) {
        if shown.chain.self_issued {
            failure.detail = "self-signed".to_owned();
        } else if let Some(issuer) = &shown.facts.issuer {
            failure.detail = format!("{}; its issuer is {issuer}", failure.detail);
        }
    }
    failure
}
