//! Instatus: `summary.json`, and `v2/components.json` for what fails by itself.

use serde::Deserialize;

use super::{
    NotUnderstood, Notice, Status,
    json::{json, when},
};
use crate::model::{AdmissionKind, Timestamp};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    page: Option<About>,
    active_incidents: Option<Vec<Incident>>,
    active_maintenances: Option<Vec<Work>>,
    components: Option<Vec<Component>>,
}

#[derive(Deserialize)]
struct About {
    name: String,
    url: Option<String>,
    status: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Incident {
    id: Option<String>,
    name: String,
    status: String,
    impact: Option<String>,
    #[serde(default, deserialize_with = "when")]
    started: Option<Timestamp>,
    #[serde(default, deserialize_with = "when")]
    updated_at: Option<Timestamp>,
    url: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Work {
    id: Option<String>,
    name: String,
    status: String,
    #[serde(default, deserialize_with = "when")]
    start: Option<Timestamp>,
    #[serde(default, deserialize_with = "when")]
    updated_at: Option<Timestamp>,
    url: Option<String>,
}

#[derive(Deserialize)]
struct Component {
    id: Option<String>,
    name: String,
    status: String,
}

pub(super) fn parse(body: &[u8], now: Timestamp) -> Result<Status, NotUnderstood> {
    let summary: Summary = json(body)?;
    let mut notices = Vec::new();
    for incident in summary.active_incidents.into_iter().flatten() {
        notices.extend(incident_notice(incident)?);
    }
    for work in summary.active_maintenances.into_iter().flatten() {
        notices.extend(planned(work)?.map(|work| work.under_way(now)));
    }
    let has_components = summary.components.as_ref().is_some_and(|components| !components.is_empty());
    for component in summary.components.into_iter().flatten() {
        if let Some(kind) = impact(&component.status)? {
            let names = [Some(component.name.clone()), component.id].into_iter().flatten().collect();
            let said = component.status.to_lowercase();
            let notice =
                Notice::new(format!("component {}", component.name), &format!("{}: {said}", component.name), kind);
            notices.push(Notice { products: names, ..notice });
        }
    }
    let Some(page) = summary.page else {
        return if has_components {
            Ok(Status::whole(notices, now))
        } else {
            Err(NotUnderstood::new("it has no page"))
        };
    };
    let overall = match page.status.as_str() {
        "UP" => None,
        "HASISSUES" => Some(AdmissionKind::Info),
        "UNDERMAINTENANCE" => Some(AdmissionKind::Maintenance),
        other => return Err(NotUnderstood::word("state of a page", other)),
    };
    if let Some(kind) = overall.filter(|_| notices.is_empty()) {
        notices.push(Notice::new("page", &format!("{} has issues", page.name), kind));
    }
    for notice in &mut notices {
        notice.url = notice.url.take().or_else(|| page.url.clone());
    }
    Ok(Status::whole(notices, now))
}

fn incident_notice(incident: Incident) -> Result<Option<Notice>, NotUnderstood> {
    match incident.status.as_str() {
        "INVESTIGATING" | "IDENTIFIED" | "MONITORING" => {}
        "RESOLVED" => return Ok(None),
        other => return Err(NotUnderstood::word("state of an incident", other)),
    }
    let kind = impact(incident.impact.as_deref().unwrap_or("OPERATIONAL"))?.unwrap_or(AdmissionKind::Info);
    let id = incident.id.unwrap_or_else(|| incident.name.clone());
    Ok(Some(Notice {
        begin: incident.started,
        posted: incident.started,
        updated: incident.updated_at,
        url: incident.url,
        ..Notice::new(id, &incident.name, kind)
    }))
}

fn planned(work: Work) -> Result<Option<Notice>, NotUnderstood> {
    match work.status.as_str() {
        "INPROGRESS" | "VERIFYING" => {}
        "NOTSTARTEDYET" | "COMPLETED" | "CANCELLED" => return Ok(None),
        other => return Err(NotUnderstood::word("state of planned work", other)),
    }
    let id = work.id.unwrap_or_else(|| work.name.clone());
    Ok(Some(Notice {
        begin: work.start,
        updated: work.updated_at,
        // The page does not say what it is about, which may be little: without an end it keeps nobody from being told.
        end: None,
        url: work.url,
        ..Notice::new(id, &work.name, AdmissionKind::Maintenance)
    }))
}

fn impact(word: &str) -> Result<Option<AdmissionKind>, NotUnderstood> {
    Ok(match word {
        "OPERATIONAL" | "NONE" => None,
        "DEGRADEDPERFORMANCE" | "MINOROUTAGE" => Some(AdmissionKind::Degraded),
        "PARTIALOUTAGE" | "MAJOROUTAGE" => Some(AdmissionKind::Outage),
        "UNDERMAINTENANCE" => Some(AdmissionKind::Maintenance),
        other => return Err(NotUnderstood::word("impact", other)),
    })
}
