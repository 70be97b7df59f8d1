//! How an incident becomes another than it was: another cause or severity, or open again.

use super::{News, Policy, rules};
use crate::model::{Cause, Incident, IncidentState, Severity, Timestamp, Turning, Verdict};

/// What another verdict means for an open incident: nothing until it has held for a while. What had recovered and is bad
/// `again` from elsewhere is not the way of before for a moment.
pub(super) fn turn(
    incident: &mut Incident,
    verdict: &Verdict,
    policy: Policy,
    again: bool,
) -> (Option<Cause>, Option<News>) {
    let (cause, severity) = (verdict.cause, verdict.severity());
    let elsewhere = is_elsewhere(incident, verdict);
    // What was known is not unknown because it cannot be seen for a moment.
    if cause == Cause::Unknown || is_as_told(incident, verdict) {
        incident.turning = None;
        return (None, None);
    }
    let before = incident.turning.filter(|turning| (turning.cause, turning.severity) == (cause, severity));
    let turning = Turning { cause, severity, rounds: before.map_or(0, |turning| turning.rounds) + 1 };
    incident.turning = Some(turning);
    let has_turned = again && elsewhere || rules::has_turned(incident, turning, verdict, policy);
    if !has_turned {
        return (None, None);
    }
    let was = (incident.cause != cause || elsewhere).then_some(incident.cause);
    let was_slow = incident.severity == Severity::Degraded && severity > incident.severity;
    let news = if was_slow { News::Severity } else { News::Cause };
    if was_slow || elsewhere {
        incident.since = verdict.onset.filter(|onset| *onset > incident.onset).or(incident.since);
    }
    incident.turning = None;
    incident.cause = cause;
    incident.severity = severity;
    incident.verdict = verdict.clone();
    (was, Some(news))
}

/// Whether people were told the same.
pub(super) fn is_as_told(incident: &Incident, verdict: &Verdict) -> bool {
    (verdict.cause, verdict.severity()) == (incident.cause, incident.severity) && !is_elsewhere(incident, verdict)
}

/// Whether what people read of it would not be true any more: it fails from other regions, wholly where it failed in part, or
/// the party says something else of it than before.
pub(super) fn looks_else(incident: &Incident, verdict: &Verdict) -> bool {
    let told = &incident.verdict;
    (&told.regions, &told.page_says, told.in_part) != (&verdict.regions, &verdict.page_says, verdict.in_part)
}

/// Whether it is the way from quite other regions than people were told: another way.
fn is_elsewhere(incident: &Incident, verdict: &Verdict) -> bool {
    let told = &incident.verdict.regions;
    (verdict.cause, incident.cause) == (Cause::Path, Cause::Path)
        && !told.is_empty()
        && !verdict.regions.iter().any(|region| told.contains(region))
}

/// An incident that people saw recover is bad again: what goes on began with that, and is still held to be what it was.
pub(super) fn relapse(incident: &mut Incident, verdict: &Verdict) {
    let began = verdict.onset.unwrap_or(verdict.at);
    if incident.recovered_at.take().is_none_or(|back| began >= back) {
        incident.since = Some(began);
        incident.verdict.at = verdict.at;
    }
    incident.state = IncidentState::Open;
    incident.flaps += 1;
}

/// An incident that seemed to be over, with what the suspicion that it is back has brought. `alone`: what it was told with,
/// if anything, is not its company any more.
pub(super) fn again(closed: Incident, suspicion: Incident, alone: bool, now: Timestamp) -> Incident {
    Incident {
        state: IncidentState::Open,
        since: Some(suspicion.onset),
        opened_at: closed.opened_at.or(Some(now)),
        recovered_at: None,
        closed_at: None,
        owed: None,
        cause: suspicion.cause,
        severity: suspicion.severity,
        verdict: suspicion.verdict,
        round: suspicion.round,
        bad_rounds: suspicion.bad_rounds,
        good_rounds: 0,
        flaps: closed.flaps + 1,
        digest: closed.digest.filter(|_| !alone),
        // Somebody looks at it again.
        note: closed.note.filter(|_| closed.recovered_at.is_some()),
        ..closed
    }
}
