//! One probe seen from one vantage point over one kind of connection: its newest samples, and what is normal for it.
//! Bounded in samples; late ones find their place.

use std::collections::VecDeque;

use super::{
    noise::{Noise, Pace},
    part::Channel,
};
use crate::model::{Failure, Kind, Outcome, Phase};

/// Samples kept per cell.
pub(super) const SAMPLES: usize = 64;
/// So many newest samples wait before they are learned from: an alarm that they raise comes first.
const WAIT: usize = 12;
/// Milliseconds after which another pace is the usual one.
const SETTLES: i64 = 3_600_000;

/// What stays of an observation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    /// When it was due, in milliseconds since 1970.
    pub(super) at: i64,
    pub(super) outcome: Outcome,
    pub(super) failure: Option<(Phase, Kind)>,
    /// Out of the usual, or told so by the probe's own expectation.
    pub(super) slow: bool,
    /// Seconds.
    pub(super) duration: f32,
    /// Whether a name was resolved on the way.
    pub(super) resolved: bool,
    pub(super) http_status: u16,
    /// Numbers of build, configuration and credential; zero for none.
    pub(super) build: u32,
    pub(super) config: u32,
    pub(super) credential: u32,
}

impl Sample {
    pub(super) fn is_down(&self) -> bool {
        self.outcome == Outcome::Down
    }

    pub(super) fn is_conclusive(&self) -> bool {
        self.outcome != Outcome::Inconclusive
    }

    /// Whether it answers, however long that takes.
    pub(super) fn is_up(&self) -> bool {
        self.is_conclusive() && !self.is_down()
    }
}

#[derive(Debug, Clone)]
pub(super) struct Cell {
    pub(super) probe: usize,
    pub(super) region: usize,
    /// The newest samples, oldest first.
    pub(super) samples: VecDeque<Sample>,
    /// The newest failure in full.
    pub(super) failure: Option<Failure>,
    pub(super) failing: Noise,
    pub(super) slowness: Noise,
    pub(super) pace: Pace,
    /// The parts of the world that cover it, from the smallest: each everywhere, then in its region; last, everything in
    /// its region.
    pub(super) parts: Vec<usize>,
    /// What an alarm covers is not learned: from and until when.
    excused: (i64, i64),
    learned_to: i64,
    /// How many of the samples are down.
    downs: usize,
    /// When the present row of good samples began.
    good_from: Option<i64>,
}

impl Cell {
    pub(super) fn new(probe: usize, region: usize, parts: Vec<usize>) -> Self {
        Self {
            probe,
            region,
            samples: VecDeque::new(),
            failure: None,
            failing: Noise::new(0.015, 0.002),
            slowness: Noise::new(0.02, 0.01),
            pace: Pace::default(),
            parts,
            excused: (0, 0),
            learned_to: i64::MIN,
            downs: 0,
            good_from: None,
        }
    }

    /// What is normal for it in a channel.
    pub(super) const fn noise(&self, channel: Channel) -> &Noise {
        if matches!(channel, Channel::Slow) { &self.slowness } else { &self.failing }
    }

    /// Puts a sample in its place by time. Says whether there was room for it: not for a second one of the same instant,
    /// nor for one older than all that are remembered.
    pub(super) fn insert(&mut self, sample: Sample) -> Result<(), Refused> {
        let place = self.samples.iter().rposition(|one| one.at <= sample.at);
        match place {
            Some(place) if self.samples[place].at == sample.at => return Err(Refused::Duplicate),
            None if self.samples.len() == SAMPLES => return Err(Refused::TooOld),
            _ => {}
        }
        let mut place = place.map_or(0, |place| place + 1);
        // Room is made first: one sample more than there is room for would double the room.
        if self.samples.len() == SAMPLES {
            let oldest = self.samples.pop_front();
            self.downs -= usize::from(oldest.is_some_and(|oldest| oldest.is_down()));
            place -= 1;
        }
        self.samples.insert(place, sample);
        self.downs += usize::from(sample.is_down());
        if place + 1 < self.samples.len() {
            let conclusive = self.samples.iter().rev().filter(|sample| sample.is_conclusive());
            self.good_from = conclusive.take_while(|sample| sample.is_up()).last().map(|sample| sample.at);
        } else if sample.is_down() {
            self.good_from = None;
        } else if sample.is_conclusive() {
            self.good_from.get_or_insert(sample.at);
        }
        Ok(())
    }

    /// Learns from what has waited long enough. `around` is the share of failures that is normal around it.
    pub(super) fn learn(&mut self, around: f32) -> Option<bool> {
        let sample = *self.samples.get(self.samples.len().checked_sub(WAIT)?)?;
        if sample.at <= self.learned_to {
            return None;
        }
        self.learned_to = sample.at;
        if !sample.is_conclusive() {
            return None;
        }
        if (self.excused.0..=self.excused.1).contains(&sample.at) {
            // What has been slow for an hour is how it is now. What fails for however long is not.
            if sample.at - self.excused.0 > SETTLES && !sample.is_down() {
                self.slowness.learn(sample.slow, 0.0);
                self.pace.learn(sample.duration);
            }
            return None;
        }
        self.failing.learn(sample.is_down(), around);
        if !sample.is_down() {
            self.slowness.learn(sample.slow, 0.0);
            self.pace.learn(sample.duration);
        }
        Some(sample.is_down())
    }

    /// The first samples teach how long it takes at once, whatever is told meanwhile: until then nothing is slow.
    pub(super) fn learn_pace_early(&mut self, sample: &Sample) {
        if self.pace.usual().is_none() && matches!(sample.outcome, Outcome::Up | Outcome::Degraded) {
            self.pace.learn(sample.duration);
        }
    }

    /// An alarm that began at `from` covers the cell now.
    pub(super) fn excuse(&mut self, from: i64, now: i64) {
        let (_, until) = self.excused;
        // An alarm that goes on is one span.
        self.excused = if from <= until { (self.excused.0.min(from), now) } else { (from, now) };
    }

    /// Whether any of the samples is down.
    pub(super) const fn has_failed(&self) -> bool {
        self.downs > 0
    }

    /// The newest sample that says anything.
    pub(super) fn newest(&self) -> Option<&Sample> {
        // It is the last one most of the time.
        let last = self.samples.back().filter(|sample| sample.is_conclusive());
        last.or_else(|| self.samples.iter().rev().find(|sample| sample.is_conclusive()))
    }

    /// Samples due since an instant, oldest first.
    pub(super) fn since(&self, at: i64) -> impl DoubleEndedIterator<Item = &Sample> {
        let begin = self.samples.partition_point(|sample| sample.at < at);
        self.samples.range(begin..)
    }

    /// When the present row of good samples began, if a bad one is remembered before it.
    pub(super) fn good_since(&self) -> Option<i64> {
        self.good_from.filter(|_| self.has_failed())
    }
}

/// Why a sample was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    Duplicate,
    TooOld,
}
