//! What comes to the judge and is not judged: why, counted, and said when it begins and when it has ended. Pure, `now` is an
//! argument.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    attribution::Absorbed,
    model::{Observation, Timestamp},
};

/// It has ended when there was none for so long: what an agent sends comes in batches.
const ENDED: Duration = Duration::from_mins(10);

/// Why something is not judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Why {
    Absurd,
    Full,
    Stale,
    UnknownProbe,
}

/// What is to be said of one reason.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It begins, with this observation.
    Begins { why: Why, probe: String, region: String },
    /// It has ended, after so many.
    Ended { why: Why, count: u64 },
}

/// Observations that were not judged for one reason since that began.
struct Spell {
    count: u64,
    last: Timestamp,
    /// The first, until it is said.
    first: Option<(String, String)>,
}

/// What is not judged at the moment, by reason.
#[derive(Default)]
pub(super) struct Unjudged(BTreeMap<Why, Spell>);

impl Why {
    /// Why an observation is not judged, where it should be: what is there twice, comes late or confirms another should not.
    pub(super) const fn of(absorbed: Absorbed) -> Option<Self> {
        match absorbed {
            Absorbed::Absurd => Some(Self::Absurd),
            Absorbed::Full => Some(Self::Full),
            Absorbed::Stale => Some(Self::Stale),
            Absorbed::UnknownProbe => Some(Self::UnknownProbe),
            Absorbed::Taken | Absorbed::Duplicate | Absorbed::OutOfOrder | Absorbed::Confirmation => None,
        }
    }

    /// The word in metric labels and in the log.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Absurd => "absurd",
            Self::Full => "full",
            Self::Stale => "stale",
            Self::UnknownProbe => "unknown_probe",
        }
    }

    const fn in_words(self) -> &'static str {
        match self {
            Self::Absurd => "they are due in the future: a clock is wrong",
            Self::Full => "there is no room for another probe and vantage point",
            Self::Stale => "they are too old to say anything about now",
            Self::UnknownProbe => "the configuration has no such probe",
        }
    }
}

impl Unjudged {
    /// Notes one that was not judged.
    pub(super) fn note(&mut self, why: Why, seen: &Observation, now: Timestamp) {
        let first = || Spell { count: 0, last: now, first: Some((seen.probe.to_string(), seen.region.to_string())) };
        let spell = self.0.entry(why).or_insert_with(first);
        spell.count += 1;
        spell.last = now;
    }

    /// What there is to say.
    pub(super) fn news(&mut self, now: Timestamp) -> Vec<News> {
        let mut news = vec![];
        self.0.retain(|why, spell| {
            if let Some((probe, region)) = spell.first.take() {
                news.push(News::Begins { why: *why, probe, region });
            }
            let goes_on = spell.last + ENDED > now;
            if !goes_on {
                news.push(News::Ended { why: *why, count: spell.count });
            }
            goes_on
        });
        news
    }
}

impl News {
    /// Puts it into the log.
    pub(super) fn say(&self) {
        match self {
            Self::Begins { why, probe, region } => {
                tracing::warn!(reason = why.word(), probe, region, "observations are not judged: {}", why.in_words());
            }
            Self::Ended { why, count } => {
                tracing::info!(reason = why.word(), count, "no more observations that are not judged for this reason");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_said_when_it_begins_and_when_it_has_ended() {
        let seen: Observation = serde_json::from_value(serde_json::json!({
            "probe": "rtdb", "party": "firebase", "region": "eu", "outcome": "up", "scheduled_at": "2026-11-22T10:00:00Z",
        }))
        .unwrap();
        let at = |second: i64| Timestamp::from_timestamp(1_795_000_000 + second, 0).unwrap();
        let begins = |why| News::Begins { why, probe: "rtdb".to_owned(), region: "eu".to_owned() };
        let mut unjudged = Unjudged::default();
        (0..3).for_each(|second| unjudged.note(Why::Full, &seen, at(second)));
        assert_eq!(unjudged.news(at(3)), [begins(Why::Full)]);
        unjudged.note(Why::Stale, &seen, at(300));
        unjudged.note(Why::Full, &seen, at(300));
        assert_eq!(unjudged.news(at(301)), [begins(Why::Stale)]);
        assert_eq!(unjudged.news(at(899)), []);
        let ended = [News::Ended { why: Why::Full, count: 4 }, News::Ended { why: Why::Stale, count: 1 }];
        assert_eq!(unjudged.news(at(900)), ended);
        unjudged.note(Why::Full, &seen, at(901));
        assert_eq!(unjudged.news(at(901)), [begins(Why::Full)], "again");
    }

    #[test]
    fn what_need_not_be_judged_is_no_news() {
        for fine in [Absorbed::Taken, Absorbed::Duplicate, Absorbed::OutOfOrder, Absorbed::Confirmation] {
            assert_eq!(Why::of(fine), None);
        }
        assert_eq!(Why::of(Absorbed::UnknownProbe).map(Why::word), Some("unknown_probe"));
    }
}
