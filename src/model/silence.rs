//! A silence: a person mutes something for a while. It turns pages into notes and never deletes evidence.

use std::sync::Arc;

use super::{Cause, Incident, Timestamp};

/// What a person does not want to hear of for a while: all filters that are given must match.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Silence {
    /// `s-1`, `s-2` …
    pub id: Arc<str>,
    /// Party that it is about.
    pub party: Arc<str>,
    /// Only this product.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<Arc<str>>,
    /// Only while this is the cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// Only what is about this region alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Arc<str>>,
    /// Who wanted it.
    pub by: Arc<str>,
    /// Why.
    pub why: Arc<str>,
    /// Since when.
    pub from: Timestamp,
    /// Until when; whatever is still bad then is told.
    pub until: Timestamp,
}

impl Silence {
    /// Whether it is in force at an instant.
    #[must_use]
    pub fn is_in_force(&self, at: Timestamp) -> bool {
        (self.from..self.until).contains(&at)
    }

    /// Whether it mutes an incident at an instant.
    #[must_use]
    pub fn covers(&self, incident: &Incident, at: Timestamp) -> bool {
        let Incident { subject, cause, verdict, .. } = incident;
        self.is_in_force(at)
            && self.party == subject.party
            && (self.product.is_none() || self.product == subject.product)
            && self.cause.is_none_or(|only| only == *cause)
            // What fails elsewhere too is more than what the person meant.
            && self.region.as_ref().is_none_or(|only| verdict.regions.iter().all(|region| region == only))
    }
}
