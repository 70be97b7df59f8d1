//! The words: parties, phases, failures, observations, verdicts. Owns the glossary as types; knows no IO, no async and no YAML.

mod arrival;
mod digest;
mod failure;
mod feed;
mod handover;
mod heard;
mod id;
mod incident;
mod lasting;
mod letter;
mod observation;
mod outcome;
mod party;
mod phase;
mod secret;
mod session;
mod severity;
mod sighting;
mod silence;
mod step;
mod varied;
mod verdict;

pub use arrival::{Arrival, Came};
pub use digest::Digest;
pub use failure::{Failure, Kind};
pub use feed::{Admission, AdmissionKind, FeedState, FeedWord};
pub use handover::{Handover, ToldAlone};
pub use heard::Heard;
pub use id::{first_try, observation_id, round_of};
pub use incident::{Incident, IncidentState, Moment, Owed, Transition, Turning};
pub use lasting::days_hours_minutes_seconds;
pub use letter::{Delivered, Doubt, Letter, LetterKind, Repeat};
pub use observation::{Connection, Observation, TcpFacts, TlsFacts};
pub use outcome::Outcome;
pub use party::{PartyKind, Subject, Vantage};
pub use phase::{Phase, PhaseTimes};
pub use secret::Secret;
pub use session::{Dropped, SessionFacts};
pub use severity::Severity;
pub use sighting::Sighting;
pub use silence::Silence;
pub use step::{Step, StepCame};
pub use varied::Varied;
pub use verdict::{Cause, MAY_LACK, Reason, Verdict, is_enough};

/// An instant on the wall clock, in UTC. Durations never come from subtracting two of these.
pub type Timestamp = chrono::DateTime<chrono::Utc>;
