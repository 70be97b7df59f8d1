//! One inquiry into what looks worst of a party. Each explanation (`hypotheses`) says which cells it covers and what their
//! failures should look like; the one under which what was seen is likeliest wins. No round may speak for or against any
//! of them with more than a few nats: cells that fail together are not independent witnesses. Then: since when, whether it
//! still holds, where, and for how many rounds.

use super::{
    explain::{Case, Scene},
    hypotheses::{self, Found, Label},
    judge::instant,
    lasting::{Span, beyond, settle},
    memory::{Held, Memory},
    noise::SEVERITIES,
    part::{Channel, Strength},
    rows::{Place, ROUNDS, Row},
    run::{full_worth, height, holds, worth},
    watched::Watched,
};
use crate::model::{Cause, Kind, PartyKind};

/// The severity of a fault in which nearly everything fails.
pub(super) const FULL: usize = SEVERITIES.len() - 1;

/// Less than so many rounds' worth is no reason to call anything bad.
const FAINT: f32 = 0.5;

/// Evidence that what is told must leave when the longest blip is taken away from it, in nats: what one failure of a cell
/// says that nothing is known against. One that has failed before must fail more often.
const BEYOND: f32 = 4.0;

/// One region alone is never surer than this whose fault it is.
const ALONE: f64 = 0.85;

/// What came of an inquiry.
pub(super) enum Answer {
    Bad(Box<Case>, Held),
    /// What was told of these subjects does not hold any more.
    Over(Vec<usize>),
}

/// What looks worst of a party, and what its cells saw that counts.
pub(super) struct Inquiry<'a> {
    scene: &'a Scene<'a>,
    memory: &'a Memory,
    /// Subjects that nothing explains yet.
    open: &'a [usize],
    channel: Channel,
    part: usize,
    strength: Strength,
    /// Length of a round in milliseconds.
    interval: i64,
    /// Rounds' worth of evidence that raise an alarm.
    wanted: f32,
    /// Every cell of the open subjects in a sound region.
    watched: Vec<Watched<'a>>,
}

/// What explains best what was seen since an instant.
struct View<'a> {
    begin: i64,
    rows: Vec<Row<'a>>,
    found: Found,
}

impl View<'_> {
    fn covered(&self) -> impl Iterator<Item = &Row<'_>> {
        self.rows.iter().filter(|row| self.found.label.covers(&row.place))
    }
}

/// What is left of an explanation.
enum Left<'a> {
    /// Nothing: these subjects are well again.
    Nothing(Vec<usize>),
    /// It goes on; with the rounds that confirmations stand for.
    Goes(View<'a>, f32),
}

impl<'a> Inquiry<'a> {
    pub(super) fn new(
        scene: &'a Scene<'a>,
        memory: &'a Memory,
        open: &'a [usize],
        channel: Channel,
        (part, strength): (usize, Strength),
    ) -> Self {
        let seen = scene.seen;
        let (interval, wanted) = (seen.parts[part].interval, seen.parts[part].wanted);
        let since = strength.since.min(scene.now - ROUNDS * interval);
        let told = memory.has_told();
        let watch = |number: &usize| {
            let cell = &seen.cells[*number];
            let probe = &seen.index.probes[cell.probe];
            if !scene.counts(cell.region, channel) || !open.contains(&probe.subject) {
                return None;
            }
            // Not while its region could not see, nor what is over.
            let region = &seen.regions[cell.region];
            let over = memory.over_until(probe.subject, channel);
            let saw = |at: i64| if told { region.may_have_seen(at) } else { region.saw(at) };
            let was_steady = |at: i64| channel != Channel::Slow || region.was_steady(at);
            // Most of the time nothing is excused.
            let all = over.is_none() && region.always_saw();
            let counts = |at: i64| all || over.is_none_or(|over| at > over) && saw(at) && was_steady(at);
            Some(Watched::new((*number, cell), (probe.subject, probe.interval), (channel, since), counts))
        };
        let watched = seen.cells_of[scene.party].iter().filter_map(watch).collect();
        Self { scene, memory, open, channel, part, strength, interval, wanted, watched }
    }

    /// Whose fault it is most likely, since when, where and for how long; nothing where it is too little to say.
    pub(super) fn answer(&self) -> Option<Answer> {
        let told = self.told();
        let (span, view) = self.since_when(&told)?;
        let view = self.after_another(view, &told);
        let is_told = told.contains(&&view.found.label);
        let (view, lent) = match self.what_is_left(view, span, &told)? {
            Left::Nothing(subjects) => return Some(Answer::Over(subjects)),
            Left::Goes(view, lent) => (view, lent),
        };
        let View { begin, rows, found } = &view;
        let (bad, all) = view.covered().fold((0, 0), |(bad, all), row| (bad + row.bad, all + row.all));
        if bad == 0 {
            // What brought it up is not part of what is left.
            return is_told.then(|| Answer::Over(found.label.subjects(rows)));
        }
        let worth = (0..SEVERITIES.len()).map(|severity| self.worth(rows, &found.label, severity)).fold(0.0, f32::max);
        // A few slow answers among many are how answers come, not a fault.
        let is_usual = self.channel == Channel::Slow && bad * 10 < all * 3;
        if !is_told && (worth < FAINT || is_usual) {
            return None;
        }
        let subjects = found.label.struck(rows);
        let (looking, bad_in) = self.where_it_fails(&view, &subjects, (bad, all));
        let waiting = found.confidence < 0.5 && !is_told;
        let settled = span.rounds > self.scene.patience() + 1.5;
        let of_a_part = view.covered().count() == 1 || !found.label.is_whole() && subjects.len() < self.open.len();
        let mut rounds = worth.min(span.rounds);
        // Nobody is woken by what is only slow.
        if self.channel == Channel::Failing {
            rounds = rounds.min(self.lasting(&view)) + lent;
        }
        // It has been told, and goes on in another shape. What is left of a whole is another subject, and must show itself.
        let was_whole = told.iter().any(|label| label.is_whole()) || self.memory.told_whole.is_some();
        if *begin > span.onset && !told.is_empty() && (found.label.is_whole() || !was_whole) {
            rounds = rounds.max(self.scene.patience());
        }
        if matches!(found.label, Label::Path(..)) && of_a_part && looking.len() > 1 {
            // A part of a provider in one of several regions has nobody to bear it out, and there are many of these: it
            // takes a round more.
            rounds = (rounds * 0.8).min(span.rounds - 1.0);
        }
        if waiting && !settled {
            rounds = rounds.min(self.scene.patience() - 1.0);
        }
        let mut case = Case {
            whole: found.label.is_whole() && self.open.len() > 1,
            cause: found.cause,
            channel: self.channel,
            in_part: found.severity < FULL && is_in_part(bad, all),
            reason: found.label.reason(),
            confidence: found.confidence,
            alternatives: found.alternatives.clone(),
            seen: looking,
            failure: self.scene.seen.commonest_failure(view.covered().map(|row| row.watched.cell), span.onset),
            onset: span.onset,
            last_bad: span.last,
            rounds,
            evidence: vec![],
            subjects,
            bad_in,
        };
        self.doubt(&mut case, waiting && settled);
        self.tell(&mut case, &found.label, bad, all);
        let since = (*begin > span.onset).then_some(*begin);
        let (label, severity) = (found.label.clone(), found.severity);
        Some(Answer::Bad(Box::new(case), Held { label, channel: self.channel, told: false, since, severity }))
    }

    fn held(&self) -> impl Iterator<Item = &'a Held> {
        self.memory.held.iter().filter(|held| held.channel == self.channel)
    }

    /// What people were told.
    fn told(&self) -> Vec<&'a Label> {
        self.held().filter(|held| held.told).map(|held| &held.label).collect()
    }

    /// The best explanation of what was seen since an instant; one that is held stays unless another is clearly better.
    fn view(&self, begin: i64, held: &[&Label], told: &[&Label]) -> Option<View<'_>> {
        let rows = self.rows(begin);
        let question = hypotheses::Question { seen: self.scene.seen, party: self.scene.party, open: self.open };
        let found = hypotheses::best(&question, &rows, held, told)?;
        Some(View { begin, rows, found })
    }

    /// When it began and for how long it has lasted, and what explains it best since then.
    fn since_when(&self, told: &[&Label]) -> Option<(Span, View<'_>)> {
        let of_it = &self.scene.seen.parts[self.part].cells;
        // Cells come to a part in the order of their numbers.
        let of_it = |watched: &&Watched<'_>| of_it.binary_search(&watched.number).is_ok();
        let cells: Vec<&Watched<'_>> = self.watched.iter().filter(of_it).collect();
        let span = settle(&cells, self.strength.since, self.strength.severity, self.channel);
        let earliest = |one: Span, other: Span| if other.onset < one.onset { other } else { one };
        let span = span.into_iter().chain(self.told_span(&cells)).reduce(earliest)?;
        let view = self.view(span.onset, told, told)?;
        // One cell may have failed by chance just before nearly all did: what all of them saw says when it began.
        let covered: Vec<&Watched<'_>> = view.covered().map(|row| row.watched).collect();
        if covered.len() > cells.len()
            && !told.contains(&&view.found.label)
            && let Some(wider) = settle(&covered, span.onset, view.found.severity, self.channel)
            && wider.onset > span.onset
            && let Some(later) = self.view(wider.onset, told, told)
            && later.found.label == view.found.label
            && later.found.severity == FULL
        {
            return Some((wider, later));
        }
        Some((span, view))
    }

    /// Since when what was told goes on, of which these cells are a part: where it shows little among many cells that are
    /// well, what fails beside it by chance does not say when it began.
    fn told_span(&self, cells: &[&Watched<'_>]) -> Option<Span> {
        let since = self.scene.now - ROUNDS * self.interval;
        let span_of = |held: &Held| {
            let covers = |watched: &&Watched<'_>| held.label.covers(&self.place(watched, since));
            let covered: Vec<&Watched<'_>> = self.watched.iter().filter(covers).collect();
            let is_part = covered.iter().any(|one| cells.iter().any(|cell| one.number == cell.number));
            let span = if is_part { settle(&covered, since, held.severity, self.channel) } else { None };
            span.filter(|span| span.last > self.lately())
        };
        self.held().filter(|held| held.told).filter_map(span_of).min_by_key(|span| span.onset)
    }

    /// What came after another explanation is not measured by what was before it.
    fn after_another<'b>(&'b self, view: View<'b>, told: &[&Label]) -> View<'b> {
        let since = self.held().filter_map(|held| held.since).max().filter(|since| *since > view.begin);
        let later = since.and_then(|since| self.view(since, told, told));
        let goes_on =
            |later: &View<'_>| self.held().any(|held| held.label == later.found.label && held.since.is_some());
        later.filter(goes_on).unwrap_or(view)
    }

    /// What was told holds until clearly less is left of it. What fails on is another fault then, or a part of it.
    fn what_is_left<'b>(&'b self, view: View<'b>, span: Span, told: &[&Label]) -> Option<Left<'b>> {
        let Found { label, severity, .. } = &view.found;
        let height = self.height(&view.rows, label, *severity);
        let lent = if height < self.wanted { self.lent(label, &view.rows, span) } else { 0.0 };
        // What has only failed so far has become likelier by chance in the meantime, which is no reason to begin anew.
        let rests = || view.covered().any(|row| row.bad < row.all);
        let risen = told.contains(&label) || height + lent >= self.wanted && rests();
        if !risen || self.worth(&view.rows, label, *severity) + lent >= holds(*severity, self.wanted) {
            return Some(Left::Goes(view, lent));
        }
        let subjects = label.subjects(&view.rows);
        if !self.fails_on(&subjects, self.lately()) {
            return Some(Left::Nothing(subjects));
        }
        Some(Left::Goes(self.view(self.lately().max(view.begin), &[], told)?, 0.0))
    }

    /// Two rounds and a half ago: what has not been bad since then is not bad now.
    const fn lately(&self) -> i64 {
        self.scene.now - 5 * self.interval / 2
    }

    /// The regions that look at these subjects, and those of them from which it fails.
    fn where_it_fails(&self, view: &View<'_>, subjects: &[usize], (bad, all): (u32, u32)) -> (Vec<usize>, Vec<usize>) {
        let fresh = |row: &Row<'_>| self.scene.seen.fresh(row.watched.cell, self.scene.now).is_some();
        let of_them = view.rows.iter().filter(|row| subjects.contains(&row.place.subject));
        let mut looking: Vec<usize> =
            of_them.filter(|row| row.all > 0 || fresh(row)).map(|row| row.place.region).collect();
        looking.sort_unstable();
        looking.dedup();
        let mut bad_in = looking.clone();
        bad_in.retain(|region| {
            let here = view.covered().filter(|row| row.place.region == *region);
            let (b, a) = here.fold((0, 0), |(bad, all), row| (bad + row.bad, all + row.all));
            // A region counts when about as much fails there as elsewhere.
            b > 0 && b * all * 3 >= bad * a
        });
        (looking, bad_in)
    }

    /// Rounds' worth of evidence for an explanation and a severity.
    fn worth(&self, rows: &[Row<'_>], label: &Label, severity: usize) -> f32 {
        let covered: Vec<&Row<'_>> = rows.iter().filter(|row| label.covers(&row.place)).collect();
        let rounds = 0..=ROUNDS as usize;
        let said = |round: usize| covered.iter().map(|row| row.said(round, severity)).sum::<f32>();
        let in_full = |round: usize| covered.iter().map(|row| row.said_in_full(round, severity)).sum::<f32>();
        worth(rounds.clone().map(said), severity, self.wanted).min(full_worth(rounds.map(in_full), severity))
    }

    /// The most that it was worth, whether or not anybody remembers.
    fn height(&self, rows: &[Row<'_>], label: &Label, severity: usize) -> f32 {
        let covered: Vec<&Row<'_>> = rows.iter().filter(|row| label.covers(&row.place)).collect();
        let said = |round: usize| covered.iter().map(|row| row.said(round, severity)).sum::<f32>();
        height((0..=ROUNDS as usize).map(said), severity, self.wanted)
    }

    /// Rounds that confirmations stand for, where it is the other end that fails: it must have been seen in two all the same.
    fn lent(&self, label: &Label, rows: &[Row<'_>], span: Span) -> f32 {
        let Scene { seen, confirmations, .. } = self.scene;
        let onset = instant(span.onset);
        let stand_for_one = |subject: usize| {
            confirmations.stand_for_a_round(&seen.index.subjects[subject].subject, onset, self.interval)
        };
        let asked = self.channel == Channel::Failing && span.rounds >= 2.0 && matches!(label, Label::Them(_));
        if asked && label.subjects(rows).into_iter().any(stand_for_one) { 1.0 } else { 0.0 }
    }

    /// For how many rounds it has been bad, as far as a blip would not have been so too.
    fn lasting(&self, view: &View<'_>) -> f32 {
        let whole = self.scene.patience() - 1.0;
        // In rounds of what is looked at most often, of that which fails.
        let fails = view.covered().filter(|row| row.bad > 0);
        let interval = fails.map(|row| row.watched.interval).min().unwrap_or(self.interval);
        #[expect(clippy::cast_possible_truncation, reason = "a few rounds")]
        let blip = (interval as f32 * whole) as i64 - interval / 20;
        let beyond = beyond(view.covered().map(|row| row.watched), view.begin, blip, self.channel);
        whole + beyond.into_iter().fold(0.0, f32::max) / BEYOND * 2.0 / 3.0
    }

    /// Whether some cell of these subjects has only been bad since an instant, more than once.
    fn fails_on(&self, subjects: &[usize], since: i64) -> bool {
        let mut cells = self.watched.iter().filter(|watched| subjects.contains(&watched.subject));
        cells.any(|watched| {
            let looks = watched.since(since);
            looks.len() > 1 && looks.iter().all(|look| self.channel.is_bad(look))
        })
    }

    /// Every cell, with what it saw since, round by round.
    fn rows(&self, since: i64) -> Vec<Row<'_>> {
        let begin = since.max(self.scene.now - ROUNDS * self.interval);
        let added = self.added(begin);
        let row = |watched| {
            let place = self.place(watched, since);
            Row::new((watched, place), self.channel, (begin, self.interval), |look| match added {
                // From far away the same delay is a smaller share: it is looked for in seconds there.
                Some(added) if !look.slow => watched.cell.pace.shows(look.duration, added),
                _ => Some(self.channel.is_bad(look)),
            })
        };
        self.watched.iter().map(row).collect()
    }

    /// Where a cell is, and whether what began at an instant began with a release there.
    fn place(&self, watched: &Watched<'_>, since: i64) -> Place {
        let region = watched.cell.region;
        let soon = |at: i64| (-self.interval..=4 * self.interval).contains(&(since - at));
        let changed = self.scene.seen.regions[region].changed.filter(|changed| soon(changed.at));
        let changed = changed.map(|changed| (since - changed.at).max(0) / self.interval);
        Place { probe: watched.cell.probe, subject: watched.subject, region, changed }
    }

    /// By how many seconds what is slow is slower than usual.
    fn added(&self, since: i64) -> Option<f32> {
        if self.channel != Channel::Slow {
            return None;
        }
        let slow = self.watched.iter().flat_map(|watched| {
            let usual = watched.cell.pace.usual();
            let slow = watched.since(since).iter().filter(|look| self.channel.is_bad(look));
            slow.filter_map(move |look| Some(look.duration - usual?))
        });
        let mut added: Vec<f32> = slow.filter(|added| *added > 0.0).collect();
        added.sort_by(f32::total_cmp);
        added.get(added.len() / 2).copied()
    }

    /// Where nothing tells our own network's fault from theirs, or the explanations stay too close, nobody is blamed.
    fn doubt(&self, case: &mut Case, too_close: bool) {
        let blamed = self.blamed();
        let blind = |region: &usize| !self.scene.seen.reaches_besides(self.scene.party, *region, self.scene.now);
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
        if self.scene.seen.index.parties[self.scene.party].kind == PartyKind::Us { Cause::Us } else { Cause::Them }
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
        let surroundings = self.scene.seen.around(self.scene.world, &case.subjects, &case.seen, self.scene.now);
        case.evidence.extend(first);
        case.evidence.push(surroundings);
        if case.cause == Cause::Unknown && case.alternatives.contains(&Cause::Probe) {
            let none = "Nothing else that answers from there tells our own network's fault from theirs.";
            case.evidence.push(none.to_owned());
        }
        let fine: Vec<usize> = case.seen.iter().copied().filter(|region| !case.bad_in.contains(region)).collect();
        if !fine.is_empty() {
            case.evidence.push(format!("Fine from {}.", self.scene.seen.list(&fine)));
        }
        if is_in_part(bad, all) {
            let verb = if self.channel == Channel::Slow { "are slow" } else { "fail" };
            case.evidence.push(format!("{bad} of {all} looks {verb} since then."));
        }
        if self.channel == Channel::Slow {
            case.evidence.extend(self.scene.seen.slowness(&case.subjects, &case.bad_in));
        }
    }
}

/// Whether so many bad looks of all are only a part, as far as few looks can tell.
const fn is_in_part(bad: u32, all: u32) -> bool {
    all >= 4 && bad * 10 < all * 8
}
