//! From words to letters: what is said in one thread at once is one letter.

use std::sync::Arc;

use super::{Desk, Planned, Saying, Word, together::GATHER};
use crate::{
    model::{Incident, IncidentState, LetterKind, Timestamp},
    notify::{Letter, words},
};

/// What is said in one thread of one channel at once.
struct Group {
    channel: Arc<str>,
    thread: Arc<str>,
    saying: Saying,
    incidents: Vec<Arc<str>>,
}

impl Desk<'_> {
    /// One letter for all that is said in one thread at once.
    pub(super) fn write(self) -> Planned {
        let mut groups: Vec<Group> = Vec::new();
        for Word { channel, thread, incident, saying } in &self.words {
            let same = |group: &&mut Group| (&group.channel, &group.thread, &group.saying) == (channel, thread, saying);
            match groups.iter_mut().find(same) {
                Some(group) if group.incidents.contains(incident) => {}
                Some(group) => group.incidents.push(incident.clone()),
                None => groups.push(Group {
                    channel: channel.clone(),
                    thread: thread.clone(),
                    saying: *saying,
                    incidents: vec![incident.clone()],
                }),
            }
        }
        // What says something shows how it looks, too.
        let says_more = |channel: &Arc<str>, thread: &Arc<str>| {
            self.words
                .iter()
                .any(|word| word.channel == *channel && word.thread == *thread && word.saying != Saying::Looking)
        };
        let letters = groups
            .iter()
            .filter(|group| group.saying != Saying::Looking || !says_more(&group.channel, &group.thread))
            .filter_map(|group| self.letter(&group.channel, &group.thread, group.saying, &group.incidents))
            .collect();
        let amended = self.amended.iter().filter_map(|id| self.known.get(id).cloned()).collect();
        Planned { letters, amended }
    }

    fn letter(&self, channel: &Arc<str>, thread: &Arc<str>, saying: Saying, ids: &[Arc<str>]) -> Option<Letter> {
        let about: Vec<&Incident> = ids.iter().filter_map(|id| self.known.get(id)).collect();
        let first = *about.first()?;
        let mut members: Vec<&Incident> = self.members(thread, channel).collect();
        // What is told under one name ends with the last of it, whoever this is about.
        let ends = saying == Saying::Ending && first.is_over() && members.iter().all(|member| member.is_over());
        // One that led a digest and has left it speaks in the same thread: for itself, not for those that it was told with.
        if !members.iter().any(|member| member.id == first.id) {
            match saying {
                // Its end is not that of those who still fail under its name.
                Saying::Ending if !ends => members.push(first),
                _ => members.clear(),
            }
        }
        // What goes on first: where only one is shown that is the one.
        members.sort_by_key(|incident| (incident.is_over(), incident.onset, &incident.id));
        let world = self.audience.world;
        // One alone is told as one.
        let is_digest = members.len() > 1;
        let one_fails = members.iter().filter(|member| member.state == IncidentState::Open).count() == 1;
        let text = match saying {
            Saying::Turning(news, was) => words::turning(world, first, news, was),
            Saying::Reminding if one_fails => words::reminding(world, first, self.now),
            _ if is_digest => words::many::words(world, saying, &about, &members),
            Saying::Opening | Saying::Joining => words::opening(world, first),
            Saying::Ending => words::closing(world, first),
            Saying::Reminding => words::reminding(world, first, self.now),
            Saying::Looking => words::looking(world, first),
        };
        let kind = match saying {
            Saying::Opening => LetterKind::Opened,
            Saying::Reminding => LetterKind::Reminder,
            Saying::Ending if ends => LetterKind::Closed,
            _ => LetterKind::Updated,
        };
        let key = match saying {
            Saying::Opening => format!("{channel}/{thread}/{}", kind.word()),
            Saying::Looking => format!("{channel}/{thread}/looks-{}", self.now.timestamp_millis()),
            // Of a digest more than one may turn at once.
            _ => format!("{channel}/{thread}/{}-{}-{}", kind.word(), first.id, self.now.timestamp_millis()),
        };
        let route = self.audience.routes.iter().find(|route| route.channel == *channel && route.of(first));
        let route = route.or_else(|| self.audience.routes.iter().find(|route| route.channel == *channel));
        Some(Letter {
            key,
            channel: channel.clone(),
            fallbacks: route.map(|route| route.fallbacks.clone()).unwrap_or_default(),
            incident: thread.clone(),
            kind,
            edits: saying == Saying::Looking,
            headline: text.headline,
            lines: text.lines,
            good_news: saying == Saying::Ending,
            at: self.happened_at(saying, first),
            each: members.iter().filter(|_| is_digest).map(|member| words::many::line(world, member)).collect(),
            about: if is_digest { members.into_iter().map(without_history).collect() } else { vec![first.clone()] },
            was: if let Saying::Turning(_, was) = saying { was } else { None },
        })
    }

    /// When what a letter says happened: what is told late must say so, and what waited for its silence to end is not late.
    fn happened_at(&self, saying: Saying, incident: &Incident) -> Timestamp {
        let held = |at: Timestamp| if at + GATHER * 2 > self.now { at } else { self.now };
        match saying {
            Saying::Opening | Saying::Joining => incident.opened_at.map_or(self.now, held),
            _ => self.now,
        }
    }
}

/// In a digest nobody reads it, and twenty of them are long.
fn without_history(incident: &Incident) -> Incident {
    Incident { history: Vec::new(), ..incident.clone() }
}
