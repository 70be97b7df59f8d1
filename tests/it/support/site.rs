//! The internal listener on loopback, over a plan made in code.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::sync::{mpsc, watch};
use usoryou::{
    config::{Alerts, Keep, Plan, Probe},
    engine::Observer,
    hub::View,
    metrics::Metrics,
    model::{PartyKind, Subject, Vantage},
    net::Net,
    notify::Habits,
    protocol::CheckFile,
    store::Store,
    web::{self, Reload, WebState},
};

/// A listener with a runtime of its own, so that tests may block.
pub struct Site {
    pub address: SocketAddr,
    pub metrics: Arc<Metrics>,
    pub reloads: mpsc::Receiver<Reload>,
    pub store: Store,
    pub view: watch::Sender<View>,
    _stop: watch::Sender<bool>,
    _plan: watch::Sender<Arc<Plan>>,
    runtime: tokio::runtime::Runtime,
}

impl Site {
    /// Serves these figures and this plan.
    pub fn start(metrics: Arc<Metrics>, plan: Plan) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (stop, stopped) = watch::channel(false);
        let (reload, reloads) = mpsc::channel(1);
        let (plan_in_force, plan) = watch::channel(Arc::new(plan));
        let judged = View { at: Some(chrono::Utc::now()), ..View::default() };
        let (view, viewed) = watch::channel(judged);
        let given = Arc::clone(&metrics);
        let (address, store) = runtime.block_on(async move {
            let net = Net::system(Vec::new()).unwrap();
            let vantage = plan.borrow().vantage.clone();
            let observer = Observer::new(net, vantage, "".into());
            let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let address = listener.local_addr().unwrap();
            let store = Store::open("sqlite::memory:").await.unwrap();
            let state = WebState {
                metrics: given,
                plan,
                observer,
                reload,
                store: Some(store.clone()),
                intake: None,
                fleet: None,
                probing: true,
                view: viewed,
            };
            tokio::spawn(web::serve(listener, state, stopped));
            (address, store)
        });
        Self { address, metrics, reloads, store, view, _stop: stop, _plan: plan_in_force, runtime }
    }

    /// Runs something of its runtime.
    pub fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }
}

/// A plan of probes given as name and check (JSON in the words of the configuration).
pub fn plan(probes: &[(&str, serde_json::Value)]) -> Plan {
    let net = Net::system(Vec::new()).unwrap();
    let probe = |(name, check): &(&str, serde_json::Value)| {
        let file: CheckFile = serde_json::from_value(check.clone()).unwrap();
        Arc::new(Probe {
            name: (*name).into(),
            subject: Subject { party: "provider".into(), product: None },
            kind: PartyKind::Provider,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            confirm: None,
            session: None,
            check: file.build(&net).unwrap(),
            file,
            vantages: 2,
            fingerprint: "".into(),
        })
    };
    Plan {
        hash: "sha256:test".into(),
        vantage: Vantage { region: "eu-west".into(), node: "n1".into() },
        hosted_on: None,
        parties: BTreeMap::new(),
        probes: probes.iter().map(probe).collect(),
        clients: BTreeMap::new(),
        alerts: Alerts {
            open_after: 3,
            close_after: 5,
            channels: BTreeMap::new(),
            routes: Vec::new(),
            habits: Habits::default(),
        },
        maintenance: Vec::new(),
        keep: Keep { age: Duration::from_secs(86_400), bytes: Some(1 << 30) },
        concurrency: 16,
        hubs: None,
        agents: Vec::new(),
        store: None,
        slack_signing_secret: None,
    }
}
