//! The plan: a checked configuration with everything prepared. Immutable; a reload makes a new one.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use super::hubs::Agent;
use crate::{
    feed::Feed,
    model::{PartyKind, Secret, Subject, Timestamp, Vantage},
    notify::{ChannelFile, Habits, Hears, clients::Clients},
    protocol::{Check, CheckFile},
    uplink::Hubs,
};

/// A checked configuration.
pub struct Plan {
    /// `sha256:` and the hash of what decides how things are looked at: defaults, parties and probes as written, before
    /// variables are filled in.
    pub hash: Arc<str>,
    /// Where we look from.
    pub vantage: Vantage,
    /// The cloud that this vantage point itself stands on.
    pub hosted_on: Option<Arc<str>>,
    /// Parties by key.
    pub parties: BTreeMap<Arc<str>, Party>,
    /// Probes in the order of the file.
    pub probes: Vec<Arc<Probe>>,
    /// Which ways of real clients probes look at, of those of which that is known, by name.
    pub clients: BTreeMap<Arc<str>, Clients>,
    /// When and to whom to speak.
    pub alerts: Alerts,
    /// Planned windows.
    pub maintenance: Vec<Maintenance>,
    /// How much history to keep.
    pub keep: Keep,
    /// Runs under way at once, at most.
    pub concurrency: usize,
    /// Hubs to report to; without any, this process judges by itself.
    pub hubs: Option<Hubs>,
    /// Agents that may report to this hub.
    pub agents: Vec<Agent>,
    /// Where the store is, as far as the file says.
    pub store: Option<Secret>,
    /// What Slack signs its questions with; without it nobody asks from there.
    pub slack_signing_secret: Option<Secret>,
}

impl Plan {
    /// The key of the party that somebody means who writes its key or its name, large or small; nothing where none or more
    /// than one is called so.
    #[must_use]
    pub fn party_called(&self, said: &str) -> Option<&Arc<str>> {
        if let Some((key, _)) = self.parties.get_key_value(said) {
            return Some(key);
        }
        let said = said.to_lowercase();
        let mut called = self
            .parties
            .iter()
            .filter(|(key, party)| [*key, &party.name].iter().any(|name| name.to_lowercase() == said));
        match (called.next(), called.next()) {
            (Some((key, _)), None) => Some(key),
            _ => None,
        }
    }
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
    /// Where it tells its own state.
    pub feeds: Vec<Feed>,
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
    /// How far a failure is confirmed; `None` never does.
    pub confirm: Option<Confirm>,
    /// Hold its connection, and for how long; `None` opens one each time.
    pub session: Option<Session>,
    /// The check, ready to run.
    pub check: Arc<dyn Check>,
    /// Its shape, to make a check of another target for `GET /probe`.
    pub file: CheckFile,
    /// Nodes of a region that run it.
    pub vantages: usize,
    /// A hash of all that makes this probe what it is: a reload keeps the schedule of a probe whose hash stays.
    pub fingerprint: Arc<str>,
}

/// How far a failure is confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confirm {
    /// Requests to one host at most within `per`, by all probes together.
    pub budget: u32,
    /// The time that the budget is for, and the least between two confirmations of one probe.
    pub per: Duration,
    /// Another resolver to ask; `None`: another one of the system's.
    pub resolver: Option<SocketAddr>,
}

impl Default for Confirm {
    fn default() -> Self {
        Self { budget: 6, per: Duration::from_mins(10), resolver: None }
    }
}

/// A connection that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    /// After this it is ended in order and opened anew, so that opening it is measured too.
    pub hold: Duration,
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
    pub routes: Vec<Hears>,
    /// How often to speak.
    pub habits: Habits,
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
        let Ok(duration) = chrono::TimeDelta::from_std(self.duration) else { return false };
        // A window is open when one began within the last `duration`.
        let Some(earliest) = at.with_timezone(&self.time_zone).checked_sub_signed(duration) else { return false };
        self.cron.find_next_occurrence(&earliest, false).is_ok_and(|begin| begin.with_timezone(&chrono::Utc) <= at)
    }
}

/// How much history to keep: whichever limit is reached first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Oldest observation.
    pub age: Duration,
    /// Size of the store in bytes, where one is given.
    pub bytes: Option<u64>,
}

/// Nobody's disk is to fill up unasked; a server has whoever looks after it.
const FILE: u64 = 2_000_000_000;

impl Keep {
    /// Size of the store in bytes, of one in a file or one on a server.
    #[must_use]
    pub fn bytes_of(&self, server: bool) -> u64 {
        self.bytes.unwrap_or(if server { u64::MAX } else { FILE })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(cron: &str, duration: &str, time_zone: &str) -> Maintenance {
        Maintenance {
            party: "api".into(),
            cron: cron.parse().unwrap(),
            duration: duration.parse::<crate::protocol::Span>().unwrap().0,
            time_zone: time_zone.parse().unwrap(),
            note: "".into(),
        }
    }

    fn open_at<'a>(window: &Maintenance, instants: &[&'a str]) -> Vec<&'a str> {
        instants.iter().copied().filter(|instant| window.covers(instant.parse().unwrap())).collect()
    }

    #[test]
    fn a_window_is_open_from_its_begin_until_just_before_its_end() {
        // 2026-11-22 is a Sunday.
        let instants = [
            "2026-11-22T02:59:59Z",
            "2026-11-22T03:00:00Z",
            "2026-11-22T04:59:59Z",
            "2026-11-22T05:00:00Z",
            "2026-11-23T03:30:00Z",
        ];
        assert_eq!(
            open_at(&window("0 3 * * SUN", "2h", "UTC"), &instants),
            ["2026-11-22T03:00:00Z", "2026-11-22T04:59:59Z"]
        );
    }

    #[test]
    fn a_window_may_cross_midnight_and_overlap_the_next() {
        let instants = ["2026-11-22T22:59:59Z", "2026-11-22T23:00:00Z", "2026-11-23T00:59:59Z", "2026-11-23T01:00:00Z"];
        assert_eq!(
            open_at(&window("0 23 * * *", "2h", "UTC"), &instants),
            ["2026-11-22T23:00:00Z", "2026-11-23T00:59:59Z"]
        );
        assert_eq!(open_at(&window("0 * * * *", "2h", "UTC"), &instants), instants);
    }

    #[test]
    fn a_window_keeps_its_local_time_over_the_year() {
        let berlin = window("0 3 * * *", "1h", "Europe/Berlin");
        // 03:00 is 02:00 UTC in winter and 01:00 UTC in summer.
        let instants = ["2026-01-10T01:30:00Z", "2026-01-10T02:30:00Z", "2026-07-10T01:30:00Z", "2026-07-10T02:30:00Z"];
        assert_eq!(open_at(&berlin, &instants), ["2026-01-10T02:30:00Z", "2026-07-10T01:30:00Z"]);
    }

    #[test]
    fn a_window_is_neither_lost_nor_doubled_when_clocks_change() {
        let berlin = window("30 2 * * *", "30m", "Europe/Berlin");
        // 2026-03-29 has no 02:30: clocks go from 02:00 to 03:00 (01:00 UTC). The window opens when the gap ends.
        let spring = ["2026-03-29T00:45:00Z", "2026-03-29T01:15:00Z", "2026-03-29T01:45:00Z"];
        assert_eq!(open_at(&berlin, &spring), ["2026-03-29T01:15:00Z"]);
        // 2026-10-25 has 02:30 twice, at 00:30 and 01:30 UTC. The window opens at the first.
        let autumn = ["2026-10-25T00:15:00Z", "2026-10-25T00:45:00Z", "2026-10-25T01:15:00Z", "2026-10-25T01:45:00Z"];
        assert_eq!(open_at(&berlin, &autumn), ["2026-10-25T00:45:00Z"]);
    }

    #[test]
    fn no_instant_makes_it_panic() {
        let window = window("0 3 * * *", "31d", "Pacific/Apia");
        assert!(!window.covers(Timestamp::MIN_UTC));
        let _ = window.covers(Timestamp::MAX_UTC);
    }
}
