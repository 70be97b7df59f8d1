//! What a party says of itself: admissions, as its status page tells them. Owns the words for it; must not know where a
//! page is, how it is written or when it is read.

use std::{sync::Arc, time::Duration};

use super::{Subject, Timestamp};

/// How bad it is in the party's own words. The order is that of how much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdmissionKind {
    /// A notice, or something that has not been touched for days.
    Info,
    /// Planned work.
    Maintenance,
    /// It works, but slowly or poorly.
    Degraded,
    /// It does not work.
    Outage,
}

/// Something that a party says is wrong now.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Admission {
    /// The party that it is about.
    pub party: Arc<str>,
    /// The products of ours that it names; none means the whole party.
    #[serde(default)]
    pub products: Vec<Arc<str>>,
    /// The regions of ours that it names; none means everywhere.
    #[serde(default)]
    pub regions: Vec<Arc<str>>,
    /// Since when, by their account.
    pub since: Timestamp,
    /// When it ends, by their account; for planned work.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// Their headline.
    pub title: String,
    /// Where to read on.
    #[serde(default)]
    pub url: Option<String>,
    /// How bad, in their words.
    pub kind: AdmissionKind,
    /// When they said so: not before the page was last seen without it, and not after it was seen with it.
    pub said_at: Timestamp,
    /// When it was on the page last.
    pub seen_at: Timestamp,
}

impl Admission {
    /// Whether it is about a subject, seen from these regions (none: from wherever).
    #[must_use]
    pub fn is_about(&self, subject: &Subject, regions: &[Arc<str>]) -> bool {
        let product = match &subject.product {
            Some(product) => self.products.is_empty() || self.products.contains(product),
            None => true,
        };
        let region =
            self.regions.is_empty() || regions.is_empty() || regions.iter().any(|one| self.regions.contains(one));
        self.party == subject.party && product && region
    }

    /// Whether it admits trouble: planned work does not.
    #[must_use]
    pub fn is_trouble(&self) -> bool {
        self.kind != AdmissionKind::Maintenance
    }
}

/// How a party's status page stands. The order is that in which several pages of one party are summed up: any trouble
/// wins, and one page that cannot be read takes its word from the others' silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedWord {
    /// It was read, and says nothing of trouble.
    Ok,
    /// It cannot be read, is not understood, is old or empty. Never evidence of anything.
    Unknown,
    /// A notice.
    Info,
    /// Planned work.
    Maintenance,
    /// It works, but slowly or poorly.
    Degraded,
    /// It does not work.
    Outage,
}

impl FeedWord {
    /// The word in metric labels and JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Info => "info",
            Self::Maintenance => "maintenance",
            Self::Degraded => "degraded",
            Self::Outage => "outage",
        }
    }
}

impl From<AdmissionKind> for FeedWord {
    fn from(kind: AdmissionKind) -> Self {
        match kind {
            AdmissionKind::Info => Self::Info,
            AdmissionKind::Maintenance => Self::Maintenance,
            AdmissionKind::Degraded => Self::Degraded,
            AdmissionKind::Outage => Self::Outage,
        }
    }
}

/// What a party's status pages say at this moment, all of them together.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FeedState {
    /// The party.
    pub party: Arc<str>,
    /// In one word.
    pub state: FeedWord,
    /// When the page that was read longest ago was read; absent before the first time.
    #[serde(default)]
    pub fetched_at: Option<Timestamp>,
    /// What they say is wrong now, the worst first.
    #[serde(default)]
    pub admissions: Vec<Admission>,
    /// Products of ours of which their silence means nothing: they tell of trouble with something that may be one of them
    /// by another name.
    #[serde(default)]
    pub unsure: Vec<Arc<str>>,
    /// Why it cannot be told, when it cannot.
    #[serde(default)]
    pub why: Option<String>,
}

impl FeedState {
    /// A page that was read longer ago than this says nothing any more.
    pub const FRESH: Duration = Duration::from_mins(6);

    /// What is said of a subject, seen from these regions (none: from wherever), the worst first.
    pub fn about<'a>(&'a self, subject: &'a Subject, regions: &'a [Arc<str>]) -> impl Iterator<Item = &'a Admission> {
        self.admissions.iter().filter(move |one| one.is_about(subject, regions))
    }

    /// Whether its silence about a subject means that they say nothing, and not that we could not read it.
    #[must_use]
    pub fn is_silent_about(&self, subject: &Subject) -> bool {
        let is_unsure =
            subject.product.as_ref().map_or(!self.unsure.is_empty(), |product| self.unsure.contains(product));
        self.why.is_none() && self.state != FeedWord::Unknown && !is_unsure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(products: &[&str], regions: &[&str]) -> Admission {
        let of = |names: &[&str]| names.iter().map(|name| Arc::from(*name)).collect();
        Admission {
            party: "firebase".into(),
            products: of(products),
            regions: of(regions),
            since: Timestamp::default(),
            until: None,
            title: "Elevated errors".to_owned(),
            url: None,
            kind: AdmissionKind::Outage,
            said_at: Timestamp::default(),
            seen_at: Timestamp::default(),
        }
    }

    #[test]
    fn an_admission_is_about_what_it_names() {
        let subject = |product: Option<&str>| Subject { party: "firebase".into(), product: product.map(Into::into) };
        let rtdb = admission(&["rtdb"], &["eu-west"]);
        assert!(rtdb.is_about(&subject(Some("rtdb")), &["eu-west".into(), "us-east".into()]));
        assert!(rtdb.is_about(&subject(None), &[]));
        assert!(!rtdb.is_about(&subject(Some("auth")), &[]));
        assert!(!rtdb.is_about(&subject(Some("rtdb")), &["us-east".into()]));
        assert!(!rtdb.is_about(&Subject { party: "gcp".into(), product: None }, &[]));
        assert!(admission(&[], &[]).is_about(&subject(Some("auth")), &["us-east".into()]));
    }
}
