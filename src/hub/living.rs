//! Who lives, as far as it is known: while hubs are well, after one was started anew, and after they could not tell each other. Pure,
//! `now` is an argument.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use crate::model::{Heard, Timestamp};

/// Nodes of one region that are told apart.
pub(super) const NODES: usize = 2000;

/// A region and a node in it.
pub(super) type Place = (Arc<str>, Arc<str>);

#[derive(Default)]
pub(super) struct Known {
    /// By region and node.
    pub(super) agents: BTreeMap<Place, Heard>,
    /// Heard here, and not told to the others.
    pub(super) untold: BTreeSet<Place>,
    /// Who lives is not known for certain.
    pub(super) unsettled: Option<Unsettled>,
    /// Why the others cannot be told.
    pub(super) failing: Option<String>,
    /// When those that were not heard for long were last forgotten.
    pub(super) pruned_at: Option<Timestamp>,
    /// When regions handed over what they had.
    pub(super) handed_over: BTreeMap<Arc<str>, Timestamp>,
}

#[derive(Clone, Copy)]
pub(super) struct Unsettled {
    /// The last instant of which is known who lived.
    pub(super) known_until: Timestamp,
    /// Who is heard after this is known again.
    pub(super) since: Timestamp,
    pub(super) until: Timestamp,
}

impl Known {
    pub(super) fn learn(&mut self, heard: Heard) {
        let solo_at = self.agents.get(&key(&heard)).and_then(|known| known.solo_at);
        match self.agents.get(&key(&heard)) {
            Some(known) if known.at > heard.at => {}
            _ => {
                let heard = Heard { solo_at: heard.solo_at.max(solo_at), ..heard };
                self.agents.insert(key(&heard), heard);
            }
        }
    }

    /// Forgets whoever was last heard before an instant.
    pub(super) fn forget(&mut self, before: Timestamp, now: Timestamp) {
        self.agents.retain(|_, heard| heard.at >= before);
        self.pruned_at = Some(now);
    }

    /// Whether a node that is new may be learned: where its region has as many as are told apart, in the place of the one that
    /// was not heard for longest, if that was before an instant.
    pub(super) fn makes_room(&mut self, new: &Heard, before: Timestamp) -> bool {
        let here = || self.agents.iter().filter(|(_, heard)| heard.region == new.region);
        if here().count() < NODES {
            return true;
        }
        let dead = here().filter(|(_, heard)| heard.at < before);
        let Some(place) = dead.min_by_key(|(_, heard)| heard.at).map(|(place, _)| place.clone()) else { return false };
        self.untold.remove(&place);
        self.agents.remove(&place);
        true
    }

    pub(super) fn lives(&self, heard: &Heard, life: Duration, now: Timestamp) -> bool {
        let life = chrono::TimeDelta::from_std(life).unwrap_or_default();
        heard.at >= now - life
            || self.unsettled.is_some_and(|unsettled| {
                heard.at < unsettled.since && heard.at >= unsettled.known_until - life && now < unsettled.until
            })
    }

    /// The nodes of a region that live, in the order of their names.
    pub(super) fn nodes(&self, region: &str, life: Duration, now: Timestamp) -> Vec<Arc<str>> {
        let here = self.agents.values().filter(|heard| *heard.region == *region);
        here.filter(|heard| self.lives(heard, life, now)).map(|heard| Arc::clone(&heard.node)).collect()
    }
}

pub(super) fn key(heard: &Heard) -> Place {
    (Arc::clone(&heard.region), Arc::clone(&heard.node))
}
