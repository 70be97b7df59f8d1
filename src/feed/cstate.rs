//! cState, a static site: `index.json` is written by a template, so it may be no JSON at all, and the time of its build
//! says nothing of how old its facts are.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    NotUnderstood, Notice, Status,
    json::{json, when},
};
use crate::model::{AdmissionKind, Timestamp};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    /// The anchor: always `index`.
    is: String,
    summary_status: String,
    systems: Vec<System>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct System {
    name: String,
    category: Option<String>,
    status: String,
    unresolved_issues: Option<Vec<Issue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Issue {
    title: String,
    #[serde(default, deserialize_with = "when")]
    created_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "when")]
    last_mod: Option<Timestamp>,
    permalink: Option<String>,
    severity: String,
    resolved: Option<bool>,
    informational: Option<bool>,
    affected: Option<Vec<String>>,
}

pub(super) fn parse(body: &[u8], now: Timestamp) -> Result<Status, NotUnderstood> {
    let index: Index = json(body)?;
    if index.is != "index" {
        return Err(NotUnderstood::word("document", &index.is));
    }
    if index.systems.is_empty() {
        return Err(NotUnderstood::empty());
    }
    let summary = severity(&index.summary_status)?;
    // The same issue stands below every system that it affects.
    let mut notices: BTreeMap<String, Notice> = BTreeMap::new();
    for system in index.systems {
        let overall = severity(&system.status)?;
        let names = || [Some(system.name.clone()), system.category.clone()].into_iter().flatten();
        let mut is_told = false;
        for issue in system.unresolved_issues.into_iter().flatten().filter(|issue| issue.resolved != Some(true)) {
            is_told = true;
            let kind = match issue.informational {
                Some(true) => AdmissionKind::Info,
                _ => severity(&issue.severity)?.unwrap_or(AdmissionKind::Info),
            };
            let id = issue.permalink.clone().unwrap_or_else(|| issue.title.clone());
            let notice = notices.entry(id.clone()).or_insert_with(|| Notice {
                begin: issue.created_at,
                posted: issue.created_at,
                updated: issue.last_mod,
                url: issue.permalink.clone(),
                ..Notice::new(id, &issue.title, kind)
            });
            notice.products.extend(issue.affected.into_iter().flatten());
            notice.products.push(system.name.clone());
        }
        if let Some(kind) = overall.filter(|_| !is_told) {
            let id = format!("system {}", system.name);
            let title = format!("{}: {}", system.name, system.status);
            notices.insert(id.clone(), Notice { products: names().collect(), ..Notice::new(id, &title, kind) });
        }
    }
    // What is wrong may be of no system that is listed.
    if let Some(kind) = summary.filter(|_| notices.is_empty()) {
        let title = format!("The page says {}", index.summary_status);
        notices.insert("page".to_owned(), Notice::new("page", &title, kind));
    }
    Ok(Status::whole(notices.into_values().collect(), now))
}

fn severity(word: &str) -> Result<Option<AdmissionKind>, NotUnderstood> {
    Ok(match word {
        "ok" => None,
        "notice" => Some(AdmissionKind::Info),
        "disrupted" => Some(AdmissionKind::Degraded),
        "down" => Some(AdmissionKind::Outage),
        other => return Err(NotUnderstood::word("severity", other)),
    })
}
