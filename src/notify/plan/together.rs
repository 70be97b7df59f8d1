//! What is told together: many that open at once are one message, also a few of one party for the same reason, and so
//! are their ends.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{Desk, Saying, Word};
use crate::model::{Digest, Incident, IncidentState, Severity, Transition};

/// Incidents that open within this time of each other open at once.
const AT_ONCE: Duration = Duration::from_mins(1);
/// How long a message waits for others that are about to open, when many seem to.
pub(super) const GATHER: Duration = Duration::from_secs(10);
/// How long the end of one waits for the others that were told with it.
const END_TOGETHER: Duration = Duration::from_mins(1);

/// What opens at the same moment at one party for the same reason is one thing to people, however few they are: a
/// credential that has expired is refused by each of its products.
fn kin(owed: &[&Incident]) -> Vec<Vec<Arc<str>>> {
    let mut kin: Vec<(&Incident, Vec<Arc<str>>)> = Vec::new();
    for incident in owed {
        let what = |one: &Incident| (one.subject.party.clone(), one.cause, one.verdict.reason, one.severity);
        match kin.iter_mut().find(|(first, _)| what(first) == what(incident)) {
            Some((_, ids)) => ids.push(incident.id.clone()),
            None => kin.push((incident, vec![incident.id.clone()])),
        }
    }
    kin.into_iter().map(|(_, ids)| ids).collect()
}

impl Desk<'_> {
    /// Openings that need not wait for others any more.
    pub(super) fn tell_openings(&mut self) {
        let is_owed = |one: &&Incident| one.owed.is_some_and(|owed| owed.word == Transition::Opened);
        let mut owed: Vec<&Incident> = self.known.values().filter(is_owed).collect();
        owed.sort_by_key(|incident| (incident.onset, incident.id.clone()));
        if owed.is_empty() {
            return;
        }
        let crowd: Vec<&Incident> = self.known.values().filter(|incident| self.is_of_the_crowd(incident)).collect();
        let is_crowd = crowd.len() >= self.audience.habits.digest_from;
        let since = owed.iter().filter_map(|incident| incident.owed).map(|owed| owed.since).min().unwrap_or(self.now);
        let others_come = crowd.iter().any(|incident| incident.state == IncidentState::Suspected);
        if is_crowd && others_come && since + GATHER > self.now {
            return;
        }
        let mut heard: BTreeMap<Arc<str>, Vec<Arc<str>>> = BTreeMap::new();
        for incident in &owed {
            for route in self.audience.routes.iter().filter(|route| route.of(incident)) {
                let ids = heard.entry(route.channel.clone()).or_default();
                if !ids.contains(&incident.id) {
                    ids.push(incident.id.clone());
                }
            }
        }
        let all: Vec<Arc<str>> = owed.iter().map(|incident| incident.id.clone()).collect();
        let kin = kin(&owed);
        for (channel, ids) in heard {
            // It is named after one that the channel hears of: what it is told of that one later goes by the same name.
            let before = self.recent_leader(&channel);
            if is_crowd && (before.is_some() || ids.len() > 1) {
                let leader = before.as_ref().or(ids.first()).map(|leader| (leader, before.is_some()));
                self.open(&channel, &ids, leader);
                continue;
            }
            for kin in &kin {
                let ids: Vec<Arc<str>> = kin.iter().filter(|id| ids.contains(id)).cloned().collect();
                let first = ids.first().filter(|_| ids.len() > 1);
                self.open(&channel, &ids, first.map(|first| (first, false)));
            }
        }
        for id in all {
            let now = self.now;
            self.amend(&id, |incident| {
                incident.owed = None;
                Self::no_longer_quiet(incident);
                incident.told_at = Some(now);
            });
        }
    }

    /// Tells a channel of incidents that have opened: each by itself, or all in a digest, which may have been told before.
    pub(super) fn open(&mut self, channel: &Arc<str>, ids: &[Arc<str>], digest: Option<(&Arc<str>, bool)>) {
        for id in ids {
            self.amend(id, |incident| {
                if !incident.told.contains(channel) {
                    incident.told.push(channel.clone());
                }
                if let Some((leader, _)) = digest {
                    let digest = incident.digest.get_or_insert_with(|| Digest::named_after(leader.clone()));
                    digest.tell(channel, leader);
                }
            });
            let (thread, joins) = digest.unwrap_or((id, false));
            self.words.push(Word {
                channel: channel.clone(),
                thread: thread.clone(),
                incident: id.clone(),
                saying: if joins { Saying::Joining } else { Saying::Opening },
            });
        }
    }

    /// Whether it opens at about the same time as others that page.
    fn is_of_the_crowd(&self, incident: &Incident) -> bool {
        let fresh = match incident.state {
            IncidentState::Suspected => incident.onset + AT_ONCE * 2 > self.now,
            IncidentState::Closed => false,
            _ => incident.owed.is_some() || incident.opened_at.is_some_and(|opened| opened + AT_ONCE > self.now),
        };
        fresh && incident.severity > Severity::Degraded && (self.audience.muted)(incident).is_none()
    }

    /// What names the digest that a channel was told a moment ago.
    fn recent_leader(&self, channel: &Arc<str>) -> Option<Arc<str>> {
        let told = |incident: &&Incident| {
            !incident.is_over() && incident.opened_at.is_some_and(|opened| opened + AT_ONCE * 2 > self.now)
        };
        let digests = self.known.values().filter(told).filter_map(|incident| incident.digest.as_ref());
        digests.filter_map(|digest| digest.leader_in(channel).cloned()).next()
    }

    /// The incidents that a channel was told of in a digest.
    pub(super) fn members(&self, leader: &Arc<str>, channel: &Arc<str>) -> impl Iterator<Item = &Incident> {
        self.known
            .values()
            .filter(move |incident| incident.digest.as_ref().is_some_and(|one| one.leader_in(channel) == Some(leader)))
    }

    /// Ends that need not wait for the others that were told with them.
    pub(super) fn tell_endings(&mut self) {
        let is_owed = |one: &&Incident| one.owed.is_some_and(|owed| owed.word == Transition::Closed);
        let owed: Vec<Incident> = self.known.values().filter(is_owed).cloned().collect();
        for incident in &owed {
            let Some(digest) = &incident.digest else { continue };
            let same = |one: &&Incident| one.digest.as_ref().is_some_and(|other| other.is_told_with(digest));
            let mut members = self.known.values().filter(same);
            let since = owed.iter().filter(same).filter_map(|one| one.owed).map(|owed| owed.since).min();
            let all_over = members.all(Incident::is_over);
            if !all_over && since.is_some_and(|since| since + END_TOGETHER > self.now) {
                continue;
            }
            for (channel, leader) in digest.told() {
                self.words.push(Word {
                    channel: channel.clone(),
                    thread: leader.clone(),
                    incident: incident.id.clone(),
                    saying: Saying::Ending,
                });
            }
            self.amend(&incident.id, |incident| incident.owed = None);
        }
    }
}
