//! Who leads, of several hubs over one store: strives for the lead, keeps it, and shows meanwhile what the leader thinks.
//! By the store's clock alone (ADR 0009); a hub with a store of its own leads it at once and for good.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{Hub, Lead, View};
use crate::{metrics::Metrics, store::Store};

/// A handle that writes as the leader, as long as this hub leads.
pub(super) type Leading = Option<Store>;

/// Giving the lead up must not keep a process from ending.
const GIVE_UP_WITHIN: Duration = Duration::from_secs(1);

/// The striving for the lead under way.
pub(super) struct Striving {
    /// Whether it has it.
    pub(super) lead: watch::Receiver<Leading>,
    task: JoinHandle<()>,
}

/// Strives for the lead from now on.
pub(super) fn strive(hub: &Hub) -> Striving {
    let (tell, lead) = watch::channel(None);
    let striver = Striver {
        store: hub.store.clone(),
        name: Arc::clone(&hub.name),
        length: hub.pace.lease,
        view: hub.view.clone(),
        metrics: Arc::clone(&hub.metrics),
        seen: 0,
        leader: None,
        well: true,
    };
    Striving { lead, task: tokio::spawn(striver.run(tell)) }
}

impl Striving {
    /// Ends it, and lets another lead at once.
    pub(super) async fn give_up(self) {
        self.task.abort();
        let leading = self.lead.borrow().clone();
        if let Some(leading) = leading {
            let _ = timeout(GIVE_UP_WITHIN, leading.stop_leading()).await;
        }
    }
}

struct Striver {
    store: Store,
    name: Arc<str>,
    length: Duration,
    view: watch::Sender<View>,
    metrics: Arc<Metrics>,
    /// Which of the leader's pictures was shown last.
    seen: i64,
    /// Who was said to lead last.
    leader: Option<String>,
    well: bool,
}

impl Striver {
    async fn run(mut self, tell: watch::Sender<Leading>) {
        if !self.store.is_shared() {
            self.metrics.hub_leading(true);
            tell.send_replace(Some(self.store.clone()));
            return;
        }
        let mut leading: Leading = None;
        loop {
            leading = match leading {
                Some(ours) => self.keep(ours).await,
                None => self.try_to_lead().await,
            };
            self.metrics.hub_leading(leading.is_some());
            if leading.is_some() != tell.borrow().is_some() {
                tell.send_replace(leading.clone());
            }
            // Another hub may have changed them.
            let silences = self.store.recall_silences().await.map_err(|error| error.to_string()).err();
            let shown = match &leading {
                Some(_) => None,
                None => self.show().await.err(),
            };
            self.note(silences.or(shown), leading.is_some());
            sleep(self.length / 6).await;
        }
    }

    async fn keep(&mut self, ours: Store) -> Leading {
        match ours.go_on_leading(self.length).await {
            Ok(true) => Some(ours),
            Ok(false) => {
                tracing::warn!("another hub leads: this one only takes and shows from now on");
                None
            }
            // Nobody else can take it either as long as the store is away from all; what we write is refused if one has.
            Err(_) => Some(ours),
        }
    }

    async fn try_to_lead(&self) -> Leading {
        let leading = self.store.lead(&self.name, self.length).await.ok()??;
        tracing::info!("this hub leads: it judges and tells");
        Some(leading)
    }

    /// Shows what the leader thinks.
    async fn show(&mut self) -> Result<(), String> {
        let words = |error: crate::store::StoreError| error.to_string();
        let leader = self.store.leader().await.map_err(words)?.filter(|leader| leader.epoch > 0);
        let name = leader.as_ref().map(|leader| leader.name.clone());
        if name.is_some() && name != self.leader {
            tracing::info!(leader = name, "another hub leads: this one takes and shows");
        }
        self.leader.clone_from(&name);
        let leader = leader.filter(|leader| leader.alive).map(|leader| leader.name);
        let picture = self.store.published(self.seen).await.map_err(words)?;
        let picture = picture.and_then(|(at, body)| Some((at, serde_json::from_str::<View>(&body).ok()?)));
        self.view.send_modify(|view| {
            if let Some((at, picture)) = picture {
                self.seen = at;
                *view = View { store: std::mem::take(&mut view.store), ..picture };
            }
            view.lead = Some(Lead { ours: false, leader });
        });
        Ok(())
    }

    /// How the store is, for pages: while this hub leads, its writing tells that.
    fn note(&mut self, failing: Option<String>, leads: bool) {
        if let (Some(why), true) = (&failing, self.well && !leads) {
            tracing::error!("{why}: no batch is taken until it can be");
        }
        self.well = failing.is_none();
        if !leads {
            self.view.send_modify(|view| view.store.failing = failing);
        }
    }
}
