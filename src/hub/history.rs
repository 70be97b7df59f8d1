//! The history, cut now and then.

use std::{sync::Arc, time::Instant};

use tokio::{sync::watch, time::timeout};

use super::Pace;
use crate::{config::Plan, metrics::Metrics, store::Store};

/// Cuts it until `stop` turns true.
pub(super) async fn trim(
    store: Store,
    plan: watch::Receiver<Arc<Plan>>,
    metrics: Arc<Metrics>,
    pace: Pace,
    mut stop: watch::Receiver<bool>,
) {
    let mut well = true;
    loop {
        let keep = plan.borrow().keep;
        let began = Instant::now();
        // Ending must not wait for a large cut: what is left is cut next time.
        let cut = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            cut = store.trim(keep.age, keep.bytes_of(store.is_shared()), chrono::Utc::now()) => cut,
        };
        match cut {
            Ok(0) => well = true,
            Ok(deleted) => {
                well = true;
                tracing::debug!(deleted, took = ?began.elapsed(), "history cut");
            }
            Err(error) => {
                if std::mem::take(&mut well) {
                    tracing::warn!("{error}: history is not cut until it can be");
                }
            }
        }
        if let Ok(size) = store.size().await {
            metrics.store_size(size);
        }
        let pause = timeout(pace.trim_every, stop.wait_for(|stop| *stop)).await;
        if pause.is_ok() {
            return;
        }
    }
}
