//! What arrives in a store of several hubs, by whichever of them: read as soon as it is called out, and at least once a
//! second, and handed on to be judged. Bounded: who judges more slowly than is written reads later.

use std::time::Duration;

use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};

use super::stopped;
use crate::{
    model::Observation,
    store::{Position, Store},
};

/// Pieces that wait to be judged.
const WAITING: usize = 8;
/// A rest after each look: many small batches are read together.
const REST: Duration = Duration::from_millis(50);

/// Hands on what arrives after a position until `stop` turns true.
pub(super) fn follow(store: Store, mut position: Position, mut stop: watch::Receiver<bool>) -> Arrived {
    let (tell, told) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        let Some(mut calls) = store.arrivals() else { return };
        let mut well = true;
        loop {
            tokio::select! {
                () = stopped(&mut stop) => return,
                () = tell.closed() => return,
                () = calls.next() => {}
            }
            match store.arrived(&mut position, &tell).await {
                Ok(()) => well = true,
                Err(error) => {
                    if std::mem::take(&mut well) {
                        tracing::error!("{error}: what arrives is judged when it can be");
                    }
                    calls.reset();
                }
            }
            sleep(REST).await;
        }
    });
    told
}

/// What has arrived, piece by piece.
pub(super) type Arrived = mpsc::Receiver<Vec<Observation>>;
