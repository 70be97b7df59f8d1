//! Status feeds: what providers publish about themselves, read into one normal form. One file per kind of feed, registered
//! in one list below; the fetcher knows no kind. Must not know verdicts, incidents, or who is told.
//!
//! A feed can only ever add evidence. What cannot be fetched, is not understood, is old or empty is `unknown`, never
//! "all is well": every reader wants a structural anchor before it believes anything, and a word that it does not know
//! makes it give up.
//!
//! To add a kind: a file with `pub(super) fn parse`, a `mod` line, and a line in `feeds!`. The key in `probes.yaml`, the
//! schema and the list that `validate` names follow from these.

mod fetch;
mod follow;
mod json;
mod meaning;
mod notice;
mod time;
mod xml;

pub use follow::{Hurry, Pace, Reading, Told, follow};
pub use meaning::{Names, admissions, together};
pub use notice::{NotUnderstood, Notice, Status};

use std::sync::Arc;

use crate::model::Timestamp;

/// One feed: which kind, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// How it is written.
    pub kind: Kind,
    /// Where it is.
    pub url: url::Url,
}

/// A feed of a party, with what the names in it mean here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feed {
    /// The feed.
    pub source: Arc<Source>,
    /// What the names in it mean here.
    pub names: Names,
}

/// Makes the closed list of kinds: the key under `status_feed:` and its reader.
macro_rules! feeds {
    ($($key:ident => $what:literal),+ $(,)?) => {
        /// How a feed is written.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[expect(non_camel_case_types, reason = "the variants are the words of the configuration")]
        pub enum Kind {
            $(
                #[doc = $what]
                $key,
            )+
        }

        impl Kind {
            /// Every kind, in the order of the list.
            pub const ALL: &[Self] = &[$(Self::$key),+];

            /// The key under `status_feed:`.
            #[must_use]
            pub const fn key(self) -> &'static str {
                match self { $(Self::$key => stringify!($key)),+ }
            }

            /// Reads a feed of this kind.
            ///
            /// # Errors
            /// When it is not what it should be, whatever it is.
            pub fn parse(self, body: &[u8], now: Timestamp) -> Result<Status, NotUnderstood> {
                match self { $(Self::$key => $key::parse(body, now)),+ }
            }
        }

        /// The shape under `status_feed:`: exactly one key, with an address below it.
        #[derive(Debug, Clone, serde::Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "snake_case")]
        #[expect(non_camel_case_types, reason = "the variants are the words of the configuration")]
        pub enum FeedFile<Address> {
            $(
                #[doc = $what]
                $key(Address),
            )+
        }

        impl<Address> FeedFile<Address> {
            /// Which kind, and what stands below its key.
            pub const fn parts(&self) -> (Kind, &Address) {
                match self { $(Self::$key(address) => (Kind::$key, address)),+ }
            }
        }
    };
}

mod atom;
mod aws;
mod azure;
mod better_stack;
mod cstate;
mod google_cloud;
mod instatus;
mod rss;
mod slack;
mod statuspage;

feeds! {
    statuspage => "Atlassian Statuspage and pages compatible with it: `…/api/v2/summary.json`.",
    google_cloud => "Google Cloud, Firebase and Workspace: `…/incidents.json`.",
    aws => "Amazon Web Services: `https://health.aws.amazon.com/public/currentevents`.",
    azure => "Microsoft Azure: the RSS feed of its status page.",
    slack => "Slack: `https://slack-status.com/api/v2.0.0/current`.",
    instatus => "Instatus: `…/summary.json`.",
    cstate => "cState: `…/index.json`.",
    better_stack => "Better Stack: `…/index.json`.",
    rss => "Any RSS feed of incidents: what it says counts, its silence does not.",
    atom => "Any Atom feed of incidents: what it says counts, its silence does not.",
}

#[cfg(test)]
#[path = "feed_tests.rs"]
mod tests;
