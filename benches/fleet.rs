//! The fleet of `bench/alerting`: one agent for each region and one hub, put together from the product's own parts in one
//! process, for agents cannot report to a hub elsewhere yet. Not a benchmark by itself.
//!
//! `fleet CONFIG STORE REGION/NODE...` prints `ready` when every probe has run in every region, and runs until its stdin
//! closes. The configuration is read once for each region, with that as its region and node; the hub goes by the first.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a measuring tool that stops when anything is wrong"
)]

use std::{collections::BTreeSet, io::Read as _, sync::Arc};

use tokio::sync::{mpsc, watch};
use usoryou::{
    config::{self, Plan, VantageOverrides},
    engine::{Engine, Observer},
    hub::{self, Hub, Pace, View},
    metrics::Metrics,
    model::Observation,
    net::Net,
    notify,
    store::Store,
};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    // `cargo bench` without arguments runs every bench target: nothing to do for this one.
    let [config, store, regions @ ..] = arguments.as_slice() else { return };
    rustls::crypto::aws_lc_rs::default_provider().install_default().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(run(config, store, regions));
}

async fn run(config: &str, store: &str, regions: &[String]) {
    let net = Net::system(Vec::new()).unwrap();
    let (seen, mut facts) = mpsc::channel(4096);
    let mut plans = Vec::new();
    for vantage in regions {
        let plan = plan(config, vantage, &net);
        let engine = Engine {
            observer: Observer::new(Arc::clone(&net), plan.vantage.clone(), Arc::clone(&plan.hash)),
            metrics: Metrics::new("bench"),
            plan: watch::channel(Arc::clone(&plan)).1,
            placement: usoryou::engine::unplaced(),
            sink: seen.clone(),
        };
        plans.push(plan);
        tokio::spawn(engine.run(std::future::pending()));
    }
    let cells: usize = plans.iter().map(|plan| plan.probes.len()).sum();
    let (sink, inbox) = mpsc::channel(4096);
    let hub = Hub {
        name: "bench".into(),
        plan: watch::channel(Arc::clone(&plans[0])).1,
        store: Store::open(store).await.unwrap(),
        inbox,
        arrived: None,
        fleet: None,
        alone: None,
        view: watch::channel(View::default()).0,
        metrics: Metrics::new("bench"),
        http: notify::http_client(&net.trust).unwrap(),
        pace: Pace::default(),
    };
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(hub::run(hub, stopped));
    tokio::spawn(async move {
        let mut known = BTreeSet::new();
        while let Some(fact) = facts.recv().await {
            let fact: Observation = fact;
            let is_new = known.insert((Arc::clone(&fact.region), Arc::clone(&fact.probe)));
            sink.send(fact).await.unwrap();
            if is_new && known.len() == cells {
                println!("ready");
            }
        }
    });
    let _ = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await;
}

fn plan(config: &str, vantage: &str, net: &Arc<Net>) -> Arc<Plan> {
    let (region, node) = vantage.split_once('/').unwrap();
    let vantage = VantageOverrides { region: Some(region.to_owned()), node: Some(node.to_owned()) };
    let read = config::read(config.as_ref(), &|name| std::env::var(name).ok(), net, &vantage);
    read.unwrap_or_else(|mistakes| panic!("{mistakes}")).plan
}
