//! `/healthz`: the process lives. `/readyz`: it can be relied on, or the sentence that says why not.

use std::time::Duration;

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::Site;
use crate::{hub::Lead, store::Wanted};

pub(super) async fn lives() -> &'static str {
    "ok\n"
}

pub(super) async fn ready(State(site): State<Site>) -> Response {
    match why_not(&site).await {
        None => format!("ready{}\n", leader(site.given.view.borrow().lead.as_ref())).into_response(),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n")).into_response(),
    }
}

/// Who judges, of several hubs.
fn leader(lead: Option<&Lead>) -> String {
    match lead {
        None => String::new(),
        Some(Lead { ours: true, .. }) => ": this hub leads".to_owned(),
        Some(Lead { leader: Some(name), .. }) => format!(": {name} leads, this hub takes and shows"),
        Some(Lead { leader: None, .. }) => ": no hub leads at the moment, this one takes and shows".to_owned(),
    }
}

/// How long the store may take to say that it is there.
const STORE_WITHIN: Duration = Duration::from_secs(2);

/// One sentence, or nothing when this process can be relied on.
pub(super) async fn why_not(site: &Site) -> Option<String> {
    let has_probes = !site.given.plan.borrow().probes.is_empty();
    if has_probes && site.given.probing && !site.given.metrics.anything_has_run() {
        return Some("no probe has run yet".to_owned());
    }
    // An agent judges nothing: that its hubs are out of reach is told by its figures, and keeps it from nothing.
    let store = site.given.store.as_ref()?;
    {
        let view = site.given.view.borrow();
        if view.at.is_none() {
            return Some("nothing has been judged yet".to_owned());
        }
        if let Some(failing) = &view.store.failing {
            return Some(failing.clone());
        }
    }
    let wanted = Wanted { limit: 1, ..Wanted::default() };
    match tokio::time::timeout(STORE_WITHIN, store.observations(&wanted)).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some("the store does not answer".to_owned()),
    }
}
