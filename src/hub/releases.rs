//! Who runs another release than most: a sentence for each region, for people. Pure.

use std::{collections::BTreeMap, sync::Arc};

use super::AgentView;
use crate::model::Heard;

/// What some of the agents that live run otherwise than most, a sentence each.
#[must_use]
pub fn releases(agents: &[AgentView]) -> Vec<String> {
    let living: Vec<&Heard> = agents.iter().filter(|agent| agent.lives).map(|agent| &agent.heard).collect();
    let mut said = Vec::new();
    for (what, of) in
        [("build", (|heard| &heard.build) as fn(&Heard) -> &Arc<str>), ("configuration", |heard| &heard.config)]
    {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for heard in living.iter().filter(|heard| !of(heard).is_empty()) {
            *counts.entry(of(heard)).or_default() += 1;
        }
        let Some(most) = counts.iter().max_by_key(|(_, count)| **count).map(|(name, _)| *name) else { continue };
        let mut others: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
        for heard in living.iter().filter(|heard| !of(heard).is_empty() && **of(heard) != *most) {
            others.entry((&heard.region, of(heard))).or_default().push(&heard.node);
        }
        for ((region, other), nodes) in others {
            let short = |name: &str| {
                name.strip_prefix("sha256:").map_or(name, |hash| hash.get(..12).unwrap_or(hash)).to_owned()
            };
            said.push(format!(
                "Region {region} runs another {what} on {}: {} where most run {}.",
                nodes.join(", "),
                short(other),
                short(most)
            ));
        }
    }
    said
}
