//! A part of the world that can fail as one: a probe, a product, a party, a region, or one of these seen from one region.
//! Adds up evidence for a fault of each severity round by round (`run`), begun anew whenever it falls to nothing.

use super::{
    cell::Sample,
    noise::{Rate, SEVERITIES},
    places::put_in_order,
    run::{Run, holds},
};

/// What a part is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Scope {
    Probe(usize),
    Subject(usize),
    Party(usize),
    /// All that is seen from a region.
    Everything,
}

/// What can be wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Channel {
    /// Attempts fail.
    Failing,
    /// Attempts succeed and take long.
    Slow,
    /// Our own vantage point cannot say.
    Inconclusive,
}

impl Channel {
    /// Whether a sample says anything in it.
    pub(super) fn counts(self, sample: &Sample) -> bool {
        sample.is_conclusive() && (self != Self::Slow || !sample.is_down())
    }

    /// Whether it is bad in it.
    pub(super) fn is_bad(self, sample: &Sample) -> bool {
        match self {
            Self::Slow => sample.slow && !sample.is_down(),
            _ => sample.is_down(),
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) scope: Scope,
    pub(super) region: Option<usize>,
    pub(super) cells: Vec<usize>,
    /// Length of a round in milliseconds.
    pub(super) interval: i64,
    /// Rounds' worth of evidence that raise an alarm.
    pub(super) wanted: f32,
    runs: [[Option<Run>; SEVERITIES.len()]; 3],
    /// Whether there were any of these when they were last looked at, or since.
    pub(super) stirred: bool,
    /// The severity of the alarm, by channel.
    alarmed: [Option<usize>; 3],
    /// When its newest bad sample was due, by channel.
    last_bad: [i64; 3],
    /// When its alarm was last on, by channel.
    rung: [i64; 3],
    /// How often cells of it fail normally, together.
    pub(super) around: f32,
    /// How often it fails in all regions, where it is looked at from several.
    everywhere: Rate,
}

/// How strong the evidence for a fault is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Strength {
    /// In rounds' worth: a round in which all that is covered fails is worth one.
    pub(super) rounds: f32,
    /// Which of the [`SEVERITIES`] fits best.
    pub(super) severity: usize,
    /// When the evidence began, in milliseconds.
    pub(super) since: i64,
}

impl Part {
    pub(super) fn new(scope: Scope, region: Option<usize>, wanted: f32) -> Self {
        Self {
            scope,
            region,
            cells: vec![],
            interval: i64::MAX,
            wanted,
            runs: Default::default(),
            stirred: false,
            alarmed: [None; 3],
            last_bad: [i64::MIN; 3],
            rung: [i64::MIN; 3],
            around: 0.0,
            everywhere: Rate::default(),
        }
    }

    pub(super) fn cover(&mut self, cell: usize, interval: i64) {
        put_in_order(&mut self.cells, cell);
        self.interval = self.interval.min(interval);
    }

    /// Counts in rounds of another length from now on: what was counted in the former is begun anew.
    pub(super) fn count_in(&mut self, interval: i64) {
        if interval != self.interval {
            self.interval = interval;
            self.runs = Default::default();
            self.alarmed = [None; 3];
        }
    }

    /// Takes the evidence of one sample.
    pub(super) fn feed(&mut self, channel: Channel, at: i64, bad: bool, evidence: [f32; SEVERITIES.len()]) {
        if bad {
            self.last_bad[channel as usize] = self.last_bad[channel as usize].max(at);
        }
        for (severity, (run, evidence)) in self.runs[channel as usize].iter_mut().zip(evidence).enumerate() {
            match run {
                Some(going) => {
                    going.feed(at, evidence, self.interval, severity, self.wanted);
                    if going.is_nothing() {
                        *run = None;
                    }
                }
                None if bad => {
                    *run = Some(Run::begin(at, evidence, severity, self.wanted));
                    self.stirred = true;
                }
                None => {}
            }
        }
    }

    /// Learns how often its cells fail normally.
    pub(super) fn learn(&mut self, bad: bool) {
        // About the last 250 looks of all its cells: what is normal around one of them wanders with the party.
        self.around += (f32::from(u8::from(bad)) - self.around) * 0.004;
    }

    pub(super) fn learn_everywhere(&mut self, bad: bool) {
        self.everywhere.learn(bad, 400.0);
    }

    /// What fails often in other regions does so here too.
    pub(super) fn elsewhere(&self) -> f32 {
        self.everywhere.share(0.005, 80.0)
    }

    /// The strongest evidence for a fault, if there is any.
    pub(super) fn strength(&self, channel: Channel) -> Option<Strength> {
        let of = |(severity, run): (usize, &Option<Run>)| {
            let run = run.as_ref()?;
            Some(Strength { rounds: run.rounds(severity), severity, since: run.anchor() })
        };
        let runs = self.runs[channel as usize].iter().enumerate().filter_map(of);
        runs.max_by(|one, other| one.rounds.total_cmp(&other.rounds))
    }

    pub(super) const fn is_idle(&self, channel: Channel) -> bool {
        matches!(self.runs[channel as usize], [None, None, None])
    }

    /// Raises or ends its alarm, after the evidence at hand: an alarm is raised by as many bad rounds as are wanted, for
    /// the hardest fault that fits. It ends when clearly fewer are left for a fault as hard, and its evidence with it:
    /// what comes then is another row.
    pub(super) fn alarm(&mut self, channel: Channel) -> bool {
        let runs = &self.runs[channel as usize];
        let reaches =
            |severity: usize, needed: f32| runs[severity].as_ref().is_some_and(|run| run.rounds(severity) >= needed);
        let before = self.alarmed[channel as usize];
        let raised = (0..SEVERITIES.len()).rev().find(|severity| reaches(*severity, self.wanted));
        let held = before.filter(|severity| reaches(*severity, holds(*severity, self.wanted)));
        self.alarmed[channel as usize] = raised.max(held);
        if before.is_some() && held.is_none() {
            self.alarmed[channel as usize] = None;
            self.runs[channel as usize] = [None, None, None];
        }
        self.alarmed[channel as usize].is_some()
    }

    /// Notes that its alarm is on.
    pub(super) fn ring(&mut self, channel: Channel, now: i64) {
        self.rung[channel as usize] = now;
    }

    /// Whether its alarm was on since an instant.
    pub(super) fn rang_since(&self, channel: Channel, at: i64) -> bool {
        self.rung[channel as usize] >= at
    }

    /// Whether anything about it is worth a look.
    pub(super) fn is_suspicious(&self, now: i64) -> bool {
        let channels = [Channel::Failing, Channel::Slow, Channel::Inconclusive];
        channels.into_iter().any(|channel| !self.is_idle(channel) && self.suspicion(channel, now).is_some())
    }

    /// What is worth a look: an alarm, or nearly a bad round's worth of evidence that is not getting old.
    pub(super) fn suspicion(&self, channel: Channel, now: i64) -> Option<Strength> {
        let strength = self.strength(channel)?;
        let lately = now - self.last_bad[channel as usize] <= self.interval.saturating_mul(2);
        let look = if channel == Channel::Slow { LOOK_SLOW } else { LOOK };
        (self.alarmed[channel as usize].is_some() || lately && strength.rounds >= look).then_some(strength)
    }
}

/// From so many rounds' worth of evidence on something is worth a look: nearly one bad round.
const LOOK: f32 = 0.8;
/// What is only slow for once is no news.
const LOOK_SLOW: f32 = 1.6;
