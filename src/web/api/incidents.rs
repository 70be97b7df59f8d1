//! `/api/v1/incidents`: what is open, what was; newest first.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};

use super::{Instant, Refused};
use crate::{
    model::{Incident, IncidentState},
    web::Site,
};

/// How far back when nobody says.
const SINCE: chrono::TimeDelta = chrono::TimeDelta::days(30);

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    party: Option<Arc<str>>,
    since: Option<Instant>,
    state: Option<IncidentState>,
}

/// Those that are not over are always among them.
pub(super) async fn show(
    State(site): State<Site>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Vec<Incident>>, Refused> {
    let Query(Asked { party, since, state }) = asked?;
    let since = since.map_or_else(|| chrono::Utc::now() - SINCE, |Instant(since)| since);
    let stored = match site.store()?.incidents(since).await {
        Ok(stored) => stored,
        // What the hub knows is the better part, and matters most just when the store fails.
        Err(error) if site.given.view.borrow().at.is_some() => {
            tracing::warn!("{error}");
            Vec::new()
        }
        Err(error) => return Err(error.into()),
    };
    let mut by_id: BTreeMap<Arc<str>, Incident> = stored.into_iter().map(|one| (Arc::clone(&one.id), one)).collect();
    let view = site.given.view.borrow();
    // The store may be a moment behind the hub.
    let recent = view.recent.iter().filter(|one| one.onset >= since);
    for incident in recent.chain(&view.incidents) {
        by_id.insert(Arc::clone(&incident.id), incident.clone());
    }
    let mut incidents: Vec<Incident> = by_id.into_values().collect();
    incidents.retain(|incident| {
        party.as_ref().is_none_or(|party| *party == incident.subject.party)
            && state.is_none_or(|state| state == incident.state)
    });
    incidents.sort_by_key(|incident| std::cmp::Reverse(incident.onset));
    Ok(Json(incidents))
}
