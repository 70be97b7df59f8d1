//! Who hears of several at once, and by which name, where channels hear of different things.

use super::*;
use crate::{model::LetterKind, notify::letters_tests};

fn at(second: i64) -> Timestamp {
    Timestamp::from_timestamp(1_795_000_000 + second, 0).unwrap()
}

/// An incident of a party of its own that has opened at a second.
fn opened(party: &str, second: i64) -> Incident {
    let mut incident = letters_tests::incident(party, Cause::Them);
    incident.subject = serde_json::from_value(serde_json::json!({ "party": party })).unwrap();
    incident.verdict.subject = incident.subject.clone();
    Incident { onset: at(second - 30), opened_at: Some(at(second)), ..incident }
}

/// What channels hear of, and what was last known of the incidents.
struct Story {
    world: World,
    routes: Vec<Hears>,
    known: Vec<Incident>,
}

impl Story {
    /// `everybody` hears of everything, `b` of what `of_b` names.
    fn new(of_b: &[&str]) -> Self {
        let b = Hears { parties: of_b.iter().map(|party| Arc::from(*party)).collect(), ..Hears::all("b") };
        Self { world: World::default(), routes: vec![Hears::all("everybody"), b], known: vec![] }
    }

    /// Something happens to these; says the letters.
    fn happens(&mut self, transition: Transition, news: News, incidents: Vec<Incident>, second: i64) -> Vec<Letter> {
        let change = |incident: &Incident| Change { incident: incident.clone(), transition, was: None, news };
        let changes: Vec<Change> = incidents.iter().map(change).collect();
        self.known.retain(|one| incidents.iter().all(|other| other.id != one.id));
        self.known.extend(incidents);
        let mut known = Incidents::from_stored(self.known.clone());
        let (world, edits) = (&self.world, |_: &str| false);
        let muted = |_: &Incident| None;
        let audience =
            Audience { world, routes: &self.routes, muted: &muted, edits: &edits, habits: Habits::default() };
        let planned = plan(&changes, &known, &audience, at(second));
        planned.amended.iter().for_each(|incident| known.amend(incident));
        self.known = known.current().chain(known.over()).cloned().collect();
        planned.letters
    }

    fn ends(&mut self, party: &str, second: i64) -> Vec<Letter> {
        let one = self.known.iter().find(|one| &*one.id == party).unwrap().clone();
        let ended = Incident { state: IncidentState::Closed, closed_at: Some(at(second)), ..one };
        self.happens(Transition::Closed, News::Look, vec![ended], second)
    }

    fn passes(&mut self, second: i64) -> Vec<Letter> {
        self.happens(Transition::None, News::Look, vec![], second)
    }
}

fn to<'a>(letters: &'a [Letter], channel: &str) -> Vec<(LetterKind, &'a str)> {
    letters.iter().filter(|one| &*one.channel == channel).map(|one| (one.kind, &*one.incident)).collect()
}

#[test]
fn several_are_named_after_one_that_the_channel_hears_of() {
    let mut story = Story::new(&["p3", "p4"]);
    let all = ["p1", "p2", "p3", "p4"].map(|party| opened(party, 30)).to_vec();
    let letters = story.happens(Transition::Opened, News::Look, all, 30);
    assert_eq!(to(&letters, "everybody"), [(LetterKind::Opened, "p1")]);
    assert_eq!(to(&letters, "b"), [(LetterKind::Opened, "p3")]);
    // One that comes later joins both, each under its own name.
    let letters = story.happens(Transition::Opened, News::Look, vec![opened("p4b", 40)], 40);
    assert_eq!(to(&letters, "everybody"), [(LetterKind::Updated, "p1")]);
    assert!(to(&letters, "b").is_empty());
    for (party, second) in [("p3", 100), ("p4", 101), ("p1", 102), ("p2", 102)] {
        assert!(story.ends(party, second).is_empty(), "it waits for the others");
    }
    let letters = story.ends("p4b", 103);
    assert!(to(&letters, "everybody").iter().all(|(kind, thread)| (*kind, *thread) == (LetterKind::Closed, "p1")));
    assert!(to(&letters, "b").iter().all(|(kind, thread)| (*kind, *thread) == (LetterKind::Closed, "p3")));
    assert!(!to(&letters, "b").is_empty() && story.passes(200).is_empty());
}

#[test]
fn few_of_one_party_are_named_after_one_that_the_channel_hears_of() {
    let mut story = Story::new(&[]);
    story.routes[1].products = vec!["y".into(), "z".into()];
    let product = |product: &str| {
        let mut incident = opened("p", 30);
        incident.id = product.into();
        incident.subject.product = Some(product.into());
        incident
    };
    let letters = story.happens(Transition::Opened, News::Look, ["x", "y", "z"].map(product).to_vec(), 30);
    assert_eq!(to(&letters, "everybody"), [(LetterKind::Opened, "x")]);
    assert_eq!(to(&letters, "b"), [(LetterKind::Opened, "y")]);
    // What the channel is told of later has a message of its own, and its end ends nothing else.
    story.routes[1].products.push("x".into());
    let x = story.known.iter().find(|one| &*one.id == "x").unwrap().clone();
    let letters = story.happens(Transition::Updated, News::Cause, vec![x], 60);
    assert_eq!(to(&letters, "b"), [(LetterKind::Opened, "x")]);
    story.ends("x", 100);
    let letters = story.passes(200);
    assert_eq!(to(&letters, "everybody"), [(LetterKind::Updated, "x")]);
    assert_eq!(to(&letters, "b"), []);
}

#[test]
fn the_end_of_one_is_no_end_of_what_is_told_under_its_name() {
    let mut story = Story::new(&["p2", "p3", "p4"]);
    let all = ["p2", "p3", "p4", "p5"].map(|party| opened(party, 30)).to_vec();
    story.happens(Transition::Opened, News::Look, all, 30);
    // A store of an earlier version knows of messages that are named after what the channel was not told of.
    for one in &mut story.known {
        one.digest = one.digest.take().map(|digest| crate::model::Digest { leader: "p5".into(), ..digest });
    }
    let p5 = story.known.iter_mut().find(|one| &*one.id == "p5").unwrap();
    (p5.digest, p5.told) = (None, vec!["b".into()]);
    let letters = story.ends("p5", 100);
    assert_eq!(to(&letters, "b"), [(LetterKind::Updated, "p5")]);
}
