//! Any RSS feed whose items are incidents. It only ever adds: an item that is fresh and nowhere says that it is over.

use super::{NotUnderstood, Notice, Status, xml};
use crate::model::{AdmissionKind, Timestamp};

/// An item that is older than this is history.
const RECENT: chrono::TimeDelta = chrono::TimeDelta::days(1);
/// Words by which an item says that it is over.
const OVER: [&str; 10] = [
    "resolved",
    "completed",
    "mitigated",
    "recovered",
    "restored",
    "fixed",
    "postmortem",
    "post-mortem",
    "operating normally",
    "back to normal",
];

pub(super) fn parse(body: &[u8], now: Timestamp) -> Result<Status, NotUnderstood> {
    Ok(Status::partial(notices(xml::read(body, "rss")?, now), now))
}

/// What of a list of news is going on. Nothing in it says how bad it is.
pub(super) fn notices(feed: xml::Feed, now: Timestamp) -> Vec<Notice> {
    let mut notices = Vec::new();
    for item in feed.items {
        let said = format!("{} {}", item.title, item.body).to_lowercase();
        let Some(news) = item.updated.or(item.published) else { continue };
        let is_over = OVER.iter().any(|word| said.contains(word));
        if is_over || news < now - RECENT || news > now + RECENT {
            continue;
        }
        let title = item.title.to_lowercase();
        let mut words = title.split(|c: char| !c.is_alphanumeric());
        let planned = words.any(|word| ["maintenance", "scheduled", "planned"].contains(&word));
        // Without an end that can be read it keeps nobody from being told.
        let kind = if planned { AdmissionKind::Maintenance } else { AdmissionKind::Info };
        notices.push(Notice {
            begin: item.published.or(item.updated),
            posted: item.published.or(item.updated),
            updated: Some(news),
            products: item.categories,
            url: item.link,
            ..Notice::new(item.id, &item.title, kind)
        });
    }
    notices
}
