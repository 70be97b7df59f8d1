//! Google Cloud, Firebase and Workspace: one flat list of incidents, the old ones included. An incident is open while it
//! has no end. Realtime Database and Auth may be told of on Firebase's page only, what lies below on Google Cloud's only.

use serde::Deserialize;

use super::{
    NotUnderstood, Notice, Status,
    json::{json, when},
    time,
};
use crate::model::{AdmissionKind, Timestamp};

#[derive(Deserialize)]
struct Incident {
    /// With `begin` the anchor: every entry has them.
    id: String,
    begin: String,
    end: Option<String>,
    #[serde(default, deserialize_with = "when")]
    created: Option<Timestamp>,
    #[serde(default, deserialize_with = "when")]
    modified: Option<Timestamp>,
    external_desc: Option<String>,
    most_recent_update: Option<Update>,
    status_impact: Option<String>,
    severity: Option<String>,
    service_key: Option<String>,
    service_name: Option<String>,
    affected_products: Option<Vec<Named>>,
    currently_affected_locations: Option<Vec<Named>>,
    uri: Option<String>,
}

#[derive(Deserialize)]
struct Update {
    status: Option<String>,
    #[serde(default, deserialize_with = "when")]
    when: Option<Timestamp>,
    #[serde(default, deserialize_with = "when")]
    modified: Option<Timestamp>,
    affected_locations: Option<Vec<Named>>,
}

#[derive(Deserialize)]
struct Named {
    title: Option<String>,
    id: Option<String>,
}

pub(super) fn parse(body: &[u8], now: Timestamp) -> Result<Status, NotUnderstood> {
    let incidents: Vec<Incident> = json(body)?;
    if incidents.is_empty() {
        return Err(NotUnderstood::empty());
    }
    let mut notices = Vec::new();
    for incident in incidents {
        match incident.end.as_deref().map(str::trim) {
            None | Some("") => notices.push(notice(incident)?),
            Some(end) if time::instant(end).is_some() => {}
            Some(_) => return Err(NotUnderstood::new("the end of an incident is no instant")),
        }
    }
    Ok(Status::whole(notices, now))
}

fn notice(incident: Incident) -> Result<Notice, NotUnderstood> {
    let Some(begin) = time::instant(&incident.begin) else {
        return Err(NotUnderstood::new("the begin of an open incident is no instant"));
    };
    let update = incident.most_recent_update;
    let state = update.as_ref().and_then(|update| update.status.as_deref());
    let kind = match incident.status_impact.as_deref().or(state).or(incident.severity.as_deref()) {
        // That it works again may be said before the incident is ended.
        _ if state == Some("AVAILABLE") => AdmissionKind::Info,
        Some("SERVICE_OUTAGE" | "high") => AdmissionKind::Outage,
        Some("SERVICE_DISRUPTION" | "medium") => AdmissionKind::Degraded,
        Some("SERVICE_INFORMATION" | "low") | None => AdmissionKind::Info,
        Some(other) => return Err(NotUnderstood::word("impact", other)),
    };
    let names = |named: Option<Vec<Named>>| {
        named.into_iter().flatten().flat_map(|one| [one.title, one.id]).flatten().collect::<Vec<String>>()
    };
    let mut products = names(incident.affected_products);
    products.extend(incident.service_key);
    // One incident may stand for many services; then its own name is `Multiple Products`.
    if products.len() <= 1 {
        products.extend(incident.service_name.clone());
    }
    let (when, modified, locations) =
        update.map_or((None, None, None), |update| (update.when, update.modified, update.affected_locations));
    let mut regions = names(incident.currently_affected_locations);
    if regions.is_empty() {
        regions = names(locations);
    }
    let title = incident.external_desc.filter(|text| !text.trim().is_empty()).or(incident.service_name);
    // Descriptions may be whole pages of Markdown.
    let title = title.unwrap_or_default().replace(['*', '#'], "");
    let line = title.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    Ok(Notice {
        begin: Some(begin),
        posted: incident.created,
        updated: incident.modified.max(when).max(modified),
        products,
        regions,
        url: incident.uri,
        ..Notice::new(incident.id, line, kind)
    })
}
