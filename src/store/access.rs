//! One query for either database: connections of both behind one name, and the macro that runs a query on whichever is
//! there, so that its text is written once. Must not know what is asked.

use std::{io, time::Duration};

use futures_util::future::BoxFuture;
use sqlx::{PgConnection, Postgres, Sqlite, SqliteConnection, Transaction, pool::PoolConnection};
use tokio::{sync::MutexGuard, time::timeout};

use super::{Store, StoreError, database::Database};

/// No statement takes longer: a server that is paused, or gone behind a cut, never says that it is.
const LONGEST: Duration = Duration::from_secs(10);

/// A connection for as long as one method needs it.
pub(super) enum Access<'a> {
    /// SQLite's one connection that writes, with or without a transaction.
    Writer(MutexGuard<'a, SqliteConnection>),
    /// One of SQLite's that only read.
    Reader(PoolConnection<Sqlite>),
    /// One of Postgres, each statement by itself.
    Postgres(PoolConnection<Postgres>),
    /// One of Postgres in a transaction.
    Transaction(Transaction<'static, Postgres>),
}

/// What a query runs on.
pub(super) enum On<'a> {
    Sqlite(&'a mut SqliteConnection),
    Postgres(&'a mut PgConnection),
}

impl Access<'_> {
    pub(super) fn on(&mut self) -> On<'_> {
        match self {
            Self::Writer(connection) => On::Sqlite(connection),
            Self::Reader(connection) => On::Sqlite(connection),
            Self::Postgres(connection) => On::Postgres(connection),
            Self::Transaction(connection) => On::Postgres(connection),
        }
    }
}

/// Does something on the connection of either database: `on!(access, |connection| query.fetch_all(connection))`.
macro_rules! on {
    ($access:expr, |$connection:ident| $work:expr) => {
        match $access.on() {
            $crate::store::access::On::Sqlite($connection) => $crate::store::access::boxed($work).await,
            $crate::store::access::On::Postgres($connection) => $crate::store::access::in_time($work).await,
        }
    };
}

/// Runs a query on either database, with values for `$1`, `$2` …: `sql!(access, query_scalar.fetch_one, "select …", value)`.
/// `query.execute` gives the number of rows that it touched.
macro_rules! sql {
    ($access:expr, query.execute, $sql:expr $(, $value:expr)* $(,)?) => {
        $crate::store::access::on!($access, |connection| async {
            sqlx::query($sql)$(.bind($value))*.execute(connection).await.map(|done| done.rows_affected())
        })
    };
    ($access:expr, $query:ident.$fetch:ident, $sql:expr $(, $value:expr)* $(,)?) => {
        $crate::store::access::on!($access, |connection| sqlx::$query($sql)$(.bind($value))*.$fetch(connection))
    };
}

pub(super) use {on, sql};

/// Forgets how a future is made: the compiler cannot see that what sqlx makes may move between threads for any lifetime.
pub(super) fn boxed<'a, T>(work: impl Future<Output = T> + Send + 'a) -> BoxFuture<'a, T> {
    Box::pin(work)
}

/// Waits for Postgres no longer than anybody should.
pub(super) fn in_time<'a, T>(
    work: impl Future<Output = Result<T, sqlx::Error>> + Send + 'a,
) -> BoxFuture<'a, Result<T, sqlx::Error>> {
    boxed(async {
        timeout(LONGEST, work).await.unwrap_or_else(|_| Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into())))
    })
}

impl Store {
    /// To read.
    pub(super) async fn reading(&self) -> Result<Access<'_>, StoreError> {
        match &self.database {
            Database::Sqlite(sqlite) => match &sqlite.readers {
                Some(readers) => {
                    readers.acquire().await.map(Access::Reader).map_err(|error| StoreError::reading(&error))
                }
                None => Ok(Access::Writer(sqlite.writer.lock().await)),
            },
            Database::Postgres(postgres) => postgres.acquire().await.map(Access::Postgres),
        }
    }

    /// Begins a transaction.
    pub(super) async fn begin(&self) -> Result<Access<'_>, StoreError> {
        match &self.database {
            Database::Sqlite(sqlite) => sqlite.begin().await.map(Access::Writer),
            Database::Postgres(postgres) => {
                let connection = postgres.acquire().await?;
                let begun = in_time(begin(connection)).await;
                begun.map(Access::Transaction).map_err(|error| StoreError::writing(&error))
            }
        }
    }

    /// Begins a transaction that only the leader may end: it fails when another has begun to lead, and none can begin to
    /// before it has ended.
    pub(super) async fn begin_leading(&self) -> Result<Access<'_>, StoreError> {
        let mut access = self.begin().await?;
        let Some(epoch) = self.epoch else { return Ok(access) };
        let fence = "select epoch from lease where epoch = $1 for key share";
        let ours: Result<Option<i64>, _> = sql!(access, query_scalar.fetch_optional, fence, epoch);
        match ours.map_err(|error| StoreError::writing(&error))? {
            Some(_) => Ok(access),
            None => Err(StoreError::Deposed),
        }
    }

    /// Ends a transaction: all of it when what was done in it succeeded, otherwise nothing.
    pub(super) async fn end<T>(access: Access<'_>, done: Result<T, sqlx::Error>) -> Result<T, StoreError> {
        let ended = match (access, done) {
            (Access::Transaction(transaction), Ok(done)) => in_time(transaction.commit()).await.map(|()| done),
            (Access::Transaction(transaction), Err(error)) => {
                let _ = in_time(transaction.rollback()).await;
                Err(error)
            }
            (Access::Writer(mut writer), done) => super::sqlite::end(&mut writer, done).await,
            // Nothing was begun.
            (Access::Reader(_) | Access::Postgres(_), done) => done,
        };
        ended.map_err(|error| StoreError::writing(&error))
    }
}

fn begin(
    connection: PoolConnection<Postgres>,
) -> BoxFuture<'static, Result<Transaction<'static, Postgres>, sqlx::Error>> {
    Transaction::begin(connection, None)
}
