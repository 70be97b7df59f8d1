//! From changes to letters: who hears of what, and what a planned window keeps quiet. Pure.

use std::{collections::BTreeSet, sync::Arc};

use super::{Letter, words};
use crate::{
    attribution::World,
    incident::Change,
    model::{Incident, Subject, Timestamp, Transition},
};

/// Who hears of what: a filter that is given must match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hears {
    /// The channel.
    pub channel: Arc<str>,
    /// Only this party.
    pub party: Option<Arc<str>>,
}

/// To whom to speak, and about what to be quiet.
pub struct Audience<'a> {
    /// Names for people.
    pub world: &'a World,
    /// Who hears of what, in the order of the file.
    pub routes: &'a [Hears],
    /// The note of the planned window that covers a subject now.
    pub muted: &'a dyn Fn(&Subject) -> Option<Arc<str>>,
}

/// Letters, and the incidents that are now known to have been told or muted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Planned {
    /// To post.
    pub letters: Vec<Letter>,
    /// Incidents that have changed by being told or muted.
    pub amended: Vec<Incident>,
}

/// Plans what to say of these changes: one letter per channel when an incident opens, and one to the same channels when
/// it is over. An incident that opened in a planned window is told when it outlasts the window.
#[must_use]
pub fn plan(changes: &[Change], open: &[Incident], audience: &Audience<'_>, now: Timestamp) -> Planned {
    let mut planned = Planned::default();
    for change in changes {
        match change.transition {
            Transition::Opened => planned.opening(&change.incident, audience, now),
            Transition::Closed => planned.closing(&change.incident, audience),
            _ => {}
        }
    }
    for incident in open.iter().filter(|incident| incident.muted && incident.recovered_at.is_none()) {
        if (audience.muted)(&incident.subject).is_none() {
            planned.opening(incident, audience, now);
        }
    }
    planned
}

impl Planned {
    fn opening(&mut self, incident: &Incident, audience: &Audience<'_>, now: Timestamp) {
        let mut told = incident.clone();
        if let Some(note) = (audience.muted)(&incident.subject) {
            told.muted = true;
            told.note = Some(format!("nobody was told: planned window ({note})"));
            self.amended.push(told);
            return;
        }
        let heard: BTreeSet<&Arc<str>> = audience
            .routes
            .iter()
            .filter(|route| route.party.as_ref().is_none_or(|party| *party == incident.subject.party))
            .map(|route| &route.channel)
            .collect();
        told.told = heard.into_iter().cloned().collect();
        told.muted = false;
        let text = words::opening(audience.world, &told);
        let at = if incident.muted { now } else { incident.opened_at.unwrap_or(now) };
        self.letters.extend(told.told.iter().map(|channel| letter(&told, channel, "opened", &text, at)));
        self.amended.push(told);
    }

    fn closing(&mut self, incident: &Incident, audience: &Audience<'_>) {
        let text = words::closing(audience.world, incident);
        let at = incident.closed_at.unwrap_or(incident.onset);
        self.letters.extend(incident.told.iter().map(|channel| letter(incident, channel, "closed", &text, at)));
    }
}

fn letter(incident: &Incident, channel: &Arc<str>, change: &str, text: &words::Words, at: Timestamp) -> Letter {
    Letter {
        key: format!("{channel}/{}/{change}", incident.id),
        channel: channel.clone(),
        incident: incident.id.clone(),
        headline: text.headline.clone(),
        lines: text.lines.clone(),
        good_news: change == "closed",
        at,
        about: vec![incident.clone()],
    }
}
