//! Better Stack: `index.json`, a JSON:API document. Reports name resources by their ids, which are listed beside them.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    NotUnderstood, Notice, Status,
    json::{json, when, word},
};
use crate::model::{AdmissionKind, Timestamp};

#[derive(Deserialize)]
struct Document {
    data: Page,
    #[serde(default)]
    included: Vec<Part>,
}

#[derive(Deserialize)]
struct Page {
    /// The anchor: always `status_page`.
    #[serde(rename = "type")]
    sort: String,
    attributes: About,
}

#[derive(Deserialize)]
struct About {
    company_name: Option<String>,
    company_url: Option<String>,
    aggregate_state: String,
}

#[derive(Deserialize)]
struct Part {
    #[serde(deserialize_with = "word")]
    id: String,
    #[serde(rename = "type")]
    sort: String,
    #[serde(default)]
    attributes: Attributes,
}

#[derive(Deserialize, Default)]
struct Attributes {
    public_name: Option<String>,
    status: Option<String>,
    title: Option<String>,
    report_type: Option<String>,
    aggregate_state: Option<String>,
    #[serde(default, deserialize_with = "when")]
    starts_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "when")]
    ends_at: Option<Timestamp>,
    affected_resources: Option<Vec<Affected>>,
}

#[derive(Deserialize)]
struct Affected {
    #[serde(deserialize_with = "word")]
    status_page_resource_id: String,
}

pub(super) fn parse(body: &[u8], now: Timestamp) -> Result<Status, NotUnderstood> {
    let document: Document = json(body)?;
    if document.data.sort != "status_page" {
        return Err(NotUnderstood::word("document", &document.data.sort));
    }
    let about = document.data.attributes;
    let overall = state(&about.aggregate_state)?;
    let resources: BTreeMap<&str, &Attributes> = document
        .included
        .iter()
        .filter(|part| part.sort == "status_page_resource")
        .map(|part| (part.id.as_str(), &part.attributes))
        .collect();
    let mut notices = Vec::new();
    let mut told: BTreeMap<&str, AdmissionKind> = BTreeMap::new();
    for report in document.included.iter().filter(|part| part.sort == "status_report") {
        let fields = &report.attributes;
        let begun = fields.starts_at.is_none_or(|begin| begin <= now);
        if !begun || fields.ends_at.is_some_and(|end| end <= now) {
            continue;
        }
        let kind = match (fields.report_type.as_deref(), &fields.aggregate_state) {
            (Some("maintenance"), _) => AdmissionKind::Maintenance,
            (_, Some(word)) => state(word)?.unwrap_or(AdmissionKind::Info),
            (_, None) => AdmissionKind::Info,
        };
        let affected = fields.affected_resources.iter().flatten().map(|one| one.status_page_resource_id.as_str());
        let ids: Vec<&str> = affected.collect();
        for id in &ids {
            let worst = told.entry(*id).or_insert(kind);
            *worst = kind.max(*worst);
        }
        let names = ids.iter().filter_map(|id| resources.get(id)?.public_name.clone());
        notices.push(Notice {
            begin: fields.starts_at,
            posted: fields.starts_at,
            end: fields.ends_at.filter(|_| kind == AdmissionKind::Maintenance),
            products: names.chain(ids.iter().map(|id| (*id).to_owned())).collect(),
            ..Notice::new(report.id.clone(), fields.title.as_deref().unwrap_or_default(), kind)
        });
    }
    for (id, resource) in &resources {
        let Some(word) = &resource.status else { continue };
        // A report may say less of it than it says itself.
        if let Some(kind) = state(word)?.filter(|kind| told.get(*id).is_none_or(|told| told < kind)) {
            let name = resource.public_name.clone().unwrap_or_else(|| (*id).to_owned());
            let notice = Notice::new(format!("resource {id}"), &format!("{name}: {word}"), kind);
            notices.push(Notice { products: vec![name, (*id).to_owned()], ..notice });
        }
    }
    if let Some(kind) = overall.filter(|_| notices.is_empty()) {
        let name = about.company_name.unwrap_or_default();
        notices.push(Notice::new("page", &format!("{name}: {}", about.aggregate_state), kind));
    }
    for notice in &mut notices {
        notice.url.clone_from(&about.company_url);
    }
    Ok(Status::whole(notices, now))
}

fn state(word: &str) -> Result<Option<AdmissionKind>, NotUnderstood> {
    Ok(match word {
        "operational" | "resolved" | "not_monitored" => None,
        "degraded" => Some(AdmissionKind::Degraded),
        "downtime" => Some(AdmissionKind::Outage),
        "maintenance" => Some(AdmissionKind::Maintenance),
        other => return Err(NotUnderstood::word("state", other)),
    })
}
