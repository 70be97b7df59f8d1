//! Several incidents that were told in one message, and by which name in which channel.

use std::{collections::BTreeMap, sync::Arc};

/// Several incidents that were told in one message, as one of them knows it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Digest {
    /// The incident that names it.
    pub leader: Arc<str>,
    /// Channels in which it was told so; in others it was told by itself.
    pub channels: Vec<Arc<str>>,
    /// Channels in which another one names it, because they do not hear of the leader: that one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub elsewhere: BTreeMap<Arc<str>, Arc<str>>,
}

impl Digest {
    /// One that no channel was told of yet.
    #[must_use]
    pub const fn named_after(leader: Arc<str>) -> Self {
        Self { leader, channels: Vec::new(), elsewhere: BTreeMap::new() }
    }

    /// Notes that a channel was told, by this name.
    pub fn tell(&mut self, channel: &Arc<str>, leader: &Arc<str>) {
        if self.leader != *leader {
            self.elsewhere.insert(channel.clone(), leader.clone());
        } else if !self.channels.contains(channel) {
            self.channels.push(channel.clone());
        }
    }

    /// The incident that names it in a channel; nothing where it was not told.
    #[must_use]
    pub fn leader_in(&self, channel: &Arc<str>) -> Option<&Arc<str>> {
        self.elsewhere.get(channel).or_else(|| self.channels.contains(channel).then_some(&self.leader))
    }

    /// The channels that were told, each with the incident that names it there.
    pub fn told(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
        let here = self.channels.iter().filter(|channel| !self.elsewhere.contains_key(*channel));
        here.map(|channel| (channel, &self.leader)).chain(&self.elsewhere)
    }

    /// Whether a channel was told of both in one message.
    #[must_use]
    pub fn is_told_with(&self, other: &Self) -> bool {
        self.told().any(|(channel, leader)| other.leader_in(channel) == Some(leader))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_has_one_name_for_it() {
        let (a, b, first, second): (Arc<str>, Arc<str>, Arc<str>, Arc<str>) =
            ("a".into(), "b".into(), "i-1".into(), "i-2".into());
        let mut digest = Digest::named_after(first.clone());
        digest.tell(&a, &first);
        digest.tell(&a, &first);
        digest.tell(&b, &second);
        assert_eq!(digest.told().collect::<Vec<_>>(), [(&a, &first), (&b, &second)]);
        assert_eq!((digest.leader_in(&b), digest.leader_in(&"c".into())), (Some(&second), None));
        let mut other = Digest::named_after(second.clone());
        other.tell(&a, &second);
        assert!(!digest.is_told_with(&other));
        other.tell(&b, &second);
        assert!(digest.is_told_with(&other) && other.is_told_with(&digest));
        let before: Digest = serde_json::from_str(r#"{"leader":"i-1","channels":["a"]}"#).unwrap();
        assert_eq!(before.told().collect::<Vec<_>>(), [(&a, &first)], "of a store of an earlier version");
    }
}
