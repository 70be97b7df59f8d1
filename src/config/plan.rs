//! The plan: a checked configuration with everything prepared. Immutable; a reload makes a new one.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::{
    model::{PartyKind, Subject, Timestamp, Vantage},
    notify::ChannelFile,
    protocol::{Check, CheckFile},
};

/// A checked configuration.
pub struct Plan {
    /// `sha256:` and the hash of the file as written, before variables are filled in.
    pub hash: Arc<str>,
    /// Where we look from.
    pub vantage: Vantage,
    /// The cloud that this vantage point itself stands on.
    pub hosted_on: Option<Arc<str>>,
    /// Parties by key.
    pub parties: BTreeMap<Arc<str>, Party>,
    /// Probes in the order of the file.
    pub probes: Vec<Arc<Probe>>,
    /// When and to whom to speak.
    pub alerts: Alerts,
    /// Planned windows.
    pub maintenance: Vec<Maintenance>,
    /// How much history to keep.
    pub keep: Keep,
    /// Runs under way at once, at most.
    pub concurrency: usize,
}

/// Who answers for a thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    /// Ourselves, a third party or a control.
    pub kind: PartyKind,
    /// Name for people.
    pub name: Arc<str>,
    /// Parties without which this one cannot work.
    pub depends_on: Vec<Arc<str>>,
}

/// One configured way to look at a party's product.
pub struct Probe {
    /// Unique name.
    pub name: Arc<str>,
    /// Party and product.
    pub subject: Subject,
    /// Kind of the party.
    pub kind: PartyKind,
    /// From one start to the next.
    pub interval: Duration,
    /// Deadline of a run.
    pub timeout: Duration,
    /// The check, ready to run.
    pub check: Arc<dyn Check>,
    /// Its shape, to make a check of another target for `GET /probe`.
    pub file: CheckFile,
    /// A hash of all that makes this probe what it is: a reload keeps the schedule of a probe whose hash stays.
    pub fingerprint: Arc<str>,
}

/// When and to whom to speak.
#[derive(Debug, Clone)]
pub struct Alerts {
    /// Bad rounds in a row before an incident opens.
    pub open_after: u32,
    /// Good rounds in a row before it closes.
    pub close_after: u32,
    /// Channels by name.
    pub channels: BTreeMap<Arc<str>, ChannelFile>,
    /// Who hears of what.
    pub routes: Vec<Route>,
}

/// Who hears of what: all filters that are given must match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Channel.
    pub to: Arc<str>,
    /// Only this party.
    pub party: Option<Arc<str>>,
}

/// A planned window that repeats.
#[derive(Debug, Clone)]
pub struct Maintenance {
    /// Party that it covers.
    pub party: Arc<str>,
    /// When it begins.
    pub cron: croner::Cron,
    /// How long it lasts.
    pub duration: Duration,
    /// The zone in which `cron` is meant.
    pub time_zone: chrono_tz::Tz,
    /// Why.
    pub note: Arc<str>,
}

impl Maintenance {
    /// Whether the window is open at an instant.
    #[must_use]
    pub fn covers(&self, at: Timestamp) -> bool {
        // A window is open when one began within the last `duration`.
        let earliest = at.with_timezone(&self.time_zone) - self.duration;
        self.cron.find_next_occurrence(&earliest, false).is_ok_and(|begin| begin.with_timezone(&chrono::Utc) <= at)
    }
}

/// How much history to keep: whichever limit is reached first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Oldest observation.
    pub age: Duration,
    /// Size of the store in bytes.
    pub bytes: u64,
}
