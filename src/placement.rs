//! Which nodes of a region run a probe: rendezvous hashing over the nodes that live. Pure, and the same everywhere: agents and
//! hubs work it out for themselves and agree. Must not know who lives, or how that is found out.

use std::sync::Arc;

/// The nodes of a probe, the first choice first: as many as are wanted, or all when there are fewer. Every node has a weight of its
/// own for every probe, so a node that comes or goes moves no probe but its own.
#[must_use]
pub fn chosen<'a>(probe: &str, nodes: &'a [Arc<str>], wanted: usize) -> Vec<&'a Arc<str>> {
    let mut ranked: Vec<(u64, &Arc<str>)> = nodes.iter().map(|node| (weight(probe, node), node)).collect();
    // The name settles the case of two equal weights.
    ranked.sort_unstable_by(|one, other| other.cmp(one));
    ranked.truncate(wanted);
    ranked.into_iter().map(|(_, node)| node).collect()
}

/// What one node runs of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Placement {
    /// Everything: nobody has told of other nodes, or nobody else can be relied on.
    #[default]
    Everything,
    /// Its part among these nodes.
    Among {
        /// This node.
        here: Arc<str>,
        /// The nodes of its region that live, itself included.
        nodes: Arc<[Arc<str>]>,
    },
}

impl Placement {
    /// The part of a node among others.
    #[must_use]
    pub fn among(here: &Arc<str>, others: impl IntoIterator<Item = Arc<str>>) -> Self {
        let mut nodes: Vec<Arc<str>> = others.into_iter().chain([Arc::clone(here)]).collect();
        nodes.sort_unstable();
        nodes.dedup();
        Self::Among { here: Arc::clone(here), nodes: nodes.into() }
    }

    /// Whether a probe runs here that is to run on so many nodes.
    #[must_use]
    pub fn runs(&self, probe: &str, wanted: usize) -> bool {
        match self {
            Self::Everything => true,
            Self::Among { here, nodes } => {
                // Without sorting: whether enough of the others weigh more.
                let mine = (weight(probe, here), here);
                nodes.iter().filter(|node| (weight(probe, node), *node) > mine).take(wanted).count() < wanted
            }
        }
    }

    /// How many nodes share the work, as far as that is known.
    #[must_use]
    pub fn nodes(&self) -> usize {
        match self {
            Self::Everything => 1,
            Self::Among { nodes, .. } => nodes.len(),
        }
    }

    /// Whether this node is the one that speaks for its region when nobody else can.
    #[must_use]
    pub fn speaks(&self, region: &str) -> bool {
        // No probe has a name with a space.
        self.runs(&format!("speaker of {region}"), 1)
    }
}

/// FNV-1a over both names with the final mix of SplitMix64: stable between versions and machines.
fn weight(probe: &str, node: &str) -> u64 {
    let bytes = probe.bytes().chain([0x1f]).chain(node.bytes());
    let sum =
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let bits = (sum ^ (sum >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(kind: &str, count: usize) -> Vec<Arc<str>> {
        (0..count).map(|number| format!("{kind}-{number}").into()).collect()
    }

    fn without(nodes: &[Arc<str>], gone: &Arc<str>) -> Vec<Arc<str>> {
        nodes.iter().filter(|node| *node != gone).cloned().collect()
    }

    proptest! {
        #[test]
        fn a_probe_runs_on_as_many_nodes_as_are_wanted_and_each_of_them_knows(
            count in 1_usize..12, wanted in 1_usize..5, probe in "[a-z0-9._-]{1,20}",
        ) {
            let nodes = names("node", count);
            let there = chosen(&probe, &nodes, wanted);
            prop_assert_eq!(there.len(), wanted.min(count));
            for node in &nodes {
                let placement = Placement::among(node, nodes.iter().rev().cloned());
                prop_assert_eq!(placement.runs(&probe, wanted), there.contains(&node));
            }
        }

        #[test]
        fn a_node_that_goes_moves_nothing_but_what_it_had_and_back_again(
            count in 2_usize..12, wanted in 1_usize..4, gone in any::<prop::sample::Index>(), probe in "[a-z0-9._-]{1,20}",
        ) {
            let nodes = names("node", count);
            let gone = &nodes[gone.index(count)];
            let (before, left) = (chosen(&probe, &nodes, wanted), without(&nodes, gone));
            let after = chosen(&probe, &left, wanted);
            let stayed: Vec<_> = before.iter().filter(|node| **node != gone).collect();
            prop_assert!(stayed.iter().all(|node| after.contains(node)));
            if !before.contains(&gone) {
                prop_assert_eq!(before, after);
            }
        }
    }

    #[test]
    fn the_work_is_shared_evenly_and_one_node_in_n_moves_one_part_in_n() {
        let (nodes, probes) = (names("ip-10-0-0", 10), names("probe", 5000));
        let mut shares = vec![0_usize; nodes.len()];
        for probe in &probes {
            for node in chosen(probe, &nodes, 2) {
                shares[nodes.iter().position(|one| one == node).unwrap()] += 1;
            }
        }
        assert!(shares.iter().all(|share| (850..=1150).contains(share)), "{shares:?}");
        let more = names("ip-10-0-0", 11);
        let moved = probes.iter().filter(|probe| chosen(probe, &nodes, 1) != chosen(probe, &more, 1)).count();
        assert!((350..=560).contains(&moved), "{moved} of 5000");
    }

    #[test]
    fn who_knows_nobody_runs_everything_and_one_speaks() {
        assert!(Placement::Everything.runs("a", 1) && Placement::Everything.speaks("eu"));
        let nodes = names("node", 7);
        let speakers = nodes.iter().filter(|node| Placement::among(node, nodes.clone()).speaks("eu")).count();
        assert_eq!(speakers, 1);
    }
}
