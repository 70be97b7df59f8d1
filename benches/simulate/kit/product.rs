//! The rule that ships: judge, incidents and letters, on the same course as in the hub and in a replay, under the
//! configuration that a written case has.

use std::{error::Error, path::Path, sync::Arc};

use usoryou::{
    config::{self, VantageOverrides},
    hub::{Course, Turn},
    incident::Incidents,
    model::{Incident, Letter, LetterKind, Timestamp, Verdict},
    net::Net,
};

use super::{
    stream::{Seen, Stream},
    told::{Teller, Told},
    world::World,
    written,
};

pub struct Product {
    course: Course,
    verdicts: Vec<Verdict>,
}

impl Product {
    pub fn new(world: &World, net: &Arc<Net>) -> Result<Self, Box<dyn Error>> {
        let text = written::probes_yaml(world);
        let loaded = config::read_text(&text, Path::new("probes.yaml"), &|_| None, net, &VantageOverrides::default());
        let loaded = loaded.map_err(|mistakes| format!("{mistakes}\n{text}"))?;
        let mut course = Course::new(&loaded.plan, Incidents::default());
        course.tell_somebody();
        Ok(Self { course, verdicts: vec![] })
    }
}

impl Teller for Product {
    fn absorb(&mut self, stream: &Stream<'_>, seen: &Seen, now: Timestamp) {
        self.course.absorb(&stream.sighting(seen), now);
    }

    fn judge(&mut self, now: Timestamp, told: &mut Vec<Told>) {
        let Some(turn) = self.course.look(now) else { return };
        let incidents = turn.planned.amended.iter().chain(turn.changes.iter().map(|change| &change.incident));
        let mut known: Vec<&str> = vec![];
        for incident in incidents {
            let Some(letter) = page(&turn, incident).filter(|_| !known.contains(&&*incident.id)) else { continue };
            known.push(&incident.id);
            let verdict = &incident.verdict;
            told.push(Told {
                at: now,
                incident: incident.id.clone(),
                opened: letter.kind == LetterKind::Opened,
                subject: incident.subject.clone(),
                cause: incident.cause,
                regions: verdict.regions.iter().cloned().collect(),
                alternatives: verdict.alternatives.clone(),
                because_of: verdict.because_of.clone(),
                confidence: verdict.confidence,
                onset: incident.onset,
                evidence: verdict.evidence.clone(),
                letter: letter.key.clone(),
            });
        }
        self.verdicts = turn.verdicts;
    }

    fn verdicts(&self) -> &[Verdict] {
        &self.verdicts
    }
}

/// The letter that makes people get up for this incident, as a replay has it.
fn page<'t>(turn: &'t Turn, incident: &Incident) -> Option<&'t Letter> {
    let pages = |letter: &&Letter| {
        !letter.good_news && !letter.edits && matches!(letter.kind, LetterKind::Opened | LetterKind::Updated)
    };
    let about =
        |letter: &&Letter| letter.incident == incident.id || letter.about.iter().any(|one| one.id == incident.id);
    turn.planned.letters.iter().filter(pages).find(about)
}
