//! What is wrong with a world that nothing is wrong with: rates that wander, blips, stalls, releases. Everything is drawn
//! ahead for a span of time, except the walks, which go on as time does.

use std::sync::Arc;

use usoryou::model::{Kind, Phase};

use super::{
    dice::Dice,
    fault::{Deed, Effect},
    parameters::{Parameters, Symptom},
    world::{INTERVAL, World},
};

/// Seconds between two steps of a walk.
pub const STEP: f64 = 300.0;

/// How a world's rates wander, and what each cell's failure rate and slowness are now.
#[derive(Debug, Clone)]
pub struct Walks {
    dice: Dice,
    /// By region and party.
    shared: Vec<f64>,
    own: Vec<f64>,
    /// Slowness shared by region and party.
    slowness: Vec<f64>,
    base: Vec<f64>,
    keep: f64,
    spread: [f64; 2],
    most: f64,
    diurnal: f64,
    noon: Vec<f64>,
    /// Now, by cell.
    pub rate: Vec<f64>,
    pub slow: Vec<f64>,
}

impl Walks {
    pub fn new(world: &World, parameters: &Parameters, mut dice: Dice) -> Self {
        let noise = &parameters.noise;
        let (cells, groups) = (world.cells(), world.regions.len() * world.parties.len());
        let spread = [dice.between(noise.shared_walk), dice.between(noise.own_walk)];
        let hours = dice.between(noise.walk_hours);
        let base = (0..cells)
            .map(|cell| dice.between(noise.rate.map(f64::ln)).exp() + world.regions[cell / world.targets.len()].loss)
            .collect();
        let diurnal = dice.between(noise.diurnal);
        let noon = (0..world.regions.len()).map(|_| dice.unit() * 86_400.0).collect();
        let mut start = |n: usize, spread: f64| (0..n).map(|_| dice.normal() * spread).collect::<Vec<f64>>();
        let (shared, own, slowness) = (start(groups, spread[0]), start(cells, spread[1]), start(groups, 0.15));
        let keep = (-STEP / (hours * 3_600.0)).exp();
        let most = noise.most;
        let mut walks = Self {
            dice,
            shared,
            own,
            slowness,
            base,
            keep,
            spread,
            most,
            diurnal,
            noon,
            rate: vec![0.0; cells],
            slow: vec![1.0; cells],
        };
        walks.settle(world, 0.0);
        walks
    }

    /// One step on, to the time that it is now.
    pub fn go_on(&mut self, world: &World, now: f64) {
        let kick = (1.0 - self.keep * self.keep).sqrt();
        let step = |values: &mut Vec<f64>, spread: f64, dice: &mut Dice| {
            for value in values {
                *value = *value * self.keep + kick * spread * dice.normal();
            }
        };
        step(&mut self.shared, self.spread[0], &mut self.dice);
        step(&mut self.own, self.spread[1], &mut self.dice);
        step(&mut self.slowness, 0.15, &mut self.dice);
        self.settle(world, now);
    }

    fn settle(&mut self, world: &World, now: f64) {
        let targets = world.targets.len();
        for cell in 0..self.rate.len() {
            let (region, target) = (cell / targets, &world.targets[cell % targets]);
            let group = region * world.parties.len() + target.party;
            let wandering = (self.base[cell] * (self.shared[group] + self.own[cell]).exp()).min(self.most);
            self.rate[cell] = 1.0 - (1.0 - wandering) * (1.0 - target.flaps);
            let hour = ((now - self.noon[region]) / 86_400.0 * std::f64::consts::TAU).cos();
            self.slow[cell] = self.slowness[group].exp() * (1.0 + self.diurnal * hour);
        }
    }
}

/// Everything that happens by itself up to a time, in the order in which it begins.
pub fn happenings(world: &World, parameters: &Parameters, until: f64, dice: &mut Dice) -> Vec<Effect> {
    let noise = &parameters.noise;
    let month = 30.0 * 86_400.0;
    let targets = world.targets.len();
    let on_rounds = dice.chance(noise.blips_on_rounds);
    let begin = |at: f64| if on_rounds { (at / INTERVAL).floor() * INTERVAL } else { at };
    let mut all = Vec::new();
    let mut again = |a_month: f64, dice: &mut Dice, make: &mut dyn FnMut(f64, &mut Dice) -> Option<Effect>| {
        if a_month <= 0.0 {
            return;
        }
        let mut at = dice.wait(month / a_month);
        while at < until {
            all.extend(make(at, dice));
            at += dice.wait(month / a_month);
        }
    };
    let cells =
        |covers: &dyn Fn(usize, usize) -> bool| (0..world.cells()).map(|c| covers(c / targets, c % targets)).collect();
    let share = |dice: &mut Dice| dice.between(noise.blip_share);
    again(noise.region_blips_a_month, dice, &mut |at, dice| {
        let hit = dice.below(world.regions.len());
        let deed = Deed::Fail(blip(
            &[(Phase::Connect, Kind::TimedOut), (Phase::Connect, Kind::Unreachable), (Phase::Resolve, Kind::TimedOut)],
            dice,
        ));
        Some(Effect {
            cells: cells(&|region, _| region == hit),
            spans: vec![[begin(at), begin(at) + INTERVAL]],
            share: share(dice),
            deed,
        })
    });
    again(noise.target_blips_a_month, dice, &mut |at, dice| {
        let hit = dice.below(targets);
        let deed = Deed::Fail(blip(
            &[
                (Phase::FirstByte, Kind::StatusUnexpected),
                (Phase::FirstByte, Kind::TimedOut),
                (Phase::Connect, Kind::Refused),
                (Phase::Tls, Kind::Reset),
            ],
            dice,
        ));
        Some(Effect {
            cells: cells(&|_, target| target == hit),
            spans: vec![[begin(at), begin(at) + 2.0 * INTERVAL]],
            share: share(dice),
            deed,
        })
    });
    again(noise.provider_blips_a_month, dice, &mut |at, dice| {
        let hit = dice.below(world.parties.len());
        let rounds = if dice.chance(noise.longer_provider_blips) { 2.0 } else { 1.0 };
        let deed =
            Deed::Fail(blip(&[(Phase::FirstByte, Kind::StatusUnexpected), (Phase::Connect, Kind::TimedOut)], dice));
        let covers = |_: usize, target: usize| world.targets[target].party == hit;
        Some(Effect {
            cells: cells(&covers),
            spans: vec![[begin(at), begin(at) + rounds * INTERVAL]],
            share: share(dice),
            deed,
        })
    });
    let weeks = 30.0 / 7.0;
    again(noise.stalls_a_week * weeks, dice, &mut |at, dice| {
        let hit = dice.below(world.regions.len());
        let until = at + dice.between(noise.stall_minutes) * 60.0;
        Some(Effect {
            cells: cells(&|region, _| region == hit),
            spans: vec![[at, until]],
            share: 1.0,
            deed: Deed::Stall,
        })
    });
    again(noise.releases_a_week * weeks, dice, &mut |at, dice| {
        let hit = dice.below(world.regions.len());
        let deed = if dice.chance(0.6) { Deed::Build } else { Deed::Config };
        Some(Effect { cells: cells(&|region, _| region == hit), spans: vec![[at, f64::MAX]], share: 1.0, deed })
    });
    again(noise.starved_rounds_a_week * weeks, dice, &mut |at, dice| {
        let hit = dice.below(world.regions.len());
        let deed = Deed::Fail(
            [Symptom {
                weight: 1.0,
                phase: Phase::Resolve,
                kind: Kind::Starved,
                status: None,
                retry_after: None,
                inconclusive: true,
            }]
            .into(),
        );
        Some(Effect { cells: cells(&|region, _| region == hit), spans: vec![[at, at + INTERVAL]], share: 0.9, deed })
    });
    all.sort_by(|one, other| one.spans[0][0].total_cmp(&other.spans[0][0]));
    all
}

fn blip(ways: &[(Phase, Kind)], dice: &mut Dice) -> Arc<[Symptom]> {
    let (phase, kind) = dice.pick(ways).copied().unwrap_or((Phase::Connect, Kind::TimedOut));
    let status = (kind == Kind::StatusUnexpected).then_some(503);
    [Symptom { weight: 1.0, phase, kind, status, retry_after: None, inconclusive: false }].into()
}
