//! The judge: asks the regions whether they can see, each party what explains it best, and then who shares whose fate.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use super::{
    Absorbed, World,
    absorb::{News, REACH, Seen},
    bonds::Fates,
    cell::Cell,
    confirmed::Confirmations,
    explain::{self, Case, Scene},
    fate,
    index::Index,
    memory::Memory,
    names::Quick,
    part::Channel,
    surroundings::Standing,
    vantage::{self, Attention, Sight},
};
use crate::model::{Cause, PartyKind, Sighting, Subject, Timestamp, Verdict};

/// Takes what is seen, in the order in which it comes to be known, and says whose fault it is. Everything that it knows
/// comes from its arguments: the same observations at the same instants make the same verdicts.
#[derive(Debug, Clone)]
pub struct Judge {
    world: World,
    pub(super) seen: Seen,
    pub(super) memories: Vec<Memory>,
    confirmations: Confirmations,
    attention: Attention,
    fates: Fates,
    /// What was last said of each party, and what it rested on.
    said: Vec<Said>,
    /// Parties of which somebody waits for a word as a whole.
    asked: BTreeSet<Arc<str>>,
    /// When it was last seen to what can be forgotten.
    tidied: i64,
}

/// The verdicts of a party's subjects at an instant.
#[derive(Debug, Clone, Default)]
struct Said {
    verdicts: Vec<Verdict>,
    at: i64,
    /// When they were last anything but good, and when there was last something of which people were told.
    bad_at: i64,
    told_at: i64,
    sound: Vec<bool>,
    steady: Vec<bool>,
}

/// A verdict is not repeated for longer than this without another look: what is fresh changes with time.
const REPEAT: i64 = 5_000;
/// How often it is seen to what can be forgotten: once an hour.
const TIDY: i64 = 60 * 60_000;
/// What was not good in this time is looked at whenever anything new is seen: half an hour.
const LATELY: i64 = 30 * 60_000;

impl Judge {
    /// A judge that has seen nothing yet.
    #[must_use]
    pub fn new(world: World) -> Self {
        let seen = Seen::new(Index::of(&world), world.open_after);
        let memories = vec![Memory::default(); seen.index.parties.len()];
        let said = vec![Said::default(); memories.len()];
        Self {
            world,
            seen,
            memories,
            confirmations: Confirmations::default(),
            attention: Attention::default(),
            fates: Fates::default(),
            said,
            asked: BTreeSet::new(),
            tidied: i64::MIN / 2,
        }
    }

    /// Of these parties a verdict as a whole is wanted from now on, also when they are well: an incident of all of them goes
    /// on.
    pub fn ask_for_wholes(&mut self, parties: impl Iterator<Item = Arc<str>>) {
        let asked: BTreeSet<Arc<str>> = parties.collect();
        for (said, party) in self.said.iter_mut().zip(&self.seen.index.parties) {
            // What was said before was an answer to another question.
            if asked.contains(&party.key) != self.asked.contains(&party.key) {
                said.at = i64::MIN / 2;
            }
        }
        self.asked = asked;
    }

    /// The parties and probes that it judges.
    #[must_use]
    pub const fn world(&self) -> &World {
        &self.world
    }

    /// From one start of a probe to the next; nothing where nothing is known of it.
    #[must_use]
    pub fn interval_of(&self, probe: &str) -> Option<Duration> {
        let millis = self.seen.index.probes[self.seen.index.probe(probe)?].interval;
        Some(Duration::from_millis(millis.unsigned_abs()))
    }

    /// How often a probe has turned out to be looked at otherwise than was reckoned with.
    #[must_use]
    pub const fn paces(&self) -> u32 {
        self.seen.paces
    }

    /// The regions that were heard of, each with the shortest time from one look to the next of its probes.
    pub fn intervals_of_regions(&self) -> impl Iterator<Item = (&Arc<str>, Duration)> {
        let interval = |region: &super::absorb::Region| self.seen.parts[region.everything].interval;
        let regions = self.seen.regions.iter();
        regions.map(move |region| (&region.name, Duration::from_millis(interval(region).unsigned_abs())))
    }

    /// Goes on with other parties and probes. What was seen of the probes that stay, stays.
    pub fn adopt(&mut self, world: World) {
        if world == self.world {
            return;
        }
        let mut judge = Self::new(world);
        judge.seen.inherit(&self.seen);
        judge.confirmations = std::mem::take(&mut self.confirmations);
        judge.attention = self.attention;
        judge.fates = std::mem::take(&mut self.fates);
        *self = judge;
    }

    /// Takes one observation, or says why not.
    pub fn absorb(&mut self, seen: &Sighting<'_>, now: Timestamp) -> Absorbed {
        let absorbed = self.seen.absorb(seen, now);
        self.confirmations.absorb(seen, absorbed);
        if absorbed == Absorbed::Confirmation
            && let Some(probe) = self.seen.index.probe(seen.probe)
        {
            self.seen.is_new(probe, News::Bad);
        }
        absorbed
    }

    /// One verdict for every subject that is not a control, and one for every vantage point; in a stable order.
    pub fn judge(&mut self, now: Timestamp) -> Vec<Verdict> {
        let at = now.timestamp_millis();
        self.listen(at);
        self.seen.note_what_is_fresh(at);
        let sights = vantage::sights(&mut self.seen, self.attention, at);
        let sound: Vec<bool> = sights.iter().map(|sight| sight.sound).collect();
        let steady: Vec<bool> = sights.iter().map(|sight| sight.steady).collect();
        // A region of which it is not sure that it cannot see may still bear out what is known.
        let perhaps: Vec<bool> = sights.iter().map(|sight| sight.sound || sight.doubtful).collect();
        let mut verdicts = BTreeMap::new();
        for party in 0..self.seen.index.parties.len() {
            if self.seen.index.parties[party].kind == PartyKind::Control {
                self.seen.news[party] = News::None;
                continue;
            }
            let sound = if self.memories[party].has_told() { &perhaps } else { &sound };
            let said = &self.said[party];
            let news = match self.seen.news[party] {
                // What was told goes on or is over, or much speaks for it: every look counts.
                News::Good => at - said.told_at <= LATELY || said.verdicts.iter().any(|one| self.is_near(one)),
                News::Bad => at - said.bad_at <= LATELY || !self.is_quiet(party, at),
                News::None => false,
            };
            let repeats = !news
                && (&said.sound, &said.steady) == (sound, &steady)
                && (0..REPEAT.min(self.seen.shortest)).contains(&(at - said.at));
            if !repeats {
                let verdicts = self.of_party(party, (sound, &steady), &sights, at);
                self.seen.news[party] = News::None;
                let Said { bad_at, told_at, .. } = self.said[party];
                let bad_at = if verdicts.iter().any(Verdict::is_bad) { at } else { bad_at };
                let told_at = if self.memories[party].has_told() { at } else { told_at };
                let (sound, steady) = (sound.clone(), steady.clone());
                self.said[party] = Said { verdicts, at, bad_at, told_at, sound, steady };
            }
            for verdict in &self.said[party].verdicts {
                verdicts.insert(verdict.subject.clone(), Verdict { at: now, ..verdict.clone() });
            }
        }
        fate::share(&self.world, &self.seen, &mut verdicts, &mut self.fates, now);
        let mut vantages: Vec<Verdict> =
            sights.into_iter().filter(|sight| sight.known).map(|sight| sight.verdict).collect();
        vantages.sort_by(|one, other| one.subject.cmp(&other.subject));
        vantages.extend(verdicts.into_values());
        self.confirmations.add_to(&mut vantages, now);
        vantages
    }

    /// What a judgement begins with: takes note of alarms, and that somebody is there to hear; forgets what is gone.
    pub(super) fn listen(&mut self, at: i64) {
        let is_told = |(party, memory): (usize, &Memory)| {
            memory.has_told() || self.seen.index.parties[party].kind == PartyKind::Control
        };
        let told: Vec<bool> = self.memories.iter().enumerate().map(is_told).collect();
        self.seen.sound_alarms(&told, at);
        self.attention.pay(at);
        if at - self.tidied > TIDY {
            self.seen.forget_what_is_gone();
            self.tidied = at;
        }
    }

    /// Comes to what it came to at an instant before, while what was stored is taken again. Nobody has listened then: that
    /// nothing was heard is no news.
    pub fn look_back(&mut self, then: Timestamp) {
        if !self.is_calm(then) {
            let attention = self.attention;
            self.judge(then);
            self.attention = attention;
        }
    }

    /// Takes note that nothing could be heard until now: nobody was silent.
    pub fn hears_nothing(&mut self, now: Timestamp) {
        self.attention.miss(now.timestamp_millis());
    }

    fn of_party(
        &mut self,
        party: usize,
        (sound, steady): (&[bool], &[bool]),
        sights: &[Sight],
        now: i64,
    ) -> Vec<Verdict> {
        let mut verdicts = BTreeMap::new();
        let Self { world, seen, confirmations, memories, .. } = self;
        let scene = Scene { world, seen, confirmations, party, sound, steady, now };
        let cases = explain::cases(&scene, &mut memories[party]);
        let subjects = self.seen.index.parties[party].subjects.clone();
        for subject in &subjects {
            let verdict = self.of_subject(*subject, &cases, sound, sights, now);
            verdicts.insert(verdict.subject.clone(), verdict);
        }
        // When a party fails as a whole, that is one fault, not one for each of its products.
        let whole = cases.iter().find(|case| case.whole && subjects.len() > 1);
        let own = Subject { party: self.seen.index.parties[party].key.clone(), product: None };
        let has_own = subjects.iter().any(|subject| self.seen.index.subjects[*subject].subject == own);
        if let Some(case) = whole.filter(|_| !has_own) {
            for subject in &subjects {
                let subject = &self.seen.index.subjects[*subject].subject;
                if let Some(verdict) = verdicts.get_mut(subject).filter(|verdict| verdict.is_bad()) {
                    verdict.because_of = Some(own.clone());
                }
            }
            let interval = subjects.iter().map(|subject| self.seen.index.subjects[*subject].interval).min();
            let verdict = self.bad(own, case, sound, interval.unwrap_or(1), now);
            verdicts.insert(verdict.subject.clone(), verdict);
        } else if subjects.len() > 1 && !has_own && self.asked.contains(&own.party) {
            // Whoever was told that all of it is down hears from the same subject that it is back.
            let verdict = self.well_as_a_whole(own, &subjects, &verdicts, now);
            verdicts.insert(verdict.subject.clone(), verdict);
        }
        verdicts.into_values().collect()
    }

    /// A party whose products are well again, or some of them: it is as far as the one that is looked at least.
    fn well_as_a_whole(
        &self,
        own: Subject,
        subjects: &[usize],
        verdicts: &BTreeMap<Subject, Verdict>,
        now: i64,
    ) -> Verdict {
        let of_it = || {
            let products = subjects.iter().map(|subject| &self.seen.index.subjects[*subject]);
            let products = products.filter_map(|ix| Some((ix.interval, verdicts.get(&ix.subject)?)));
            products.filter(|(_, product)| product.has_evidence())
        };
        let mut verdict = Verdict::ok(own, instant(now));
        verdict.regions_seen = of_it().map(|(_, product)| product.regions_seen).max().unwrap_or_default();
        verdict.onset = of_it().filter(|(_, product)| !product.is_bad()).filter_map(|(_, product)| product.onset).max();
        verdict.confidence = 0.99;
        // Each product counts rounds of its own. What is looked at far more seldom than others must be well, and nobody
        // waits for many rounds of it.
        let shortest = of_it().map(|(interval, _)| interval).min().unwrap_or(1).max(1);
        let often = of_it().filter(|(interval, _)| *interval <= shortest * 2);
        let at = often.map(|(interval, product)| product.round.saturating_mul(interval)).min();
        verdict.round = at.unwrap_or_default().div_euclid(shortest);
        verdict
    }

    fn of_subject(&self, subject: usize, cases: &[Case], sound: &[bool], sights: &[Sight], now: i64) -> Verdict {
        let ix = &self.seen.index.subjects[subject];
        if let Some(case) = cases.iter().find(|case| case.subjects.contains(&subject)) {
            return self.bad(ix.subject.clone(), case, sound, ix.interval, now);
        }
        let mut verdict = Verdict::ok(ix.subject.clone(), instant(now));
        let (mut seen, mut blind) = (vec![], vec![]);
        for (region, standing) in self.seen.standings(subject, now).into_iter().enumerate() {
            match standing {
                Some(_) if sound[region] => seen.push(region),
                Some(standing) => blind.push((region, standing)),
                None => {}
            }
        }
        let cells: Vec<&Cell> =
            self.seen.cells_of_subject(subject).filter(|cell| seen.binary_search(&cell.region).is_ok()).collect();
        verdict.regions_seen = seen.len();
        if seen.is_empty() {
            verdict.cause = Cause::Unknown;
            let blamed = blind.iter().find(|(region, _)| sights[*region].verdict.cause == Cause::Probe);
            match blamed {
                Some((region, standing)) => {
                    verdict.because_of = Some(Subject::vantage(&self.seen.regions[*region].name));
                    if *standing == Standing::Bad {
                        verdict.cause = Cause::Probe;
                        verdict.confidence = 0.9;
                    }
                    let regions: Vec<usize> = blind.iter().map(|(region, _)| *region).collect();
                    verdict.regions = self.seen.names(&regions);
                    verdict.onset = sights[*region].verdict.onset;
                    verdict.evidence.push("Every vantage point that looks at it has lost its own network.".to_owned());
                }
                None => verdict.evidence.push("Nothing fresh has been seen of it.".to_owned()),
            }
            return verdict;
        }
        good(&mut verdict, &cells, ix.interval);
        verdict
    }

    fn bad(&self, subject: Subject, case: &Case, sound: &[bool], interval: i64, now: i64) -> Verdict {
        let regions = self.seen.names(&case.bad_in);
        let seen = case.seen.iter().filter(|region| sound[**region]).count();
        Verdict {
            cause: case.cause,
            reason: case.reason,
            degraded: case.channel == Channel::Slow,
            in_part: case.in_part && case.channel == Channel::Failing,
            regions,
            regions_seen: seen.max(1),
            failure: case.failure.clone(),
            onset: Some(instant(case.onset)),
            confidence: case.confidence,
            alternatives: case.alternatives.clone(),
            evidence: case.evidence.clone(),
            weight: Some(f64::from(case.rounds)),
            round: case.last_bad.div_euclid(interval.max(1)),
            ..Verdict::ok(subject, instant(now))
        }
    }

    /// Controls that fail in a region that can see: nobody's fault, but worth a line in the log.
    #[must_use]
    pub fn silent_controls(&self, now: Timestamp) -> BTreeSet<(Subject, Arc<str>)> {
        let at = now.timestamp_millis();
        let control = |cell: &&Cell| self.seen.index.kind_of(cell.probe) == PartyKind::Control;
        let down = |cell: &&Cell| self.seen.fresh(cell, at).is_some_and(super::cell::Sample::is_down);
        let blind = |region: usize| {
            let mut others = self.seen.cells_in(region).filter(|cell| !control(cell));
            !others.any(|cell| self.seen.fresh(cell, at).is_some_and(|newest| !newest.is_down()))
        };
        let controls = self.seen.cells.iter().filter(control).filter(down).filter(|cell| !blind(cell.region));
        let place = |cell: &Cell| {
            let probe = &self.seen.index.probes[cell.probe];
            (self.seen.index.subjects[probe.subject].subject.clone(), self.seen.regions[cell.region].name.clone())
        };
        controls.map(place).collect()
    }

    /// From when on stored observations are needed to make the same judge again.
    #[must_use]
    pub fn reaches_back_to(now: Timestamp) -> Timestamp {
        now - REACH
    }
}

/// Without the cells that another of the same probe and region has taken over from: a session that is held again is not
/// opened in the next rounds, and a vantage point that is gone does not look again.
fn current<'a>(cells: &[&'a Cell], interval: i64) -> Vec<&'a Cell> {
    let newest = |cell: &Cell| cell.newest().map_or(i64::MIN, |sample| sample.at);
    let mut latest: HashMap<(usize, usize), i64, Quick> = HashMap::default();
    for cell in cells {
        let at = latest.entry((cell.probe, cell.region)).or_insert(i64::MIN);
        *at = newest(cell).max(*at);
    }
    let taken_over = |cell: &&Cell| {
        latest.get(&(cell.probe, cell.region)).is_some_and(|at| newest(cell) < at.saturating_sub(interval))
    };
    cells.iter().copied().filter(|cell| !taken_over(cell)).collect()
}

/// A good verdict: what had failed must come through a round before the round counts as good.
pub(super) fn good(verdict: &mut Verdict, cells: &[&Cell], interval: i64) {
    verdict.confidence = 0.99;
    let up_at = |cell: &Cell| cell.newest().filter(|newest| !newest.is_down()).map(|newest| newest.at);
    let newest = |cells: &[&Cell]| cells.iter().filter_map(|cell| up_at(cell)).max();
    // Where nothing is remembered to have failed, the newest says when it was last good.
    let at = if cells.iter().any(|cell| cell.has_failed()) {
        let cells = current(cells, interval);
        let back = cells.iter().filter_map(|cell| cell.good_since().zip(up_at(cell)));
        let back: Vec<(i64, i64)> = back.collect();
        verdict.onset = back.iter().map(|(since, _)| *since).max().map(instant);
        back.iter().map(|(_, newest)| *newest).min().or_else(|| newest(&cells))
    } else {
        newest(cells)
    };
    verdict.round = at.unwrap_or_default().div_euclid(interval.max(1));
}

pub(super) fn instant(millis: i64) -> Timestamp {
    Timestamp::from_timestamp_millis(millis).unwrap_or_default()
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
