//! Who lives: while hubs are well, after one was started anew, and after they could not tell each other.

use super::{
    super::{living::NODES, releases},
    *,
};

const LIFE: Duration = Duration::from_secs(10);

fn at(second: i64) -> Timestamp {
    Timestamp::from_timestamp(1_795_000_000 + second, 0).unwrap()
}

fn heard(region: &str, node: &str, second: i64) -> Heard {
    Heard {
        agent: "eu".into(),
        region: region.into(),
        node: node.into(),
        at: at(second),
        build: "0.1.0".into(),
        config: "sha256:0123456789abcdef".into(),
        clock_offset: None,
        round_trip: None,
        solo_at: None,
    }
}

fn known(all: &[Heard]) -> Known {
    let mut known = Known::default();
    all.iter().for_each(|heard| known.learn(heard.clone()));
    known
}

fn nodes(known: &Known, now: i64) -> Vec<String> {
    known.nodes("eu", LIFE, at(now)).iter().map(ToString::to_string).collect()
}

#[test]
fn a_node_lives_for_an_interval_after_it_was_heard() {
    let mut known = known(&[heard("eu", "n2", 0), heard("eu", "n1", 5), heard("us", "n3", 9)]);
    assert_eq!(nodes(&known, 10), ["n1", "n2"]);
    assert_eq!(nodes(&known, 11), ["n1"]);
    // What another hub has heard before is no news.
    known.learn(heard("eu", "n1", 1));
    known.learn(heard("eu", "n2", 12));
    assert_eq!(nodes(&known, 15), ["n1", "n2"]);
}

#[test]
fn who_lived_before_a_hub_was_started_is_given_time_to_be_heard() {
    let mut known = known(&[heard("eu", "n1", 0), heard("eu", "n2", -3), heard("eu", "gone", -30)]);
    known.unsettled = Some(Unsettled { known_until: at(0), since: at(300), until: at(345) });
    assert_eq!(nodes(&known, 301), ["n1", "n2"]);
    known.learn(heard("eu", "n1", 302));
    assert_eq!(nodes(&known, 305), ["n1", "n2"]);
    // Who has been heard again is judged as ever.
    assert_eq!(nodes(&known, 320), ["n2"]);
    assert_eq!(nodes(&known, 345), [""; 0]);
}

#[test]
fn what_some_run_otherwise_is_said_of_them() {
    let lives = |heard: Heard| AgentView { heard, lives: true, runs: vec![] };
    let all = [
        lives(heard("eu", "n1", 0)),
        lives(heard("eu", "n2", 0)),
        lives(Heard { build: "0.2.0".into(), ..heard("us", "n1", 0) }),
        lives(Heard { config: "sha256:fedcba9876543210".into(), ..heard("us", "n2", 0) }),
        AgentView { lives: false, ..lives(Heard { build: "0.0.1".into(), ..heard("ap", "n1", 0) }) },
    ];
    assert_eq!(
        releases(&all),
        [
            "Region us runs another build on n1: 0.2.0 where most run 0.1.0.",
            "Region us runs another configuration on n2: fedcba987654 where most run 0123456789ab.",
        ]
    );
    assert!(releases(&all[..2]).is_empty());
}

/// A fleet over a store of its own.
async fn fleet() -> (Fleet, Store) {
    let net = crate::net::Net::system(vec![]).unwrap();
    let text = "parties: { us: { kind: us } }\nprobes: [ { name: api, party: us, check: { tcp: { address: \"127.0.0.1:1\" } } } ]";
    let read = crate::config::read_text(text, "probes.yaml".as_ref(), &|_| None, &net, &Default::default());
    let plan = watch::channel(read.unwrap_or_else(|mistakes| panic!("{mistakes}")).plan).1;
    let store = Store::open("sqlite::memory:").await.unwrap();
    (Fleet::new(store.clone(), plan, Metrics::new("0.1.0")), store)
}

#[tokio::test]
async fn nodes_that_are_gone_make_room_for_new_ones() {
    let (fleet, store) = fleet().await;
    (0..NODES).for_each(|node| fleet.hear(heard("eu", &format!("old-{node}"), 0)));
    fleet.hear(heard("eu", "one-too-many", 0));
    assert!(fleet.agents(at(0)).len() == NODES);
    // A day later they are dead, and nobody asks for them any more: neither here nor in the store.
    let later = 86_400 + 4_000;
    fleet.sync(at(later), true).await.unwrap();
    fleet.hear(heard("eu", "new", later));
    fleet.sync(at(later + 1), true).await.unwrap();
    let known: Vec<String> = fleet.agents(at(later)).iter().map(|one| one.heard.node.to_string()).collect();
    assert_eq!(known, ["new"]);
    assert_eq!(store.agents(at(0) - FORGOTTEN).await.unwrap().len(), 1);
}

#[tokio::test]
async fn nodes_that_died_take_no_room_from_those_that_live() {
    let (fleet, _) = fleet().await;
    (0..NODES).for_each(|node| fleet.hear(heard("eu", &format!("old-{node}"), 0)));
    fleet.hear(heard("eu", "too-soon", 600));
    fleet.hear(heard("eu", "new", 4_000));
    let lives: Vec<String> =
        fleet.agents(at(4_000)).iter().filter(|one| one.lives).map(|one| one.heard.node.to_string()).collect();
    assert_eq!(lives, ["new"]);
}

#[tokio::test]
async fn nothing_is_opened_until_what_a_region_told_is_taken_over() {
    let (fleet, store) = fleet().await;
    assert!(!fleet.holds(at(0)));
    fleet.note_return(Heard { solo_at: Some(at(0)), ..heard("eu", "n1", 0) }).await.unwrap();
    assert!(fleet.holds(at(1)));
    // That it waits in the store opens nothing: it could be told a second time.
    store.hand_over("eu", &Default::default(), at(2)).await.unwrap();
    fleet.sync(at(3), true).await.unwrap();
    assert!(fleet.holds(at(3)));
    let waiting = store.handovers(at(0)).await.unwrap();
    store.handover_taken(waiting[0].id, at(4)).await.unwrap();
    fleet.sync(at(4), true).await.unwrap();
    assert!(!fleet.holds(at(4)));
    // Another region comes back, and never hands over anything.
    fleet.hear(Heard { solo_at: Some(at(5)), ..heard("us", "n1", 5) });
    assert!(fleet.holds(at(24)) && !fleet.holds(at(25)));
}
