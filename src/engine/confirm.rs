//! Confirming a failure: right after the first bad round of a probe it is asked again with one thing otherwise at a time.
//! That forgives nothing, it explains. Owns when and what is asked again, and the pool that this runs in, so that no
//! scheduled round waits for it; must not know what becomes of the facts.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::{Instant, sleep_until, timeout_at},
};

use super::{
    Due, Mark, Observer,
    lane::{Crew, Lane},
};
use crate::{
    config::Confirm,
    model::{Connection, Failure, Kind, Observation, Phase, Varied},
    net::{Net, Only},
    protocol::Check,
};

/// A confirmation has begun within this time after the failure, or does not take place: later it explains little.
const WITHIN: Duration = Duration::from_secs(2);
/// The first confirmation of a probe begins within this time, so that many that fail at once do not all ask at once.
const SPREAD: Duration = Duration::from_millis(700);
/// From one confirmation of a probe to the next.
const STEP: Duration = Duration::from_millis(150);
/// Confirmations under way at once.
const AT_ONCE: usize = 16;
/// Failures that wait to be confirmed; what does not fit is not confirmed.
pub(super) const WAITING: usize = 256;
/// The longest that a confirmation takes.
const LONGEST: Duration = Duration::from_secs(5);
/// When this process has lost more time than this since the round began, it is in no state to explain anything.
const LOST: Duration = Duration::from_millis(200);

/// A failure that is to be confirmed.
pub(super) struct Burst {
    pub(super) lane: Arc<Lane>,
    pub(super) crew: Arc<Crew>,
    pub(super) confirm: Confirm,
    pub(super) due: Due,
    pub(super) failed: Observation,
    /// Our own health when the round began.
    pub(super) mark: Mark,
    /// When it failed.
    pub(super) at: Instant,
}

/// One thing to do otherwise.
pub(super) struct Otherwise {
    pub(super) varied: Varied,
    /// Names and addresses as this confirmation uses them.
    pub(super) net: Arc<Net>,
    /// What to run, where that is not the probe's own check.
    pub(super) check: Option<Arc<dyn Check>>,
    pub(super) timeout: Duration,
}

/// A request that the budget has room for.
#[derive(Clone, Copy)]
struct Granted {
    due: Due,
    /// How long after the failure it is due.
    after: Duration,
    /// When it was granted.
    at: Instant,
}

/// Confirms failures until it is dropped, and with it all that is under way.
pub(super) async fn serve(mut bursts: mpsc::Receiver<Burst>) {
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            burst = bursts.recv() => match burst {
                Some(burst) => burst.begin(&slots, &mut under_way),
                None => return,
            },
            Some(_) = under_way.join_next() => {}
        }
    }
}

impl Burst {
    /// Buys what it can of what is worth asking, and sets it going.
    fn begin(self, slots: &Arc<Semaphore>, under_way: &mut JoinSet<()>) {
        let mut worth = self.worth_asking();
        let now = Instant::now();
        worth.truncate(self.lane.budget.take(worth.len(), &self.confirm, now));
        let spread = Duration::from_millis(self.failed.id.as_u64_pair().0 % 701).min(SPREAD);
        let failed_at = self.crew.observer.clock.wall() - now.duration_since(self.at);
        let burst = Arc::new(self);
        for (after, otherwise) in (0..).map(|step| spread + STEP * step).zip(worth) {
            let due = Due { scheduled_at: failed_at + after, ..burst.due };
            let granted = Granted { due, after, at: now };
            under_way.spawn(Arc::clone(&burst).ask(otherwise, granted, Arc::clone(slots)));
        }
    }

    /// What can be varied with this probe and may explain this failure, the most telling first.
    fn worth_asking(&self) -> Vec<Otherwise> {
        let Observer { net, .. } = &self.crew.observer;
        let Some(failure) = &self.failed.failure else { return Vec::new() };
        let (check, peer) = (&self.lane.probe.check, self.failed.peer);
        if !check.may_be_asked_again() {
            return Vec::new();
        }
        let mut worth = Vec::new();
        let mut add = |varied, net: Arc<Net>, check: Option<Arc<dyn Check>>| {
            let timeout = self.lane.probe.timeout.min(LONGEST);
            worth.push(Otherwise { varied, net, check, timeout });
        };
        let warm = self.failed.connection == Connection::Warm;
        add(if warm { Varied::Connection } else { Varied::Again }, Arc::clone(net), None);
        let asked_for_something = !matches!(failure.phase, Phase::Resolve | Phase::Connect | Phase::Proxy | Phase::Tls);
        if let Some(bare) = asked_for_something.then(|| check.without_credential()).flatten() {
            add(Varied::Credential, Arc::clone(net), Some(bare));
        }
        if let Some(peer) = peer.filter(|_| failure.phase != Phase::Resolve) {
            // Connecting has tried every address already.
            if failure.phase != Phase::Connect {
                add(Varied::Address, net.using(Only::Except(peer.ip())), None);
            }
            let other = if peer.is_ipv4() { Only::V6 } else { Only::V4 };
            add(Varied::Family, net.using(other), None);
        }
        if let Some(server) = self.other_resolver(failure, asked_for_something) {
            add(Varied::Resolver, net.asking(server), None);
        }
        worth
    }

    /// Another resolver than the one that was asked, where one may know better.
    fn other_resolver(&self, failure: &Failure, asked_for_something: bool) -> Option<SocketAddr> {
        let servers = self.crew.observer.net.resolver.servers();
        let asks_resolvers = self.failed.peer.filter(|peer| servers.contains(peer));
        let told = asks_resolvers.map(|peer| peer.to_string()).or_else(|| self.failed.resolver.clone());
        let told = match (failure.phase, told) {
            (Phase::Resolve, None) => servers.first()?.to_string(),
            (_, Some(told)) if told != "hosts" && (asks_resolvers.is_some() || !asked_for_something) => told,
            _ => return None,
        };
        // When none of the system's would say, all of them have been asked.
        let all_asked = failure.kind == Kind::ResolverFailed;
        let others = servers.into_iter().filter(|_| !all_asked);
        self.confirm.resolver.into_iter().chain(others).find(|server| server.to_string() != told)
    }

    /// One confirmation: when it is due, if there is a slot in time and nothing speaks against it by then.
    async fn ask(self: Arc<Self>, otherwise: Otherwise, granted: Granted, slots: Arc<Semaphore>) {
        let Self { lane, crew, .. } = &*self;
        sleep_until(self.at + granted.after).await;
        let Ok(Ok(slot)) = timeout_at(self.at + WITHIN, slots.acquire()).await else {
            return lane.budget.give_back(granted.at);
        };
        if lane.budget.is_throttled() || crew.observer.health.lost_since(self.mark) >= LOST {
            return lane.budget.give_back(granted.at);
        }
        let seen = crew.observer.confirm(&lane.probe, granted.due, &otherwise).await;
        if seen.failure.as_ref().is_some_and(|failure| failure.kind == Kind::Blocked) {
            // There was nothing to vary, and nobody was asked.
            return lane.budget.give_back(granted.at);
        }
        lane.note_confirmation(&seen, crew.observer.clock.wall());
        drop(slot);
        // The other end is gone only when the process stops.
        let _ = crew.sink.send(seen).await;
    }
}
