//! The checks: one file a protocol, registered in one list below. Owns what a check is; must not know about schedules,
//! metrics, stores or who is to blame.
//!
//! To add a protocol: a file with a type that implements [`Protocol`], a `mod` line, and a line in `protocols!`. The
//! YAML key, the command line's schemes, the metric label and the JSON Schema follow from these.

mod attempt;
mod basic;
mod common;
pub mod delivery;
mod facts;
mod head;
mod link;
#[cfg(any(test, fuzzing))]
pub mod parsers;
mod reach;
mod session;
mod ws;

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

pub use attempt::Attempt;
pub use common::{Ip, Overrides, Pattern, Problem, Span, TlsFile};
pub use facts::{Facts, Gauge};
pub use grpc::GrpcFile;
pub use http::{Expect, HttpFile, Reuse, StatusRange, Version as HttpVersion};
pub use mqtt::{MqttFile, Version as MqttVersion};
pub use oauth2::{ClientAuth, ClientCredentials, OAuth2File, RefreshToken};
pub use proxy::{Proxy, Way};
pub use reach::{Endpoint, Secure};
pub use scenario::{SaveFile, ScenarioFile, StepFile, WaitFile};
pub use session::{Backoff, End, Ending, Hold, Opening, Session};

use crate::{
    model::{Failure, Phase},
    net::Net,
};

/// A future that borrows the attempt.
pub type Looking<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;

/// A check that is ready to run: everything that can be prepared once is prepared.
pub trait Check: Send + Sync {
    /// The key under `check:`; also the metric label.
    fn key(&self) -> &'static str;

    /// What it looks at, for people: never with credentials or a query string.
    fn target(&self) -> String;

    /// How many observations one run makes (a check that looks at a connection both cold and warm makes two).
    fn turns(&self) -> u32 {
        1
    }

    /// Looks once. Time, deadline and bookkeeping belong to the caller: it may drop the future at any await point.
    ///
    /// # Errors
    /// The failure of the target. A failure of our own has a kind for which [`crate::model::Kind::is_ours`] holds.
    fn look<'a>(&'a self, attempt: &'a mut Attempt) -> Looking<'a>;

    /// The host, or whatever else is asked, that everything which looks there shares: a budget is counted by it.
    fn host(&self) -> String {
        host_of(&self.target())
    }

    /// The same without the credential that it sends, satisfied with any answer that is no error of the server's own: is
    /// anybody there at all? `None` where no credential is sent.
    fn without_credential(&self) -> Option<Arc<dyn Check>> {
        None
    }

    /// Whether a failure may be looked into by asking again at once: not where asking does something.
    fn may_be_asked_again(&self) -> bool {
        true
    }

    /// What this check cannot do without, and which is looked at for itself.
    fn needs(&self) -> Option<Need> {
        None
    }

    /// What this check itself looks at for others.
    fn is_needed(&self) -> Option<Need> {
        None
    }

    /// The same check as a connection that is held, for protocols that live on long connections (`session:`).
    fn hold(&self) -> Option<&dyn Hold> {
        None
    }

    /// How blackbox_exporter names this check's phases: label value of `probe_<key>_duration_seconds` and the phases
    /// of ours that it sums.
    fn blackbox_phases(&self) -> &'static [(&'static str, &'static [Phase])] {
        &[]
    }

    /// The figures, name and `# HELP`, that blackbox_exporter shows for this check even when the attempt did not get so
    /// far: as 0. The check itself notes them with [`Attempt::gauge`] where it knows better.
    fn blackbox_zeros(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }
}

/// Something that several checks stand on. It is a target of its own, so that its failure is one fault and not one of each:
/// those that cannot be tried without it are blocked, and say which probe knows why.
pub struct Need {
    /// Two with the same key are one.
    pub key: String,
    /// The product that it is, where no probe of the configuration looks at it.
    pub product: &'static str,
    /// How often to look at it then.
    pub interval: Duration,
    /// What looks at it.
    pub file: CheckFile,
    /// Hears the name of the probe that looks at it.
    pub watched_by: Arc<dyn Fn(&str) + Send + Sync>,
}

/// The host in a target as people are shown it: `https://host:port/path`, `host:port`, `host`.
fn host_of(target: &str) -> String {
    let rest = target.split_once("://").map_or(target, |(_, rest)| rest);
    let authority = rest.split(['/', '?', ' ']).next().unwrap_or(rest);
    let bare_v6 = authority.parse::<std::net::Ipv6Addr>().is_ok();
    let host = match authority.rsplit_once(':') {
        Some((host, _)) if !bare_v6 && !authority.ends_with(']') => host,
        _ => authority,
    };
    host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase()
}

/// What a protocol's file provides: its shape in `probes.yaml`, its URL schemes, and how to make a [`Check`] of it.
pub trait Protocol: Check + Sized + 'static {
    /// The key under `check:`.
    const KEY: &'static str;
    /// URL schemes that `usoryou check` maps to it.
    const SCHEMES: &'static [&'static str];
    /// The shape under the key.
    type File;
    /// Whether a run may take longer than the interval: rounds that it covers are skipped and counted.
    const MAY_OUTLAST: bool = false;

    /// Prepares a check.
    ///
    /// # Errors
    /// What is wrong with the shape, with the path of the field inside it.
    fn build(file: &Self::File, net: &Arc<Net>) -> Result<Self, Problem>;

    /// The shape that a URL given at the command line stands for.
    ///
    /// # Errors
    /// Why the URL does not say enough, in words.
    fn from_url(url: &url::Url) -> Result<Self::File, String>;

    /// The same check of another target (`GET /probe?target=…`): a URL, a host or `host:port`, as the protocol has it.
    ///
    /// # Errors
    /// Why the target does not fit, in words.
    fn retarget(file: &Self::File, target: &str) -> Result<Self::File, String>;

    /// Applies the flags of `usoryou check`; flags that mean nothing to a protocol are left alone.
    fn apply(file: &mut Self::File, overrides: &Overrides);
}

/// Makes the closed list of protocols: the shape under `check:` and everything that goes by key or scheme.
macro_rules! protocols {
    ($($key:ident => $module:ident :: $type:ident),+ $(,)?) => {
        /// The shape under `check:` in `probes.yaml`: exactly one key.
        #[derive(Debug, Clone, serde::Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "snake_case")]
        #[expect(non_camel_case_types, reason = "the variants are the words of the configuration")]
        pub enum CheckFile {
            $(
                #[doc = concat!("`", stringify!($key), "`")]
                $key(Box<<$module::$type as Protocol>::File>),
            )+
        }

        impl CheckFile {
            /// Every key, in the order of the list.
            pub const KEYS: &[&str] = &[$(<$module::$type as Protocol>::KEY),+];

            /// The key under `check:`.
            #[must_use]
            pub const fn key(&self) -> &'static str {
                match self { $(Self::$key(_) => <$module::$type as Protocol>::KEY),+ }
            }

            /// Whether a run may take longer than the interval.
            #[must_use]
            pub const fn may_outlast(&self) -> bool {
                match self { $(Self::$key(_) => <$module::$type as Protocol>::MAY_OUTLAST),+ }
            }

            /// Prepares the check.
            ///
            /// # Errors
            /// What is wrong with the shape, with the path of the field inside it.
            pub fn build(&self, net: &Arc<Net>) -> Result<Arc<dyn Check>, Problem> {
                match self { $(Self::$key(file) => Ok(Arc::new(<$module::$type as Protocol>::build(file, net)?))),+ }
            }

            /// The check that a URL stands for.
            ///
            /// # Errors
            /// An unknown scheme, or a URL that does not say enough, in words.
            pub fn from_url(url: &url::Url) -> Result<Self, String> {
                $(
                    if <$module::$type as Protocol>::SCHEMES.contains(&url.scheme()) {
                        return Ok(Self::$key(Box::new(<$module::$type as Protocol>::from_url(url)?)));
                    }
                )+
                Err(format!("cannot check `{}://`: known schemes are {}", url.scheme(), Self::schemes().join(", ")))
            }

            /// The schemes of the URLs that stand for a check.
            pub fn schemes() -> Vec<&'static str> {
                [$(<$module::$type as Protocol>::SCHEMES),+].concat()
            }

            /// The same check of another target.
            ///
            /// # Errors
            /// Why the target does not fit, in words.
            pub fn retarget(&self, target: &str) -> Result<Self, String> {
                Ok(match self { $(Self::$key(file) => Self::$key(Box::new(<$module::$type as Protocol>::retarget(file, target)?))),+ })
            }

            /// Applies the flags of `usoryou check`.
            pub fn apply(&mut self, overrides: &Overrides) {
                match self { $(Self::$key(file) => <$module::$type as Protocol>::apply(file, overrides)),+ }
            }
        }
    };
}

mod dns;
mod firebase;
mod firebase_auth;
mod firebase_messaging;
mod firebase_realtime;
mod firebase_storage;
mod firestore;
mod grpc;
mod http;
mod icmp;
mod mqtt;
mod oauth2;
mod proxy;
mod scenario;
mod sse;
mod tcp;
mod tls;
mod websocket;

protocols! {
    http => http::Http,
    tcp => tcp::Tcp,
    tls => tls::Tls,
    dns => dns::Dns,
    icmp => icmp::Icmp,
    websocket => websocket::Websocket,
    sse => sse::Sse,
    firebase_realtime => firebase_realtime::FirebaseRealtime,
    firestore => firestore::Firestore,
    firebase_auth => firebase_auth::FirebaseAuth,
    firebase_messaging => firebase_messaging::FirebaseMessaging,
    firebase_storage => firebase_storage::FirebaseStorage,
    scenario => scenario::Scenario,
    oauth2 => oauth2::OAuth2,
    mqtt => mqtt::Mqtt,
    grpc => grpc::Grpc,
}

#[cfg(test)]
mod tests {
    use super::host_of;

    #[test]
    fn what_looks_at_one_host_shares_it() {
        for target in ["https://A.test:8443/x", "a.test:443", "a.test", "http://a.test"] {
            assert_eq!(host_of(target), "a.test", "{target}");
        }
        for target in ["::1", "[::1]:443", "http://[::1]:80/x", "http://[::1]/x"] {
            assert_eq!(host_of(target), "::1", "{target}");
        }
    }
}
