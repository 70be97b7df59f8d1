//! What must survive a restart: observations, incidents and the outbox. The only floor that knows SQL; must not know how
//! a verdict is reached or how a letter is sent. SQLite for now; a second database gets the same methods and has to pass
//! the same contract tests (`tests/it/store.rs`).

mod divert;
mod error;
mod facts;
mod incidents;
mod letters;
mod open;
mod resume;
mod silences;
mod standing;
mod trim;

use std::sync::Arc;

use sqlx::{SqliteConnection, SqlitePool};
use tokio::sync::{Mutex, MutexGuard};

pub use error::StoreError;
pub use facts::Wanted;
pub use letters::{Claimed, LetterId, Next, Unsent};
pub use open::folder_of;
pub use resume::Resumed;
pub use standing::{Mark, Standing};

use crate::model::Timestamp;

/// A handle to the store; clones share it.
#[derive(Clone)]
pub struct Store {
    /// The one connection that writes: SQLite allows one writer, and waiting here is fairer than its busy timeout.
    writer: Arc<Mutex<SqliteConnection>>,
    /// Connections that only read; nothing for a store in memory, which lives in the writer's connection alone.
    readers: Option<SqlitePool>,
    /// The silences as they are in the store, so that judging need not wait for it.
    silences: Arc<std::sync::RwLock<Arc<Vec<crate::model::Silence>>>>,
    /// Keeps another process from judging and telling on the same store; released when this process ends, however it ends.
    _lock: Option<Arc<std::fs::File>>,
}

impl Store {
    async fn writing(&self) -> MutexGuard<'_, SqliteConnection> {
        self.writer.lock().await
    }

    /// Begins a transaction. By hand, because a full disk makes SQLite end one by itself, which sqlx does not notice.
    async fn begin(&self) -> Result<MutexGuard<'_, SqliteConnection>, StoreError> {
        let mut writer = self.writing().await;
        if sqlx::raw_sql("begin immediate").execute(&mut *writer).await.is_err() {
            // Somebody was cancelled in the middle of one.
            let _ = sqlx::raw_sql("rollback").execute(&mut *writer).await;
            let begun = sqlx::raw_sql("begin immediate").execute(&mut *writer).await;
            begun.map_err(|error| StoreError::writing(&error))?;
        }
        Ok(writer)
    }

    /// Ends a transaction: all of it when what was done in it succeeded, otherwise nothing.
    async fn end<T>(
        mut writer: MutexGuard<'_, SqliteConnection>,
        done: Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        let committed = match done {
            Ok(done) => sqlx::raw_sql("commit").execute(&mut *writer).await.map(|_| done),
            Err(error) => Err(error),
        };
        if committed.is_err() {
            let _ = sqlx::raw_sql("rollback").execute(&mut *writer).await;
        }
        committed.map_err(|error| StoreError::writing(&error))
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

/// Runs a read query where reading is done: `reading!(self, query.fetch_all)`.
macro_rules! reading {
    ($store:expr, $query:expr, $fetch:ident) => {
        match &$store.readers {
            Some(readers) => $query.$fetch(readers).await,
            None => $query.$fetch(&mut *$store.writing().await).await,
        }
    };
}
use reading;

/// Times are stored as whole microseconds.
const fn micros(at: Timestamp) -> i64 {
    at.timestamp_micros()
}

fn from_micros(micros: i64) -> Timestamp {
    Timestamp::from_timestamp_micros(micros).unwrap_or_default()
}
