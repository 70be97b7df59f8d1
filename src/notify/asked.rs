//! Whose fault it is, to somebody who asks by a name: which subjects are meant, and what lies behind the sentence about each.
//! Pure; must not know who asks, where the verdicts come from, or how an answer is shown.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::words::flaps;
use crate::model::{Incident, IncidentState, Subject, Timestamp, Transition, Verdict};

/// The answer to whoever asks what is wrong, when nothing is.
pub const NOTHING_WRONG: &str = "Nothing is known to be wrong.";

/// A verdict with what people call its party, and its sentence.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct Told {
    /// Name of the party for people.
    #[serde(default)]
    pub party_name: String,
    /// The verdict as a sentence.
    pub sentence: String,
    /// When what the sentence tells of began, where it is of an instant that has passed: what the incident has come to since
    /// then says something else.
    #[serde(default)]
    pub began: Option<Timestamp>,
    /// The verdict.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// The subjects that are meant: by key or name of the party, whole or its beginning, and the product likewise.
///
/// # Errors
/// When none is meant, or more than one could be: a sentence that names those that there are.
pub fn choose(told: &[Told], asked: &str) -> Result<BTreeSet<Subject>, String> {
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
    let subjects = told.iter().map(|one| &one.verdict.subject);
    // Our own regions are named to whoever asks about them, and nobody else.
    let wanted = subjects.filter(|subject| match parties {
        [] => subject.as_vantage().is_none(),
        parties => parties.contains(&&*subject.party),
    });
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

/// Everything that can be asked about, for people.
#[must_use]
pub fn known(told: &[Told]) -> String {
    list(told, &[])
}

/// Whether an incident was not over at an instant; now, when none is given.
#[must_use]
pub fn lasted(incident: &Incident, at: Option<Timestamp>) -> bool {
    if incident.state == IncidentState::Suspected {
        return false;
    }
    match at {
        None => incident.state != IncidentState::Closed,
        Some(at) => {
            let over = incident.history.iter().rfind(|moment| moment.at <= at);
            let over = over.is_some_and(|moment| moment.transition == Transition::Closed);
            incident.onset <= at && !over && incident.closed_at.is_none_or(|closed| closed > at)
        }
    }
}

/// When what a verdict tells of began: as its incident says, where people know of one.
#[must_use]
pub fn began(verdict: &Verdict, incident: Option<&Incident>) -> Option<Timestamp> {
    let known = incident.filter(|one| one.subject == verdict.subject && one.state != IncidentState::Suspected);
    known.map(|incident| incident.began(verdict)).or(verdict.onset)
}

/// What lies behind the sentence, for what is not simply well: each fact with its name.
#[must_use]
pub fn facts(verdict: &Verdict, incident: Option<&Incident>) -> Vec<(&'static str, String)> {
    facts_since(verdict, incident, began(verdict, incident))
}

/// The same of what is known to have begun at an instant.
#[must_use]
pub fn facts_since(
    verdict: &Verdict,
    incident: Option<&Incident>,
    began: Option<Timestamp>,
) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if verdict.is_bad() {
        if let Some(onset) = began {
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
        // Of an instant that has passed nobody says what came later.
        if incident.flaps > 0 && incident.history.last().is_none_or(|moment| moment.at <= verdict.at) {
            facts.push(("again", flaps(incident)));
        }
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
