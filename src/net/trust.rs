//! Whom we trust: the authorities built into the program and those of the system, read once per process.

use std::{collections::HashSet, path::Path, sync::Arc};

use rustls::{
    RootCertStore,
    client::WebPkiServerVerifier,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use super::chains::Chains;

/// Where systems keep the bundle of their authorities, unless `SSL_CERT_FILE` says otherwise.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Authorities, ready to verify with.
#[derive(Debug, Clone)]
pub struct Trust {
    roots: Arc<RootCertStore>,
    pub(super) verifier: Option<Arc<WebPkiServerVerifier>>,
    pub(super) provider: Arc<CryptoProvider>,
    /// What servers have shown, whomever one trusts.
    pub(super) chains: Arc<Chains>,
}

impl Default for Trust {
    /// The built-in authorities alone.
    fn default() -> Self {
        Self::of(built_in())
    }
}

impl Trust {
    /// The built-in authorities and the system's.
    #[must_use]
    pub fn system() -> Self {
        let mut roots = built_in();
        let configured = std::env::var_os("SSL_CERT_FILE");
        let files = configured.iter().map(Path::new).chain(BUNDLES.iter().map(Path::new));
        // A system without a bundle (a container made from scratch) is common; the built-in authorities serve it.
        if let Some(bundle) = files.into_iter().find_map(|file| certificates(file).ok()) {
            add_unknown(&mut roots, bundle);
        }
        Self::of(roots)
    }

    /// The same and the authorities of a file.
    ///
    /// # Errors
    /// When the file cannot be read or holds no certificate, in words.
    pub fn with_file(&self, file: &Path) -> Result<Self, String> {
        let mut roots = RootCertStore::clone(&self.roots);
        let added = certificates(file)?;
        let (usable, _) = roots.add_parsable_certificates(added);
        if usable == 0 {
            return Err(format!("{} holds no certificate that can be trusted", file.display()));
        }
        Ok(Self { chains: Arc::clone(&self.chains), ..Self::of(roots) })
    }

    /// Sessions for traffic that is not measured (Slack and the like).
    ///
    /// # Errors
    /// When the cryptography of this process lacks what TLS needs, in words.
    pub fn client_config(&self) -> Result<rustls::ClientConfig, String> {
        self.client_config_with(None)
    }

    /// The same, known by a certificate of our own: its file, and that of its key.
    ///
    /// # Errors
    /// When either cannot be used, in words.
    pub fn client_config_with(&self, mine: Option<(&Path, &Path)>) -> Result<rustls::ClientConfig, String> {
        let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&self.provider));
        let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
        let builder = builder.with_root_certificates(Arc::clone(&self.roots));
        let Some((chain, key)) = mine else { return Ok(builder.with_no_client_auth()) };
        let chain = certificates(chain)?;
        let key = super::tls::private_key(key)?;
        let unusable = |error| format!("the key cannot be used with the certificate: {error}");
        builder.with_client_auth_cert(chain, key).map_err(unusable)
    }

    fn of(roots: RootCertStore) -> Self {
        let provider = provider();
        let roots = Arc::new(roots);
        // Fails only for an empty store, and then nothing is trusted.
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider)).build().ok();
        Self { roots, verifier, provider, chains: Arc::default() }
    }
}

/// All certificates of a PEM file.
///
/// # Errors
/// When the file cannot be read or holds none, in words.
pub(super) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(found) if found.is_empty() => Err(format!("{} holds no certificate", file.display())),
        Ok(found) => Ok(found),
        Err(error) => Err(format!("cannot read {}: {error}", file.display())),
    }
}

fn built_in() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

/// Most of a system's authorities are built in as well; a store half as long is searched in half the time.
fn add_unknown(roots: &mut RootCertStore, bundle: Vec<CertificateDer<'static>>) {
    let mut system = RootCertStore::empty();
    system.add_parsable_certificates(bundle);
    let known: HashSet<(Vec<u8>, Vec<u8>)> =
        roots.roots.iter().map(|anchor| (anchor.subject.to_vec(), anchor.subject_public_key_info.to_vec())).collect();
    roots.extend(
        system
            .roots
            .into_iter()
            .filter(|anchor| !known.contains(&(anchor.subject.to_vec(), anchor.subject_public_key_info.to_vec()))),
    );
}

/// The cryptography of the whole process, also of traffic that is not measured.
fn provider() -> Arc<CryptoProvider> {
    if let Some(installed) = CryptoProvider::get_default() {
        return Arc::clone(installed);
    }
    let ours = rustls::crypto::aws_lc_rs::default_provider();
    // Losing a race against another thread leaves the same provider installed.
    let _ = ours.clone().install_default();
    CryptoProvider::get_default().map_or_else(|| Arc::new(ours), Arc::clone)
}

/// The first random bytes of a process take the generator a long while to gather entropy for: not while a handshake is
/// being timed.
pub fn gather_entropy() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        // Where this fails, so does the first handshake, and says so.
        let _ = aws_lc_rs::rand::fill(&mut [0; 32]);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_that_is_built_in_is_not_added_twice() {
        let mut roots = built_in();
        let before = roots.len();
        let key = rcgen::KeyPair::generate().unwrap();
        let mut authority = rcgen::CertificateParams::new(vec![]).unwrap();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = authority.self_signed(&key).unwrap();
        add_unknown(&mut roots, vec![authority.der().clone()]);
        add_unknown(&mut roots, vec![authority.der().clone()]);
        assert_eq!(roots.len(), before + 1);
    }
}
