//! Whose fault an incident was when: what came back within half an hour is the same incident, but not always for the same
//! reason, and in between it was well.

use crate::model::{Cause, Incident, Timestamp, Transition};

/// A part of an incident in which it was not over, and its cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) begin: Timestamp,
    /// Nothing while it goes on.
    pub(super) end: Option<Timestamp>,
    pub(super) cause: Cause,
}

/// The stretches of an incident, oldest first; at least one. Another cause that was found while it lasted was its cause all
/// along; what came back after it was over is a stretch of its own.
pub(super) fn stretches(incident: &Incident) -> Vec<Stretch> {
    let mut all: Vec<Stretch> = vec![];
    let (mut begin, mut cause) = (incident.onset, incident.cause);
    let (mut recovered, mut over) = (None, None);
    for moment in &incident.history {
        match moment.transition {
            Transition::Suspected | Transition::Opened | Transition::Updated => {
                if let Some(closed) = over.take() {
                    let end = recovered.unwrap_or(closed);
                    all.push(Stretch { begin, end: Some(end), cause });
                    begin = came_back(incident, end, moment.at);
                }
                // What fell back while it recovered has not recovered yet.
                recovered = None;
                cause = moment.cause;
            }
            Transition::Recovering => recovered = Some(moment.at),
            Transition::Closed => over = Some(moment.at),
            Transition::None => {}
        }
    }
    all.push(Stretch { begin, end: incident.ended(), cause: incident.cause });
    all
}

/// When what was told at an instant to be back began: at its first bad round, which lies between the end of what was before
/// and the word. Where nobody wrote that down, at the word: what lies before it was well for all that is known.
fn came_back(incident: &Incident, ended: Timestamp, told: Timestamp) -> Timestamp {
    let known = incident.sinces.iter().chain(&incident.since);
    known.copied().rfind(|since| (ended..=told).contains(since)).unwrap_or(told)
}
