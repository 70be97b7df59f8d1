//! A hub in a runtime of its own, with a store in a file, fed by hand and hurried so that tests are quick.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use chrono::Utc;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use usoryou::{
    attribution::World,
    config::{Party, Plan},
    hub::{self, Hub, Pace, View},
    metrics::{Format, Metrics},
    model::{
        Connection, Failure, Kind, Observation, Outcome, PartyKind, Phase, PhaseTimes, Vantage, observation_id,
        round_of,
    },
    net::Trust,
    notify::{self, ChannelFile, Hears, Patience},
    store::Store,
};

use super::site::plan;

/// From one round to the next.
const INTERVAL: Duration = Duration::from_millis(100);

/// A hub under way.
pub struct Hurried {
    pub store: Store,
    pub view: watch::Receiver<View>,
    pub metrics: Arc<Metrics>,
    pub plan: watch::Sender<Arc<Plan>>,
    inbox: mpsc::Sender<Observation>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
    pub runtime: tokio::runtime::Runtime,
}

/// How patient the outbox of these tests is.
pub fn patience() -> Patience {
    Patience {
        answer_within: Duration::from_millis(600),
        overdue_after: Duration::from_millis(200),
        first_pause: Duration::from_millis(50),
        longest_pause: Duration::from_millis(200),
        late_after: Duration::from_secs(2),
        fail_over_after: Duration::from_secs(1),
        look_again_after: Duration::from_millis(100),
        last_chance: Duration::from_millis(300),
    }
}

/// One provider, one service of ours, one control; one channel that leads to a webhook.
pub fn world(webhook: &str) -> Plan {
    let check = serde_json::json!({"icmp": {"host": "127.0.0.1"}});
    let mut plan = plan(&[("rtdb", check.clone()), ("api", check.clone()), ("control", check)]);
    let party = |kind, name: &str| Party { kind, name: name.into(), depends_on: vec![], feeds: vec![] };
    plan.parties = BTreeMap::from([
        ("firebase".into(), party(PartyKind::Provider, "Firebase")),
        ("api".into(), party(PartyKind::Us, "Our API")),
        ("internet".into(), party(PartyKind::Control, "internet")),
    ]);
    for (probe, (key, product)) in
        plan.probes.iter_mut().zip([("firebase", Some("rtdb")), ("api", None), ("internet", None)])
    {
        let probe = Arc::get_mut(probe).unwrap();
        probe.subject.party = key.into();
        probe.subject.product = product.map(Into::into);
        probe.interval = INTERVAL;
        probe.timeout = Duration::from_secs(2);
    }
    let slack: ChannelFile = serde_json::from_value(serde_json::json!({"slack": {"webhook_url": webhook}})).unwrap();
    plan.alerts.channels = BTreeMap::from([("support".into(), slack)]);
    plan.alerts.routes = vec![Hears::all("support")];
    plan
}

impl Hurried {
    /// Starts a hub over the store in a directory.
    pub fn start(directory: &Path, plan: Plan) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let path = directory.join("hub.db");
        let store = runtime.block_on(Store::open(path.to_str().unwrap())).unwrap();
        let (plan, seen_plan) = watch::channel(Arc::new(plan));
        let (inbox, arriving) = mpsc::channel(1000);
        let (view, seen_view) = watch::channel(View::default());
        let (stop, stopped) = watch::channel(false);
        let metrics = Metrics::new("test");
        let pace = Pace {
            judge_every: Duration::from_millis(20),
            write_every: Duration::from_millis(10),
            retry_every: Duration::from_millis(50),
            trim_every: Duration::from_secs(60),
            stand_in_after: Duration::from_secs(30),
            flush_within: Duration::from_secs(2),
            lease: Duration::from_secs(3),
            patience: patience(),
            feeds: usoryou::feed::Pace {
                every: Duration::from_millis(100),
                in_a_hurry: Duration::from_millis(50),
                deadline: Duration::from_millis(600),
            },
        };
        let http = notify::http_client(&Trust::default()).unwrap();
        let hub = Hub {
            name: "test".into(),
            plan: seen_plan,
            store: store.clone(),
            inbox: arriving,
            arrived: None,
            fleet: None,
            alone: None,
            view,
            metrics: metrics.clone(),
            http,
            pace,
        };
        let task = runtime.spawn(hub::run(hub, stopped));
        Self { store, view: seen_view, metrics, plan, inbox, stop, task, runtime }
    }

    /// Feeds rounds in real time in which these probes are down.
    pub fn rounds(&self, rounds: usize, down: &[&str]) {
        for _ in 0..rounds {
            let at = Utc::now();
            for (name, party, product) in
                [("rtdb", "firebase", Some("rtdb")), ("api", "api", None), ("control", "internet", None)]
            {
                for region in ["eu-west", "us-east"] {
                    let mut seen = observation(name, party, region, at, down.contains(&name));
                    seen.product = product.map(Into::into);
                    self.inbox.blocking_send(seen).unwrap();
                }
            }
            std::thread::sleep(INTERVAL);
        }
    }

    /// Stops it as SIGTERM would.
    pub fn stop(self) {
        self.stop.send(true).unwrap();
        self.runtime.block_on(self.task).unwrap();
        drop(self.store);
    }

    /// Waits for what a future brings.
    pub fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// The page of figures.
    pub fn figures(&self) -> String {
        String::from_utf8(self.metrics.encode(Format::OpenMetrics).unwrap()).unwrap()
    }

    /// Names as the judge sees them.
    pub fn names(&self) -> World {
        hub::world(&self.plan.borrow())
    }
}

/// An observation that is down at tls, or up.
pub fn observation(probe: &str, party: &str, region: &str, at: chrono::DateTime<Utc>, down: bool) -> Observation {
    let vantage = Vantage { region: region.into(), node: "n1".into() };
    let round = round_of(at, INTERVAL);
    Observation {
        id: observation_id(probe, &vantage, round, 0),
        probe: probe.into(),
        party: party.into(),
        product: None,
        protocol: "http".into(),
        region: vantage.region,
        node: vantage.node,
        round,
        scheduled_at: at,
        started_at: Some(at),
        outcome: if down { Outcome::Down } else { Outcome::Up },
        failure: down.then(|| Failure::new(Phase::Tls, Kind::TimedOut, "no ServerHello within 5s")),
        phases: PhaseTimes::default(),
        duration: Duration::from_millis(5),
        connection: Connection::Cold,
        peer: None,
        resolver: None,
        tls: None,
        tcp: None,
        http_status: None,
        retry_after: None,
        build: "test".into(),
        config: "".into(),
        credential: None,
        varied: None,
        arrivals: Vec::new(),
        session: None,
        steps: Vec::new(),
        received_at: None,
    }
}
