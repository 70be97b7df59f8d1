//! What people with real clients notice of a failure: a table of how long the SDKs of a backend survive what, as data. It is
//! only ever applied to probes that are known to look at such a backend; of others nothing is said. Pure.

use std::collections::BTreeMap;

use url::Url;

use crate::model::Phase;

/// Which way of real clients a probe looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Clients {
    /// Realtime Database by WebSocket: what every SDK prefers, and all but the web's need.
    FirebaseRealtimeWebsocket,
    /// Realtime Database by long polling: what the web falls back to.
    FirebaseRealtimeLongPoll,
    /// Realtime Database by REST or server-sent events.
    FirebaseRealtimeRest,
    /// The host of a Realtime Database, below any of these.
    FirebaseRealtimeHost,
    /// Firestore.
    Firestore,
    /// Sign-in (Identity Toolkit).
    FirebaseSignIn,
    /// Renewal of ID tokens (Secure Token).
    FirebaseToken,
    /// Cloud Storage for Firebase.
    FirebaseStorage,
}

/// How a way of clients is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Way {
    /// It works.
    Up,
    /// It answers badly.
    Down,
    /// It is not even reached: name, connection or TLS fail.
    Unreachable,
}

impl Way {
    /// How a way is that failed in a phase.
    #[must_use]
    pub const fn failing_at(phase: Phase) -> Self {
        match phase {
            Phase::Resolve | Phase::Connect | Phase::Proxy | Phase::Tls => Self::Unreachable,
            _ => Self::Down,
        }
    }
}

/// What a row asks of a way of clients.
#[derive(Debug, Clone, Copy)]
enum Is {
    Up,
    Bad,
    Unreachable,
}

/// If all of these are so, people notice this.
struct Row {
    when: &'static [(Clients, Is)],
    people_notice: &'static str,
}

use Clients::{
    FirebaseRealtimeHost as Host, FirebaseRealtimeLongPoll as LongPoll, FirebaseRealtimeRest as Rest,
    FirebaseRealtimeWebsocket as WebSocket,
};

const FALLS_BACK: &str =
    "Web apps fall back to long polling after about 30 s; Android and iOS apps and servers do not connect.";
const NOBODY: &str = "Apps do not connect, neither on the web nor on Android and iOS; when it is over, web apps may take up \
                      to 5 min to come back.";
const NO_NEW: &str = "Apps do not connect, neither on the web nor on Android and iOS; those that are connected may go on \
                      until their connection ends.";

/// The table: of each block the first row that fits is told. From how the SDKs are written.
const TABLE: &[&[Row]] = &[
    &[
        Row { when: &[(WebSocket, Is::Bad), (LongPoll, Is::Bad)], people_notice: NOBODY },
        Row { when: &[(WebSocket, Is::Bad), (LongPoll, Is::Up)], people_notice: FALLS_BACK },
        Row { when: &[(WebSocket, Is::Bad), (Rest, Is::Bad)], people_notice: NOBODY },
        Row { when: &[(WebSocket, Is::Bad), (Rest, Is::Up)], people_notice: FALLS_BACK },
        Row {
            when: &[(WebSocket, Is::Bad)],
            people_notice: "Web apps fall back to long polling after about 30 s, if that works; Android and iOS apps and \
                            servers do not connect.",
        },
        Row {
            when: &[(WebSocket, Is::Up), (LongPoll, Is::Bad)],
            people_notice: "Only web apps whose network blocks WebSocket do not connect; all others notice nothing.",
        },
        Row {
            when: &[(WebSocket, Is::Up), (Rest, Is::Bad)],
            people_notice: "Apps notice nothing; whatever calls the REST API fails.",
        },
        Row { when: &[(LongPoll, Is::Unreachable)], people_notice: NO_NEW },
        Row { when: &[(Rest, Is::Unreachable)], people_notice: NO_NEW },
        Row { when: &[(Host, Is::Bad)], people_notice: NO_NEW },
        Row {
            when: &[(LongPoll, Is::Bad)],
            people_notice: "Web apps whose network blocks WebSocket do not connect; of all others this says nothing.",
        },
        Row {
            when: &[(Rest, Is::Bad)],
            people_notice: "Whatever calls the REST API fails; of apps, which use WebSocket, this says nothing.",
        },
    ],
    &[Row {
        when: &[(Clients::Firestore, Is::Bad)],
        people_notice: "Web apps count as offline after about 10 s: they read from their cache, writes wait; they are back \
                        about a minute after it is over.",
    }],
    &[Row {
        when: &[(Clients::FirebaseSignIn, Is::Bad)],
        people_notice: "Nobody can sign in: attempts fail after up to 30 s (60 s on phones); who is signed in stays so.",
    }],
    &[Row {
        when: &[(Clients::FirebaseToken, Is::Bad)],
        people_notice: "Nothing for up to an hour, as long as ID tokens last; then Realtime Database and Firestore refuse \
                        people one after the other.",
    }],
    &[Row {
        when: &[(Clients::FirebaseStorage, Is::Bad)],
        people_notice: "Up- and downloads hang and are tried again, downloads for 2 min and uploads for 10; shorter bursts \
                        of errors go unnoticed.",
    }],
];

/// What people notice while these ways of clients are so; nothing where the table says nothing.
#[must_use]
pub fn people_notice(ways: &BTreeMap<Clients, Way>) -> Option<String> {
    let holds = |(clients, is): &(Clients, Is)| match is {
        Is::Up => ways.get(clients) == Some(&Way::Up),
        Is::Bad => ways.get(clients).is_some_and(|way| *way != Way::Up),
        Is::Unreachable => ways.get(clients) == Some(&Way::Unreachable),
    };
    let told = TABLE.iter().filter_map(|block| block.iter().find(|row| row.when.iter().all(holds)));
    let told: Vec<&str> = told.map(|row| row.people_notice).collect();
    (!told.is_empty()).then(|| told.join(" "))
}

/// The way of real clients that a target is known to be, from its host alone: nothing is guessed of anybody else's.
#[must_use]
pub fn recognise(target: &str) -> Option<Clients> {
    let url: Url = target.parse().ok()?;
    let host = url.host_str()?.trim_end_matches('.').to_ascii_lowercase();
    let is_below = |domain: &str| host.strip_suffix(domain).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'));
    match host.as_str() {
        "firestore.googleapis.com" => return Some(Clients::Firestore),
        "identitytoolkit.googleapis.com" => return Some(Clients::FirebaseSignIn),
        "securetoken.googleapis.com" => return Some(Clients::FirebaseToken),
        "firebasestorage.googleapis.com" => return Some(Clients::FirebaseStorage),
        _ if !is_below("firebaseio.com") && !is_below("firebasedatabase.app") => return None,
        _ => {}
    }
    let scheme = url.scheme();
    Some(match url.path() {
        _ if scheme == "wss" || scheme == "ws" => WebSocket,
        "/.lp" if scheme.starts_with("http") => LongPoll,
        _ if scheme.starts_with("http") => Rest,
        _ => Host,
    })
}

#[cfg(test)]
#[path = "clients_tests.rs"]
mod tests;
