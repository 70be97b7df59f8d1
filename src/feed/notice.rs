//! The normal form of every feed: what is wrong now, in the provider's own words. Owns how much of their text is kept;
//! must not know what their names mean to us.

use crate::model::{AdmissionKind, Timestamp};

/// Longest text that is kept of a title or a name, in characters.
const LONGEST: usize = 200;
/// Notices of one feed: more is not a status page.
const MOST: usize = 500;
/// What begins so soon has begun by another clock.
const SKEW: chrono::TimeDelta = chrono::TimeDelta::minutes(10);
/// What nobody has touched for so long is no longer news, whatever its state.
const STALE: chrono::TimeDelta = chrono::TimeDelta::days(3);

/// A feed that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// What it says is wrong now.
    pub notices: Vec<Notice>,
    /// Whether its silence means that the provider says nothing: not so for a plain list of news, which may also be
    /// broken or belong to somebody else.
    pub silence_counts: bool,
}

/// Something that a feed says is wrong now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Unique within the feed.
    pub id: String,
    /// Headline.
    pub title: String,
    /// Since when, by their account.
    pub begin: Option<Timestamp>,
    /// When it was published, by their account.
    pub posted: Option<Timestamp>,
    /// When it was touched last.
    pub updated: Option<Timestamp>,
    /// Until when, of planned work.
    pub end: Option<Timestamp>,
    /// Names and ids of products; none means all of them.
    pub products: Vec<String>,
    /// Names and ids of regions; none, or `global`, means everywhere.
    pub regions: Vec<String>,
    /// How bad.
    pub kind: AdmissionKind,
    /// Where to read on; may be relative to the feed.
    pub url: Option<String>,
}

/// What is said of a feed without entries: some are so whenever all is well.
pub(super) const EMPTY: &str = "it is empty, which proves nothing";

/// A feed that is not what it should be. Completes "cannot understand it: …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotUnderstood(pub String);

impl NotUnderstood {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self(tidy(&why.into()))
    }

    /// An enumeration said something that we do not know.
    pub(super) fn word(what: &str, word: &str) -> Self {
        Self::new(format!("`{}` is no {what} that is known", tidy(word)))
    }

    /// A list without entries is what a broken feed looks like too.
    pub(super) fn empty() -> Self {
        Self::new(EMPTY)
    }

    /// Why nothing can be said, as a sentence goes on.
    pub(super) fn in_words(&self) -> String {
        if self.0 == EMPTY { EMPTY.to_owned() } else { format!("cannot understand it: {self}") }
    }
}

impl Status {
    /// Of a feed whose silence counts.
    pub(super) fn whole(notices: Vec<Notice>, now: Timestamp) -> Self {
        Self { notices: current(notices, now), silence_counts: true }
    }

    /// Of a feed that only ever adds.
    pub(super) fn partial(notices: Vec<Notice>, now: Timestamp) -> Self {
        Self { notices: current(notices, now), silence_counts: false }
    }
}

impl Notice {
    pub(super) fn new(id: impl Into<String>, title: &str, kind: AdmissionKind) -> Self {
        Self {
            id: id.into(),
            title: tidy(title),
            begin: None,
            posted: None,
            updated: None,
            end: None,
            products: Vec::new(),
            regions: Vec::new(),
            kind,
            url: None,
        }
    }

    /// Planned work that is under way, as its page says: it may have begun early, or take longer than was planned. Until when
    /// is not known then.
    pub(super) fn under_way(self, now: Timestamp) -> Self {
        Self { begin: self.begin.map(|begin| begin.min(now)), end: self.end.filter(|end| *end > now), ..self }
    }

    /// When anything was last heard of it.
    fn news(&self) -> Option<Timestamp> {
        self.updated.max(self.posted).max(self.begin)
    }
}

/// What is going on at an instant: what is still to come, or planned work that is over, is left out, what nobody has touched for days
/// is demoted, names are tidied.
fn current(notices: Vec<Notice>, now: Timestamp) -> Vec<Notice> {
    let planned = |notice: &Notice| notice.kind == AdmissionKind::Maintenance;
    let is_now = |notice: &Notice| {
        // Clocks differ a little; planned work begins when it was said to.
        let soon = if planned(notice) { now } else { now + SKEW };
        notice.begin.is_none_or(|begin| begin <= soon) && !(planned(notice) && notice.end.is_some_and(|end| end <= now))
    };
    let mut notices: Vec<Notice> = notices.into_iter().filter(is_now).take(MOST).collect();
    for notice in &mut notices {
        let is_stale = notice.news().is_some_and(|news| news < now - STALE);
        // Planned work says itself how long it takes.
        if is_stale && !(planned(notice) && notice.end.is_some()) {
            notice.kind = AdmissionKind::Info;
        }
        for names in [&mut notice.products, &mut notice.regions] {
            names.iter_mut().for_each(|name| *name = tidy(name));
            names.retain(|name| !name.is_empty());
            names.sort_unstable();
            names.dedup();
            names.truncate(MOST);
        }
        if notice.title.is_empty() {
            notice.title = "(without a title)".to_owned();
        }
    }
    notices
}

/// One line without marks or control characters, not longer than people read.
pub(super) fn tidy(text: &str) -> String {
    let mut words = String::new();
    let mut length = 0;
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        let more = word.chars().filter(|c| !is_invisible(*c));
        let space = usize::from(!words.is_empty());
        let count = word.chars().count();
        if length + space + count > LONGEST {
            let room = LONGEST.saturating_sub(length + space);
            if words.is_empty() {
                words.extend(more.take(room));
            }
            words.push('…');
            break;
        }
        if space == 1 {
            words.push(' ');
        }
        words.extend(more);
        length += space + count;
    }
    words
}

/// What turns text around or hides in it.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn their_words_become_one_short_line() {
        assert_eq!(tidy("  Elevated\r\n\terrors \u{202e}now\u{0} "), "Elevated errors now");
        assert_eq!(tidy(&"x".repeat(5000)).chars().count(), LONGEST + 1);
        assert!(tidy(&"word ".repeat(5000)).chars().count() <= LONGEST + 1);
        assert_eq!(tidy(""), "");
    }

    #[test]
    fn what_is_still_to_come_is_not_now() {
        let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let to_come = |minutes: i64| {
            let begin = Some(now + chrono::TimeDelta::minutes(minutes));
            Notice { begin, ..Notice::new("1", "It will break", AdmissionKind::Outage) }
        };
        assert_eq!(current(vec![to_come(2), to_come(3 * 24 * 60)], now).len(), 1);
    }

    #[test]
    fn what_nobody_touches_for_days_is_a_notice_at_most() {
        let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let mut old = Notice::new("1", "Elevated errors", AdmissionKind::Outage);
        old.begin = Some(now - chrono::TimeDelta::days(9));
        let mut touched = old.clone();
        touched.updated = Some(now - chrono::TimeDelta::days(2));
        let kinds: Vec<_> = current(vec![old, touched], now).into_iter().map(|notice| notice.kind).collect();
        assert_eq!(kinds, [AdmissionKind::Info, AdmissionKind::Outage]);
    }
}
