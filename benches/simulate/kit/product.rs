//! The rule that ships: the judge and the incidents, fed as the hub feeds them.

use usoryou::{
    attribution::{Judge, World},
    incident::{self, Incidents, Policy},
    model::{Timestamp, Transition, Verdict},
};

use super::{
    stream::{Seen, Stream},
    told::{Teller, Told},
};

/// As in a configuration that says nothing of it.
const POLICY: Policy = Policy { open_after: 3, close_after: 5 };

pub struct Product {
    judge: Judge,
    incidents: Incidents,
    verdicts: Vec<Verdict>,
}

impl Product {
    pub fn new(world: World) -> Self {
        Self { judge: Judge::new(world), incidents: Incidents::default(), verdicts: vec![] }
    }
}

impl Teller for Product {
    fn absorb(&mut self, stream: &Stream<'_>, seen: &Seen, now: Timestamp) {
        self.judge.absorb(&stream.sighting(seen), now);
    }

    fn judge(&mut self, now: Timestamp, told: &mut Vec<Told>) {
        self.verdicts = self.judge.judge(now);
        let step = incident::step(&self.incidents, &self.verdicts, POLICY, now);
        self.incidents = step.incidents;
        for change in step.changes {
            let opened = change.transition == Transition::Opened;
            if !opened && (change.transition != Transition::Updated || change.was.is_none()) {
                continue;
            }
            let (incident, verdict) = (change.incident.clone(), change.incident.verdict);
            told.push(Told {
                at: now,
                incident: incident.id,
                opened,
                subject: incident.subject,
                cause: incident.cause,
                regions: verdict.regions.into_iter().collect(),
                alternatives: verdict.alternatives,
                because_of: verdict.because_of,
                confidence: verdict.confidence,
                onset: incident.onset,
                evidence: verdict.evidence,
            });
        }
    }

    fn verdicts(&self) -> &[Verdict] {
        &self.verdicts
    }
}
