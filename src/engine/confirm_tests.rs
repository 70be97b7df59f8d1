//! What is asked again after a failure, when, and above all how little.

use std::collections::{BTreeSet, HashSet};

use super::*;
use crate::{
    config::Confirm,
    model::{Connection, Varied},
    protocol::{Endpoint, Ip},
};

/// What one look comes to, told by how many looks there were before it and by the attempt.
type Answer = dyn Fn(usize, &mut Attempt) -> (Duration, Result<(), Failure>) + Send + Sync;

/// A service on a host of its own, which has an address of each family.
struct Service {
    host: String,
    answer: Box<Answer>,
    looks: AtomicUsize,
    credential: bool,
}

impl Check for Service {
    fn key(&self) -> &'static str {
        "fake"
    }

    fn target(&self) -> String {
        format!("{}:443", self.host)
    }

    fn without_credential(&self) -> Option<Arc<dyn Check>> {
        let answer = |_: usize, _: &mut Attempt| (Duration::ZERO, Ok(()));
        let bare =
            Self { host: self.host.clone(), answer: Box::new(answer), looks: AtomicUsize::new(0), credential: false };
        self.credential.then(|| Arc::new(bare) as Arc<dyn Check>)
    }

    fn look<'a>(&'a self, attempt: &'a mut Attempt) -> Looking<'a> {
        Box::pin(async move {
            let host = format!("{}.localhost", self.host);
            let addresses = attempt.resolve(&Endpoint { host, port: 443, ip: Ip::Any }).await?;
            attempt.facts.peer = addresses.first().copied();
            attempt.enter(Phase::FirstByte, "answer");
            let (wait, answer) = (self.answer)(self.looks.fetch_add(1, SeqCst), attempt);
            sleep(wait).await;
            answer
        })
    }
}

fn service(
    name: &str,
    host: &str,
    answer: impl Fn(usize, &mut Attempt) -> (Duration, Result<(), Failure>) + Send + Sync + 'static,
) -> Arc<Probe> {
    let host = host.to_owned();
    let check =
        Service { host, answer: Box::new(answer), looks: AtomicUsize::new(0), credential: name == "credential" };
    Arc::new(Probe {
        confirm: Some(Confirm::default()),
        check: Arc::new(check),
        ..fields(&probe(name, 10 * SECOND, |_| Act::Panic))
    })
}

fn fails(kind: Kind) -> Result<(), Failure> {
    Err(Failure::new(Phase::FirstByte, kind, ""))
}

fn confirmations(world: &World, probe: &str) -> Vec<Observation> {
    world.seen(probe).into_iter().filter(|fact| fact.varied.is_some()).collect()
}

fn varied(facts: &[Observation]) -> BTreeSet<(Varied, Outcome)> {
    facts.iter().filter_map(|fact| Some((fact.varied?, fact.outcome))).collect()
}

#[tokio::test(start_paused = true)]
async fn the_first_bad_round_is_looked_into_within_two_seconds_one_thing_at_a_time() {
    let by_v6 = |looks, attempt: &mut Attempt| {
        let broken = looks > 2 && attempt.facts.peer.unwrap().is_ipv6();
        (Duration::ZERO, if broken { fails(Kind::StatusUnexpected) } else { Ok(()) })
    };
    let world = World::start(plan(&[service("a", "a", by_v6)], 10));
    sleep(120 * SECOND).await;
    let rounds: Vec<_> = world.seen("a").into_iter().filter(|fact| fact.varied.is_none()).collect();
    let failed = rounds.iter().find(|fact| fact.outcome == Outcome::Down).unwrap();
    let confirmed = confirmations(&world, "a");
    // It has one address of each family, and no resolver was asked for them.
    assert_eq!(varied(&confirmed), [(Varied::Again, Outcome::Down), (Varied::Family, Outcome::Up)].into());
    assert_eq!(confirmed.len(), 2, "{confirmed:?}");
    for fact in &confirmed {
        let after = fact.started_at.unwrap() - failed.scheduled_at;
        assert!(after < TimeDelta::seconds(2), "{after}");
        assert!((fact.started_at.unwrap() - fact.scheduled_at).abs() < TimeDelta::milliseconds(5), "{fact:?}");
        assert_eq!(fact.round, failed.round);
    }
    let ids: HashSet<_> = world.seen("a").into_iter().map(|fact| fact.id).collect();
    assert_eq!(ids.len(), rounds.len() + 2);

    // They are no runs.
    let page = String::from_utf8(world.metrics.encode(Format::Text).unwrap()).unwrap();
    let sum = |name: &str| -> f64 {
        let lines = page.lines().filter(|line| line.starts_with(&format!("usoryou_{name}{{")));
        lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    };
    assert!((sum("probe_runs_total") - rounds.len() as f64).abs() < 0.5);
    assert!((sum("probe_duration_seconds_count") - rounds.len() as f64).abs() < 0.5);
    assert!((sum("confirmations_total") - 2.0).abs() < 0.5, "{page}");
    assert!(world.figure("probe_up", "a").unwrap() < 0.5, "a confirmation that is up makes no probe up");
}

#[tokio::test(start_paused = true)]
async fn what_makes_no_sense_for_a_probe_is_not_asked() {
    let refused = |_, _: &mut Attempt| (Duration::ZERO, Err(Failure::new(Phase::Connect, Kind::Refused, "")));
    let unauthorized = |_, _: &mut Attempt| (Duration::ZERO, fails(Kind::Unauthorized));
    let on_warm = |looks, attempt: &mut Attempt| {
        attempt.facts.connection = if attempt.alone { Connection::Cold } else { Connection::Warm };
        (Duration::ZERO, if looks > 0 && !attempt.alone { fails(Kind::Reset) } else { Ok(()) })
    };
    let off = Arc::new(Probe { confirm: None, ..fields(&service("off", "off", unauthorized)) });
    let probes = [
        service("refused", "r", refused),
        service("credential", "c", unauthorized),
        service("warm", "w", on_warm),
        off,
    ];
    let world = World::start(plan(&probes, 10));
    sleep(60 * SECOND).await;
    let (down, up) = (Outcome::Down, Outcome::Up);
    let seen = |probe| varied(&confirmations(&world, probe));
    assert_eq!(seen("refused"), [(Varied::Again, down), (Varied::Family, down)].into());
    let wanted = [(Varied::Again, down), (Varied::Credential, up), (Varied::Family, down)];
    assert_eq!(seen("credential"), wanted.into());
    assert_eq!(seen("warm"), [(Varied::Connection, up), (Varied::Family, up)].into());
    assert_eq!(seen("off"), [].into());
}

#[tokio::test(start_paused = true)]
async fn a_host_is_asked_no_more_than_its_budget_whatever_fails_there() {
    // Twenty probes that flap together for eighty minutes.
    let flaps =
        |looks: usize, _: &mut Attempt| (Duration::ZERO, if looks % 2 == 1 { fails(Kind::Reset) } else { Ok(()) });
    let probes: Vec<_> = (0..20).map(|n| service(&format!("p{n}"), "one", flaps)).collect();
    let world = World::start(plan(&probes, 512));
    sleep(2400 * SECOND).await;
    // A reload that changes every probe does not fill the budget again.
    let changed = |probe: &Arc<Probe>| Arc::new(Probe { timeout: SECOND, fingerprint: "b".into(), ..fields(probe) });
    world.plan.send_replace(plan(&probes.iter().map(changed).collect::<Vec<_>>(), 512));
    sleep(2400 * SECOND).await;
    let mut at: Vec<_> =
        (0..20).flat_map(|n| confirmations(&world, &format!("p{n}"))).map(|fact| fact.started_at.unwrap()).collect();
    at.sort_unstable();
    assert!(at.len() > 40, "{}", at.len());
    for (index, first) in at.iter().enumerate() {
        // A grant is spent within two seconds.
        let within = at[index..].iter().take_while(|at| **at - *first < TimeDelta::seconds(598)).count();
        assert!(within <= 6, "{within} from {first}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_has_too_many_requests_is_not_asked_again_before_it_answers_well() {
    let throttled_at = |when: usize| {
        move |looks: usize, attempt: &mut Attempt| {
            attempt.facts.retry_after = (looks == when).then_some(5 * SECOND);
            let kind = if looks == when { Kind::RateLimited } else { Kind::Reset };
            (Duration::ZERO, if looks >= when && looks < 40 || looks > 50 { fails(kind) } else { Ok(()) })
        }
    };
    // Another probe of the same host fails all the time as well.
    let beside = |_, _: &mut Attempt| (Duration::ZERO, fails(Kind::Reset));
    let world = World::start(plan(&[service("a", "one", throttled_at(0)), service("b", "two", throttled_at(3))], 10));
    sleep(3 * SECOND).await;
    world.plan.send_replace(plan(
        &[service("a", "one", throttled_at(0)), service("b", "two", throttled_at(3)), service("c", "one", beside)],
        10,
    ));
    sleep(300 * SECOND).await;
    for probe in ["a", "b", "c"] {
        assert!(confirmations(&world, probe).is_empty(), "{probe}");
    }
    sleep(900 * SECOND).await;
    for probe in ["a", "b"] {
        assert!(!confirmations(&world, probe).is_empty(), "{probe}");
    }
}

#[tokio::test(start_paused = true)]
async fn too_many_requests_said_to_a_confirmation_ends_them_and_is_obeyed() {
    let act = |looks: usize, attempt: &mut Attempt| {
        attempt.facts.retry_after = (looks == 1).then_some(60 * SECOND);
        (Duration::ZERO, fails(if looks == 1 { Kind::RateLimited } else { Kind::Reset }))
    };
    let world = World::start(plan(&[service("a", "a", act)], 10));
    sleep(55 * SECOND).await;
    let seen = world.seen("a");
    assert_eq!(seen.len(), 2, "one round and one confirmation: {seen:?}");
    assert!((4.0..=6.0).contains(&world.missed("a")), "{}", world.missed("a"));
}

#[tokio::test(start_paused = true)]
async fn silent_hosts_take_no_time_from_any_round() {
    let silent = |_, _: &mut Attempt| (3600 * SECOND, Ok(()));
    let well = |_, _: &mut Attempt| (Duration::from_millis(5), Ok(()));
    let mut probes: Vec<_> = (0..200).map(|n| service(&format!("p{n}"), &format!("h{n}"), silent)).collect();
    probes.push(service("well", "well", well));
    let world = World::start(plan(&probes, 512));
    sleep(60 * SECOND).await;
    let (mut confirmed, mut rounds) = (0, 0);
    for n in 0..200 {
        let name = format!("p{n}");
        for fact in world.seen(&name) {
            let late = fact.started_at.unwrap() - fact.scheduled_at;
            // All of them begin within their two seconds, or not at all.
            assert!(late < TimeDelta::milliseconds(if fact.varied.is_some() { 2000 } else { 5 }), "{late} {fact:?}");
            *(if fact.varied.is_some() { &mut confirmed } else { &mut rounds }) += 1;
        }
    }
    let page = String::from_utf8(world.metrics.encode(Format::Text).unwrap()).unwrap();
    let missed: Vec<&str> = page.lines().filter(|line| line.starts_with("usoryou_probe_missed_runs_total{")).collect();
    assert_eq!(missed.len(), 201);
    assert!(missed.iter().all(|line| line.ends_with(" 0.0")), "{missed:?}");
    assert!(rounds >= 200 * 5, "{rounds}");
    // Sixteen at once, five seconds each, while the two hundred fail over one second.
    assert!((16..=64).contains(&confirmed), "{confirmed}");
    assert!(confirmations(&world, "well").is_empty());
}

#[tokio::test(start_paused = true)]
async fn stopping_waits_for_no_confirmation() {
    let act = |looks: usize, _: &mut Attempt| {
        if looks == 0 { (Duration::ZERO, fails(Kind::Reset)) } else { (3600 * SECOND, Ok(())) }
    };
    let mut world = World::start(plan(&[service("a", "a", act)], 10));
    sleep(3 * SECOND).await;
    let asked = Instant::now();
    world.stop.take().unwrap().send(()).unwrap();
    (&mut world.ended).await.unwrap();
    assert!(asked.elapsed() < SECOND, "{:?}", asked.elapsed());
    sleep(60 * SECOND).await;
    assert_eq!(world.seen("a").len(), 1);
}
