//! A world: parties, targets, regions, and how they differ from each other. Drawn from the parameters; knows no time.

use std::sync::Arc;

use usoryou::model::{PartyKind, Subject};

use super::{dice::Dice, parameters::Parameters};

/// Seconds from one round to the next.
pub const INTERVAL: f64 = 30.0;

#[derive(Debug, Clone)]
pub struct Party {
    pub key: Arc<str>,
    pub kind: PartyKind,
    pub products: Vec<Arc<str>>,
    /// Index of the providers it stands on.
    pub depends_on: Vec<usize>,
}

/// What one probe looks at.
#[derive(Debug, Clone)]
pub struct Target {
    pub probe: Arc<str>,
    pub party: usize,
    pub product: Option<Arc<str>>,
    pub protocol: &'static str,
    pub credentialed: bool,
    /// Of our own service: touches what it stands on.
    pub deep: bool,
    /// Seconds that the server takes.
    pub server: f64,
    /// Always fails this often; zero for all but one.
    pub flaps: f64,
    /// Slower than this is degraded.
    pub strict: Option<f64>,
    pub timeout: f64,
}

#[derive(Debug, Clone)]
pub struct Region {
    pub name: Arc<str>,
    /// Seconds there and back, to a near place.
    pub rtt: f64,
    pub loss: f64,
    /// Seconds that its clock is ahead.
    pub clock: f64,
    pub credential: &'static str,
    /// Seconds from an observation to the hub.
    pub uplink: f64,
}

#[derive(Debug, Clone)]
pub struct World {
    pub parties: Vec<Party>,
    pub targets: Vec<Target>,
    pub regions: Vec<Region>,
    /// Seconds into the round at which each cell is looked at; cell = region × targets + target.
    pub offsets: Vec<f64>,
}

const NAMES: [&str; 10] = [
    "eu-west",
    "us-east",
    "us-west",
    "ap-south",
    "sa-east",
    "eu-north",
    "ap-northeast",
    "af-south",
    "me-central",
    "eu-south",
];
const PROVIDERS: [&str; 4] = ["firebase", "stripe", "twilio", "auth0"];
const PRODUCTS: [&str; 5] = ["realtime-database", "auth", "firestore", "storage", "messaging"];

impl World {
    pub fn draw(parameters: &Parameters, regions: usize, dice: &mut Dice) -> Self {
        let (wanted, mut world) =
            (&parameters.world, Self { parties: vec![], targets: vec![], regions: vec![], offsets: vec![] });
        let providers = dice.whole(wanted.providers);
        let mut at_least = dice.whole(wanted.targets);
        for key in &PROVIDERS[..providers] {
            world.provider(key, parameters, dice);
        }
        for number in 0..dice.whole(wanted.services) {
            world.service(number, providers, parameters, dice);
        }
        for number in 0..dice.whole(wanted.controls) {
            let protocol = *dice.pick(&["http", "dns", "tcp", "http"]).unwrap_or(&"http");
            let key: Arc<str> = format!("control-{}", number + 1).into();
            world.parties.push(Party {
                key: key.clone(),
                kind: PartyKind::Control,
                products: vec![],
                depends_on: vec![],
            });
            world.target(key.to_string(), None, protocol, false, parameters, dice);
        }
        // More probes of the products that are there, until there are as many as wanted.
        at_least = at_least.max(world.targets.len());
        while world.targets.len() < at_least {
            let (party, product) = {
                let provider = dice.below(providers);
                (provider, dice.pick(&world.parties[provider].products).cloned())
            };
            world.probe_of(party, product, false, parameters, dice);
        }
        world.flapper(parameters, dice);
        world.places(parameters, regions, dice);
        world
    }

    fn provider(&mut self, key: &str, parameters: &Parameters, dice: &mut Dice) {
        let count = dice.whole(parameters.world.products);
        let mut products: Vec<Arc<str>> = PRODUCTS.iter().map(|name| Arc::from(*name)).collect();
        dice.shuffle(&mut products);
        products.truncate(count);
        let party = self.parties.len();
        self.parties.push(Party {
            key: key.into(),
            kind: PartyKind::Provider,
            products: products.clone(),
            depends_on: vec![],
        });
        for product in products {
            // One probe without a credential tells that the host lives.
            self.probe_of(party, Some(product.clone()), true, parameters, dice);
            for _ in 1..dice.whole(parameters.world.probes_of_product).max(1) {
                self.probe_of(party, Some(product.clone()), false, parameters, dice);
            }
        }
    }

    fn probe_of(
        &mut self,
        party: usize,
        product: Option<Arc<str>>,
        bare: bool,
        parameters: &Parameters,
        dice: &mut Dice,
    ) {
        let protocols: &[&'static str] =
            if bare { &["http", "http", "tls", "grpc"] } else { &["http", "websocket", "grpc", "mqtt", "http"] };
        let protocol = *dice.pick(protocols).unwrap_or(&"http");
        let number = self.targets.iter().filter(|target| target.party == party && target.product == product).count();
        let name = format!("{}-{}-{number}", self.parties[party].key, product.as_deref().unwrap_or("all"));
        let credentialed = !bare && dice.chance(parameters.world.credentialed);
        self.targets.push(Target { party, ..Self::blank(name, product, protocol, credentialed, parameters, dice) });
    }

    fn service(&mut self, number: usize, providers: usize, parameters: &Parameters, dice: &mut Dice) {
        let mut stands_on: Vec<usize> = (0..providers).collect();
        dice.shuffle(&mut stands_on);
        stands_on.truncate(dice.whole([1, 2]));
        let key: Arc<str> = if number == 0 { "api".into() } else { format!("app-{number}").into() };
        let with_products = dice.chance(0.4);
        let products: Vec<Arc<str>> = if with_products { vec!["front".into(), "checkout".into()] } else { vec![] };
        self.parties.push(Party {
            key: key.clone(),
            kind: PartyKind::Us,
            products: products.clone(),
            depends_on: stands_on,
        });
        for (index, deep) in [false, true].into_iter().enumerate() {
            for copy in 0..dice.whole([1, 2]) {
                let name = format!("{key}-{}-{copy}", if deep { "deep" } else { "shallow" });
                let target = self.target(name, products.get(index).cloned(), "http", false, parameters, dice);
                target.deep = deep;
            }
        }
    }

    /// Adds a target of the newest party.
    fn target(
        &mut self,
        probe: String,
        product: Option<Arc<str>>,
        protocol: &'static str,
        credentialed: bool,
        parameters: &Parameters,
        dice: &mut Dice,
    ) -> &mut Target {
        let party = self.parties.len() - 1;
        let target = Target { party, ..Self::blank(probe, product, protocol, credentialed, parameters, dice) };
        self.targets.push(target);
        let last = self.targets.len() - 1;
        &mut self.targets[last]
    }

    fn blank(
        probe: String,
        product: Option<Arc<str>>,
        protocol: &'static str,
        credentialed: bool,
        parameters: &Parameters,
        dice: &mut Dice,
    ) -> Target {
        let server = dice.between(parameters.world.server_ms.map(f64::ln)).exp() / 1_000.0;
        let strict = dice.chance(parameters.world.strict).then_some(server * 4.0 + 1.0);
        let timeout = dice.between(parameters.world.timeout).round();
        let probe = probe.into();
        Target { probe, party: 0, product, protocol, credentialed, deep: false, server, flaps: 0.0, strict, timeout }
    }

    fn flapper(&mut self, parameters: &Parameters, dice: &mut Dice) {
        let worse = dice.chance(parameters.noise.worse_flapping);
        let rate = if worse { parameters.noise.worse_rate } else { dice.between(parameters.noise.flapping) };
        let candidates: Vec<usize> = (0..self.targets.len()).filter(|t| self.kind(*t) != PartyKind::Control).collect();
        if let Some(unlucky) = dice.pick(&candidates) {
            self.targets[*unlucky].flaps = rate;
        }
    }

    fn places(&mut self, parameters: &Parameters, regions: usize, dice: &mut Dice) {
        let (wanted, noise) = (&parameters.world, &parameters.noise);
        let split = dice.chance(wanted.split_credentials);
        let aligned = dice.chance(wanted.aligned);
        // One region alone is the far one now and then.
        let far = if regions == 1 { dice.chance(0.3).then_some(0) } else { Some(dice.below(regions)) };
        let odd = dice.below(regions.max(3));
        for (index, name) in NAMES.iter().take(regions).enumerate() {
            let mut rtt = dice.between(wanted.rtt_ms) / 1_000.0;
            let mut loss = 0.0;
            if far == Some(index) {
                rtt *= dice.between(wanted.far);
                loss = dice.between(wanted.far_loss);
            }
            let clock = if odd == index {
                noise.odd_clock_seconds * if dice.chance(0.5) { 1.0 } else { -1.0 }
            } else {
                dice.between([-noise.clock_seconds, noise.clock_seconds])
            };
            let credential = if split && index % 2 == 1 { "b" } else { "a" };
            let uplink = dice.between([0.05, 1.5]);
            self.regions.push(Region { name: (*name).into(), rtt, loss, clock, credential, uplink });
            // As our scheduler does: a slot of the region's own, then golden-ratio steps.
            let start = dice.unit();
            for rank in 0..self.targets.len() {
                let at = (start + rank as f64 * 0.618_033_988_75).fract() * INTERVAL;
                self.offsets.push(if aligned { 0.0 } else { at });
            }
        }
    }

    pub fn kind(&self, target: usize) -> PartyKind {
        self.parties[self.targets[target].party].kind
    }

    pub fn subject(&self, target: usize) -> Subject {
        let target = &self.targets[target];
        Subject { party: self.parties[target.party].key.clone(), product: target.product.clone() }
    }

    pub fn cells(&self) -> usize {
        self.offsets.len()
    }
}
