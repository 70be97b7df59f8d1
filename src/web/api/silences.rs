//! `/api/v1/silences`: who does not want to hear of what, why, until when. Adding one turns pages into notes; it changes
//! no verdict and deletes nothing.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, Query, State, rejection::JsonRejection, rejection::QueryRejection},
    http::StatusCode,
};

use super::Refused;
use crate::{
    config::Plan,
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
    let regions = regions(&site);
    let party = party(&plan, &wish.party)?;
    let product = wish.product.as_deref().map(|product| product_of(&plan, &regions, &party, product)).transpose()?;
    if let Some(region) = wish.region.as_ref().filter(|region| !regions.is_empty() && !regions.contains(*region)) {
        return Err(refused(&format!(
            "nothing was ever seen from a region named `{region}`; known here: {}",
            list(&regions)
        )));
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
        party,
        product,
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

/// The party that is meant by its key or its name.
fn party(plan: &Plan, said: &str) -> Result<Arc<str>, Refused> {
    if said == Subject::OBSERVER {
        return Ok(said.into());
    }
    plan.party_called(said).cloned().ok_or_else(|| {
        let why = format!("there is no party named `{said}`; known here: {}", list(plan.parties.keys()));
        Refused(StatusCode::BAD_REQUEST, why)
    })
}

/// The product that is meant; of ourselves a region, or the store.
fn product_of(plan: &Plan, regions: &BTreeSet<Arc<str>>, party: &Arc<str>, said: &str) -> Result<Arc<str>, Refused> {
    let of_party = plan.probes.iter().filter(|probe| probe.subject.party == *party);
    let mut known: BTreeSet<Arc<str>> = of_party.filter_map(|probe| probe.subject.product.clone()).collect();
    if **party == *Subject::OBSERVER {
        known = regions.clone();
        known.insert(Subject::STORE.into());
    }
    let meant = known.get(said).or_else(|| known.iter().find(|one| one.to_lowercase() == said.to_lowercase()));
    meant.cloned().ok_or_else(|| {
        let there = if known.is_empty() { "it has none".to_owned() } else { format!("known here: {}", list(&known)) };
        Refused(StatusCode::BAD_REQUEST, format!("`{party}` has no product named `{said}`; {there}"))
    })
}

/// Where somebody looks from, or has lately.
fn regions(site: &Site) -> BTreeSet<Arc<str>> {
    site.given.view.borrow().verdicts.iter().filter_map(|verdict| verdict.subject.as_vantage().cloned()).collect()
}

fn list<'a>(names: impl IntoIterator<Item = &'a Arc<str>>) -> String {
    names.into_iter().map(|name| &**name).collect::<Vec<_>>().join(", ")
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
