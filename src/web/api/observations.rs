//! `/api/v1/observations`: what was seen, newest first as JSON, or as the lines that files hold and `replay` reads.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};

use super::{Instant, Refused};
use crate::{store::Wanted, web::Site};

/// Observations of one answer, when nobody says …
const LIMIT: usize = 100;
/// … and at most: some megabytes.
const LARGEST: usize = 5000;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    probe: Option<Arc<str>>,
    party: Option<Arc<str>>,
    region: Option<Arc<str>>,
    since: Option<Instant>,
    until: Option<Instant>,
    limit: Option<usize>,
    #[serde(default)]
    format: Form,
}

#[derive(Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum Form {
    #[default]
    Json,
    Jsonl,
}

pub(super) async fn show(
    State(site): State<Site>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Refused> {
    let Query(Asked { probe, party, region, since, until, limit, format }) = asked?;
    let (from, until) = (since.map(|Instant(at)| at), until.map(|Instant(at)| at));
    let limit = limit.unwrap_or(LIMIT).min(LARGEST);
    let mut seen = site.given.store.observations(&Wanted { probe, party, region, from, until, limit }).await?;
    match format {
        Form::Json => Ok(Json(seen).into_response()),
        Form::Jsonl => {
            // In the order of a file: as they happened.
            seen.reverse();
            let mut lines = Vec::new();
            for one in &seen {
                serde_json::to_writer(&mut lines, one).map_err(|error| {
                    Refused(StatusCode::INTERNAL_SERVER_ERROR, format!("cannot write an observation: {error}"))
                })?;
                lines.push(b'\n');
            }
            Ok(([(header::CONTENT_TYPE, "application/jsonl")], lines).into_response())
        }
    }
}
