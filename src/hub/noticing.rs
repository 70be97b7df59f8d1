//! Which ways of real clients fail, as the probes that look at them last saw it, so that a verdict can say what people
//! notice. Pure.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    attribution::World,
    config::Plan,
    model::{Outcome, Sighting, Timestamp, Verdict},
    notify::clients::{Clients, Way, people_notice},
};

/// By region, how it was when.
type Regions = BTreeMap<Box<str>, (Timestamp, Way)>;

/// What the probes that stand for clients saw last.
#[derive(Default)]
pub struct Noticing {
    /// By probe: which clients it stands for, and what it saw.
    probes: BTreeMap<Arc<str>, (Clients, Regions)>,
}

impl Noticing {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let mut noticing = Self::default();
        noticing.adopt(plan);
        noticing
    }

    /// Goes on under another plan.
    pub fn adopt(&mut self, plan: &Plan) {
        let mut before = std::mem::take(&mut self.probes);
        for (probe, clients) in &plan.clients {
            let seen = before.remove(probe).filter(|(same, _)| same == clients).map(|(_, seen)| seen);
            self.probes.insert(probe.clone(), (*clients, seen.unwrap_or_default()));
        }
    }

    /// Takes one observation.
    pub fn absorb(&mut self, seen: &Sighting<'_>) {
        if seen.varied.is_some() || self.probes.is_empty() {
            return;
        }
        let Some((_, regions)) = self.probes.get_mut(seen.probe) else { return };
        let way = match (seen.outcome, seen.failure) {
            (Outcome::Up | Outcome::Degraded, _) => Way::Up,
            (Outcome::Down, Some((phase, _))) => Way::failing_at(phase),
            (Outcome::Down, None) => Way::Down,
            (Outcome::Inconclusive, _) => return,
        };
        match regions.get_mut(seen.region) {
            Some((last, _)) if seen.scheduled_at < *last => {}
            Some(last) => *last = (seen.scheduled_at, way),
            None => {
                regions.insert(seen.region.into(), (seen.scheduled_at, way));
            }
        }
    }

    /// Adds to verdicts what people notice of them.
    pub fn speak(&self, world: &World, verdicts: &mut [Verdict], now: Timestamp) {
        for verdict in verdicts.iter_mut().filter(|one| one.is_bad() && !one.degraded && one.because_of.is_none()) {
            let mut ways: BTreeMap<Clients, Way> = BTreeMap::new();
            for (name, probe) in world.probes.iter().filter(|(_, probe)| probe.subject == verdict.subject) {
                let Some((clients, regions)) = self.probes.get(name) else { continue };
                let age = chrono::TimeDelta::from_std(probe.interval * 3 + probe.timeout).unwrap_or_default();
                let fresh =
                    |region: &Arc<str>| regions.get(&**region).filter(|(at, _)| now - *at <= age).map(|(_, way)| *way);
                let seen: Vec<Way> = verdict.regions.iter().filter_map(fresh).collect();
                let bad: Vec<Way> = seen.iter().copied().filter(|way| *way != Way::Up).collect();
                let way = match (seen.len(), bad.len() * 2 >= seen.len()) {
                    (0, _) => continue,
                    (_, false) => Way::Up,
                    // Where some get no answer and others a bad one, it can be reached.
                    (_, true) => bad.into_iter().min().unwrap_or(Way::Up),
                };
                // Of several probes of one way the worst counts.
                ways.entry(*clients).and_modify(|known| *known = way.max(*known)).or_insert(way);
            }
            verdict.people_notice = people_notice(&ways);
        }
    }
}
