//! One function per way to explain what is seen, asked in order: the first that fits answers. Each says its evidence in
//! sentences.

use std::sync::Arc;

use super::matrix::{Look, Matrix, Standing, Tally};
use crate::model::{Cause, Kind, PartyKind, Phase, Subject};

/// A subject that is bad somewhere, and all there is to know about it.
pub(super) struct Case<'a> {
    pub(super) matrix: &'a Matrix<'a>,
    pub(super) subject: &'a Subject,
    /// Sound regions with fresh evidence about it.
    pub(super) seen: &'a [&'a Arc<str>],
    /// Those in which it is bad.
    pub(super) bad_in: &'a [&'a Arc<str>],
    /// Slow or poor, not down.
    pub(super) degraded: bool,
}

/// An explanation.
pub(super) struct Finding {
    pub(super) cause: Cause,
    pub(super) confidence: f64,
    pub(super) alternatives: Vec<Cause>,
    pub(super) regions: Vec<Arc<str>>,
    pub(super) evidence: Vec<String>,
}

/// The explanation of a bad subject.
pub(super) fn explain(case: &Case<'_>) -> Finding {
    let hypotheses = [credential, nothing_to_compare, one_region_of_several];
    hypotheses.iter().find_map(|hypothesis| hypothesis(case)).unwrap_or_else(|| everywhere(case))
}

/// A region that cannot see: not even its controls answer, or its resolver is gone.
pub(super) fn vantage(matrix: &Matrix<'_>, region: &Arc<str>, here: &[&Look<'_>]) -> Option<Finding> {
    let evidence = no_control_answers(matrix, region).or_else(|| resolver_is_gone(here))?;
    // A control that answers leaves room for several parties that fail at once.
    let sees_something = matrix.place(region).controls.up > 0;
    Some(Finding {
        cause: Cause::Probe,
        confidence: if sees_something { 0.8 } else { 0.9 },
        alternatives: if sees_something { vec![Cause::Them] } else { vec![] },
        regions: vec![region.clone()],
        evidence,
    })
}

/// Controls are unrelated to everything else: when all of them fail together with most of the rest, or most of them with
/// all of the rest, the network here is what they share. Controls that fail while the rest lives are nobody's fault.
fn no_control_answers(matrix: &Matrix<'_>, region: &Arc<str>) -> Option<Vec<String>> {
    let controls = matrix.place(region).controls;
    let standings: Vec<Standing> =
        matrix.accountable().filter_map(|(subject, _)| matrix.standing(subject, region)).collect();
    let bad = standings.iter().filter(|standing| **standing == Standing::Bad).count();
    let enough = if controls.all_down() { bad * 2 >= standings.len() } else { bad == standings.len() };
    (controls.mostly_down() && bad > 0 && enough).then(|| {
        let (up, all) = (controls.up, controls.all);
        vec![format!("Controls {up}/{all} up, {bad} of {} others down too.", standings.len())]
    })
}

/// Everything that fails, fails at its name, with unrelated parties among it, and no name resolves.
fn resolver_is_gone(here: &[&Look<'_>]) -> Option<Vec<String>> {
    let down: Vec<&&Look<'_>> = here.iter().filter(|look| look.is_down()).collect();
    let at_the_name =
        |look: &&&Look<'_>| matches!(look.failure(), Some((Phase::Resolve, Kind::ResolverFailed | Kind::TimedOut)));
    let mut parties: Vec<&Arc<str>> = down.iter().map(|look| &look.subject.party).collect();
    parties.sort();
    parties.dedup();
    let none_resolves = !here.iter().any(|look| look.resolved_well());
    (parties.len() >= 2 && down.iter().all(at_the_name) && none_resolves).then(|| {
        vec![format!("No name resolves here: {} probes of {} parties fail at resolve.", down.len(), parties.len())]
    })
}

/// The same refusal of our credential (or of our rate) everywhere, from something that lives: the refusal itself is an
/// answer, and a sibling without it that also fails takes the argument away.
fn credential(case: &Case<'_>) -> Option<Finding> {
    let looks: Vec<&Look<'_>> =
        case.seen.iter().flat_map(|region| case.matrix.about_in(case.subject, region)).collect();
    let uniform = |kind: Kind| looks.iter().all(|look| look.is_down() && look.failure().is_some_and(|f| f.1 == kind));
    let refused = [Kind::Unauthorized, Kind::RateLimited].into_iter().find(|kind| uniform(*kind))?;
    let siblings: Vec<&Look<'_>> = case
        .matrix
        .looks
        .iter()
        .filter(|look| look.subject.party == case.subject.party && look.subject != case.subject)
        .filter(|look| case.seen.contains(&look.region) && look.failure().is_none_or(|f| f.1 != refused))
        .collect();
    let lives = siblings.iter().filter(|look| !look.is_down()).count();
    if !siblings.is_empty() && lives * 2 < siblings.len() {
        return None;
    }
    let other = if case.kind() == PartyKind::Us { Cause::Us } else { Cause::Them };
    let (confidence, alternatives) = if siblings.is_empty() { (0.6, vec![other]) } else { (0.9, vec![]) };
    let name = case.matrix.world.name(&case.subject.party);
    let mut evidence = vec![match refused {
        Kind::RateLimited => format!("All {} looks are answered, and refused for their rate.", looks.len()),
        _ => format!("All {} looks are answered, and refused for their credential.", looks.len()),
    }];
    if lives > 0 {
        evidence.push(format!("{lives} of {} other looks at {name} are fine.", siblings.len()));
    }
    Some(Finding { cause: Cause::Probe, confidence, alternatives, regions: owned(case.bad_in), evidence })
}

/// One region, and nothing there that could tell our own network's fault from theirs.
fn nothing_to_compare(case: &Case<'_>) -> Option<Finding> {
    let blind = |region: &&Arc<str>| !case.reaches_something_else(region);
    let all_blind = case.bad_in.iter().all(blind);
    if !all_blind || case.seen.len() > 1 && case.bad_in.len() * 2 > case.seen.len() {
        return None;
    }
    let blamed = case.blamed();
    let mut alternatives = vec![blamed, Cause::Path, Cause::Probe];
    if case.seen.len() > 1 {
        alternatives = vec![Cause::Path, Cause::Probe];
    }
    Some(Finding {
        cause: Cause::Unknown,
        confidence: 0.5,
        alternatives,
        regions: owned(case.bad_in),
        evidence: vec![
            case.surroundings(),
            "Nothing else that answers from there tells our own network's fault from theirs.".to_owned(),
        ],
    })
}

/// Bad from few regions while these reach other things: something between them and it, or its edge there.
fn one_region_of_several(case: &Case<'_>) -> Option<Finding> {
    let (bad, seen) = (case.bad_in.len(), case.seen.len());
    let few = seen >= 2 && (bad == 1 || bad * 2 < seen);
    few.then(|| Finding {
        cause: Cause::Path,
        confidence: 0.85,
        alternatives: vec![case.blamed()],
        regions: owned(case.bad_in),
        evidence: vec![case.surroundings(), format!("Fine from {}.", list(case.fine_in()))],
    })
}

/// Bad from most or all regions: its own fault. One region alone cannot exclude the path.
fn everywhere(case: &Case<'_>) -> Finding {
    let alone = case.seen.len() == 1;
    let compared = case.bad_in.iter().any(|region| case.reaches_something_else(region));
    let mut alternatives = if alone { vec![Cause::Path] } else { vec![] };
    if !compared {
        alternatives.push(Cause::Probe);
    }
    let mut evidence = vec![case.surroundings()];
    let fine = case.fine_in();
    if !fine.is_empty() {
        evidence.push(format!("Fine from {}.", list(fine)));
    }
    let confidence = match (alone, compared) {
        (false, true) => 0.95,
        (true, true) => 0.75,
        (_, false) => 0.7,
    };
    Finding { cause: case.blamed(), confidence, alternatives, regions: owned(case.bad_in), evidence }
}

impl Case<'_> {
    fn kind(&self) -> PartyKind {
        self.matrix.world.kind(&self.subject.party)
    }

    /// Whose fault it is when it is its own.
    fn blamed(&self) -> Cause {
        if self.kind() == PartyKind::Us { Cause::Us } else { Cause::Them }
    }

    /// Whether a control or another party answers from a region: then the region's own network works.
    fn reaches_something_else(&self, region: &Arc<str>) -> bool {
        self.matrix.place(region).up_besides(&self.subject.party) > 0
    }

    fn fine_in(&self) -> Vec<&Arc<str>> {
        self.seen.iter().copied().filter(|region| !self.bad_in.contains(region)).collect()
    }

    /// `Controls 6/6 up, our API up, Firebase auth down.`, from the regions that look at the subject.
    fn surroundings(&self) -> String {
        let controls =
            self.seen.iter().fold(Tally::default(), |tally, region| tally + self.matrix.place(region).controls);
        let mut parts = vec![match controls.all {
            0 => "No controls to compare with".to_owned(),
            all => format!("Controls {}/{all} up", controls.up),
        }];
        let others = self.matrix.accountable().filter(|(subject, _)| *subject != self.subject);
        parts.extend(others.filter_map(|(subject, _)| self.word_on(subject)).take(4));
        format!("{}.", parts.join(", "))
    }

    /// `our API up`: how another subject stands in the same regions.
    fn word_on(&self, other: &Subject) -> Option<String> {
        let standings: Vec<Standing> =
            self.seen.iter().filter_map(|region| self.matrix.standing(other, region)).collect();
        let bad = standings.iter().filter(|standing| **standing == Standing::Bad).count();
        let word = match (bad, standings.len()) {
            (_, 0) => return None,
            (0, _) => "up".to_owned(),
            (bad, all) if bad == all => "down".to_owned(),
            (bad, all) => format!("down from {bad} of {all} regions"),
        };
        let name = self.matrix.world.subject_name(other);
        let name = name.strip_prefix("Our ").map_or(name.clone(), |rest| format!("our {rest}"));
        Some(format!("{name} {word}"))
    }
}

fn owned(regions: &[&Arc<str>]) -> Vec<Arc<str>> {
    regions.iter().map(|region| (*region).clone()).collect()
}

fn list(regions: Vec<&Arc<str>>) -> String {
    regions.iter().map(|region| &***region).collect::<Vec<_>>().join(", ")
}
