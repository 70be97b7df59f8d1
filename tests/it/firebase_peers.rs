//! Firebase's own and other people's programs: our check against a server that we did not write, and the real client
//! against the provider of our demo.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::{Value, json};
use usoryou::{model::Came, protocol::Attempt};

use crate::support::{
    looking::{check, here, net, turn},
    peer,
    peers::{Started, free_port, request},
};

/// Node, and the folder with the packages that `scripts/setup` has installed; nothing where they are not.
fn node() -> Option<(PathBuf, PathBuf)> {
    let node = peer("node")?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/npm");
    let there = folder.join("node_modules/firebase-server/package.json").is_file();
    assert!(there || std::env::var("USORYOU_PEERS").as_deref() != Ok("required"), "target/npm: run scripts/setup");
    there.then_some((node, folder))
}

#[tokio::test]
async fn our_check_against_a_server_of_another_make() {
    let Some((node, packages)) = node() else { return };
    let folder = tempfile::tempdir().unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut command = Command::new(node);
    command.arg(packages.join("node_modules/firebase-server/bin/firebase-server"));
    command.args(["-e", "-a", "127.0.0.1", "-p", &address.port().to_string()]);
    let mut server = Started::new(&mut command, folder.path());
    server.wait_for("open port", || std::net::TcpStream::connect(address).ok());

    let net = net(&[]);
    let url = format!("http://{address}/?ns=probe");
    let file = |more: Value| {
        let mut file = json!({ "url": url });
        file.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "firebase_realtime": file })
    };
    let looked = turn(&net, &*check(&net, file(json!({}))), 0).await;
    assert_eq!(looked.words(), "up", "{looked:?}");
    let round = check(&net, file(json!({"round_trip": "/usoryou"})));
    for _ in 0..3 {
        let looked = turn(&net, &*round, 0).await;
        assert_eq!(looked.words(), "up", "{looked:?}");
        let came: Vec<Came> = looked.facts.arrivals.iter().map(|arrival| arrival.came).collect();
        assert_eq!(came, [Came::InOrder], "{looked:?}");
    }
    for more in [json!({}), json!({"round_trip": "/usoryou"})] {
        let check = check(&net, file(more.clone()));
        let patience = Duration::from_secs(4);
        let begin = || Attempt::begin(std::sync::Arc::clone(&net), here(), 0, patience);
        let mut session = check.hold().unwrap().open(&mut begin()).await.unwrap();
        for _ in 0..3 {
            let mut attempt = begin();
            session.ping(&mut attempt).await.unwrap_or_else(|failure| panic!("{more}: {failure}"));
        }
        let idle = tokio::time::timeout(Duration::from_millis(200), session.ended()).await;
        assert!(idle.is_err(), "{more}: {idle:?}");
        let _ = tokio::time::timeout(Duration::from_secs(1), session.close()).await;
    }
    let rest = check(&net, file(json!({"transport": "rest"})));
    let looked = turn(&net, &*rest, 0).await;
    assert_eq!(looked.words(), "up", "{looked:?}");
}

/// Our demo, and where the database of its provider is.
fn demo(folder: &Path) -> (Started, String) {
    let board = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_usoryou"));
    let mut demo = Started::new(command.args(["demo", "--switchboard", &board.to_string()]), folder);
    let places = demo.wait_for("switchboard", || request(board, "GET", "/places", &[]));
    let places: Value = serde_json::from_slice(&places.body).unwrap();
    let places = places["places"].as_array().unwrap();
    let database = places.iter().find(|place| place["service"] == "database" && place["region"] == "eu-west").unwrap();
    (demo, format!("{}?ns=firelike", database["url"].as_str().unwrap()))
}

#[tokio::test]
async fn our_check_against_the_provider_of_our_demo_by_every_way() {
    let folder = tempfile::tempdir().unwrap();
    let (demo, url) = demo(folder.path());
    let net = net(&[]);
    for transport in ["websocket", "long_poll", "sse", "rest"] {
        let looks = |round_trip: Option<&str>| {
            let file = json!({"url": url, "transport": transport, "round_trip": round_trip});
            check(&net, json!({ "firebase_realtime": file }))
        };
        let looked = turn(&net, &*looks(None), 0).await;
        assert_eq!(looked.words(), "up", "{transport}: {looked:?}\n{}", demo.log());
        if transport == "long_poll" {
            // Only the start of it is looked at.
            continue;
        }
        let round = looks(Some("/ways"));
        let looked = turn(&net, &*round, 0).await;
        assert_eq!(looked.words(), "up", "{transport}: {looked:?}\n{}", demo.log());
        let came: Vec<Came> = looked.facts.arrivals.iter().map(|arrival| arrival.came).collect();
        assert_eq!(came, [Came::InOrder], "{transport}: {looked:?}");
        let Some(hold) = round.hold() else { continue };
        let begin = || Attempt::begin(std::sync::Arc::clone(&net), here(), 0, Duration::from_secs(4));
        let mut session = hold.open(&mut begin()).await.unwrap_or_else(|failure| panic!("{transport}: {failure}"));
        for _ in 0..3 {
            let mut attempt = begin();
            session.ping(&mut attempt).await.unwrap_or_else(|failure| panic!("{transport}: {failure}"));
            let came: Vec<Came> = attempt.facts.arrivals.iter().map(|arrival| arrival.came).collect();
            assert_eq!(came, [Came::InOrder], "{transport}");
        }
        let _ = tokio::time::timeout(Duration::from_secs(1), session.close()).await;
    }
}

#[test]
fn the_real_client_against_the_provider_of_our_demo() {
    let Some((node, packages)) = node() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (demo, url) = demo(folder.path());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/npm/client.js");
    let told = Command::new(node).arg(script).arg(url).arg(packages).output().unwrap();
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.ends_with("\nok\n"), "{told}\n{}", demo.log());
}
