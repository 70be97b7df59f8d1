//! Microsoft Azure, RSS: an item an event, `Service - Region - State` its title. An empty channel is what a healthy cloud
//! and a broken instance serve alike, so silence never counts.

use super::{NotUnderstood, Notice, Status, xml};
use crate::model::{AdmissionKind, Timestamp};

pub(super) fn parse(body: &[u8], now: Timestamp) -> Result<Status, NotUnderstood> {
    let feed = xml::read(body, "rss")?;
    if !feed.title.to_ascii_lowercase().contains("azure status") {
        return Err(NotUnderstood::new("its title is not that of Azure's status"));
    }
    let mut notices = Vec::new();
    for item in feed.items {
        let clauses: Vec<&str> = item.title.split(" - ").map(str::trim).collect();
        let state = clauses.last().copied().unwrap_or_default().to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| state.contains(word));
        // Only the last clause tells that it is over.
        if clauses.len() > 1 && says(&["resolved", "mitigated", "recovered", "restored"]) {
            continue;
        }
        let kind = if clauses.len() > 1 && says(&["outage", "critical", "error", "unavailable", "down"]) {
            AdmissionKind::Outage
        } else if clauses.len() > 1 && says(&["degrad", "warning", "investigating", "applying mitigation", "impact"]) {
            AdmissionKind::Degraded
        } else {
            AdmissionKind::Info
        };
        let (service, regions) = match clauses.as_slice() {
            [service, regions @ .., _] => (Some(*service), regions),
            _ => (None, [].as_slice()),
        };
        let regions = regions.iter().flat_map(|clause| clause.split(['/', ','])).map(|region| region.trim().to_owned());
        notices.push(Notice {
            begin: item.published,
            posted: item.published,
            updated: item.updated.or(item.published),
            products: service.map(str::to_owned).into_iter().chain(item.categories).collect(),
            regions: regions.collect(),
            url: item.link,
            ..Notice::new(item.id, &item.title, kind)
        });
    }
    Ok(Status::partial(notices, now))
}
