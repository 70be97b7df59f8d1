//! `/api/v1/silences`: who does not want to hear of what, why, until when. Adding one turns pages into notes; it changes
//! no verdict and deletes nothing.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, Query, State, rejection::JsonRejection, rejection::QueryRejection},
    http::StatusCode,
};

use super::Refused;
use crate::{
    model::{Cause, Silence, Subject, Timestamp},
    protocol::Span,
    web::Site,
};

/// Nobody remembers for longer why something was muted.
const LONGEST: Duration = Duration::from_hours(90 * 24);
/// What a person writes is shown in messages.
const LONGEST_TEXT: usize = 500;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// Those that are over as well.
    #[serde(default)]
    all: bool,
}

/// Those in force and to come; on demand those that have ended lately, too.
pub(super) async fn show(
    State(site): State<Site>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Vec<Silence>>, Refused> {
    let Query(Asked { all }) = asked?;
    let now = chrono::Utc::now();
    let known = site.store()?.silences();
    Ok(Json(known.iter().filter(|silence| all || silence.until > now).cloned().collect()))
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    party: Arc<str>,
    product: Option<Arc<str>>,
    cause: Option<Cause>,
    region: Option<Arc<str>>,
    by: String,
    why: String,
    /// How long, such as `2h`; or `until`.
    r#for: Option<Span>,
    until: Option<Timestamp>,
}

pub(super) async fn add(
    State(site): State<Site>,
    wish: Result<Json<Wish>, JsonRejection>,
) -> Result<(StatusCode, Json<Silence>), Refused> {
    let refused = |why: &str| Refused(StatusCode::BAD_REQUEST, why.to_owned());
    let Json(wish) = wish.map_err(|rejection| Refused(StatusCode::BAD_REQUEST, rejection.body_text()))?;
    let now = chrono::Utc::now();
    let until = match (wish.r#for, wish.until) {
        (Some(Span(span)), None) if span > Duration::ZERO && span <= LONGEST => now + span,
        (None, Some(until)) if until > now && until <= now + LONGEST => until,
        (None, None) | (Some(_), Some(_)) => return Err(refused("say how long: either `for` or `until`")),
        _ => return Err(refused("a silence lasts longer than nothing, and at most 90d")),
    };
    let plan = site.given.plan.borrow().clone();
    if !plan.parties.contains_key(&wish.party) && *wish.party != *Subject::OBSERVER {
        let known: Vec<&str> = plan.parties.keys().map(|party| &**party).collect();
        return Err(refused(&format!("there is no party named `{}`; known here: {}", wish.party, known.join(", "))));
    }
    let of_party = |probe: &&Arc<crate::config::Probe>| probe.subject.party == wish.party;
    let is_product = |product: &Arc<str>| {
        *wish.party == *Subject::OBSERVER
            || plan.probes.iter().filter(of_party).any(|probe| probe.subject.product.as_ref() == Some(product))
    };
    if let Some(product) = wish.product.as_ref().filter(|product| !is_product(product)) {
        return Err(refused(&format!("`{}` has no product named `{product}`", wish.party)));
    }
    let (by, why) = (wish.by.trim(), wish.why.trim());
    if by.is_empty() || why.is_empty() {
        return Err(refused("say who wants it (`by`) and why (`why`)"));
    }
    if by.len() > LONGEST_TEXT || why.len() > LONGEST_TEXT || by.chars().chain(why.chars()).any(char::is_control) {
        return Err(refused("`by` and `why` are one line of at most 500 bytes each"));
    }
    let silence = Silence {
        id: "".into(),
        party: wish.party,
        product: wish.product,
        cause: wish.cause,
        region: wish.region,
        by: by.into(),
        why: why.into(),
        from: now,
        until,
    };
    let added = site.store()?.add_silence(silence).await?;
    tracing::info!(silence = &*added.id, party = &*added.party, by = &*added.by, until = %added.until, "silenced: {}", added.why);
    Ok((StatusCode::CREATED, Json(added)))
}

pub(super) async fn end(State(site): State<Site>, Path(id): Path<String>) -> Result<Json<Silence>, Refused> {
    match site.store()?.end_silence(&id, chrono::Utc::now()).await? {
        Some(ended) => {
            tracing::info!(silence = &*ended.id, party = &*ended.party, "the silence was ended");
            Ok(Json(ended))
        }
        None => Err(Refused(StatusCode::NOT_FOUND, "there is no such silence, or it is over".to_owned())),
    }
}
