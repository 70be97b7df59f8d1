//! The explanations themselves: what each covers, how likely it is before anything is seen, what its failures look like,
//! and how well it fits what was seen.

use super::{
    absorb::Seen,
    index::Index,
    noise::SEVERITIES,
    part::Scope,
    rows::{Place, Row, Said, VOTERS, Votes, to_f32},
    sort::{Sort, Sound},
};
use crate::model::{Cause, PartyKind, Reason};

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
    #[inline]
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
    let mut attempts = attempts(question, rows, held);
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
    attempts.retain(|one| !(again(&one.label) && says_nothing_new(&one.label)));
    let mut scored = score(rows, attempts);
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

/// An explanation that is worth trying.
struct Attempt {
    label: Label,
    /// How likely it is beforehand, in nats.
    prior: f32,
    /// The rows that it covers, by their numbers.
    covers: Vec<usize>,
}

impl Attempt {
    fn new(label: Label, prior: f32, rows: &[Row<'_>]) -> Self {
        let covers = (0..rows.len()).filter(|row| label.covers(&rows[*row].place)).collect();
        Self { label, prior, covers }
    }

    /// The same where it fails from some regions only.
    fn on_the_way(&self, scope: Scope, regions: Vec<usize>, prior: f32, rows: &[Row<'_>]) -> Self {
        let there = |row: &usize| regions.contains(&rows[*row].place.region);
        let covers = self.covers.iter().copied().filter(there).collect();
        Self { label: Label::Path(scope, regions), prior, covers }
    }

    /// Whether most of what it covers fails in a region.
    fn is_mostly_bad(&self, rows: &[Row<'_>], region: usize) -> bool {
        let here = self.covers.iter().map(|row| &rows[*row]).filter(|row| row.place.region == region);
        let (bad, all) = here.fold((0, 0), |(bad, all), row| (bad + row.bad, all + row.all));
        bad * 2 > all
    }
}

/// Every explanation that is worth trying.
fn attempts(question: &Question<'_>, rows: &[Row<'_>], held: &[&Label]) -> Vec<Attempt> {
    let index = &question.seen.index;
    let party = Scope::Party(question.party);
    let mut attempts = vec![];
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
        let them = Attempt::new(Label::Them(scope), all, rows);
        // A failure by chance elsewhere takes nothing from what several regions share, or from what people were told.
        let mostly = bad.iter().copied().filter(|region| them.is_mostly_bad(rows, *region)).collect();
        // Fewer than half: more than that are no way but the other end.
        let few = |some: &Vec<usize>| some.len() > 1 && some.len() * 2 < regions.len();
        let mut several: Vec<Vec<usize>> =
            [&bad, &mostly].into_iter().chain(known.iter().copied()).filter(|some| few(some)).cloned().collect();
        several.sort_unstable();
        several.dedup();
        let from_one = bad.iter().map(|region| them.on_the_way(scope, vec![*region], one, rows));
        let from_several = several.into_iter().map(|regions| them.on_the_way(scope, regions, one - 0.7, rows));
        let ways: Vec<Attempt> = from_one.chain(from_several).collect();
        attempts.push(them);
        attempts.extend(ways);
    }
    let mut rest = refusals(rows);
    if let Some(rounds) = rows.iter().filter_map(|row| row.place.changed).min() {
        // What begins in the very round in which a release comes hardly does so by chance.
        let prior = if rounds <= 1 { -4.5 } else { -5.5 };
        rest.push((Label::Release(party), prior));
        // A configuration breaks what was edited in it, which may be little.
        rest.extend(question.open.iter().map(|subject| (Label::Release(Scope::Subject(*subject)), prior - 0.5)));
    }
    attempts.extend(rest.into_iter().map(|(label, prior)| Attempt::new(label, prior, rows)));
    attempts
}

fn is_bad_there(rows: &[Row<'_>], region: usize) -> bool {
    let here = || rows.iter().filter(|row| row.place.region == region);
    let (bad, all) = here().fold((0, 0), |(bad, all), row| (bad + row.bad, all + row.all));
    bad * 10 > all || here().any(|row| row.bad * 2 > row.all)
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
fn score(rows: &[Row<'_>], attempts: Vec<Attempt>) -> Vec<(Label, f32, usize)> {
    let rounds = rows.iter().map(Row::rounds).max().unwrap_or_default().max(1);
    // It fails in the same way for as long as it fails: that says no more after an hour than after the first rounds.
    let failed = |round: &usize| rows.iter().any(|row| row.fails_in(*round));
    let heard = (HEARD / to_f32(u32::try_from((0..rounds).filter(failed).count()).unwrap_or(u32::MAX))).min(1.0);
    // What each row says, and what is said for each explanation, one round after the other.
    let mut spoken = vec![Said::default(); rows.len() * rounds];
    let mut votes = vec![Votes::default(); rows.len() * rounds];
    for ((row, spoken), votes) in rows.iter().zip(spoken.chunks_exact_mut(rounds)).zip(votes.chunks_exact_mut(rounds)) {
        row.speak(spoken, votes);
    }
    let mut said = vec![Said::default(); attempts.len() * rounds];
    let mut best = vec![f32::NEG_INFINITY; rounds];
    let mut voted = vec![0.0_f32; rounds];
    for (attempt, said) in attempts.iter().zip(said.chunks_exact_mut(rounds)) {
        let sound = attempt.label.sound() as usize;
        voted.fill(0.0);
        for row in &attempt.covers {
            let of_it = row * rounds..(row + 1) * rounds;
            for (said, more) in said.iter_mut().zip(&spoken[of_it.clone()]) {
                for (said, more) in said.iter_mut().zip(more) {
                    *said += more;
                }
            }
            if rows[*row].bad > 0 {
                for (voted, votes) in voted.iter_mut().zip(&votes[of_it]) {
                    *voted += votes[sound];
                }
            }
        }
        for ((said, best), voted) in said.iter_mut().zip(&mut best).zip(&voted) {
            // However many cells fail alike in a round, that they do so is seen once.
            let voters = said[VOTERS];
            let vote = if voters > 0.0 { (voted / voters).clamp(-2.0, 2.0) * heard } else { 0.0 };
            for said in &mut said[..VOTERS] {
                // A fault that comes and goes rests now and then.
                *said = said.max(-REST) + vote;
                *best = best.max(*said);
            }
        }
    }
    let fits = attempts.into_iter().zip(said.chunks_exact(rounds)).map(|(Attempt { label, prior, .. }, said)| {
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
