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
    /// The region whose incidents these are, where it judges by itself: its name is in their ids.
    of_region: Option<Arc<str>>,
}

/// What becomes of an incident that somebody else has told of.
#[derive(Debug, Clone, PartialEq)]
pub enum Adopted {
    /// It goes on here, in the place of a suspicion whose id is free again.
    GoesOn(Option<Arc<str>>),
    /// It is known already.
    Known,
    /// It goes on as this one, which people were told of here.
    Joins(Box<Incident>),
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

    /// The same, of one region that judges by itself.
    #[must_use]
    pub fn of_region(self, region: &Arc<str>) -> Self {
        Self { of_region: Some(region.clone()), ..self }
    }

    /// Takes an incident that somebody else has told of: it goes on under its own id, unless there is one of the same subject.
    pub fn adopt(&mut self, incident: &Incident) -> Adopted {
        let id = &incident.id;
        if self.taken.contains(id) || self.current.values().any(|known| known.id == *id) {
            return Adopted::Known;
        }
        if incident.is_over() {
            self.taken.insert(id.clone());
            self.end(incident.clone());
            return Adopted::GoesOn(None);
        }
        match self.current.get(&incident.subject) {
            Some(known) if known.state != IncidentState::Suspected => {
                self.taken.insert(id.clone());
                Adopted::Joins(Box::new(known.clone()))
            }
            _ => {
                let suspicion = self.current.insert(incident.subject.clone(), incident.clone());
                Adopted::GoesOn(suspicion.map(|suspicion| suspicion.id))
            }
        }
    }

    /// Parties that have an incident as a whole.
    pub fn wholes(&self) -> impl Iterator<Item = Arc<str>> {
        let subjects = self.current.keys().filter(|subject| subject.product.is_none());
        subjects.map(|subject| subject.party.clone())
    }

    /// The incidents that are not over.
    pub fn current(&self) -> impl Iterator<Item = &Incident> {
        self.current.values()
    }

    /// The incident of a subject that is not over.
    #[must_use]
    pub fn of(&self, subject: &Subject) -> Option<&Incident> {
        self.current.get(subject)
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
        let day = onset.format("%Y-%m-%d");
        let stem = match &self.of_region {
            // Nobody here knows which numbers were given before: the time of day tells them apart.
            Some(region) => format!("{day}-{}-from-{region}-{}", subject.party, onset.format("%H%M%S")),
            None => format!("{day}-{}", subject.party),
        };
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
