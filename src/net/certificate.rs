//! What a chain of certificates says, in words and dates. Reads certificates; does not judge them.

use aws_lc_rs::digest;
use rustls::pki_types::CertificateDer;
use x509_parser::{
    extensions::GeneralName,
    objects::{oid_registry, oid2abbrev},
    prelude::{FromDer as _, X509Certificate},
    time::ASN1Time,
    x509::X509Name,
};

use crate::model::{Timestamp, TlsFacts};

/// Names of a certificate that are kept at most: a hostile one may hold thousands.
const NAMES_AT_MOST: usize = 100;

/// What a server's chain says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chain {
    /// Issuer, subject, key and dates; nothing of the session.
    pub facts: TlsFacts,
    /// SHA-256 of the leaf, in hex.
    pub fingerprint_sha256: String,
    /// Names that the leaf is for.
    pub names: Vec<String>,
    /// Whether the leaf names itself as its issuer.
    pub self_issued: bool,
}

impl Chain {
    /// Reads a chain, leaf first. What cannot be read is left out.
    #[must_use]
    pub fn read(certificates: &[CertificateDer<'_>]) -> Self {
        let mut chain = Self::default();
        let Some(leaf) = certificates.first() else { return chain };
        chain.fingerprint_sha256 = sha256(leaf);
        if let Ok((_, parsed)) = X509Certificate::from_der(leaf) {
            chain.facts.issuer = Some(distinguished_name(parsed.issuer()));
            chain.facts.subject = Some(distinguished_name(parsed.subject()));
            chain.facts.spki_sha256 = Some(sha256(parsed.public_key().raw));
            chain.facts.not_after = timestamp(parsed.validity().not_after);
            chain.names = names(&parsed);
            chain.self_issued = parsed.issuer().as_raw() == parsed.subject().as_raw();
        }
        chain.facts.chain_not_after = certificates
            .iter()
            .filter_map(|der| X509Certificate::from_der(der).ok())
            .filter_map(|(_, parsed)| timestamp(parsed.validity().not_after))
            .min();
        chain
    }
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let of_hosts = extension.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(clean(name)),
        _ => None,
    });
    of_hosts.take(NAMES_AT_MOST).collect()
}

/// As RFC 4514 writes it: most specific part first, parted by commas.
fn distinguished_name(name: &X509Name<'_>) -> String {
    let parts: Vec<_> = name.iter().collect();
    let mut written = String::new();
    for (position, part) in parts.iter().rev().enumerate() {
        if position > 0 {
            written.push(',');
        }
        for (position, attribute) in part.iter().enumerate() {
            if position > 0 {
                written.push('+');
            }
            let key = oid2abbrev(attribute.attr_type(), oid_registry());
            written.push_str(&key.map_or_else(|_| attribute.attr_type().to_id_string(), str::to_owned));
            written.push('=');
            written.push_str(&escaped(attribute.as_str().unwrap_or("?")));
        }
    }
    written
}

/// RFC 4514 §2.4; control characters are a peer's mischief and are left out.
fn escaped(value: &str) -> String {
    let value = clean(value);
    let mut written = String::with_capacity(value.len());
    for letter in value.chars() {
        if matches!(letter, ',' | '+' | '"' | '\\' | '<' | '>' | ';') {
            written.push('\\');
        }
        written.push(letter);
    }
    written
}

fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(256).collect()
}

fn timestamp(time: ASN1Time) -> Option<Timestamp> {
    Timestamp::from_timestamp(time.timestamp(), 0)
}

fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut hex = String::with_capacity(64);
    for byte in digest::digest(&digest::SHA256, bytes).as_ref() {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_in_words() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CountryName, "DE");
        params.distinguished_name.push(rcgen::DnType::OrganizationName, "Example, Inc.");
        params.distinguished_name.push(rcgen::DnType::CommonName, "a.test");
        params.not_after = rcgen::date_time_ymd(2031, 2, 3);
        let certificate = params.self_signed(&key).unwrap();
        let chain = Chain::read(&[certificate.der().clone()]);
        assert_eq!(chain.facts.subject.as_deref(), Some("CN=a.test,O=Example\\, Inc.,C=DE"));
        assert_eq!(chain.names, ["a.test"]);
        assert!(chain.self_issued);
        assert_eq!(chain.facts.not_after.unwrap().to_rfc3339(), "2031-02-03T00:00:00+00:00");
        assert_eq!(chain.facts.chain_not_after, chain.facts.not_after);
        assert_eq!(chain.facts.spki_sha256.unwrap().len(), 64);
    }

    #[test]
    fn nonsense_is_left_out() {
        let chain = Chain::read(&[CertificateDer::from(vec![1, 2, 3])]);
        assert_eq!(chain.facts, TlsFacts::default());
    }
}
