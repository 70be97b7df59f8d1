//! What is said of status pages, as sentences. Pure.

use std::{sync::Arc, time::Duration};

use super::words::span;
use crate::{
    attribution::World,
    model::{Admission, AdmissionKind, Cause, FeedState, Incident, Subject, Timestamp, Transition},
};

/// What was said longer before the onset was said of something else.
pub const AHEAD: chrono::TimeDelta = chrono::TimeDelta::hours(6);

/// What a party's page says of a subject, or that it says nothing. Nothing at all when that cannot be told.
#[must_use]
pub fn says(
    world: &World,
    state: &FeedState,
    subject: &Subject,
    regions: &[Arc<str>],
    (onset, now): (Timestamp, Timestamp),
) -> Option<String> {
    let page = page(world, &state.party);
    // A notice that has stood there for long is about something else.
    let is_about_this = |one: &&Admission| one.kind != AdmissionKind::Info || one.since >= onset - AHEAD;
    match state.about(subject, regions).find(is_about_this) {
        Some(said) => Some(format!("{page} says: '{}' since {}.", said.title, clock(said.since, now))),
        None if state.is_silent_about(subject) => Some(format!("{page} says nothing yet.")),
        None => None,
    }
}

/// `Firebase's status page plans 'Upgrade' until 12:00 UTC`.
#[must_use]
pub fn planned(world: &World, work: &Admission, now: Timestamp) -> String {
    let until = work.until.map(|until| format!(" until {}", clock(until, now))).unwrap_or_default();
    format!("{} plans '{}'{until}", page(world, &work.party), work.title)
}

/// Who said it first, of an incident that the party has admitted: `we were 14 min ahead`.
#[must_use]
pub fn ahead(world: &World, incident: &Incident) -> Option<String> {
    let (at, mut opened) = (incident.admitted_at?, incident.opened_at?);
    // What turned out to be ours they have not admitted.
    if matches!(incident.cause, Cause::Us | Cause::Probe) {
        return None;
    }
    if let Some((over, again)) = came_back(incident) {
        // They said it of what was over before it came back.
        if at < over {
            return None;
        }
        opened = again;
    }
    let page = page(world, &incident.subject.party);
    let said = format!("{page} said so at {}", clock(at, incident.closed_at.unwrap_or(opened)));
    let minutes = (at - opened).num_minutes();
    let apart = span(Duration::from_secs(minutes.unsigned_abs() * 60));
    Some(match minutes {
        1.. => format!("{said}: we were {apart} ahead."),
        0 => format!("{said}, when we did."),
        _ => format!("{said}, {apart} before us."),
    })
}

/// When an incident that came back was over before that, and when people were told that it is back; the last time.
fn came_back(incident: &Incident) -> Option<(Timestamp, Timestamp)> {
    let before = incident.history.len().saturating_sub(usize::from(incident.is_over()));
    let mut moments = incident.history.iter().take(before).rev();
    let (mut again, mut moment) = (None, moments.next()?);
    while moment.transition != Transition::Closed {
        (again, moment) = (Some(moment.at), moments.next()?);
    }
    Some((moment.at, again?))
}

fn page(world: &World, party: &str) -> String {
    let name = world.name(party);
    let ending = if name.ends_with(['s', 'S']) { "'" } else { "'s" };
    format!("{name}{ending} status page")
}

/// `10:40 UTC`, with the day when it is not the day of the reader: pages are not exact to the second.
fn clock(at: Timestamp, read_at: Timestamp) -> String {
    let form = if at.date_naive() == read_at.date_naive() { "%H:%M UTC" } else { "%Y-%m-%d %H:%M UTC" };
    at.format(form).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::FeedWord;

    fn at(clock: &str) -> Timestamp {
        format!("2026-11-22T{clock}:00Z").parse().unwrap()
    }

    fn admission() -> Admission {
        Admission {
            party: "firebase".into(),
            products: vec!["rtdb".into()],
            regions: vec![],
            since: at("10:40"),
            until: Some(at("12:00")),
            title: "Elevated errors".to_owned(),
            url: None,
            kind: AdmissionKind::Outage,
            said_at: at("10:46"),
            seen_at: at("10:47"),
        }
    }

    #[test]
    fn a_page_is_quoted_and_its_silence_told_only_when_it_is_known() {
        let world = World::default();
        let subject = |product: &str| Subject { party: "firebase".into(), product: Some(product.into()) };
        let mut state = FeedState {
            party: "firebase".into(),
            state: FeedWord::Outage,
            fetched_at: Some(at("10:47")),
            admissions: vec![admission()],
            unsure: vec![],
            why: None,
        };
        let said =
            |state: &FeedState, product: &str| says(&world, state, &subject(product), &[], (at("10:42"), at("10:48")));
        let quoted = "firebase's status page says: 'Elevated errors' since 10:40 UTC.";
        assert_eq!(said(&state, "rtdb").as_deref(), Some(quoted));
        assert_eq!(said(&state, "auth").as_deref(), Some("firebase's status page says nothing yet."));
        state.unsure = vec!["auth".into()];
        assert_eq!(said(&state, "auth"), None);
        state.admissions[0].kind = AdmissionKind::Info;
        assert_eq!(said(&state, "rtdb").as_deref(), Some(quoted));
        state.admissions[0].since = at("04:00");
        assert_eq!(
            said(&state, "rtdb").as_deref(),
            Some("firebase's status page says nothing yet."),
            "it is an old notice"
        );
        state.admissions[0] = admission();
        (state.unsure, state.why) = (vec![], Some("another page cannot be read".to_owned()));
        assert_eq!(said(&state, "auth"), None);
        assert_eq!(said(&state, "rtdb").as_deref(), Some(quoted));
    }

    #[test]
    fn who_was_first_is_told_from_when_people_were_told() {
        let told = |opened: &str| {
            let incident = serde_json::json!({
                "id": "1", "subject": {"party": "firebase"}, "state": "open", "cause": "them", "onset": at("10:31"),
                "opened_at": at(opened), "admitted_at": at("10:46"), "bad_rounds": 3, "good_rounds": 0, "round": 1,
                "verdict": {"subject": {"party": "firebase"}, "at": at("10:32"), "cause": "them", "regions": [],
                    "regions_seen": 1, "confidence": 1.0, "round": 1}
            });
            ahead(&World::default(), &serde_json::from_value(incident).unwrap()).unwrap()
        };
        assert_eq!(told("10:32"), "firebase's status page said so at 10:46 UTC: we were 14 min ahead.");
        assert_eq!(told("10:46"), "firebase's status page said so at 10:46 UTC, when we did.");
        assert_eq!(told("11:06"), "firebase's status page said so at 10:46 UTC, 20 min before us.");
    }

    #[test]
    fn what_was_admitted_before_it_came_back_is_not_said_of_what_came_back() {
        let said = |cause: &str, admitted: &str| {
            let moment =
                |clock: &str, what: &str| serde_json::json!({"at": at(clock), "transition": what, "cause": "them"});
            let incident = serde_json::json!({
                "id": "1", "subject": {"party": "firebase"}, "state": "closed", "cause": cause, "onset": at("10:31"),
                "opened_at": at("10:32"), "admitted_at": at(admitted), "closed_at": at("11:20"), "flaps": 1,
                "bad_rounds": 3, "good_rounds": 3, "round": 1,
                "history": [moment("10:32", "opened"), moment("10:40", "closed"), moment("11:00", "updated"),
                    moment("11:10", "recovering"), moment("11:20", "closed")],
                "verdict": {"subject": {"party": "firebase"}, "at": at("11:10"), "cause": cause, "regions": [],
                    "regions_seen": 1, "confidence": 1.0, "round": 1}
            });
            ahead(&World::default(), &serde_json::from_value(incident).unwrap())
        };
        assert_eq!(said("them", "10:33"), None);
        let fresh = said("them", "11:05").unwrap();
        assert_eq!(fresh, "firebase's status page said so at 11:05 UTC: we were 5 min ahead.");
        assert_eq!(said("probe", "11:05"), None, "a credential of ours is nothing that they admit");
    }

    #[test]
    fn planned_work_has_an_end() {
        let said = planned(&World::default(), &admission(), at("10:48"));
        assert_eq!(said, "firebase's status page plans 'Elevated errors' until 12:00 UTC");
    }
}
