//! What is said when many fail at once: one message that names each in a line.

use std::time::Duration;

use super::{Words, answer, clock, failing, flaps_before, join, roughly, span, subject_name, was};
use crate::{
    attribution::World,
    model::{Cause, Incident, IncidentState, Kind, Reason, Timestamp},
    notify::plan::Saying,
};

/// Names in a headline; the lines have them all.
const NAMES: usize = 6;
/// Lines: more would not be read.
const LINES: usize = 50;

/// What is said of `about` in a digest of `all`, oldest first.
#[must_use]
pub(in crate::notify) fn words(world: &World, saying: Saying, about: &[&Incident], all: &[&Incident]) -> Words {
    let (over, not_over): (Vec<&Incident>, Vec<&Incident>) = all.iter().copied().partition(|one| one.is_over());
    let (unwatched, back): (Vec<&Incident>, Vec<&Incident>) = over.iter().copied().partition(|one| one.is_unwatched());
    let is_recovering = |one: &&Incident| one.state == IncidentState::Recovering;
    let (recovering, open): (Vec<&Incident>, Vec<&Incident>) = not_over.iter().copied().partition(is_recovering);
    let onset = all.iter().map(|incident| incident.onset).min().unwrap_or_default();
    let read_at = all.iter().map(|incident| incident.verdict.at).max().unwrap_or(onset);
    let since = clock(onset, read_at);
    let headline = match saying {
        _ if not_over.is_empty() => ended(world, &back, &unwatched),
        Saying::Ending | Saying::Looking if !over.is_empty() || !recovering.is_empty() => {
            let mut said = vec![];
            if !back.is_empty() {
                said.push(format!("{} {} back: {}.", back.len(), of(&back, all.len()), names(world, &back)));
            }
            if !unwatched.is_empty() {
                said.push(format!("Nobody looks any more at {}.", names(world, &unwatched)));
            }
            if !recovering.is_empty() {
                said.push(format!("Recovering: {}.", names(world, &recovering)));
            }
            if !open.is_empty() {
                said.push(format!("Still failing: {}.", names(world, &open)));
            }
            said.join(" ")
        }
        Saying::Joining => {
            let more = names(world, about);
            format!("{} more fail, {} at once since {since}: {more}. {}", about.len(), not_over.len(), whose(&not_over))
        }
        Saying::Reminding => {
            // Of what is back, or about to be, the lines tell.
            let failing = if open.is_empty() { &not_over } else { &open };
            let began = failing.iter().map(|one| one.began(&one.verdict)).min().unwrap_or(onset);
            let lasted = roughly(lasted(began, read_at));
            let (number, names) = (failing.len(), names(world, failing));
            format!("Still down after {lasted}, {number} at once: {names}. {}", whose(failing))
        }
        _ => {
            format!("{} fail at once since {since}: {}. {}", not_over.len(), names(world, &not_over), whose(&not_over))
        }
    };
    let mut lines: Vec<String> =
        open.iter().chain(&recovering).chain(&over).take(LINES).map(|incident| line(world, incident)).collect();
    if all.len() > LINES {
        lines.push(format!("and {} more", all.len() - LINES));
    }
    Words { headline, lines }
}

/// `of 5 are`.
fn of(some: &[&Incident], all: usize) -> String {
    format!("of {all} {}", if some.len() == 1 { "is" } else { "are" })
}

fn ended(world: &World, over: &[&Incident], unwatched: &[&Incident]) -> String {
    if over.is_empty() {
        return format!("Over: nobody looks any more at {}.", names(world, unwatched));
    }
    let back =
        over.iter().filter_map(|incident| incident.recovered_at.or(incident.closed_at)).max().unwrap_or_default();
    let read_at = over.iter().filter_map(|incident| incident.closed_at).max().unwrap_or(back);
    let began = over.iter().map(|incident| incident.began(&incident.verdict)).min().unwrap_or(back);
    let (since, lasted) = (clock(back, read_at), span(lasted(began, back)));
    let all = match (over.len(), unwatched.len()) {
        (2, 0) => "both are".to_owned(),
        (all, 0) => format!("all {all} are"),
        (some, others) => format!("{some} {}", of(over, some + others)),
    };
    let mut said = format!("Over: {all} back since {since}, after {lasted}: {}.", names(world, over));
    if !unwatched.is_empty() {
        said += &format!(" Nobody looks any more at {}.", names(world, unwatched));
    }
    said
}

/// One incident in a line.
pub(in crate::notify) fn line(world: &World, incident: &Incident) -> String {
    let name = subject_name(world, &incident.subject);
    if incident.is_unwatched() {
        return format!("{name}: nobody looks any more. {}", was(&incident.verdict));
    }
    if incident.is_over() || incident.state == IncidentState::Recovering {
        let back = incident.recovered_at.or(incident.closed_at).unwrap_or(incident.verdict.at);
        let lasted = span(lasted(incident.began(&incident.verdict), back));
        let flaps = flaps_before(incident, back);
        return format!("{name}: back since {}, after {lasted}{flaps}. {}", clock(back, back), was(&incident.verdict));
    }
    let mut said = vec![answer(world, &incident.verdict, incident.began(&incident.verdict))];
    said.extend(failing(&incident.verdict));
    said.join(" ")
}

/// `Firebase auth, Firebase realtime-database and 3 more`.
fn names(world: &World, incidents: &[&Incident]) -> String {
    // One that is left over is as short as saying so.
    let named = if incidents.len() == NAMES + 1 { incidents.len() } else { NAMES };
    let mut names: Vec<String> =
        incidents.iter().take(named).map(|incident| subject_name(world, &incident.subject)).collect();
    if incidents.len() > named {
        names.push(format!("{} more", incidents.len() - named));
    }
    join(names.iter().map(String::as_str), "and")
}

/// Whose fault, and why where that says more, when it is all the same; otherwise how many each.
fn whose(incidents: &[&Incident]) -> String {
    if let Some(why) = why_it_is_ours(incidents) {
        return format!("It's our probe: {why}.");
    }
    let of = |cause: Cause| incidents.iter().filter(|incident| incident.cause == cause).count();
    let counted: Vec<(Cause, usize)> =
        Cause::ALL.into_iter().map(|cause| (cause, of(cause))).filter(|(_, count)| *count > 0).collect();
    let said: Vec<String> = counted
        .iter()
        .map(|(cause, count)| {
            let whose = match cause {
                Cause::Unknown | Cause::Ok => "nobody can tell yet whose fault",
                cause => super::as_object(*cause),
            };
            if counted.len() == 1 { whose.to_owned() } else { format!("{count} times {whose}") }
        })
        .collect();
    let said = join(said.iter().map(String::as_str), "and");
    match counted.as_slice() {
        [(Cause::Unknown | Cause::Ok, _)] => "Nobody can tell yet whose fault.".to_owned(),
        _ => format!("It's {said}."),
    }
}

fn why_it_is_ours(incidents: &[&Incident]) -> Option<&'static str> {
    let reason = incidents.first()?.verdict.reason;
    let same = |one: &&Incident| one.cause == Cause::Probe && one.verdict.reason == reason;
    if !incidents.iter().all(same) {
        return None;
    }
    let taken_over = |one: &&Incident| one.verdict.failure.as_ref().is_some_and(|f| f.kind == Kind::TakenOver);
    match reason? {
        Reason::Credential if incidents.iter().any(taken_over) => Some("some share a client id"),
        Reason::Credential => Some("our credential is refused"),
        Reason::Quota => Some("it asks too often"),
        Reason::Release => Some("our new release"),
        _ => None,
    }
}

fn lasted(from: Timestamp, until: Timestamp) -> Duration {
    (until - from).to_std().unwrap_or_default()
}
