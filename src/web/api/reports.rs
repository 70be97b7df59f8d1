//! `/api/v1/reports`: availability over a period, from what is stored. One at a time: it reads much.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::{Html, IntoResponse as _, Response},
};
use tokio::sync::Semaphore;

use super::{Instant, Refused};
use crate::web::{Period, Site, report, report_html};

/// How far back when nobody says.
const SINCE: chrono::TimeDelta = chrono::TimeDelta::days(30);
/// A report of a large store takes minutes.
const WITHIN: Duration = Duration::from_mins(5);

static ONE: Semaphore = Semaphore::const_new(1);

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct Asked {
    party: Option<Arc<str>>,
    from: Option<Instant>,
    to: Option<Instant>,
    #[serde(default)]
    format: Form,
}

#[derive(Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum Form {
    #[default]
    Json,
    Html,
}

pub(in crate::web) async fn show(
    State(site): State<Site>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Refused> {
    let Query(Asked { party, from, to, format }) = asked?;
    let plan = site.given.plan.borrow().clone();
    // Nothing is known of what is still to come.
    let now = chrono::Utc::now();
    let to = to.map_or(now, |Instant(to)| to.min(now));
    let from = from.map_or_else(|| to.checked_sub_signed(SINCE), |Instant(from)| Some(from));
    let Some(from) = from.filter(|from| *from < to) else {
        let why = "a period begins before it ends, and not in the future";
        return Err(Refused(StatusCode::BAD_REQUEST, why.to_owned()));
    };
    let Ok(_one) = ONE.try_acquire() else {
        return Err(Refused(StatusCode::SERVICE_UNAVAILABLE, "another report is being made".to_owned()));
    };
    let wanted = Period { from, to, party };
    let made = tokio::time::timeout(WITHIN, report(site.store()?, Some(&plan), &wanted)).await;
    let made = made.map_err(|_| Refused(StatusCode::SERVICE_UNAVAILABLE, "the report took too long".to_owned()))??;
    Ok(match format {
        Form::Json => Json(made).into_response(),
        Form::Html => Html(report_html(&made)).into_response(),
    })
}
