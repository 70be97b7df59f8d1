//! The shape of a `firebase_realtime` check in `probes.yaml`, its URL on the command line, and what is made of it.

use std::sync::{Arc, OnceLock};

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::{FirebaseRealtime, REDIRECTS, Ways};
use crate::{
    net::Net,
    protocol::{
        Ip, Overrides, Problem, Protocol, Secure, TlsFile,
        firebase::{self, AuthFile, Credential},
        http::Caller,
    },
};

const SCOPE: &str = "https://www.googleapis.com/auth/userinfo.email https://www.googleapis.com/auth/firebase.database";

/// A Realtime Database.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FirebaseRealtimeFile {
    /// The database: `https://NAMESPACE.firebaseio.com`, or an emulator with `?ns=NAMESPACE`. A path is what is read.
    pub url: Url,
    /// Who we are to its rules; without, it is only seen whether the provider answers.
    #[serde(default)]
    pub auth: AuthFile,
    /// Which of its clients' ways is taken.
    #[serde(default)]
    pub transport: Transport,
    /// A path below which each vantage point writes a message of its own, and listens for all.
    #[serde(default)]
    pub round_trip: Option<String>,
    /// Address family.
    #[serde(default)]
    pub ip: Ip,
    /// TLS options.
    #[serde(default)]
    pub tls: TlsFile,
}

/// The ways that clients take to a Realtime Database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// What every SDK prefers, and all but the web's need.
    #[default]
    Websocket,
    /// What the web falls back to: its start.
    LongPoll,
    /// Server-sent events.
    Sse,
    /// Single requests.
    Rest,
}

impl Protocol for FirebaseRealtime {
    const KEY: &'static str = "firebase_realtime";
    const SCHEMES: &'static [&'static str] = &["firebase"];
    type File = FirebaseRealtimeFile;

    fn build(file: &Self::File, net: &Arc<Net>) -> Result<Self, Problem> {
        let wrong = |why: &str| Problem::at("url", why);
        let url = &file.url;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("a URL is shown in many places and must not hold a credential").help("give it as `auth`"));
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| wrong("the URL names no host"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("write the database's address, which begins with https://"));
        }
        if url.query_pairs().any(|(name, _)| name != "ns") {
            return Err(wrong("of parameters the URL may have `ns` alone").help("a token is given as `auth`"));
        }
        let given = url.query_pairs().find(|(name, _)| name == "ns").map(|(_, ns)| ns.into_owned());
        let is_public = [".firebaseio.com", ".firebasedatabase.app"].iter().any(|domain| host.ends_with(domain));
        let names_it = given.is_some() || !is_public;
        let namespace = given.or_else(|| is_public.then(|| host.split('.').next().unwrap_or_default().to_owned()));
        let namespace = namespace.ok_or_else(|| {
            wrong("which database is meant cannot be told from this host").help("add `?ns=NAMESPACE`")
        })?;
        let path = url.path().trim_end_matches('/').trim_end_matches(".json").trim_end_matches('/').to_owned();
        let round_trip = file.round_trip.as_deref().map(|path| format!("/{}", path.trim_matches('/')));
        if round_trip.as_deref().is_some_and(|path| path == "/" || path.contains(['.', '#', '$', '[', ']'])) {
            let message = "a path below the root, without any of `.` `#` `$` `[` `]`";
            return Err(Problem::at("round_trip", message));
        }
        if round_trip.is_some() && file.transport == Transport::LongPoll {
            let message = "of long polling only the start is tried: nothing is written there";
            return Err(Problem::at("round_trip", message).help("use another `transport`"));
        }
        let mut base = url.clone();
        base.set_path("/");
        base.set_query(None);
        base.set_fragment(None);
        let https = base.scheme() == "https";
        if !https && file.tls != TlsFile::default() {
            return Err(Problem::at("tls", "there is no TLS here: the URL begins with http://"));
        }
        let secure = if https { Some(Secure::new(net, &file.tls, &["http/1.1"])?) } else { None };
        let caller = Caller::new(net, &base, file.ip, &file.tls, REDIRECTS)?;
        let ways = Ways {
            transport: file.transport,
            names_it,
            namespace,
            caller,
            secure,
            ip: file.ip,
            credential: Credential::of(net, &file.auth, Some("auth"), SCOPE, file.ip, &file.tls)?,
            round_trip: round_trip.is_some(),
            listen: round_trip.or_else(|| (!path.is_empty()).then(|| path.clone())),
            path,
            base,
        };
        Ok(Self { ways: Arc::new(ways), ledger: OnceLock::new(), file: file.clone(), net: Arc::clone(net) })
    }

    fn from_url(url: &url::Url) -> Result<Self::File, String> {
        let (namespace, path) = firebase::named(url, "firebase://NAMESPACE or firebase://NAMESPACE?host=HOST:PORT")?;
        let parameter =
            |wanted: &str| url.query_pairs().find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned());
        if let Some((other, _)) = url.query_pairs().find(|(name, _)| name != "host" && name != "transport") {
            return Err(format!("`{other}` is no parameter of firebase://: it has `host` and `transport`"));
        }
        let mut database = match firebase::emulator(url)? {
            Some(mut emulator) => {
                emulator.query_pairs_mut().append_pair("ns", &namespace);
                emulator
            }
            None if namespace.contains('.') => firebase::at(&namespace)?,
            None => firebase::at(&format!("{namespace}.firebaseio.com"))?,
        };
        database.set_path(&path.unwrap_or_default());
        let transport = match parameter("transport") {
            None => Transport::default(),
            Some(word) => serde_json::from_value(word.as_str().into())
                .map_err(|_| format!("`{word}` is no transport: there are websocket, long_poll, sse and rest"))?,
        };
        Ok(FirebaseRealtimeFile {
            url: database,
            auth: AuthFile::default(),
            transport,
            round_trip: None,
            ip: Ip::default(),
            tls: TlsFile::default(),
        })
    }

    fn retarget(file: &Self::File, target: &str) -> Result<Self::File, String> {
        Ok(FirebaseRealtimeFile { url: firebase::at(target)?, ..file.clone() })
    }

    fn apply(file: &mut Self::File, overrides: &Overrides) {
        file.ip = overrides.ip.unwrap_or(file.ip);
        file.tls.insecure |= overrides.insecure && file.url.scheme() == "https";
    }
}
