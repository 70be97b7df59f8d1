//! Where rounds and the keeper of a session meet: one round at a time leaves word and waits for what it came to.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

use crate::engine::{Due, Seen, lane::Crew};

/// A round that is to be answered.
pub(in crate::engine) struct Ask {
    pub(super) crew: Arc<Crew>,
    pub(super) due: Due,
    pub(super) answer: oneshot::Sender<Vec<Seen>>,
}

/// The meeting place. Small, since there is one for each session.
#[derive(Default)]
pub(in crate::engine) struct Seat {
    waiting: Mutex<Waiting>,
    news: Notify,
}

#[derive(Default)]
enum Waiting {
    #[default]
    Nobody,
    Round(Ask),
    /// The probe is gone.
    Over,
}

impl Seat {
    /// Has the keeper see to a round. Nothing comes back when the keeper has ended.
    pub(in crate::engine) async fn round(&self, crew: Arc<Crew>, due: Due) -> Vec<Seen> {
        let (answer, answered) = oneshot::channel();
        {
            let mut waiting = self.waiting();
            if matches!(*waiting, Waiting::Over) {
                return Vec::new();
            }
            *waiting = Waiting::Round(Ask { crew, due, answer });
        }
        self.news.notify_one();
        answered.await.unwrap_or_default()
    }

    /// Tells the keeper to end the session in order, and itself.
    pub(in crate::engine) fn leave(&self) {
        *self.waiting() = Waiting::Over;
        self.news.notify_one();
    }

    /// The next round; `None` when there will be no more.
    pub(super) async fn asked(&self) -> Option<Ask> {
        loop {
            {
                let mut waiting = self.waiting();
                match std::mem::take(&mut *waiting) {
                    Waiting::Round(ask) => return Some(ask),
                    Waiting::Over => {
                        *waiting = Waiting::Over;
                        return None;
                    }
                    Waiting::Nobody => {}
                }
            }
            self.news.notified().await;
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
