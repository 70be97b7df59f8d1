//! The judge: asks the hypotheses about every vantage point and every subject, then looks for shared fate.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::{
    Absorbed, World,
    confirmed::Confirmations,
    hypotheses::{self, Case, Finding},
    matrix::{Look, Matrix, Standing, commonest_failure},
    window::Window,
};
use crate::model::{Cause, PartyKind, Sighting, Subject, Timestamp, Verdict, round_of};

/// How long after a dependency has come back what stands on it may still be catching up.
const CATCHING_UP: Duration = Duration::from_mins(1);

/// Takes what is seen, in the order in which it comes to be known, and says whose fault it is. Everything that it knows
/// comes from its arguments: the same observations at the same instants make the same verdicts.
#[derive(Debug, Clone, Default)]
pub struct Judge {
    world: World,
    window: Window,
    confirmations: Confirmations,
}

impl Judge {
    /// A judge that has seen nothing yet.
    #[must_use]
    pub fn new(world: World) -> Self {
        Self { world, window: Window::default(), confirmations: Confirmations::default() }
    }

    /// The parties and probes that it judges.
    #[must_use]
    pub const fn world(&self) -> &World {
        &self.world
    }

    /// Goes on with other parties and probes; what was seen stays.
    pub fn adopt(&mut self, world: World) {
        self.world = world;
    }

    /// Takes one observation, or says why not.
    pub fn absorb(&mut self, seen: &Sighting<'_>, now: Timestamp) -> Absorbed {
        let absorbed = self.window.absorb(seen, now);
        self.confirmations.absorb(seen, absorbed);
        absorbed
    }

    /// One verdict for every subject that is not a control, and one for every vantage point; in a stable order.
    pub fn judge(&mut self, now: Timestamp) -> Vec<Verdict> {
        self.window.prune(&self.world, now);
        let mut verdicts = judge(&self.world, &self.window, now);
        self.confirmations.add_to(&mut verdicts, now);
        verdicts
    }

    /// Controls that fail in a region that can see: nobody's fault, but worth a line in the log.
    #[must_use]
    pub fn silent_controls(&self, now: Timestamp) -> BTreeSet<(Subject, Arc<str>)> {
        silent_controls(&self.world, &self.window, now)
    }

    /// From when on stored observations are needed to make the same judge again.
    #[must_use]
    pub fn reaches_back_to(now: Timestamp) -> Timestamp {
        Window::reaches_back_to(now)
    }
}

fn judge(world: &World, window: &Window, now: Timestamp) -> Vec<Verdict> {
    let matrix = Matrix::of(world, window, now);
    let vantages: Vec<Verdict> = matrix.regions.iter().map(|region| of_vantage(&matrix, region, now)).collect();
    let sound: Vec<&Arc<str>> = matrix
        .regions
        .iter()
        .zip(&vantages)
        .filter(|(_, verdict)| verdict.cause != Cause::Probe)
        .map(|(region, _)| *region)
        .collect();
    let mut verdicts: BTreeMap<Subject, Verdict> = matrix
        .accountable()
        .map(|(subject, interval)| (subject.clone(), of_subject(&matrix, subject, interval, &sound, now)))
        .collect();
    let explained: Vec<Verdict> = verdicts.values().filter_map(|v| shared_fate(&matrix, &verdicts, v, now)).collect();
    verdicts.extend(explained.into_iter().map(|verdict| (verdict.subject.clone(), verdict)));
    vantages.into_iter().chain(verdicts.into_values()).collect()
}

fn silent_controls(world: &World, window: &Window, now: Timestamp) -> BTreeSet<(Subject, Arc<str>)> {
    if !window
        .any_down(|probe| world.probes.get(probe).is_some_and(|p| world.kind(&p.subject.party) == PartyKind::Control))
    {
        return BTreeSet::new();
    }
    let matrix = Matrix::of(world, window, now);
    let blind = |region: &Arc<str>| of_vantage(&matrix, region, now).cause == Cause::Probe;
    let controls = matrix.looks.iter().filter(|look| look.kind == PartyKind::Control && look.is_down());
    let places: BTreeSet<_> = controls.map(|look| (look.subject.clone(), look.region.clone())).collect();
    places.into_iter().filter(|(_, region)| !blind(region)).collect()
}

/// Whether a region can see at all.
fn of_vantage<'a>(matrix: &'a Matrix<'a>, region: &Arc<str>, now: Timestamp) -> Verdict {
    let here: Vec<&'a Look<'a>> = matrix.looks.iter().filter(|look| look.region == region).collect();
    let interval = matrix.world.probes.values().map(|probe| probe.interval).min().unwrap_or(Duration::from_secs(1));
    let mut verdict = blank(Subject::vantage(region), now);
    // A vantage point that has said nothing conclusive for a while neither fails nor recovers.
    verdict.regions_seen = usize::from(!here.is_empty());
    if here.is_empty() {
        verdict.cause = Cause::Unknown;
        verdict.evidence.push("Nothing fresh has come from there.".to_owned());
        return verdict;
    }
    let witnesses: Vec<&'a Look<'a>> = {
        let controls: Vec<_> = here.iter().copied().filter(|look| look.kind == PartyKind::Control).collect();
        if controls.is_empty() { here.clone() } else { controls }
    };
    match hypotheses::vantage(matrix, region, &here) {
        Some(finding) => {
            let down = |looks: &[&'a Look<'a>]| looks.iter().copied().filter(|look| look.is_down()).collect::<Vec<_>>();
            // The rounds of the witnesses count; a service that is probed more often must not hurry a region's verdict.
            let testimony = Some(down(&witnesses)).filter(|looks| !looks.is_empty()).unwrap_or_else(|| down(&here));
            bad(&mut verdict, finding, testimony.into_iter(), interval);
        }
        None => good(&mut verdict, witnesses.into_iter(), interval),
    }
    verdict
}

/// How a subject stands, seen from the regions that can see.
fn of_subject(
    matrix: &Matrix<'_>,
    subject: &Subject,
    interval: Duration,
    sound: &[&Arc<str>],
    now: Timestamp,
) -> Verdict {
    let mut verdict = blank(subject.clone(), now);
    let seen: Vec<&Arc<str>> =
        sound.iter().copied().filter(|region| matrix.standing(subject, region).is_some()).collect();
    if seen.is_empty() {
        return unseen(matrix, verdict, interval);
    }
    verdict.regions_seen = seen.len();
    let with = |wanted: Standing| -> Vec<&Arc<str>> {
        seen.iter().copied().filter(|region| matrix.standing(subject, region) == Some(wanted)).collect()
    };
    let (down, degraded) = (with(Standing::Bad), with(Standing::Degraded));
    verdict.degraded = down.is_empty() && !degraded.is_empty();
    let bad_in = if verdict.degraded { degraded } else { down };
    let looks = || seen.iter().flat_map(|region| matrix.about_in(subject, region));
    if bad_in.is_empty() {
        good(&mut verdict, looks(), interval);
        return verdict;
    }
    let case = Case { matrix, subject, seen: &seen, bad_in: &bad_in, degraded: verdict.degraded };
    let wanted = |look: &&Look<'_>| {
        bad_in.contains(&look.region) && if case.degraded { look.is_degraded() } else { look.is_down() }
    };
    bad(&mut verdict, hypotheses::explain(&case), looks().filter(wanted), interval);
    verdict
}

/// A subject that no sound region has looked at lately: because no vantage point can see, or because nobody looked.
fn unseen(matrix: &Matrix<'_>, mut verdict: Verdict, interval: Duration) -> Verdict {
    let subject = verdict.subject.clone();
    let blind: Vec<&Look<'_>> = matrix.about(&subject).collect();
    verdict.cause = Cause::Unknown;
    if let Some(first) = blind.first() {
        let finding = Finding {
            cause: Cause::Probe,
            confidence: 0.9,
            alternatives: vec![],
            regions: blind.iter().map(|look| look.region.clone()).collect(),
            evidence: vec!["Every vantage point that looks at it has lost its own network.".to_owned()],
        };
        verdict.because_of = Some(Subject::vantage(first.region));
        bad(&mut verdict, finding, blind.into_iter(), interval);
    } else {
        verdict.evidence.push("Nothing fresh has been seen of it.".to_owned());
    }
    verdict
}

/// The verdict of a subject whose fault lies with something that it stands on, or that must wait for word of that.
fn shared_fate(
    matrix: &Matrix<'_>,
    verdicts: &BTreeMap<Subject, Verdict>,
    verdict: &Verdict,
    now: Timestamp,
) -> Option<Verdict> {
    let stands_alone = !matches!(verdict.cause, Cause::Us | Cause::Them | Cause::Unknown) || verdict.degraded;
    if stands_alone || !verdict.has_evidence() {
        return None;
    }
    let onset = verdict.onset?;
    let party = &verdict.subject.party;
    // Two parties that stand on each other cannot both be explained by the other.
    let below: Vec<&Verdict> = verdicts
        .values()
        .filter(|other| other.subject.party != *party && !matrix.world.depends_on(&other.subject.party).contains(party))
        .filter(|other| matrix.world.depends_on(party).contains(&other.subject.party))
        .collect();
    let explains = |other: &&&Verdict| {
        let failing =
            other.has_evidence() && !other.degraded && matches!(other.cause, Cause::Them | Cause::Us | Cause::Unknown);
        let just_back =
            other.cause == Cause::Ok && other.onset.is_some_and(|back| back >= onset && back + CATCHING_UP >= now);
        failing || just_back
    };
    let guilty: Vec<&Verdict> = below.iter().filter(explains).copied().collect();
    let is_root = |one: &&&Verdict| {
        let under = matrix.world.depends_on(&one.subject.party);
        !guilty.iter().any(|other| under.contains(&other.subject.party))
    };
    let mut explained = verdict.clone();
    if let Some(root) = guilty.iter().find(is_root).or(guilty.first()) {
        let name = matrix.world.subject_name(&root.subject);
        explained.cause = match root.cause {
            Cause::Unknown => Cause::Unknown,
            _ if matrix.world.kind(&root.subject.party) == PartyKind::Us => Cause::Us,
            _ => Cause::Them,
        };
        explained.alternatives.retain(|cause| *cause != explained.cause);
        explained.evidence.insert(
            0,
            if root.is_bad() {
                format!("It stands on {name}, which is down.")
            } else {
                format!("It stands on {name}, which has only just come back.")
            },
        );
        explained.because_of = Some(root.subject.clone());
        return Some(explained);
    }
    // What it stands on was last looked at before this began: as long as nobody has looked again, nothing more is known
    // than in the first bad round, so the verdict rests on that round and not on later ones.
    let older = |other: &&&Verdict| other.has_evidence() && matrix.about(&other.subject).all(|look| look.at() < onset);
    let pending = below.iter().find(older)?;
    let interval = matrix.subjects.get(&verdict.subject)?;
    explained.round = round_of(onset, *interval);
    explained.evidence.push(format!("{} has not been looked at since.", matrix.world.subject_name(&pending.subject)));
    if !explained.alternatives.contains(&Cause::Them) && explained.cause != Cause::Them {
        explained.alternatives.push(Cause::Them);
    }
    Some(explained)
}

const fn blank(subject: Subject, at: Timestamp) -> Verdict {
    Verdict {
        subject,
        at,
        cause: Cause::Ok,
        degraded: false,
        regions: vec![],
        regions_seen: 0,
        failure: None,
        onset: None,
        confidence: 0.0,
        alternatives: vec![],
        because_of: None,
        evidence: vec![],
        page_says: None,
        people_notice: None,
        round: 0,
    }
}

fn bad<'a>(verdict: &mut Verdict, finding: Finding, looks: impl Iterator<Item = &'a Look<'a>>, interval: Duration) {
    let looks: Vec<&Look<'_>> = looks.collect();
    verdict.cause = finding.cause;
    verdict.confidence = finding.confidence;
    verdict.alternatives = finding.alternatives;
    verdict.evidence = finding.evidence;
    verdict.regions = finding.regions;
    verdict.regions.sort();
    verdict.regions.dedup();
    verdict.failure = commonest_failure(looks.iter().copied());
    verdict.onset = looks.iter().filter_map(|look| look.since()).min();
    verdict.round = looks.iter().map(|look| look.round(interval)).max().unwrap_or_default();
}

fn good<'a>(verdict: &mut Verdict, looks: impl Iterator<Item = &'a Look<'a>>, interval: Duration) {
    let looks: Vec<&Look<'_>> = looks.filter(|look| !look.is_down()).collect();
    let back: Vec<&Look<'_>> = looks.iter().copied().filter(|look| look.has_failed()).collect();
    verdict.confidence = 0.99;
    verdict.onset = back.iter().filter_map(|look| look.since()).max();
    // What had failed must come through a round before the round counts as good.
    verdict.round = match back.iter().map(|look| look.round(interval)).min() {
        Some(round) => round,
        None => looks.iter().map(|look| look.round(interval)).max().unwrap_or_default(),
    };
}
