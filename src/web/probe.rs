//! `GET /probe?target=…&module=…`: one probe now, answered the way blackbox_exporter answers, so that scrape
//! configurations, Probe resources and dashboards made for it keep working. `docs/METRICS.md` says where we differ.

mod exposition;
mod modules;

use std::{fmt::Write as _, sync::Arc, time::Duration};

use axum::{
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::Site;
use crate::{
    config::{Plan, Probe},
    engine::{Due, Observer, Seen},
    model::{Outcome, PartyKind, Subject},
};

/// The deadline when the scraper does not tell its own.
const LONGEST: f64 = 120.0;
/// How much earlier than the scraper we give up, so that it still gets our answer.
const HEAD_START: f64 = 0.5;

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    target: String,
    module: String,
    debug: String,
    hostname: Option<String>,
}

pub(super) async fn run(
    State(site): State<Site>,
    headers: HeaderMap,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Response {
    let Ok(_place) = site.probes.try_acquire() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many probes on demand at once\n").into_response();
    };
    let plan = site.given.plan.borrow().clone();
    let (probe, asked) = match prepare(&plan, &site.given.observer, &headers, pairs) {
        Ok(prepared) => prepared,
        Err(refused) => return refused.into_response(),
    };
    let observer = Observer {
        wants_gauges: true,
        vantage: plan.vantage.clone(),
        config: Arc::clone(&plan.hash),
        ..site.given.observer.clone()
    };
    let seen = observer.observe(&probe, Due::at(observer.clock.wall(), probe.interval)).await;
    let text = exposition::write(&*probe.check, &seen);
    let text = if asked.debug == "true" { explained(&probe, &seen, &text) } else { text };
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// Everything that can be refused before anything is sent; the words are those of blackbox_exporter where it has some.
fn prepare(
    plan: &Plan,
    observer: &Observer,
    headers: &HeaderMap,
    pairs: Vec<(String, String)>,
) -> Result<(Probe, Asked), (StatusCode, String)> {
    let refuse = |text: String| (StatusCode::BAD_REQUEST, text + "\n");
    let asked = Asked::from_pairs(pairs);
    if asked.hostname.is_some() {
        return Err(refuse("The hostname parameter is not supported: use a probe of the configuration".to_owned()));
    }
    let configured = plan.probes.iter().find(|probe| *probe.name == *asked.module);
    let file = match configured {
        Some(probe) => probe.file.clone(),
        None => modules::built_in(&asked.module).ok_or_else(|| refuse(format!("Unknown module {:?}", asked.module)))?,
    };
    if asked.target.is_empty() {
        return Err(refuse("Target parameter is missing".to_owned()));
    }
    let timeout = deadline(headers, configured.map(|probe| probe.timeout)).map_err(refuse)?;
    let file = file.retarget(&asked.target).map_err(refuse)?;
    let check = file.build(&observer.net).map_err(|problem| refuse(problem.message))?;
    let probe = Probe {
        name: asked.module.as_str().into(),
        subject: configured.map_or_else(|| Subject { party: "".into(), product: None }, |probe| probe.subject.clone()),
        kind: configured.map_or(PartyKind::Provider, |probe| probe.kind),
        interval: timeout,
        timeout,
        confirm: None,
        session: None,
        check,
        file,
        vantages: 2,
        fingerprint: "".into(),
    };
    Ok((probe, asked))
}

impl Asked {
    /// Of a parameter that is given twice the first counts; unknown ones are left alone, as exporters do.
    fn from_pairs(pairs: Vec<(String, String)>) -> Self {
        let first = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        Self {
            target: first("target").unwrap_or_default(),
            module: first("module").filter(|module| !module.is_empty()).unwrap_or_else(|| modules::DEFAULT.to_owned()),
            debug: first("debug").unwrap_or_default(),
            hostname: first("hostname").filter(|hostname| !hostname.is_empty()),
        }
    }
}

/// A little less than the scraper waits, and never longer than the probe's own timeout.
fn deadline(headers: &HeaderMap, own: Option<Duration>) -> Result<Duration, String> {
    let patience = match headers.get("x-prometheus-scrape-timeout-seconds") {
        None => LONGEST,
        Some(value) => {
            let seconds = value.to_str().ok().and_then(|text| text.parse::<f64>().ok());
            let seconds = seconds.filter(|seconds| seconds.is_finite() && *seconds > 0.0);
            seconds.ok_or("Failed to parse timeout from Prometheus header: not a number of seconds")?.min(LONGEST)
        }
    };
    // With half a second or less there is no head start to take; half of it is better than none.
    let within = if patience > 2.0 * HEAD_START { patience - HEAD_START } else { patience / 2.0 };
    let within = Duration::from_secs_f64(within);
    Ok(own.map_or(within, |own| own.min(within)))
}

/// What `debug=true` shows: how it went, in words, and then the page.
fn explained(probe: &Probe, seen: &[Seen], text: &str) -> String {
    let mut out = String::from("Logs for the probe:\n");
    // Writing to a String cannot fail.
    let _ = writeln!(out, "module {} looks at {} within {:?}", probe.name, probe.check.target(), probe.timeout);
    for Seen { observation, .. } in seen {
        for (phase, took) in observation.phases.iter() {
            let _ = writeln!(out, "{phase} took {took:?}");
        }
        if let Some(peer) = observation.peer {
            let _ = writeln!(out, "peer {peer}");
        }
        let _ = match &observation.failure {
            None => writeln!(out, "{} after {:?}", observation.outcome, observation.duration),
            Some(failure) => writeln!(out, "{} after {:?}: {failure}", observation.outcome, observation.duration),
        };
    }
    let _ = write!(out, "\n\n\nMetrics that would have been returned:\n{text}");
    let _ = write!(out, "\n\n\nModule configuration:\ncheck: {}\n", probe.check.key());
    out
}

/// Whether blackbox_exporter would call it a success: it knows no degraded, and takes what it cannot do for a failure.
fn succeeded(seen: &[Seen]) -> bool {
    !seen.is_empty() && seen.iter().all(|one| matches!(one.observation.outcome, Outcome::Up | Outcome::Degraded))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("x-prometheus-scrape-timeout-seconds", value.parse().unwrap());
        headers
    }

    #[test]
    fn the_answer_comes_before_the_scraper_gives_up() {
        let within = |headers: &HeaderMap, own: Option<u64>| {
            deadline(headers, own.map(Duration::from_secs)).map(|deadline| deadline.as_secs_f64())
        };
        assert_eq!(within(&HeaderMap::new(), None), Ok(119.5));
        assert_eq!(within(&header("10"), None), Ok(9.5));
        assert_eq!(within(&header("10"), Some(5)), Ok(5.0));
        assert_eq!(within(&header("3"), Some(5)), Ok(2.5));
        assert_eq!(within(&header("0.5"), Some(5)), Ok(0.25));
        assert_eq!(within(&header("1e300"), None), Ok(119.5));
        for wrong in ["NaN", "inf", "-1", "0", "soon", ""] {
            assert!(within(&header(wrong), None).is_err(), "{wrong}");
        }
    }

    #[test]
    fn of_a_parameter_given_twice_the_first_counts() {
        let pairs = [("target", "a"), ("x", "y"), ("target", "b"), ("module", "")];
        let asked = Asked::from_pairs(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec());
        assert_eq!((&*asked.target, &*asked.module), ("a", "http_2xx"));
    }
}
