//! From a world, its noise and a fault to observations, in the order in which they reach the hub. Knows requests; must
//! not know who judges them.

use std::{net::SocketAddr, sync::Arc};

use usoryou::model::{Connection, Kind, Outcome, Phase, Sighting, Timestamp};

use super::{
    dice::Dice,
    fault::{Deed, Effect, Fault},
    noise::{STEP, Walks, happenings},
    parameters::{Parameters, Symptom},
    world::{INTERVAL, World},
};

/// Seconds that are kept ready: nothing is later than this.
const REACH: usize = 4_096;
/// Seconds by which an observation's own time can differ from the slice that it is made in.
const SLACK: f64 = 60.0;

/// One observation, without the words that its cell has.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    pub cell: u32,
    /// Milliseconds: when it reached the hub, by the hub's clock.
    pub received: i64,
    /// By the region's clock.
    pub scheduled: i64,
    pub started: i64,
    pub outcome: Outcome,
    pub failure: Option<(Phase, Kind)>,
    pub duration: f64,
    /// Seconds in resolve, connect, TLS and until the first byte.
    pub phases: [Option<f64>; 4],
    pub status: Option<u16>,
    pub retry_after: Option<u16>,
    pub build: u16,
    pub config: u16,
}

pub struct Stream<'a> {
    pub world: &'a World,
    dice: Dice,
    walks: Walks,
    walked: f64,
    effects: Vec<Effect>,
    /// Effects from here on have not begun.
    next: usize,
    active: Vec<usize>,
    slice: i64,
    ring: Vec<Vec<Seen>>,
    lost: f64,
    late: f64,
    late_rounds: f64,
    doubled: f64,
    tail: f64,
    tail_exponent: f64,
    way: Vec<f64>,
    skip_until: Vec<f64>,
    builds: Vec<u16>,
    configs: Vec<u16>,
    epoch: i64,
}

impl<'a> Stream<'a> {
    /// From zero to `until` seconds.
    pub fn new(world: &'a World, parameters: &Parameters, fault: &Fault, until: f64, seed: u64) -> Self {
        let noise = &parameters.noise;
        let mut dice = Dice::of(seed, "stream");
        let mut effects = happenings(world, parameters, until, &mut Dice::of(seed, "noise"));
        effects.extend(fault.effects.iter().filter(|effect| !effect.spans.is_empty()).cloned());
        effects.sort_by(|one, other| one.spans[0][0].total_cmp(&other.spans[0][0]));
        // A day of 2026, at any hour.
        let epoch = 1_795_305_600_000 + (dice.below(86_400 / 30) as i64) * 30_000;
        Self {
            world,
            walks: Walks::new(world, parameters, Dice::of(seed, "walks")),
            walked: 0.0,
            effects,
            next: 0,
            active: vec![],
            slice: 0,
            ring: vec![vec![]; REACH],
            lost: dice.between(noise.lost),
            late: noise.late,
            late_rounds: noise.late_rounds,
            doubled: noise.doubled,
            tail: dice.between(noise.heavy_tail),
            tail_exponent: dice.between(noise.tail_exponent),
            way: (0..world.regions.len() * world.parties.len()).map(|_| dice.between([0.5, 2.0])).collect(),
            skip_until: vec![0.0; world.cells()],
            builds: vec![0; world.regions.len()],
            configs: vec![0; world.regions.len()],
            dice,
            epoch,
        }
    }

    /// The instant of so many seconds after the beginning, by the hub's clock.
    pub fn instant(&self, seconds: f64) -> Timestamp {
        at(self.epoch + (seconds * 1_000.0) as i64)
    }

    pub fn seconds_of(&self, millis: i64) -> f64 {
        (millis - self.epoch) as f64 / 1_000.0
    }

    pub fn seconds(&self, instant: Timestamp) -> f64 {
        self.seconds_of(instant.timestamp_millis())
    }

    /// Where a region's uplink stands still at this time, so that nothing fresh can come from there.
    pub fn stalled(&self, seconds: f64) -> Vec<usize> {
        let on = |effect: &&Effect| {
            matches!(effect.deed, Deed::Stall) && effect.spans.iter().any(|s| s[0] <= seconds && seconds < s[1] + 60.0)
        };
        let first = |effect: &Effect| effect.cells.iter().position(|hit| *hit);
        self.effects.iter().filter(on).filter_map(first).map(|cell| cell / self.world.targets.len()).collect()
    }

    /// What reaches the hub in this second, in order. To be asked second by second.
    pub fn second(&mut self, second: i64) -> Vec<Seen> {
        // What is made in a slice reaches the hub within it at the earliest, clocks and all.
        while self.slice as f64 * INTERVAL < second as f64 + SLACK {
            self.make_slice();
        }
        let mut here = std::mem::take(&mut self.ring[second as usize % REACH]);
        here.sort_by_key(|seen| (seen.received, seen.cell));
        here
    }

    /// Gives the vector back, so that it is not allocated again.
    pub fn done(&mut self, second: i64, mut taken: Vec<Seen>) {
        taken.clear();
        self.ring[second as usize % REACH] = taken;
    }

    fn make_slice(&mut self) {
        let from = self.slice as f64 * INTERVAL;
        while from >= self.walked + STEP {
            self.walked += STEP;
            self.walks.go_on(self.world, self.walked);
        }
        while self.effects.get(self.next).is_some_and(|effect| effect.spans[0][0] < from + INTERVAL + SLACK) {
            self.begin(self.next);
            self.next += 1;
        }
        let over: Vec<usize> = self.active.iter().copied().filter(|index| self.ends(*index) < from - SLACK).collect();
        for index in over {
            self.active.retain(|one| *one != index);
            self.roll(index, u16::wrapping_sub);
        }
        let targets = self.world.targets.len();
        for cell in 0..self.world.cells() {
            let grid = from + self.world.offsets[cell];
            let when = grid - self.world.regions[cell / targets].clock;
            if when >= 0.0 && when >= self.skip_until[cell] {
                self.look(cell, grid, when);
            }
        }
        self.slice += 1;
    }

    fn ends(&self, index: usize) -> f64 {
        self.effects[index].spans.last().map_or(0.0, |span| span[1])
    }

    fn begin(&mut self, index: usize) {
        self.roll(index, u16::wrapping_add);
        // A harmless release stays and needs no more attention.
        if self.ends(index) < f64::MAX {
            self.active.push(index);
        }
    }

    fn roll(&mut self, index: usize, by: fn(u16, u16) -> u16) {
        let counters = match self.effects[index].deed {
            Deed::Build => &mut self.builds,
            Deed::Config => &mut self.configs,
            _ => return,
        };
        for (region, counter) in counters.iter_mut().enumerate() {
            let targets = self.world.targets.len();
            if self.effects[index].cells[region * targets..(region + 1) * targets].contains(&true) {
                *counter = by(*counter, 1);
            }
        }
    }

    fn look(&mut self, cell: usize, grid: f64, when: f64) {
        if self.dice.chance(self.lost) {
            return;
        }
        let world = self.world;
        let (region, target) = (cell / world.targets.len(), &world.targets[cell % world.targets.len()]);
        let (mut slower, mut network, mut stamp, mut not_before) = (1.0, 1.0, grid, 0.0);
        let mut struck: Option<Symptom> = None;
        for index in 0..self.active.len() {
            let effect = &self.effects[self.active[index]];
            if !effect.cells[cell] || !effect.is_on(when) || effect.share < 1.0 && !self.dice.chance(effect.share) {
                continue;
            }
            match &effect.deed {
                Deed::Fail(symptoms) => {
                    let symptom = drawn(symptoms, &mut self.dice);
                    struck = struck.or_else(|| fit(symptom, target.protocol));
                }
                Deed::Slow(factor, also_network) => {
                    slower *= factor;
                    network *= if *also_network { *factor } else { 1.0 };
                }
                Deed::Silence => return,
                Deed::Stall => not_before = effect.spans[0][1] + self.dice.unit() * 2.0,
                Deed::Clock(off) => stamp += (off / INTERVAL).round() * INTERVAL,
                Deed::Build | Deed::Config => {}
            }
        }
        if struck.is_none() && self.dice.chance(self.walks.rate[cell]) {
            struck = fit(&everyday(&mut self.dice), target.protocol);
        }
        let (phases, last) = self.times(cell, slower, network);
        let natural: f64 = phases.iter().flatten().sum();
        let (mut outcome, mut failure, mut duration) = (Outcome::Up, None, natural);
        let mut seen_phases = phases;
        if let Some(symptom) = &struck {
            outcome = if symptom.inconclusive { Outcome::Inconclusive } else { Outcome::Down };
            failure = Some((symptom.phase, symptom.kind));
            cut(&mut seen_phases, symptom.phase);
            duration = seen_phases.iter().flatten().sum();
            if symptom.kind == Kind::TimedOut {
                duration = target.timeout;
            }
        } else if natural > target.timeout {
            let phase = crossed(&phases, target.timeout, last);
            (outcome, failure, duration) = (Outcome::Down, Some((phase, Kind::TimedOut)), target.timeout);
            cut(&mut seen_phases, phase);
        } else if target.strict.is_some_and(|limit| natural > limit) {
            (outcome, failure) = (Outcome::Degraded, Some((last, Kind::TimedOut)));
        }
        let answered = struck.as_ref().map_or(outcome != Outcome::Down, |symptom| symptom.status.is_some());
        let status = struck.as_ref().and_then(|s| s.status).or((answered && target.protocol == "http").then_some(200));
        let retry_after = struck.as_ref().and_then(|symptom| symptom.retry_after);
        if let Some(wait) = retry_after.filter(|_| status == Some(429)) {
            self.skip_until[cell] = when + f64::from(wait);
        }
        let started = self.dice.unit() * 0.02;
        let mut arrives = when + started + duration + world.regions[region].uplink * (0.3 + self.dice.unit());
        if self.dice.chance(self.late) {
            arrives += self.dice.wait(self.late_rounds * INTERVAL).min(900.0);
        }
        let seen = Seen {
            cell: cell as u32,
            received: 0,
            scheduled: self.epoch + (stamp * 1_000.0).round() as i64,
            started: self.epoch + ((stamp + started) * 1_000.0).round() as i64,
            outcome,
            failure,
            duration,
            phases: seen_phases,
            status,
            retry_after,
            build: self.builds[region],
            config: self.configs[region],
        };
        self.send(seen, f64::max(arrives, not_before));
        if self.dice.chance(self.doubled) {
            let again = f64::max(arrives, not_before) + self.dice.wait(20.0).min(600.0);
            self.send(seen, again);
        }
    }

    fn send(&mut self, seen: Seen, arrives: f64) {
        let received = self.epoch + (arrives * 1_000.0) as i64;
        self.ring[arrives as usize % REACH].push(Seen { received, ..seen });
    }

    /// Seconds of each phase, and the last phase that there is.
    fn times(&mut self, cell: usize, slower: f64, network: f64) -> ([Option<f64>; 4], Phase) {
        let world = self.world;
        let (region, target) = (cell / world.targets.len(), &world.targets[cell % world.targets.len()]);
        let dice = &mut self.dice;
        let slow = self.walks.slow[cell];
        let way = world.regions[region].rtt * self.way[region * world.parties.len() + target.party] * network;
        let trip = |dice: &mut Dice| way * slow * (1.0 + 0.15 * dice.normal().abs());
        let mut server = target.server * slower * slow * (1.0 + 0.3 * dice.normal()).max(0.3);
        if dice.chance(self.tail) {
            server *= (1.0 - dice.unit()).powf(-1.0 / self.tail_exponent) * 2.0;
        }
        if target.protocol == "dns" {
            let all = trip(dice) + server * 0.2;
            return ([None, None, None, Some(all)], Phase::Exchange);
        }
        let resolve = Some(0.001 + 0.004 * dice.unit() * network);
        let mut connect = trip(dice);
        if dice.chance(0.002) {
            // A SYN that was lost.
            connect += 1.0;
        }
        match target.protocol {
            "tcp" => ([resolve, Some(connect), None, None], Phase::Connect),
            "tls" => ([resolve, Some(connect), Some(trip(dice) + server * 0.1 * slower.sqrt()), None], Phase::Tls),
            "websocket" => {
                ([resolve, Some(connect), Some(trip(dice) + 0.002), Some(trip(dice) + server)], Phase::Upgrade)
            }
            "mqtt" => ([resolve, Some(connect), Some(trip(dice) + 0.002), Some(trip(dice) + server)], Phase::Exchange),
            _ => ([resolve, Some(connect), Some(trip(dice) + 0.002), Some(trip(dice) + server)], Phase::FirstByte),
        }
    }

    /// As the judge takes it.
    pub fn sighting(&self, seen: &Seen) -> Sighting<'a> {
        let (region, target) = (
            seen.cell as usize / self.world.targets.len(),
            &self.world.targets[seen.cell as usize % self.world.targets.len()],
        );
        let place = &self.world.regions[region];
        let peer = SocketAddr::from(([203, 0, 113, (seen.cell as usize % self.world.targets.len()) as u8 + 1], 443));
        Sighting {
            probe: &target.probe,
            party: &self.world.parties[target.party].key,
            product: target.product.as_deref(),
            region: &place.name,
            node: "n1",
            connection: Connection::Cold,
            scheduled_at: at(seen.scheduled),
            started_at: Some(at(seen.started)),
            outcome: seen.outcome,
            failure: seen.failure,
            detail: seen.failure.map_or("", |(_, kind)| kind.in_words()),
            duration: seen.duration,
            resolve: seen.phases[0],
            peer: Some(peer),
            http_status: seen.status,
            build: BUILDS[seen.build as usize % BUILDS.len()],
            config: CONFIGS[seen.config as usize % CONFIGS.len()],
            credential: target.credentialed.then_some(place.credential),
            varied: None,
        }
    }
}

const BUILDS: [&str; 8] = ["0.4.0", "0.4.1", "0.4.2", "0.5.0", "0.5.1", "0.6.0", "0.6.1", "0.7.0"];
const CONFIGS: [&str; 8] = [
    "sha256:1f0a",
    "sha256:2b9c",
    "sha256:3c4d",
    "sha256:4de1",
    "sha256:5a77",
    "sha256:6b02",
    "sha256:7cc9",
    "sha256:8e31",
];

fn at(millis: i64) -> Timestamp {
    Timestamp::from_timestamp_millis(millis).unwrap_or_default()
}

fn drawn<'s>(symptoms: &'s Arc<[Symptom]>, dice: &mut Dice) -> &'s Symptom {
    if symptoms.len() == 1 {
        return &symptoms[0];
    }
    let mut left = dice.unit() * symptoms.iter().map(|symptom| symptom.weight).sum::<f64>();
    for symptom in symptoms.iter() {
        left -= symptom.weight;
        if left <= 0.0 {
            return symptom;
        }
    }
    &symptoms[0]
}

/// How requests fail on any day.
fn everyday(dice: &mut Dice) -> Symptom {
    let (phase, kind, status) = match dice.below(10) {
        0..=3 => (Phase::FirstByte, Kind::TimedOut, None),
        4 => (Phase::Connect, Kind::TimedOut, None),
        5 => (Phase::Tls, Kind::Reset, None),
        6 => (Phase::FirstByte, Kind::ClosedEarly, None),
        7 => (Phase::Resolve, Kind::TimedOut, None),
        8 => (Phase::FirstByte, Kind::StatusUnexpected, Some(502)),
        _ => (Phase::FirstByte, Kind::StatusUnexpected, Some(503)),
    };
    Symptom { weight: 1.0, phase, kind, status, retry_after: None, inconclusive: false }
}

/// The same fault as another protocol shows it; nothing when it does not go so far.
pub fn fit(symptom: &Symptom, protocol: &str) -> Option<Symptom> {
    let mut fitted = symptom.clone();
    if symptom.inconclusive {
        return Some(fitted);
    }
    let deep = symptom.phase > Phase::Tls;
    match protocol {
        // Asks a server of its own choice: neither the resolver nor TLS is in the way.
        "dns" if symptom.phase == Phase::Connect || symptom.kind == Kind::TimedOut && deep => {
            fitted.phase = Phase::Exchange;
            fitted.status = None;
        }
        "dns" if symptom.kind == Kind::StatusUnexpected => {
            fitted.phase = Phase::Exchange;
            fitted.status = None;
        }
        "dns" => return None,
        "tcp" if symptom.phase > Phase::Connect => return None,
        "tls" if deep => return None,
        "websocket" if deep => {
            fitted.phase = Phase::Upgrade;
            if symptom.kind == Kind::StatusUnexpected {
                fitted.kind = Kind::UpgradeRefused;
            }
        }
        "mqtt" if deep => {
            fitted.phase = Phase::Exchange;
            fitted.status = None;
            if matches!(symptom.kind, Kind::StatusUnexpected | Kind::BodyUnexpected) {
                fitted.kind = Kind::NotServing;
            }
        }
        "grpc" if deep => {
            fitted.status = None;
            if matches!(symptom.kind, Kind::StatusUnexpected | Kind::BodyUnexpected) {
                fitted.kind = Kind::NotServing;
            }
        }
        _ => {}
    }
    Some(fitted)
}

/// Forgets the phases that were not completed.
fn cut(phases: &mut [Option<f64>; 4], failed: Phase) {
    let kept = match failed {
        Phase::Resolve => 0,
        Phase::Connect | Phase::Proxy => 1,
        Phase::Tls => 2,
        _ => 3,
    };
    phases.iter_mut().skip(kept).for_each(|phase| *phase = None);
}

/// The phase in which the deadline passed.
fn crossed(phases: &[Option<f64>; 4], timeout: f64, last: Phase) -> Phase {
    let mut spent = 0.0;
    for (phase, took) in [Phase::Resolve, Phase::Connect, Phase::Tls].into_iter().zip(phases) {
        spent += took.unwrap_or(0.0);
        if spent > timeout {
            return phase;
        }
    }
    last
}
