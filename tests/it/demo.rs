//! `usoryou demo` as a user without a terminal runs it: faults over HTTP, a line for every change.

use std::{net::SocketAddr, process::Command};

use crate::support::peers::{Started, free_port, request};

/// The whole world in one process: the real engine, hub and outbox over real sockets.
#[test]
fn a_fault_that_is_switched_on_is_told_once_and_its_end_once() {
    let folder = tempfile::tempdir().unwrap();
    let board = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut demo = Started::new(
        Command::new(env!("CARGO_BIN_EXE_usoryou")).args(["demo", "--switchboard", &board.to_string()]),
        folder.path(),
    );
    let says = |log: &str, text: &str| log.contains(text).then_some(());
    let log = folder.path().to_path_buf();
    let read = move || {
        let file = std::fs::read_dir(&log).unwrap().next().unwrap().unwrap().path();
        std::fs::read_to_string(file).unwrap()
    };
    demo.wait_for("first verdict", || says(&read(), "verdict: All is well."));

    assert_eq!(request(board, "PUT", "/faults/no-such-fault", &[]).unwrap().status, 404);
    assert_eq!(request(board, "PUT", "/faults/database-errors", &[]).unwrap().status, 200);
    let opened = "slack: It's them: Firelike realtime-database is down";
    demo.wait_for("opening message", || says(&read(), opened));

    // The partner's token endpoint: its own product, and the lamp that nobody can ask for is no second fault.
    assert_eq!(request(board, "PUT", "/faults/token-down", &[]).unwrap().status, 200);
    let token = "slack: It's them: Lampwise token is down";
    demo.wait_for("the token's message", || says(&read(), token));

    let healed = request(board, "DELETE", "/faults", &[]).unwrap();
    assert!(!healed.text().contains("\"on\":true"), "{}", healed.text());
    demo.wait_for("closing message", || says(&read(), "slack: Over: Firelike realtime-database is back"));

    demo.wait_for("closing message of the token", || says(&read(), "slack: Over: Lampwise token is back"));

    let told = read();
    let messages: Vec<&str> = told.lines().filter(|line| line.contains(" slack: ")).collect();
    // Our API failed too, because of the database: no message of its own, and none that says us.
    assert_eq!(messages.len(), 4, "{messages:#?}");
    assert!(messages[0].contains(opened), "{}", messages[0]);
    assert!(messages[1].contains(token), "{}", messages[1]);
    assert!(messages[2..].iter().all(|over| over.ends_with("It was them.")), "{messages:#?}");
}
