//! The internal listener: metrics, probes on demand, health, reload and the API. Reads what others publish and asks
//! others to act; decides nothing itself, and nothing else waits for it.

mod api;
mod health;
mod index;
mod listen;
mod page;
mod probe;
mod reload;
mod report;
mod slack;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, mpsc, watch},
};

use crate::{
    config::Plan,
    engine::Observer,
    hub::{Fleet, Intake, View},
    metrics::Metrics,
    store::Store,
};

pub use reload::{Reload, ReloadRefused};
pub use report::{Period, html as report_html, report};

/// No body that anybody sends us is larger.
const BODY_LIMIT: usize = 1 << 20;
/// Longer than any page of ours should take; `/probe` has a deadline of its own.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Runs of `/probe` under way at once, at most; more are refused.
const PROBES_AT_ONCE: usize = 64;
/// Pages of `/metrics` written at once, at most: each may take megabytes.
const PAGES_AT_ONCE: usize = 2;

/// What the pages are made from.
#[derive(Clone)]
pub struct WebState {
    /// Figures.
    pub metrics: Arc<Metrics>,
    /// The configuration in force.
    pub plan: watch::Receiver<Arc<Plan>>,
    /// How to run a probe on demand.
    pub observer: Observer,
    /// Where wishes for a reload go.
    pub reload: mpsc::Sender<Reload>,
    /// Facts and incidents; nothing where they are kept elsewhere, by the hub that an agent reports to.
    pub store: Option<Store>,
    /// Who reports here; nothing where there is no hub.
    pub fleet: Option<Fleet>,
    /// Where agents hand in what they saw; nothing where there is no hub.
    pub intake: Option<Intake>,
    /// Whether probes of the configuration run here: a hub alone leaves them to its agents.
    pub probing: bool,
    /// What the hub thinks.
    pub view: watch::Receiver<View>,
}

/// The state with what belongs to the listener alone.
#[derive(Clone)]
struct Site {
    given: WebState,
    probes: Arc<Semaphore>,
    pages: Arc<Semaphore>,
}

/// Serves until `stop` turns true (or its sender goes away), then lets answers under way finish.
pub async fn serve(listener: TcpListener, state: WebState, stop: watch::Receiver<bool>) {
    listen::serve(listener, routes(state), stop).await;
}

fn routes(state: WebState) -> Router {
    let site = Site {
        given: state,
        probes: Arc::new(Semaphore::new(PROBES_AT_ONCE)),
        pages: Arc::new(Semaphore::new(PAGES_AT_ONCE)),
    };
    Router::new()
        .route("/", get(index::show))
        .route("/metrics", get(page::metrics))
        .route("/healthz", get(health::lives))
        .route("/readyz", get(health::ready))
        .route("/-/reload", post(reload::ask).put(reload::ask).layer(middleware::from_fn(not_from_elsewhere)))
        .route("/slack/command", post(slack::answer))
        .nest("/api/v1", api::routes())
        .layer(middleware::from_fn(in_time))
        .route("/api/v1/reports", get(api::reports::show))
        .route("/probe", get(probe::run).layer(middleware::from_fn(not_from_elsewhere)))
        .fallback(no_such_page)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::map_response(no_guessing))
        .with_state(site)
}

async fn no_such_page() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "no such page; / has the list\n")
}

async fn in_time(request: Request, next: Next) -> Response {
    let late = |_| (StatusCode::SERVICE_UNAVAILABLE, "the answer took too long\n").into_response();
    tokio::time::timeout(ANSWER_WITHIN, next.run(request)).await.unwrap_or_else(late)
}

/// A page from elsewhere, open in the browser of somebody who can reach us, must not make us act: it could not read the
/// answer, but a probe would have been sent. Browsers say where a request comes from; other clients say nothing.
async fn not_from_elsewhere(request: Request, next: Next) -> Response {
    let site = request.headers().get("sec-fetch-site").map(|site| site.as_bytes());
    if matches!(site, None | Some(b"same-origin" | b"none")) {
        return next.run(request).await;
    }
    (StatusCode::FORBIDDEN, "not from a page of another site\n").into_response()
}

/// A browser must not take what a probed target wrote for a page of ours.
async fn no_guessing(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert("x-content-type-options", axum::http::HeaderValue::from_static("nosniff"));
    response
}
