//! How long something has been bad, and whether it has been so for longer than what is over soon: a blip reaches every
//! cell as often as it is looked at in that time, and what else fails beside it fails by chance.

use std::collections::BTreeMap;

use super::{noise::SEVERITIES, part::Channel, watched::Watched};

/// When a row of bad samples began that is still going on or just over, and over how many rounds it has lasted. What
/// began before `since` does not count. The beginning is where the sum of the evidence from there on is largest. A cell's
/// rounds are as long as it takes from one of its looks to the next.
pub(super) fn settle(cells: &[&Watched<'_>], since: i64, severity: usize, channel: Channel) -> Option<Span> {
    let looks = cells.iter().flat_map(|cell| cell.since(since));
    let mut looks: Vec<(i64, bool)> = looks.map(|look| (look.at, channel.is_bad(look))).collect();
    looks.sort_unstable();
    let (for_it, against) = [(2.0, -0.29), (2.5, -0.69), (3.0, -3.0)][severity];
    let (mut sum, mut lowest, mut begin) = (0.0_f32, 0.0_f32, 0);
    for (place, (_, bad)) in looks.iter().enumerate() {
        if sum < lowest {
            (lowest, begin) = (sum, place);
        }
        sum += if *bad { for_it } else { against };
    }
    let onset = looks[begin.min(looks.len())..].iter().find(|(_, bad)| *bad)?.0;
    let last = looks.iter().rev().find(|(_, bad)| *bad)?.0;
    // What is over within two rounds can reach every cell twice, at any time within these. Only a cell that is bad again
    // so many rounds later tells how long it has lasted: the second that does so, where many are bad.
    let mut spans: Vec<i64> = vec![];
    for cell in cells {
        let mut bad = cell.since(onset).iter().filter(|look| channel.is_bad(look));
        if let Some(first) = bad.next() {
            let last = bad.next_back().unwrap_or(first);
            // A twentieth of a round: no schedule is kept to the millisecond.
            spans.push((last.at - first.at + cell.interval / 20).div_euclid(cell.interval));
        }
    }
    spans.sort_unstable();
    let longest = spans.len().checked_sub(if spans.len() >= MANY { 2 } else { 1 })?;
    let whole = spans[longest];
    #[expect(clippy::cast_precision_loss, reason = "a count of rounds")]
    Some(Span { onset, last, rounds: whole.max(0) as f32 + 1.0 })
}

/// From so many bad cells on, one alone does not say how long it has lasted.
const MANY: usize = 4;

/// A row of bad samples.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    /// Its first and its last bad sample, in milliseconds.
    pub(super) onset: i64,
    pub(super) last: i64,
    /// Rounds from the one to the other, both counted.
    pub(super) rounds: f32,
}

/// Whole rounds from one instant to another.
pub(super) fn rounds_between(from: i64, to: i64, interval: i64) -> f32 {
    f32::from(u16::try_from((to - from).max(0) / interval.max(1)).unwrap_or(u16::MAX))
}

/// Evidence that a fault goes on for longer than the longest blip, in nats for each severity, from what cells saw since an
/// instant: what is left when from each region the row of rounds is taken away that says most. Clocks differ, so each
/// region has a blip of its own.
pub(super) fn beyond<'a>(
    cells: impl Iterator<Item = &'a Watched<'a>>,
    since: i64,
    blip: i64,
    channel: Channel,
) -> [f32; SEVERITIES.len()] {
    let mut regions: BTreeMap<usize, Vec<(i64, [f32; SEVERITIES.len()])>> = BTreeMap::new();
    for watched in cells {
        let noise = watched.cell.noise(channel);
        let said = watched.since(since).iter().map(|look| (look.at, noise.likelihood(channel.is_bad(look))));
        regions.entry(watched.cell.region).or_default().extend(said);
    }
    let mut left = [0.0; SEVERITIES.len()];
    for samples in regions.values_mut() {
        samples.sort_unstable_by_key(|(at, _)| *at);
        for (severity, left) in left.iter_mut().enumerate() {
            let (mut sum, mut most, mut first) = (0.0_f32, 0.0_f32, 0);
            for (place, (at, said)) in samples.iter().enumerate() {
                sum += said[severity];
                while samples[first].0 + blip <= *at && first < place {
                    sum -= samples[first].1[severity];
                    first += 1;
                }
                // Whoever wants to hear of the first bad round takes nothing for a blip.
                most = if blip > 0 { most.max(sum) } else { 0.0 };
            }
            *left += samples.iter().map(|(_, said)| said[severity]).sum::<f32>() - most;
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        attribution::cell::{Cell, Sample},
        model::Outcome,
    };

    const ROUND: i64 = 30_000;

    fn left(rows: &[&str]) -> f32 {
        let cells: Vec<Cell> = rows.iter().enumerate().map(|(region, row)| cell(region, row)).collect();
        let watched: Vec<Watched<'_>> = cells
            .iter()
            .enumerate()
            .map(|cell| Watched::new(cell, (0, ROUND), (Channel::Failing, 0), |_| true))
            .collect();
        let left = beyond(watched.iter(), 0, 2 * ROUND - ROUND / 20, Channel::Failing);
        left.into_iter().fold(0.0, f32::max)
    }

    fn cell(region: usize, row: &str) -> Cell {
        let mut cell = Cell::new(0, region, vec![]);
        for (round, look) in row.chars().enumerate().filter(|(_, look)| *look != ' ') {
            let outcome = if look == 'x' { Outcome::Down } else { Outcome::Up };
            let at = i64::try_from(round).unwrap() * ROUND;
            let (failure, slow, duration, resolved, http_status) = (None, false, 0.1, true, 0);
            let (build, config, credential) = (0, 0, 0);
            let sample =
                Sample { at, outcome, failure, slow, duration, resolved, http_status, build, config, credential };
            cell.insert(sample).unwrap();
        }
        cell
    }

    #[test]
    fn what_is_over_within_two_rounds_says_nothing_however_many_regions_see_it() {
        assert!(left(&["xx"]) <= 0.0);
        assert!(left(&["xx", "xx ", " xx", "xx", "xx"]) <= 0.0);
    }

    #[test]
    fn a_third_round_says_more_and_a_failure_beside_others_that_are_well_less() {
        let alone = left(&["xxx"]);
        assert!(alone > 4.0, "{alone}");
        assert!(left(&["xxx", "xxx"]) > 1.9 * alone);
        assert!(left(&["xxx", "xx.", "xx."]) < alone);
    }
}
