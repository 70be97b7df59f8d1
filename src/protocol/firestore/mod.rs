//! The `firestore` check: reads a document over REST, or listens to it over gRPC as clients do. Without a right to the
//! document it sees whether anybody is there.

use std::sync::Arc;

use http::{HeaderName, Method, header};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::{
    Attempt, Check, Ip, Looking, Overrides, Problem, Protocol, TlsFile,
    firebase::{self, AuthFile, Credential, Place, ours},
};
use crate::{
    model::{Failure, Kind, Secret},
    net::Net,
};

const PUBLIC: &str = "https://firestore.googleapis.com";
const SCOPE: &str = "https://www.googleapis.com/auth/datastore";

/// A document of a Firestore database.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FirestoreFile {
    /// The project's id.
    pub project: String,
    /// The database.
    #[serde(default = "database")]
    pub database: String,
    /// Path of a document, such as `usoryou/alive`.
    #[serde(default = "document")]
    pub document: String,
    /// Everybody may read the document: it must be there.
    #[serde(default)]
    pub public: bool,
    /// The project's Web API key, where it is wanted.
    #[serde(default)]
    pub api_key: Option<Secret>,
    /// Who reads.
    #[serde(default)]
    pub auth: AuthFile,
    /// Where documents are, when not at the public address (an emulator).
    #[serde(default)]
    pub base_url: Option<Url>,
    /// Address family.
    #[serde(default)]
    pub ip: Ip,
    /// TLS options.
    #[serde(default)]
    pub tls: TlsFile,
}

fn database() -> String {
    "(default)".to_owned()
}

fn document() -> String {
    "usoryou/alive".to_owned()
}

/// The check.
pub struct Firestore {
    place: Place,
    url: Url,
    /// Whether the document must be there.
    must_read: bool,
    /// `google-cloud-resource-prefix`, as the SDKs send it.
    prefix: String,
    credential: Option<Credential>,
    file: FirestoreFile,
    net: Arc<Net>,
}

impl Firestore {
    async fn run(&self, attempt: &mut Attempt) -> Result<(), Failure> {
        let bearer = match &self.credential {
            None => None,
            Some(credential) => Some(format!("Bearer {}", credential.token(attempt).await?.text.reveal())),
        };
        let mut headers = vec![(HeaderName::from_static("google-cloud-resource-prefix"), self.prefix.as_str())];
        headers.extend(bearer.iter().map(|bearer| (header::AUTHORIZATION, bearer.as_str())));
        let order = self.place.caller.order(Method::GET, self.url.clone(), &headers, "").map_err(ours)?;
        let answer = self.place.caller.ask(attempt, &order).await?;
        if !self.must_read {
            return firebase::is_alive(&answer);
        }
        let judged = firebase::judge(&answer);
        if let (Err(failure), Some(credential)) = (&judged, &self.credential)
            && failure.kind == Kind::Unauthorized
        {
            credential.forget();
        }
        judged.map(drop)
    }
}

impl Check for Firestore {
    fn key(&self) -> &'static str {
        Self::KEY
    }

    fn target(&self) -> String {
        Place::shown(&self.url)
    }

    fn without_credential(&self) -> Option<Arc<dyn Check>> {
        self.credential.as_ref()?;
        let bare = FirestoreFile { auth: AuthFile::default(), api_key: None, ..self.file.clone() };
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

impl Protocol for Firestore {
    const KEY: &'static str = "firestore";
    const SCHEMES: &'static [&'static str] = &["firestore"];
    type File = FirestoreFile;

    fn build(file: &Self::File, net: &Arc<Net>) -> Result<Self, Problem> {
        if file.project.is_empty() {
            return Err(Problem::at("project", "the project's id is empty"));
        }
        let parts = firebase::segments(&file.document).count();
        if parts == 0 || parts % 2 == 1 {
            let message = format!("`{}` is not a document: its path has an even number of parts", file.document);
            return Err(Problem::at("document", message).help("such as `usoryou/alive`: a collection and a document"));
        }
        let base = firebase::or_public(file.base_url.as_ref(), "base_url", PUBLIC)?;
        let place = Place::new(net, &base, "base_url", file.ip, &file.tls)?;
        let credential = Credential::of(net, &file.auth, Some("auth"), SCOPE, file.ip, &file.tls)?;
        let key = file.api_key.as_ref().map(|key| ("key", key.reveal()));
        let above = ["v1", "projects", &file.project, "databases", &file.database, "documents"];
        let url = place.url(above.into_iter().chain(firebase::segments(&file.document)), key.as_slice());
        Ok(Self {
            place,
            url,
            must_read: file.public || credential.is_some(),
            prefix: format!("projects/{}/databases/{}", file.project, file.database),
            credential,
            file: file.clone(),
            net: Arc::clone(net),
        })
    }

    fn from_url(url: &url::Url) -> Result<Self::File, String> {
        let (project, path) = firebase::named(url, "firestore://PROJECT or firestore://PROJECT/COLLECTION/DOCUMENT")?;
        Ok(FirestoreFile {
            project,
            database: database(),
            document: path.unwrap_or_else(document),
            public: false,
            api_key: None,
            auth: AuthFile::default(),
            base_url: firebase::emulator(url)?,
            ip: Ip::default(),
            tls: TlsFile::default(),
        })
    }

    fn retarget(file: &Self::File, target: &str) -> Result<Self::File, String> {
        Ok(FirestoreFile { base_url: Some(firebase::at(target)?), ..file.clone() })
    }

    fn apply(file: &mut Self::File, overrides: &Overrides) {
        file.ip = overrides.ip.unwrap_or(file.ip);
        file.tls.insecure |= overrides.insecure;
    }
}
