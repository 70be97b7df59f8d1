//! Sessions under a paused clock: what rounds tell while a connection lives, ends, comes back and is ended in order.

use std::{pin::Pin, sync::atomic::AtomicBool};

use super::*;
use crate::{
    config::Session as Held,
    model::{Arrival, Came, Connection, SessionFacts},
    protocol::{End, Ending, Hold, Opening, Session},
};

/// A server with sessions.
struct Server {
    /// Takes connections.
    up: AtomicBool,
    /// Answers pings.
    answers: AtomicBool,
    /// Ends every session now, with this.
    end: watch::Sender<End>,
    opened: Mutex<Vec<Instant>>,
    parted: AtomicUsize,
    /// Each session ends by itself after this.
    life: Option<(Duration, End)>,
}

impl Server {
    fn new(life: Option<(Duration, End)>) -> Arc<Self> {
        Arc::new(Self {
            up: AtomicBool::new(true),
            answers: AtomicBool::new(true),
            end: watch::channel(end(Kind::Reset, false)).0,
            opened: Mutex::default(),
            parted: AtomicUsize::new(0),
            life,
        })
    }

    fn kill(&self) {
        self.up.store(false, SeqCst);
        self.end.send_replace(end(Kind::Reset, false));
    }

    fn opened(&self) -> usize {
        self.opened.lock().unwrap().len()
    }
}

fn end(kind: Kind, on_purpose: bool) -> End {
    End { failure: Failure::new(Phase::Exchange, kind, "as it goes"), on_purpose }
}

struct Line(Arc<Server>);

impl Check for Line {
    fn key(&self) -> &'static str {
        "fake"
    }

    fn target(&self) -> String {
        "fake".into()
    }

    fn look<'a>(&'a self, _: &'a mut Attempt) -> Looking<'a> {
        Box::pin(async { panic!("a session is not looked at") })
    }

    fn hold(&self) -> Option<&dyn Hold> {
        Some(self)
    }
}

impl Hold for Line {
    fn open<'a>(&'a self, attempt: &'a mut Attempt) -> Opening<'a> {
        Box::pin(async move {
            attempt.enter(Phase::Connect, "TCP handshake");
            sleep(Duration::from_millis(10)).await;
            attempt.leave();
            if !self.0.up.load(SeqCst) {
                let lost = Arrival { writer_region: "eu".into(), came: Came::Lost, seconds: None };
                attempt.facts.arrivals.push(lost);
                return Err(Failure::new(Phase::Connect, Kind::Refused, "connection refused"));
            }
            self.0.opened.lock().unwrap().push(Instant::now());
            let open = Open { server: Arc::clone(&self.0), since: Instant::now(), end: self.0.end.subscribe() };
            Ok(Box::new(open) as Box<dyn Session>)
        })
    }
}

struct Open {
    server: Arc<Server>,
    since: Instant,
    end: watch::Receiver<End>,
}

impl Session for Open {
    fn ping<'a>(&'a mut self, attempt: &'a mut Attempt) -> Looking<'a> {
        Box::pin(async move {
            attempt.facts.connection = Connection::Warm;
            attempt.enter(Phase::Exchange, "pong");
            sleep(Duration::from_millis(20)).await;
            if !self.server.answers.load(SeqCst) {
                std::future::pending::<()>().await;
            }
            Ok(())
        })
    }

    fn ended(&mut self) -> Ending<'_> {
        Box::pin(async move {
            let told = async {
                self.end.changed().await.unwrap();
                self.end.borrow().clone()
            };
            match &self.server.life {
                None => told.await,
                Some((life, end)) => {
                    tokio::select! {
                        told = told => told,
                        () = tokio::time::sleep_until(self.since + *life) => end.clone(),
                    }
                }
            }
        })
    }

    fn close(self: Box<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.server.parted.fetch_add(1, SeqCst);
        Box::pin(async {})
    }
}

fn holds(name: &str, server: &Arc<Server>, hold: Duration) -> Arc<Probe> {
    Arc::new(Probe {
        session: Some(Held { hold }),
        check: Arc::new(Line(Arc::clone(server))),
        ..fields(&probe(name, 10 * SECOND, |_| Act::Panic))
    })
}

fn told(facts: &[Observation]) -> Vec<String> {
    let one = |fact: &Observation| {
        let failure = fact.failure.as_ref().map_or_else(String::new, |failure| format!(" {}", failure.kind));
        format!("{} {}{failure}", fact.connection.word(), fact.outcome)
    };
    facts.iter().map(one).collect()
}

#[tokio::test(start_paused = true)]
async fn a_session_is_opened_once_and_asked_on_every_round() {
    let server = Server::new(None);
    let world = World::start(plan(&[holds("a", &server, 3600 * SECOND)], 10));
    sleep(600 * SECOND).await;
    let seen = world.seen("a");
    assert!((59..=61).contains(&seen.len()), "{}", seen.len());
    assert_eq!(told(&seen[..1]), ["cold up"]);
    assert!(told(&seen[1..]).iter().all(|told| told == "warm up"), "{:?}", told(&seen));
    assert!(seen[0].phases.get(Phase::Connect).is_some() && seen[1].phases.get(Phase::Exchange).is_some());
    assert_eq!(server.opened(), 1);
    assert_eq!(world.figure("session_up", "a"), Some(1.0));
    assert!(world.figure("session_age_seconds", "a").unwrap() > 580.0);
    assert!(world.missed("a") < 0.5);
    let ages: Vec<f64> = seen[1..].iter().map(|fact| fact.session.as_ref().unwrap().age.unwrap()).collect();
    assert!(ages.is_sorted(), "{ages:?}");
}

#[tokio::test(start_paused = true)]
async fn after_the_hold_it_is_ended_in_order_and_opened_anew_which_is_no_drop() {
    let server = Server::new(None);
    let world = World::start(plan(&[holds("a", &server, 60 * SECOND)], 10));
    sleep(605 * SECOND).await;
    let colds = told(&world.seen("a")).iter().filter(|told| *told == "cold up").count();
    assert!((8..=11).contains(&colds), "{colds}");
    assert_eq!(server.opened(), colds);
    assert_eq!(server.parted.load(SeqCst), colds - 1);
    assert_eq!(world.figure("session_drops_total", "a"), None);
    assert!(told(&world.seen("a")).iter().all(|told| told.ends_with(" up")));
}

#[tokio::test(start_paused = true)]
async fn a_drop_between_rounds_is_told_by_the_next_one_with_the_way_back() {
    let server = Server::new(None);
    let world = World::start(plan(&[holds("a", &server, 3600 * SECOND)], 10));
    sleep(95 * SECOND).await;
    let before = world.seen("a").len();
    server.end.send_replace(end(Kind::Reset, false));
    sleep(11 * SECOND).await;
    let seen = &world.seen("a")[before..];
    assert_eq!(told(&seen[..1]), ["cold degraded reset"]);
    let Some(SessionFacts { reconnected: Some(reconnected), dropped: Some(dropped), .. }) = &seen[0].session else {
        panic!("{:?}", seen[0].session)
    };
    assert!(*reconnected < 1.0 && dropped.age > 80.0 && !dropped.expected && dropped.kind == Kind::Reset);
    assert!(seen[0].failure.as_ref().unwrap().detail.contains("the session ended after 9"), "{:?}", seen[0].failure);
    sleep(30 * SECOND).await;
    let after = told(&world.seen("a")[before + 1..]);
    assert!(after.len() >= 3 && after.iter().all(|told| told == "warm up"), "{after:?}");
    assert_eq!(world.figure("session_drops_total", "a"), Some(1.0));
    assert_eq!(world.figure("session_reconnect_seconds_count", "a"), Some(1.0));
    let ids: std::collections::HashSet<_> = world.seen("a").iter().map(|fact| fact.id).collect();
    assert_eq!(ids.len(), world.seen("a").len());
}

#[tokio::test(start_paused = true)]
async fn sessions_that_end_as_soon_as_they_are_open_are_not_opened_in_a_frenzy() {
    let server = Server::new(Some((Duration::from_millis(100), end(Kind::TakenOver, false))));
    let world = World::start(plan(&[holds("a", &server, 3600 * SECOND)], 10));
    sleep(120 * SECOND).await;
    // By the waits of a real client, up to six seconds, and once for a round that finds it closed.
    assert!((12..=50).contains(&server.opened()), "{}", server.opened());
    let told = told(&world.seen("a"));
    assert!(told.iter().skip(1).all(|told| told.ends_with("taken_over") || told.starts_with("warm")), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn rounds_that_fall_while_it_is_down_tell_the_last_try() {
    let server = Server::new(None);
    let world = World::start(plan(&[holds("a", &server, 3600 * SECOND)], 10));
    sleep(95 * SECOND).await;
    let before = world.seen("a").len();
    server.kill();
    sleep(60 * SECOND).await;
    let down = world.seen("a")[before..].to_vec();
    assert!((5..=7).contains(&down.len()), "{}", down.len());
    assert!(told(&down).iter().all(|told| told == "cold down refused"), "{:?}", told(&down));
    assert_eq!(down.iter().filter(|fact| fact.session.as_ref().unwrap().dropped.is_some()).count(), 1);
    assert_eq!(world.figure("session_up", "a"), Some(0.0));
    assert_eq!(world.figure("session_age_seconds", "a"), None);
    // Every try's message is told once, by whichever round comes after it.
    let lost: usize = down.iter().map(|fact| fact.arrivals.len()).sum();
    assert!(lost >= 8, "{lost}");
    server.up.store(true, SeqCst);
    let returned = Instant::now();
    sleep(20 * SECOND).await;
    let back = *server.opened.lock().unwrap().last().unwrap();
    assert!(back.duration_since(returned) < 10 * SECOND);
    let after = world.seen("a")[before + down.len()..].to_vec();
    assert!(told(&after).contains(&"cold up".to_owned()), "{:?}", told(&after));
    assert_eq!(told(&after).last().unwrap(), "warm up");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_are_back_ten_seconds_after_their_server_and_do_not_come_all_at_once() {
    let server = Server::new(None);
    let probes: Vec<_> = (0..1000).map(|n| holds(&format!("s{n}"), &server, 3600 * SECOND)).collect();
    let _world = World::start(plan(&probes, 512));
    sleep(30 * SECOND).await;
    assert_eq!(server.opened(), 1000);
    server.kill();
    sleep(45 * SECOND).await;
    server.up.store(true, SeqCst);
    let returned = Instant::now();
    sleep(30 * SECOND).await;
    let back: Vec<Duration> =
        server.opened.lock().unwrap()[1000..].iter().map(|at| at.duration_since(returned)).collect();
    assert_eq!(back.len(), 1000);
    assert!(back.iter().all(|after| *after < 10 * SECOND), "{:?}", back.iter().max());
    let in_one_second = (0..10).map(|second| back.iter().filter(|after| after.as_secs() == second).count()).max();
    assert!(in_one_second.unwrap() < 500, "{in_one_second:?}");
}

#[tokio::test(start_paused = true)]
async fn a_half_open_connection_is_found_within_two_intervals() {
    let server = Server::new(None);
    let world = World::start(plan(&[holds("a", &server, 3600 * SECOND)], 10));
    sleep(95 * SECOND).await;
    let before = world.seen("a").len();
    server.answers.store(false, SeqCst);
    sleep(20 * SECOND).await;
    let seen = world.seen("a")[before..].to_vec();
    assert_eq!(told(&seen)[0], "warm down timed_out");
    assert_eq!(seen[0].failure.as_ref().unwrap().detail, "no pong within 5s");
    assert_eq!(seen[0].session.as_ref().unwrap().dropped.as_ref().unwrap().kind, Kind::TimedOut);
    sleep(12 * SECOND).await;
    let seen = world.seen("a")[before..].to_vec();
    assert_eq!(told(&seen)[1], "cold up", "opened again at once, which was told already");
}

#[tokio::test(start_paused = true)]
async fn a_usual_end_makes_no_bad_round_and_an_early_one_does() {
    let server = Server::new(Some((3600 * SECOND, end(Kind::ClosedEarly, true))));
    let world = World::start(plan(&[holds("a", &server, 100_000 * SECOND)], 10));
    sleep(5 * 3605 * SECOND).await;
    let all = told(&world.seen("a"));
    assert!(all.iter().all(|told| told.ends_with(" up")), "{:?}", all.iter().find(|told| !told.ends_with(" up")));
    assert!(world.figure("session_drops_total", "a").unwrap() >= 4.0);
    let expected = world.seen("a").iter().filter_map(|fact| fact.session.clone()?.dropped).all(|drop| drop.expected);
    assert!(expected);
    let before = all.len();
    sleep(600 * SECOND).await;
    server.end.send_replace(end(Kind::ClosedEarly, true));
    sleep(15 * SECOND).await;
    let after = told(&world.seen("a")[before..]);
    assert!(after.contains(&"cold degraded closed_early".to_owned()), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_the_session_of_a_probe_that_stays_and_ends_that_of_one_that_goes() {
    let (stays, goes) = (Server::new(None), Server::new(None));
    let kept = holds("stays", &stays, 3600 * SECOND);
    let mut world = World::start(plan(&[Arc::clone(&kept), holds("goes", &goes, 3600 * SECOND)], 10));
    sleep(33 * SECOND).await;
    world.plan.send_replace(plan(&[kept], 10));
    sleep(33 * SECOND).await;
    assert_eq!((stays.opened(), stays.parted.load(SeqCst)), (1, 0));
    assert_eq!((goes.opened(), goes.parted.load(SeqCst)), (1, 1));
    assert_eq!(world.figure("session_up", "goes"), None);
    assert_eq!(world.figure("session_up", "stays"), Some(1.0));
    world.stop.take().unwrap().send(()).unwrap();
    (&mut world.ended).await.unwrap();
    assert_eq!(stays.parted.load(SeqCst), 1, "stopping ends it in order");
}
