//! What confirmations say of a failure, in sentences that stand beside the other evidence. They change no cause: they were
//! made because something failed, so they are no sample of how often it does. Where rounds are short they can stand for
//! one of those that it takes to tell people.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use super::Absorbed;
use crate::model::{Kind, Outcome, Phase, Sighting, Subject, Timestamp, Varied, Verdict};

/// Older confirmations are about another failure.
const REACH: Duration = Duration::from_mins(20);
/// Confirmations remembered of one subject; their number is bounded where they are made, but not by whom they come from.
const MOST: usize = 64;
/// Subjects at most.
const SUBJECTS: usize = 10_000;
/// A round is due when it begins and fails up to a timeout later: what confirms it comes after, but not much before.
const BEFORE: Duration = Duration::from_secs(1);

/// In milliseconds: a confirmation begins within two seconds. It says as much as another round where rounds are not much
/// longer than that, and nothing of whether it is still so half a minute later; where they are shorter the round itself comes.
const SHORT: std::ops::RangeInclusive<i64> = 2_000..=5_000;
/// So many regions that confirm a failure cannot have lost the way there at the same time.
const WITNESSES: usize = 2;

/// One confirmation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmed {
    /// When it was due.
    pub at: Timestamp,
    /// Where from.
    pub region: Arc<str>,
    /// What was otherwise.
    pub varied: Varied,
    /// What it came to.
    pub outcome: Outcome,
    /// Where it failed and how.
    pub failure: Option<(Phase, Kind)>,
    /// The peer's family, where that was varied: whether it was IPv6.
    pub by_v6: Option<bool>,
}

impl Confirmed {
    /// What is needed of a sighting that is a confirmation.
    fn of(seen: &Sighting<'_>) -> Option<Self> {
        let varied = seen.varied?;
        Some(Self {
            at: seen.scheduled_at,
            region: seen.region.into(),
            varied,
            outcome: seen.outcome,
            failure: seen.failure,
            by_v6: seen.peer.map(|peer| peer.is_ipv6()),
        })
    }

    const fn works(&self) -> bool {
        matches!(self.outcome, Outcome::Up | Outcome::Degraded)
    }

    /// One that could not tell says nothing, and that there is no way by a family is often this place's own.
    fn says_something(&self) -> bool {
        let no_way = self.varied == Varied::Family && self.failure.is_some_and(|(_, kind)| kind == Kind::Unreachable);
        self.outcome != Outcome::Inconclusive && !no_way
    }
}

/// What confirmations of a failure say together, as sentences: first what works, then what fails as well. `failed` is
/// where the failure was.
#[must_use]
pub fn in_words<'a>(failed: Option<Phase>, confirmations: impl IntoIterator<Item = &'a Confirmed>) -> Vec<String> {
    let mut by_variation: BTreeMap<(Varied, Option<bool>), Vec<&Confirmed>> = BTreeMap::new();
    for one in confirmations.into_iter().filter(|one| one.says_something()) {
        let family = one.by_v6.filter(|_| one.varied == Varied::Family);
        by_variation.entry((one.varied, family)).or_default().push(one);
    }
    let (mut said, mut as_well) = (Vec::new(), Vec::new());
    for ((varied, by_v6), all) in by_variation {
        let regions = |works: bool| -> BTreeSet<&str> {
            all.iter().filter(|one| one.works() == works).map(|one| &*one.region).collect()
        };
        let (up, down) = (regions(true), regions(false));
        let Some((works, fails)) = otherwise(varied, by_v6, failed) else { continue };
        if up.is_empty() {
            as_well.push(fails);
            continue;
        }
        // Where some regions say so and others do not, the regions are named.
        let only: Vec<&str> = up.difference(&down).copied().collect();
        said.push(match (down.is_empty(), only.is_empty()) {
            (true, _) => format!("{works}."),
            (false, false) => format!("{works} from {}.", only.join(" and ")),
            (false, true) => format!("{works} now and then."),
        });
    }
    if let Some((last, most)) = as_well.split_last() {
        let list = if most.is_empty() { (*last).to_owned() } else { format!("{} and {last}", most.join(", ")) };
        said.push(format!("It fails {list} as well."));
    }
    said
}

/// What to say of one variation that works, and of one that does not.
const fn otherwise(varied: Varied, by_v6: Option<bool>, failed: Option<Phase>) -> Option<(&'static str, &'static str)> {
    Some(match (varied, by_v6) {
        (Varied::Again, _) => ("A second try moments later works", "on a second try"),
        (Varied::Address, _) => ("By another of its addresses it works", "by another of its addresses"),
        (Varied::Family, Some(true)) => ("By IPv6 it works", "by IPv6"),
        (Varied::Family, Some(false)) => ("By IPv4 it works", "by IPv4"),
        (Varied::Family, None) => ("By the other address family it works", "by the other address family"),
        (Varied::Resolver, _) if matches!(failed, Some(Phase::Resolve)) => {
            ("Another resolver finds the name", "with another resolver")
        }
        (Varied::Resolver, _) => ("With what another resolver says it works", "with another resolver"),
        (Varied::Connection, _) => ("On a fresh connection it works", "on a fresh connection"),
        (Varied::Credential, _) => ("Without our credential it answers", "without our credential"),
        (Varied::Otherwise, _) => return None,
    })
}

/// The confirmations of the last minutes, by what they are about.
#[derive(Debug, Clone, Default)]
pub(super) struct Confirmations(BTreeMap<Subject, VecDeque<Confirmed>>);

impl Confirmations {
    /// Takes what was found to be a confirmation.
    pub(super) fn absorb(&mut self, seen: &Sighting<'_>, absorbed: Absorbed) {
        let Some(confirmed) = Confirmed::of(seen).filter(|_| absorbed == Absorbed::Confirmation) else { return };
        let subject = Subject { party: seen.party.into(), product: seen.product.map(Into::into) };
        if self.0.len() >= SUBJECTS && !self.0.contains_key(&subject) {
            return;
        }
        let of_subject = self.0.entry(subject).or_default();
        if of_subject.len() == MOST {
            of_subject.pop_front();
        }
        of_subject.push_back(confirmed);
    }

    /// Whether what began at an instant stands in for one round more than it has lasted: rounds are short, and asked again
    /// in every way that there is it failed in several regions.
    pub(super) fn stand_for_a_round(&self, subject: &Subject, onset: Timestamp, interval: i64) -> bool {
        let Some(confirmed) = self.0.get(subject).filter(|_| SHORT.contains(&interval)) else { return false };
        let of_this = || confirmed.iter().filter(|one| one.at > onset - BEFORE && one.says_something());
        let works: BTreeSet<&str> = of_this().filter(|one| one.works()).map(|one| &*one.region).collect();
        let the_same = |one: &&Confirmed| matches!(one.varied, Varied::Again | Varied::Connection) && !one.works();
        let fails: BTreeSet<&str> = of_this().filter(the_same).map(|one| &*one.region).collect();
        fails.difference(&works).count() >= WITNESSES
    }

    /// Adds what they say to the evidence of the verdicts that they are about.
    pub(super) fn add_to(&mut self, verdicts: &mut [Verdict], now: Timestamp) {
        self.0.retain(|_, confirmed| {
            confirmed.retain(|one| one.at > now - REACH);
            !confirmed.is_empty()
        });
        for verdict in verdicts.iter_mut().filter(|verdict| verdict.is_bad() && verdict.has_evidence()) {
            let (Some(confirmed), Some(onset)) = (self.0.get(&verdict.subject), verdict.onset) else { continue };
            let about_this = confirmed.iter().filter(|one| one.at > onset - BEFORE);
            let failed = verdict.failure.as_ref().map(|failure| failure.phase);
            verdict.evidence.extend(in_words(failed, about_this));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn confirmed(varied: Varied, outcome: Outcome, region: &str) -> Confirmed {
        let failure = (outcome == Outcome::Down).then_some((Phase::Tls, Kind::TimedOut));
        Confirmed { at: Timestamp::UNIX_EPOCH, region: region.into(), varied, outcome, failure, by_v6: Some(true) }
    }

    fn said(of: &[(Varied, Outcome, &str)]) -> Vec<String> {
        let all: Vec<Confirmed> =
            of.iter().map(|&(varied, outcome, region)| confirmed(varied, outcome, region)).collect();
        in_words(Some(Phase::Tls), &all)
    }

    #[test]
    fn what_works_is_said_first_and_what_fails_in_one_sentence() {
        let (up, down) = (Outcome::Up, Outcome::Down);
        let all = [(Varied::Again, down, "a"), (Varied::Address, down, "a"), (Varied::Family, up, "a")];
        assert_eq!(
            said(&all),
            ["By IPv6 it works.", "It fails on a second try and by another of its addresses as well."]
        );
        assert_eq!(said(&[(Varied::Credential, up, "a")]), ["Without our credential it answers."]);
        assert_eq!(said(&[(Varied::Connection, up, "a")]), ["On a fresh connection it works."]);
        assert_eq!(said(&[]), [] as [&str; 0]);
        let resolver = confirmed(Varied::Resolver, up, "a");
        assert_eq!(in_words(Some(Phase::Resolve), [&resolver]), ["Another resolver finds the name."]);
        for varied in Varied::ALL {
            assert_eq!(said(&[(varied, up, "a")]).len(), 1, "{varied}");
            assert_eq!(said(&[(varied, down, "a")]).len(), 1, "{varied}");
        }
    }

    #[test]
    fn regions_are_named_where_they_differ() {
        let (up, down) = (Outcome::Up, Outcome::Down);
        let again = |outcome, region| (Varied::Again, outcome, region);
        assert_eq!(said(&[again(up, "a"), again(up, "b")]), ["A second try moments later works."]);
        assert_eq!(said(&[again(up, "a"), again(down, "b")]), ["A second try moments later works from a."]);
        assert_eq!(said(&[again(up, "a"), again(down, "a")]), ["A second try moments later works now and then."]);
    }

    #[test]
    fn what_could_not_tell_says_nothing() {
        assert!(said(&[(Varied::Again, Outcome::Inconclusive, "a"), (Varied::Otherwise, Outcome::Up, "a")]).is_empty());
        let failure = Some((Phase::Connect, Kind::Unreachable));
        let no_v6_here = Confirmed { failure, ..confirmed(Varied::Family, Outcome::Down, "a") };
        assert!(in_words(Some(Phase::Tls), [&no_v6_here]).is_empty());
    }

    #[test]
    fn a_verdict_hears_of_its_own_failure_alone() {
        let at = |second: i64| Timestamp::UNIX_EPOCH + chrono::TimeDelta::seconds(second);
        let seen = |party: &str, second: i64| -> crate::model::Observation {
            serde_json::from_value(serde_json::json!({
                "probe": "p", "party": party, "region": "r", "outcome": "up", "scheduled_at": at(second), "varied": "again",
            }))
            .unwrap()
        };
        let verdict = |party: &str| -> Verdict {
            serde_json::from_value(serde_json::json!({
                "subject": {"party": party}, "at": at(2000), "cause": "them", "regions": ["r"], "regions_seen": 1,
                "confidence": 1.0, "round": 1, "onset": at(1500), "evidence": ["It is so."],
            }))
            .unwrap()
        };
        let mut confirmations = Confirmations::default();
        for seen in [seen("a", 1502), seen("b", 1002)] {
            confirmations.absorb(&Sighting::from(&seen), Absorbed::Confirmation);
        }
        let mut verdicts = [verdict("a"), verdict("b"), verdict("c")];
        confirmations.add_to(&mut verdicts, at(2000));
        assert_eq!(verdicts[0].evidence, ["It is so.", "A second try moments later works."]);
        assert_eq!(verdicts[1].evidence, ["It is so."], "that was before this failure");
        assert_eq!(verdicts[2].evidence, ["It is so."]);
        confirmations.add_to(&mut [], at(3000));
        assert!(confirmations.0.is_empty(), "old ones are forgotten");
    }
}
