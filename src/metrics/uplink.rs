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
}

/// The figures of what a hub was handed.
#[derive(Debug, Default)]
pub(super) struct Intake {
    /// By agent and result.
    pub(super) observations: BTreeMap<(Arc<str>, &'static str), u64>,
    /// Batches turned away, by reason.
    pub(super) turned_away: BTreeMap<&'static str, u64>,
    pub(super) clock_offsets: BTreeMap<Arc<str>, f64>,
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

    /// How far the clock of an agent is ahead of the hub's, in seconds.
    pub fn hub_clock_offset(&self, agent: &Arc<str>, seconds: f64) {
        lock(&self.fleet).intake.get_or_insert_default().clock_offsets.insert(agent.clone(), seconds);
    }
}
