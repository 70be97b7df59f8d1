//! Worlds as data: each file of `tests/scenarios/` tells a story, and what would be judged and said of it, second by
//! second. Nothing here has a socket or a clock.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::Deserialize;
use usoryou::{
    attribution::{Judge, World, WorldParty, WorldProbe},
    hub::Ourselves,
    incident::{self, Incidents, Policy},
    model::{
        Cause, Connection, Failure, Incident, Kind, Observation, Outcome, PartyKind, Phase, PhaseTimes, Severity,
        Sighting, Silence, Subject, Timestamp, Vantage, Verdict, observation_id, round_of,
    },
    notify::{self, Audience, Habits, Hears, words},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    /// For the reader, and for whoever sees it fail.
    story: String,
    parties: BTreeMap<Arc<str>, PartyOfStory>,
    probes: BTreeMap<Arc<str>, ProbeOfStory>,
    regions: Vec<Arc<str>>,
    /// Seconds.
    lasts: i64,
    #[serde(default)]
    faults: Vec<Fault>,
    #[serde(default)]
    verdicts: Vec<Expected>,
    /// Every headline, in order; seconds since the beginning in front: `70 It's them: …`.
    messages: Vec<String>,
    /// What a message that is edited in place shows meanwhile; told only where it is written down.
    looks: Option<Vec<String>>,
    #[serde(default)]
    maintenance: Vec<Planned>,
    #[serde(default)]
    silences: Vec<Silenced>,
    store_fails: Option<StoreFails>,
    /// Severities that are told; those that page where nothing is said.
    severity: Option<Vec<Severity>>,
    /// Seconds.
    remind_every: Option<u64>,
    #[serde(default = "three")]
    open_after: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PartyOfStory {
    kind: PartyKind,
    name: Option<Arc<str>>,
    #[serde(default)]
    depends_on: Vec<Arc<str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProbeOfStory {
    party: Arc<str>,
    product: Option<Arc<str>>,
    /// Seconds.
    #[serde(default = "ten")]
    interval: u32,
}

fn ten() -> u32 {
    10
}

fn three() -> u32 {
    3
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fault {
    /// Nothing: all.
    probes: Option<Vec<Arc<str>>>,
    /// Nothing: all.
    regions: Option<Vec<Arc<str>>>,
    from: i64,
    until: i64,
    /// `PHASE KIND`, `degraded`, `degraded PHASE KIND`, `inconclusive`, `late`, `silent`, or `held`: all of it comes when it is over.
    is: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    at: i64,
    of: String,
    cause: Cause,
    regions: Option<Vec<Arc<str>>>,
    alternatives: Option<Vec<Cause>>,
    because_of: Option<String>,
    #[serde(default)]
    degraded: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Planned {
    party: Arc<str>,
    from: i64,
    until: i64,
    note: Arc<str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Silenced {
    party: Arc<str>,
    region: Option<Arc<str>>,
    from: i64,
    until: i64,
    by: Arc<str>,
    why: Arc<str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoreFails {
    from: i64,
    until: i64,
    why: String,
}

impl Silenced {
    fn silence(&self) -> Silence {
        let at = |second| beginning() + chrono::Duration::seconds(second);
        Silence {
            id: "s-1".into(),
            party: self.party.clone(),
            product: None,
            cause: None,
            region: self.region.clone(),
            by: self.by.clone(),
            why: self.why.clone(),
            from: at(self.from),
            until: at(self.until),
        }
    }
}

/// What was judged at which second, every headline that was told, and every one that was only edited in.
type Played = (Vec<(i64, Verdict)>, Vec<String>, Vec<String>);

fn word<T: serde::de::DeserializeOwned>(word: &str) -> T {
    serde_json::from_value(serde_json::Value::String(word.to_owned())).unwrap()
}

fn beginning() -> Timestamp {
    "2026-11-22T10:30:00Z".parse().unwrap()
}

impl Scenario {
    fn world(&self) -> World {
        let parties = self.parties.iter().map(|(key, party)| {
            let name = party.name.clone().unwrap_or_else(|| key.clone());
            (key.clone(), WorldParty { kind: party.kind, name, depends_on: party.depends_on.clone() })
        });
        let probes = self.probes.iter().map(|(name, probe)| {
            let subject = Subject { party: probe.party.clone(), product: probe.product.clone() };
            let interval = Duration::from_secs(probe.interval.into());
            (name.clone(), WorldProbe { subject, interval, timeout: Duration::from_secs(5) })
        });
        World { parties: parties.collect(), probes: probes.collect(), open_after: self.open_after }
    }

    /// What comes at a second: what is seen then, and what was held back until then.
    fn seen(&self, second: i64) -> Vec<Observation> {
        let holds = |fault: &&Fault| fault.is == "held";
        let held = |seen: &Observation, second: i64| {
            let here = |fault: &Fault| fault.regions.as_ref().is_none_or(|regions| regions.contains(&seen.region));
            self.faults.iter().filter(holds).any(|fault| (fault.from..fault.until).contains(&second) && here(fault))
        };
        let mut seen = self.looks(second);
        seen.retain(|one| !held(one, second));
        for over in self.faults.iter().filter(holds).filter(|fault| fault.until == second) {
            let here = |one: &Observation| over.regions.as_ref().is_none_or(|regions| regions.contains(&one.region));
            seen.extend((over.from..over.until).flat_map(|then| self.looks(then)).filter(here));
        }
        seen
    }

    /// What is seen at a second: each probe starts at its own second of the interval, each region a second later.
    fn looks(&self, second: i64) -> Vec<Observation> {
        let mut seen = vec![];
        for (start, (name, probe)) in self.probes.iter().enumerate() {
            for (shift, region) in self.regions.iter().enumerate() {
                let due = second - i64::try_from(start + shift).unwrap();
                if due.rem_euclid(probe.interval.into()) == 0 {
                    seen.extend(self.observe(name, probe, region, second));
                }
            }
        }
        seen
    }

    fn observe(&self, name: &Arc<str>, probe: &ProbeOfStory, region: &Arc<str>, second: i64) -> Option<Observation> {
        let at = beginning() + chrono::Duration::seconds(second);
        let fault = self.faults.iter().find(|fault| {
            (fault.from..fault.until).contains(&second)
                && fault.probes.as_ref().is_none_or(|probes| probes.contains(name))
                && fault.regions.as_ref().is_none_or(|regions| regions.contains(region))
        });
        let (outcome, failure) = match fault.map(|fault| &*fault.is) {
            None | Some("late" | "held") => (Outcome::Up, None),
            Some("silent") => return None,
            Some("degraded") => (Outcome::Degraded, None),
            Some("inconclusive") => (Outcome::Inconclusive, Some(Failure::new(Phase::Connect, Kind::Starved, ""))),
            Some(what) => {
                let failing = if what.starts_with("degraded ") { Outcome::Degraded } else { Outcome::Down };
                let (phase, kind) = what.trim_start_matches("degraded ").split_once(' ').expect("PHASE KIND");
                let failure = Failure::new(word(phase), word(kind), "");
                let outcome = if failure.kind == Kind::Blocked { Outcome::Inconclusive } else { failing };
                (outcome, Some(failure))
            }
        };
        let mut phases = PhaseTimes::default();
        if failure.as_ref().is_none_or(|failure| failure.phase != Phase::Resolve) {
            phases.add(Phase::Resolve, Duration::from_millis(2));
        }
        let interval = Duration::from_secs(probe.interval.into());
        let vantage = Vantage { region: region.clone(), node: "n1".into() };
        let round = round_of(at, interval);
        Some(Observation {
            id: observation_id(name, &vantage, round, 0),
            probe: name.clone(),
            party: probe.party.clone(),
            product: probe.product.clone(),
            protocol: "http".into(),
            region: region.clone(),
            node: vantage.node,
            round,
            scheduled_at: at,
            started_at: Some(
                at + chrono::Duration::seconds(if fault.is_some_and(|one| one.is == "late") {
                    i64::from(probe.interval) * 4 / 5
                } else {
                    0
                }),
            ),
            outcome,
            failure,
            phases,
            duration: Duration::from_millis(20),
            connection: Connection::Cold,
            peer: None,
            resolver: None,
            tls: None,
            tcp: None,
            http_status: None,
            retry_after: None,
            build: "".into(),
            config: "".into(),
            credential: None,
            varied: None,
            arrivals: Vec::new(),
            session: None,
            steps: Vec::new(),
            received_at: None,
        })
    }

    /// Plays the story.
    fn play(&self) -> Played {
        let (world, mut judge, mut incidents) = (self.world(), Judge::new(self.world()), Incidents::default());
        let mut ourselves = Ourselves::default();
        let mut routes = [Hears::all("support")];
        if let Some(severities) = &self.severity {
            routes[0].severities.clone_from(severities);
        }
        let silences: Vec<Silence> = self.silences.iter().map(Silenced::silence).collect();
        let habits = Habits { remind_every: self.remind_every.map(Duration::from_secs), ..Habits::default() };
        let (mut judged, mut headlines, mut looks) = (vec![], vec![], vec![]);
        for second in 0..self.lasts {
            let now = beginning() + chrono::Duration::seconds(second);
            for seen in self.seen(second) {
                judge.absorb(&Sighting::from(&seen), now);
                ourselves.absorb(world.probes[&*seen.probe].interval, &Sighting::from(&seen), now);
            }
            judge.ask_for_wholes(incidents.wholes());
            let mut verdicts = judge.judge(now);
            let store_fails = self.store_fails.as_ref().filter(|fails| (fails.from..fails.until).contains(&second));
            ourselves.note_store(store_fails.map(|fails| &*fails.why), now);
            if store_fails.is_some() {
                judge.hears_nothing(now);
                ourselves.hears_nothing(now);
            }
            ourselves.judge(&mut verdicts, now);
            let step =
                incident::step(&incidents, &verdicts, Policy { open_after: self.open_after, close_after: 5 }, now);
            incidents = step.incidents;
            let muted = |incident: &Incident| {
                let party = &incident.subject.party;
                let covers = |one: &&Planned| one.party == *party && (one.from..one.until).contains(&second);
                let planned = self.maintenance.iter().find(covers).map(|one| format!("planned window ({})", one.note));
                planned.or_else(|| words::silenced(&silences, incident, now))
            };
            let audience = Audience { world: &world, routes: &routes, muted: &muted, edits: &|_| true, habits };
            let planned = notify::plan(&step.changes, &incidents, &audience, now);
            planned.amended.iter().for_each(|incident| incidents.amend(incident));
            for letter in &planned.letters {
                let said = format!("{second} {}", letter.headline);
                if letter.edits { looks.push(said) } else { headlines.push(said) }
            }
            judged.extend(verdicts.into_iter().map(|verdict| (second, verdict)));
        }
        (judged, headlines, looks)
    }

    fn check(&self) -> Result<(), String> {
        let (judged, headlines, looks) = self.play();
        for expected in &self.verdicts {
            let found =
                judged.iter().find(|(at, verdict)| *at == expected.at && verdict.subject.to_string() == expected.of);
            let (_, verdict) = found.ok_or(format!("at {}: no verdict of {}", expected.at, expected.of))?;
            expected.check(verdict)?;
        }
        if headlines != self.messages {
            return Err(format!(
                "messages:\n  {}\nexpected:\n  {}",
                headlines.join("\n  "),
                self.messages.join("\n  ")
            ));
        }
        if let Some(expected) = self.looks.as_ref().filter(|expected| **expected != looks) {
            return Err(format!("looks:\n  {}\nexpected:\n  {}", looks.join("\n  "), expected.join("\n  ")));
        }
        Ok(())
    }
}

impl Expected {
    fn check(&self, verdict: &Verdict) -> Result<(), String> {
        let because_of = verdict.because_of.as_ref().map(ToString::to_string);
        let fits = verdict.cause == self.cause
            && verdict.degraded == self.degraded
            && because_of == self.because_of
            && self.regions.as_ref().is_none_or(|regions| *regions == verdict.regions)
            && self.alternatives.as_ref().is_none_or(|alternatives| *alternatives == verdict.alternatives);
        if fits { Ok(()) } else { Err(format!("at {} of {}: {verdict:?}", self.at, self.of)) }
    }
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "yaml"));
    files.sort();
    files
}

#[test]
fn every_story_ends_as_told() {
    let files = files();
    assert!(files.len() >= 12, "stories are missing");
    let wrong: Vec<String> = files
        .iter()
        .filter_map(|file| {
            let text = std::fs::read_to_string(file).unwrap();
            let scenario: Scenario =
                serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            scenario.check().err().map(|why| format!("{name} ({}): {why}", scenario.story))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
