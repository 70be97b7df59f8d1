//! What explains best that a party looks bad: a fault of all of it, of a product, of one host, of the way there from some
//! regions, of our credential, our quota, our release. Each explanation says which cells it covers and what their
//! failures should look like; the one under which what was seen is likeliest wins. No round may speak for or against any
//! of them with more than a few nats: cells that fail together are not independent witnesses.

use super::{
    World,
    absorb::Seen,
    cell::{Cell, Sample},
    confirmed::Confirmations,
    hypotheses::{self, Label, Row},
    judge::instant,
    lasting::{Span, beyond, settle},
    memory::{Held, Memory},
    noise::SEVERITIES,
    part::{Channel, Strength},
    run::{full_worth, height, holds, worth},
    suspect::strongest,
};
use crate::model::{Cause, Failure, Kind, PartyKind, Reason};

/// An explanation of some of a party's subjects.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) subjects: Vec<usize>,
    /// The whole party, not some of its products.
    pub(super) whole: bool,
    pub(super) cause: Cause,
    pub(super) channel: Channel,
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

/// The severity of a fault in which nearly everything fails.
const FULL: usize = SEVERITIES.len() - 1;

/// Less than so many rounds' worth is no reason to call anything bad.
const FAINT: f32 = 0.5;

/// Evidence that what is told must leave when the longest blip is taken away from it, in nats: what one failure of a cell
/// says that nothing is known against. One that has failed before must fail more often.
const BEYOND: f32 = 4.0;

/// One region alone is never surer than this whose fault it is.
const ALONE: f64 = 0.85;

/// Explains everything about a party that is worth a look.
pub(super) fn cases(
    world: &World,
    seen: &Seen,
    confirmations: &Confirmations,
    memory: &mut Memory,
    party: usize,
    sound: &[bool],
    now: i64,
) -> Vec<Case> {
    let mut open: Vec<usize> = seen.index.parties[party].subjects.clone();
    let mut cases: Vec<Case> = vec![];
    let mut held: Vec<Held> = vec![];
    for channel in [Channel::Failing, Channel::Slow] {
        // More independent faults of one party at once are more than anybody can take in.
        for _ in 0..4 {
            let Some((part, strength)) = strongest(seen, party, &open, sound, channel, now) else { break };
            let inquiry = Inquiry { world, seen, confirmations, memory, party, open: &open, sound, channel, now };
            let (mut case, mut explanation) = match inquiry.explain(part, strength) {
                Some(Answer::Bad(mut case, held)) => {
                    if !case.whole && !memory.held.iter().any(|one| one.told && one.label == held.label) {
                        memory.calm_down(&mut case, seen.parts[part].interval);
                    }
                    (*case, held)
                }
                Some(Answer::Over(subjects)) => {
                    memory.end(&subjects, channel, now);
                    open.retain(|subject| !subjects.contains(subject));
                    continue;
                }
                None => break,
            };
            // A fault that comes and goes is never bad for long enough, and bad far more often than chance would have it.
            let enough = patience(world);
            let nearly = case.rounds + 1.25 >= enough && enough >= 3.0;
            let of_them = matches!(explanation.label, Label::Them(_)) && explanation.severity == FULL;
            if channel == Channel::Failing
                && of_them
                && nearly
                && memory.is_usual(&explanation.label, case.onset, seen.parts[part].interval, now)
            {
                case.rounds = case.rounds.max(enough);
            }
            open.retain(|subject| !case.subjects.contains(subject));
            // What was only suspected binds nobody.
            explanation.told = case.rounds + 1.0 / 3.0 >= enough;
            if explanation.told || explanation.since.is_some() {
                held.push(explanation);
            }
            cases.push(case);
        }
    }
    memory.keep(held, &cases, &open, &seen.index, now);
    cases
}

/// Rounds' worth of evidence that it takes to be told.
fn patience(world: &World) -> f32 {
    f32::from(u16::try_from(world.open_after).unwrap_or(u16::MAX))
}

/// What came of an inquiry.
enum Answer {
    Bad(Box<Case>, Held),
    /// What was told of these subjects does not hold any more.
    Over(Vec<usize>),
}

struct Inquiry<'a> {
    world: &'a World,
    seen: &'a Seen,
    confirmations: &'a Confirmations,
    memory: &'a Memory,
    party: usize,
    open: &'a [usize],
    sound: &'a [bool],
    channel: Channel,
    now: i64,
}

impl Inquiry<'_> {
    fn explain(&self, part: usize, strength: Strength) -> Option<Answer> {
        let seen = self.seen;
        let cells: Vec<&Cell> = seen.parts[part].cells.iter().map(|cell| &seen.cells[*cell]).collect();
        let sound: Vec<&Cell> = cells.into_iter().filter(|cell| self.sound[cell.region]).collect();
        let interval = seen.parts[part].interval;
        let counts = |cell: &Cell, at: i64| self.counts(cell, at);
        let interval_of = |cell: &Cell| self.interval_of(cell);
        let span = settle(&sound, counts, strength.since, interval_of, strength.severity, self.channel);
        let wanted = seen.parts[part].wanted;
        let held = || self.memory.held.iter().filter(|held| held.channel == self.channel);
        let before: Vec<&Label> = held().filter(|held| held.told).map(|held| &held.label).collect();
        let earliest = |one: Span, other: Span| if other.onset < one.onset { other } else { one };
        let mut span = span.into_iter().chain(self.told_span(&sound, interval)).reduce(earliest)?;
        let mut rows = self.rows(span.onset, interval);
        let mut found = hypotheses::best(&self.question(), &rows, &before, &before)?;
        // One cell may have failed by chance just before nearly all did: what all of them saw says when it began.
        let covered: Vec<&Cell> = rows.iter().filter(|row| found.label.covers(row)).map(|row| row.cell).collect();
        if covered.len() > sound.len()
            && !before.contains(&&found.label)
            && let Some(wider) = settle(&covered, counts, span.onset, interval_of, found.severity, self.channel)
            && wider.onset > span.onset
        {
            let later = self.rows(wider.onset, interval);
            if let Some(again) = hypotheses::best(&self.question(), &later, &before, &before)
                && again.label == found.label
                && again.severity == FULL
            {
                (span, rows, found) = (wider, later, again);
            }
        }
        let mut begin = span.onset;
        // What was only suspected may end without anybody hearing of it, and begin anew.
        let goes_on = !before.is_empty();
        // What came after another explanation is not measured by what was before it.
        let since = held().filter_map(|held| held.since).max().filter(|since| *since > begin);
        if let Some(since) = since {
            let later = self.rows(since, interval);
            if let Some(again) = hypotheses::best(&self.question(), &later, &before, &before)
                && held().any(|held| held.label == again.label && held.since.is_some())
            {
                (begin, rows, found) = (since, later, again);
            }
        }
        // What was told holds until clearly less is left of it. What fails on is another fault then, or a part of it.
        let told = before.contains(&&found.label);
        let height = self.height(&rows, &found.label, found.severity, wanted);
        let mut lent = if height < wanted { self.lent(&found.label, &rows, span, interval) } else { 0.0 };
        // What has only failed so far has become likelier by chance in the meantime, which is no reason to begin anew.
        let rests = || rows.iter().any(|row| found.label.covers(row) && row.bad() < row.all());
        let risen = told || height + lent >= wanted && rests();
        if risen && self.worth(&rows, &found.label, found.severity, wanted) + lent < holds(found.severity, wanted) {
            let lately = self.now - 5 * interval / 2;
            let subjects = found.label.subjects(&rows);
            if !self.fails_on(&subjects, lately) {
                return Some(Answer::Over(subjects));
            }
            begin = lately.max(begin);
            rows = self.rows(begin, interval);
            found = hypotheses::best(&self.question(), &rows, &[], &before)?;
            lent = 0.0;
        }
        let covered: Vec<&Row<'_>> = rows.iter().filter(|row| found.label.covers(row)).collect();
        let (bad, all) = covered.iter().fold((0, 0), |(bad, all), row| (bad + row.bad(), all + row.all()));
        let subjects = found.label.struck(&rows);
        if bad == 0 {
            // What brought it up is not part of what is left.
            return told.then_some(Answer::Over(found.label.subjects(&rows)));
        }
        let mut looking: Vec<usize> = rows
            .iter()
            .filter(|row| subjects.contains(&row.subject))
            .filter(|row| row.all() > 0 || seen.fresh(row.cell, self.now).is_some())
            .map(|row| row.cell.region)
            .collect();
        looking.sort_unstable();
        looking.dedup();
        let mut bad_in: Vec<usize> = looking.clone();
        bad_in.retain(|region| {
            let here = covered.iter().filter(|row| row.cell.region == *region);
            let (b, a) = here.fold((0, 0), |(bad, all), row| (bad + row.bad(), all + row.all()));
            // A region counts when about as much fails there as elsewhere.
            b > 0 && b * all * 3 >= bad * a
        });
        if !told && (0..SEVERITIES.len()).all(|severity| self.worth(&rows, &found.label, severity, wanted) < FAINT) {
            return None;
        }
        // A few slow answers among many are how answers come, not a fault.
        if self.channel == Channel::Slow && !told && bad * 10 < all * 3 {
            return None;
        }
        let waiting = found.confidence < 0.5 && !told;
        let settled = span.rounds > self.patience() + 1.5;
        let of = |severity| self.worth(&rows, &found.label, severity, wanted);
        let mut rounds = (0..SEVERITIES.len()).map(of).fold(0.0, f32::max).min(span.rounds);
        // Nobody is woken by what is only slow.
        if self.channel == Channel::Failing {
            rounds = rounds.min(self.lasting(&covered, begin, interval)) + lent;
        }
        // It has been told, and goes on in another shape. What is left of a whole is another subject, and must show itself.
        let was_whole = before.iter().any(|label| label.is_whole()) || self.memory.told_whole.is_some();
        if begin > span.onset && goes_on && (found.label.is_whole() || !was_whole) {
            rounds = rounds.max(self.patience());
        }
        let of_a_part = covered.len() == 1 || !found.label.is_whole() && subjects.len() < self.open.len();
        if matches!(found.label, Label::Path(..)) && of_a_part && looking.len() > 1 {
            // A part of a provider in one of several regions has nobody to bear it out, and there are many of these: it
            // takes a round more.
            rounds = (rounds * 0.8).min(span.rounds - 1.0);
        }
        if waiting && !settled {
            rounds = rounds.min(self.patience() - 1.0);
        }
        let mut case = Case {
            whole: found.label.is_whole() && self.open.len() > 1,
            cause: found.cause,
            channel: self.channel,
            reason: found.label.reason(),
            confidence: found.confidence,
            alternatives: found.alternatives,
            seen: looking,
            failure: seen.commonest_failure(covered.iter().map(|row| row.cell), span.onset),
            onset: span.onset,
            last_bad: span.last,
            rounds,
            evidence: vec![],
            subjects,
            bad_in,
        };
        self.doubt(&mut case, waiting && settled);
        self.tell(&mut case, &found.label, bad, all);
        let since = (begin > span.onset).then_some(begin);
        let held = Held { label: found.label, channel: self.channel, told: false, since, severity: found.severity };
        Some(Answer::Bad(Box::new(case), held))
    }

    /// Since when what was told goes on, of which these cells are a part: where it shows little among many cells that are
    /// well, what fails beside it by chance does not say when it began.
    fn told_span(&self, cells: &[&Cell], interval: i64) -> Option<Span> {
        let told = || self.memory.held.iter().filter(|held| held.told && held.channel == self.channel);
        told().next()?;
        let since = self.now - hypotheses::ROUNDS * interval;
        let rows = self.rows(since, interval);
        let span_of = |held: &Held| {
            let covered: Vec<&Cell> = rows.iter().filter(|row| held.label.covers(row)).map(|row| row.cell).collect();
            let is_part = covered.iter().any(|one| cells.iter().any(|cell| std::ptr::eq(*one, *cell)));
            let counts = |cell: &Cell, at: i64| self.counts(cell, at);
            let span = settle(&covered, counts, since, |cell| self.interval_of(cell), held.severity, self.channel)
                .filter(|_| is_part);
            span.filter(|span| span.last > self.now - 5 * interval / 2)
        };
        told().filter_map(span_of).min_by_key(|span| span.onset)
    }

    /// Rounds' worth of evidence for an explanation and a severity.
    fn worth(&self, rows: &[Row<'_>], label: &Label, severity: usize, wanted: f32) -> f32 {
        let covered: Vec<&Row<'_>> = rows.iter().filter(|row| label.covers(row)).collect();
        let rounds = 0..=hypotheses::ROUNDS as usize;
        let said = |round: usize| covered.iter().map(|row| row.said(round, severity)).sum::<f32>();
        let in_full = |round: usize| covered.iter().map(|row| row.said_in_full(round, severity)).sum::<f32>();
        worth(rounds.clone().map(said), severity, wanted).min(full_worth(rounds.map(in_full), severity))
    }

    /// Rounds that confirmations stand for, where it is the other end that fails: it must have been seen in two all the same.
    fn lent(&self, label: &Label, rows: &[Row<'_>], span: Span, interval: i64) -> f32 {
        let onset = instant(span.onset);
        let stand_for_one = |subject: usize| {
            self.confirmations.stand_for_a_round(&self.seen.index.subjects[subject].subject, onset, interval)
        };
        let asked = self.channel == Channel::Failing && span.rounds >= 2.0 && matches!(label, Label::Them(_));
        if asked && label.subjects(rows).into_iter().any(stand_for_one) { 1.0 } else { 0.0 }
    }

    /// For how many rounds it has been bad, as far as a blip would not have been so too.
    fn lasting(&self, covered: &[&Row<'_>], since: i64, interval: i64) -> f32 {
        let whole = self.patience() - 1.0;
        // In rounds of what is looked at most often, of that which fails.
        let fails = |row: &&&Row<'_>| row.bad() > 0;
        let interval = covered.iter().filter(fails).map(|row| self.interval_of(row.cell)).min().unwrap_or(interval);
        #[expect(clippy::cast_possible_truncation, reason = "a few rounds")]
        let blip = (interval as f32 * whole) as i64 - interval / 20;
        let cells = covered.iter().map(|row| {
            let counted = row.cell.since(since).filter(|one| self.channel.counts(one) && self.counts(row.cell, one.at));
            (row.cell, counted.map(|one| (one.at, self.channel.is_bad(one))).collect())
        });
        let most = beyond(cells, blip, self.channel).into_iter().fold(0.0, f32::max);
        whole + most / BEYOND * 2.0 / 3.0
    }

    /// The most that it was worth, whether or not anybody remembers.
    fn height(&self, rows: &[Row<'_>], label: &Label, severity: usize, wanted: f32) -> f32 {
        let covered: Vec<&Row<'_>> = rows.iter().filter(|row| label.covers(row)).collect();
        let said = |round: usize| covered.iter().map(|row| row.said(round, severity)).sum::<f32>();
        height((0..=hypotheses::ROUNDS as usize).map(said), severity, wanted)
    }

    /// Whether some cell of these subjects has only been bad since an instant, more than once.
    fn fails_on(&self, subjects: &[usize], since: i64) -> bool {
        let cells = self.seen.cells_of[self.party].iter().map(|cell| &self.seen.cells[*cell]);
        let open = cells
            .filter(|cell| self.sound[cell.region] && subjects.contains(&self.seen.index.probes[cell.probe].subject));
        open.into_iter().any(|cell| {
            let counted = || cell.since(since).filter(|one| self.channel.counts(one) && self.counts(cell, one.at));
            counted().count() > 1 && counted().all(|sample| self.channel.is_bad(sample))
        })
    }

    /// From one look of a cell to the next.
    fn interval_of(&self, cell: &Cell) -> i64 {
        self.seen.index.probes[cell.probe].interval
    }

    const fn question(&self) -> hypotheses::Question<'_> {
        hypotheses::Question { seen: self.seen, party: self.party, open: self.open }
    }

    fn patience(&self) -> f32 {
        patience(self.world)
    }

    /// Whether what a cell saw at an instant counts: not while its region could not see, nor what is over.
    fn counts(&self, cell: &Cell, at: i64) -> bool {
        let subject = self.seen.index.probes[cell.probe].subject;
        let region = &self.seen.regions[cell.region];
        let saw = if self.memory.has_told() { region.may_have_seen(at) } else { region.saw(at) };
        saw && self.memory.counts(subject, self.channel, at)
    }

    /// Every cell of the party in a sound region, with what it saw since, round by round.
    fn rows(&self, since: i64, interval: i64) -> Vec<Row<'_>> {
        let begin = since.max(self.now - hypotheses::ROUNDS * interval);
        let of_it =
            |cell: &&Cell| self.sound[cell.region] && self.open.contains(&self.seen.index.probes[cell.probe].subject);
        let added = self.added(begin);
        let mut rows = vec![];
        for cell in self.seen.cells_of[self.party].iter().map(|cell| &self.seen.cells[*cell]).filter(of_it) {
            let soon = |at: i64| (-interval..=4 * interval).contains(&(since - at));
            let changed = self.seen.regions[cell.region].changed.filter(|changed| soon(changed.at));
            let changed = changed.map(|changed| (since - changed.at).max(0) / interval);
            let samples = cell.since(begin).filter(|one| self.channel.counts(one) && self.counts(cell, one.at));
            // From far away the same delay is a smaller share: it is looked for in seconds there.
            let bad = |sample: &Sample| match added {
                Some(added) if !sample.slow => cell.pace.shows(sample.duration, added),
                _ => Some(self.channel.is_bad(sample)),
            };
            let samples = samples.filter_map(|sample| Some(((sample.at - begin) / interval, bad(sample)?, *sample)));
            let subject = self.seen.index.probes[cell.probe].subject;
            rows.push(Row::of((cell, subject), self.channel, changed, samples));
        }
        rows
    }

    /// By how many seconds what is slow is slower than usual.
    fn added(&self, since: i64) -> Option<f32> {
        if self.channel != Channel::Slow {
            return None;
        }
        let cells = self.seen.cells_of[self.party].iter().map(|cell| &self.seen.cells[*cell]);
        let open = cells
            .filter(|cell| self.sound[cell.region] && self.open.contains(&self.seen.index.probes[cell.probe].subject));
        let slow = open.flat_map(|cell| {
            let slow = cell.since(since).filter(|one| self.channel.is_bad(one) && self.counts(cell, one.at));
            let usual = cell.pace.usual();
            slow.filter_map(move |sample| Some(sample.duration - usual?))
        });
        let mut added: Vec<f32> = slow.filter(|added| *added > 0.0).collect();
        added.sort_by(f32::total_cmp);
        added.get(added.len() / 2).copied()
    }

    /// Where nothing tells our own network's fault from theirs, or the explanations stay too close, nobody is blamed.
    fn doubt(&self, case: &mut Case, too_close: bool) {
        let blamed = self.blamed();
        let blind = |region: &usize| !self.seen.reaches_besides(self.party, *region, self.now);
        let all_blind = !case.bad_in.is_empty() && case.bad_in.iter().all(blind);
        if all_blind && case.cause != Cause::Probe && (case.seen.len() == 1 || case.bad_in.len() * 2 <= case.seen.len())
        {
            case.cause = Cause::Unknown;
            case.confidence = case.confidence.min(0.5);
            case.alternatives = if case.seen.len() > 1 {
                vec![Cause::Path, Cause::Probe]
            } else {
                vec![blamed, Cause::Path, Cause::Probe]
            };
        } else if case.seen.len() == 1 && case.cause != Cause::Probe {
            // From one region alone the other end and the way there look the same, whatever the failures sound like.
            let other = if case.cause == Cause::Path { blamed } else { Cause::Path };
            case.confidence = case.confidence.min(ALONE);
            if !case.alternatives.contains(&other) {
                case.alternatives.insert(0, other);
            }
        } else if too_close {
            if !case.alternatives.contains(&case.cause) {
                case.alternatives.insert(0, case.cause);
            }
            case.cause = Cause::Unknown;
        }
    }

    /// Whose fault it is when it is its own.
    fn blamed(&self) -> Cause {
        if self.seen.index.parties[self.party].kind == PartyKind::Us { Cause::Us } else { Cause::Them }
    }

    /// The evidence in sentences.
    fn tell(&self, case: &mut Case, label: &Label, bad: u32, all: u32) {
        let first = match label {
            Label::Credential(..) if case.failure.as_ref().is_some_and(|failure| failure.kind == Kind::TakenOver) => {
                Some(format!("All {all} looks are answered; another connection took over the client id."))
            }
            Label::Credential(..) => Some(format!("All {all} looks are answered, and refused for their credential.")),
            Label::Quota(..) => Some(format!("All {all} looks are answered, and refused for their rate.")),
            Label::Release(_) => Some("It began right after another release of ours came to these regions.".to_owned()),
            Label::Them(_) | Label::Path(..) => None,
        };
        let surroundings = self.seen.around(self.world, &case.subjects, &case.seen, self.now);
        case.evidence.extend(first);
        case.evidence.push(surroundings);
        if case.cause == Cause::Unknown && case.alternatives.contains(&Cause::Probe) {
            let none = "Nothing else that answers from there tells our own network's fault from theirs.";
            case.evidence.push(none.to_owned());
        }
        let fine: Vec<usize> = case.seen.iter().copied().filter(|region| !case.bad_in.contains(region)).collect();
        if !fine.is_empty() {
            case.evidence.push(format!("Fine from {}.", self.seen.list(&fine)));
        }
        if all >= 4 && bad * 10 < all * 8 {
            let verb = if self.channel == Channel::Slow { "are slow" } else { "fail" };
            case.evidence.push(format!("{bad} of {all} looks {verb} since then."));
        }
        if self.channel == Channel::Slow {
            case.evidence.extend(self.seen.slowness(&case.subjects, &case.bad_in));
        }
    }
}
