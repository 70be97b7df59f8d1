//! The world with numbers instead of names, made once per configuration. Knows nothing of what was seen.

use std::{collections::BTreeSet, collections::HashMap, sync::Arc, time::Duration};

use super::{World, names::Quick, part::Scope};
use crate::model::{PartyKind, Subject};

#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    pub(super) probes: Vec<ProbeIx>,
    pub(super) subjects: Vec<SubjectIx>,
    pub(super) parties: Vec<PartyIx>,
    names: HashMap<Arc<str>, usize, Quick>,
}

#[derive(Debug, Clone)]
pub(super) struct ProbeIx {
    pub(super) name: Arc<str>,
    pub(super) subject: usize,
    pub(super) party: usize,
    /// From one look to the next as it is seen, in milliseconds.
    pub(super) interval: i64,
    /// The same as it is configured.
    pub(super) configured: i64,
    /// Milliseconds.
    pub(super) timeout: i64,
}

#[derive(Debug, Clone)]
pub(super) struct SubjectIx {
    pub(super) subject: Subject,
    pub(super) party: usize,
    /// The shortest of its probes, in milliseconds: what its rounds are counted in.
    pub(super) interval: i64,
    pub(super) probes: Vec<usize>,
}

#[derive(Debug, Clone)]
pub(super) struct PartyIx {
    pub(super) key: Arc<str>,
    pub(super) kind: PartyKind,
    pub(super) subjects: Vec<usize>,
    pub(super) probes: Vec<usize>,
}

impl Index {
    pub(super) fn of(world: &World) -> Self {
        let mut index = Self::default();
        let mut parties: BTreeSet<Arc<str>> = world.parties.keys().cloned().collect();
        parties.extend(world.probes.values().map(|probe| probe.subject.party.clone()));
        let parties: Vec<Arc<str>> = parties.into_iter().collect();
        let party_of = |key: &Arc<str>| parties.binary_search(key).ok();
        for key in &parties {
            index.parties.push(PartyIx { key: key.clone(), kind: world.kind(key), subjects: vec![], probes: vec![] });
        }
        let mut subjects: HashMap<&Subject, usize> = HashMap::new();
        for (name, probe) in &world.probes {
            let Some(party) = party_of(&probe.subject.party) else { continue };
            let interval = millis(probe.interval).max(1);
            let number = index.probes.len();
            let subject = *subjects.entry(&probe.subject).or_insert_with(|| {
                let subject = probe.subject.clone();
                index.subjects.push(SubjectIx { subject, party, interval, probes: vec![] });
                index.parties[party].subjects.push(index.subjects.len() - 1);
                index.subjects.len() - 1
            });
            index.subjects[subject].interval = index.subjects[subject].interval.min(interval);
            index.subjects[subject].probes.push(number);
            index.parties[party].probes.push(number);
            let (name, configured, timeout) = (name.clone(), interval, millis(probe.timeout));
            index.probes.push(ProbeIx { name, subject, party, interval, configured, timeout });
        }
        index.names = index.probes.iter().enumerate().map(|(number, probe)| (probe.name.clone(), number)).collect();
        index
    }

    /// A probe is looked at at another pace than was reckoned with.
    pub(super) fn set_interval(&mut self, probe: usize, interval: i64) {
        self.probes[probe].interval = interval;
        let subject = &mut self.subjects[self.probes[probe].subject];
        subject.interval = subject.probes.iter().map(|probe| self.probes[*probe].interval).min().unwrap_or(interval);
    }

    pub(super) fn probe(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    /// The party that a part of the world belongs to, if it is one's.
    pub(super) fn party_of(&self, scope: Scope) -> Option<usize> {
        match scope {
            Scope::Party(party) => Some(party),
            Scope::Subject(subject) => Some(self.subjects[subject].party),
            Scope::Probe(probe) => Some(self.probes[probe].party),
            Scope::Everything => None,
        }
    }

    pub(super) fn kind_of(&self, probe: usize) -> PartyKind {
        self.parties[self.probes[probe].party].kind
    }
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 8).min(i64::MAX / 8)
}
