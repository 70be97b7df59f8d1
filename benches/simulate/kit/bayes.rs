//! Bayes without a clip (attribution.md B.3 without the one thing that makes it work): every explanation is scored by all
//! looks of the last rounds as if they were independent. With one noise rate for all, or with one learned for each cell.

use std::{collections::BTreeSet, sync::Arc};

use usoryou::model::{Cause, Outcome, PartyKind, Subject, Timestamp};

use super::{
    stream::{Seen, Stream},
    told::{Teller, Told},
    world::{INTERVAL, World},
};

/// How much of what is covered fails.
const SEVERITIES: [f64; 3] = [0.2, 0.5, 0.95];
/// Rounds of evidence that are scored together.
const ROUNDS: usize = 3;
/// Log-odds over "nothing is wrong" from which on somebody is told.
const TELL: f64 = 8.0;
const OVER_AFTER: f64 = 150.0;

/// An explanation: what it says, and the cells that it covers.
struct Explanation {
    prior: f64,
    subject: Subject,
    cause: Cause,
    regions: BTreeSet<Arc<str>>,
    cells: Vec<u32>,
    /// Other cells that fail with it, half of the time.
    shared: Vec<u32>,
}

pub struct Bayes {
    learned: bool,
    explanations: Vec<Explanation>,
    /// Failures and looks of each cell in the newest rounds.
    rounds: Vec<Vec<[u8; 2]>>,
    rate: Vec<f64>,
    judged: Option<i64>,
    open: Option<(usize, f64)>,
    names: u32,
    origin: Option<Timestamp>,
}

impl Bayes {
    pub fn new(learned: bool, world: &World) -> Self {
        let cells = world.cells();
        Self {
            learned,
            explanations: explanations(world),
            rounds: vec![vec![[0, 0]; cells]; ROUNDS],
            rate: vec![0.01; cells],
            judged: None,
            open: None,
            names: 0,
            origin: None,
        }
    }

    /// For each cell the log-likelihood of what was seen against "nothing is wrong", by severity; then for shared fate.
    fn scores(&self) -> Vec<[f64; 3]> {
        let cells = self.rate.len();
        let of = |cell: usize| {
            let (bad, all) = self.rounds.iter().fold((0.0, 0.0), |(bad, all), round| {
                (bad + f64::from(round[cell][0]), all + f64::from(round[cell][1]))
            });
            if all == 0.0 {
                return [0.0; 3];
            }
            let noise = if self.learned { self.rate[cell].max(0.002) } else { 0.01 };
            SEVERITIES.map(|severity| {
                let fails = 1.0 - (1.0 - noise) * (1.0 - severity);
                bad * (fails / noise).ln() + (all - bad) * ((1.0 - fails) / (1.0 - noise)).ln()
            })
        };
        (0..cells).map(of).collect()
    }

    fn best(&self) -> Option<(usize, f64)> {
        let cells = self.scores();
        let score = |explanation: &Explanation| {
            let mut sums = [explanation.prior; 3];
            for cell in &explanation.cells {
                for (sum, add) in sums.iter_mut().zip(cells[*cell as usize]) {
                    *sum += add;
                }
            }
            for cell in &explanation.shared {
                let add = cells[*cell as usize];
                for (sum, add) in sums.iter_mut().zip([add[0].max(0.0), add[1].max(0.0), add[1].max(0.0)]) {
                    *sum += add;
                }
            }
            let most = sums.into_iter().fold(f64::MIN, f64::max);
            most + (sums.iter().map(|sum| (sum - most).exp()).sum::<f64>() / 3.0).ln()
        };
        let all = self.explanations.iter().map(score).enumerate();
        all.max_by(|one, other| one.1.total_cmp(&other.1))
    }
}

impl Teller for Bayes {
    fn absorb(&mut self, stream: &Stream<'_>, seen: &Seen, _now: Timestamp) {
        self.origin.get_or_insert_with(|| stream.instant(0.0));
        if seen.outcome == Outcome::Inconclusive {
            return;
        }
        let down = seen.outcome == Outcome::Down;
        let cell = seen.cell as usize;
        let newest = &mut self.rounds[ROUNDS - 1][cell];
        newest[0] = newest[0].saturating_add(u8::from(down));
        newest[1] = newest[1].saturating_add(1);
        // Hours of memory; a fault hardly moves it.
        self.rate[cell] += (f64::from(u8::from(down)) - self.rate[cell]) * 0.003;
    }

    fn judge(&mut self, now: Timestamp, told: &mut Vec<Told>) {
        let round = (now.timestamp() as f64 / INTERVAL) as i64;
        if self.judged == Some(round) {
            return;
        }
        self.judged = Some(round);
        let at = self.origin.map_or(0.0, |origin| (now - origin).num_seconds() as f64);
        let anything = self.rounds.iter().flatten().any(|cell| cell[0] > 0);
        let best = anything.then(|| self.best()).flatten().filter(|(_, score)| *score >= TELL);
        if let Some((index, score)) = best {
            let known = self.open.is_some_and(|(open, last)| open == index && at - last < OVER_AFTER);
            self.open = Some((index, at));
            if !known {
                self.names += 1;
                let explanation = &self.explanations[index];
                told.push(Told {
                    at: now,
                    incident: format!("{}", self.names).into(),
                    opened: true,
                    subject: explanation.subject.clone(),
                    cause: explanation.cause,
                    regions: explanation.regions.clone(),
                    alternatives: vec![],
                    because_of: None,
                    confidence: (1.0 / (1.0 + (-score).exp())).min(0.99),
                    onset: now,
                    evidence: vec![],
                    letter: self.names.to_string(),
                });
            }
        }
        self.rounds.rotate_left(1);
        self.rounds[ROUNDS - 1].fill([0, 0]);
    }
}

fn explanations(world: &World) -> Vec<Explanation> {
    let targets = world.targets.len();
    let all = || (0..world.cells() as u32).map(|cell| (cell, cell as usize / targets, cell as usize % targets));
    let cells = |covers: &dyn Fn(usize, usize) -> bool| -> Vec<u32> {
        all().filter(|(_, region, target)| covers(*region, *target)).map(|(cell, ..)| cell).collect()
    };
    let mut found = Vec::new();
    for (index, party) in world.parties.iter().enumerate() {
        let cause = match party.kind {
            PartyKind::Us => Cause::Us,
            PartyKind::Provider => Cause::Them,
            PartyKind::Control => continue,
        };
        let standing_on = |target: usize| world.parties[world.targets[target].party].depends_on.contains(&index);
        let whole = |product: Option<&Arc<str>>| Subject { party: party.key.clone(), product: product.cloned() };
        let mut add = |prior: f64, subject, cause, regions, cells: Vec<u32>, shared: Vec<u32>| {
            if !cells.is_empty() {
                found.push(Explanation { prior: f64::ln(prior), subject, cause, regions, cells, shared });
            }
        };
        let of_party = cells(&|_, target| world.targets[target].party == index);
        add(2e-3, whole(None), cause, BTreeSet::new(), of_party.clone(), vec![]);
        let shared = cells(&|_, target| standing_on(target));
        if !shared.is_empty() {
            add(1e-3, whole(None), cause, BTreeSet::new(), of_party, shared);
        }
        for product in &party.products {
            let covered = cells(&|_, target| {
                world.targets[target].party == index && world.targets[target].product.as_ref() == Some(product)
            });
            add(1e-3, whole(Some(product)), cause, BTreeSet::new(), covered, vec![]);
        }
        for (place, region) in world.regions.iter().enumerate().filter(|_| world.regions.len() > 1) {
            let covered = cells(&|at, target| at == place && world.targets[target].party == index);
            add(4e-4, whole(None), Cause::Path, [region.name.clone()].into(), covered, vec![]);
        }
        for target in (0..targets).filter(|target| world.targets[*target].party == index) {
            add(4e-4, world.subject(target), cause, BTreeSet::new(), cells(&|_, one| one == target), vec![]);
        }
    }
    for (place, region) in world.regions.iter().enumerate() {
        found.push(Explanation {
            prior: f64::ln(2e-3),
            subject: Subject::vantage(&region.name),
            cause: Cause::Probe,
            regions: [region.name.clone()].into(),
            cells: cells(&|at, _| at == place),
            shared: vec![],
        });
    }
    found
}
