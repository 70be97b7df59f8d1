//! What explains best that a party looks bad: a fault of all of it, of a product, of one host, of the way there from some
//! regions, of our credential, our quota, our release. The worst that is seen of it is explained first, then what that
//! leaves open; what was told before is remembered in between.

use super::{
    World,
    absorb::Seen,
    confirmed::Confirmations,
    hypotheses::Label,
    inquiry::{Answer, FULL, Inquiry},
    memory::{Held, Memory},
    part::Channel,
    suspect::strongest,
};
use crate::model::{Cause, Failure, Reason, is_enough};

/// More independent faults of one party at once are more than anybody can take in.
const MOST: usize = 4;

/// A party, and all that is known when it is looked at.
pub(super) struct Scene<'a> {
    pub(super) world: &'a World,
    pub(super) seen: &'a Seen,
    pub(super) confirmations: &'a Confirmations,
    pub(super) party: usize,
    /// By region, whether what it sees counts, and whether also how long it took.
    pub(super) sound: &'a [bool],
    pub(super) steady: &'a [bool],
    /// In milliseconds.
    pub(super) now: i64,
}

impl Scene<'_> {
    /// Whether what is seen from a region counts in a channel.
    pub(super) fn counts(&self, region: usize, channel: Channel) -> bool {
        self.sound[region] && (channel != Channel::Slow || self.steady[region])
    }

    /// Rounds' worth of evidence that it takes to be told.
    pub(super) fn patience(&self) -> f32 {
        f32::from(u16::try_from(self.world.open_after).unwrap_or(u16::MAX))
    }
}

/// An explanation of some of a party's subjects.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) subjects: Vec<usize>,
    /// The whole party, not some of its products.
    pub(super) whole: bool,
    pub(super) cause: Cause,
    pub(super) channel: Channel,
    /// Whether only a part of the looks fails.
    pub(super) in_part: bool,
    pub(super) reason: Option<Reason>,
    pub(super) confidence: f64,
    pub(super) alternatives: Vec<Cause>,
    pub(super) bad_in: Vec<usize>,
    /// Sound regions that look at it.
    pub(super) seen: Vec<usize>,
    pub(super) failure: Option<Failure>,
    /// In milliseconds.
    pub(super) onset: i64,
    pub(super) last_bad: i64,
    /// Rounds' worth of evidence.
    pub(super) rounds: f32,
    pub(super) evidence: Vec<String>,
}

/// Explains everything about a party that is worth a look.
pub(super) fn cases(scene: &Scene<'_>, memory: &mut Memory) -> Vec<Case> {
    let mut open: Vec<usize> = scene.seen.index.parties[scene.party].subjects.clone();
    let mut cases: Vec<Case> = vec![];
    let mut held: Vec<Held> = vec![];
    for channel in [Channel::Failing, Channel::Slow] {
        for _ in 0..MOST {
            let Some((part, strength)) = strongest(scene, &open, channel) else { break };
            match Inquiry::new(scene, memory, &open, channel, (part, strength)).answer() {
                Some(Answer::Bad(case, label)) => {
                    let (mut case, mut label) = (*case, label);
                    weigh(scene, memory, &mut case, &mut label, scene.seen.parts[part].interval);
                    open.retain(|subject| !case.subjects.contains(subject));
                    if label.told || label.since.is_some() {
                        held.push(label);
                    }
                    cases.push(case);
                }
                Some(Answer::Over(subjects)) => {
                    memory.end(&subjects, channel, scene.now);
                    open.retain(|subject| !subjects.contains(subject));
                }
                None => break,
            }
        }
    }
    memory.keep(held, &cases, &open, &scene.seen.index, scene.now);
    cases
}

/// How much a case is worth after what came before it, and whether that is enough to be told.
fn weigh(scene: &Scene<'_>, memory: &mut Memory, case: &mut Case, held: &mut Held, interval: i64) {
    if !case.whole && !memory.held.iter().any(|one| one.told && one.label == held.label) {
        memory.calm_down(case, interval);
    }
    // A fault that comes and goes is never bad for long enough, and bad far more often than chance would have it.
    let enough = scene.patience();
    let nearly = case.rounds + NEARLY >= enough && enough >= 3.0;
    let of_them = matches!(held.label, Label::Them(_)) && held.severity == FULL && case.channel == Channel::Failing;
    if of_them && nearly && memory.is_usual(&held.label, case.onset, interval, scene.now) {
        case.rounds = case.rounds.max(enough);
    }
    // What was only suspected binds nobody.
    held.told = is_enough(case.rounds.into(), scene.world.open_after);
}

/// What lacks no more than this, in rounds, has lasted for all but one of those that it takes to be told, with a look lost.
const NEARLY: f32 = 1.25;
