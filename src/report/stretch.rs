//! Whose fault an incident was when: what came back within half an hour is the same incident, but not always for the same
//! reason.

use crate::model::{Cause, Incident, Timestamp, Transition};

/// A part of an incident that has one cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) begin: Timestamp,
    /// Nothing while it goes on.
    pub(super) end: Option<Timestamp>,
    pub(super) cause: Cause,
}

/// The stretches of an incident, oldest first; at least one. Another cause that was found while it lasted was its cause all
/// along; another one with which it came back after it was over is that of what came back.
pub(super) fn stretches(incident: &Incident) -> Vec<Stretch> {
    let mut all: Vec<Stretch> = vec![];
    let (mut begin, mut cause) = (incident.onset, incident.cause);
    let (mut recovered, mut over) = (None, None);
    for moment in &incident.history {
        match moment.transition {
            Transition::Suspected | Transition::Opened | Transition::Updated => {
                if let Some(closed) = over.take() {
                    add(&mut all, Stretch { begin, end: recovered.take().or(Some(closed)), cause });
                    // What failed since then is part of what came back. For our own fault nothing counts, so that must not begin
                    // before it did.
                    begin = if moment.cause == Cause::Probe { moment.at } else { closed };
                }
                cause = moment.cause;
            }
            Transition::Recovering => recovered = Some(moment.at),
            Transition::Closed => over = Some(moment.at),
            Transition::None => {}
        }
    }
    let end = incident.closed_at.map(|closed| incident.recovered_at.unwrap_or(closed));
    add(&mut all, Stretch { begin, end, cause: incident.cause });
    all
}

/// What comes back for the same reason goes on.
fn add(all: &mut Vec<Stretch>, stretch: Stretch) {
    match all.last_mut().filter(|last| last.cause == stretch.cause) {
        Some(last) => last.end = stretch.end,
        None => all.push(stretch),
    }
}
