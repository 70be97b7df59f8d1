//! Availability over a period: what was seen and what was judged of it, added up by the rules of docs/REPORT.md. Pure;
//! takes observations one after the other, in bounded memory. Must not know stores, pages or configuration files.

mod account;
mod cell;
mod percentile;
mod span;
mod stretch;
mod written;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use account::{Account, Terms, Who};
pub use written::{grouped, minute, percent};

use crate::model::{Cause, PartyKind, Timestamp};

/// A report over a period.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Beginning of the period.
    pub from: Timestamp,
    /// Its end; not part of it.
    pub to: Timestamp,
    /// When the report was made.
    pub made_at: Timestamp,
    /// The oldest observation that is still stored; nothing when there is none.
    pub data_from: Option<Timestamp>,
    /// Observations that it rests on.
    pub observations: u64,
    /// The regions that they were made in.
    #[serde(default)]
    pub regions: Vec<Arc<str>>,
    /// The parties, by key.
    pub parties: Vec<PartyReport>,
    /// Their incidents, oldest first.
    pub incidents: Vec<IncidentReport>,
}

/// One party.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartyReport {
    /// Key.
    pub party: Arc<str>,
    /// Name for people.
    pub name: Arc<str>,
    /// Ourselves, a third party or a control.
    pub kind: PartyKind,
    /// Whether a status page of it is read: without one nobody can say that it never admitted anything.
    #[serde(default)]
    pub status_page: bool,
    /// All products together.
    pub whole: Figures,
    /// Each product; one without a name where the party has none.
    pub products: Vec<ProductReport>,
}

impl PartyReport {
    /// Whether a fault was its own, and it is known whether it said so.
    #[must_use]
    pub const fn may_admit(&self, cause: Cause) -> bool {
        self.status_page && account::is_own(cause, self.kind)
    }
}

/// One product of a party.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProductReport {
    /// Product; nothing for what is the party's as a whole.
    pub product: Option<Arc<str>>,
    /// Its figures.
    pub figures: Figures,
}

/// The figures of a party or product. Times are in seconds, summed over probes and regions: a probe that looks from three
/// regions for an hour has watched for three hours.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Share of the time watched without failures in incidents that are the party's own, 0 to 1.
    pub availability: Option<f64>,
    /// Share of the time watched without failures of any cause.
    pub raw_availability: Option<f64>,
    /// Time that counts.
    pub watched: f64,
    /// Failing in incidents that are the party's own.
    pub down_own: f64,
    /// Failing in incidents that are the path's.
    pub down_path: f64,
    /// Failing otherwise: another's fault, nobody's known fault, or too short for an incident.
    pub down_other: f64,
    /// Working, but slowly or poorly.
    pub degraded: f64,
    /// Left out: planned windows.
    pub in_maintenance: f64,
    /// Left out: our own vantage point or credential was at fault, or the run was inconclusive.
    pub not_judged: f64,
    /// Rounds that count.
    pub rounds: u64,
    /// Incidents that are the party's own.
    pub incidents: u64,
    /// The longest of them.
    pub longest: f64,
    /// All of them, those at the same time counted once.
    pub total: f64,
    /// Of these, how many the party has admitted.
    pub admitted: u64,
    /// How long after the onset it did, in the middle; below zero when it was ahead of us.
    pub admission_lag: Option<f64>,
    /// Duration of what worked: half of it was quicker.
    pub p50: Option<f64>,
    /// Nineteen in twenty were quicker.
    pub p95: Option<f64>,
    /// Ninety-nine in a hundred were quicker.
    pub p99: Option<f64>,
}

/// One incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IncidentReport {
    /// Its id.
    pub id: Arc<str>,
    /// Party.
    pub party: Arc<str>,
    /// Product.
    pub product: Option<Arc<str>>,
    /// Whose fault.
    pub cause: Cause,
    /// When it began.
    pub onset: Timestamp,
    /// When it was over; nothing while it is not.
    pub ended: Option<Timestamp>,
    /// How long it lasted, in seconds, within the period.
    pub lasted: f64,
    /// Regions in which it failed at last; none for what was over when it came back for another reason.
    pub regions: Vec<Arc<str>>,
    /// In a planned window.
    pub planned: bool,
    /// How long after the onset the party admitted it, in seconds.
    pub admission_lag: Option<f64>,
}
