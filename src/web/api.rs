//! `/api/v1`: the facts behind the pages, as JSON. Answers are bounded; a question that is not understood is refused with
//! the reason, so that a misspelt filter does not look like an empty answer.

mod agents;
mod incidents;
mod instant;
mod observations;
pub(super) mod reports;
mod silences;
mod verdicts;

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{State, rejection::QueryRejection},
    http::{StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use serde::Serialize;

use self::instant::Instant;
use super::{Site, health, not_from_elsewhere};
use crate::{
    config::Probe,
    hub::{self, Lead},
    model::{FeedState, PartyKind, Silence, Timestamp},
    store::{Store, StoreError},
};

/// What is below, for programs: a test compares the two.
const DESCRIPTION: &str = include_str!("openapi.json");

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/openapi.json", get(async || ([(header::CONTENT_TYPE, "application/json")], DESCRIPTION)))
        .route("/status", get(status))
        .route("/probes", get(probes))
        .route("/verdicts", get(verdicts::show))
        .route("/incidents", get(incidents::show))
        .route("/observations", get(observations::show).post(observations::take))
        .route("/handover", post(observations::take_over))
        .route("/agents", get(agents::show))
        .route(
            "/silences",
            get(silences::show).merge(post(silences::add).layer(middleware::from_fn(not_from_elsewhere))),
        )
        .route("/silences/{id}", delete(silences::end).layer(middleware::from_fn(not_from_elsewhere)))
        .fallback(async || Refused(StatusCode::NOT_FOUND, "there is no such path under /api/v1".to_owned()))
}

/// Why there is no answer.
pub(super) struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(serde_json::json!({ "error": self.1 }))).into_response()
    }
}

impl From<QueryRejection> for Refused {
    fn from(rejection: QueryRejection) -> Self {
        Self(StatusCode::BAD_REQUEST, rejection.body_text())
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        tracing::warn!("{error}");
        Self(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

impl Site {
    /// Facts and incidents.
    fn store(&self) -> Result<&Store, Refused> {
        self.given.store.as_ref().ok_or_else(|| {
            let why = "this agent reports to a hub elsewhere: ask the hub, it has all that was seen and judged";
            Refused(StatusCode::NOT_FOUND, why.to_owned())
        })
    }
}

#[derive(Serialize)]
struct Status {
    version: &'static str,
    config: Arc<str>,
    region: Arc<str>,
    node: Arc<str>,
    parties: usize,
    probes: usize,
    ready: bool,
    /// Why it is not ready.
    reason: Option<String>,
    /// Who leads, of several hubs over one store.
    lead: Option<Lead>,
    /// When the hub judged last.
    judged_at: Option<Timestamp>,
    /// What is wrong now, a sentence each.
    bad: Vec<String>,
    /// What the parties' status pages say, of those that have any.
    feeds: Vec<FeedState>,
    /// What people do not want to hear of now.
    silences: Vec<Silence>,
    /// What some agents run otherwise than most, a sentence each.
    releases: Vec<String>,
}

async fn status(State(site): State<Site>) -> Json<Status> {
    let plan = site.given.plan.borrow().clone();
    let reason = health::why_not(&site).await;
    let now = chrono::Utc::now();
    let silences = site.given.store.as_ref().map(Store::silences).unwrap_or_default();
    let agents = site.given.fleet.as_ref().map(|fleet| fleet.agents(now)).unwrap_or_default();
    let view = site.given.view.borrow();
    let judged = view.verdicts.iter().zip(&view.sentences);
    Json(Status {
        lead: view.lead.clone(),
        judged_at: view.at,
        bad: judged.filter(|(verdict, _)| verdict.is_bad()).map(|(_, sentence)| sentence.clone()).collect(),
        feeds: view.feeds.clone(),
        releases: hub::releases(&agents),
        silences: silences.iter().filter(|silence| silence.is_in_force(now)).cloned().collect(),
        version: env!("CARGO_PKG_VERSION"),
        config: Arc::clone(&plan.hash),
        region: Arc::clone(&plan.vantage.region),
        node: Arc::clone(&plan.vantage.node),
        parties: plan.parties.len(),
        probes: plan.probes.len(),
        ready: reason.is_none(),
        reason,
    })
}

/// A probe as the API tells of it: nothing of its check but what `target` says, since the rest may hold credentials.
#[derive(Serialize)]
struct ProbeView {
    name: Arc<str>,
    party: Arc<str>,
    product: Option<Arc<str>>,
    kind: PartyKind,
    protocol: &'static str,
    target: String,
    interval: f64,
    timeout: f64,
}

impl From<&Probe> for ProbeView {
    fn from(probe: &Probe) -> Self {
        let seconds = |duration: Duration| duration.as_secs_f64();
        Self {
            name: Arc::clone(&probe.name),
            party: Arc::clone(&probe.subject.party),
            product: probe.subject.product.clone(),
            kind: probe.kind,
            protocol: probe.check.key(),
            target: probe.check.target(),
            interval: seconds(probe.interval),
            timeout: seconds(probe.timeout),
        }
    }
}

async fn probes(State(site): State<Site>) -> Json<Vec<ProbeView>> {
    let plan = site.given.plan.borrow().clone();
    Json(plan.probes.iter().map(|probe| ProbeView::from(&**probe)).collect())
}
