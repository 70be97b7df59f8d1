//! The `firebase_messaging` check: a message that is validated and not sent, or, without a service account, whether
//! anybody is there.

use std::sync::Arc;

use http::{Method, header};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::{
    Attempt, Check, Ip, Looking, Overrides, Problem, Protocol, TlsFile,
    firebase::{self, AuthFile, Credential, Place, ours},
};
use crate::{
    model::{Failure, Kind, Secret},
    net::Net,
};

const PUBLIC: &str = "https://fcm.googleapis.com";
const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";

/// A message that is validated and not sent.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FirebaseMessagingFile {
    /// The project's id.
    pub project: String,
    /// The key file of a service account that may send messages and nothing else, usually `{ file: /path }`.
    #[serde(default)]
    pub service_account: Option<Secret>,
    /// To whom the message would go.
    #[serde(default = "topic")]
    pub topic: String,
    /// Where messages are taken, when not at the public address.
    #[serde(default)]
    pub base_url: Option<Url>,
    /// Where the service account gets its token, when not where its file says.
    #[serde(default)]
    pub token_url: Option<Url>,
    /// Address family.
    #[serde(default)]
    pub ip: Ip,
    /// TLS options.
    #[serde(default)]
    pub tls: TlsFile,
}

fn topic() -> String {
    "usoryou".to_owned()
}

/// The check.
pub struct FirebaseMessaging {
    place: Place,
    url: Url,
    message: String,
    credential: Option<Credential>,
    file: FirebaseMessagingFile,
    net: Arc<Net>,
}

impl FirebaseMessaging {
    async fn run(&self, attempt: &mut Attempt) -> Result<(), Failure> {
        let json = (header::CONTENT_TYPE, "application/json");
        let Some(credential) = &self.credential else {
            let order = self.place.caller.order(Method::POST, self.url.clone(), &[json], "{}").map_err(ours)?;
            return firebase::is_alive(&self.place.caller.ask(attempt, &order).await?);
        };
        let token = credential.token(attempt).await?;
        let bearer = format!("Bearer {}", token.text.reveal());
        let headers = [json, (header::AUTHORIZATION, bearer.as_str())];
        let order =
            self.place.caller.order(Method::POST, self.url.clone(), &headers, self.message.clone()).map_err(ours)?;
        let judged = firebase::judge(&self.place.caller.ask(attempt, &order).await?);
        if judged.as_ref().is_err_and(|failure| failure.kind == Kind::Unauthorized) {
            credential.forget();
        }
        judged.map(drop)
    }
}

impl Check for FirebaseMessaging {
    fn key(&self) -> &'static str {
        Self::KEY
    }

    fn target(&self) -> String {
        Place::shown(&self.url)
    }

    fn without_credential(&self) -> Option<Arc<dyn Check>> {
        self.credential.as_ref()?;
        let bare = FirebaseMessagingFile { service_account: None, token_url: None, ..self.file.clone() };
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

impl Protocol for FirebaseMessaging {
    const KEY: &'static str = "firebase_messaging";
    const SCHEMES: &'static [&'static str] = &["firebase-messaging"];
    type File = FirebaseMessagingFile;

    fn build(file: &Self::File, net: &Arc<Net>) -> Result<Self, Problem> {
        if file.project.is_empty() {
            return Err(Problem::at("project", "the project's id is empty"));
        }
        if file.token_url.is_some() && file.service_account.is_none() {
            return Err(Problem::at("token_url", "a token is only asked for with `service_account`"));
        }
        let base = firebase::or_public(file.base_url.as_ref(), "base_url", PUBLIC)?;
        let place = Place::new(net, &base, "base_url", file.ip, &file.tls)?;
        let who = AuthFile {
            service_account: file.service_account.clone(),
            token_url: file.token_url.clone(),
            ..AuthFile::default()
        };
        let credential = Credential::of(net, &who, None, SCOPE, file.ip, &file.tls)?;
        let url = place.url(["v1", "projects", &file.project, "messages:send"], &[]);
        let message = json!({"validate_only": true, "message": {"topic": file.topic}}).to_string();
        Ok(Self { place, url, message, credential, file: file.clone(), net: Arc::clone(net) })
    }

    fn from_url(url: &url::Url) -> Result<Self::File, String> {
        let (project, _) = firebase::named(url, "firebase-messaging://PROJECT")?;
        Ok(FirebaseMessagingFile {
            project,
            service_account: None,
            topic: topic(),
            base_url: firebase::emulator(url)?,
            token_url: None,
            ip: Ip::default(),
            tls: TlsFile::default(),
        })
    }

    fn retarget(file: &Self::File, target: &str) -> Result<Self::File, String> {
        Ok(FirebaseMessagingFile { base_url: Some(firebase::at(target)?), ..file.clone() })
    }

    fn apply(file: &mut Self::File, overrides: &Overrides) {
        overrides.change_way(&mut file.ip, &mut file.tls);
    }
}
