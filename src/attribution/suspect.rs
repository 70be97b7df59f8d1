//! What of a party looks worst: where an explanation begins to look.

use super::{
    explain::Scene,
    part::{Channel, Scope, Strength},
};

/// The part of these subjects, seen from sound regions, with the most evidence against it; of equals the hardest hit,
/// and the largest.
pub(super) fn strongest(scene: &Scene<'_>, open: &[usize], channel: Channel) -> Option<(usize, Strength)> {
    let Scene { seen, party, now, .. } = *scene;
    let all = open.len() == seen.index.parties[party].subjects.len();
    let mut best: Option<(usize, Strength)> = None;
    for number in seen.parts_of[party].iter().copied() {
        let part = &seen.parts[number];
        if part.is_idle(channel) || part.region.is_some_and(|region| !scene.counts(region, channel)) {
            continue;
        }
        let wanted = match part.scope {
            Scope::Party(one) => one == party && all,
            Scope::Subject(one) => open.contains(&one),
            Scope::Probe(one) => open.contains(&seen.index.probes[one].subject),
            Scope::Everything => false,
        };
        let Some(strength) = part.suspicion(channel, now).filter(|_| wanted) else { continue };
        // The harder fault of fewer cells began where they did, not where the many that are well make it begin.
        let closer = |(than, before): (usize, Strength)| {
            let larger = part.cells.len() > seen.parts[than].cells.len();
            strength.severity > before.severity || strength.severity == before.severity && larger
        };
        let better = best.is_none_or(|before| {
            strength.rounds > before.1.rounds + 0.05 || strength.rounds > before.1.rounds - 0.05 && closer(before)
        });
        if better {
            best = Some((number, strength));
        }
    }
    best
}
