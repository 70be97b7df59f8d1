//! The `firebase_auth` check: signs a user in, renews a token, or, without a credential, sees whether anybody is there.

use std::sync::{Arc, Mutex, PoisonError};

use http::{Method, header};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::{
    Attempt, Check, Ip, Looking, Overrides, Problem, Protocol, TlsFile,
    firebase::{self, Place, SIGN_IN, ours},
};
use crate::{
    model::{Failure, Secret},
    net::Net,
};

const TOKENS: &str = "https://securetoken.googleapis.com";

/// Sign-in and renewal of tokens.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FirebaseAuthFile {
    /// What to try: a sign-in, the renewal of a token, or one after the other.
    pub flow: Flow,
    /// The project's Web API key.
    pub api_key: Option<Secret>,
    /// A user made for probes.
    pub email: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// What a token is renewed with, for `flow: refresh`.
    pub refresh_token: Option<Secret>,
    /// Where users sign in, when not at the public address (an emulator).
    pub base_url: Option<Url>,
    /// Where tokens are renewed, when not at the public address.
    pub token_url: Option<Url>,
    /// Address family.
    pub ip: Ip,
    /// TLS options.
    pub tls: TlsFile,
}

/// What to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Flow {
    /// A user signs in.
    #[default]
    SignIn,
    /// A token is renewed.
    Refresh,
    /// A user signs in, and the token that this gives is renewed.
    Both,
}

/// The check.
pub struct FirebaseAuth {
    flow: Flow,
    sign_in: Place,
    tokens: Place,
    key: Secret,
    /// The body of the sign-in; none where nobody is to sign in.
    user: Option<Secret>,
    /// What a token was renewed with last: some providers give out another one each time.
    refresh: Option<Mutex<Secret>>,
    file: FirebaseAuthFile,
    net: Arc<Net>,
}

impl FirebaseAuth {
    async fn run(&self, attempt: &mut Attempt) -> Result<(), Failure> {
        if self.flow == Flow::Refresh {
            let Some(refresh) = &self.refresh else {
                let order = self.renewal(&Secret::new("usoryou"))?;
                return firebase::is_alive(&self.tokens.caller.ask(attempt, &order).await?);
            };
            let token = refresh.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(newer) = self.renew(attempt, &token).await? {
                *refresh.lock().unwrap_or_else(PoisonError::into_inner) = newer;
            }
            return Ok(());
        }
        let url = self.sign_in.url(["v1", "accounts:signInWithPassword"], &[("key", self.key.reveal())]);
        let body = self.user.as_ref().map_or("{\"returnSecureToken\":true}", Secret::reveal).to_owned();
        let json = [(header::CONTENT_TYPE, "application/json")];
        let order = self.sign_in.caller.order(Method::POST, url, &json, body).map_err(ours)?;
        let answer = self.sign_in.caller.ask(attempt, &order).await?;
        if self.user.is_none() {
            return firebase::is_alive(&answer);
        }
        let document = firebase::judge(&answer)?;
        firebase::taken(&document, &["idToken"], &["expiresIn"])?;
        if self.flow == Flow::Both {
            let (token, _) = firebase::taken(&document, &["refreshToken"], &[])?;
            self.renew(attempt, &token).await.map_err(|failure| Failure {
                detail: format!("renewal of the token: {}", failure.detail),
                ..failure
            })?;
        }
        Ok(())
    }

    /// Renews a token; what to renew the next one with, where the answer says so.
    async fn renew(&self, attempt: &mut Attempt, token: &Secret) -> Result<Option<Secret>, Failure> {
        let answer = self.tokens.caller.ask(attempt, &self.renewal(token)?).await?;
        let document = firebase::judge(&answer)?;
        firebase::taken(&document, &["access_token", "id_token"], &["expires_in"])?;
        Ok(firebase::taken(&document, &["refresh_token"], &[]).ok().map(|(token, _)| token))
    }

    fn renewal(&self, token: &Secret) -> Result<super::http::Order, Failure> {
        let url = self.tokens.url(["v1", "token"], &[("key", self.key.reveal())]);
        let form = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("grant_type", "refresh_token"), ("refresh_token", token.reveal())])
            .finish();
        let kind = [(header::CONTENT_TYPE, "application/x-www-form-urlencoded")];
        self.tokens.caller.order(Method::POST, url, &kind, form).map_err(ours)
    }
}

impl Check for FirebaseAuth {
    fn key(&self) -> &'static str {
        Self::KEY
    }

    fn target(&self) -> String {
        let url = match self.flow {
            Flow::Refresh => self.tokens.url(["v1", "token"], &[]),
            Flow::SignIn | Flow::Both => self.sign_in.url(["v1", "accounts:signInWithPassword"], &[]),
        };
        Place::shown(&url)
    }

    fn without_credential(&self) -> Option<Arc<dyn Check>> {
        if self.user.is_none() && self.refresh.is_none() {
            return None;
        }
        let flow = if self.flow == Flow::Both { Flow::SignIn } else { self.flow };
        let FirebaseAuthFile { base_url, token_url, ip, tls, .. } = self.file.clone();
        let bare = FirebaseAuthFile { flow, base_url, token_url, ip, tls, ..FirebaseAuthFile::default() };
        Some(Arc::new(Self::build(&bare, &self.net).ok()?))
    }

    fn look<'a>(&'a self, attempt: &'a mut Attempt) -> Looking<'a> {
        Box::pin(async move {
            let looked = self.run(attempt).await;
            attempt.let_go();
            looked
        })
    }
}

impl Protocol for FirebaseAuth {
    const KEY: &'static str = "firebase_auth";
    const SCHEMES: &'static [&'static str] = &["firebase-auth"];
    type File = FirebaseAuthFile;

    fn build(file: &Self::File, net: &Arc<Net>) -> Result<Self, Problem> {
        let needs = |field: &str, why: &str| Err(Problem::at(field, why.to_owned()));
        let user = match (&file.email, &file.password) {
            (Some(email), Some(password)) => Some(firebase::sign_in(email, password)),
            (None, None) => None,
            _ => return needs("email", "`email` and `password` belong together"),
        };
        let signs_in = file.flow != Flow::Refresh;
        if user.is_some() && !signs_in {
            return needs("flow", "`refresh` renews `refresh_token`; a user signs in with `sign_in` or `both`");
        }
        if file.refresh_token.is_some() && signs_in {
            return needs("refresh_token", "a token is renewed with `flow: refresh`");
        }
        if file.flow == Flow::Both && user.is_none() {
            return needs("flow", "`both` needs `email` and `password`");
        }
        if (user.is_some() || file.refresh_token.is_some()) && file.api_key.is_none() {
            return needs("api_key", "the project's Web API key is needed too");
        }
        let sign_in = firebase::or_public(file.base_url.as_ref(), "base_url", SIGN_IN)?;
        let tokens = firebase::or_public(file.token_url.as_ref(), "token_url", TOKENS)?;
        Ok(Self {
            flow: file.flow,
            sign_in: Place::new(net, &sign_in, "base_url", file.ip, &file.tls)?,
            tokens: Place::new(net, &tokens, "token_url", file.ip, &file.tls)?,
            // Without a key the provider refuses by its own words as well: a sign of life.
            key: file.api_key.clone().unwrap_or_else(|| Secret::new("usoryou")),
            user,
            refresh: file.refresh_token.clone().map(Mutex::new),
            file: file.clone(),
            net: Arc::clone(net),
        })
    }

    fn from_url(url: &url::Url) -> Result<Self::File, String> {
        // The place of sign-ins is the same for all projects: only an emulator has a host of its own.
        Ok(FirebaseAuthFile { base_url: firebase::emulator(url)?, ..FirebaseAuthFile::default() })
    }

    fn retarget(file: &Self::File, target: &str) -> Result<Self::File, String> {
        Ok(FirebaseAuthFile { base_url: Some(firebase::at(target)?), ..file.clone() })
    }

    fn apply(file: &mut Self::File, overrides: &Overrides) {
        overrides.change_way(&mut file.ip, &mut file.tls);
    }
}
