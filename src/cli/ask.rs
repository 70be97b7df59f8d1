//! `usoryou ask`: whose fault it is, from the hub, in one sentence and what lies behind it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    io::{self, Write as _},
    time::Duration,
};

use serde::Deserialize;
use serde_json::json;

use super::{
    Common, Exit, Stopped,
    asking::{self, Where},
    moment::Moment,
    paint::{Paint, Tint},
};
use crate::model::{Cause, Incident, IncidentState, Subject, Timestamp, Verdict};

/// What to ask.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The party by its key, its name or how they begin, and perhaps its product
    #[arg(value_name = "PARTY[/PRODUCT]")]
    subject: String,
    /// As of then: 2026-11-22T10:32:00Z, 10:32 (UTC, today), 15m ago
    #[arg(long, value_name = "TIME")]
    at: Option<Moment>,
    /// Compare with what a customer's check found
    #[arg(long, value_name = "CODE", conflicts_with = "at")]
    report: Option<String>,
    /// How to say it
    #[arg(long, short, value_enum, default_value_t = Output::Human)]
    output: Output,
    #[command(flatten)]
    place: Where,
}

/// How to say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// For people
    Human,
    /// One JSON document
    Json,
}

/// A verdict with what the API adds to it.
#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    party_name: String,
    sentence: String,
    #[serde(flatten)]
    verdict: Verdict,
}

/// Asks the hub.
pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Stopped> {
    if args.report.is_some() {
        let why = "this version takes no customers' reports: there is nothing to compare with";
        return Err(Stopped::Usage(why.to_owned()));
    }
    let at = args.at.map(|Moment(at)| at);
    let question: Vec<(&str, String)> = at.map(|at| ("at", at.to_rfc3339())).into_iter().collect();
    let hub = &args.place.hub;
    let asking = async {
        let told: Vec<serde_json::Value> = asking::ask_json(hub, "verdicts", &question).await?;
        // An incident of then may have begun long before.
        let since = at.unwrap_or_else(chrono::Utc::now) - chrono::TimeDelta::days(30);
        let incidents: Vec<Incident> = asking::ask_json(hub, "incidents", &[("since", since.to_rfc3339())]).await?;
        // A hub of an earlier version knows nothing of releases, and what was then nobody knows now.
        let status: Option<serde_json::Value> = match at {
            None => asking::ask_json(hub, "status", &[]).await.ok(),
            Some(_) => None,
        };
        Ok::<_, Stopped>((told, incidents, releases(status.as_ref())))
    };
    let (raw, incidents, releases) = super::runtime()?.block_on(asking)?;
    let told: Vec<Told> = raw.iter().filter_map(|one| serde_json::from_value(one.clone()).ok()).collect();
    if told.is_empty() {
        return Err(Stopped::Unknown(format!("the hub at {hub} has not judged anything yet")));
    }
    let wanted = choose(&told, &args.subject).map_err(Stopped::Usage)?;
    let asked: Vec<&Told> = told.iter().filter(|one| wanted.contains(&one.verdict.subject)).collect();
    let of_asked = incidents.iter().filter(|one| wanted.contains(&one.subject) && lasted(one, at)).collect::<Vec<_>>();
    let mut out = io::stdout().lock();
    match args.output {
        Output::Human => {
            let paint = Paint::choose(common.color.on(&io::stdout()));
            write!(out, "{}", human(&asked, &of_asked, at, paint))?;
            for release in &releases {
                writeln!(out, "Note: {release}")?;
            }
        }
        Output::Json => {
            let verdicts: Vec<&serde_json::Value> = raw
                .iter()
                .filter(|one| {
                    asked
                        .iter()
                        .any(|asked| one.get("subject") == serde_json::to_value(&asked.verdict.subject).ok().as_ref())
                })
                .collect();
            writeln!(
                out,
                "{:#}",
                json!({"at": at, "verdicts": verdicts, "incidents": of_asked, "releases": releases})
            )?;
        }
    }
    out.flush()?;
    Ok(exit(&asked))
}

/// What some agents run otherwise than most.
fn releases(status: Option<&serde_json::Value>) -> Vec<String> {
    let said = status.and_then(|status| status.get("releases")?.as_array());
    said.into_iter().flatten().filter_map(|one| one.as_str().map(str::to_owned)).collect()
}

fn exit(asked: &[&Told]) -> Exit {
    let any = |wanted: fn(&Verdict) -> bool| asked.iter().any(|one| wanted(&one.verdict));
    if any(|verdict| verdict.is_bad() && verdict.cause != Cause::Unknown) {
        Exit::Bad
    } else if any(|verdict| verdict.cause == Cause::Unknown) {
        Exit::Unknown
    } else {
        Exit::Good
    }
}

/// Whether an incident was not over at an instant; now, when none is given.
fn lasted(incident: &Incident, at: Option<Timestamp>) -> bool {
    if incident.state == IncidentState::Suspected {
        return false;
    }
    match at {
        None => incident.state != IncidentState::Closed,
        Some(at) => incident.onset <= at && incident.closed_at.is_none_or(|closed| closed > at),
    }
}

/// The subjects that are meant: by key or name of the party, whole or its beginning, and the product likewise.
fn choose(told: &[Told], asked: &str) -> Result<BTreeSet<Subject>, String> {
    let (party, product) = asked.split_once('/').map_or((asked, None), |(party, product)| (party, Some(product)));
    let parties: BTreeMap<&str, &str> =
        told.iter().map(|one| (&*one.verdict.subject.party, &*one.party_name)).collect();
    let names = parties.iter().map(|(key, name)| (*key, vec![*key, *name]));
    let party = *one_of(party, &names.collect::<Vec<_>>())
        .map_err(|found| format!("{} {}: {}", what(found.is_empty(), "party"), quoted(party), list(told, &found)))?;
    let of_party = || told.iter().map(|one| &one.verdict.subject).filter(|subject| *subject.party == *party);
    let Some(product) = product else { return Ok(of_party().cloned().collect()) };
    let products = of_party().filter_map(|subject| subject.product.as_deref()).map(|name| (name, vec![name]));
    let product = *one_of(product, &products.collect::<Vec<_>>())
        .map_err(|_| format!("{party} has no product {}: there is {}", quoted(product), list(told, &[party])))?;
    Ok(of_party().filter(|subject| subject.product.as_deref() == Some(product)).cloned().collect())
}

fn what(unknown: bool, thing: &str) -> String {
    if unknown { format!("the hub knows no {thing}") } else { format!("more than one {thing} is called like") }
}

fn quoted(text: &str) -> String {
    format!("`{text}`")
}

/// What there is: of these parties, or of all.
fn list(told: &[Told], parties: &[&str]) -> String {
    let subjects = told.iter().map(|one| &one.verdict.subject).filter(|subject| subject.as_vantage().is_none());
    let wanted = subjects.filter(|subject| parties.is_empty() || parties.contains(&&*subject.party));
    let names: BTreeSet<String> = wanted
        .map(|subject| match &subject.product {
            Some(product) => format!("{}/{product}", subject.party),
            None => subject.party.to_string(),
        })
        .collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// The only one whose key or name is this, or, failing that, begins so; otherwise all that could be meant.
fn one_of<'a, 'b>(asked: &str, named: &'b [(&'a str, Vec<&'a str>)]) -> Result<&'b &'a str, Vec<&'a str>> {
    let asked = asked.to_lowercase();
    let whole = |name: &str| name.to_lowercase() == asked;
    let begins = |name: &str| !asked.is_empty() && name.to_lowercase().starts_with(&asked);
    let fits = |fits: &dyn Fn(&str) -> bool| -> Vec<&'b &'a str> {
        named.iter().filter(|(_, names)| names.iter().any(|name| fits(name))).map(|(key, _)| key).collect()
    };
    for found in [fits(&whole), fits(&begins)] {
        match *found {
            [only] => return Ok(only),
            [] => {}
            // A product that is seen twice is still one.
            [first, ..] if found.iter().all(|one| *one == first) => return Ok(first),
            _ => return Err(found.into_iter().copied().collect()),
        }
    }
    Err(vec![])
}

fn human(asked: &[&Told], incidents: &[&Incident], at: Option<Timestamp>, paint: Paint) -> String {
    let mut text = String::new();
    if let Some(at) = at {
        let _ = writeln!(text, "At {} UTC:", at.format("%Y-%m-%d %H:%M:%S"));
    }
    for one in asked {
        let verdict = &one.verdict;
        let tint = match verdict.cause {
            Cause::Ok => Tint::Green,
            _ if verdict.degraded => Tint::Yellow,
            Cause::Unknown | Cause::Path => Tint::Yellow,
            Cause::Probe => Tint::Magenta,
            Cause::Us | Cause::Them => Tint::Red,
        };
        let _ = writeln!(text, "{}", paint.tint(tint, &one.sentence));
        for (name, value) in facts(verdict, incidents.iter().find(|incident| incident.subject == verdict.subject)) {
            let _ = writeln!(text, "  {name:10}{value}");
        }
    }
    text
}

/// What lies behind the sentence, for what is not simply well.
fn facts(verdict: &Verdict, incident: Option<&&Incident>) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if verdict.is_bad() {
        if let Some(onset) = verdict.onset {
            let lasted = (verdict.at - onset).to_std().unwrap_or_default();
            let since = onset.format("%Y-%m-%d %H:%M:%S");
            facts.push(("since", format!("{since} UTC, {}", roughly(lasted))));
        }
        // The first is part of the sentence.
        facts.extend(verdict.evidence.iter().skip(1).map(|evidence| ("evidence", evidence.clone())));
        if verdict.confidence > 0.0 {
            facts.push(("sure", format!("{:.0} %", verdict.confidence * 100.0)));
        }
        let others: Vec<&str> = verdict.alternatives.iter().map(|cause| cause.word()).collect();
        if !others.is_empty() {
            facts.push(("or", others.join(", ")));
        }
        facts.extend(verdict.people_notice.iter().map(|notice| ("clients", notice.clone())));
    }
    if let Some(incident) = incident {
        let opened = incident.opened_at.map(|at| format!(", open since {} UTC", at.format("%Y-%m-%d %H:%M:%S")));
        let note = incident.note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default();
        facts.push(("incident", format!("{}{}{note}", incident.id, opened.unwrap_or_default())));
    }
    facts
}

/// `12 min`.
fn roughly(span: Duration) -> String {
    match span.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        seconds => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}
