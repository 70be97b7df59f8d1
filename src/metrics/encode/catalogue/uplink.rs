//! The families of the way from agents to hubs.

use std::fmt::Error;

use super::{Labels, Page, alone, whole};
use crate::metrics::fleet::Fleet;

pub(super) fn families(page: &mut Page<'_, '_>, fleet: &Fleet) -> Result<(), Error> {
    if let Some(uplink) = &fleet.uplink {
        page.gauges("uplink_spool_bytes", "Size of the spool", alone(Some(whole(uplink.spool_bytes))))?;
        page.gauges(
            "uplink_spool_observations",
            "Observations that wait in the spool",
            alone(Some(whole(uplink.spool_observations))),
        )?;
        page.gauges(
            "uplink_oldest_unsent_seconds",
            "For how long the oldest part of the spool has waited; 0 when nothing waits",
            alone(Some(uplink.oldest.as_secs_f64())),
        )?;
        page.counters(
            "uplink_observations_sent",
            "Observations that a hub has taken or had already",
            alone(Some(whole(uplink.sent))),
        )?;
        page.counters(
            "uplink_sent_bytes",
            "Bytes of batches as they were sent, packed",
            alone(Some(whole(uplink.sent_bytes))),
        )?;
        page.counters(
            "uplink_observations_dropped",
            "Observations that no hub will ever have, by reason",
            uplink.dropped.iter().map(|(reason, count)| (Labels(vec![("reason", *reason)]), whole(*count))),
        )?;
        page.counters(
            "uplink_batches",
            "Batches by what became of them",
            uplink.batches.iter().map(|(result, count)| (Labels(vec![("result", *result)]), whole(*count))),
        )?;
        page.gauges(
            "uplink_clock_offset_seconds",
            "How far the clock of this agent is ahead of the hubs'",
            alone(uplink.clock),
        )?;
        page.gauges(
            "uplink_solo",
            "1 while no hub takes anything and the region judges by itself",
            alone(Some(whole(u64::from(uplink.solo)))),
        )?;
        page.gauges(
            "placement_nodes",
            "Nodes of the region that live, as a hub told last",
            alone(Some(whole(uplink.nodes))),
        )?;
        let places = [("here", uplink.here), ("elsewhere", uplink.elsewhere)];
        page.gauges(
            "placement_probes",
            "Probes of the configuration by where they run",
            places.into_iter().map(|(place, count)| (Labels(vec![("place", place)]), whole(count))),
        )?;
    }
    let Some(intake) = &fleet.intake else { return Ok(()) };
    page.counters(
        "hub_agent_observations",
        "Observations that agents have handed to the hub, by agent and what became of them",
        intake
            .observations
            .iter()
            .map(|((agent, result), count)| (Labels(vec![("agent", &**agent), ("result", *result)]), whole(*count))),
    )?;
    page.counters(
        "hub_batches_turned_away",
        "Batches that the hub did not take, by reason",
        intake.turned_away.iter().map(|(reason, count)| (Labels(vec![("reason", *reason)]), whole(*count))),
    )?;
    page.gauges(
        "hub_agents",
        "Agents that live, by region",
        intake.agents.iter().map(|(region, count)| (Labels(vec![("region", &**region)]), whole(*count))),
    )?;
    page.gauges(
        "hub_agent_clock_offset_seconds",
        "How far the clock of an agent is ahead of the hub's",
        intake
            .clock_offsets
            .iter()
            .map(|((agent, node), offset)| (Labels(vec![("agent", &**agent), ("node", &**node)]), *offset)),
    )
}
