//! One case from its name to its outcome: draws the world and the fault, runs every rule over the same observations.

use std::{collections::BTreeMap, error::Error, sync::Arc};

use usoryou::net::Net;

use super::{
    baselines::{Average, Baseline, Quorum, ThreeInARow},
    bayes::Bayes,
    dice::Dice,
    fault::Fault,
    parameters::Parameters,
    product::Product,
    score::{AFTER, Marker, Outcome, Standing},
    stream::Stream,
    told::{Teller, Told},
    world::World,
};

/// The kind of a case in which nothing happens.
pub const QUIET: &str = "quiet";

/// The rules of [`Case::baselines`], in their order.
pub const BASELINES: [&str; 5] = ["3 in a row", "quorum", "avg < .5, 2m", "Bayes", "Bayes, learned"];

/// Which case: enough to have it again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    pub kind: String,
    pub regions: usize,
    pub number: usize,
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.kind, self.regions, self.number)
    }
}

impl std::str::FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not KIND/REGIONS/NUMBER");
        let [kind, regions, number] = text.split('/').collect::<Vec<_>>()[..] else { return Err(wrong()) };
        let number = number.parse().map_err(|_| wrong())?;
        Ok(Self { kind: kind.to_owned(), regions: regions.parse().map_err(|_| wrong())?, number })
    }
}

/// How often to judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Every second in which something came, as a hub and a replay do.
    Live,
    /// The same near a fault; every five seconds elsewhere.
    Thrifty,
}

/// Sees the first rule after each of its judgements: when, and what it has just told.
pub type Watch<'w> = dyn FnMut(f64, &Stream<'_>, &dyn Teller, &[Told]) + 'w;

/// A case, drawn.
pub struct Case {
    pub world: World,
    pub fault: Fault,
    /// Seconds.
    pub length: f64,
    pub seed: u64,
}

/// How a case went for one rule.
pub struct Graded {
    pub told: Vec<(f64, Told)>,
    pub outcome: Outcome,
}

impl Case {
    /// `days`: the length of a case in which nothing happens.
    pub fn draw(name: &Name, parameters: &Parameters, seed: u64, days: f64) -> Option<Self> {
        let seed = Dice::of(seed ^ parameters.seed, &name.to_string()).next();
        let world = World::draw(parameters, name.regions, &mut Dice::of(seed, "world"));
        if name.kind == QUIET {
            return Some(Self { world, fault: Fault::none(), length: days * 86_400.0, seed });
        }
        let recipe = parameters.faults.get(&name.kind)?;
        let fault = Fault::draw(recipe, parameters, &world, &mut Dice::of(seed, "fault"));
        let length = fault.end + AFTER;
        Some(Self { world, fault, length, seed })
    }

    pub fn stream(&self, parameters: &Parameters) -> Stream<'_> {
        Stream::new(&self.world, parameters, &self.fault, self.length, self.seed)
    }

    /// Runs the rules over the same observations. `watch` sees the first rule after each of its judgements.
    pub fn run(
        &self,
        parameters: &Parameters,
        tellers: &mut [Box<dyn Teller>],
        pace: Pace,
        watch: &mut Watch<'_>,
    ) -> Vec<Graded> {
        let mut stream = self.stream(parameters);
        let mut told: Vec<Vec<(f64, Told)>> = tellers.iter().map(|_| vec![]).collect();
        let mut stood: BTreeMap<Standing, f64> = BTreeMap::new();
        let (mut judged, mut fresh) = (0, false);
        for second in 0..self.length as i64 {
            let seen = stream.second(second);
            let now = stream.instant((second + 1) as f64);
            for one in &seen {
                let arrived = stream.instant(stream.seconds_of(one.received));
                tellers.iter_mut().for_each(|teller| teller.absorb(&stream, one, arrived));
            }
            fresh |= !seen.is_empty();
            stream.done(second, seen);
            let passed = second + 1 - judged;
            // Long before anything happens it is enough to look now and then.
            let near = pace == Pace::Live || second as f64 > self.fault.onset - 240.0;
            if !(near && fresh || passed >= 5) {
                continue;
            }
            (judged, fresh) = (second + 1, false);
            let at = (second + 1) as f64;
            for (index, teller) in tellers.iter_mut().enumerate() {
                let mut new = vec![];
                teller.judge(now, &mut new);
                if index == 0 {
                    watch(at, &stream, &**teller, &new);
                    if self.fault.slow && at >= self.fault.onset && at <= self.fault.end + 60.0 {
                        for standing in teller.verdicts().iter().filter_map(Standing::of) {
                            *stood.entry(standing).or_default() += passed as f64;
                        }
                    }
                }
                told[index].extend(new.into_iter().map(|one| (at, one)));
            }
        }
        let marker = Marker { world: &self.world, fault: &self.fault };
        let (none, stalled) = (BTreeMap::new(), |at: f64| stream.stalled(at));
        let graded = told.into_iter().enumerate().map(|(index, told)| {
            let stood = if index == 0 { &stood } else { &none };
            let outcome = marker.outcome(&told, stood, &stalled, &|one| stream.seconds(one.onset));
            Graded { told, outcome }
        });
        graded.collect()
    }

    /// The rule that ships.
    pub fn product(&self, net: &Arc<Net>) -> Result<Box<dyn Teller>, Box<dyn Error>> {
        Ok(Box::new(Product::new(&self.world, net)?))
    }

    /// What people use today, and Bayes without a clip.
    pub fn baselines(&self) -> Vec<Box<dyn Teller>> {
        vec![
            Box::new(Baseline::new(ThreeInARow, &self.world)),
            Box::new(Baseline::new(Quorum, &self.world)),
            Box::new(Baseline::new(Average::default(), &self.world)),
            Box::new(Bayes::new(false, &self.world)),
            Box::new(Bayes::new(true, &self.world)),
        ]
    }
}
