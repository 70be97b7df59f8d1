//! Who hears of what, and how often: the part of a route that planning needs. Pure.

use std::{sync::Arc, time::Duration};

use crate::model::{Cause, Incident, Severity};

/// Who hears of what: all filters that are given must match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hears {
    /// The channel.
    pub channel: Arc<str>,
    /// Who gets it when the channel has been out of reach for a while, in this order.
    pub fallbacks: Vec<Arc<str>>,
    /// Only these parties; empty: any.
    pub parties: Vec<Arc<str>>,
    /// Only these products; empty: any, and what has none.
    pub products: Vec<Arc<str>>,
    /// Only these causes; empty: any.
    pub causes: Vec<Cause>,
    /// Only these severities.
    pub severities: Vec<Severity>,
}

impl Hears {
    /// Where nothing is said of severities.
    pub const SEVERITIES: [Severity; 2] = [Severity::Critical, Severity::Warning];

    /// A channel that hears of everything that pages.
    #[must_use]
    pub fn all(channel: impl Into<Arc<str>>) -> Self {
        let severities = Self::SEVERITIES.to_vec();
        Self {
            channel: channel.into(),
            fallbacks: vec![],
            parties: vec![],
            products: vec![],
            causes: vec![],
            severities,
        }
    }

    /// Whether an incident is one of those.
    #[must_use]
    pub fn of(&self, incident: &Incident) -> bool {
        let subject = &incident.subject;
        let is_one_of = |wanted: &[Arc<str>], word: Option<&Arc<str>>| {
            wanted.is_empty() || word.is_some_and(|word| wanted.contains(word))
        };
        is_one_of(&self.parties, Some(&subject.party))
            && is_one_of(&self.products, subject.product.as_ref())
            && (self.causes.is_empty() || self.causes.contains(&incident.cause))
            && self.severities.contains(&incident.severity)
    }
}

/// How often to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Habits {
    /// From one reminder of an open incident to the next; nothing: none.
    pub remind_every: Option<Duration>,
    /// From so many incidents at once they are told in one message.
    pub digest_from: usize,
}

impl Default for Habits {
    fn default() -> Self {
        Self { remind_every: None, digest_from: 4 }
    }
}
