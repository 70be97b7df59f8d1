//! Follows one feed: looks now and then, more often while something is wrong, and tells what came of each look. Knows when
//! to look again; must not know who asks.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{
    Notice, Source, Status,
    fetch::{Fetched, Validators, fetch},
    notice::EMPTY,
};
use crate::model::Timestamp;

/// How often to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Between two looks, at least; at most twice as much.
    pub every: Duration,
    /// The same while something is wrong.
    pub in_a_hurry: Duration,
    /// What a look may take.
    pub deadline: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let every = Duration::from_mins(1);
        Self { every, in_a_hurry: Duration::from_secs(20), deadline: Duration::from_secs(20) }
    }
}

impl Pace {
    /// The pause after so many looks in a row have failed: most failures are of a moment.
    fn after(self, failures: u32) -> Duration {
        match failures {
            0 => self.every,
            n => self.in_a_hurry.saturating_mul(1 << (n - 1).min(16)).min(self.every),
        }
    }
}

/// The longest that the other side can ask us to stay away.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// The feeds of parties with which something is wrong.
pub type Hurry = BTreeSet<Arc<Source>>;

/// What came of the newest look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// When.
    pub fetched_at: Timestamp,
    /// What it says, or why that cannot be told.
    pub told: Result<Told, String>,
}

/// What a feed says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// What it says is wrong, each with when it was said.
    pub notices: Vec<(Notice, Timestamp)>,
    /// Whether its silence means anything.
    pub silence_counts: bool,
}

/// Follows a feed for ever.
pub async fn follow(
    source: Arc<Source>,
    http: reqwest::Client,
    pace: Pace,
    mut hurry: watch::Receiver<Hurry>,
    tell: impl Fn(Reading),
) {
    let mut memory = Memory::default();
    let mut failed = None;
    let mut failures = 0_u32;
    loop {
        let looked = fetch(&http, &source.url, &memory.validators, pace.deadline).await;
        let wait = looked.as_ref().err().and_then(|error| error.wait).map(|wait| wait.min(LONGEST_WAIT));
        let told = match looked {
            Ok(fetched) => memory.read(&source, fetched).await,
            Err(error) => Err(format!("cannot fetch it: {error}")),
        };
        log(&source, &told, &mut failed);
        failures = if told.is_err() { failures.saturating_add(1) } else { 0 };
        tell(Reading { fetched_at: chrono::Utc::now(), told });
        let looked_at = Instant::now();
        let (calm, soon) = (looked_at + spread(pace.after(failures)), looked_at + spread(pace.in_a_hurry));
        let not_before = wait.map(|wait| looked_at + wait);
        loop {
            let next = if hurry.borrow_and_update().contains(&source) { soon.min(calm) } else { calm };
            tokio::select! {
                () = sleep_until(not_before.map_or(next, |earliest| next.max(earliest))) => break,
                // Nobody will ever be in a hurry again: the calm pace stays.
                changed = hurry.changed() => if changed.is_err() {
                    sleep_until(not_before.map_or(calm, |earliest| calm.max(earliest))).await;
                    break;
                }
            }
        }
    }
}

/// Between once and twice so long, so that many hubs do not come at once.
fn spread(least: Duration) -> Duration {
    let random = RandomState::new().hash_one(0_u8) % 1000;
    least + least.saturating_mul(random as u32) / 1000
}

fn log(source: &Source, told: &Result<Told, String>, failed: &mut Option<String>) {
    let feed = source.kind.key();
    // An address may carry a token in its query.
    let host = source.url.host_str().unwrap_or_default();
    match (told, failed.take()) {
        (Ok(_), Some(_)) => tracing::info!(feed, host, "the status feed can be read again"),
        (Err(why), before) => {
            if before.as_ref() != Some(why) && why == EMPTY {
                tracing::info!(feed, host, "the status feed is unknown: {why}");
            } else if before.as_ref() != Some(why) {
                tracing::warn!(feed, host, "the status feed is unknown: {why}");
            }
            *failed = Some(why.clone());
        }
        (Ok(_), None) => {}
    }
}

/// What is remembered from one look to the next.
#[derive(Default)]
struct Memory {
    validators: Validators,
    body: Bytes,
    /// When each notice that is on the page now was said.
    said: BTreeMap<String, Timestamp>,
    /// When the page was understood last.
    understood_at: Option<Timestamp>,
}

impl Memory {
    async fn read(&mut self, source: &Arc<Source>, fetched: Fetched) -> Result<Told, String> {
        if let Fetched::Body(body, validators) = fetched {
            (self.body, self.validators) = (body, validators);
        }
        let now = chrono::Utc::now();
        let (kind, body) = (source.kind, self.body.clone());
        // Some megabytes take long enough to be in the way of what is measured.
        let parsed = tokio::task::spawn_blocking(move || kind.parse(&body, now)).await;
        let parsed = parsed.map_err(|error| format!("cannot read it: {error}"))?;
        match parsed {
            Ok(status) => Ok(self.note(status, now)),
            Err(error) => {
                // The other side must not tell us of what we did not understand that it has not changed.
                self.validators = Validators::default();
                Err(error.in_words())
            }
        }
    }

    /// Notes when what is new was said: as they tell, but not before the page was there without it.
    fn note(&mut self, status: Status, now: Timestamp) -> Told {
        // The wall clock may go back.
        let earliest = self.understood_at.replace(now).unwrap_or(Timestamp::MIN_UTC).min(now);
        let mut said = BTreeMap::new();
        for notice in &status.notices {
            let known = self.said.get(&notice.id).copied();
            let told = || notice.posted.unwrap_or(now).clamp(earliest, now);
            said.insert(notice.id.clone(), known.unwrap_or_else(told));
        }
        self.said = said;
        let when = |notice: &Notice| self.said.get(&notice.id).copied().unwrap_or(now);
        let notices = status.notices.into_iter().map(|notice| (when(&notice), notice));
        Told { notices: notices.map(|(at, notice)| (notice, at)).collect(), silence_counts: status.silence_counts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::AdmissionKind;

    #[test]
    fn nothing_was_said_before_the_page_was_seen_without_it() {
        let at = |minute: i64| Timestamp::default() + chrono::TimeDelta::minutes(minute);
        let page = |posted: Option<i64>| {
            let notice =
                Notice { posted: posted.map(at), ..Notice::new("1", "Elevated errors", AdmissionKind::Outage) };
            Status { notices: vec![notice], silence_counts: true }
        };
        let said = |told: Told| told.notices.first().map(|(_, at)| *at);
        // It was there when we first looked: as they tell.
        assert_eq!(said(Memory::default().note(page(Some(3)), at(10))), Some(at(3)));
        assert_eq!(said(Memory::default().note(page(None), at(10))), Some(at(10)));
        assert_eq!(said(Memory::default().note(page(Some(99)), at(10))), Some(at(10)));
        // It was not there at 8: whatever they tell, it was said later.
        let mut memory = Memory::default();
        memory.note(Status { notices: vec![], silence_counts: true }, at(8));
        assert_eq!(said(memory.note(page(Some(3)), at(10))), Some(at(8)));
        assert_eq!(said(memory.note(page(Some(9)), at(12))), Some(at(8)), "it is not said again");
    }

    #[test]
    fn a_failure_is_looked_into_soon_and_ever_less_often() {
        let pauses = [0, 1, 2, 3, 9, u32::MAX].map(|failures| Pace::default().after(failures).as_secs());
        assert_eq!(pauses, [60, 20, 40, 60, 60, 60]);
    }

    #[test]
    fn looks_are_spread() {
        let minute = Duration::from_mins(1);
        let pauses: BTreeSet<Duration> = (0..50).map(|_| spread(minute)).collect();
        assert!(pauses.len() > 10);
        assert!(pauses.iter().all(|pause| (minute..2 * minute).contains(pause)), "{pauses:?}");
    }
}
