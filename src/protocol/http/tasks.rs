//! The tasks of one HTTP/2 connection: they end with it, and tell how it ended.

use std::sync::{Arc, Mutex, PoisonError};

use hyper::rt::Executor;
use tokio::{sync::watch, task::AbortHandle};

use crate::model::Failure;

/// The tasks of an HTTP/2 connection: hyper would let them live on with a silent peer.
#[derive(Clone, Default)]
pub(super) struct Tasks {
    running: Arc<Mutex<Vec<AbortHandle>>>,
    /// How the connection has ended, once it has.
    pub(super) ended: Arc<watch::Sender<Option<Option<Failure>>>>,
}

impl Tasks {
    pub(super) fn stop(&self) {
        for task in self.running.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, work: F) {
        let mut tasks = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.retain(|task| !task.is_finished());
        tasks.push(tokio::spawn(work).abort_handle());
    }
}
