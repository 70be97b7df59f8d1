//! What regions that judged by themselves hand over, on its way from the store to whoever judges: where their messages are comes
//! first, so that nothing is told anew; a handover is done with when its incidents are in the store.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

use super::Pace;
use crate::{
    model::Incident,
    store::{HandedOver, Store, StoreError},
};

/// How often to look.
const LOOK: Duration = Duration::from_secs(1);
/// An incident that began longer ago is not looked for.
const REACH: chrono::Days = chrono::Days::new(3);

/// Follows until `stop` turns true.
pub(super) async fn follow(
    store: Store,
    adopt: mpsc::Sender<Vec<Incident>>,
    pace: Pace,
    wanted: bool,
    mut stop: watch::Receiver<bool>,
) {
    if !wanted {
        return;
    }
    loop {
        if let Err(error) = look(&store, &adopt).await {
            tracing::debug!("{error}: what regions hand over waits");
        }
        if timeout(LOOK.min(pace.judge_every), stop.wait_for(|stop| *stop)).await.is_ok() {
            return;
        }
    }
}

async fn look(store: &Store, adopt: &mpsc::Sender<Vec<Incident>>) -> Result<(), StoreError> {
    let now = chrono::Utc::now();
    let waiting: Vec<HandedOver> = store.handovers(now).await?.into_iter().filter(|one| !one.taken).collect();
    if waiting.is_empty() {
        return Ok(());
    }
    let kept: Vec<Arc<str>> = store.incidents(now - REACH).await?.into_iter().map(|incident| incident.id).collect();
    for HandedOver { id, region, handover, .. } in waiting {
        if handover.incidents.iter().all(|incident| kept.contains(&incident.id) || incident.onset < now - REACH) {
            store.handover_taken(id, now).await?;
            tracing::info!(incidents = handover.incidents.len(), "region {region} no longer judges by itself");
            continue;
        }
        for told in &handover.told {
            store.told_by_another(told, now).await?;
        }
        let _ = adopt.send(handover.incidents).await;
    }
    Ok(())
}
