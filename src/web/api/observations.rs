//! `/api/v1/observations`: what was seen, newest first as JSON, or as the lines that files hold and `replay` reads; and
//! where agents hand in what they saw.

use std::sync::Arc;

use axum::{
    Json,
    body::{Body, to_bytes},
    extract::{Query, Request, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use futures_util::{StreamExt as _, stream};

use super::{Instant, Refused};
use crate::{
    hub::{Contact, NotTaken},
    model::Observation,
    store::{Place, Store, Wanted},
    uplink::{BUILD, CLOCK, CONFIG, NODE, REGION, SENT_AT, SOLO},
    web::Site,
};

/// Observations of one answer as JSON, when nobody says …
const LIMIT: usize = 100;
/// … and of one answer, or one page of it, at most: some megabytes.
const LARGEST: usize = 5000;
/// No batch of an agent is larger, packed or not.
const BATCH: usize = 1 << 20;

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
    if [&probe, &party, &region].into_iter().flatten().any(|name| name.contains(char::is_control)) {
        return Err(Refused(StatusCode::BAD_REQUEST, "a name has no control characters".to_owned()));
    }
    let (from, until) = (since.map(|Instant(at)| at), until.map(|Instant(at)| at));
    let some = |limit| Wanted { probe, party, region, from, until, limit };
    let store = site.store()?;
    let lines = match (format, limit) {
        (Form::Json, limit) => {
            let wanted = some(limit.unwrap_or(LIMIT).min(LARGEST));
            return Ok(Json(store.observations(&wanted).await?).into_response());
        }
        (Form::Jsonl, Some(limit)) => {
            let mut seen = store.observations(&some(limit.min(LARGEST))).await?;
            // In the order of a file: as they happened.
            seen.reverse();
            Body::from(in_lines(&seen)?)
        }
        // A file that ends where nobody said that it should would be judged as if nothing else had been seen.
        (Form::Jsonl, None) => all(store.clone(), some(LARGEST)).await?,
    };
    Ok(([(header::CONTENT_TYPE, "application/jsonl")], lines).into_response())
}

fn in_lines(seen: &[Observation]) -> Result<Vec<u8>, Refused> {
    let mut lines = Vec::new();
    for one in seen {
        serde_json::to_writer(&mut lines, one).map_err(|error| {
            Refused(StatusCode::INTERNAL_SERVER_ERROR, format!("cannot write an observation: {error}"))
        })?;
        lines.push(b'\n');
    }
    Ok(lines)
}

/// All that is wanted, read a page at a time as it is taken. What goes wrong after the first page breaks the answer off.
async fn all(store: Store, wanted: Wanted) -> Result<Body, Refused> {
    let (first, rest) = store.lines(&wanted, Place::START).await?;
    let rest = stream::try_unfold(rest, move |place| {
        let (store, wanted) = (store.clone(), wanted.clone());
        async move {
            let Some(place) = place else { return Ok(None) };
            store.lines(&wanted, place).await.map(Some).inspect_err(|error| tracing::warn!("{error}"))
        }
    });
    Ok(Body::from_stream(stream::once(async { Ok(first) }).chain(rest)))
}

/// Takes a batch of an agent. Who it is comes first: nothing is read for a stranger.
pub(super) async fn take(State(site): State<Site>, request: Request) -> Result<Response, Response> {
    let Some(intake) = &site.given.intake else {
        let why = "this is no hub: it takes no observations".to_owned();
        return Err(Refused(StatusCode::NOT_FOUND, why).into_response());
    };
    let (head, body) = request.into_parts();
    let agent = intake.agent(token(&head.headers)).map_err(refused)?;
    let packed = match head.headers.get(header::CONTENT_ENCODING).map(|coding| coding.as_bytes()) {
        None | Some(b"identity") => false,
        Some(b"gzip") => true,
        Some(_) => {
            let why = "a batch is packed with gzip or not at all".to_owned();
            return Err(Refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, why).into_response());
        }
    };
    let body = to_bytes(body, BATCH).await.map_err(|_| refused(intake.turned_away(NotTaken::TooLarge)))?;
    let taken = intake.take(&agent, &contact(&head.headers), body.into(), packed).await.map_err(refused)?;
    Ok(Json(taken).into_response())
}

/// Takes the incidents of a region that judged by itself while no hub could be reached.
pub(super) async fn take_over(State(site): State<Site>, request: Request) -> Result<Response, Response> {
    let Some(intake) = &site.given.intake else {
        let why = "this is no hub: it takes no incidents".to_owned();
        return Err(Refused(StatusCode::NOT_FOUND, why).into_response());
    };
    let (head, body) = request.into_parts();
    let agent = intake.agent(token(&head.headers)).map_err(refused)?;
    let body = to_bytes(body, BATCH).await.map_err(|_| refused(intake.turned_away(NotTaken::TooLarge)))?;
    let handover = serde_json::from_slice(&body)
        .map_err(|error| refused(intake.turned_away(NotTaken::Spoilt(error.to_string()))))?;
    intake.take_over(&agent, &handover).await.map_err(refused)?;
    Ok(Json(serde_json::json!({ "taken": true })).into_response())
}

/// What an agent says of itself. What makes no sense was not said.
fn contact(headers: &HeaderMap) -> Contact {
    let said = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).filter(|value| value.len() <= 100);
    let name = |header: &str| said(header).unwrap_or_default().into();
    let seconds = |word: &str| word.parse::<f64>().ok().filter(|seconds| seconds.is_finite());
    Contact {
        node: said(NODE).filter(|node| (1..=64).contains(&node.len())).map(Into::into),
        build: name(BUILD),
        config: name(CONFIG),
        sent_at: said(SENT_AT).and_then(|at| at.parse().ok()),
        clock: said(CLOCK)
            .and_then(|clock| clock.split_once(' '))
            .and_then(|(ahead, round_trip)| Some((seconds(ahead)?, seconds(round_trip)?))),
        version: said(REGION).map(str::to_owned),
        solo: said(SOLO).is_some(),
    }
}

fn token(headers: &HeaderMap) -> &str {
    let given = headers.get(header::AUTHORIZATION).and_then(|given| given.to_str().ok()).unwrap_or_default();
    given.strip_prefix("Bearer ").unwrap_or_default()
}

fn refused(why: NotTaken) -> Response {
    let status = match &why {
        NotTaken::Stranger => StatusCode::UNAUTHORIZED,
        NotTaken::Busy { .. } => StatusCode::SERVICE_UNAVAILABLE,
        NotTaken::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        NotTaken::Spoilt(_) => StatusCode::BAD_REQUEST,
    };
    let answer = Refused(status, why.to_string());
    match why {
        NotTaken::Busy { wait, .. } => ([(header::RETRY_AFTER, wait.to_string())], answer).into_response(),
        NotTaken::Stranger => ([(header::WWW_AUTHENTICATE, "Bearer")], answer).into_response(),
        _ => answer.into_response(),
    }
}
