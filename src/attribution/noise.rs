//! What is normal for one cell: how often it fails, and how long it takes. Learned late and never from what an alarm
//! covers, so that a fault does not become normal while it lasts.

/// How bad a fault is, as the share of attempts that fail on top of what is normal.
pub(super) const SEVERITIES: [f32; 3] = [0.25, 0.5, 0.95];

/// No single sample says more than this, in nats: a cell that is always well may still fail once for its own reasons.
const MOST: f32 = 4.0;

/// A share that is learned by forgetting.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rate {
    hits: f32,
    all: f32,
}

impl Rate {
    pub(super) fn learn(&mut self, hit: bool, memory: f32) {
        let keep = 1.0 - 1.0 / memory;
        self.hits = self.hits * keep + f32::from(u8::from(hit));
        self.all = self.all * keep + 1.0;
    }

    /// The share, begun with what is expected and as many samples as that is worth.
    pub(super) fn share(self, expected: f32, worth: f32) -> f32 {
        (self.hits + expected * worth) / (self.all + worth)
    }
}

/// How often something is bad that should not be: over the last 2,000 looks or so (17 hours of one every 30 s), and over the
/// last 150 (75 minutes). All figures here were tuned with `make simulate`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Noise {
    slow: Rate,
    fast: Rate,
    expected: f32,
    floor: f32,
    /// Likelihood ratio of one bad sample for each severity, in nats.
    bad: [f32; SEVERITIES.len()],
    since_updated: u8,
}

impl Noise {
    pub(super) fn new(expected: f32, floor: f32) -> Self {
        let mut noise = Self {
            slow: Rate::default(),
            fast: Rate::default(),
            expected,
            floor,
            bad: [0.0; SEVERITIES.len()],
            since_updated: 0,
        };
        noise.update(0.0);
        noise
    }

    pub(super) fn learn(&mut self, bad: bool, around: f32) {
        self.slow.learn(bad, 2_000.0);
        self.fast.learn(bad, 150.0);
        self.since_updated += 1;
        if bad || self.since_updated >= 8 {
            self.update(around);
        }
    }

    /// The share that is normal now.
    pub(super) fn share(&self) -> f32 {
        let slow = self.slow.share(self.expected, 150.0);
        slow.max(self.fast.share(slow, 40.0)).clamp(self.floor, 0.97)
    }

    /// `around` is what is normal around it, where cells get worse together.
    fn update(&mut self, around: f32) {
        self.since_updated = 0;
        let normal = self.share().max(around.min(0.6));
        for (bad, severity) in self.bad.iter_mut().zip(SEVERITIES) {
            let failing = 1.0 - (1.0 - normal) * (1.0 - severity);
            *bad = (failing / normal).ln();
        }
    }

    /// Evidence for a fault of each severity in one sample, in nats; no single one may say too much.
    pub(super) fn evidence(&self, bad: bool) -> [f32; SEVERITIES.len()] {
        if bad { self.bad.map(|evidence| evidence.min(MOST)) } else { GOOD }
    }

    /// The same as it is, to tell one severity from another.
    pub(super) const fn likelihood(&self, bad: bool) -> [f32; SEVERITIES.len()] {
        if bad { self.bad } else { GOOD }
    }
}

/// What a bad sample of a cell that fails once in a hundred looks says for a full fault, in nats.
pub(super) const FULL: f32 = 4.5;

/// Evidence of one good sample: `ln(1 - severity)`, whatever is normal.
pub(super) const GOOD: [f32; SEVERITIES.len()] = [-0.287_682, -std::f32::consts::LN_2, -2.995_732];

/// How long a cell takes: the middle and the usual distance from it, of the logarithm.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    middle: f32,
    spread: f32,
    learned: u32,
}

impl Pace {
    /// Samples before anything is called slow.
    const ENOUGH: u32 = 20;

    pub(super) fn learn(&mut self, seconds: f32) {
        let Some(x) = log(seconds) else { return };
        self.learned = self.learned.saturating_add(1);
        if self.learned == 1 {
            (self.middle, self.spread) = (x, 0.2);
            return;
        }
        let step = (2.0 / f32::from(u16::try_from(self.learned).unwrap_or(u16::MAX))).max(0.02);
        let off = x - self.middle;
        // A step of bounded length follows the middle and not the outliers.
        let reach = 2.0 * self.spread.max(0.05);
        self.middle += step * off.clamp(-reach, reach);
        self.spread += step * (off.abs().min(4.0 * self.spread.max(0.05)) - self.spread);
    }

    /// Whether so long is out of the usual.
    pub(super) fn is_slow(&self, seconds: f32) -> bool {
        let Some(x) = log(seconds) else { return false };
        let out_of_the_usual = x - self.middle > (3.0 * self.spread).clamp(SLOW, MUCH);
        self.learned >= Self::ENOUGH && out_of_the_usual && seconds - self.middle.exp() > NOTICED
    }

    /// Whether it takes hardly longer than it usually does, as far as is known.
    pub(super) fn is_as_usual(&self, seconds: f32) -> bool {
        self.usual().is_none_or(|usual| seconds < usual * 1.4)
    }

    /// Whether it takes about so many seconds more than usual; `None` where so little is lost in what is usual.
    pub(super) fn shows(&self, seconds: f32, added: f32) -> Option<bool> {
        let usual = self.usual()?;
        let wavers = usual * ((1.5 * self.spread).exp() - 1.0);
        // Not everything that adds to it elsewhere adds as much here.
        let enough = (added * 0.35).max(wavers).min(added / 2.0);
        (added > wavers).then_some(seconds - usual > enough)
    }

    /// The usual, in seconds.
    pub(super) fn usual(&self) -> Option<f32> {
        (self.learned >= Self::ENOUGH).then(|| self.middle.exp())
    }
}

/// `ln 1.8`: less than this is not slow, however steady it was.
const SLOW: f32 = 0.588;
/// `ln 3`: more than this is slow, however unsteady it was.
const MUCH: f32 = 1.1;

/// In seconds: whoever waits so little longer notices nothing, and a busy machine adds as much.
const NOTICED: f32 = 0.01;

fn log(seconds: f32) -> Option<f32> {
    (seconds > 0.0 && seconds.is_finite()).then(|| seconds.max(1e-4).ln())
}
