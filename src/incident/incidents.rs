//! The incidents that are not over, by subject, and the numbers that are taken today.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::rules;
use crate::model::{Incident, IncidentState, Subject, Timestamp};

/// The incidents that are not over: at most one per subject.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Incidents {
    pub(super) current: BTreeMap<Subject, Incident>,
    /// Those that ended lately, by subject: what comes back soon is the same incident.
    pub(super) over: BTreeMap<Subject, Incident>,
    /// Ids of the last days, so that no number is given twice.
    taken: BTreeSet<Arc<str>>,
}

impl Incidents {
    /// Takes up where the store left off. Closed incidents keep their ids taken, and those that ended lately may come back.
    #[must_use]
    pub fn from_stored(stored: impl IntoIterator<Item = Incident>) -> Self {
        let mut incidents = Self::default();
        for incident in stored {
            if incident.state == IncidentState::Closed {
                incidents.taken.insert(incident.id.clone());
                incidents.end(incident);
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

    /// The incidents that ended lately, the last one of each subject.
    pub fn over(&self) -> impl Iterator<Item = &Incident> {
        self.over.values()
    }

    /// Replaces an incident after something outside of judging was learned about it.
    pub fn amend(&mut self, incident: &Incident) {
        for known in [&mut self.current, &mut self.over] {
            if let Some(same) = known.get_mut(&incident.subject).filter(|same| same.id == incident.id) {
                *same = incident.clone();
            }
        }
    }

    pub(super) fn close(&mut self, subject: &Subject) {
        let Some(incident) = self.current.remove(subject) else { return };
        self.taken.insert(incident.id.clone());
        self.end(incident);
    }

    fn end(&mut self, incident: Incident) {
        let last = self.over.get(&incident.subject).is_none_or(|other| other.closed_at <= incident.closed_at);
        if last {
            self.over.insert(incident.subject.clone(), incident);
        }
    }

    /// Forgets what ended so long ago that nothing can be the same any more.
    pub(super) fn forget_over(&mut self, now: Timestamp) {
        self.over.retain(|_, incident| !rules::is_forgotten(incident, now));
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
