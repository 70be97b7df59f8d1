//! What a replay says: one object for each change of a verdict or of an incident.

use std::sync::Arc;

use serde::Serialize;

use crate::{
    incident::Change,
    model::{Cause, Incident, Severity, Subject, Timestamp, Transition, Verdict},
};

/// One change. As JSON this is a line of `usoryou replay --output jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// When it would have been known.
    pub at: Timestamp,
    /// Party; `usoryou` where it is about one of our own vantage points.
    pub party: Arc<str>,
    /// Product of the party; of `usoryou` the region.
    pub product: Option<Arc<str>>,
    /// Whose fault, from now on.
    pub cause: Cause,
    /// How bad it is for those who are told.
    pub severity: Option<Severity>,
    /// Whether it works, but slowly or poorly.
    pub degraded: bool,
    /// Regions in which it fails; for `path` and `probe` the regions that it is about.
    pub regions: Vec<Arc<str>>,
    /// How sure, 0 to 1.
    pub confidence: f64,
    /// The incident that it belongs to.
    pub incident: Option<Arc<str>>,
    /// What happened to the incident.
    pub transition: Transition,
    /// When it began; where all is well, when that began.
    pub onset: Option<Timestamp>,
    /// Other causes that the evidence does not exclude.
    pub alternatives: Vec<Cause>,
    /// The subject whose fault explains this one.
    pub because_of: Option<Subject>,
    /// Whose fault the incident was held to be before.
    pub was: Option<Cause>,
    /// Evidence as sentences.
    pub evidence: Vec<String>,
    /// Whether a person would have been notified of something bad.
    pub page: bool,
    /// What that person would have read first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headline: Option<String>,
    /// The incident as it is now, for those who show more of it.
    #[serde(skip)]
    pub whole: Option<Incident>,
}

impl Line {
    pub(super) fn of_change(at: Timestamp, change: &Change, verdict: &Verdict, headline: Option<String>) -> Self {
        let incident = &change.incident;
        Self {
            onset: Some(incident.onset),
            transition: change.transition,
            was: change.was,
            severity: Some(incident.severity),
            page: headline.is_some(),
            headline,
            ..Self::of_verdict(at, verdict, Some(incident))
        }
    }

    pub(super) fn of_verdict(at: Timestamp, verdict: &Verdict, incident: Option<&Incident>) -> Self {
        Self {
            at,
            party: verdict.subject.party.clone(),
            product: verdict.subject.product.clone(),
            cause: verdict.cause,
            severity: verdict.is_bad().then(|| verdict.severity()),
            degraded: verdict.degraded,
            regions: if verdict.is_bad() { verdict.regions.clone() } else { vec![] },
            confidence: verdict.confidence,
            incident: incident.map(|incident| incident.id.clone()),
            transition: Transition::None,
            onset: verdict.onset,
            alternatives: verdict.alternatives.clone(),
            because_of: verdict.because_of.clone(),
            was: None,
            evidence: verdict.evidence.clone(),
            page: false,
            headline: None,
            whole: incident.cloned(),
        }
    }
}
