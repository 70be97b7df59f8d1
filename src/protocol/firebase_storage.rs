//! The `firebase_storage` check: reads an object, or, without a right to it, sees whether anybody is there.

use std::sync::Arc;

use http::{Method, header};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::{
    Attempt, Check, Ip, Looking, Overrides, Problem, Protocol, TlsFile,
    firebase::{self, AuthFile, Credential, Place, ours},
};
use crate::{
    model::{Failure, Kind, Phase},
    net::Net,
};

const PUBLIC: &str = "https://firebasestorage.googleapis.com";
const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_only";

/// An object in a bucket.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FirebaseStorageFile {
    /// The bucket, such as `PROJECT.appspot.com`.
    pub bucket: String,
    /// The object to read; its first 64 KiB are.
    #[serde(default)]
    pub object: Option<String>,
    /// Everybody may read the object: it must be there.
    #[serde(default)]
    pub public: bool,
    /// Who reads.
    #[serde(default)]
    pub auth: AuthFile,
    /// Where objects are, when not at the public address (an emulator).
    #[serde(default)]
    pub base_url: Option<Url>,
    /// Address family.
    #[serde(default)]
    pub ip: Ip,
    /// TLS options.
    #[serde(default)]
    pub tls: TlsFile,
}

/// The check.
pub struct FirebaseStorage {
    place: Place,
    url: Url,
    /// Whether the object must be there.
    must_read: bool,
    credential: Option<Credential>,
    file: FirebaseStorageFile,
    net: Arc<Net>,
}

impl FirebaseStorage {
    async fn run(&self, attempt: &mut Attempt) -> Result<(), Failure> {
        let bearer = match &self.credential {
            None => None,
            Some(credential) => {
                let token = credential.token(attempt).await?;
                // Users come with the scheme that the product's own clients send.
                let scheme = if token.is_oauth { "Bearer" } else { "Firebase" };
                Some(format!("{scheme} {}", token.text.reveal()))
            }
        };
        let headers: Vec<_> = bearer.iter().map(|bearer| (header::AUTHORIZATION, bearer.as_str())).collect();
        let order = self.place.caller.order(Method::GET, self.url.clone(), &headers, "").map_err(ours)?;
        let answer = self.place.caller.ask(attempt, &order).await?;
        if !self.must_read {
            return firebase::is_alive(&answer);
        }
        let judged = firebase::is_success(&answer);
        if let (Err(failure), Some(credential)) = (&judged, &self.credential)
            && failure.kind == Kind::Unauthorized
        {
            credential.forget();
        }
        judged?;
        let kind = answer.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let is_page = kind.trim_start().to_ascii_lowercase().starts_with("text/html");
        let wants_page = self.file.object.as_ref().is_some_and(|object| object.to_ascii_lowercase().contains(".htm"));
        if is_page && !wants_page {
            let detail = "a page instead of the object: somebody between may answer";
            return Err(Failure::new(Phase::Transfer, Kind::BodyUnexpected, detail));
        }
        Ok(())
    }
}

impl Check for FirebaseStorage {
    fn key(&self) -> &'static str {
        Self::KEY
    }

    fn target(&self) -> String {
        Place::shown(&self.url)
    }

    fn without_credential(&self) -> Option<Arc<dyn Check>> {
        self.credential.as_ref()?;
        let bare = FirebaseStorageFile { auth: AuthFile::default(), ..self.file.clone() };
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

impl Protocol for FirebaseStorage {
    const KEY: &'static str = "firebase_storage";
    const SCHEMES: &'static [&'static str] = &["firebase-storage"];
    type File = FirebaseStorageFile;

    fn build(file: &Self::File, net: &Arc<Net>) -> Result<Self, Problem> {
        if file.bucket.is_empty() {
            return Err(Problem::at("bucket", "the bucket's name is empty"));
        }
        let base = firebase::or_public(file.base_url.as_ref(), "base_url", PUBLIC)?;
        let place = Place::new(net, &base, "base_url", file.ip, &file.tls)?;
        let credential = Credential::of(net, &file.auth, Some("auth"), SCOPE, file.ip, &file.tls)?;
        if file.object.is_none() && (file.public || credential.is_some()) {
            return Err(Problem::at("object", "`public` and `auth` need an object to read"));
        }
        let must_read = file.public || credential.is_some();
        let above = ["v0", "b", &file.bucket, "o"];
        // Without a right to it, what is asked for is what is known of the object: JSON, which nobody else answers.
        let media: &[(&str, &str)] = if must_read { &[("alt", "media")] } else { &[] };
        let url = place.url(above.into_iter().chain(file.object.as_deref()), media);
        Ok(Self { place, url, must_read, credential, file: file.clone(), net: Arc::clone(net) })
    }

    fn from_url(url: &url::Url) -> Result<Self::File, String> {
        let (bucket, object) = firebase::named(url, "firebase-storage://BUCKET or firebase-storage://BUCKET/OBJECT")?;
        Ok(FirebaseStorageFile {
            bucket,
            object,
            public: false,
            auth: AuthFile::default(),
            base_url: firebase::emulator(url)?,
            ip: Ip::default(),
            tls: TlsFile::default(),
        })
    }

    fn retarget(file: &Self::File, target: &str) -> Result<Self::File, String> {
        Ok(FirebaseStorageFile { base_url: Some(firebase::at(target)?), ..file.clone() })
    }

    fn apply(file: &mut Self::File, overrides: &Overrides) {
        overrides.change_way(&mut file.ip, &mut file.tls);
    }
}
