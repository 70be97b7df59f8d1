//! `POST /-/reload`: asks whoever owns the configuration to read it again, and tells how that went.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use tokio::sync::oneshot;

use super::Site;

/// A wish for a reload.
#[derive(Debug)]
pub struct Reload {
    /// Where the answer goes; the one who asked may have gone away.
    pub answer: oneshot::Sender<Result<(), ReloadRefused>>,
}

/// Why the configuration in force stays.
#[derive(Debug, Clone)]
pub enum ReloadRefused {
    /// The file has mistakes; the text shows them, without secrets.
    Mistakes(String),
    /// The new plan could not be put in force: a fault of our own.
    Failed(String),
}

pub(super) async fn ask(State(site): State<Site>) -> Response {
    let (answer, answered) = oneshot::channel();
    if site.given.reload.send(Reload { answer }).await.is_err() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    match answered.await {
        Ok(Ok(())) => "reloaded\n".into_response(),
        Ok(Err(ReloadRefused::Mistakes(text))) => (StatusCode::BAD_REQUEST, ended(text)).into_response(),
        Ok(Err(ReloadRefused::Failed(text))) => (StatusCode::INTERNAL_SERVER_ERROR, ended(text)).into_response(),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response(),
    }
}

fn ended(mut text: String) -> String {
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}
