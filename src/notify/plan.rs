//! From changes to letters: who hears of what, and what a planned window keeps quiet. Pure.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{Letter, words};
use crate::{
    attribution::World,
    incident::{Change, Incidents},
    model::{Cause, Incident, LetterKind, Severity, Timestamp, Transition},
};

/// Who hears of what: all filters that are given must match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hears {
    /// The channel.
    pub channel: Arc<str>,
    /// Who gets it when the channel has been out of reach for a while, in this order.
    pub fallbacks: Vec<Arc<str>>,
    /// Only these parties; empty: any.
    pub parties: Vec<Arc<str>>,
    /// Only these products; empty: any, and what has none.
    pub products: Vec<Arc<str>>,
    /// Only these causes; empty: any.
    pub causes: Vec<Cause>,
    /// Only these severities.
    pub severities: Vec<Severity>,
}

impl Hears {
    /// Where nothing is said of severities.
    pub const SEVERITIES: [Severity; 2] = [Severity::Critical, Severity::Warning];

    /// A channel that hears of everything that pages.
    #[must_use]
    pub fn all(channel: impl Into<Arc<str>>) -> Self {
        let severities = Self::SEVERITIES.to_vec();
        Self {
            channel: channel.into(),
            fallbacks: vec![],
            parties: vec![],
            products: vec![],
            causes: vec![],
            severities,
        }
    }

    fn of(&self, incident: &Incident) -> bool {
        let subject = &incident.subject;
        let is_one_of = |wanted: &[Arc<str>], word: Option<&Arc<str>>| {
            wanted.is_empty() || word.is_some_and(|word| wanted.contains(word))
        };
        is_one_of(&self.parties, Some(&subject.party))
            && is_one_of(&self.products, subject.product.as_ref())
            && (self.causes.is_empty() || self.causes.contains(&incident.cause))
            && self.severities.contains(&incident.severity)
    }
}

/// How often to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Habits {
    /// From one reminder of an open incident to the next; nothing: none.
    pub remind_every: Option<Duration>,
    /// From so many incidents at once they are told in one message.
    pub digest_from: usize,
}

impl Default for Habits {
    fn default() -> Self {
        Self { remind_every: None, digest_from: 4 }
    }
}

/// To whom to speak, and about what to be quiet.
pub struct Audience<'a> {
    /// Names for people.
    pub world: &'a World,
    /// Who hears of what, in the order of the file.
    pub routes: &'a [Hears],
    /// Why nobody is to be told of an incident now: `planned window (weekly)`, `silenced by …`.
    pub muted: &'a dyn Fn(&Incident) -> Option<String>,
    /// How often.
    pub habits: Habits,
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
/// it is over. An incident that opened while it was muted is told when it outlasts that.
#[must_use]
pub fn plan(changes: &[Change], incidents: &Incidents, audience: &Audience<'_>, now: Timestamp) -> Planned {
    let mut planned = Planned::default();
    for change in changes {
        match change.transition {
            Transition::Opened => planned.opening(&change.incident, audience, now),
            Transition::Closed => planned.closing(&change.incident, audience),
            _ => {}
        }
    }
    for incident in incidents.open().filter(|incident| incident.muted && incident.recovered_at.is_none()) {
        let just_muted = planned.amended.iter().any(|amended| amended.id == incident.id);
        if !just_muted && (audience.muted)(incident).is_none() {
            planned.opening(incident, audience, now);
        }
    }
    planned
}

impl Planned {
    fn opening(&mut self, incident: &Incident, audience: &Audience<'_>, now: Timestamp) {
        let mut told = incident.clone();
        if let Some(why) = (audience.muted)(incident) {
            told.muted = true;
            told.note = Some(format!("nobody was told: {why}"));
            self.amended.push(told);
            return;
        }
        let mut heard: BTreeMap<&Arc<str>, &Hears> = BTreeMap::new();
        for route in audience.routes.iter().filter(|route| route.of(incident)) {
            heard.entry(&route.channel).or_insert(route);
        }
        told.told = heard.keys().map(|channel| (*channel).clone()).collect();
        told.muted = false;
        let text = words::opening(audience.world, &told);
        let at = if incident.muted { now } else { incident.opened_at.unwrap_or(now) };
        for route in heard.values() {
            self.letters.push(letter(&told, route, LetterKind::Opened, &text, at));
        }
        self.amended.push(told);
    }

    fn closing(&mut self, incident: &Incident, audience: &Audience<'_>) {
        let text = words::closing(audience.world, incident);
        let at = incident.closed_at.unwrap_or(incident.onset);
        for channel in &incident.told {
            let route = audience.routes.iter().find(|route| route.channel == *channel);
            let route = route.cloned().unwrap_or_else(|| Hears::all(channel.clone()));
            self.letters.push(letter(incident, &route, LetterKind::Closed, &text, at));
        }
    }
}

fn letter(incident: &Incident, to: &Hears, kind: LetterKind, text: &words::Words, at: Timestamp) -> Letter {
    Letter {
        key: format!("{}/{}/{}", to.channel, incident.id, kind.word()),
        channel: to.channel.clone(),
        fallbacks: to.fallbacks.clone(),
        incident: incident.id.clone(),
        kind,
        edits: false,
        headline: text.headline.clone(),
        lines: text.lines.clone(),
        good_news: kind == LetterKind::Closed,
        at,
        about: vec![incident.clone()],
        was: None,
    }
}
