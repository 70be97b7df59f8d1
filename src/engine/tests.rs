//! The engine's loop under a paused clock: what it runs when, whatever targets and clocks do.

use std::sync::{
    Mutex,
    atomic::{AtomicI64, AtomicUsize, Ordering::SeqCst},
};

use chrono::TimeDelta;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep},
};

use super::*;
use crate::{
    config::{Alerts, Keep},
    metrics::Format,
    model::{Failure, Kind, Outcome, PartyKind, Phase, Subject},
    net::Net,
    protocol::{Attempt, Check, CheckFile, Looking},
};

#[path = "confirm_tests.rs"]
mod confirming;
#[path = "session_tests.rs"]
mod holding;

/// A wall clock that goes with the paused one and can be set.
struct Wall {
    base: Timestamp,
    started: Instant,
    offset_ms: AtomicI64,
}

impl Wall {
    fn new() -> Arc<Self> {
        let base = "2026-11-22T10:32:00.123Z".parse().unwrap();
        Arc::new(Self { base, started: Instant::now(), offset_ms: AtomicI64::new(0) })
    }

    fn jump(&self, by: TimeDelta) {
        self.offset_ms.fetch_add(by.num_milliseconds(), SeqCst);
    }
}

impl Clock for Wall {
    fn wall(&self) -> Timestamp {
        self.base + self.started.elapsed() + TimeDelta::milliseconds(self.offset_ms.load(SeqCst))
    }
}

/// A target, as a function of how often it was looked at.
struct Fake<F>(F, AtomicUsize);

impl<F: Fn(usize) -> Act + Send + Sync> Check for Fake<F> {
    fn key(&self) -> &'static str {
        "fake"
    }

    fn target(&self) -> String {
        "fake".into()
    }

    fn look<'a>(&'a self, attempt: &'a mut Attempt) -> Looking<'a> {
        Box::pin(async move {
            attempt.enter(Phase::Exchange, "answer");
            match (self.0)(self.1.fetch_add(1, SeqCst)) {
                Act::AnswerAfter(wait) => {
                    sleep(wait).await;
                    Ok(())
                }
                Act::Fail(kind) => Err(Failure::new(Phase::Exchange, kind, "")),
                Act::SlowDown(wait) => {
                    attempt.facts.retry_after = Some(wait);
                    Err(Failure::new(Phase::Exchange, Kind::RateLimited, ""))
                }
                Act::Panic => panic!("on purpose"),
            }
        })
    }
}

enum Act {
    AnswerAfter(Duration),
    Fail(Kind),
    SlowDown(Duration),
    Panic,
}

const SECOND: Duration = Duration::from_secs(1);

fn probe(name: &str, interval: Duration, act: impl Fn(usize) -> Act + Send + Sync + 'static) -> Arc<Probe> {
    Arc::new(Probe {
        name: name.into(),
        subject: Subject { party: "party".into(), product: None },
        kind: PartyKind::Provider,
        interval,
        timeout: interval.min(5 * SECOND),
        confirm: None,
        session: None,
        check: Arc::new(Fake(act, AtomicUsize::new(0))),
        file: serde_json::from_value::<CheckFile>(serde_json::json!({"tcp": {"address": "127.0.0.1:1"}})).unwrap(),
        vantages: 2,
        fingerprint: name.into(),
    })
}

fn plan(probes: &[Arc<Probe>], concurrency: usize) -> Arc<Plan> {
    Arc::new(Plan {
        hash: "sha256:0".into(),
        vantage: Vantage { region: "eu-west".into(), node: "n1".into() },
        hosted_on: None,
        parties: std::collections::BTreeMap::new(),
        probes: probes.to_vec(),
        clients: std::collections::BTreeMap::new(),
        alerts: Alerts {
            open_after: 3,
            close_after: 5,
            channels: std::collections::BTreeMap::new(),
            routes: Vec::new(),
            habits: crate::notify::Habits::default(),
        },
        maintenance: Vec::new(),
        keep: Keep { age: SECOND, bytes: None },
        concurrency,
        hubs: None,
        agents: Vec::new(),
        store: None,
        slack_signing_secret: None,
    })
}

/// An engine that runs, and all that it has seen.
struct World {
    wall: Arc<Wall>,
    metrics: Arc<Metrics>,
    plan: watch::Sender<Arc<Plan>>,
    seen: Arc<Mutex<Vec<Observation>>>,
    stop: Option<oneshot::Sender<()>>,
    ended: tokio::task::JoinHandle<()>,
}

impl World {
    fn start(first: Arc<Plan>) -> Self {
        let wall = Wall::new();
        let metrics = Metrics::new("test");
        let (plan, plans) = watch::channel(first);
        let (sink, mut facts) = mpsc::channel(64);
        let engine = Engine {
            observer: observer(Arc::clone(&wall) as Arc<dyn Clock>),
            metrics: Arc::clone(&metrics),
            plan: plans,
            placement: crate::engine::unplaced(),
            sink,
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = tokio::spawn(engine.run(async { drop(stopped.await) }));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Some(fact) = facts.recv().await {
                all.lock().unwrap().push(fact);
            }
        });
        Self { wall, metrics, plan, seen, stop: Some(stop), ended }
    }

    fn seen(&self, probe: &str) -> Vec<Observation> {
        self.seen.lock().unwrap().iter().filter(|fact| &*fact.probe == probe).cloned().collect()
    }

    /// A figure of a probe, as a scrape shows it.
    fn figure(&self, name: &str, probe: &str) -> Option<f64> {
        let page = String::from_utf8(self.metrics.encode(Format::Text).unwrap()).unwrap();
        let label = format!("probe=\"{probe}\"");
        let line = page.lines().find(|line| line.starts_with(&format!("usoryou_{name}{{")) && line.contains(&label))?;
        line.rsplit_once(' ')?.1.parse().ok()
    }

    fn missed(&self, probe: &str) -> f64 {
        self.figure("probe_missed_runs_total", probe).unwrap()
    }
}

fn observer(clock: Arc<dyn Clock>) -> Observer {
    let health = Health::watch(Arc::clone(&clock));
    let vantage = Vantage { region: "elsewhere".into(), node: "n0".into() };
    Observer { clock, health, ..Observer::new(Net::system(Vec::new()).unwrap(), vantage, "".into()) }
}

fn answers(after_ms: u64) -> impl Fn(usize) -> Act + Send + Sync {
    move |_| Act::AnswerAfter(Duration::from_millis(after_ms))
}

#[tokio::test(start_paused = true)]
async fn every_round_is_seen_once_in_its_slot() {
    let world = World::start(plan(&[probe("a", 10 * SECOND, answers(30))], 10));
    sleep(3600 * SECOND).await;
    let seen = world.seen("a");
    assert!((359..=361).contains(&seen.len()), "{}", seen.len());
    assert!(seen[1..].windows(2).all(|pair| pair[0].round + 1 == pair[1].round));
    assert!(seen.iter().all(|fact| fact.outcome == Outcome::Up && fact.duration.as_millis() == 30));
    for fact in &seen {
        let late = fact.started_at.unwrap() - fact.scheduled_at;
        assert!(late >= TimeDelta::zero() && late <= TimeDelta::milliseconds(3), "{late}");
    }
    assert!((world.missed("a")).abs() < f64::EPSILON);
    let ids: std::collections::HashSet<_> = seen.iter().map(|fact| fact.id).collect();
    assert_eq!(ids.len(), seen.len());
}

#[tokio::test(start_paused = true)]
async fn a_slow_target_delays_nobody_and_its_missed_rounds_are_counted() {
    let slow = Arc::new(Probe { timeout: 5 * SECOND, ..fields(&probe("slow", SECOND, answers(2500))) });
    let world = World::start(plan(&[slow, probe("quick", SECOND, answers(1))], 10));
    sleep(60 * SECOND).await;
    let quick = world.seen("quick");
    assert!((59..=61).contains(&quick.len()) && world.missed("quick") < 0.5, "{}", quick.len());
    let slow = world.seen("slow");
    assert!((19..=21).contains(&slow.len()), "{}", slow.len());
    assert!((38.0..=41.0).contains(&world.missed("slow")), "{}", world.missed("slow"));
}

#[tokio::test(start_paused = true)]
async fn concurrency_is_bounded_and_waits_no_longer_than_a_round() {
    let probes: Vec<_> = (0..10).map(|n| probe(&format!("p{n}"), SECOND, answers(400))).collect();
    let world = World::start(plan(&probes, 2));
    sleep(100 * SECOND).await;
    let total: usize = (0..10).map(|n| world.seen(&format!("p{n}")).len()).sum();
    let missed: f64 = (0..10).map(|n| world.missed(&format!("p{n}"))).sum();
    // Two at a time, 0.4 s each: five a second of ten that are due.
    assert!((480..=505).contains(&total), "{total}");
    assert!((470.0..=540.0).contains(&missed), "{missed}");
    assert!((0..10).all(|n| world.seen(&format!("p{n}")).len() > 10), "nobody is left out for good");
}

#[tokio::test(start_paused = true)]
async fn a_silent_target_ends_at_its_deadline_and_a_panic_is_our_own_fault() {
    let silent = probe("silent", 10 * SECOND, answers(3_600_000));
    let world = World::start(plan(&[silent, probe("panics", 10 * SECOND, |_| Act::Panic)], 10));
    sleep(60 * SECOND).await;
    let silent = &world.seen("silent")[0];
    let failure = silent.failure.as_ref().unwrap();
    assert_eq!((silent.outcome, failure.kind, failure.phase), (Outcome::Down, Kind::TimedOut, Phase::Exchange));
    assert_eq!(failure.detail, "no answer within 5s");
    assert!(silent.duration >= 5 * SECOND && silent.duration < Duration::from_millis(5050), "{:?}", silent.duration);
    let panics = world.seen("panics");
    assert!(panics.len() >= 5, "{}", panics.len());
    assert_eq!(panics[0].outcome, Outcome::Inconclusive);
    assert_eq!(panics[0].failure.as_ref().unwrap().kind, Kind::Internal);
}

#[tokio::test(start_paused = true)]
async fn a_clock_set_forward_and_back_repeats_no_id_and_keeps_the_pace() {
    let world = World::start(plan(&[probe("a", 10 * SECOND, answers(5))], 10));
    sleep(60 * SECOND).await;
    world.wall.jump(TimeDelta::hours(1));
    sleep(60 * SECOND).await;
    assert!((358.0..=361.0).contains(&world.missed("a")), "{}", world.missed("a"));
    world.wall.jump(TimeDelta::hours(-2));
    sleep(60 * SECOND).await;
    world.wall.jump(TimeDelta::hours(1));
    sleep(60 * SECOND).await;
    let seen = world.seen("a");
    assert!((22..=25).contains(&seen.len()), "{}", seen.len());
    let ids: std::collections::HashSet<_> = seen.iter().map(|fact| fact.id).collect();
    assert_eq!(ids.len(), seen.len(), "a round that is run again has another id");
    assert!(seen.iter().all(|fact| fact.started_at.unwrap() - fact.scheduled_at < TimeDelta::milliseconds(5)));
}

#[tokio::test(start_paused = true)]
async fn what_times_out_while_the_machine_sleeps_counts_against_nobody() {
    let world = World::start(plan(&[probe("a", 10 * SECOND, answers(3_600_000))], 10));
    // The monotonic clock stands still while a machine is suspended: only the wall clock moves.
    sleep(SECOND).await;
    world.wall.jump(TimeDelta::minutes(30));
    sleep(8 * SECOND).await;
    let first = &world.seen("a")[0];
    assert_eq!((first.outcome, first.failure.as_ref().unwrap().kind), (Outcome::Inconclusive, Kind::Starved));
}

#[tokio::test(start_paused = true)]
async fn a_target_that_says_slow_down_is_left_alone() {
    let act = |n| if n == 0 { Act::SlowDown(60 * SECOND) } else { Act::Fail(Kind::Refused) };
    let world = World::start(plan(&[probe("a", 10 * SECOND, act)], 10));
    sleep(59 * SECOND).await;
    assert_eq!(world.seen("a").len(), 1);
    assert!((4.0..=6.0).contains(&world.missed("a")), "{}", world.missed("a"));
    sleep(20 * SECOND).await;
    assert!(world.seen("a").len() >= 2);
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_what_stays_and_forgets_what_goes() {
    let (stays, goes) = (probe("stays", 10 * SECOND, answers(5)), probe("goes", 10 * SECOND, answers(4000)));
    let world = World::start(plan(&[Arc::clone(&stays), Arc::clone(&goes)], 10));
    sleep(33 * SECOND).await;
    assert!(world.figure("probe_missed_runs_total", "goes").is_some());
    world.plan.send_replace(plan(&[probe("new", 10 * SECOND, answers(5)), stays], 10));
    sleep(2 * SECOND).await;
    assert_eq!(world.seen("new").len(), 1, "a new probe is run at once");
    sleep(58 * SECOND).await;
    assert!(world.figure("probe_missed_runs_total", "goes").is_none());
    let stayed = world.seen("stays");
    assert!(stayed[1..].windows(2).all(|pair| pair[0].round + 1 == pair[1].round));
    assert!((8..=10).contains(&stayed.len()), "{}", stayed.len());
    let gone = world.seen("goes").len();
    sleep(30 * SECOND).await;
    assert_eq!(world.seen("goes").len(), gone);
}

#[tokio::test(start_paused = true)]
async fn stopping_lets_runs_end_and_cuts_off_those_that_do_not() {
    let quick = probe("quick", 60 * SECOND, answers(2000));
    let mut world = World::start(plan(&[quick, probe("never", 60 * SECOND, answers(3_600_000))], 10));
    sleep(SECOND).await;
    let asked = Instant::now();
    world.stop.take().unwrap().send(()).unwrap();
    (&mut world.ended).await.unwrap();
    assert!(asked.elapsed() >= DRAIN && asked.elapsed() < DRAIN + SECOND, "{:?}", asked.elapsed());
    tokio::task::yield_now().await;
    assert_eq!((world.seen("quick").len(), world.seen("never").len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_full_sink_holds_up_runs_and_loses_no_fact() {
    let wall = Wall::new();
    let (sink, mut facts) = mpsc::channel(1);
    let (_plan, plans) = watch::channel(plan(&[probe("a", SECOND, answers(1))], 10));
    let metrics = Metrics::new("test");
    let engine = Engine { observer: observer(wall), metrics, plan: plans, placement: crate::engine::unplaced(), sink };
    let _engine = tokio::spawn(engine.run(std::future::pending()));
    sleep(60 * SECOND).await;
    let mut rounds = Vec::new();
    for _ in 0..10 {
        rounds.push(facts.recv().await.unwrap().round);
    }
    // The two that were under way or waiting, then the present ones: what lies between was missed, not queued.
    assert!(rounds[1] - rounds[0] <= 2 && rounds[2] - rounds[1] > 50, "{rounds:?}");
    assert!(rounds[2..].windows(2).all(|pair| pair[0] + 1 == pair[1]), "{rounds:?}");
}

fn fields(probe: &Probe) -> Probe {
    Probe {
        name: Arc::clone(&probe.name),
        subject: probe.subject.clone(),
        kind: probe.kind,
        interval: probe.interval,
        timeout: probe.timeout,
        confirm: probe.confirm,
        session: probe.session,
        check: Arc::clone(&probe.check),
        file: probe.file.clone(),
        vantages: probe.vantages,
        fingerprint: Arc::clone(&probe.fingerprint),
    }
}
