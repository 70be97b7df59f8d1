//! `/healthz`: the process lives. `/readyz`: it can be relied on, or the sentence that says why not.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::Site;

pub(super) async fn lives() -> &'static str {
    "ok\n"
}

pub(super) async fn ready(State(site): State<Site>) -> Response {
    match why_not(&site) {
        None => "ready\n".into_response(),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n")).into_response(),
    }
}

fn why_not(_site: &Site) -> Option<String> {
    None
}
