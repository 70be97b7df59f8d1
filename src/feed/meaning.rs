//! From their names to ours: which products and regions of ours a notice is about. What is not certain widens what a notice
//! is about or leaves it open, but never makes it say that something is well.

use std::{collections::BTreeMap, sync::Arc};

use super::{Notice, Reading, Source};
use crate::model::{Admission, FeedState, FeedWord, Timestamp};

/// What the names in a feed mean here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Products of ours, or the party itself, and what the feed calls them.
    pub products: BTreeMap<Arc<str>, Vec<String>>,
    /// Regions of ours, and what the feed calls them.
    pub regions: BTreeMap<Arc<str>, Vec<String>>,
    /// The products of the party that are probed.
    pub probed: Vec<Arc<str>>,
}

/// What one feed of a party says at this moment.
#[must_use]
pub fn admissions(
    party: &Arc<str>,
    names: &Names,
    source: &Source,
    reading: Option<&Reading>,
    now: Timestamp,
) -> FeedState {
    let fetched_at = reading.map(|reading| reading.fetched_at);
    let mut state = FeedState {
        party: party.clone(),
        state: FeedWord::Unknown,
        fetched_at,
        admissions: Vec::new(),
        unsure: Vec::new(),
        why: None,
    };
    let told = match reading.map(|reading| (&reading.told, reading.fetched_at)) {
        None => {
            state.why = Some("it has not been read yet".to_owned());
            return state;
        }
        Some((Err(why), _)) => {
            state.why = Some(why.clone());
            return state;
        }
        Some((Ok(_), at)) if now - at > chrono::TimeDelta::from_std(FeedState::FRESH).unwrap_or_default() => {
            state.why = Some("it has not been read for too long".to_owned());
            return state;
        }
        Some((Ok(told), _)) => told,
    };
    for (notice, said_at) in &told.notices {
        match names.products_of(party, notice) {
            About::Others => continue,
            About::Perhaps => {
                state.unsure = names.probed.iter().filter(|one| !names.products.contains_key(*one)).cloned().collect();
                continue;
            }
            About::Ours { products, is_certain } => {
                let Some(regions) = names.regions_of(notice) else { continue };
                state.admissions.push(Admission {
                    party: party.clone(),
                    products,
                    regions,
                    since: notice.begin.unwrap_or(*said_at),
                    // What may be about something else must not keep anybody from being told.
                    until: notice.end.filter(|_| is_certain),
                    title: notice.title.clone(),
                    url: notice.url.as_deref().and_then(|url| source.url.join(url).ok()).map(String::from),
                    kind: notice.kind,
                    said_at: *said_at,
                    seen_at: fetched_at.unwrap_or(now),
                });
            }
        }
    }
    state.admissions.sort_by_key(|one| (std::cmp::Reverse(one.kind), one.since));
    state.state = match state.admissions.first() {
        Some(worst) => worst.kind.into(),
        None if told.silence_counts => FeedWord::Ok,
        None => {
            state.why = Some("its silence proves nothing".to_owned());
            FeedWord::Unknown
        }
    };
    state
}

/// Whose the products of a notice are.
enum About {
    /// These products of ours; none means the whole party.
    Ours {
        products: Vec<Arc<str>>,
        /// Whether they are named, and not only not excluded.
        is_certain: bool,
    },
    /// It names products, and none of those that it might be were given.
    Perhaps,
    /// Products that are not ours.
    Others,
}

impl Names {
    fn products_of(&self, party: &Arc<str>, notice: &Notice) -> About {
        if notice.products.is_empty() {
            return About::Ours { products: Vec::new(), is_certain: true };
        }
        let names_any = |theirs: &[String]| theirs.iter().any(|name| notice.products.iter().any(|one| same(name, one)));
        if self.products.get(party).is_some_and(|theirs| names_any(theirs)) {
            return About::Ours { products: Vec::new(), is_certain: true };
        }
        let given = self.products.iter().filter(|(ours, theirs)| *ours != party && names_any(theirs));
        let guessed = self.probed.iter().filter(|ours| !self.products.contains_key(*ours));
        let guessed = guessed.filter(|ours| notice.products.iter().any(|theirs| is_like(ours, theirs)));
        let products: Vec<Arc<str>> = given.map(|(ours, _)| ours).chain(guessed).cloned().collect();
        let is_exact = |ours: &Arc<str>| {
            self.products.contains_key(ours) || notice.products.iter().any(|theirs| same(ours, theirs))
        };
        if !products.is_empty() {
            let is_certain = products.iter().all(is_exact);
            return About::Ours { products, is_certain };
        }
        if self.probed.is_empty() && self.products.is_empty() {
            return About::Ours { products, is_certain: false };
        }
        let all_given =
            self.products.contains_key(party) || self.probed.iter().all(|one| self.products.contains_key(one));
        if all_given { About::Others } else { About::Perhaps }
    }

    /// The regions of ours that a notice is about: an empty list is everywhere, nothing is elsewhere. Only fields and
    /// the headline count, not what is told below it.
    fn regions_of(&self, notice: &Notice) -> Option<Vec<Arc<str>>> {
        const EVERYWHERE: [&str; 4] = ["global", "all", "all regions", "multi-region"];
        let is_everywhere = notice.regions.iter().any(|one| EVERYWHERE.iter().any(|word| same(word, one)));
        if self.regions.is_empty() || is_everywhere {
            return Some(Vec::new());
        }
        let spoken: Vec<&str> = notice.products.iter().chain([&notice.title]).map(String::as_str).collect();
        let named = |theirs: &String| match notice.regions.as_slice() {
            [] => spoken.iter().any(|text| mentions(text, theirs)),
            regions => regions.iter().any(|region| same(region, theirs) || mentions(region, theirs)),
        };
        let ours: Vec<Arc<str>> =
            self.regions.iter().filter(|(_, theirs)| theirs.iter().any(named)).map(|(ours, _)| ours.clone()).collect();
        (!ours.is_empty() || notice.regions.is_empty()).then_some(ours)
    }
}

fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Whether two names differ in case and marks at most.
fn same(one: &str, other: &str) -> bool {
    let (one, other) = (plain(one), plain(other));
    one == other && !one.is_empty()
}

/// Whether each word of our name begins a word of theirs: `auth` is `Firebase Authentication`.
fn is_like(ours: &str, theirs: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
    };
    let (ours, theirs) = (words(ours), words(theirs));
    let begins = |word: &String| word.chars().count() >= 3 && theirs.iter().any(|one| one.starts_with(word.as_str()));
    !ours.is_empty() && ours.iter().all(begins)
}

/// Whether a text has a name in it, as words of its own.
fn mentions(text: &str, name: &str) -> bool {
    let (text, name) = (text.to_lowercase(), name.to_lowercase());
    if name.trim().is_empty() {
        return false;
    }
    let is_inside = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    text.match_indices(name.as_str()).any(|(at, found)| {
        let (before, after) = (text.get(..at), text.get(at + found.len()..));
        !is_inside(before.and_then(|text| text.chars().next_back()))
            && !is_inside(after.and_then(|text| text.chars().next()))
    })
}

/// What all feeds of a party say together.
#[must_use]
pub fn together(states: impl IntoIterator<Item = FeedState>) -> Option<FeedState> {
    let mut states = states.into_iter();
    let mut all = states.next()?;
    for one in states {
        all.state = all.state.max(one.state);
        all.fetched_at = all.fetched_at.min(one.fetched_at);
        all.admissions.extend(one.admissions);
        all.unsure.extend(one.unsure);
        all.why = all.why.or(one.why);
    }
    all.admissions.sort_by_key(|one| (std::cmp::Reverse(one.kind), one.since));
    all.unsure.sort_unstable();
    all.unsure.dedup();
    Some(all)
}

#[cfg(test)]
#[path = "meaning_tests.rs"]
mod tests;
