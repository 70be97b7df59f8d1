//! The `firestore` check: reads a document over REST, or listens to it over gRPC as clients do. Without a right to the
//! document it sees whether anybody is there.

mod listen;
mod message;

use std::{
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use http::{HeaderName, Method, header};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::{
    Attempt, Backoff, Check, Endpoint, Hold, Ip, Looking, Opening, Overrides, Problem, Protocol, Secure, Session,
    TlsFile,
    delivery::{Ledger, Moment},
    firebase::{self, AuthFile, Credential, Place, ours},
};
use crate::{
    model::{Failure, Kind, Phase, Secret},
    net::Net,
};
use listen::Listening;

const PUBLIC: &str = "https://firestore.googleapis.com";
/// A message that has not come after this time is lost.
const PATIENCE: Duration = Duration::from_secs(10);
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
    /// A single read over REST, or a listener over gRPC, as clients have it.
    #[serde(default)]
    pub transport: Transport,
    /// A collection in which each vantage point writes a document of its own, and listens for all; with `transport: grpc`.
    #[serde(default)]
    pub round_trip: Option<String>,
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

/// The ways to a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// It is read once.
    #[default]
    Rest,
    /// It is listened to.
    Grpc,
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
    /// With `transport: grpc`.
    listening: Option<Arc<Listening>>,
    has_credential: bool,
    ledger: OnceLock<Arc<Mutex<Ledger>>>,
    file: FirestoreFile,
    net: Arc<Net>,
}

impl Firestore {
    async fn run(&self, attempt: &mut Attempt) -> Result<(), Failure> {
        match &self.listening {
            Some(listening) => {
                let Some(mut talk) = listening.open(attempt, self.ledger(attempt)).await? else { return Ok(()) };
                let done = talk.round_trip(attempt).await;
                talk.leave(attempt).await;
                done
            }
            None => self.read(attempt).await,
        }
    }

    /// The ledger of the vantage point: the same for all attempts but those that stand by themselves.
    fn ledger(&self, attempt: &Attempt) -> Option<Arc<Mutex<Ledger>>> {
        let new = || Arc::new(Mutex::new(Ledger::new(&attempt.vantage, PATIENCE, Moment::now())));
        self.listening.as_ref()?.round_trip.as_ref()?;
        Some(if attempt.alone { new() } else { Arc::clone(self.ledger.get_or_init(new)) })
    }

    async fn read(&self, attempt: &mut Attempt) -> Result<(), Failure> {
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
        if self.file.round_trip.is_none() && !self.has_credential {
            return None;
        }
        let bare = FirestoreFile { round_trip: None, auth: AuthFile::default(), api_key: None, ..self.file.clone() };
        Some(Arc::new(Self::build(&bare, &self.net).ok()?))
    }

    fn look<'a>(&'a self, attempt: &'a mut Attempt) -> Looking<'a> {
        Box::pin(async move {
            let looked = self.run(attempt).await;
            attempt.let_go();
            looked
        })
    }

    fn hold(&self) -> Option<&dyn Hold> {
        self.listening.is_some().then_some(self as &dyn Hold)
    }
}

impl Hold for Firestore {
    fn open<'a>(&'a self, attempt: &'a mut Attempt) -> Opening<'a> {
        Box::pin(async move {
            let Some(listening) = &self.listening else { return Err(ours("nothing to hold".to_owned())) };
            let mut talk = listening.open(attempt, self.ledger(attempt)).await?.ok_or_else(|| {
                let detail = "without a credential there is nothing to listen to";
                Failure::new(Phase::Exchange, Kind::Unauthorized, detail)
            })?;
            talk.round_trip(attempt).await?;
            Ok(Box::new(talk) as Box<dyn Session>)
        })
    }

    /// That of the SDKs: from one second, longer by half up to a minute.
    fn backoff(&self) -> Backoff {
        Backoff { first: Duration::from_secs(1), factor: 1.5, longest: Duration::from_secs(60), random: 0.5 }
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
        if file.round_trip.is_some() && file.transport == Transport::Rest {
            return Err(
                Problem::at("round_trip", "only a listener is told of what is written").help("`transport: grpc`")
            );
        }
        if file.round_trip.as_ref().is_some_and(|collection| collection.is_empty() || collection.contains('/')) {
            return Err(Problem::at("round_trip", "this is not the name of a collection below the root"));
        }
        let key = file.api_key.as_ref().map(|key| ("key", key.reveal()));
        let above = ["v1", "projects", &file.project, "databases", &file.database, "documents"];
        let url = place.url(above.into_iter().chain(firebase::segments(&file.document)), key.as_slice());
        let prefix = format!("projects/{}/databases/{}", file.project, file.database);
        let (has_credential, must_read) = (credential.is_some(), file.public || credential.is_some());
        let (credential, listening) = match file.transport {
            Transport::Rest => (credential, None),
            Transport::Grpc => {
                let https = base.scheme() == "https";
                let secure = if https { Some(Secure::new(net, &file.tls, &["h2"])?) } else { None };
                let host = base.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
                let port = base.port_or_known_default().unwrap_or(443);
                let listening = Listening {
                    url: base.clone(),
                    endpoint: Endpoint { host, port, ip: file.ip },
                    secure,
                    database: prefix.clone(),
                    document: firebase::segments(&file.document).collect::<Vec<_>>().join("/"),
                    round_trip: file.round_trip.clone(),
                    credential,
                    is_stranger: !must_read && file.round_trip.is_none(),
                };
                (None, Some(Arc::new(listening)))
            }
        };
        Ok(Self {
            place,
            url,
            must_read,
            prefix,
            credential,
            listening,
            has_credential,
            ledger: OnceLock::new(),
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
            transport: Transport::default(),
            round_trip: None,
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
        overrides.change_way(&mut file.ip, &mut file.tls);
    }
}

/// Takes bytes for what comes on a call that listens.
#[cfg(any(test, fuzzing))]
pub(super) fn parse(bytes: &[u8]) {
    let mut frames = message::Frames::default();
    frames.push(bytes);
    while let Ok(Some(message)) = frames.next() {
        let _ = message::heard(&message);
    }
}
