//! The table has no row that is never told, and is told only of what it is about.

use std::collections::BTreeSet;

use super::*;

const ALL: [Clients; 8] = [
    WebSocket,
    LongPoll,
    Rest,
    Host,
    Clients::Firestore,
    Clients::FirebaseSignIn,
    Clients::FirebaseToken,
    Clients::FirebaseStorage,
];

fn notice(ways: &[(Clients, Way)]) -> String {
    people_notice(&ways.iter().copied().collect()).unwrap_or_default()
}

/// Every combination of the four ways to a Realtime Database, and each other way alone.
fn combinations() -> Vec<BTreeMap<Clients, Way>> {
    let states = [None, Some(Way::Up), Some(Way::Down), Some(Way::Unreachable)];
    let mut all = vec![BTreeMap::new()];
    for clients in ALL {
        let with = |ways: &BTreeMap<Clients, Way>| {
            states
                .iter()
                .map(|state| ways.clone().into_iter().chain(state.map(|way| (clients, way))).collect())
                .collect()
        };
        let is_realtime = [WebSocket, LongPoll, Rest, Host].contains(&clients);
        let base = if is_realtime { all.clone() } else { vec![BTreeMap::new()] };
        all.extend(base.iter().flat_map(|ways| -> Vec<_> { with(ways) }));
    }
    all
}

#[test]
fn every_row_is_told_at_some_time() {
    let mut told: BTreeSet<(usize, usize)> = BTreeSet::new();
    for ways in combinations() {
        for (at, block) in TABLE.iter().enumerate() {
            let single: Vec<usize> = (0..block.len())
                .filter(|row| people_notice(&ways).is_some_and(|said| said.contains(block[*row].people_notice)))
                .filter(|row| {
                    block[*row].when.iter().all(|(clients, is)| match (is, ways.get(clients)) {
                        (Is::Up, Some(Way::Up)) | (Is::Unreachable, Some(Way::Unreachable)) => true,
                        (Is::Bad, Some(way)) => *way != Way::Up,
                        _ => false,
                    })
                })
                .take(1)
                .collect();
            told.extend(single.into_iter().map(|row| (at, row)));
        }
    }
    let rows: BTreeSet<(usize, usize)> =
        TABLE.iter().enumerate().flat_map(|(at, block)| (0..block.len()).map(move |row| (at, row))).collect();
    assert_eq!(told, rows);
}

#[test]
fn nothing_is_said_while_everything_works() {
    for ways in combinations().into_iter().filter(|ways| ways.values().all(|way| *way == Way::Up)) {
        assert_eq!(people_notice(&ways), None, "{ways:?}");
    }
}

#[test]
fn every_way_has_something_to_say_when_it_fails() {
    for clients in ALL {
        for way in [Way::Down, Way::Unreachable] {
            assert!(!notice(&[(clients, way)]).is_empty(), "{clients:?} {way:?}");
        }
    }
}

#[test]
fn what_else_works_decides_what_is_said_of_websocket() {
    assert_eq!(notice(&[(WebSocket, Way::Down), (Rest, Way::Up)]), FALLS_BACK);
    assert_eq!(notice(&[(WebSocket, Way::Unreachable), (LongPoll, Way::Up), (Rest, Way::Down)]), FALLS_BACK);
    assert_eq!(notice(&[(WebSocket, Way::Down), (Rest, Way::Down)]), NOBODY);
    assert!(notice(&[(WebSocket, Way::Down)]).contains("if that works"));
    assert!(notice(&[(WebSocket, Way::Up), (Rest, Way::Down)]).starts_with("Apps notice nothing"));
    assert_eq!(notice(&[(Rest, Way::Unreachable)]), NO_NEW);
    let two = notice(&[(Clients::FirebaseSignIn, Way::Down), (Clients::FirebaseToken, Way::Down)]);
    assert!(two.starts_with("Nobody can sign in: ") && two.contains(" Nothing for up to an hour, "), "{two}");
}

#[test]
fn only_known_hosts_are_recognised() {
    for (target, clients) in [
        ("wss://s-usc1c-nss-1.firebaseio.com/.ws?v=5", Some(WebSocket)),
        ("https://example.firebaseio.com/.json?shallow=true", Some(Rest)),
        ("https://example.europe-west1.firebasedatabase.app/.lp?start=t", Some(LongPoll)),
        ("tls://example.firebaseio.com:443", Some(Host)),
        ("https://Firestore.googleapis.com/v1/projects/x", Some(Clients::Firestore)),
        ("https://identitytoolkit.googleapis.com/v1/accounts:signUp", Some(Clients::FirebaseSignIn)),
        ("https://securetoken.googleapis.com/v1/token", Some(Clients::FirebaseToken)),
        ("https://firebasestorage.googleapis.com/v0/b/x/o", Some(Clients::FirebaseStorage)),
        ("https://storage.googleapis.com/x", None),
        ("https://firebaseio.com/", None),
        ("https://evilfirebaseio.com/", None),
        ("https://example.firebaseio.com.example.org/", None),
        ("https://example.com/firebaseio.com", None),
        ("wss://socket.example.com/", None),
        ("example.firebaseio.com", None),
        ("example.firebaseio.com A @127.0.0.1", None),
        ("", None),
    ] {
        assert_eq!(recognise(target), clients, "{target}");
    }
}
