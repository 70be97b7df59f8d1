//! Status feeds over sockets: servers that misbehave, and what a page says on its way into a message.

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::AsyncWriteExt as _,
    sync::{mpsc, watch},
};
use usoryou::{
    feed::{self, Feed, Hurry, Kind, Names, Pace, Reading, Source},
    model::{FeedWord, Incident, IncidentState},
    net::Trust,
    notify::{self, clients::Clients},
};

use crate::support::{
    fake::{self, Fake, drip, ok, request, silence},
    hub::{Hurried, world},
    pages::Page,
    program::eventually,
    slack::Slack,
};

const CALM: Pace = Pace {
    every: Duration::from_millis(20),
    in_a_hurry: Duration::from_millis(20),
    deadline: Duration::from_millis(1500),
};

/// Follows a feed; the readings as they come.
fn follow(
    url: &str,
    pace: Pace,
) -> (mpsc::UnboundedReceiver<Reading>, watch::Sender<Hurry>, tokio::task::JoinHandle<()>) {
    let source = Arc::new(Source { kind: Kind::slack, url: url.parse().unwrap() });
    let http = notify::http_client(&Trust::default()).unwrap();
    let (tell, told) = mpsc::unbounded_channel();
    let (hurry, hurried) = watch::channel(Hurry::new());
    let task = tokio::spawn(feed::follow(source, http, pace, hurried, move |reading| {
        let _ = tell.send(reading);
    }));
    (told, hurry, task)
}

async fn first(url: &str) -> Result<feed::Told, String> {
    let (mut told, _hurry, task) = follow(url, CALM);
    let reading =
        tokio::time::timeout(Duration::from_secs(10), told.recv()).await.expect("a reading within 10 s").unwrap();
    task.abort();
    reading.told
}

const WELL: &str = r#"{"status":"ok","active_incidents":[]}"#;

fn open(title: &str) -> String {
    format!(
        r#"{{"status":"active","active_incidents":[{{"id":1,"title":"{title}","type":"outage","status":"active","services":[]}}]}}"#
    )
}

fn answer(head: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\n{head}Content-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

fn gzip(pieces: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    pieces.for_each(|piece| encoder.write_all(&piece).unwrap());
    encoder.finish().unwrap()
}

#[tokio::test]
async fn whatever_a_server_does_the_feed_is_unknown_and_nothing_waits() {
    let bomb = gzip((0..300).map(|_| vec![b' '; 1 << 20]));
    assert!(bomb.len() < 1 << 20);
    let torn = gzip(std::iter::once(WELL.as_bytes().to_vec()));
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("a web page", ok("<!doctype html><p>Log in"), "cannot understand it: it is a web page"),
        ("nothing", ok(""), "cannot understand it: it is empty"),
        ("an error", b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n".to_vec(), "cannot fetch it: it answers 500"),
        ("no content", b"HTTP/1.1 204 No\r\n\r\n".to_vec(), "it answers 204"),
        ("unchanged what we never had", b"HTTP/1.1 304 No\r\n\r\n".to_vec(), "it answers 304"),
        ("a circle", b"HTTP/1.1 302 Go\r\nLocation: /\r\nContent-Length: 0\r\n\r\n".to_vec(), "more than 5 redirects"),
        ("another protocol", b"HTTP/1.1 302 Go\r\nLocation: file:///etc/passwd\r\n\r\n".to_vec(), "redirects to file"),
        ("to nowhere", b"HTTP/1.1 302 Go\r\nContent-Length: 0\r\n\r\n".to_vec(), "302 without an address"),
        ("a promised gigabyte", b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n[".to_vec(), "larger than 5 MB"),
        ("a bomb", answer("Content-Encoding: gzip\r\n", &bomb), "larger than 5 MB"),
        ("torn compression", answer("Content-Encoding: gzip\r\n", &torn[..torn.len() - 4]), "cut off or broken"),
        ("no compression", answer("Content-Encoding: gzip\r\n", WELL.as_bytes()), "its compression is broken"),
        ("another coding", answer("Content-Encoding: br\r\n", WELL.as_bytes()), "it is encoded as br"),
        ("an old copy", answer("Age: 7200\r\n", WELL.as_bytes()), "it is a copy 120 min old"),
        (
            "a cut body",
            b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\nConnection: close\r\n\r\n{}".to_vec(),
            "cannot fetch it: ",
        ),
        ("no HTTP", b"220 smtp.example.com ESMTP\r\n".to_vec(), "cannot fetch it: "),
        ("an endless head", [b"HTTP/1.1 200 OK\r\nX: ".as_slice(), &[b'x'; 2 << 20]].concat(), "cannot fetch it: "),
    ];
    for (name, answer, expected) in cases {
        let server = Fake::tcp(move |mut stream| {
            let answer = answer.clone();
            async move {
                if request(&mut stream).await.is_some() {
                    let _ = stream.write_all(&answer).await;
                    let _ = stream.shutdown().await;
                    silence(stream).await;
                }
            }
        })
        .await;
        let begun = Instant::now();
        let told = first(&server.url("/")).await;
        let why = told.expect_err(name);
        assert!(why.contains(expected), "{name}: {why}");
        assert!(begun.elapsed() < Duration::from_secs(4), "{name} took {:?}", begun.elapsed());
    }
    let closed = first(&format!("http://127.0.0.1:{}/", fake::closed_port().await)).await.unwrap_err();
    assert!(closed.contains("cannot fetch it: ") && closed.contains("refused"), "{closed}");
}

#[tokio::test]
async fn silence_and_slowness_end_at_the_deadline() {
    let silent = Fake::tcp(silence).await;
    let slow = Fake::tcp(|mut stream| async move {
        request(&mut stream).await;
        drip(stream, &ok(&" ".repeat(5000))).await;
    })
    .await;
    for server in [silent, slow] {
        let begun = Instant::now();
        let why = first(&server.url("/")).await.unwrap_err();
        assert_eq!(why, "cannot fetch it: it was not there within 1.5 s");
        assert!((1400..3000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn of_an_endless_body_little_is_read() {
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let server = Fake::tcp(move |mut stream| {
        let counted = Arc::clone(&counted);
        async move {
            request(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n[").await;
            while counted.load(SeqCst) < 1 << 30 && stream.write_all(&[b' '; 1 << 16]).await.is_ok() {
                counted.fetch_add(1 << 16, SeqCst);
            }
        }
    })
    .await;
    let why = first(&server.url("/")).await.unwrap_err();
    assert!(why.contains("larger than 5 MB"), "{why}");
    assert!(sent.load(SeqCst) < 50_000_000, "{} bytes were taken", sent.load(SeqCst));
}

#[tokio::test]
async fn a_feed_is_found_behind_redirects_and_compression() {
    let body = gzip(std::iter::once(WELL.as_bytes().to_vec()));
    let server = Fake::tcp(move |mut stream| {
        let body = body.clone();
        async move {
            while let Some(head) = request(&mut stream).await {
                let moved = b"HTTP/1.1 301 Moved\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n".to_vec();
                let there = head.starts_with("GET /there ");
                assert!(head.to_lowercase().contains("accept-encoding: gzip\r\n"), "{head}");
                assert!(head.to_lowercase().contains("user-agent: usoryou/"), "{head}");
                let answer = if there { answer("Content-Encoding: gzip\r\n", &body) } else { moved };
                stream.write_all(&answer).await.unwrap();
            }
        }
    })
    .await;
    assert_eq!(first(&server.url("/here")).await, Ok(feed::Told { notices: vec![], silence_counts: true }));
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again_and_still_counts() {
    let page = Page::saying("");
    let body = open("Elevated errors");
    page.answers(&format!(
        "HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nLast-Modified: Sun, 22 Nov 2026 10:00:00 GMT\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    ));
    let (mut told, _hurry, task) = follow(&page.url, CALM);
    let before = told.recv().await.unwrap().told.unwrap();
    assert_eq!(before.notices.len(), 1);
    page.answers("HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n");
    while !page.asked().last().unwrap().contains("if-none-match: \"v1\"\r\n") {
        told.recv().await.unwrap();
    }
    assert!(page.asked().last().unwrap().contains("if-modified-since: sun, 22 nov 2026 10:00:00 gmt\r\n"));
    for _ in 0..3 {
        let again = told.recv().await.unwrap();
        assert_eq!(again.told.unwrap(), before, "the same, and said at the same time");
    }
    task.abort();
}

#[tokio::test]
async fn whoever_asks_us_to_wait_is_left_alone_even_in_a_hurry() {
    let page = Page::saying("");
    page.answers("HTTP/1.1 429 Slow\r\nRetry-After: 3\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let (mut told, hurry, task) = follow(&page.url, CALM);
    assert_eq!(told.recv().await.unwrap().told, Err("cannot fetch it: it answers 429".to_owned()));
    hurry.send_replace(Hurry::from([Arc::new(Source { kind: Kind::slack, url: page.url.parse().unwrap() })]));
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(page.asked().len(), 1);
    task.abort();
}

#[tokio::test]
async fn a_hurry_ends_a_long_pause() {
    let page = Page::saying(WELL);
    let slow = Pace { every: Duration::from_secs(3600), in_a_hurry: Duration::from_millis(100), ..CALM };
    let (mut told, hurry, task) = follow(&page.url, slow);
    told.recv().await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(page.asked().len(), 1);
    hurry.send_replace(Hurry::from([Arc::new(Source { kind: Kind::slack, url: page.url.parse().unwrap() })]));
    tokio::time::timeout(Duration::from_secs(5), told.recv()).await.expect("a look in a hurry").unwrap();
    task.abort();
}

#[test]
fn what_people_notice_depends_on_what_else_works() {
    let (slack, directory) = (Slack::start(), tempfile::tempdir().unwrap());
    let mut plan = world(&slack.webhook);
    plan.clients = std::collections::BTreeMap::from([("rtdb".into(), Clients::FirebaseRealtimeWebsocket)]);
    let hub = Hurried::start(directory.path(), plan);
    hub.rounds(12, &["rtdb"]);
    let opened = slack.shows(1)[0].clone();
    let notice = "What people notice: Web apps fall back to long polling after about 30 s, if that works; Android and iOS \
                  apps and servers do not connect.";
    assert!(opened.text.lines().nth(1) == Some(notice), "{opened:#?}");
    let verdicts = hub.view.borrow().verdicts.clone();
    let noticed: Vec<&str> = verdicts.iter().filter_map(|one| one.people_notice.as_deref()).collect();
    assert_eq!(noticed, [notice.trim_start_matches("What people notice: ")]);
    hub.stop();
}

/// A world whose provider has a status page.
fn with_page(slack: &Slack, page: &Page) -> usoryou::config::Plan {
    let mut plan = world(&slack.webhook);
    let source = Arc::new(Source { kind: Kind::statuspage, url: page.url.parse().unwrap() });
    let names = Names { probed: vec!["rtdb".into()], ..Names::default() };
    plan.parties.get_mut("firebase").unwrap().feeds = vec![Feed { source, names }];
    plan
}

fn statuspage(incidents: &str, planned: &str) -> String {
    format!(
        r#"{{"page":{{"name":"Made Up","url":"https://status.example.com"}},"status":{{"indicator":"none"}},"components":[],
           "incidents":[{incidents}],"scheduled_maintenances":[{planned}]}}"#
    )
}

fn incident(at: chrono::DateTime<chrono::Utc>) -> String {
    serde_json::json!({"id": "i1", "name": "Elevated <errors>", "status": "investigating", "impact": "major",
        "created_at": at, "updated_at": at, "components": [{"id": "c1", "name": "RTDB"}]})
    .to_string()
}

/// Waits until the hub has read the page so.
fn read_as(hub: &Hurried, word: FeedWord) {
    eventually("the page to be read", || {
        let feeds = hub.view.borrow().feeds.clone();
        if feeds.iter().any(|feed| feed.state == word) { Ok(()) } else { Err(format!("{feeds:?}")) }
    });
}

fn stored(hub: &Hurried) -> Vec<Incident> {
    hub.wait(hub.store.incidents(chrono::Utc::now() - chrono::TimeDelta::hours(1))).unwrap()
}

#[test]
fn what_the_page_says_is_told_and_when_it_said_so_is_stored() {
    let (slack, page) = (Slack::start(), Page::saying(&statuspage("", "")));
    let directory = tempfile::tempdir().unwrap();
    let hub = Hurried::start(directory.path(), with_page(&slack, &page));
    read_as(&hub, FeedWord::Ok);
    hub.rounds(12, &["rtdb"]);
    let opened = slack.shows(1)[0].clone();
    assert!(opened.headline().ends_with("Firebase's status page says nothing yet."), "{opened:#?}");
    // They admit it, and claim to have done so long before.
    page.says(&statuspage(&incident(chrono::Utc::now() - chrono::TimeDelta::minutes(50)), ""));
    read_as(&hub, FeedWord::Outage);
    hub.rounds(5, &["rtdb"]);
    let told = eventually("the admission", || {
        let found = stored(&hub).into_iter().find(|one| one.admitted_at.is_some());
        found.ok_or_else(|| format!("{:#?}", stored(&hub)))
    });
    assert!(told.admitted_at > told.opened_at, "the page was there without it: {told:#?}");
    assert_eq!(told.admission.as_ref().unwrap().title, "Elevated <errors>");
    assert_eq!(told.admission.as_ref().unwrap().url.as_deref(), Some("https://status.example.com/"));
    let sentences = hub.view.borrow().sentences.clone();
    assert!(
        sentences.iter().any(|one| one.contains("Firebase's status page says: 'Elevated <errors>' since ")),
        "{sentences:#?}"
    );
    let figures = hub.figures();
    assert!(figures.contains("usoryou_status_feed_state{party=\"firebase\",state=\"outage\"} 1"), "{figures}");
    assert!(figures.contains("usoryou_status_feed_lag_seconds{party=\"firebase\"} "), "{figures}");
    page.says(&statuspage("", ""));
    hub.rounds(12, &[]);
    let closed = slack.shows(2)[1].clone();
    assert!(closed.text.contains("\nFirebase's status page said so at "), "{closed:#?}");
    let closed = eventually("the end", || {
        stored(&hub).into_iter().find(|one| one.state == IncidentState::Closed).ok_or_else(String::new)
    });
    assert_eq!((closed.admitted_at, closed.admission), (told.admitted_at, told.admission));
    hub.stop();
}

#[test]
fn a_page_that_admits_it_already_is_quoted_in_the_first_line() {
    let (slack, page) = (Slack::start(), Page::saying(&statuspage(&incident(chrono::Utc::now()), "")));
    let directory = tempfile::tempdir().unwrap();
    let hub = Hurried::start(directory.path(), with_page(&slack, &page));
    read_as(&hub, FeedWord::Outage);
    hub.rounds(12, &["rtdb"]);
    let opened = slack.shows(1)[0].clone();
    let said = "Firebase's status page says: 'Elevated &lt;errors&gt;' since ";
    assert!(
        opened.headline().contains(said) || opened.headline().contains("'Elevated <errors>' since "),
        "{opened:#?}"
    );
    hub.stop();
}

#[test]
fn of_a_page_that_cannot_be_read_nothing_is_said() {
    let (slack, page) = (Slack::start(), Page::saying("<html>Log in to this network</html>"));
    let directory = tempfile::tempdir().unwrap();
    let hub = Hurried::start(directory.path(), with_page(&slack, &page));
    read_as(&hub, FeedWord::Unknown);
    hub.rounds(12, &["rtdb"]);
    let opened = slack.shows(1)[0].clone();
    assert!(opened.headline().starts_with("It's them: ") && !opened.text.contains("status page"), "{opened:#?}");
    assert!(hub.figures().contains("usoryou_status_feed_state{party=\"firebase\",state=\"unknown\"} 1"));
    hub.stop();
}

#[test]
fn their_planned_work_keeps_people_from_being_told_until_it_ends() {
    let now = chrono::Utc::now();
    let work = |until: i64| {
        let until = now + chrono::TimeDelta::seconds(until);
        serde_json::json!({"id": "m1", "name": "RTDB moves house", "status": "in_progress", "impact": "maintenance",
            "created_at": now, "updated_at": now, "scheduled_for": now, "scheduled_until": until,
            "components": [{"id": "c1", "name": "RTDB"}]})
        .to_string()
    };
    let (slack, page) = (Slack::start(), Page::saying(&statuspage("", &work(3600))));
    let directory = tempfile::tempdir().unwrap();
    let hub = Hurried::start(directory.path(), with_page(&slack, &page));
    read_as(&hub, FeedWord::Maintenance);
    hub.rounds(15, &["rtdb"]);
    let incident =
        stored(&hub).into_iter().find(|one| one.state == IncidentState::Open).expect("an incident all the same");
    let note = incident.note.unwrap();
    assert!(note.starts_with("nobody was told: Firebase's status page plans 'RTDB moves house' until "), "{note}");
    assert_eq!(slack.messages().len(), 0);
    // It is cut short, and still does not work.
    page.says(&statuspage("", ""));
    read_as(&hub, FeedWord::Ok);
    hub.rounds(5, &["rtdb"]);
    assert!(slack.shows(1)[0].headline().starts_with("It's them: "));
    hub.stop();
}

#[test]
fn a_reload_follows_other_feeds() {
    let (slack, page, other) = (Slack::start(), Page::saying(&statuspage("", "")), Page::saying(&statuspage("", "")));
    let directory = tempfile::tempdir().unwrap();
    let hub = Hurried::start(directory.path(), with_page(&slack, &page));
    read_as(&hub, FeedWord::Ok);
    hub.plan.send_replace(Arc::new(with_page(&slack, &other)));
    eventually("the other page to be asked", || if other.asked().len() > 2 { Ok(()) } else { Err(String::new()) });
    let asked = page.asked().len();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(page.asked().len(), asked, "nobody reads the old one");
    hub.plan.send_replace(Arc::new(world(&slack.webhook)));
    eventually("no feed", || if hub.view.borrow().feeds.is_empty() { Ok(()) } else { Err(String::new()) });
    assert!(!hub.figures().contains("usoryou_status_feed_state"));
    hub.stop();
}
