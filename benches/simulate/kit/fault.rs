//! A fault in a world: what it does to which cells and when, and the truth about it. Knows what is true; must not know
//! who guesses at it.

use std::{collections::BTreeSet, sync::Arc};

use usoryou::model::{Cause, PartyKind, Subject};

use super::{
    dice::Dice,
    parameters::{About, EffectRecipe, Parameters, Recipe, Symptom, Where, Which, Whose},
    stream::fit,
    world::World,
};

/// What is done to a request.
#[derive(Debug, Clone)]
pub enum Deed {
    /// It fails, in one of these ways.
    Fail(Arc<[Symptom]>),
    /// The server takes so many times longer; and the network, if that is said.
    Slow(f64, bool),
    /// It is sent to the hub at the end of this.
    Stall,
    /// Nothing is sent to the hub.
    Silence,
    /// The region's clock is so many seconds off.
    Clock(f64),
    Build,
    Config,
}

/// One thing that happens.
#[derive(Debug, Clone)]
pub struct Effect {
    pub cells: Vec<bool>,
    /// Spans in seconds, in order.
    pub spans: Vec<[f64; 2]>,
    pub share: f64,
    pub deed: Deed,
}

impl Effect {
    pub fn is_on(&self, at: f64) -> bool {
        self.spans.iter().any(|span| span[0] <= at && at < span[1])
    }
}

/// What is true.
#[derive(Debug, Clone)]
pub struct Truth {
    pub cause: Cause,
    pub about: Whom,
    /// Indexes of the regions that it is about; empty where that does not matter.
    pub regions: BTreeSet<usize>,
    pub optional: bool,
}

#[derive(Debug, Clone)]
pub enum Whom {
    /// A party, and the products that are touched.
    Party(usize, BTreeSet<Subject>),
    /// A vantage point.
    Region(usize),
    Nobody,
}

/// A world with a fault in it.
#[derive(Debug, Clone)]
pub struct Fault {
    pub truths: Vec<Truth>,
    pub effects: Vec<Effect>,
    pub onset: f64,
    pub end: f64,
    pub most: bool,
    pub slow: bool,
    pub any: bool,
    /// Parties that something is wrong with, for whatever reason.
    pub touched: BTreeSet<usize>,
}

struct Roles {
    victim: usize,
    other: usize,
    service: usize,
    product: Option<Arc<str>>,
    probe: usize,
    protocol: &'static str,
    region: usize,
    few: BTreeSet<usize>,
}

impl Fault {
    /// Nothing ever happens.
    pub fn none() -> Self {
        Self {
            truths: vec![],
            effects: vec![],
            onset: f64::MAX,
            end: f64::MAX,
            most: false,
            slow: false,
            any: false,
            touched: BTreeSet::new(),
        }
    }

    pub fn draw(recipe: &Recipe, parameters: &Parameters, world: &World, dice: &mut Dice) -> Self {
        let roles = Roles::draw(recipe, world, dice);
        let onset = dice.between(parameters.world.lead_in) * 60.0 + dice.unit() * 30.0;
        let end = onset + dice.between(recipe.minutes) * 60.0;
        let mut fault = Self { onset, end, most: recipe.most, slow: recipe.slow, any: recipe.any, ..Self::none() };
        for effect in &recipe.effects {
            if dice.chance(effect.chance) {
                fault.add(effect, &roles, parameters, world, dice);
            }
        }
        let touched_in = |deeds: &Vec<Effect>, party: usize| -> BTreeSet<Subject> {
            let hit = |cell: &usize| {
                deeds.iter().any(|effect| effect.cells[*cell] && !matches!(effect.deed, Deed::Build | Deed::Config))
            };
            let cells = (0..world.cells()).filter(hit).map(|cell| cell % world.targets.len());
            cells.filter(|target| world.targets[*target].party == party).map(|target| world.subject(target)).collect()
        };
        fault.touched =
            (0..world.parties.len()).filter(|party| !touched_in(&fault.effects, *party).is_empty()).collect();
        for recipe in &recipe.truth {
            let party = |party: usize| Whom::Party(party, touched_in(&fault.effects, party));
            let about = match recipe.about {
                About::Victim => party(roles.victim),
                About::OtherVictim => party(roles.other),
                About::Service => party(roles.service),
                About::Region => Whom::Region(roles.region),
                About::Nobody => Whom::Nobody,
            };
            let of_party = |cell: &usize| match &about {
                Whom::Party(party, _) => world.targets[cell % world.targets.len()].party == *party,
                Whom::Region(region) => cell / world.targets.len() == *region,
                Whom::Nobody => false,
            };
            let hit = (0..world.cells())
                .filter(of_party)
                .filter(|cell| fault.effects.iter().any(|effect| effect.cells[*cell]))
                .map(|cell| cell / world.targets.len());
            let regions = match (recipe.cause, recipe.about) {
                (Cause::Path, _) => roles.few.clone(),
                (Cause::Probe, About::Region) => [roles.region].into(),
                (Cause::Probe, _) => hit.collect(),
                _ => BTreeSet::new(),
            };
            fault.truths.push(Truth { cause: recipe.cause, about, regions, optional: recipe.optional });
        }
        fault
    }

    fn add(&mut self, recipe: &EffectRecipe, roles: &Roles, parameters: &Parameters, world: &World, dice: &mut Dice) {
        let covers = |cell: usize| {
            let (region, index) = (cell / world.targets.len(), cell % world.targets.len());
            let target = &world.targets[index];
            let whose = match recipe.whose {
                Whose::Victim => target.party == roles.victim,
                Whose::OtherVictim => target.party == roles.other,
                Whose::Service => target.party == roles.service,
                Whose::Control => world.kind(index) == PartyKind::Control,
                Whose::Everything => true,
            };
            let which = match recipe.which {
                Which::All => true,
                Which::Product => target.product == roles.product,
                Which::Probe => index == roles.probe,
                Which::Credentialed => target.credentialed,
                Which::Protocol => target.protocol == roles.protocol,
                Which::Deep => target.deep,
            };
            let place = match recipe.regions {
                Where::All => true,
                Where::One => region == roles.region,
                Where::Few => roles.few.contains(&region),
                Where::SameCredential => world.regions[region].credential == world.regions[roles.region].credential,
                Where::AllBut => region != roles.region,
            };
            whose && which && place
        };
        let cells: Vec<bool> = (0..world.cells()).map(covers).collect();
        let (begin, end) = (self.onset + dice.between(recipe.lag), self.end + dice.between(recipe.lag));
        let mut spans = vec![[begin, end]];
        if let Some([on, off]) = recipe.on_off {
            spans.clear();
            let mut at = begin;
            while at < end {
                let until = at + dice.between(on) * 60.0;
                spans.push([at, until.min(end)]);
                at = until + dice.between(off) * 60.0;
            }
        }
        let share = dice.between(recipe.share);
        let mut push =
            |deed, share| self.effects.push(Effect { cells: cells.clone(), spans: spans.clone(), share, deed });
        if recipe.build {
            push(Deed::Build, 1.0);
        }
        if recipe.config {
            push(Deed::Config, 1.0);
        }
        if recipe.silent {
            push(Deed::Silence, 1.0);
        }
        if let Some(range) = recipe.clock {
            let sign = if dice.chance(0.5) { 1.0 } else { -1.0 };
            push(Deed::Clock(sign * dice.between(range)), 1.0);
        }
        if let Some(range) = recipe.slower {
            push(Deed::Slow(dice.between(range), recipe.network), share);
        }
        // A way to fail that most of what is hit would not even notice is no fault.
        let shows = |symptoms: &&Vec<Symptom>| {
            let hit = || {
                (0..world.cells()).filter(|cell| cells[*cell]).map(|cell| &world.targets[cell % world.targets.len()])
            };
            let noticed = hit().filter(|target| symptoms.iter().all(|symptom| fit(symptom, target.protocol).is_some()));
            noticed.count() * 2 >= hit().count()
        };
        let ways: Vec<&Vec<Symptom>> = recipe.fails.iter().filter_map(|name| parameters.symptoms.get(name)).collect();
        let shown: Vec<&Vec<Symptom>> = ways.iter().copied().filter(shows).collect();
        let drawn = dice.pick(if shown.is_empty() { &ways } else { &shown });
        if let Some(symptoms) = drawn {
            push(Deed::Fail((*symptoms).clone().into()), share);
        }
    }
}

impl Roles {
    fn draw(recipe: &Recipe, world: &World, dice: &mut Dice) -> Self {
        let of_kind = |kind: PartyKind| -> Vec<usize> {
            (0..world.parties.len()).filter(|party| world.parties[*party].kind == kind).collect()
        };
        let effects = &recipe.effects;
        let credential = effects.iter().any(|effect| effect.which == Which::Credentialed);
        let has_credential = |party: &usize| world.targets.iter().any(|t| t.party == *party && t.credentialed);
        let mut providers = of_kind(PartyKind::Provider);
        dice.shuffle(&mut providers);
        providers.sort_by_key(|party| credential && !has_credential(party));
        let victim = providers.first().copied().unwrap_or(0);
        let other = providers.get(1).copied().unwrap_or(victim);
        let mut services = of_kind(PartyKind::Us);
        dice.shuffle(&mut services);
        // The service that the fault spreads to is one that stands on the victim; where there is none, it spreads to nobody.
        let spreads = effects.iter().any(|effect| effect.which == Which::Deep);
        services.sort_by_key(|service| spreads && !world.parties[*service].depends_on.contains(&victim));
        let service = services.first().copied().unwrap_or(0);
        let is_its_own = recipe.truth.iter().any(|truth| truth.about == About::Service);
        let stands_on_it = world.parties[service].depends_on.contains(&victim);
        let service = if is_its_own || stands_on_it { service } else { world.parties.len() };
        let product = dice.pick(&world.parties[victim].products).cloned();
        let of_product: Vec<usize> = (0..world.targets.len())
            .filter(|index| world.targets[*index].party == victim && world.targets[*index].product == product)
            .collect();
        let controls: Vec<usize> =
            (0..world.targets.len()).filter(|index| world.kind(*index) == PartyKind::Control).collect();
        let of_control = effects.iter().any(|effect| effect.whose == Whose::Control);
        let probe = dice.pick(if of_control { &controls } else { &of_product }).copied().unwrap_or(0);
        // One that somebody answers for is looked at by, more than once where there is such.
        let speak = |protocol: &str| {
            let spoken = |target: &usize| world.targets[*target].protocol == protocol;
            (0..world.targets.len()).filter(spoken).filter(|target| world.kind(*target) != PartyKind::Control).count()
        };
        let mut protocols: Vec<&'static str> = world.targets.iter().map(|target| target.protocol).collect();
        dice.shuffle(&mut protocols);
        protocols.sort_by_key(|protocol| std::cmp::Reverse(speak(protocol).min(2)));
        let protocol = protocols.first().copied().unwrap_or("http");
        let mut regions: Vec<usize> = (0..world.regions.len()).collect();
        dice.shuffle(&mut regions);
        let region = regions.first().copied().unwrap_or(0);
        let few = effects.iter().any(|effect| effect.regions == Where::Few);
        let count = if few { (regions.len() * 2 / 5).max(2) } else { 1 };
        Self {
            victim,
            other,
            service,
            product,
            probe,
            protocol,
            region,
            few: regions.into_iter().take(count).collect(),
        }
    }
}
