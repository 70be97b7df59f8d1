//! The explanations themselves: what each covers, how likely it is before anything is seen, what its failures look like,
//! and how well it fits what was seen.

use super::{
    absorb::Seen,
    cell::Sample,
    index::Index,
    noise::SEVERITIES,
    part::{Channel, Scope},
    sort::{Sort, Sound},
    watched::Watched,
};
use crate::model::{Cause, PartyKind, Reason};

/// Rounds that are looked at, at most.
pub(super) const ROUNDS: i64 = 16;
/// What one round can say against an explanation, in nats.
const CLIP: f32 = 3.0;
/// In how many rounds the way in which it fails speaks for or against an explanation.
const HEARD: f32 = 3.0;
/// What a round in which nothing fails says against a fault at most, in nats: it may rest.
const REST: f32 = 1.0;
/// What is less likely than this, in nats, is no chance: one in two hundred.
const CHANCE: f32 = -5.3;
/// A held explanation gives way to one that is so much better: a factor of four.
const HOLD: f32 = 1.386;

/// A way to explain why a party looks bad.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Label {
    /// Its own fault, seen from everywhere: all of it, a product, or one of the hosts of a product.
    Them(Scope),
    /// The way there from these regions, or its edge there.
    Path(Scope, Vec<usize>),
    /// Our credential, on these probes in these regions.
    Credential(Vec<usize>, Vec<usize>),
    /// We ask too often, on these probes in these regions.
    Quota(Vec<usize>, Vec<usize>),
    /// A release or a configuration of ours that came to all that fails.
    Release(Scope),
}

impl Label {
    pub(super) fn covers(&self, place: &Place) -> bool {
        let within = |scope: &Scope| match *scope {
            Scope::Probe(one) => place.probe == one,
            Scope::Subject(one) => place.subject == one,
            Scope::Party(_) | Scope::Everything => true,
        };
        match self {
            Self::Them(scope) => within(scope),
            Self::Path(scope, regions) => within(scope) && regions.contains(&place.region),
            Self::Credential(probes, regions) | Self::Quota(probes, regions) => {
                probes.contains(&place.probe) && regions.contains(&place.region)
            }
            Self::Release(scope) => place.changed.is_some() && within(scope),
        }
    }

    /// The subjects that it covers.
    pub(super) fn subjects(&self, rows: &[Row<'_>]) -> Vec<usize> {
        let mut subjects: Vec<usize> =
            rows.iter().filter(|row| self.covers(&row.place)).map(|row| row.place.subject).collect();
        subjects.sort_unstable();
        subjects.dedup();
        subjects
    }

    /// The subject that it is about, where it is about one.
    pub(super) fn meant(&self, index: &Index) -> Option<usize> {
        match *self {
            Self::Them(Scope::Subject(subject)) => Some(subject),
            Self::Them(Scope::Probe(probe)) => Some(index.probes[probe].subject),
            _ => None,
        }
    }

    /// The subjects that suffer. When a party fails as a whole, one of its products that is always well while the others
    /// fail is no part of it, as soon as that is no chance any more.
    pub(super) fn struck(&self, rows: &[Row<'_>]) -> Vec<usize> {
        let mut subjects = self.subjects(rows);
        if !self.is_whole() {
            return subjects;
        }
        let of = |subject: usize| {
            let counted = rows.iter().filter(|row| row.place.subject == subject && self.covers(&row.place));
            counted.fold((0, 0), |(bad, all), row| (bad + row.bad, all + row.all))
        };
        let failing = subjects.iter().map(|subject| of(*subject)).filter(|(bad, _)| *bad > 0);
        let (bad, all) = failing.fold((0, 0), |(bad, all), (b, a)| (bad + b, all + a));
        let well = 1.0 - (to_f32(bad) + 0.5) / (to_f32(all) + 1.0);
        subjects
            .retain(|subject| matches!(of(*subject), (bad, looks) if bad > 0 || to_f32(looks) * well.ln() > CHANCE));
        subjects
    }

    /// What it is about ourselves.
    pub(super) const fn reason(&self) -> Option<Reason> {
        match self {
            Self::Credential(..) => Some(Reason::Credential),
            Self::Quota(..) => Some(Reason::Quota),
            Self::Release(_) => Some(Reason::Release),
            Self::Them(_) | Self::Path(..) => None,
        }
    }

    const fn sound(&self) -> Sound {
        match self {
            Self::Them(_) => Sound::Them,
            Self::Path(..) => Sound::Path,
            Self::Credential(..) => Sound::Credential,
            Self::Quota(..) => Sound::Quota,
            Self::Release(_) => Sound::Release,
        }
    }

    pub(super) const fn is_whole(&self) -> bool {
        matches!(self, Self::Them(Scope::Party(_)) | Self::Path(Scope::Party(_), _))
    }
}

/// Where a cell is, as far as explanations tell one from another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) probe: usize,
    pub(super) subject: usize,
    pub(super) region: usize,
    /// How much later than a release to its region this began, in rounds; nothing when it has nothing to do with one.
    pub(super) changed: Option<i64>,
}

/// A cell, and what it saw round by round.
pub(super) struct Row<'a> {
    pub(super) watched: &'a Watched<'a>,
    pub(super) place: Place,
    /// How many looks were bad, and how many there were.
    pub(super) bad: u32,
    pub(super) all: u32,
    counts: Vec<Count>,
    /// Evidence of a good and of a bad sample for each severity: in full, and as much of it as one may give.
    in_full: [[f32; SEVERITIES.len()]; 2],
    clipped: [[f32; SEVERITIES.len()]; 2],
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    bad: u32,
    all: u32,
    sorts: [u8; Sort::COUNT],
}

/// What a cell says in a round, whatever it is that explains it.
#[derive(Debug, Clone, Copy, Default)]
struct Spoken {
    /// Evidence in nats for each severity.
    said: [f32; SEVERITIES.len()],
    /// Its failures, and what the way in which they fail says for each sort of explanation.
    voters: f32,
    votes: [f32; Sound::ALL.len()],
}

impl<'a> Row<'a> {
    /// From an instant on in rounds of so many milliseconds; what is `bad` of it, where a look says anything.
    pub(super) fn new(
        (watched, place): (&'a Watched<'a>, Place),
        channel: Channel,
        (begin, interval): (i64, i64),
        bad: impl Fn(&Sample) -> Option<bool>,
    ) -> Self {
        let noise = watched.cell.noise(channel);
        let mut row = Self {
            watched,
            place,
            bad: 0,
            all: 0,
            counts: Vec::with_capacity(ROUNDS as usize + 1),
            in_full: [false, true].map(|bad| noise.likelihood(bad)),
            clipped: [false, true].map(|bad| noise.evidence(bad)),
        };
        for look in watched.since(begin) {
            let (Some(bad), Ok(round)) = (bad(look), usize::try_from((look.at - begin) / interval)) else { continue };
            if row.counts.len() <= round {
                row.counts.resize(round + 1, Count::default());
            }
            let count = &mut row.counts[round];
            count.all += 1;
            row.all += 1;
            if bad {
                count.bad += 1;
                row.bad += 1;
                let sort = &mut count.sorts[Sort::of(look) as usize];
                *sort = sort.saturating_add(1);
            }
        }
        row
    }

    /// Whether it failed in the last round in which it was looked at.
    fn fails_now(&self) -> bool {
        self.counts.iter().rev().find(|count| count.all > 0).is_some_and(|count| count.bad > 0)
    }

    /// Evidence of a round for a fault of a severity, in nats; no single sample may say too much.
    pub(super) fn said(&self, round: usize, severity: usize) -> f32 {
        self.counts.get(round).map_or(0.0, |count| count.weigh(&self.clipped, severity))
    }

    /// The same in full.
    pub(super) fn said_in_full(&self, round: usize, severity: usize) -> f32 {
        self.counts.get(round).map_or(0.0, |count| count.weigh(&self.in_full, severity))
    }

    /// What it says round by round, in as many rounds as there is room for.
    fn speak(&self, rounds: &mut [Spoken]) {
        for (count, spoken) in self.counts.iter().zip(rounds) {
            for (severity, said) in spoken.said.iter_mut().enumerate() {
                *said = count.weigh(&self.in_full, severity);
            }
            if count.bad == 0 {
                continue;
            }
            for sort in Sort::ALL.into_iter().filter(|sort| count.sorts[*sort as usize] > 0) {
                let many = f32::from(count.sorts[sort as usize]);
                spoken.voters += many;
                for (votes, sound) in spoken.votes.iter_mut().zip(Sound::ALL) {
                    *votes += many * sort.speaks_for(sound);
                }
            }
        }
    }

    fn sort(&self, sort: Sort) -> u32 {
        self.counts.iter().map(|count| u32::from(count.sorts[sort as usize])).sum()
    }
}

impl Count {
    fn weigh(&self, evidence: &[[f32; SEVERITIES.len()]; 2], severity: usize) -> f32 {
        to_f32(self.bad) * evidence[1][severity] + to_f32(self.all - self.bad) * evidence[0][severity]
    }
}

/// What is to be explained.
pub(super) struct Question<'a> {
    pub(super) seen: &'a Seen,
    pub(super) party: usize,
    /// Subjects that nothing explains yet.
    pub(super) open: &'a [usize],
}

/// The best explanation.
pub(super) struct Found {
    pub(super) label: Label,
    /// Which of the severities fits best.
    pub(super) severity: usize,
    pub(super) cause: Cause,
    pub(super) confidence: f64,
    pub(super) alternatives: Vec<Cause>,
}

/// The explanation that fits best; one that is held stays unless another is clearly better, and `known` is what people
/// were told.
pub(super) fn best(question: &Question<'_>, rows: &[Row<'_>], held: &[&Label], known: &[&Label]) -> Option<Found> {
    let mut labels = labels(question, rows, held);
    // What was told of products one by one is not told once more of all of it, as long as that says nothing new.
    let of_products = known.iter().filter(|label| !label.is_whole());
    let told: Vec<usize> = of_products.flat_map(|label| label.subjects(rows)).collect();
    let fails = |subject: usize| rows.iter().any(|row| row.place.subject == subject && row.fails_now());
    let says_nothing_new = |label: &Label| {
        let struck = label.struck(rows);
        let spares_some = struck.len() < label.subjects(rows).len();
        spares_some || struck.iter().all(|subject| told.contains(subject) || !fails(*subject))
    };
    let again = |label: &Label| !told.is_empty() && label.is_whole() && !known.contains(&label);
    labels.retain(|(label, _)| !(again(label) && says_nothing_new(label)));
    let mut scored = score(rows, labels);
    scored.sort_by(|one, other| other.1.total_cmp(&one.1));
    let first = scored.first()?.1;
    let held = scored.iter().position(|(label, score, _)| held.contains(&label) && *score > first - HOLD);
    let (chosen, _, severity) = scored[held.unwrap_or(0)].clone();
    let cause = question.cause(&chosen);
    // Labels of the same cause are one answer; a calm voice for figures that are not independent.
    let weight = |score: f32| f64::from((score - first) / TEMPERATURE).exp();
    let total: f64 = scored.iter().map(|(_, score, _)| weight(*score)).sum();
    let mut by_cause: Vec<(Cause, f64)> = vec![];
    for (label, score, _) in &scored {
        let of = question.cause(label);
        match by_cause.iter_mut().find(|(one, _)| *one == of) {
            Some((_, sum)) => *sum += weight(*score) / total,
            None => by_cause.push((of, weight(*score) / total)),
        }
    }
    let confidence = by_cause.iter().find(|(one, _)| *one == cause).map_or(0.0, |(_, share)| *share).min(0.99);
    let mut others: Vec<(Cause, f64)> =
        by_cause.into_iter().filter(|(one, share)| *one != cause && *share >= 0.05).collect();
    others.sort_by(|one, other| other.1.total_cmp(&one.1));
    let mut alternatives: Vec<Cause> = others.into_iter().map(|(cause, _)| cause).collect();
    let mut confidence = confidence;
    // A refusal without anything beside it that lives may also be the way in which the other side fails.
    let refused = matches!(chosen, Label::Credential(..) | Label::Quota(..));
    if refused && !lives_beside(rows, &chosen) {
        let blamed = question.cause(&Label::Them(Scope::Everything));
        confidence = confidence.min(0.75);
        if !alternatives.contains(&blamed) {
            alternatives.insert(0, blamed);
        }
    }
    Some(Found { label: chosen, severity, cause, confidence, alternatives })
}

/// Whether something of the party that an explanation does not cover is well.
fn lives_beside(rows: &[Row<'_>], label: &Label) -> bool {
    rows.iter().any(|row| !label.covers(&row.place) && row.all > 0 && row.bad * 4 < row.all)
}

/// How calm the voice is: evidence of cells that share causes counts for less than it adds up to.
const TEMPERATURE: f32 = 1.6;

impl Question<'_> {
    fn cause(&self, label: &Label) -> Cause {
        match label {
            Label::Them(_) if self.seen.index.parties[self.party].kind == PartyKind::Us => Cause::Us,
            Label::Them(_) => Cause::Them,
            Label::Path(..) => Cause::Path,
            Label::Credential(..) | Label::Quota(..) | Label::Release(_) => Cause::Probe,
        }
    }
}

/// Every explanation that is worth trying, with how likely it is beforehand, in nats.
fn labels(question: &Question<'_>, rows: &[Row<'_>], held: &[&Label]) -> Vec<(Label, f32)> {
    let index = &question.seen.index;
    let party = Scope::Party(question.party);
    let mut labels = vec![];
    let mut scopes = vec![];
    let whole = question.open.len() == index.parties[question.party].subjects.len();
    if whole && question.open.len() > 1 {
        scopes.push((party, -6.5, -7.5));
    }
    for subject in question.open {
        scopes.push((Scope::Subject(*subject), -5.8, -7.4));
        let probes = &index.subjects[*subject].probes;
        if probes.len() > 1 && probes.len() <= 40 {
            scopes.extend(probes.iter().map(|probe| (Scope::Probe(*probe), -7.2, -9.0)));
        }
    }
    let mut regions: Vec<usize> = rows.iter().map(|row| row.place.region).collect();
    regions.sort_unstable();
    regions.dedup();
    let bad: Vec<usize> = regions.iter().copied().filter(|region| is_bad_there(rows, *region)).collect();
    let known = held.iter().filter_map(|label| match label {
        Label::Path(_, regions) => Some(regions),
        _ => None,
    });
    let known: Vec<&Vec<usize>> = known.collect();
    for (scope, all, one) in scopes {
        let them = Label::Them(scope);
        // A failure by chance elsewhere takes nothing from what several regions share, or from what people were told.
        let mostly = bad.iter().copied().filter(|region| is_mostly_bad(rows, &them, *region)).collect();
        // Fewer than half: more than that are no way but the other end.
        let few = |some: &Vec<usize>| some.len() > 1 && some.len() * 2 < regions.len();
        let mut several: Vec<Vec<usize>> =
            [&bad, &mostly].into_iter().chain(known.iter().copied()).filter(|some| few(some)).cloned().collect();
        several.sort_unstable();
        several.dedup();
        labels.push((them, all));
        labels.extend(bad.iter().map(|region| (Label::Path(scope, vec![*region]), one)));
        labels.extend(several.into_iter().map(|regions| (Label::Path(scope, regions), one - 0.7)));
    }
    labels.extend(refusals(rows));
    if let Some(rounds) = rows.iter().filter_map(|row| row.place.changed).min() {
        // What begins in the very round in which a release comes hardly does so by chance.
        let prior = if rounds <= 1 { -4.5 } else { -5.5 };
        labels.push((Label::Release(party), prior));
        // A configuration breaks what was edited in it, which may be little.
        labels.extend(question.open.iter().map(|subject| (Label::Release(Scope::Subject(*subject)), prior - 0.5)));
    }
    labels
}

fn is_bad_there(rows: &[Row<'_>], region: usize) -> bool {
    let here = || rows.iter().filter(|row| row.place.region == region);
    let (bad, all) = here().fold((0, 0), |(bad, all), row| (bad + row.bad, all + row.all));
    bad * 10 > all || here().any(|row| row.bad * 2 > row.all)
}

/// Whether most of what a fault covers fails in a region.
fn is_mostly_bad(rows: &[Row<'_>], label: &Label, region: usize) -> bool {
    let here = rows.iter().filter(|row| row.place.region == region && label.covers(&row.place));
    let (bad, all) = here.fold((0, 0), |(bad, all), row| (bad + row.bad, all + row.all));
    bad * 2 > all
}

/// Our credential and our quota, where what fails is refused for these; less likely where nothing is looked at without
/// them that could show that the other side lives.
fn refusals(rows: &[Row<'_>]) -> Vec<(Label, f32)> {
    let mut labels = vec![];
    for sort in [Sort::Credential, Sort::Quota] {
        let refused = |row: &&Row<'_>| row.sort(sort) * 2 > row.bad && row.bad > 0;
        let distinct = |of: fn(&Row<'_>) -> usize| {
            let mut all: Vec<usize> = rows.iter().filter(refused).map(of).collect();
            all.sort_unstable();
            all.dedup();
            all
        };
        let (probes, regions) = (distinct(|row| row.place.probe), distinct(|row| row.place.region));
        if probes.is_empty() {
            continue;
        }
        // What is looked at without a credential, where observations name it, cannot be refused for ours.
        let named = |row: &Row<'_>| row.watched.cell.samples.iter().any(|sample| sample.credential != 0);
        if sort == Sort::Credential && rows.iter().any(named) && rows.iter().any(|row| refused(&row) && !named(row)) {
            continue;
        }
        let lives = rows.iter().any(|row| !probes.contains(&row.place.probe) && row.all > 0 && row.bad * 4 < row.all);
        let label =
            if sort == Sort::Quota { Label::Quota(probes, regions) } else { Label::Credential(probes, regions) };
        labels.push((label, if lives { -6.0 } else { -7.5 }));
    }
    labels
}

/// Scores every explanation: what each round says for it, next to the best of that round and clipped, for the severity
/// that fits it best.
fn score(rows: &[Row<'_>], labels: Vec<(Label, f32)>) -> Vec<(Label, f32, usize)> {
    let rounds = rows.iter().map(|row| row.counts.len()).max().unwrap_or_default().max(1);
    // It fails in the same way for as long as it fails: that says no more after an hour than after the first rounds.
    let failed = |round: &usize| rows.iter().any(|row| row.counts.get(*round).is_some_and(|count| count.bad > 0));
    let heard = (HEARD / to_f32(u32::try_from((0..rounds).filter(failed).count()).unwrap_or(u32::MAX))).min(1.0);
    // What each row says, and what is said for each label, one round after the other.
    let mut spoken = vec![Spoken::default(); rows.len() * rounds];
    for (row, spoken) in rows.iter().zip(spoken.chunks_exact_mut(rounds)) {
        row.speak(spoken);
    }
    let mut said = vec![[0.0_f32; SEVERITIES.len()]; labels.len() * rounds];
    let mut best = vec![f32::NEG_INFINITY; rounds];
    // Votes and voters by round.
    let mut heard_in = vec![(0.0_f32, 0.0_f32); rounds];
    for ((label, _), said) in labels.iter().zip(said.chunks_exact_mut(rounds)) {
        let sound = label.sound() as usize;
        heard_in.fill((0.0, 0.0));
        for (_, spoken) in rows.iter().zip(spoken.chunks_exact(rounds)).filter(|(row, _)| label.covers(&row.place)) {
            for ((spoken, said), (votes, voters)) in spoken.iter().zip(&mut *said).zip(&mut heard_in) {
                for (said, more) in said.iter_mut().zip(spoken.said) {
                    *said += more;
                }
                *votes += spoken.votes[sound];
                *voters += spoken.voters;
            }
        }
        for ((said, best), (votes, voters)) in said.iter_mut().zip(&mut best).zip(&heard_in) {
            // However many cells fail alike in a round, that they do so is seen once.
            let vote = if *voters > 0.0 { (votes / voters).clamp(-2.0, 2.0) * heard } else { 0.0 };
            for said in said {
                // A fault that comes and goes rests now and then.
                *said = said.max(-REST) + vote;
                *best = best.max(*said);
            }
        }
    }
    let fits = labels.into_iter().zip(said.chunks_exact(rounds)).map(|((label, prior), said)| {
        let mut fits = [0.0_f32; SEVERITIES.len()];
        for (said, best) in said.iter().zip(&best) {
            for (fit, said) in fits.iter_mut().zip(said) {
                *fit += (said - best).max(-CLIP);
            }
        }
        let fits = fits.into_iter().enumerate().max_by(|one, other| one.1.total_cmp(&other.1));
        let (severity, fit) = fits.unwrap_or((0, 0.0));
        (label, prior + fit, severity)
    });
    fits.collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts of samples are small")]
const fn to_f32(count: u32) -> f32 {
    count as f32
}
