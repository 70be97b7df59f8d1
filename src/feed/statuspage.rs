//! Statuspage v2 (`summary.json` and its parts), and what is compatible with it. The indicator of a whole page says little
//! of one product, so components and incidents are what counts.

use serde::Deserialize;

use super::{
    NotUnderstood, Notice, Status,
    json::{json, when},
};
use crate::model::{AdmissionKind, Timestamp};

#[derive(Deserialize)]
struct Page {
    /// The anchor: every document of this API has it.
    page: About,
    status: Option<Overall>,
    components: Option<Vec<Component>>,
    incidents: Option<Vec<Incident>>,
    scheduled_maintenances: Option<Vec<Incident>>,
}

#[derive(Deserialize)]
struct About {
    name: String,
    url: Option<String>,
}

#[derive(Deserialize)]
struct Overall {
    indicator: String,
    description: Option<String>,
}

#[derive(Deserialize)]
struct Component {
    id: Option<String>,
    name: String,
    status: Option<String>,
    group: Option<bool>,
    #[serde(default, deserialize_with = "when")]
    updated_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Incident {
    id: String,
    name: String,
    status: String,
    impact: Option<String>,
    #[serde(default, deserialize_with = "when")]
    created_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "when")]
    started_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "when")]
    updated_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "when")]
    scheduled_for: Option<Timestamp>,
    #[serde(default, deserialize_with = "when")]
    scheduled_until: Option<Timestamp>,
    shortlink: Option<String>,
    components: Option<Vec<Component>>,
    /// MongoDB's page calls them events.
    #[serde(alias = "event_updates")]
    incident_updates: Option<Vec<Update>>,
}

#[derive(Deserialize)]
struct Update {
    affected_components: Option<Vec<Affected>>,
}

#[derive(Deserialize)]
struct Affected {
    code: Option<String>,
    name: Option<String>,
}

pub(super) fn parse(body: &[u8], now: Timestamp) -> Result<Status, NotUnderstood> {
    let page: Page = json(body)?;
    if page.status.is_none() && page.components.is_none() && page.incidents.is_none() {
        if page.scheduled_maintenances.is_none() {
            return Err(NotUnderstood::new("it has neither a status, nor components, nor incidents"));
        }
        let planned = planned(page.scheduled_maintenances, now)?;
        return Ok(Status::partial(planned, now));
    }
    let mut notices = Vec::new();
    for incident in page.incidents.into_iter().flatten() {
        notices.extend(incident_notice(incident)?);
    }
    notices.extend(planned(page.scheduled_maintenances, now)?);
    for component in page.components.into_iter().flatten() {
        notices.extend(component_notice(component, &notices)?);
    }
    if let Some(overall) = page.status {
        let kind = impact(&overall.indicator)?;
        if let Some(kind) = kind.filter(|_| notices.is_empty()) {
            let title = overall.description.unwrap_or(overall.indicator);
            notices.push(Notice::new("page", &format!("{}: {title}", page.page.name), kind));
        }
    }
    for notice in &mut notices {
        notice.url = notice.url.take().or_else(|| page.page.url.clone());
    }
    Ok(Status::whole(notices, now))
}

fn incident_notice(incident: Incident) -> Result<Option<Notice>, NotUnderstood> {
    match incident.status.as_str() {
        "investigating" | "identified" | "monitoring" => {}
        "resolved" | "postmortem" | "completed" => return Ok(None),
        // Planned work is a list of its own.
        "scheduled" | "in_progress" | "verifying" => {}
        other => return Err(NotUnderstood::word("state of an incident", other)),
    }
    // No impact is what a page says while it is still being looked into.
    let impact = impact(incident.impact.as_deref().unwrap_or("none"))?.unwrap_or(AdmissionKind::Info);
    Ok(Some(notice(incident, impact)))
}

fn planned(planned: Option<Vec<Incident>>, now: Timestamp) -> Result<Vec<Notice>, NotUnderstood> {
    let mut notices = Vec::new();
    for work in planned.into_iter().flatten() {
        match work.status.as_str() {
            "in_progress" | "verifying" => notices.push(notice(work, AdmissionKind::Maintenance).under_way(now)),
            "scheduled" if work.scheduled_for.is_some_and(|begin| begin <= now) => {
                notices.push(notice(work, AdmissionKind::Maintenance));
            }
            "scheduled" | "completed" | "resolved" | "postmortem" => {}
            other => return Err(NotUnderstood::word("state of planned work", other)),
        }
    }
    Ok(notices)
}

fn notice(incident: Incident, kind: AdmissionKind) -> Notice {
    let components = incident.components.into_iter().flatten().flat_map(|one| [Some(one.name), one.id]);
    let updates = incident.incident_updates.into_iter().flatten();
    let affected = updates.flat_map(|update| update.affected_components.into_iter().flatten());
    let affected = affected.flat_map(|one| [one.name, one.code]);
    let begin = incident.scheduled_for.or(incident.started_at).or(incident.created_at);
    Notice {
        begin,
        posted: incident.created_at,
        updated: incident.updated_at,
        end: incident.scheduled_until,
        products: components.chain(affected).flatten().collect(),
        url: incident.shortlink,
        ..Notice::new(incident.id, &incident.name, kind)
    }
}

/// A component that is not well without an incident that says so.
fn component_notice(component: Component, known: &[Notice]) -> Result<Option<Notice>, NotUnderstood> {
    let Some(status) = component.status.as_deref() else { return Ok(None) };
    let (kind, said) = match status {
        "operational" => return Ok(None),
        "degraded_performance" => (AdmissionKind::Degraded, "degraded performance"),
        "partial_outage" => (AdmissionKind::Outage, "partial outage"),
        "major_outage" => (AdmissionKind::Outage, "major outage"),
        "under_maintenance" => (AdmissionKind::Maintenance, "under maintenance"),
        other => return Err(NotUnderstood::word("state of a component", other)),
    };
    let names: Vec<String> = [Some(component.name.clone()), component.id].into_iter().flatten().collect();
    // Unless it says less: a component may be down during planned work.
    let names_it = |notice: &&Notice| notice.products.iter().any(|product| names.contains(product));
    let is_told = known.iter().filter(names_it).any(|notice| notice.kind >= kind);
    // What a group says, its components say too.
    if is_told || component.group == Some(true) {
        return Ok(None);
    }
    let id = format!("component {}", names.last().map_or("", String::as_str));
    Ok(Some(Notice {
        updated: component.updated_at,
        begin: component.updated_at,
        products: names,
        ..Notice::new(id, &format!("{}: {said}", component.name), kind)
    }))
}

fn impact(word: &str) -> Result<Option<AdmissionKind>, NotUnderstood> {
    Ok(match word {
        "none" => None,
        "minor" => Some(AdmissionKind::Degraded),
        "major" | "critical" => Some(AdmissionKind::Outage),
        "maintenance" => Some(AdmissionKind::Maintenance),
        other => return Err(NotUnderstood::word("impact", other)),
    })
}
