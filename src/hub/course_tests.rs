//! What becomes of an incident that a region told of while no hub took anything of it.

use super::*;
use crate::model::{Cause, Moment};

const PLAN: &str = "
parties: { firebase: { kind: provider, name: Firebase } }
probes: [ { name: rtdb, party: firebase, check: { tcp: { address: \"127.0.0.1:1\" } } } ]
alerts:
  channels: { support: { slack: { webhook_url: \"http://127.0.0.1:1/\" } } }
  routes: [ { to: support } ]
";

fn at(second: i64) -> Timestamp {
    Timestamp::from_timestamp(1_795_000_000 + second, 0).unwrap()
}

fn incident(id: &str, state: IncidentState, told: &[&str]) -> Incident {
    let verdict = Verdict {
        cause: Cause::Them,
        onset: Some(at(0)),
        ..Verdict::ok(Subject { party: "firebase".into(), product: None }, at(0))
    };
    let told = told.iter().map(|channel| Arc::from(*channel)).collect();
    let opened = Moment { at: at(0), transition: Transition::Opened, cause: Cause::Them, was: None, note: None };
    Incident { state, told, history: vec![opened], ..Incident::suspected(id.into(), &verdict, at(0)) }
}

fn course(known: Option<Incident>) -> Course {
    let net = crate::net::Net::system(vec![]).unwrap();
    let read = crate::config::read_text(PLAN, "probes.yaml".as_ref(), &|_| None, &net, &Default::default());
    let plan = read.unwrap_or_else(|mistakes| panic!("{mistakes}")).plan;
    Course::new(&plan, Incidents::from_stored(known))
}

const ALONE: &str = "2026-11-18-firebase-from-eu-west-103205-1";
const OURS: &str = "2026-11-18-firebase-1";

#[test]
fn it_goes_on_under_its_own_id_where_nobody_was_told_here() {
    for suspicion in [None, Some(incident(OURS, IncidentState::Suspected, &[]))] {
        let dropped: Vec<Arc<str>> = suspicion.iter().map(|one| one.id.clone()).collect();
        let mut course = course(suspicion);
        let turn = course.adopt_incident(&incident(ALONE, IncidentState::Open, &["support"]), at(60));
        assert_eq!((turn.dropped, turn.planned.letters.len()), (dropped, 0));
        let goes_on = &turn.touched[0];
        assert_eq!((&*goes_on.id, goes_on.note.as_deref()), (ALONE, Some("told by region eu-west alone at first")));
        assert!(goes_on.owed.is_none(), "people were told");
        assert_eq!(course.incidents().current().count(), 1);
        // Handed over once more, as after an answer that was lost.
        assert_eq!(course.adopt_incident(goes_on, at(61)), Turn::default());
    }
}

#[test]
fn what_the_region_could_tell_nobody_is_told_by_the_hub() {
    let mut course = course(None);
    let turn = course.adopt_incident(&incident(ALONE, IncidentState::Open, &["a-channel-of-the-region"]), at(60));
    assert_eq!(turn.touched[0].owed.as_ref().map(|owed| owed.word), Some(Transition::Opened));
}

#[test]
fn it_joins_what_people_were_told_of_here_and_says_so_once() {
    let mut course = course(Some(incident(OURS, IncidentState::Open, &["support"])));
    let turn = course.adopt_incident(&incident(ALONE, IncidentState::Open, &["support"]), at(60));
    let [letter] = &turn.planned.letters[..] else { panic!("{:#?}", turn.planned.letters) };
    assert_eq!((&*letter.channel, &*letter.incident), ("support", ALONE));
    assert!(letter.headline.contains(OURS), "{}", letter.headline);
    let joined = &turn.touched[0];
    assert_eq!((&*joined.id, joined.state, joined.closed_at), (ALONE, IncidentState::Closed, Some(at(60))));
    assert!(joined.went_on(), "a report does not count it again");
    let current: Vec<&str> = course.incidents().current().map(|one| &*one.id).collect();
    assert_eq!(current, [OURS]);
    assert_eq!(course.adopt_incident(&incident(ALONE, IncidentState::Open, &["support"]), at(61)), Turn::default());
}

#[test]
fn what_is_over_already_is_kept_and_comes_back_as_the_same() {
    let mut course = course(None);
    let over = Incident { closed_at: Some(at(30)), ..incident(ALONE, IncidentState::Closed, &["support"]) };
    let turn = course.adopt_incident(&over, at(60));
    assert_eq!((turn.planned.letters.len(), turn.touched[0].state), (0, IncidentState::Closed));
    assert_eq!((course.incidents().current().count(), course.incidents().over().count()), (0, 1));
}
