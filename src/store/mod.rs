//! What must survive a restart: observations, incidents and the outbox. The only floor that knows SQL; must not know how
//! a verdict is reached or how a letter is sent. SQLite for one process, Postgres for any number of hubs: a query is
//! written once for both (`access`), what differs is in `sqlite` and `postgres`, and both pass the same contract tests
//! (`tests/it/store.rs`).

mod access;
mod agents;
mod database;
mod divert;
mod error;
mod facts;
mod handovers;
mod incidents;
mod letters;
mod open;
mod postgres;
mod resume;
mod silences;
mod sqlite;
mod standing;
mod trim;

use std::sync::Arc;

pub use error::StoreError;
pub use facts::{Place, Wanted};
pub use handovers::{HandedOver, HandoverId};
pub use letters::{Claimed, LetterId, Next, Unsent};
pub use open::{check, folder_of, is_shared, shown};
pub use postgres::{Arrivals, Leader, Position};
pub use resume::Resumed;
pub use standing::{Mark, Standing};

use crate::model::Timestamp;

/// A handle to the store; clones share it.
#[derive(Clone)]
pub struct Store {
    database: database::Database,
    /// The silences as they are in the store, so that judging need not wait for it.
    silences: Arc<std::sync::RwLock<Arc<Vec<crate::model::Silence>>>>,
    /// The lease under which this handle writes what only a leader may; a store of one process needs none.
    epoch: Option<i64>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

impl Store {
    /// Whether two handles write under the same lease.
    #[must_use]
    pub fn is_same_lead(&self, other: &Self) -> bool {
        self.epoch == other.epoch
    }
}

/// Times are stored as whole microseconds.
const fn micros(at: Timestamp) -> i64 {
    at.timestamp_micros()
}

fn from_micros(micros: i64) -> Timestamp {
    Timestamp::from_timestamp_micros(micros).unwrap_or_default()
}
