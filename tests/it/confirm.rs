//! A failure looked into on real sockets: a name with a sick and a healthy address, a resolver that knows better, a
//! credential that is refused, a connection that has died.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt as _,
    sync::{mpsc, watch},
};
use usoryou::{
    config::Confirm,
    engine::{Engine, Observer},
    metrics::Metrics,
    model::{Connection, Observation, Outcome, Varied},
    net::{Net, Resolver},
};

use crate::support::{
    fake::{self, Fake},
    nameserver::{self, Nameserver},
    site,
};

/// What a probe sees until nothing has come for three seconds.
async fn seen(check: Value, net: Net, confirm: Confirm) -> Vec<Observation> {
    let mut plan = site::plan(&[("p", check)]);
    Arc::get_mut(&mut plan.probes[0]).unwrap().confirm = Some(confirm);
    let plan = Arc::new(plan);
    let (sink, mut facts) = mpsc::channel(64);
    let (_plans, plans) = watch::channel(Arc::clone(&plan));
    let observer = Observer::new(Arc::new(net), plan.vantage.clone(), Arc::clone(&plan.hash));
    let engine =
        Engine { observer, metrics: Metrics::new("test"), plan: plans, placement: usoryou::engine::unplaced(), sink };
    let engine = tokio::spawn(engine.run(std::future::pending()));
    let mut seen: Vec<Observation> = Vec::new();
    while let Ok(Some(fact)) = tokio::time::timeout(Duration::from_secs(3), facts.recv()).await {
        seen.push(fact);
    }
    engine.abort();
    seen
}

fn confirmed(seen: &[Observation]) -> BTreeMap<Varied, &Observation> {
    let failed = seen.iter().find(|fact| fact.outcome == Outcome::Down && fact.varied.is_none()).unwrap();
    for fact in seen.iter().filter(|fact| fact.varied.is_some()) {
        let after = (fact.started_at.unwrap() - failed.started_at.unwrap()).num_milliseconds();
        assert!((0..2100).contains(&after), "{after} ms: {fact:?}");
    }
    seen.iter().filter_map(|fact| Some((fact.varied?, fact))).collect()
}

fn outcomes(confirmed: &BTreeMap<Varied, &Observation>) -> Vec<(Varied, Outcome)> {
    confirmed.iter().map(|(varied, fact)| (*varied, fact.outcome)).collect()
}

const NO: &[u8] = b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno";

#[tokio::test]
async fn a_healthy_address_and_an_answer_without_the_credential_are_found() {
    // 127.0.0.1 refuses the credential, 127.0.0.2 takes it.
    let sick = Fake::tcp(|mut stream| async move {
        while let Some(head) = fake::request(&mut stream).await {
            let answer = if head.contains("authorization") { NO.to_vec() } else { fake::ok("hello") };
            let _ = stream.write_all(&answer).await;
        }
    })
    .await;
    let healthy = tokio::net::TcpListener::bind(("127.0.0.2", sick.port)).await.unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = healthy.accept().await.unwrap();
            tokio::spawn(async move { fake::answers(stream, &fake::ok("hello")).await });
        }
    });
    let names =
        Nameserver::udp(|question, _| nameserver::one(&nameserver::addresses(question, &["127.0.0.1", "127.0.0.2"])))
            .await;
    let net = Net { resolver: Resolver::with_servers(vec![names.address]), ..Net::default() };
    let url = format!("http://two.test:{}/", sick.port);
    let check = json!({"http": {"url": url, "headers": {"Authorization": "Bearer s3cret"}}});
    let seen = seen(check, net, Confirm::default()).await;
    let confirmed = confirmed(&seen);
    // It has no address of the other family, and there is no other resolver.
    let wanted = [(Varied::Again, Outcome::Down), (Varied::Address, Outcome::Up), (Varied::Credential, Outcome::Up)];
    assert_eq!(outcomes(&confirmed), wanted);
    let other = SocketAddr::from(([127, 0, 0, 2], sick.port));
    assert_eq!(confirmed[&Varied::Address].peer, Some(other));
    assert_eq!(seen.iter().filter(|fact| fact.varied.is_none()).count(), 1);
}

#[tokio::test]
async fn another_resolver_is_asked_for_a_name_that_is_lost() {
    let server = Fake::tcp(|stream| async move { fake::answers(stream, &fake::ok("hello")).await }).await;
    let lost = Nameserver::udp(|question, _| {
        nameserver::one(&nameserver::error(question, hickory_proto::op::ResponseCode::NXDomain))
    })
    .await;
    let knows = Nameserver::udp(|question, _| nameserver::one(&nameserver::addresses(question, &["127.0.0.1"]))).await;
    let check = json!({"http": {"url": format!("http://lost.test:{}/", server.port)}});

    let net = || Net { resolver: Resolver::with_servers(vec![lost.address]), ..Net::default() };
    let configured = Confirm { resolver: Some(knows.address), ..Confirm::default() };
    let wanted = [(Varied::Again, Outcome::Down), (Varied::Resolver, Outcome::Up)];
    let found = seen(check.clone(), net(), configured).await;
    assert_eq!(outcomes(&confirmed(&found)), wanted);
    assert_eq!(confirmed(&found)[&Varied::Resolver].resolver, Some(knows.address.to_string()));

    // Without one the next of the system's is asked, and without that nobody.
    let both = Net { resolver: Resolver::with_servers(vec![lost.address, knows.address]), ..Net::default() };
    assert_eq!(outcomes(&confirmed(&seen(check.clone(), both, Confirm::default()).await)), wanted);
    let alone = seen(check, net(), Confirm::default()).await;
    assert_eq!(outcomes(&confirmed(&alone)), [(Varied::Again, Outcome::Down)]);
}

#[tokio::test]
async fn a_dead_connection_is_told_from_a_dead_server() {
    // The second request on a connection is never answered.
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    let server = Fake::tcp(move |mut stream| {
        count.fetch_add(1, SeqCst);
        async move {
            let _ = fake::request(&mut stream).await;
            let _ = stream.write_all(&fake::ok("hello")).await;
            fake::silence(stream).await;
        }
    })
    .await;
    let check = json!({"http": {"url": server.url("/"), "connection": "both"}});
    let mut plan = site::plan(&[("p", check)]);
    let probe = Arc::get_mut(&mut plan.probes[0]).unwrap();
    (probe.confirm, probe.timeout) = (Some(Confirm::default()), Duration::from_secs(1));
    let (sink, mut facts) = mpsc::channel(64);
    let (_plans, plans) = watch::channel(Arc::new(plan));
    let vantage = plans.borrow().vantage.clone();
    let observer = Observer::new(Arc::new(Net::default()), vantage, "".into());
    let engine =
        Engine { observer, metrics: Metrics::new("test"), plan: plans, placement: usoryou::engine::unplaced(), sink };
    let _engine = tokio::spawn(engine.run(std::future::pending()));
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(tokio::time::timeout(Duration::from_secs(5), facts.recv()).await.unwrap().unwrap());
    }
    let came_to = |fact: &Observation| (fact.connection, fact.outcome, fact.varied);
    let wanted = [
        (Connection::Cold, Outcome::Up, None),
        (Connection::Warm, Outcome::Down, None),
        (Connection::Cold, Outcome::Up, Some(Varied::Connection)),
    ];
    assert_eq!(seen.iter().map(came_to).collect::<Vec<_>>(), wanted);
    assert_eq!(connections.load(SeqCst), 2);
}

#[tokio::test]
async fn streams_are_asked_without_their_credential_too() {
    // Whoever brings one is refused; others are told to bring one, or that the server is broken.
    for (without, outcome) in [("401 Who?", Outcome::Up), ("503 No", Outcome::Down)] {
        let server = Fake::tcp(move |mut stream| async move {
            while let Some(head) = fake::request(&mut stream).await {
                let has_one = head.contains("authorization: Bearer") || head.contains("access_token=s3cret");
                let status = if has_one { "403 No" } else { without };
                let _ = stream.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes()).await;
            }
        })
        .await;
        let web = json!({"websocket": {"url": format!("ws://127.0.0.1:{}/?access_token=s3cret", server.port)}});
        let events = json!({"sse": {"url": server.url("/"), "headers": {"Authorization": "Bearer s3cret"}}});
        for check in [web, events] {
            let seen = seen(check, Net::default(), Confirm::default()).await;
            let confirmed = confirmed(&seen);
            let wanted = [(Varied::Again, Outcome::Down), (Varied::Credential, outcome)];
            assert_eq!(outcomes(&confirmed), wanted, "{without}");
        }
    }
}
