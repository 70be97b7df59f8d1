//! Whose fault it is: a cause for a subject at an instant, how sure, and why.

use std::sync::Arc;

use super::{Failure, Severity, Subject, Timestamp};

/// Whose fault a failure is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Nothing worth saying.
    Ok,
    /// Our own service.
    Us,
    /// A third party.
    Them,
    /// Between one region and the provider, or the provider's edge there.
    Path,
    /// Our own vantage point, release or credential.
    Probe,
    /// Cannot be told apart, or too little fresh evidence.
    Unknown,
}

impl Cause {
    /// Every cause that a fleet can find by itself.
    pub const ALL: [Self; 6] = [Self::Ok, Self::Us, Self::Them, Self::Path, Self::Probe, Self::Unknown];

    /// The word in metric labels, JSON and documents.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Us => "us",
            Self::Them => "them",
            Self::Path => "path",
            Self::Probe => "probe",
            Self::Unknown => "unknown",
        }
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// What it is about ourselves that makes it our probe's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Our credential is refused.
    Credential,
    /// We ask too often.
    Quota,
    /// Another build or configuration of ours has just come.
    Release,
    /// A region has lost its network.
    Network,
    /// A region's resolver answers nothing.
    Resolver,
    /// Nothing comes from a region.
    Silence,
    /// A region is not able to measure: it is starved, or not permitted to.
    Starvation,
    /// A clock of a region is off.
    Clock,
    /// No hub takes anything of a region, which therefore judges by itself.
    Hub,
}

/// What the judge says of one subject at one instant.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Verdict {
    /// Whom or what it is about.
    pub subject: Subject,
    /// When it was reached.
    pub at: Timestamp,
    /// Whose fault.
    pub cause: Cause,
    /// What it is about ourselves, when it is our probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// It works, but slowly or poorly: nobody is paged unless configured.
    #[serde(default)]
    pub degraded: bool,
    /// It fails, but not always: whoever tries again may get through.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_part: bool,
    /// Regions in which the subject fails now; for `path` and `probe` the regions that it is about.
    pub regions: Vec<Arc<str>>,
    /// Regions with fresh evidence about the subject.
    pub regions_seen: usize,
    /// The failure seen most often.
    #[serde(default)]
    pub failure: Option<Failure>,
    /// When the present state began: for a bad verdict, when the first of the present bad observations was due; for a
    /// good one, when the last of those that had failed was good again (absent when none is remembered).
    #[serde(default)]
    pub onset: Option<Timestamp>,
    /// How sure, 0 to 1.
    pub confidence: f64,
    /// Other causes that the evidence does not exclude, likeliest first.
    #[serde(default)]
    pub alternatives: Vec<Cause>,
    /// The subject whose fault explains this one (shared fate, a vantage point that is down): no incident of its own.
    #[serde(default)]
    pub because_of: Option<Subject>,
    /// Evidence as sentences for people.
    #[serde(default)]
    pub evidence: Vec<String>,
    /// What the party's status page says of it, as a sentence; nothing when there is none or it cannot be read.
    #[serde(default)]
    pub page_says: Option<String>,
    /// What people with a real client notice of it, as a sentence.
    #[serde(default)]
    pub people_notice: Option<String>,
    /// How many bad rounds the evidence is worth: a round in which everything fails is worth one, a partial fault needs
    /// more rounds for the same. Absent where evidence is not weighed: then its rounds are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// Number of the newest round that the verdict rests on, counted in the subject's shortest interval: the newest bad
    /// round of a bad verdict; of a good one, the round that everything that had failed has come through.
    pub round: i64,
}

/// What evidence may lack of the last of so many rounds, in rounds' worth: not every cell is looked at again in it.
pub const MAY_LACK: f64 = 1.0 / 3.0;

/// Whether evidence that is worth so many rounds is as much as so many rounds of it.
#[must_use]
pub fn is_enough(worth: f64, rounds: u32) -> bool {
    worth + MAY_LACK >= f64::from(rounds)
}

impl Verdict {
    /// Nothing worth saying of a subject, by nobody's evidence: what every other verdict begins with.
    #[must_use]
    pub const fn ok(subject: Subject, at: Timestamp) -> Self {
        Self {
            subject,
            at,
            cause: Cause::Ok,
            reason: None,
            degraded: false,
            in_part: false,
            regions: vec![],
            regions_seen: 0,
            failure: None,
            onset: None,
            confidence: 0.0,
            alternatives: vec![],
            because_of: None,
            evidence: vec![],
            weight: None,
            page_says: None,
            people_notice: None,
            round: 0,
        }
    }

    /// Whether it rests on any fresh observation at all. Without one it neither starts nor ends anything.
    #[must_use]
    pub const fn has_evidence(&self) -> bool {
        self.regions_seen > 0
    }

    /// Whether something is wrong.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        self.cause != Cause::Ok
    }

    /// How bad it is for those who are told.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match self.cause {
            _ if self.degraded => Severity::Degraded,
            Cause::Us | Cause::Them => Severity::Critical,
            Cause::Ok | Cause::Path | Cause::Probe | Cause::Unknown => Severity::Warning,
        }
    }
}
