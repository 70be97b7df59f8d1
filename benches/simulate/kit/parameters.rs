//! The scenarios as data: what `tune.yaml` and `report.yaml` say. Owns their shape, nothing else.

use std::collections::BTreeMap;

use serde::Deserialize;
use usoryou::model::{Cause, Kind, Phase};

/// From and to, evenly.
pub type Range = [f64; 2];
/// From and to in whole numbers, both included.
pub type Whole = [usize; 2];

/// One set: to tune on, or to report on.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    pub seed: u64,
    pub world: Worlds,
    pub noise: Noise,
    /// Ways to fail, by name.
    pub symptoms: BTreeMap<String, Vec<Symptom>>,
    /// Faults, by kind.
    pub faults: BTreeMap<String, Recipe>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Worlds {
    pub targets: Whole,
    pub providers: Whole,
    pub products: Whole,
    pub probes_of_product: Whole,
    pub services: Whole,
    pub controls: Whole,
    /// Share of the probes at providers that use a credential.
    pub credentialed: f64,
    /// Share of worlds in which regions use two different credentials.
    pub split_credentials: f64,
    /// Share of worlds in which every probe of every region begins with the round.
    pub aligned: f64,
    /// Share of probes that call an answer degraded when it took long.
    pub strict: f64,
    /// Seconds after which a probe gives up.
    pub timeout: Range,
    pub rtt_ms: Range,
    pub server_ms: Range,
    /// How many times further away the far region is.
    pub far: Range,
    pub far_loss: Range,
    /// Minutes of quiet before a fault begins.
    pub lead_in: Range,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Noise {
    /// Failure rate of an ordinary cell, before it wanders; drawn evenly in its logarithm.
    pub rate: Range,
    pub most: f64,
    /// Failure rate of the probe that always flaps.
    pub flapping: Range,
    /// Share of worlds in which it flaps more.
    pub worse_flapping: f64,
    pub worse_rate: f64,
    /// Spread (in the logarithm) and memory in hours of what party and region share, and of what a cell has alone.
    pub shared_walk: Range,
    pub own_walk: Range,
    pub walk_hours: Range,
    pub region_blips_a_month: f64,
    pub target_blips_a_month: f64,
    pub provider_blips_a_month: f64,
    /// Share of them that last two rounds and not one.
    pub longer_provider_blips: f64,
    /// Share of worlds whose blips begin with a round, and not at any moment.
    pub blips_on_rounds: f64,
    /// Share of requests that fail in a blip.
    pub blip_share: Range,
    pub diurnal: Range,
    /// Share of requests that take far longer, and the exponent of how much longer.
    pub heavy_tail: Range,
    pub tail_exponent: Range,
    pub late: f64,
    /// Rounds that a late one is late on average.
    pub late_rounds: f64,
    pub lost: Range,
    pub doubled: f64,
    pub clock_seconds: f64,
    pub odd_clock_seconds: f64,
    pub stalls_a_week: f64,
    pub stall_minutes: Range,
    pub releases_a_week: f64,
    pub starved_rounds_a_week: f64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Symptom {
    #[serde(default = "one")]
    pub weight: f64,
    pub phase: Phase,
    pub kind: Kind,
    #[serde(default)]
    pub status: Option<u16>,
    /// Seconds that the other side asks us to wait; rounds until then are skipped after a 429.
    #[serde(default)]
    pub retry_after: Option<u16>,
    #[serde(default)]
    pub inconclusive: bool,
}

fn one() -> f64 {
    1.0
}

/// A kind of fault.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    pub truth: Vec<TruthRecipe>,
    pub minutes: Range,
    /// Most requests fail: its delay counts.
    #[serde(default)]
    pub most: bool,
    /// Nothing fails: a verdict is enough.
    #[serde(default)]
    pub slow: bool,
    /// With several truths, one of them is enough.
    #[serde(default)]
    pub any: bool,
    #[serde(default = "fewest")]
    pub min_regions: usize,
    /// Cannot be separated, so it is not asked, with more regions than this.
    #[serde(default = "most_regions")]
    pub max_regions: usize,
    pub effects: Vec<EffectRecipe>,
}

fn fewest() -> usize {
    1
}

fn most_regions() -> usize {
    usize::MAX
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TruthRecipe {
    /// `ok`: nobody must be told anything.
    pub cause: Cause,
    pub about: About,
    /// True, but need not be said.
    #[serde(default)]
    pub optional: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    Victim,
    OtherVictim,
    Service,
    Region,
    Nobody,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    #[default]
    Victim,
    OtherVictim,
    Service,
    Control,
    Everything,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    #[default]
    All,
    /// One product.
    Product,
    /// One probe of one product.
    Probe,
    Credentialed,
    /// All that speak one protocol.
    Protocol,
    Deep,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Where {
    #[default]
    All,
    One,
    /// Two of five.
    Few,
    /// Those that share a credential with the one region.
    SameCredential,
    AllBut,
}

/// One thing that a fault does.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EffectRecipe {
    /// Share of the cases in which it happens at all.
    #[serde(default = "one")]
    pub chance: f64,
    #[serde(default)]
    pub whose: Whose,
    #[serde(default)]
    pub which: Which,
    #[serde(default)]
    pub regions: Where,
    /// Share of requests.
    #[serde(default = "all_requests")]
    pub share: Range,
    /// Begins so many seconds after the onset (and ends so many later).
    #[serde(default)]
    pub lag: Range,
    /// Minutes on, minutes off.
    #[serde(default)]
    pub on_off: Option<[Range; 2]>,
    /// Ways to fail, one of which is drawn for the case.
    #[serde(default)]
    pub fails: Vec<String>,
    /// The server's time is multiplied.
    #[serde(default)]
    pub slower: Option<Range>,
    /// So is the network's.
    #[serde(default)]
    pub network: bool,
    #[serde(default)]
    pub silent: bool,
    /// Seconds by which the clock jumps, either way.
    #[serde(default)]
    pub clock: Option<Range>,
    /// A new build from the onset on.
    #[serde(default)]
    pub build: bool,
    #[serde(default)]
    pub config: bool,
}

fn all_requests() -> Range {
    [1.0, 1.0]
}
