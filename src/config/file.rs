//! The shape of `probes.yaml`: names and types of all keys, defaults in words. What is required is an `Option` here, so
//! that one missing key hides no other mistake; the schema says that it is required (`!default`: to it there is none), and
//! `decode.rs` reports it. Knows no rule that looks at more than one value.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use url::Url;

use super::{
    at::{At, Several},
    confirm::ConfirmFile,
    hubs::HubFile,
    or_off::OrOff,
    session::SessionFile,
    shorthand::ShortOrLong,
    size::Size,
};
use crate::{
    feed::FeedFile,
    model::{Cause, PartyKind, Severity},
    notify::{ChannelFile, clients::Clients},
    protocol::{CheckFile, Span},
};

/// The whole file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Where this agent looks from.
    #[serde(default)]
    pub(super) vantage: VantageFile,
    /// What probes use that do not say it themselves.
    #[serde(default)]
    pub(super) defaults: DefaultsFile,
    /// Who answers for what.
    #[serde(default, deserialize_with = "given")]
    #[schemars(required, !default)]
    pub(super) parties: Option<BTreeMap<String, At<PartyFile>>>,
    /// What to look at, how and how often.
    #[serde(default, deserialize_with = "given")]
    #[schemars(required, !default)]
    pub(super) probes: Option<Vec<At<ProbeFile>>>,
    /// When and whom to tell.
    #[serde(default)]
    pub(super) alerts: AlertsFile,
    /// Planned windows in which nobody is paged.
    #[serde(default)]
    pub(super) maintenance: Vec<MaintenanceFile>,
    /// How much history to keep.
    #[serde(default)]
    pub(super) store: StoreFile,
    /// Runs under way at once, at most (512).
    #[serde(default)]
    #[schemars(range(min = 1, max = 65_536))]
    pub(super) concurrency: Option<At<u32>>,
    /// Hubs to report to (left out: a hub inside of this process), and agents that may report to this one.
    #[serde(default)]
    pub(super) hub: HubFile,
}

/// Where this agent looks from.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct VantageFile {
    /// Region (`local`).
    pub(super) region: Option<At<String>>,
    /// Node (the host's name).
    pub(super) node: Option<At<String>>,
    /// The cloud that this vantage point itself stands on.
    pub(super) hosted_on: Option<At<String>>,
}

/// What probes use that do not say it themselves.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DefaultsFile {
    /// From one start to the next (10s).
    pub(super) interval: Option<At<Span>>,
    /// Deadline of a run (5s, or the interval where that is shorter).
    pub(super) timeout: Option<At<Span>>,
    /// Confirming a failure: when a probe fails after a good round it is asked again within two seconds with one thing
    /// otherwise at a time. `off` never does.
    pub(super) confirm: Option<At<OrOff<ConfirmFile>>>,
    /// Nodes of a region that run each probe, where there are several and a hub tells of them (2).
    #[schemars(range(min = 1, max = 1000))]
    pub(super) vantages_per_region: Option<At<u32>>,
}

/// Who answers for a thing.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PartyFile {
    /// `us`: our own service. `provider`: a third party. `control`: an unrelated place that tells whether our own
    /// network works.
    #[serde(default, deserialize_with = "given")]
    #[schemars(required, !default)]
    pub(super) kind: Option<PartyKind>,
    /// Name for people (the key).
    #[serde(default)]
    pub(super) name: Option<At<String>>,
    /// Parties without which this one cannot work.
    #[serde(default)]
    pub(super) depends_on: Vec<At<String>>,
    /// Where the party tells its own state: one feed, or a list of them.
    #[serde(default)]
    pub(super) status_feed: Several<StatusFeedFile>,
}

/// A feed by its kind: exactly one key, with its address, or with its address and what the names in it mean here.
pub(super) type StatusFeedFile = FeedFile<ShortOrLong<At<Url>, NamedFeedFile>>;

/// The address of a feed, and what the names in it mean here.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NamedFeedFile {
    /// Where it is.
    pub(super) url: At<Url>,
    /// By product of ours (or the party's key, for the party as a whole): the names or ids of products in the feed.
    #[serde(default)]
    pub(super) products: BTreeMap<String, At<Several<String>>>,
    /// By region of ours: the names or ids of regions in the feed.
    #[serde(default)]
    pub(super) regions: BTreeMap<String, At<Several<String>>>,
}

/// One way to look at a party's product.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProbeFile {
    /// Unique name: letters, digits, `.`, `_`, `-`.
    #[serde(default, deserialize_with = "given")]
    #[schemars(required, !default)]
    pub(super) name: Option<At<String>>,
    /// Whom a failure is about.
    #[serde(default, deserialize_with = "given")]
    #[schemars(required, !default)]
    pub(super) party: Option<At<String>>,
    /// Which part of the party, where its parts fail on their own.
    #[serde(default)]
    pub(super) product: Option<At<String>>,
    /// From one start to the next.
    #[serde(default)]
    pub(super) interval: Option<At<Span>>,
    /// Deadline of a run; at most the interval.
    #[serde(default)]
    pub(super) timeout: Option<At<Span>>,
    /// Confirming a failure, where it is not as in `defaults`.
    #[serde(default)]
    pub(super) confirm: Option<At<OrOff<ConfirmFile>>>,
    /// Nodes of a region that run it, where it is not as in `defaults`.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1000))]
    pub(super) vantages_per_region: Option<At<u32>>,
    /// Hold one connection open and measure it: asked on every round whether it is still there, opened again when it ends.
    /// For checks that live on long connections.
    #[serde(default)]
    pub(super) session: Option<At<SessionFile>>,
    /// Which way of real clients this looks at, so that messages can say what people notice; known by itself for the hosts
    /// of Firebase.
    #[serde(default)]
    pub(super) clients: Option<Clients>,
    /// What to do: exactly one kind of check.
    #[serde(default, deserialize_with = "given")]
    #[schemars(required, !default)]
    pub(super) check: Option<At<CheckFile>>,
}

/// When and whom to tell.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AlertsFile {
    /// Bad rounds in a row before an incident opens (3).
    #[schemars(range(min = 1, max = 1000))]
    pub(super) open_after: Option<At<u32>>,
    /// Good rounds in a row before it closes (5).
    #[schemars(range(min = 1, max = 1000))]
    pub(super) close_after: Option<At<u32>>,
    /// From one reminder of an open incident to the next (none).
    pub(super) remind_every: Option<At<Span>>,
    /// From so many incidents at once they are told in one message (4).
    #[schemars(range(min = 1, max = 1000))]
    pub(super) digest_from: Option<At<u32>>,
    /// Ways to tell people, by name.
    pub(super) channels: BTreeMap<String, At<ChannelFile>>,
    /// Who hears of what.
    pub(super) routes: Vec<RouteFile>,
}

/// Who hears of what: all filters that are given must match.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RouteFile {
    /// Name of a channel; of several, the first, and when it has been out of reach for two minutes the next.
    #[serde(default, deserialize_with = "given")]
    #[schemars(required, !default)]
    pub(super) to: Option<Several<String>>,
    /// Only incidents of this party, or one of these.
    #[serde(default)]
    pub(super) party: Several<String>,
    /// Only incidents of this product, or one of these.
    #[serde(default)]
    pub(super) product: Several<String>,
    /// Only incidents of this cause, or one of these.
    #[serde(default)]
    pub(super) cause: Several<Cause>,
    /// Only incidents of this severity, or one of these (`[critical, warning]`). `critical`: our service or a provider is
    /// down. `warning`: one region's way, a vantage point, or nobody can tell. `degraded`: slow, with nothing down.
    #[serde(default)]
    pub(super) severity: Several<Severity>,
}

/// A planned window that repeats.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MaintenanceFile {
    /// Party that is worked on.
    #[serde(default, deserialize_with = "given")]
    #[schemars(required, !default)]
    pub(super) party: Option<At<String>>,
    /// When a window begins: minute, hour, day of month, month, day of week.
    #[serde(default, deserialize_with = "given")]
    #[schemars(required, !default)]
    pub(super) cron: Option<At<String>>,
    /// How long it lasts.
    #[serde(default, deserialize_with = "given")]
    #[schemars(required, !default)]
    pub(super) duration: Option<At<Span>>,
    /// The zone in which `cron` is meant (`UTC`).
    #[serde(default)]
    pub(super) time_zone: Option<At<String>>,
    /// Why.
    #[serde(default)]
    pub(super) note: Option<String>,
}

/// How much history to keep: whichever limit is reached first.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct StoreFile {
    /// Oldest observation (30d).
    pub(super) max_age: Option<At<Span>>,
    /// Size of the store (2GB).
    pub(super) max_size: Option<At<Size>>,
}

/// A required value: unlike an optional one it cannot be given as nothing.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
