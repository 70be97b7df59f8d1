//! The agent: runs each probe of the plan on schedule and hands on what it saw. Owns time, deadlines and rounds; must
//! not know how a verdict is reached, how anything is stored, or who is told.

mod budget;
mod clock;
mod confirm;
mod health;
mod lane;
mod observe;
mod schedule;
mod session;

use std::{
    collections::{BTreeSet, HashMap},
    future::Future,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::JoinSet,
};

pub use clock::{Clock, SystemClock};
pub use health::{Health, Mark};
pub use observe::{Due, Observer, Seen};

use crate::{
    config::{Plan, Probe},
    metrics::{Metrics, ProbeLabels},
    model::{Observation, Timestamp, Vantage},
    placement::Placement,
};
use budget::Budget;
use lane::{Crew, Lane};
use schedule::{Schedule, Wanted};

/// Runs under way have this long to end when the engine stops; then they are cut off.
const DRAIN: Duration = Duration::from_millis(2500);
/// The longest sleep: how soon a clock that was set is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// What the engine works with.
pub struct Engine {
    /// How to look; where from and under which configuration follows the plan.
    pub observer: Observer,
    /// Where runs are counted.
    pub metrics: Arc<Metrics>,
    /// The plan, and every plan after it.
    pub plan: watch::Receiver<Arc<Plan>>,
    /// What of the plan runs on this node, now and later.
    pub placement: watch::Receiver<Placement>,
    /// Where facts go.
    pub sink: mpsc::Sender<Observation>,
}

impl Engine {
    /// Probes until told to stop; then lets runs under way end within the time that runs under way are given. A new plan is taken over between two
    /// runs: probes that stay keep their slots, the series of those that go vanish.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut watch = clock::Watch::new(Arc::clone(&self.observer.clock));
        let mut runs = JoinSet::new();
        let (confirm, bursts) = mpsc::channel(confirm::WAITING);
        // Ends with this future, however it ends.
        let mut confirming = JoinSet::new();
        confirming.spawn(confirm::serve(bursts));
        let plan = Arc::clone(&self.plan.borrow_and_update());
        let mut rota = Rota::new(&self, &plan, confirm);
        self.placement.mark_unchanged();
        rota.adopt(&self, &plan, watch.look().0);
        let mut placed = true;
        loop {
            let (now, jump) = watch.look();
            if let Some(clock::Jump { from, to }) = jump {
                tracing::warn!("the clock went from {from} to {to}: it was set, or this machine was suspended");
                rota.schedule.clock_was_set(from, to, |lane, rounds| lane.missed(rounds));
            }
            while let Some(run) = rota.schedule.pop(now) {
                if let Some(taken) = run.item.enter(&run) {
                    runs.spawn(taken.run(Arc::clone(&rota.crew), run));
                }
            }
            while runs.try_join_next().is_some() {}
            let wait = rota.schedule.wait(now).map_or(LONGEST_SLEEP, |wait| wait.min(LONGEST_SLEEP));
            tokio::select! {
                biased;
                () = &mut stop => break,
                Ok(()) = self.plan.changed() => {
                    let plan = Arc::clone(&self.plan.borrow_and_update());
                    rota.adopt(&self, &plan, watch.look().0);
                }
                changed = self.placement.changed(), if placed => {
                    // Nobody will ever place us anew; the present placement stays.
                    placed = changed.is_ok();
                    let plan = Arc::clone(&self.plan.borrow());
                    rota.adopt(&self, &plan, watch.look().0);
                }
                () = tokio::time::sleep(wait) => {}
            }
        }
        confirming.abort_all();
        let drained = async { while runs.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            tracing::debug!("runs still under way were cut off");
        }
        rota.part().await;
    }
}

/// A placement that never changes: this node runs everything.
#[must_use]
pub fn unplaced() -> watch::Receiver<Placement> {
    watch::channel(Placement::Everything).1
}

/// What the present plan comes to.
struct Rota {
    vantage: Vantage,
    schedule: Schedule<Arc<Lane>>,
    lanes: HashMap<Arc<str>, Arc<Lane>>,
    /// By host.
    budgets: HashMap<String, Arc<Budget>>,
    confirm: mpsc::Sender<confirm::Burst>,
    crew: Arc<Crew>,
    /// Those who keep the sessions of lanes, present and former.
    keepers: JoinSet<()>,
}

impl Rota {
    fn new(engine: &Engine, plan: &Plan, confirm: mpsc::Sender<confirm::Burst>) -> Self {
        let crew = crew(engine, plan, &confirm);
        let schedule = Schedule::new(&plan.vantage);
        let vantage = plan.vantage.clone();
        Self {
            vantage,
            schedule,
            lanes: HashMap::new(),
            budgets: HashMap::new(),
            confirm,
            crew,
            keepers: JoinSet::new(),
        }
    }

    /// Takes over a plan.
    fn adopt(&mut self, engine: &Engine, plan: &Plan, now: Timestamp) {
        self.crew = crew(engine, plan, &self.confirm);
        let mut known = std::mem::take(&mut self.lanes);
        if self.vantage != plan.vantage {
            (self.vantage, self.schedule) = (plan.vantage.clone(), Schedule::new(&plan.vantage));
            known.clear();
        }
        let mut budgets = std::mem::take(&mut self.budgets);
        let placement = engine.placement.borrow().clone();
        let here: Vec<&Arc<Probe>> =
            plan.probes.iter().filter(|probe| placement.runs(&probe.name, probe.vantages)).collect();
        if plan.hubs.is_some() {
            let elsewhere = plan.probes.len() - here.len();
            engine.metrics.placement(placement.nodes() as u64, here.len() as u64, elsewhere as u64);
        }
        for probe in &here {
            let host = probe.check.host();
            // A probe that is changed does not get a new budget: its host is the same.
            let budget = self.budgets.entry(host).or_insert_with_key(|host| budgets.remove(host).unwrap_or_default());
            let lane = known.remove(&probe.name).filter(|lane| stays(&lane.probe, probe)).unwrap_or_else(|| {
                let series = engine.metrics.probe(&labels(probe, &plan.vantage));
                let mut lane = Lane::new(Arc::clone(*probe), series, Arc::clone(budget));
                if let Some(keeper) = lane.keeper() {
                    self.keepers.spawn(Box::new(keeper).keep());
                }
                Arc::new(lane)
            });
            self.lanes.insert(Arc::clone(&probe.name), lane);
        }
        let keep: BTreeSet<ProbeLabels> = self.lanes.values().map(|lane| lane.labels().clone()).collect();
        engine.metrics.retain(&keep);
        let wanted = here.into_iter().filter_map(|probe| {
            let item = Arc::clone(self.lanes.get(&probe.name)?);
            let gathered = item.holds_a_session();
            Some(Wanted { name: Arc::clone(&probe.name), interval: probe.interval, gathered, item })
        });
        self.schedule.replace(wanted, now);
        while self.keepers.try_join_next().is_some() {}
    }

    /// Ends all sessions in order, as far as that takes little time.
    async fn part(mut self) {
        for lane in self.lanes.values() {
            lane.leave();
        }
        let parted = async { while self.keepers.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(session::PARTING, parted).await;
    }
}

/// Whether a probe of the plan before goes on as it is, with what its check has kept (an open connection, for one).
fn stays(before: &Probe, now: &Probe) -> bool {
    before.fingerprint == now.fingerprint
        && before.subject == now.subject
        && before.kind == now.kind
        && before.interval == now.interval
        && before.timeout == now.timeout
        && before.confirm == now.confirm
        && before.session == now.session
}

fn crew(engine: &Engine, plan: &Plan, confirm: &mpsc::Sender<confirm::Burst>) -> Arc<Crew> {
    let observer =
        Observer { vantage: plan.vantage.clone(), config: Arc::clone(&plan.hash), ..engine.observer.clone() };
    let permits = Semaphore::new(plan.concurrency.clamp(1, Semaphore::MAX_PERMITS));
    Arc::new(Crew { observer, permits, sink: engine.sink.clone(), confirm: confirm.clone() })
}

fn labels(probe: &Probe, vantage: &Vantage) -> ProbeLabels {
    ProbeLabels {
        party: Arc::clone(&probe.subject.party),
        product: probe.subject.product.clone(),
        probe: Arc::clone(&probe.name),
        protocol: probe.check.key().into(),
        region: Arc::clone(&vantage.region),
        node: Arc::clone(&vantage.node),
    }
}

#[cfg(test)]
mod tests;
