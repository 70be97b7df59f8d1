//! `/api/v1/verdicts`: whose fault, now, for every subject, each with its sentence.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use serde_json::Value;

use super::Refused;
use crate::web::Site;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    party: Option<Arc<str>>,
}

pub(super) async fn show(
    State(site): State<Site>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Vec<Value>>, Refused> {
    let Query(Asked { party }) = asked?;
    let view = site.given.view.borrow();
    let judged = view.verdicts.iter().zip(&view.sentences);
    let wanted = judged.filter(|(verdict, _)| party.as_ref().is_none_or(|party| *party == verdict.subject.party));
    let told = wanted.map(|(verdict, sentence)| {
        let mut told = serde_json::to_value(verdict).unwrap_or_default();
        if let Some(fields) = told.as_object_mut() {
            fields.insert("sentence".to_owned(), sentence.clone().into());
        }
        told
    });
    Ok(Json(told.collect()))
}
