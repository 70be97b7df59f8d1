//! Telling people: what to say, to whom, and a durable outbox that says it exactly once. Channels are one file each,
//! registered in one list below. Probing and judging never wait for anything here.

pub mod admission;
mod alertmanager;
pub mod asked;
mod channel;
pub mod clients;
mod hears;
#[cfg(test)]
mod letters_tests;
mod line;
mod outbox;
mod pagerduty;
mod plan;
mod sample;
mod slack;
mod webhook;
pub mod words;

pub use channel::{Attempt, Channel, Delivered, Delivering, Doubt, HandingOver, Letter, Repeat};
pub use hears::{Habits, Hears};
pub use outbox::{Outbox, Patience, Roster};
pub use plan::{Audience, Planned, joined, plan};
pub use sample::sample;
pub(crate) use slack::escaped as escaped_for_slack;

use std::sync::Arc;

use crate::{net::Trust, protocol::Problem};

/// How letters travel: certificates are checked against what everything else here trusts, redirects are not followed (a
/// secret address must not wander), nothing is repeated behind our back.
///
/// # Errors
/// When the client cannot be made, in words that complete "cannot send messages: …".
pub fn http_client(trust: &Trust) -> Result<reqwest::Client, String> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(trust.client_config()?)
        .user_agent(concat!("usoryou/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        // Messages are rare: a connection kept for the next one would be dead by then.
        .pool_max_idle_per_host(0)
        .build()
        .map_err(|error| error.without_url().to_string())
}

/// Makes the closed list of channels: the shape under a channel's name in `probes.yaml`.
macro_rules! channels {
    ($($key:ident => $module:ident :: $type:ident),+ $(,)?) => {
        /// The shape under a channel's name: exactly one key.
        #[derive(Debug, Clone, serde::Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "snake_case")]
        #[expect(non_camel_case_types, reason = "the variants are the words of the configuration")]
        pub enum ChannelFile {
            $(
                #[doc = concat!("`", stringify!($key), "`")]
                $key($module::File),
            )+
        }

        impl ChannelFile {
            /// Every key, in the order of the list.
            pub const KEYS: &[&str] = &[$(stringify!($key)),+];

            /// Looks at the shape without sending anything: what is likely not meant, if anything.
            ///
            /// # Errors
            /// All that is wrong, with the path of each field inside the shape.
            pub fn review(&self) -> Result<Option<String>, Vec<Problem>> {
                match self { $(Self::$key(file) => file.review()),+ }
            }

            /// The key.
            #[must_use]
            pub const fn key(&self) -> &'static str {
                match self { $(Self::$key(_) => stringify!($key)),+ }
            }

            /// Whether the channel can change what it has said: only then is it told of what merely looks different.
            #[must_use]
            pub fn edits(&self) -> bool {
                match self { $(Self::$key(file) => file.edits()),+ }
            }

            /// Prepares the channel.
            ///
            /// # Errors
            /// What is wrong with it, in words that complete "cannot use the channel: …".
            pub fn build(&self, http: &reqwest::Client) -> Result<Arc<dyn Channel>, String> {
                match self { $(Self::$key(file) => Ok(Arc::new($module::$type::build(file, http)?))),+ }
            }
        }
    };
}

channels! {
    slack => slack::Slack,
    webhook => webhook::Webhook,
    alertmanager => alertmanager::Alertmanager,
    pagerduty => pagerduty::PagerDuty,
}
