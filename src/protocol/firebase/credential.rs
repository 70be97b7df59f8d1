//! Who we are to the provider: a token that is given, a user who signs in, or a service account. Tokens are kept for most
//! of their life and renewed early. A place that gives out tokens and does not answer is not the target's fault: the
//! attempt is `blocked` by it, and says so.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::{Method, header};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;
use url::Url;

use super::{Place, ServiceAccount, judge, place::or_public};
use crate::{
    model::{Failure, Kind, Secret},
    net::Net,
    protocol::{Attempt, Ip, Problem, TlsFile},
};

/// Sign-in of users.
pub(in crate::protocol) const SIGN_IN: &str = "https://identitytoolkit.googleapis.com";

/// Who we are: one of `token`, `email` (with `password` and `api_key`) and `service_account`; none for a
/// look that only sees whether anybody is there.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AuthFile {
    /// A token or database secret as it is.
    pub token: Option<Secret>,
    /// The project's Web API key, for `email`.
    pub api_key: Option<Secret>,
    /// A user made for probes.
    pub email: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// Where users sign in, when not at the public address (an emulator).
    pub sign_in_url: Option<Url>,
    /// The key file of a service account, usually `{ file: /path }`.
    pub service_account: Option<Secret>,
    /// Where service accounts get tokens, when not where the key file says.
    pub token_url: Option<Url>,
}

/// A token, ready to send.
#[derive(Debug, Clone)]
pub(in crate::protocol) struct Token {
    pub(in crate::protocol) text: Secret,
    /// Whether it is a service account's, not a user's.
    pub(in crate::protocol) is_oauth: bool,
}

/// What gives a token.
pub(in crate::protocol) struct Credential {
    way: Way,
    kept: Mutex<Option<Kept>>,
}

enum Way {
    Given(Secret),
    User { place: Place, url: Url, body: Secret },
    Account { place: Place, url: Url, account: Box<ServiceAccount>, scope: &'static str },
}

struct Kept {
    text: Secret,
    renew_at: Instant,
    until: Instant,
}

impl Credential {
    /// Reads who we are; `None` where nothing is given. Problems name the field, below `at`
    /// where there is something above it.
    pub(in crate::protocol) fn of(
        net: &Arc<Net>,
        file: &AuthFile,
        at: Option<&str>,
        scope: &'static str,
        ip: Ip,
        tls: &TlsFile,
    ) -> Result<Option<Self>, Problem> {
        let field = |name: &str| at.map_or_else(|| name.to_owned(), |at| format!("{at}.{name}"));
        // Whoever may be anybody to the target must still be the right one to get our secrets.
        let tls = TlsFile { ca_file: tls.ca_file.clone(), ..TlsFile::default() };
        let way = match (&file.token, &file.email, &file.service_account) {
            (None, None, None) if file.api_key.is_none() && file.password.is_none() => return Ok(None),
            (Some(token), None, None) => Way::Given(token.clone()),
            (None, Some(email), None) => {
                let missing = |name: &str| Problem::at(&field("email"), format!("`email` needs `{name}` too"));
                let key = file.api_key.as_ref().ok_or_else(|| missing("api_key"))?;
                let password = file.password.as_ref().ok_or_else(|| missing("password"))?;
                let base = or_public(file.sign_in_url.as_ref(), &field("sign_in_url"), SIGN_IN)?;
                let place = Place::new(net, &base, &field("sign_in_url"), ip, &tls)?;
                let url = place.url(["v1", "accounts:signInWithPassword"], &[("key", key.reveal())]);
                Way::User { place, url, body: sign_in(email, password) }
            }
            (None, None, Some(json)) => {
                let account = ServiceAccount::read(json).map_err(|why| Problem::at(&field("service_account"), why))?;
                let url = file.token_url.clone().unwrap_or_else(|| account.token_url.clone());
                let place = Place::new(net, &url, &field("token_url"), ip, &tls)?;
                Way::Account { place, url, account: Box::new(account), scope }
            }
            _ => {
                return Err(Problem::at(
                    at.unwrap_or("service_account"),
                    "give exactly one of `token`, `email` (with `password` and `api_key`) and `service_account`",
                ));
            }
        };
        Ok(Some(Self { way, kept: Mutex::default() }))
    }

    /// The token: the one that is kept while it is good, or a new one.
    pub(in crate::protocol) async fn token(&self, attempt: &Attempt) -> Result<Token, Failure> {
        let (place, url) = match &self.way {
            Way::Given(text) => return Ok(Token { text: text.clone(), is_oauth: false }),
            Way::User { place, url, .. } | Way::Account { place, url, .. } => (place, url),
        };
        let is_oauth = matches!(self.way, Way::Account { .. });
        let now = Instant::now();
        let kept = self.kept().as_ref().map(|kept| (kept.text.clone(), kept.renew_at, kept.until));
        if let Some((text, ..)) = kept.as_ref().filter(|(_, renew_at, _)| now < *renew_at) {
            return Ok(Token { text: text.clone(), is_oauth });
        }
        match self.fetch(attempt, place, url).await {
            Ok(text) => Ok(Token { text, is_oauth }),
            // Renewing early is what lets a short silence of the other place go by.
            Err(failure) => match kept.filter(|(_, _, until)| Instant::now() < *until) {
                Some((text, ..)) => Ok(Token { text, is_oauth }),
                None => Err(blocked(url, &failure)),
            },
        }
    }

    /// The next attempt gets a new token: this one was refused.
    pub(in crate::protocol) fn forget(&self) {
        *self.kept() = None;
    }

    async fn fetch(&self, attempt: &Attempt, place: &Place, url: &Url) -> Result<Secret, Failure> {
        // Its time is not the target's, so it is measured apart; a little is left to say what happened.
        let timeout = attempt.deadline.saturating_duration_since(Instant::now()).mul_f64(0.9);
        let mut apart = Attempt::begin(Arc::clone(&attempt.net), attempt.vantage.clone(), 0, timeout);
        let asking = self.exchange(&mut apart, place, url);
        let (text, life) = match tokio::time::timeout(timeout, asking).await {
            Ok(done) => done?,
            Err(_) => return Err(apart.timed_out()),
        };
        let now = Instant::now();
        // Twenty probes that began together must not renew together.
        let share = 0.75 + 0.15 * chance();
        *self.kept() = Some(Kept { text: text.clone(), renew_at: now + life.mul_f64(share), until: now + life });
        Ok(text)
    }

    async fn exchange(&self, apart: &mut Attempt, place: &Place, url: &Url) -> Result<(Secret, Duration), Failure> {
        let ours = |why: String| Failure::new(crate::model::Phase::Request, Kind::Internal, why);
        let (kind, body) = match &self.way {
            Way::Given(text) => return Ok((text.clone(), Duration::MAX)),
            Way::User { body, .. } => ("application/json", body.reveal().to_owned()),
            Way::Account { account, scope, .. } => {
                let claim = account.claim(scope, url, chrono::Utc::now()).map_err(ours)?;
                let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
                let form = url::form_urlencoded::Serializer::new(String::new())
                    .extend_pairs([("grant_type", grant), ("assertion", claim.reveal())])
                    .finish();
                ("application/x-www-form-urlencoded", form)
            }
        };
        let order =
            place.caller.order(Method::POST, url.clone(), &[(header::CONTENT_TYPE, kind)], body).map_err(ours)?;
        let document = judge(&place.caller.ask(apart, &order).await?)?;
        taken(&document, &["idToken", "access_token"], &["expiresIn", "expires_in"])
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The body of a sign-in.
pub(in crate::protocol) fn sign_in(email: &str, password: &Secret) -> Secret {
    let body = json!({"email": email, "password": password.reveal(), "returnSecureToken": true});
    Secret::new(body.to_string())
}

/// The token of an answer and how long it is good for, under the first of the names that are there.
pub(in crate::protocol) fn taken(
    document: &Value,
    names: &[&str],
    lives: &[&str],
) -> Result<(Secret, Duration), Failure> {
    let unlike = || {
        let detail = "the answer holds no token";
        Failure::new(crate::model::Phase::Transfer, Kind::BodyUnexpected, detail)
    };
    let text = names.iter().find_map(|name| document.get(name)?.as_str()).filter(|text| !text.is_empty());
    let text = text.ok_or_else(unlike)?;
    let seconds = lives.iter().find_map(|name| {
        let life = document.get(name)?;
        life.as_u64().or_else(|| life.as_str()?.parse().ok())
    });
    Ok((Secret::new(text), Duration::from_secs(seconds.unwrap_or(3600).min(86_400))))
}

/// What the lack of a token means for an attempt that needs it. A refusal is about us; anything else is about the place
/// that gives out tokens, which is then named, and not the target.
fn blocked(url: &Url, failure: &Failure) -> Failure {
    let place = Place::shown(url);
    match failure.kind {
        Kind::Unauthorized => {
            let detail = format!("no token: {place} refuses our credential ({})", failure.detail);
            Failure::new(failure.phase, Kind::Unauthorized, detail)
        }
        kind if kind.is_ours() => failure.clone(),
        _ => Failure::new(failure.phase, Kind::Blocked, format!("no token: {place} fails at {failure}")),
    }
}

/// A number from 0 to 1.
fn chance() -> f64 {
    let mut byte = [0];
    // Without chance the time is in the middle.
    if aws_lc_rs::rand::fill(&mut byte).is_err() {
        return 0.5;
    }
    f64::from(byte[0]) / 255.0
}
