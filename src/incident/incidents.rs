//! The incidents that are not over, by subject, and the numbers that are taken today.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::model::{Incident, IncidentState, Subject, Timestamp};

/// The incidents that are not over: at most one per subject.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Incidents {
    pub(super) current: BTreeMap<Subject, Incident>,
    /// Ids of the last days, so that no number is given twice.
    taken: BTreeSet<Arc<str>>,
}

impl Incidents {
    /// Takes up where the store left off. Closed incidents only keep their ids taken.
    #[must_use]
    pub fn from_stored(stored: impl IntoIterator<Item = Incident>) -> Self {
        let mut incidents = Self::default();
        for incident in stored {
            if incident.state == IncidentState::Closed {
                incidents.taken.insert(incident.id);
            } else {
                incidents.current.insert(incident.subject.clone(), incident);
            }
        }
        incidents
    }

    /// The incidents that are not over.
    pub fn current(&self) -> impl Iterator<Item = &Incident> {
        self.current.values()
    }

    /// The incidents that people know of: open or recovering.
    pub fn open(&self) -> impl Iterator<Item = &Incident> {
        self.current().filter(|incident| incident.state != IncidentState::Suspected)
    }

    /// Replaces an incident that is not over, after something outside of judging was learned about it.
    pub fn amend(&mut self, incident: &Incident) {
        if let Some(current) = self.current.get_mut(&incident.subject).filter(|current| current.id == incident.id) {
            *current = incident.clone();
        }
    }

    pub(super) fn close(&mut self, subject: &Subject) -> Option<Incident> {
        let incident = self.current.remove(subject)?;
        self.taken.insert(incident.id.clone());
        Some(incident)
    }

    /// `2026-11-22-firebase-1`: the day, the party, and the smallest number that is free.
    pub(super) fn new_id(&self, subject: &Subject, onset: Timestamp) -> Arc<str> {
        let stem = format!("{}-{}", onset.format("%Y-%m-%d"), subject.party);
        let used = |id: &str| self.taken.contains(id) || self.current.values().any(|incident| &*incident.id == id);
        let mut number = 1_u64;
        loop {
            let id = format!("{stem}-{number}");
            if !used(&id) {
                return id.into();
            }
            number += 1;
        }
    }

    /// Forgets ids of days gone by: no new incident can get one of these days.
    pub(super) fn forget_ids_before(&mut self, now: Timestamp) {
        let oldest = (now - chrono::Days::new(3)).format("%Y-%m-%d").to_string();
        if self.taken.first().is_some_and(|id| **id < *oldest) {
            self.taken.retain(|id| **id >= *oldest);
        }
    }
}
