//! What goes from agents to hubs, as either side tells it: the spool and its batches, and what a hub was handed by whom.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{Metrics, lock};

/// The figures of an agent's uplink.
#[derive(Debug, Default)]
pub(super) struct Uplink {
    pub(super) spool_bytes: u64,
    pub(super) spool_observations: u64,
    pub(super) oldest: Duration,
    pub(super) sent: u64,
    pub(super) sent_bytes: u64,
    pub(super) dropped: BTreeMap<&'static str, u64>,
    pub(super) batches: BTreeMap<&'static str, u64>,
    pub(super) clock: Option<f64>,
    pub(super) solo: bool,
    /// Nodes of the region that live.
    pub(super) nodes: u64,
    /// Probes that run here, and those that run on other nodes alone.
    pub(super) here: u64,
    pub(super) elsewhere: u64,
}

/// The figures of what a hub was handed.
#[derive(Debug, Default)]
pub(super) struct Intake {
    /// By agent and result.
    pub(super) observations: BTreeMap<(Arc<str>, &'static str), u64>,
    /// Batches turned away, by reason.
    pub(super) turned_away: BTreeMap<&'static str, u64>,
    /// Agents that live, by region.
    pub(super) agents: BTreeMap<Arc<str>, u64>,
    /// By agent and node.
    pub(super) clock_offsets: BTreeMap<(Arc<str>, Arc<str>), f64>,
}

impl Metrics {
    /// What waits in the spool, and for how long its oldest part has.
    pub fn uplink_spool(&self, bytes: u64, observations: u64, oldest: Duration) {
        let mut fleet = lock(&self.fleet);
        let uplink = fleet.uplink.get_or_insert_default();
        (uplink.spool_bytes, uplink.spool_observations, uplink.oldest) = (bytes, observations, oldest);
    }

    /// Counts observations that a hub has taken, or had already.
    pub fn uplink_sent(&self, observations: u64) {
        lock(&self.fleet).uplink.get_or_insert_default().sent += observations;
    }

    /// Counts bytes of batches as they are sent, packed.
    pub fn uplink_bytes(&self, bytes: u64) {
        lock(&self.fleet).uplink.get_or_insert_default().sent_bytes += bytes;
    }

    /// Counts observations that no hub will ever have; `reason` is one of a closed list of words.
    pub fn uplink_dropped(&self, reason: &'static str, observations: u64) {
        *lock(&self.fleet).uplink.get_or_insert_default().dropped.entry(reason).or_default() += observations;
    }

    /// Counts a batch by what became of it, one of a closed list of words.
    pub fn uplink_batch(&self, result: &'static str) {
        *lock(&self.fleet).uplink.get_or_insert_default().batches.entry(result).or_default() += 1;
    }

    /// Counts what an agent has handed to the hub.
    pub fn hub_handed(&self, agent: &Arc<str>, taken: u64, duplicate: u64, refused: u64) {
        let mut fleet = lock(&self.fleet);
        let intake = fleet.intake.get_or_insert_default();
        for (result, count) in [("taken", taken), ("duplicate", duplicate), ("refused", refused)] {
            *intake.observations.entry((agent.clone(), result)).or_default() += count;
        }
    }

    /// Counts a batch that the hub did not take; `reason` is one of a closed list of words.
    pub fn hub_turned_away(&self, reason: &'static str) {
        *lock(&self.fleet).intake.get_or_insert_default().turned_away.entry(reason).or_default() += 1;
    }

    /// The agents that live, by region, and how far the clock of each is ahead of the hub's, in seconds, by agent and node.
    pub fn hub_agents(&self, living: BTreeMap<Arc<str>, u64>, clocks: BTreeMap<(Arc<str>, Arc<str>), f64>) {
        let mut fleet = lock(&self.fleet);
        if fleet.intake.is_none() && living.is_empty() {
            return;
        }
        let intake = fleet.intake.get_or_insert_default();
        (intake.agents, intake.clock_offsets) = (living, clocks);
    }

    /// What of the plan runs on this node, and among how many nodes of its region.
    pub fn placement(&self, nodes: u64, here: u64, elsewhere: u64) {
        let mut fleet = lock(&self.fleet);
        let uplink = fleet.uplink.get_or_insert_default();
        (uplink.nodes, uplink.here, uplink.elsewhere) = (nodes, here, elsewhere);
    }

    /// Whether this agent's region judges by itself, because no hub takes anything.
    pub fn solo(&self, solo: bool) {
        lock(&self.fleet).uplink.get_or_insert_default().solo = solo;
    }

    /// How far the clock of this agent is ahead of the hubs', in seconds, as far as that is known.
    pub fn uplink_clock(&self, ahead: Option<f64>) {
        lock(&self.fleet).uplink.get_or_insert_default().clock = ahead;
    }
}
