//! What is said of an incident, in sentences to be read aloud. Pure; the only place that words a message.

mod later;
pub(super) mod many;

use std::time::Duration;

pub(super) use later::flaps;
pub use later::{joined, looking, reminding, silenced, turning};

use super::admission;
use crate::{
    attribution::World,
    model::{Cause, Incident, Kind, Reason, Severity, Subject, Timestamp, Verdict, days_hours_minutes_seconds},
};

/// The text of a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// The answer.
    pub headline: String,
    /// What follows it.
    pub lines: Vec<String>,
}

/// What is said when an incident opens.
#[must_use]
pub fn opening(world: &World, incident: &Incident) -> Words {
    let verdict = &incident.verdict;
    let mut headline = vec![answer(world, verdict, incident.began(verdict))];
    headline.extend(failing(verdict));
    let mut evidence = verdict.evidence.iter().cloned();
    headline.extend(evidence.next());
    headline.extend(verdict.page_says.clone());
    let mut lines: Vec<String> = people_notice(verdict).into_iter().collect();
    lines.extend(evidence);
    lines.extend(detail(verdict));
    // Where the alternatives are the answer they belong to it.
    let place = if verdict.cause == Cause::Unknown { &mut headline } else { &mut lines };
    place.extend(alternatives(verdict));
    lines.extend(incident.note.as_ref().map(|note| format!("Note: {note}.")));
    lines.extend((incident.flaps > 0).then(|| format!("It has come back: {}.", flaps(incident))));
    lines.push(format!("Incident {}", incident.id));
    Words { headline: headline.join(" "), lines }
}

/// What is said when an incident is over.
#[must_use]
pub fn closing(world: &World, incident: &Incident) -> Words {
    if incident.is_unwatched() {
        let headline = format!(
            "Over: {}. It is not known whether it is back. {}",
            unwatched(world, incident),
            was(&incident.verdict)
        );
        return Words { headline, lines: vec![format!("Incident {}", incident.id)] };
    }
    let back = incident.recovered_at.or(incident.closed_at).unwrap_or(incident.onset);
    // What was well between its flaps is no part of it.
    let lasted = (back - incident.began(&incident.verdict)).to_std().unwrap_or_default();
    let name = world.subject_name(&incident.subject);
    let what = match (incident.subject.as_vantage(), incident.verdict.failure.as_ref().map(|failure| failure.kind)) {
        (Some(region), _) if incident.verdict.reason == Some(Reason::Clock) => {
            format!("the clocks of region {region} are right again")
        }
        (Some(region), _) if incident.verdict.reason == Some(Reason::Hub) => {
            format!("a hub takes again what region {region} sees")
        }
        (Some(region), Some(Kind::NotDelivered)) => format!("region {region} sends again"),
        (Some(region), Some(Kind::Starved)) => format!("region {region} is on time again"),
        (Some(region), _) if incident.severity == Severity::Degraded => {
            format!("region {region} is no longer slow")
        }
        (Some(region), _) => format!("region {region} sees again"),
        (None, _) if incident.subject == Subject::store() => "our store takes everything again".to_owned(),
        (None, Some(Kind::Unauthorized)) if incident.cause == Cause::Probe => {
            format!("{name} takes our credential again")
        }
        (None, Some(Kind::RateLimited)) if incident.cause == Cause::Probe => format!("{name} answers us again"),
        (None, Some(Kind::TakenOver)) if incident.cause == Cause::Probe => format!("{name} leaves our sessions alone"),
        (None, _) if incident.severity == Severity::Degraded => format!("{name} is no longer slow"),
        (None, _) if incident.verdict.in_part => format!("{name} no longer fails"),
        (None, _) => format!("{name} is back"),
    };
    let flaps = flaps_before(incident, incident.closed_at.unwrap_or(back));
    let headline = format!(
        "Over: {what} since {}, after {}{flaps}. {}",
        clock(back, incident.closed_at.unwrap_or(back)),
        span(lasted),
        was(&incident.verdict),
    );
    let mut lines: Vec<String> = admission::ahead(world, incident).into_iter().collect();
    lines.push(format!("Incident {}", incident.id));
    Words { headline, lines }
}

/// `nobody looks at Firebase any more (removed from the configuration)`.
fn unwatched(world: &World, incident: &Incident) -> String {
    match incident.subject.as_vantage() {
        Some(region) => format!("nobody looks from region {region} any more"),
        None => {
            let name = subject_name(world, &incident.subject);
            format!("nobody looks at {name} any more (removed from the configuration)")
        }
    }
}

/// `, with 1 flap since 10:31:05 UTC`: what came before the stretch that ends.
fn flaps_before(incident: &Incident, read_at: Timestamp) -> String {
    match incident.flaps {
        0 => String::new(),
        flaps => format!(", with {} since {}", flaps_alone(flaps), clock(incident.onset, read_at)),
    }
}

/// `1 flap`.
fn flaps_alone(flaps: u32) -> String {
    format!("{flaps} {}", if flaps == 1 { "flap" } else { "flaps" })
}

/// The answer as it stands now, in one sentence: for a page, a terminal or a log. It began when people were told that the
/// incident did, whatever a later look makes of it.
#[must_use]
pub fn sentence(world: &World, verdict: &Verdict, incident: Option<&Incident>) -> String {
    if !verdict.has_evidence() && verdict.because_of.is_none() {
        return format!("{}: nothing fresh has been seen.", subject_name(world, &verdict.subject));
    }
    if verdict.cause == Cause::Ok {
        return match verdict.subject.as_vantage() {
            Some(region) => format!("Region {region} sees."),
            None if verdict.subject == Subject::store() => "Our store takes everything.".to_owned(),
            None => format!("{} is up.", world.subject_name(&verdict.subject)),
        };
    }
    let onset = super::asked::began(verdict, incident).unwrap_or(verdict.at);
    let mut said = vec![answer(world, verdict, onset)];
    said.extend(failing(verdict));
    said.extend(verdict.evidence.first().cloned());
    said.extend(verdict.page_says.clone());
    said.join(" ")
}

/// The same and what people notice of it.
#[must_use]
pub fn in_full(world: &World, verdict: &Verdict) -> String {
    let said = [Some(sentence(world, verdict, None)), people_notice(verdict)];
    said.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// `What people notice: …`
fn people_notice(verdict: &Verdict) -> Option<String> {
    verdict.people_notice.as_ref().map(|notice| format!("What people notice: {notice}"))
}

/// What is added to a message that comes so much later than what it tells of.
#[must_use]
pub fn lateness(late: Duration, to_blame: Option<&str>) -> String {
    let reason = match to_blame {
        Some(channel) => format!("{channel} did not take it earlier"),
        None => "it could not be sent earlier".to_owned(),
    };
    format!("(This message is {} late: {reason}.)", roughly(late))
}

/// What is added to a message that goes to another channel than it was meant for.
#[must_use]
pub fn instead(called: &str, channel: &str, given_up: bool) -> String {
    let why = if given_up { "does not take our messages" } else { "could not be reached" };
    format!("({} {why}: this was meant for `{channel}`.)", capitalised(called))
}

/// What is added to a late message when another channel was told in time.
#[must_use]
pub fn told_elsewhere(channel: &str) -> String {
    format!("`{channel}` was told instead in the meantime.")
}

fn capitalised(words: &str) -> String {
    let mut characters = words.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

/// `It's them: Firebase realtime-database is down from 3 of 3 regions since 10:32:05 UTC.`
fn answer(world: &World, verdict: &Verdict, onset: Timestamp) -> String {
    let since = format!("since {}", clock(onset, verdict.at));
    if let Some(region) = verdict.subject.as_vantage() {
        let failure = verdict.failure.as_ref();
        return match failure.map(|failure| failure.phase) {
            _ if verdict.reason == Some(Reason::Release) => {
                format!("It's our probe: region {region} runs a bad release {since}.")
            }
            _ if verdict.reason == Some(Reason::Clock) => {
                format!("It's our probe: a clock of region {region} is off {since}.")
            }
            _ if verdict.reason == Some(Reason::Hub) => {
                format!("It's our own hub: none has taken anything of region {region} {since}. It judges alone.")
            }
            _ if verdict.reason == Some(Reason::Starvation) => {
                format!("It's our probe: region {region} is not able to measure {since}.")
            }
            _ if failure.is_some_and(|failure| failure.kind == Kind::NotDelivered) => {
                format!("It's our probe: region {region} has sent nothing {since}.")
            }
            _ if failure.is_some_and(|failure| failure.kind == Kind::Starved) => {
                format!("It's our probe: region {region} measures late {since}.")
            }
            _ if verdict.reason == Some(Reason::Resolver) => {
                format!("It's our probe: region {region} resolves no names {since}.")
            }
            _ if verdict.degraded => format!("It's our probe: everything is slow from region {region} {since}."),
            _ if verdict.reason == Some(Reason::Network) && verdict.alternatives.contains(&Cause::Path) => {
                format!("It's our probe: much fails from region {region} and nowhere else {since}.")
            }
            _ if !verdict.alternatives.is_empty() => {
                format!(
                    "It's our probe: region {region} reaches next to nothing, most of its controls included, {since}."
                )
            }
            _ => format!("It's our probe: region {region} reaches nothing, not even its controls, {since}."),
        };
    }
    if verdict.subject == Subject::store() {
        let why = verdict.failure.as_ref().map_or("", |failure| &failure.detail);
        let why = why.trim_start_matches("cannot write to the store: ");
        return format!("It's our own store: nothing has been written {since}: {why}. Judging goes on in memory.");
    }
    let name = world.subject_name(&verdict.subject);
    if verdict.cause == Cause::Probe && verdict.because_of.is_none() {
        return match verdict.failure.as_ref().map(|failure| failure.kind) {
            _ if verdict.reason == Some(Reason::Release) => {
                format!("It's our probe: {name} fails with our new release {since}.")
            }
            Some(Kind::RateLimited) => format!("It's our probe: {name} refuses us for asking too often, {since}."),
            Some(Kind::TakenOver) => {
                format!("It's our probe: probers that share a client id end each other's sessions with {name} {since}.")
            }
            _ => format!("It's our probe: {name} refuses our credential {since}."),
        };
    }
    let whose = match verdict.cause {
        Cause::Ok => "All is well".to_owned(),
        Cause::Us => "It's us".to_owned(),
        Cause::Them => "It's them".to_owned(),
        Cause::Path => format!("It's the path from {}", join(verdict.regions.iter().map(|region| &**region), "and")),
        Cause::Probe => "It's our probe".to_owned(),
        Cause::Unknown => "Can't tell yet whose fault".to_owned(),
    };
    let how = match verdict {
        one if one.degraded => "is slow",
        one if one.in_part => "fails in part",
        _ => "is down",
    };
    let because = verdict.because_of.as_ref().map(|root| format!(", because of {}", subject_name(world, root)));
    let because = because.unwrap_or_default();
    let (bad, seen) = (verdict.regions.len(), verdict.regions_seen);
    if seen <= 1 {
        let region = verdict.regions.first().map_or("local", |region| region);
        return format!("{whose}: {name} {how} {since}{because}, seen from one region only ({region}).");
    }
    let named = if bad < seen && verdict.cause != Cause::Path && bad <= 4 {
        format!(" ({})", join(verdict.regions.iter().map(|region| &**region), "and"))
    } else {
        String::new()
    };
    format!("{whose}: {name} {how} from {bad} of {seen} regions{named} {since}{because}.")
}

/// `Fails at tls: timed out.`
fn failing(verdict: &Verdict) -> Option<String> {
    let failure = verdict.failure.as_ref()?;
    // A refused credential is the answer itself.
    let said = verdict.cause == Cause::Probe;
    (!said).then(|| format!("Fails at {}: {}.", failure.phase.in_words(), failure.kind.in_words()))
}

fn detail(verdict: &Verdict) -> Option<String> {
    let detail = verdict.failure.as_ref()?.detail.trim().trim_end_matches('.');
    (!detail.is_empty()).then(|| format!("Seen: {detail}."))
}

fn alternatives(verdict: &Verdict) -> Option<String> {
    let named: Vec<&str> = verdict.alternatives.iter().map(|cause| as_object(*cause)).collect();
    let named = join(named.into_iter(), "or");
    match (named.is_empty(), verdict.cause) {
        (true, _) => None,
        (false, Cause::Unknown) => Some(format!("It could be {named}.")),
        (false, _) if verdict.regions_seen <= 1 && verdict.cause != Cause::Probe => {
            Some(format!("It could also be {named}: one region alone cannot tell."))
        }
        (false, _) => Some(format!("It could also be {named}.")),
    }
}

/// `It was them.`
fn was(verdict: &Verdict) -> String {
    match verdict.cause {
        _ if verdict.subject == Subject::store() => "It was our own store.".to_owned(),
        _ if verdict.reason == Some(Reason::Hub) => "It was our own hub.".to_owned(),
        Cause::Unknown | Cause::Ok => "We could not tell whose fault it was.".to_owned(),
        Cause::Path => {
            format!("It was the path from {}.", join(verdict.regions.iter().map(|region| &**region), "and"))
        }
        cause => format!("It was {}.", as_object(cause)),
    }
}

const fn as_object(cause: Cause) -> &'static str {
    match cause {
        Cause::Ok => "nothing",
        Cause::Us => "us",
        Cause::Them => "them",
        Cause::Path => "the path",
        Cause::Probe => "our probe",
        Cause::Unknown => "something else",
    }
}

fn subject_name(world: &World, subject: &Subject) -> String {
    match subject.as_vantage() {
        Some(region) => format!("region {region}"),
        None if *subject == Subject::store() => "our store".to_owned(),
        None => world.subject_name(subject),
    }
}

/// `a, b and c`.
fn join<'a>(words: impl Iterator<Item = &'a str>, last: &str) -> String {
    let words: Vec<&str> = words.collect();
    match words.split_last() {
        None => String::new(),
        Some((only, [])) => (*only).to_owned(),
        Some((end, rest)) => format!("{} {last} {end}", rest.join(", ")),
    }
}

/// `10:32:05 UTC`, with the day when it is not the day of the reader.
fn clock(at: Timestamp, read_at: Timestamp) -> String {
    if at.date_naive() == read_at.date_naive() {
        at.format("%H:%M:%S UTC").to_string()
    } else {
        at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
    }
}

/// `9 min 5 s`.
pub(super) fn span(span: Duration) -> String {
    match days_hours_minutes_seconds(span.as_secs()) {
        (0, 0, 0, s) => format!("{s} s"),
        (0, 0, m, 0) => format!("{m} min"),
        (0, 0, m, s) => format!("{m} min {s} s"),
        (0, h, 0, _) => format!("{h} h"),
        (0, h, m, _) => format!("{h} h {m} min"),
        (d, 0, _, _) => format!("{d} d"),
        (d, h, _, _) => format!("{d} d {h} h"),
    }
}

/// `4 min`: how late a message is needs no seconds.
fn roughly(late: Duration) -> String {
    match late.as_secs() {
        s @ 0..120 => format!("{s} s"),
        s => span(Duration::from_secs(s / 60 * 60)),
    }
}

#[cfg(test)]
#[path = "words_tests.rs"]
mod tests;
