//! What is said of an incident that people know of: it is another than was said, it is still there, how it looks now.

use super::{Words, as_object, clock, closing, opening, span, subject_name, was};
use crate::{
    attribution::World,
    incident::News,
    model::{Cause, Incident, IncidentState, Severity, Silence, Timestamp, Transition},
};

/// What is said when an incident turns out to be another than was told.
#[must_use]
pub fn turning(world: &World, incident: &Incident, news: News, before: Option<Cause>) -> Words {
    let now = opening(world, incident);
    let headline = match news {
        News::Cause | News::Look => match before {
            Some(before) if before == incident.cause => {
                format!("Was {} from elsewhere, now {}", as_object(before), going_on(&now.headline))
            }
            Some(before) => format!("Was {}, now {}", as_object(before), going_on(&now.headline)),
            None => now.headline.clone(),
        },
        News::Severity => format!("Was slow, now down. {}", now.headline),
        News::Again => {
            let first = clock(incident.onset, incident.verdict.at);
            let onset = incident.verdict.onset.unwrap_or(incident.verdict.at);
            let again = opening(world, &Incident { onset, ..incident.clone() });
            format!("Again ({} time since {first}). {}", nth(incident.flaps + 1), again.headline)
        }
        News::Flapping => format!("It keeps coming back ({}). {}", flaps(incident), now.headline),
    };
    Words { headline, ..now }
}

/// What is said of an incident that has been open for long.
#[must_use]
pub fn reminding(world: &World, incident: &Incident, at: Timestamp) -> Words {
    let lasted = (at - incident.began(&incident.verdict)).to_std().unwrap_or_default();
    let now = opening(world, incident);
    let still = match incident {
        one if one.severity == Severity::Degraded => "Still slow",
        one if one.verdict.in_part => "Still failing in part",
        _ => "Still down",
    };
    Words { headline: format!("{still} after {}. {}", span(lasted), now.headline), ..now }
}

/// What is said of an incident that a region told of by itself, when the hub had told of it already.
#[must_use]
pub fn joined(world: &World, incident: &Incident, into: &Incident) -> Words {
    let name = subject_name(world, &incident.subject);
    let headline = format!("{name}: this goes on as incident {}, seen from all regions.", into.id);
    Words { headline, lines: vec![format!("Incident {}", incident.id)] }
}

/// How an incident looks now, for a message that is edited in place.
#[must_use]
pub fn looking(world: &World, incident: &Incident) -> Words {
    let mut now = opening(world, incident);
    let name = subject_name(world, &incident.subject);
    match incident.state {
        IncidentState::Recovering => {
            let back = incident.recovered_at.unwrap_or(incident.verdict.at);
            let said = format!("Recovering: {name} has been fine since {}.", clock(back, incident.verdict.at));
            now.headline = format!("{said} {}", was(&incident.verdict));
        }
        // Its end is told nobody.
        IncidentState::Closed if incident.history.last().is_some_and(|last| last.transition == Transition::None) => {
            let note = incident.note.as_deref().unwrap_or("over");
            now.headline = format!("{name}: {note}. {}", was(&incident.verdict));
        }
        IncidentState::Closed => now.headline = closing(world, incident).headline,
        _ => {}
    }
    now
}

/// Why nobody is to be told of an incident: the silence that covers it, if any.
#[must_use]
pub fn silenced(silences: &[Silence], incident: &Incident, now: Timestamp) -> Option<String> {
    let silence = silences.iter().find(|silence| silence.covers(incident, now))?;
    Some(format!("silenced by {} until {}: {}", silence.by, clock(silence.until, now), silence.why))
}

/// `5 flaps in 20 min`.
pub(in crate::notify) fn flaps(incident: &Incident) -> String {
    let last = incident.history.last().map_or(incident.verdict.at, |moment| moment.at);
    let within = (last - incident.onset).to_std().unwrap_or_default();
    format!("{} in {}", super::flaps_alone(incident.flaps), super::roughly(within))
}

/// A sentence that goes on from another one: `it's them: …`.
fn going_on(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

/// `2nd`.
fn nth(number: u32) -> String {
    let ending = match (number % 100, number % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_aloud() {
        assert_eq!([1, 2, 3, 4, 11, 12, 13, 21, 22].map(nth).join(" "), "1st 2nd 3rd 4th 11th 12th 13th 21st 22nd");
    }

    #[test]
    fn a_sentence_goes_on() {
        assert_eq!(going_on("It's them: Firebase."), "it's them: Firebase.");
        assert_eq!(going_on(""), "");
    }
}
