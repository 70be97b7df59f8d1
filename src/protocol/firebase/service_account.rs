//! A service account: its file, and the signed claim that its token endpoint takes in exchange for a token (RFC 7523).

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::base64::encode;
use crate::model::{Secret, Timestamp};

/// How long a claim is good for.
const CLAIM_SECONDS: i64 = 3600;

/// Who we are, and the key that proves it.
pub(in crate::protocol) struct ServiceAccount {
    email: String,
    key_id: Option<String>,
    key: RsaKeyPair,
    /// Where tokens are given out.
    pub(in crate::protocol) token_url: Url,
}

#[derive(Deserialize)]
struct KeyFile {
    client_email: String,
    private_key: String,
    private_key_id: Option<String>,
    token_uri: Option<Url>,
}

impl ServiceAccount {
    /// Reads the JSON that the provider's console gives out. What is wrong is said without a word of it.
    pub(in crate::protocol) fn read(json: &Secret) -> Result<Self, String> {
        let file: KeyFile = serde_json::from_str(json.reveal()).map_err(|_| {
            "this is not the key file of a service account: JSON with `client_email` and `private_key`".to_owned()
        })?;
        let unusable = || "`private_key` of the service account is not an RSA key in PEM".to_owned();
        let der = PrivatePkcs8KeyDer::from_pem_slice(file.private_key.as_bytes()).map_err(|_| unusable())?;
        let key = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| unusable())?;
        let token_url = match file.token_uri {
            Some(url) => url,
            None => super::place::fixed("https://oauth2.googleapis.com/token")?,
        };
        Ok(Self { email: file.client_email, key_id: file.private_key_id, key, token_url })
    }

    /// The claim to these scopes, signed.
    pub(in crate::protocol) fn claim(&self, scope: &str, audience: &Url, now: Timestamp) -> Result<Secret, String> {
        let head = json!({"alg": "RS256", "typ": "JWT", "kid": self.key_id});
        let (from, until) = (now.timestamp(), now.timestamp() + CLAIM_SECONDS);
        let claims = json!({"iss": self.email, "scope": scope, "aud": audience, "iat": from, "exp": until});
        let mut text = format!("{}.{}", encode(head.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
            .map_err(|_| "the key of the service account does not sign".to_owned())?;
        text.push('.');
        text.push_str(&encode(&signature));
        Ok(Secret::new(text))
    }
}
