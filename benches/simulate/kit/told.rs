//! What people are told, by whichever rule tells it.

use std::{collections::BTreeSet, sync::Arc};

use usoryou::model::{Cause, Subject, Timestamp, Verdict};

use super::stream::{Seen, Stream};

/// One thing that was told.
#[derive(Debug, Clone)]
pub struct Told {
    pub at: Timestamp,
    /// The incident that it belongs to.
    pub incident: Arc<str>,
    /// A page that opens an incident; otherwise a correction of one that is open.
    pub opened: bool,
    pub subject: Subject,
    pub cause: Cause,
    pub regions: BTreeSet<Arc<str>>,
    pub alternatives: Vec<Cause>,
    pub because_of: Option<Subject>,
    pub confidence: f64,
    pub onset: Timestamp,
    pub evidence: Vec<String>,
    /// What was posted: several things can be told in one letter.
    pub letter: String,
}

/// A rule that is fed with what reaches the hub and tells people of it.
pub trait Teller {
    fn absorb(&mut self, stream: &Stream<'_>, seen: &Seen, now: Timestamp);
    /// Judges; what is told is added to the list.
    fn judge(&mut self, now: Timestamp, told: &mut Vec<Told>);
    /// The verdicts of the last judgement, where the rule has any.
    fn verdicts(&self) -> &[Verdict] {
        &[]
    }
}
