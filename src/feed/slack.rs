//! Slack's own status, `/api/v2.0.0/current`.

use serde::Deserialize;

use super::{
    NotUnderstood, Notice, Status,
    json::{json, when, word},
};
use crate::model::{AdmissionKind, Timestamp};

#[derive(Deserialize)]
struct Current {
    /// With the list the anchor.
    status: String,
    active_incidents: Vec<Incident>,
}

#[derive(Deserialize)]
struct Incident {
    #[serde(deserialize_with = "word")]
    id: String,
    title: String,
    #[serde(rename = "type")]
    sort: String,
    status: String,
    url: Option<String>,
    services: Option<Vec<String>>,
    #[serde(default, deserialize_with = "when")]
    date_created: Option<Timestamp>,
    #[serde(default, deserialize_with = "when")]
    date_updated: Option<Timestamp>,
    notes: Option<Vec<Note>>,
}

#[derive(Deserialize)]
struct Note {
    #[serde(default, deserialize_with = "when")]
    date_created: Option<Timestamp>,
}

pub(super) fn parse(body: &[u8], now: Timestamp) -> Result<Status, NotUnderstood> {
    let current: Current = json(body)?;
    match (current.status.as_str(), current.active_incidents.is_empty()) {
        ("ok", true) => return Ok(Status::whole(Vec::new(), now)),
        ("ok" | "active", false) => {}
        ("active", true) => return Err(NotUnderstood::new("it says that something is wrong, and not what")),
        (other, _) => return Err(NotUnderstood::word("state", other)),
    }
    let mut notices = Vec::new();
    for incident in current.active_incidents {
        match incident.status.as_str() {
            "active" => {}
            "resolved" | "completed" | "cancelled" | "scheduled" => continue,
            other => return Err(NotUnderstood::word("state of an incident", other)),
        }
        let kind = match incident.sort.as_str() {
            "notice" => AdmissionKind::Info,
            "incident" => AdmissionKind::Degraded,
            "outage" => AdmissionKind::Outage,
            "maintenance" => AdmissionKind::Maintenance,
            other => return Err(NotUnderstood::word("type of an incident", other)),
        };
        let notes = incident.notes.into_iter().flatten().filter_map(|note| note.date_created).max();
        notices.push(Notice {
            begin: incident.date_created,
            posted: incident.date_created,
            updated: incident.date_updated.max(notes),
            products: incident.services.unwrap_or_default(),
            url: incident.url,
            ..Notice::new(incident.id, &incident.title, kind)
        });
    }
    Ok(Status::whole(notices, now))
}
