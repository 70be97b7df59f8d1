//! The shape of a way to get tokens in `probes.yaml`, and the request that it comes to. Must not know where tokens are
//! kept.

use std::path::PathBuf;

use aws_lc_rs::digest;
use schemars::JsonSchema;
use serde::Deserialize;
use url::{Url, form_urlencoded};

use super::super::{Ip, TlsFile, basic::basic};
use crate::model::Secret;

/// A way to get tokens (RFC 6749): exactly one kind of grant. Probes that say the same share the tokens.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OAuth2File {
    /// As ourselves (§4.4).
    ClientCredentials(Box<ClientCredentials>),
    /// For somebody who has consented once (§6). A refresh token that is replaced with each use belongs to one vantage
    /// point alone: two that share it lock each other out.
    RefreshToken(Box<RefreshToken>),
}

/// Tokens for ourselves.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientCredentials {
    /// Where tokens are to be had.
    pub token_url: Url,
    /// Who we are.
    pub client_id: String,
    /// That we are.
    pub client_secret: Secret,
    /// What the token is for, words between spaces.
    #[serde(default)]
    pub scope: Option<String>,
    /// Whom the token is for, where the provider wants to know.
    #[serde(default)]
    pub audience: Option<String>,
    /// Where id and secret stand in the request.
    #[serde(default)]
    pub client_auth: ClientAuth,
    /// Through a proxy, as with an `http` check.
    #[serde(default)]
    pub proxy: Option<Secret>,
    /// Address family.
    #[serde(default)]
    pub ip: Ip,
    /// TLS options.
    #[serde(default)]
    pub tls: TlsFile,
}

/// Tokens for somebody who has consented.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshToken {
    /// Where tokens are to be had.
    pub token_url: Url,
    /// Who we are.
    pub client_id: String,
    /// That we are; left out by clients without a secret.
    #[serde(default)]
    pub client_secret: Option<Secret>,
    /// The first refresh token. When the provider replaces it the new one is in `state_file`; another one here replaces
    /// that.
    pub refresh_token: Secret,
    /// What the token is for, words between spaces.
    #[serde(default)]
    pub scope: Option<String>,
    /// Where the present tokens are kept, readable by us alone (a file beside the store).
    #[serde(default)]
    pub state_file: Option<PathBuf>,
    /// Where id and secret stand in the request.
    #[serde(default)]
    pub client_auth: ClientAuth,
    /// Through a proxy, as with an `http` check.
    #[serde(default)]
    pub proxy: Option<Secret>,
    /// Address family.
    #[serde(default)]
    pub ip: Ip,
    /// TLS options.
    #[serde(default)]
    pub tls: TlsFile,
}

/// Where id and secret of the client stand in a request (RFC 6749 §2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// In the `Authorization` header.
    #[default]
    Basic,
    /// In the body.
    Body,
}

/// What a request for a token says.
pub(super) struct Wish {
    pub(super) body: Secret,
    pub(super) authorization: Option<Secret>,
}

impl OAuth2File {
    pub(super) fn token_url(&self) -> &Url {
        match self {
            Self::ClientCredentials(grant) => &grant.token_url,
            Self::RefreshToken(grant) => &grant.token_url,
        }
    }

    pub(super) fn token_url_mut(&mut self) -> &mut Url {
        match self {
            Self::ClientCredentials(grant) => &mut grant.token_url,
            Self::RefreshToken(grant) => &mut grant.token_url,
        }
    }

    pub(in crate::protocol) fn reach_mut(&mut self) -> (&mut Ip, &mut TlsFile) {
        match self {
            Self::ClientCredentials(grant) => (&mut grant.ip, &mut grant.tls),
            Self::RefreshToken(grant) => (&mut grant.ip, &mut grant.tls),
        }
    }

    pub(super) const fn proxy(&self) -> Option<&Secret> {
        match self {
            Self::ClientCredentials(grant) => grant.proxy.as_ref(),
            Self::RefreshToken(grant) => grant.proxy.as_ref(),
        }
    }

    pub(super) fn reach(&self) -> (Ip, &TlsFile) {
        match self {
            Self::ClientCredentials(grant) => (grant.ip, &grant.tls),
            Self::RefreshToken(grant) => (grant.ip, &grant.tls),
        }
    }

    /// The name of the grant, the word under which it stands in the file.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::ClientCredentials(_) => "client_credentials",
            Self::RefreshToken(_) => "refresh_token",
        }
    }

    /// What two that are the same have in common, and no others: a hash, for it is made of secrets.
    pub(super) fn key(&self) -> String {
        let reveal = |secret: &Secret| secret.reveal().to_owned();
        let said = match self {
            Self::ClientCredentials(grant) => {
                let ClientCredentials { token_url, client_id, scope, audience, client_auth, ip, tls, .. } = &**grant;
                let secret = reveal(&grant.client_secret);
                format!("c {token_url} {client_id:?} {secret:?} {scope:?} {audience:?} {client_auth:?} {ip:?} {tls:?}")
            }
            Self::RefreshToken(grant) => {
                let RefreshToken { token_url, client_id, scope, state_file, client_auth, ip, tls, .. } = &**grant;
                let secrets = (grant.client_secret.as_ref().map(reveal), reveal(&grant.refresh_token));
                format!(
                    "r {token_url} {client_id:?} {secrets:?} {scope:?} {state_file:?} {client_auth:?} {ip:?} {tls:?}"
                )
            }
        };
        hash(&format!("{said} {:?}", self.proxy().map(reveal)))
    }

    /// What to send; `refresh_token` is the present one, where there is one.
    pub(super) fn wish(&self, refresh_token: Option<&Secret>) -> Wish {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", self.word());
        let (id, secret, scope, place) = match self {
            Self::ClientCredentials(grant) => {
                if let Some(audience) = &grant.audience {
                    form.append_pair("audience", audience);
                }
                (&grant.client_id, Some(&grant.client_secret), &grant.scope, grant.client_auth)
            }
            Self::RefreshToken(grant) => {
                form.append_pair("refresh_token", refresh_token.unwrap_or(&grant.refresh_token).reveal());
                (&grant.client_id, grant.client_secret.as_ref(), &grant.scope, grant.client_auth)
            }
        };
        if let Some(scope) = scope {
            form.append_pair("scope", scope);
        }
        let mut authorization = None;
        match (secret, place) {
            (Some(secret), ClientAuth::Basic) => {
                // Both are encoded as in a form before they are joined (§2.3.1).
                let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                authorization = Some(basic(&encoded(id), &encoded(secret.reveal())));
            }
            (secret, _) => {
                form.append_pair("client_id", id);
                if let Some(secret) = secret {
                    form.append_pair("client_secret", secret.reveal());
                }
            }
        }
        Wish { body: Secret::new(form.finish()), authorization }
    }
}

/// SHA-256 in hex.
pub(super) fn hash(text: &str) -> String {
    digest::digest(&digest::SHA256, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(json: serde_json::Value) -> OAuth2File {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn what_is_sent_for_a_token() {
        let basic = grant(serde_json::json!({"client_credentials": {
            "token_url": "https://a.test/token", "client_id": "me&co", "client_secret": "s3:cret", "scope": "a b"
        }}));
        let wish = basic.wish(None);
        assert_eq!(wish.body.reveal(), "grant_type=client_credentials&scope=a+b");
        // me%26co:s3%3Acret
        assert_eq!(wish.authorization.unwrap().reveal(), "Basic bWUlMjZjbzpzMyUzQWNyZXQ=");
        let body = grant(serde_json::json!({"refresh_token": {
            "token_url": "https://a.test/token", "client_id": "me", "client_secret": "s", "refresh_token": "first",
            "client_auth": "body"
        }}));
        let wish = body.wish(Some(&Secret::new("second")));
        assert_eq!(wish.body.reveal(), "grant_type=refresh_token&refresh_token=second&client_id=me&client_secret=s");
        assert!(wish.authorization.is_none());
        assert_ne!(basic.key(), body.key());
        assert!(!format!("{body:?}{}", body.key()).contains("first"));
    }
}
