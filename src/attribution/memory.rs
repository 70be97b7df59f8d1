//! What is remembered of a party between two judgements: explanations do not change at every breath.

use super::{explain::Case, hypotheses::Label, index::Index, lasting::rounds_between, part::Channel};

/// How long it is remembered when something was over: half an hour.
const AFTERWARDS: i64 = 30 * 60_000;

/// How long after a party was told to be bad as a whole what fails of it must show itself anew.
const ECHO: i64 = 10 * 60_000;

/// What nearly opened so often within this time is no row of blips: a quarter of an hour.
const BURSTS: (usize, i64) = (3, 15 * 60_000);

/// What is remembered of a party between two judgements: explanations do not change at every breath.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory {
    pub(super) held: Vec<Held>,
    /// What is over: what was due until then is no evidence any more, by subject.
    over: Vec<(usize, Channel, i64)>,
    /// When people were last told that all of it is bad.
    pub(super) told_whole: Option<i64>,
    /// When what nobody was told of lasted for all but a round of what it takes.
    bursts: Vec<(Label, i64)>,
    /// When people were last told of anything that lasted for long enough by itself.
    told_at: Option<i64>,
    /// When something was last told because it comes and goes.
    usual_at: Option<i64>,
    active: bool,
}

impl Memory {
    /// Until when what was due is no evidence any more against a subject.
    pub(super) fn over_until(&self, subject: usize, channel: Channel) -> Option<i64> {
        let of_it = self.over.iter().filter(|(one, of, _)| *one == subject && *of == channel);
        of_it.map(|(.., until)| *until).max()
    }

    pub(super) fn end(&mut self, subjects: &[usize], channel: Channel, now: i64) {
        self.over
            .retain(|(subject, of, until)| now - until < AFTERWARDS && !(*of == channel && subjects.contains(subject)));
        self.over.extend(subjects.iter().map(|subject| (*subject, channel, now)));
    }

    /// What fails of a party that was only just bad as a whole is an echo of that, unless it goes on for long.
    pub(super) fn calm_down(&self, case: &mut Case, interval: i64) {
        if let Some(at) = self.told_whole {
            case.rounds = case.rounds.min(rounds_between(at, case.last_bad, interval) - 1.0).max(0.0);
        }
    }

    /// Takes note that something began at an instant and has lasted for all but a round of what it takes to be told: whether
    /// it has done so again and again. Each time would be over before it is told.
    pub(super) fn is_usual(&mut self, label: &Label, onset: i64, interval: i64, now: i64) -> bool {
        self.bursts.retain(|(_, at)| now - at < BURSTS.1);
        if self.told_at.is_some_and(|told| now - told < BURSTS.1) {
            return false;
        }
        let same = |(one, at): &(Label, i64)| one == label && (onset - at).abs() <= 2 * interval;
        if !self.bursts.iter().any(same) {
            self.bursts.push((label.clone(), onset));
        }
        let usual = self.bursts.iter().filter(|(one, _)| one == label).count() >= BURSTS.0;
        self.usual_at = if usual { Some(now) } else { self.usual_at };
        usual
    }

    pub(super) const fn is_calm(&self) -> bool {
        !self.active
    }

    /// Whether people were told of anything that goes on.
    pub(super) fn has_told(&self) -> bool {
        self.held.iter().any(|held| held.told)
    }

    /// Keeps what a judgement came to. `open` are the subjects that nothing explains.
    pub(super) fn keep(&mut self, held: Vec<Held>, cases: &[Case], open: &[usize], index: &Index, now: i64) {
        // What was told and is not there any more is over, whether or not it was asked after.
        for channel in [Channel::Failing, Channel::Slow] {
            let gone = self.held.iter().filter(|held| held.told && held.channel == channel);
            let mut gone: Vec<usize> = gone.flat_map(|held| held.label.meant(index)).collect();
            gone.retain(|subject| !cases.iter().any(|case| case.channel == channel && case.subjects.contains(subject)));
            gone.retain(|subject| open.contains(subject));
            if !gone.is_empty() {
                self.end(&gone, channel, now);
            }
        }
        self.active = !cases.is_empty();
        if held.iter().any(|held| held.told) && self.usual_at.is_none_or(|usual| now - usual > BURSTS.1) {
            self.told_at = Some(now);
            self.bursts.clear();
        }
        self.told_whole = self.told_whole.filter(|at| now - at < ECHO);
        self.held = held;
        if self.held.iter().any(|held| held.told && held.label.is_whole()) {
            self.told_whole = Some(now);
        }
    }
}

/// An explanation that people were told of, or of what goes on after one.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) label: Label,
    pub(super) channel: Channel,
    pub(super) told: bool,
    /// From when on it counts, where it came after another.
    pub(super) since: Option<i64>,
    /// Which of the severities it has.
    pub(super) severity: usize,
}
