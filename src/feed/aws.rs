//! Amazon Web Services, `currentevents`: a list of events of the last days, in UTF-16. Its number for how bad it is, is
//! read differently by everybody; 0 is over, 3 is an outage, and in between it works somehow.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    NotUnderstood, Notice, Status,
    json::{json, when, word},
};
use crate::model::{AdmissionKind, Timestamp};

#[derive(Deserialize)]
struct Event {
    /// With `service` the anchor: every entry has them.
    #[serde(deserialize_with = "word")]
    status: String,
    service: String,
    #[serde(default, deserialize_with = "when")]
    date: Option<Timestamp>,
    arn: Option<String>,
    region_name: Option<String>,
    service_name: Option<String>,
    summary: Option<String>,
    event_log: Option<Vec<Entry>>,
    impacted_services: Option<BTreeMap<String, Impacted>>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default, deserialize_with = "when")]
    timestamp: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Impacted {
    service_name: Option<String>,
    #[serde(default = "still", deserialize_with = "word")]
    current: String,
}

fn still() -> String {
    "1".to_owned()
}

pub(super) fn parse(body: &[u8], now: Timestamp) -> Result<Status, NotUnderstood> {
    let events: Vec<Event> = json(body)?;
    if events.is_empty() {
        return Err(NotUnderstood::empty());
    }
    let mut notices = Vec::new();
    for event in events {
        let kind = match event.status.as_str() {
            "0" => continue,
            "1" => AdmissionKind::Info,
            "2" => AdmissionKind::Degraded,
            "3" => AdmissionKind::Outage,
            other => return Err(NotUnderstood::word("state of an event", other)),
        };
        let summary = event.summary.clone().unwrap_or_default();
        if !summary.trim_start().to_ascii_lowercase().starts_with("[resolved]") {
            notices.push(notice(event, &summary, kind));
        }
    }
    Ok(Status::whole(notices, now))
}

fn notice(event: Event, summary: &str, kind: AdmissionKind) -> Notice {
    // arn:aws:health:us-east-1::event/S3/…
    let region = event.arn.as_deref().and_then(|arn| arn.split(':').nth(3)).filter(|region| !region.is_empty());
    let region = region.map(str::to_owned);
    // s3-us-east-1
    let suffix = region.as_ref().map(|region| format!("-{region}"));
    let service = suffix.as_deref().and_then(|suffix| event.service.strip_suffix(suffix)).unwrap_or(&event.service);
    let mut products = vec![service.to_owned()];
    products.extend(event.service_name.clone());
    for (key, impacted) in event.impacted_services.into_iter().flatten().filter(|(_, one)| one.current != "0") {
        products.push(suffix.as_deref().and_then(|suffix| key.strip_suffix(suffix)).unwrap_or(&key).to_owned());
        products.extend(impacted.service_name);
    }
    let title = if summary.trim().is_empty() { event.service_name.as_deref().unwrap_or(service) } else { summary };
    let id = event.arn.clone().unwrap_or_else(|| format!("{} {:?}", event.service, event.date));
    Notice {
        begin: event.date,
        posted: event.date,
        updated: event.event_log.into_iter().flatten().filter_map(|entry| entry.timestamp).max(),
        products,
        regions: region.into_iter().chain(event.region_name).collect(),
        url: Some("https://health.aws.amazon.com/health/status".to_owned()),
        ..Notice::new(id, title, kind)
    }
}
