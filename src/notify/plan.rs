//! From changes to letters: who hears of what and when, what a person or a planned window keeps quiet, and what is said
//! together. Pure; all it remembers stands in the incidents.

mod together;
mod writing;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{Habits, Hears, Letter, words};
use crate::{
    attribution::World,
    incident::{Change, Incidents, News},
    model::{Cause, Incident, IncidentState, LetterKind, Owed, Timestamp, Transition},
};

/// How the note of an incident begins that is kept quiet.
const UNTOLD: &str = "nobody was told";

/// To whom to speak, and about what to be quiet.
pub struct Audience<'a> {
    /// Names for people.
    pub world: &'a World,
    /// Who hears of what, in the order of the file.
    pub routes: &'a [Hears],
    /// Why nobody is to be told of an incident now: `planned window (weekly)`, `silenced by …`.
    pub muted: &'a dyn Fn(&Incident) -> Option<String>,
    /// Whether a channel can change what it has said, and so is told of what only looks different.
    pub edits: &'a dyn Fn(&str) -> bool,
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

/// Plans what to say of these changes. To be called at every judgement: some words wait for others, or for an hour.
///
/// One letter per channel when an incident opens, when it turns out to be another than was said, and when it is over;
/// many at once are one. An incident that opened while it was muted is told when it outlasts that.
#[must_use]
pub fn plan(changes: &[Change], incidents: &Incidents, audience: &Audience<'_>, now: Timestamp) -> Planned {
    let known = incidents.current().chain(incidents.over()).map(|one| (one.id.clone(), one.clone())).collect();
    let mut desk = Desk { audience, now, known, amended: BTreeSet::new(), words: Vec::new() };
    for change in changes {
        desk.take(change);
    }
    desk.tell_what_outlasts_its_silence();
    desk.tell_openings();
    desk.tell_endings();
    desk.remind();
    desk.write()
}

/// What to say of an incident that a region told of by itself, when it goes on as one that was told of here.
#[must_use]
pub fn joined(world: &World, incident: &Incident, into: &Incident, now: Timestamp) -> Vec<Letter> {
    let text = words::joined(world, incident, into);
    let letter = |channel: &Arc<str>| Letter {
        key: format!("{channel}/{}/closed-joined", incident.id),
        channel: channel.clone(),
        incident: incident.id.clone(),
        kind: LetterKind::Closed,
        headline: text.headline.clone(),
        lines: text.lines.clone(),
        at: now,
        about: vec![Incident { closed_at: Some(now), state: IncidentState::Closed, ..incident.clone() }],
        ..Letter::default()
    };
    incident.told.iter().map(letter).collect()
}

/// What is being said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Saying {
    Opening,
    /// It opened a little later than those that it is told with.
    Joining,
    Turning(News, Option<Cause>),
    Ending,
    Reminding,
    /// Only how it looks.
    Looking,
}

/// One word about one incident to one channel.
struct Word {
    channel: Arc<str>,
    thread: Arc<str>,
    incident: Arc<str>,
    saying: Saying,
}

struct Desk<'a> {
    audience: &'a Audience<'a>,
    now: Timestamp,
    known: BTreeMap<Arc<str>, Incident>,
    amended: BTreeSet<Arc<str>>,
    words: Vec<Word>,
}

impl Desk<'_> {
    fn take(&mut self, change: &Change) {
        let id = &change.incident.id;
        let Some(incident) = self.known.get(id) else { return };
        let untold = incident.told.is_empty();
        match (change.transition, change.news) {
            (Transition::Opened, _) => self.owe_opening(id),
            (Transition::Updated, news) if news != News::Look => {
                if untold {
                    self.owe_opening(id);
                } else {
                    self.turn(id, news, change.was);
                }
            }
            (Transition::Closed, _) => self.end(id),
            (Transition::Updated | Transition::Recovering | Transition::None, _) => self.say(id, Saying::Looking),
            _ => {}
        }
    }

    /// Changes what is known of an incident.
    fn amend(&mut self, id: &Arc<str>, change: impl FnOnce(&mut Incident)) {
        if let Some(incident) = self.known.get_mut(id) {
            change(incident);
            self.amended.insert(id.clone());
        }
    }

    /// A word to everybody who was told.
    fn say(&mut self, id: &Arc<str>, saying: Saying) {
        let Some(incident) = self.known.get(id) else { return };
        // What people hold to be over, and are not to be told that it is back, looks to them as it did.
        if saying == Saying::Looking && incident.muted && is_back_unsaid(incident) {
            return;
        }
        let word = |channel: &Arc<str>| Word {
            channel: channel.clone(),
            thread: incident.thread(channel).clone(),
            incident: id.clone(),
            saying,
        };
        let hears = |channel: &&Arc<str>| saying != Saying::Looking || (self.audience.edits)(channel);
        self.words.extend(incident.told.iter().filter(hears).map(word));
    }

    fn owe_opening(&mut self, id: &Arc<str>) {
        let Some(incident) = self.known.get(id) else { return };
        if let Some(why) = (self.audience.muted)(incident) {
            self.keep_quiet(id, &why);
        } else if self.audience.routes.iter().any(|route| route.of(incident)) {
            let since = self.now;
            self.amend(id, |incident| incident.owed = Some(Owed { word: Transition::Opened, since }));
        }
    }

    /// A note in place of a word.
    fn keep_quiet(&mut self, id: &Arc<str>, why: &str) {
        self.amend(id, |incident| {
            incident.muted = true;
            incident.owed = None;
            let what = if incident.told.is_empty() { "" } else { " of this" };
            incident.note = Some(format!("{UNTOLD}{what}: {why}"));
        });
    }

    /// The note of what was kept quiet, when it is told after all.
    fn no_longer_quiet(incident: &mut Incident) {
        incident.muted = false;
        let quiet = incident.note.as_deref().filter(|note| note.starts_with(UNTOLD));
        if let Some((_, why)) = quiet.and_then(|note| note.split_once(": ")) {
            incident.note = Some(format!("not told before: {why}"));
        }
    }

    fn tell_what_outlasts_its_silence(&mut self) {
        let outlasting = |incident: &&Incident| {
            incident.muted && incident.state == IncidentState::Open && (self.audience.muted)(incident).is_none()
        };
        let known = |one: &Incident| (one.id.clone(), !one.told.is_empty(), is_back_unsaid(one));
        let all: Vec<_> = self.known.values().filter(outlasting).map(known).collect();
        for (id, is_known, is_back) in all {
            if is_known {
                self.turn(&id, if is_back { News::Again } else { News::Cause }, None);
            } else {
                self.owe_opening(&id);
            }
        }
    }

    /// An incident that people know of is another than they were told.
    fn turn(&mut self, id: &Arc<str>, news: News, was: Option<Cause>) {
        let Some(incident) = self.known.get(id) else { return };
        if let Some(why) = (self.audience.muted)(incident) {
            // That it keeps coming back is seen by whoever looks.
            if news != News::Flapping {
                self.keep_quiet(id, &why);
            }
            self.say(id, Saying::Looking);
            return;
        }
        self.amend(id, Self::no_longer_quiet);
        self.say(id, Saying::Turning(news, was));
        // Who hears of such a cause, and did not of the one before.
        let told = incident_routes(self.audience.routes, &self.known, id);
        for channel in told {
            self.open(&channel, std::slice::from_ref(id), None);
        }
        let now = self.now;
        self.amend(id, |incident| incident.told_at = Some(now));
    }

    fn end(&mut self, id: &Arc<str>) {
        let Some(incident) = self.known.get(id) else { return };
        // Who was not told that it is back holds it to be over.
        if incident.muted && is_back_unsaid(incident) {
            self.amend(id, |incident| incident.muted = false);
            return;
        }
        let together = incident.digest.iter().flat_map(|digest| digest.told().map(|(channel, _)| channel.clone()));
        let together: Vec<Arc<str>> = together.collect();
        let alone: Vec<Arc<str>> = incident.told.iter().filter(|one| !together.contains(one)).cloned().collect();
        for channel in alone {
            let (thread, incident) = (id.clone(), id.clone());
            self.words.push(Word { channel, thread, incident, saying: Saying::Ending });
        }
        for channel in together.iter().filter(|channel| (self.audience.edits)(channel)) {
            let (thread, incident) = (self.known.get(id).map_or(id, |one| one.thread(channel)).clone(), id.clone());
            self.words.push(Word { channel: channel.clone(), thread, incident, saying: Saying::Looking });
        }
        let owed = (!together.is_empty()).then_some(Owed { word: Transition::Closed, since: self.now });
        if self.known.get(id).is_some_and(|incident| incident.owed != owed || incident.muted) {
            self.amend(id, |incident| {
                incident.owed = owed;
                incident.muted = false;
            });
        }
    }

    fn remind(&mut self) {
        let Some(every) = self.audience.habits.remind_every else { return };
        let due = |incident: &&Incident| {
            incident.state == IncidentState::Open
                && !incident.told.is_empty()
                && incident.told_at.or(incident.opened_at).is_some_and(|told| told + every <= self.now)
                && (self.audience.muted)(incident).is_none()
        };
        let due: Vec<Arc<str>> = self.known.values().filter(due).map(|incident| incident.id.clone()).collect();
        for id in due {
            self.say(&id, Saying::Reminding);
            let now = self.now;
            self.amend(&id, |incident| incident.told_at = Some(now));
        }
    }
}

/// Whether it was over and has come back since the last word about it.
fn is_back_unsaid(incident: &Incident) -> bool {
    let ended = incident.history.iter().rfind(|moment| moment.transition == Transition::Closed);
    !incident.told.is_empty() && ended.is_some_and(|ended| incident.told_at < Some(ended.at))
}

/// Channels that hear of an incident as it is now, and were not told of it before.
fn incident_routes(routes: &[Hears], known: &BTreeMap<Arc<str>, Incident>, id: &Arc<str>) -> BTreeSet<Arc<str>> {
    let Some(incident) = known.get(id) else { return BTreeSet::new() };
    let new = routes.iter().filter(|route| route.of(incident) && !incident.told.contains(&route.channel));
    new.map(|route| route.channel.clone()).collect()
}

#[cfg(test)]
#[path = "plan/plan_tests.rs"]
mod tests;
