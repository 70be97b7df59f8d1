//! `/api/v1`: the same facts as JSON.

use std::time::Duration;

use axum::{Json, Router, extract::State, routing::get};
use serde::Serialize;

use super::Site;
use crate::config::Probe;

pub(super) fn routes() -> Router<Site> {
    Router::new().route("/probes", get(probes))
}

/// A probe as the API tells of it: nothing of its check but what `target` says, since that may hold credentials.
#[derive(Serialize)]
struct ProbeView {
    name: String,
    party: String,
    product: Option<String>,
    protocol: &'static str,
    target: String,
    interval: f64,
    timeout: f64,
}

impl From<&Probe> for ProbeView {
    fn from(probe: &Probe) -> Self {
        let seconds = |duration: Duration| duration.as_secs_f64();
        Self {
            name: probe.name.to_string(),
            party: probe.subject.party.to_string(),
            product: probe.subject.product.as_deref().map(str::to_owned),
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
