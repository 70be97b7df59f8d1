//! The rules by which an incident opens, closes and changes its mind: one small function each.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::{Incidents, Policy};
use crate::model::{Cause, Incident, IncidentState, Severity, Subject, Timestamp, Turning, Verdict, is_enough};

/// What comes back within this time after its end is the same incident.
pub(super) const SAME_WITHIN: Duration = Duration::from_mins(30);
/// From so many flaps on it is called flapping.
pub(super) const FLAPPING: u32 = 3;
/// Rounds for which another cause must hold before it is told.
const HELD: u32 = 2;
/// An incident that flaps must hold still for longer before it is over, up to so many times.
const MOST_PATIENCE: u32 = 5;

/// Whether a suspicion is to be told: as many bad rounds' worth of evidence as are wanted. A verdict that does not weigh its
/// evidence counts by its rounds. `verdict` is the newest one, bad, and counted in `bad_rounds` already.
pub(super) fn ready_to_open(bad_rounds: u32, verdict: &Verdict, policy: Policy) -> bool {
    let wanted = policy.open_after.max(1);
    verdict.weight.map_or(bad_rounds >= wanted, |weight| is_enough(weight, wanted))
}

/// Whether what seemed to be over is back: a round's worth of evidence less than it takes to open, since one look that fails
/// by chance is not the incident.
pub(super) fn is_back(verdict: &Verdict, policy: Policy) -> bool {
    verdict.weight.is_none_or(|weight| is_enough(weight, policy.open_after.max(2) - 1))
}

/// Whether an incident is over; the newest round, a good one, is counted already.
pub(super) fn ready_to_close(incident: &Incident, policy: Policy) -> bool {
    let patience = (1 + incident.flaps).min(MOST_PATIENCE);
    incident.good_rounds >= policy.close_after.saturating_mul(patience)
}

/// Whether another cause or severity has held for long enough to be told. What nobody was told of, because it was only
/// slow, becomes a page by the rule by which any other does; a cause that was taken back before must hold for longer.
pub(super) fn has_turned(incident: &Incident, turning: Turning, verdict: &Verdict, policy: Policy) -> bool {
    if incident.severity == Severity::Degraded {
        return ready_to_open(turning.rounds, verdict, policy);
    }
    let turned = incident.history.iter().filter(|moment| moment.was.is_some()).count();
    turning.rounds >= HELD << turned.min(5)
}

/// Whether a suspicion is an incident that seemed to be over. What was down and is only slow now is another one.
pub(super) fn is_same_again(closed: &Incident, suspicion: &Incident) -> bool {
    let slow = |incident: &Incident| incident.severity == Severity::Degraded;
    let ended = closed.closed_at.unwrap_or(closed.onset);
    ended + SAME_WITHIN >= suspicion.onset && (slow(closed) || !slow(suspicion))
}

/// Whether a closed incident need not be remembered any more: nothing that begins now can be the same.
pub(super) fn is_forgotten(closed: &Incident, now: Timestamp) -> bool {
    // A suspicion takes a while to open, and counts from its onset.
    let ended = closed.closed_at.unwrap_or(closed.onset);
    ended + SAME_WITHIN * 2 < now
}

/// Whether what gets no verdict is no longer in the configuration. A hub that has begun anew says nothing of its store, nor
/// of a party as a whole, before it finds them bad again: that is no end to tell of.
pub(super) fn is_gone(subject: &Subject, judged: &BTreeSet<&Subject>) -> bool {
    let in_part = subject.product.is_none() && judged.iter().any(|other| other.party == subject.party);
    *subject != Subject::store() && !in_part
}

/// Whether a message about several is still needed that goes by the name of this one: then it stays one of them, since two
/// messages of one name cannot be told apart.
pub(super) fn is_named_after(incidents: &Incidents, closed: &Incident, now: Timestamp) -> bool {
    let led = |one: &&Incident| {
        one.digest.as_ref().is_some_and(|digest| digest.told().any(|(_, leader)| *leader == closed.id))
    };
    let is_unsaid = |one: &Incident| !one.is_over() || one.owed.is_some() || one.closed_at == Some(now);
    incidents.current().chain(incidents.over()).filter(led).any(is_unsaid)
}

/// Whether it is about a product of a party that people know to be bad as a whole, or to recover from that, and says
/// nothing else of it. It waits until that is over: what fails then is news.
pub(super) fn is_known_as_a_whole(incidents: &Incidents, verdict: &Verdict) -> bool {
    let party = Subject { party: Arc::clone(&verdict.subject.party), product: None };
    let whole = incidents.current.get(&party).filter(|_| verdict.subject.product.is_some());
    whole.is_some_and(|whole| {
        // A way, or a vantage point of ours, is another one in another region.
        let is_regional = matches!(whole.cause, Cause::Path | Cause::Probe);
        let there = !is_regional || verdict.regions.iter().all(|region| whole.verdict.regions.contains(region));
        let same = whole.cause == verdict.cause || verdict.cause == Cause::Unknown;
        let known = matches!(whole.state, IncidentState::Open | IncidentState::Recovering);
        known && same && there && whole.severity >= verdict.severity()
    })
}
