//! What judging needs to know of the configuration: who the parties are, what they stand on, which probes look at them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use crate::model::{PartyKind, Subject};

/// The parties and the probes that look at them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct World {
    /// Parties by key.
    pub parties: BTreeMap<Arc<str>, WorldParty>,
    /// Probes by name.
    pub probes: BTreeMap<Arc<str>, WorldProbe>,
    /// Bad rounds before people are told: so much evidence raises an alarm.
    pub open_after: u32,
}

impl Default for World {
    fn default() -> Self {
        Self { parties: BTreeMap::new(), probes: BTreeMap::new(), open_after: 3 }
    }
}

/// A party as far as judging is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorldParty {
    /// Ourselves, a third party or a control.
    pub kind: PartyKind,
    /// Name for people.
    pub name: Arc<str>,
    /// Parties without which this one cannot work.
    pub depends_on: Vec<Arc<str>>,
}

/// A probe as far as judging is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorldProbe {
    /// What it looks at.
    pub subject: Subject,
    /// From one start to the next.
    pub interval: Duration,
    /// Deadline of a run.
    pub timeout: Duration,
}

impl World {
    /// What kind of party it is; an unknown one is treated as a provider.
    #[must_use]
    pub fn kind(&self, party: &str) -> PartyKind {
        self.parties.get(party).map_or(PartyKind::Provider, |party| party.kind)
    }

    /// The party's name for people.
    #[must_use]
    pub fn name<'a>(&'a self, party: &'a str) -> &'a str {
        self.parties.get(party).map_or(party, |party| &party.name)
    }

    /// The subject's name for people: `Firebase realtime-database`.
    #[must_use]
    pub fn subject_name(&self, subject: &Subject) -> String {
        match &subject.product {
            Some(product) => format!("{} {product}", self.name(&subject.party)),
            None => self.name(&subject.party).to_owned(),
        }
    }

    /// Everything that a party stands on, directly or not; never itself.
    #[must_use]
    pub fn depends_on(&self, party: &str) -> BTreeSet<Arc<str>> {
        let mut found = BTreeSet::new();
        let mut open: Vec<&Arc<str>> =
            self.parties.get(party).map(|p| p.depends_on.iter().collect()).unwrap_or_default();
        while let Some(next) = open.pop() {
            if &**next != party && found.insert(next.clone()) {
                open.extend(self.parties.get(next).map(|p| p.depends_on.iter()).into_iter().flatten());
            }
        }
        found
    }
}
