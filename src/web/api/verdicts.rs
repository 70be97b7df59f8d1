//! `/api/v1/verdicts`: whose fault, now or at an instant, for every subject, each with its sentence. What was the verdict
//! then is judged again from what was seen around it, as far as that is still stored.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
};
use chrono::TimeDelta;
use serde_json::Value;

use super::{Instant, Refused};
use crate::{
    config::Plan,
    hub,
    model::{Observation, Sighting, Subject, Timestamp, Verdict},
    notify::{asked, words},
    replay::Replay,
    store::Wanted,
    web::Site,
};

/// What a judge needs to have seen of the time before; it remembers no more than twenty minutes.
const WARM_UP: TimeDelta = TimeDelta::minutes(30);
/// Observations that are judged again, at most: the newest.
const LARGEST: usize = 50_000;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    party: Option<Arc<str>>,
    at: Option<Instant>,
}

pub(super) async fn show(
    State(site): State<Site>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Vec<Value>>, Refused> {
    let Query(Asked { party, at }) = asked?;
    let plan = site.given.plan.borrow().clone();
    let told = match at {
        Some(Instant(at)) => then(&site, &plan, at).await?,
        None => {
            site.store()?;
            let view = site.given.view.borrow();
            let both = view.verdicts.iter().cloned().zip(view.sentences.iter().cloned());
            both.map(|(verdict, sentence)| Told { verdict, sentence, began: None }).collect()
        }
    };
    let wanted = |told: &Told| party.as_ref().is_none_or(|key| *key == told.verdict.subject.party);
    Ok(Json(told.into_iter().filter(wanted).map(|told| shown(&plan, told)).collect()))
}

/// A verdict, its sentence, and when what that tells of began where nothing else says so.
struct Told {
    verdict: Verdict,
    sentence: String,
    began: Option<Timestamp>,
}

fn shown(plan: &Plan, told: Told) -> Value {
    let Told { verdict, sentence, began } = told;
    let mut told = serde_json::to_value(&verdict).unwrap_or_default();
    if let Some(fields) = told.as_object_mut() {
        let Subject { party, .. } = &verdict.subject;
        let name = plan.parties.get(party).map_or_else(|| party.to_string(), |party| party.name.to_string());
        fields.insert("party_name".to_owned(), name.into());
        fields.insert("sentence".to_owned(), sentence.into());
        if let Some(began) = began {
            fields.insert("began".to_owned(), serde_json::to_value(began).unwrap_or_default());
        }
    }
    told
}

/// The verdicts of an instant that has passed.
async fn then(site: &Site, plan: &Arc<Plan>, at: Timestamp) -> Result<Vec<Told>, Refused> {
    if at > chrono::Utc::now() {
        return Err(Refused(StatusCode::BAD_REQUEST, "that instant is still to come".to_owned()));
    }
    if at < Timestamp::UNIX_EPOCH {
        return Err(Refused(StatusCode::BAD_REQUEST, "that instant is before anything was seen".to_owned()));
    }
    let from = Some(at - WARM_UP);
    // What was due just then was seen then, and is part of it.
    let until = at.checked_add_signed(TimeDelta::milliseconds(1));
    let seen = site.store()?.observations(&Wanted { from, until, limit: LARGEST, ..Wanted::default() }).await?;
    let plan = Arc::clone(plan);
    let judged = tokio::task::spawn_blocking(move || judge(&plan, seen, at)).await;
    judged.map_err(|_| Refused(StatusCode::INTERNAL_SERVER_ERROR, "cannot judge that instant".to_owned()))
}

/// The newest observation comes first.
fn judge(plan: &Arc<Plan>, seen: Vec<Observation>, at: Timestamp) -> Vec<Told> {
    let mut replay = Replay::new(plan);
    for one in seen.iter().rev() {
        drop(replay.take(&Sighting::from(one), one.scheduled_at));
    }
    let world = hub::world(plan);
    let verdicts = replay.verdicts(at);
    let told = verdicts.into_iter().map(|verdict| {
        let incident = replay.current().find(|one| one.subject == verdict.subject);
        let sentence = words::sentence(&world, &verdict, incident);
        let began = asked::began(&verdict, incident).filter(|_| verdict.is_bad());
        Told { verdict, sentence, began }
    });
    told.collect()
}
