//! Postgres: a server, perhaps of several hubs, that may be away for a while. Owns the connections and what a server must
//! be told before it is used; a hub outlives every outage of it.

mod address;
mod days;
mod follow;
mod lead;

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use sqlx::{
    Connection as _, PgPool,
    migrate::MigrateError,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::{sync::OnceCell, time::timeout};

pub(super) use days::insert;
pub use follow::{Arrivals, Position};
pub use lead::Leader;

use super::{
    StoreError,
    access::{boxed, in_time},
    error::{self, in_words},
};
use address::{options, shown};

pub(super) fn check_address(url: &str) -> Result<(), StoreError> {
    options(url).map(|_| ())
}

/// An address without credentials.
pub(super) fn shown_address(url: &str) -> String {
    options(url).map_or_else(|_| "…".to_owned(), |options| shown(&options))
}

static TABLES: sqlx::migrate::Migrator = sqlx::migrate!("migrations/postgres");

/// Connections at most: batches, the outbox, pages.
const CONNECTIONS: u32 = 10;
/// How long a connection may take to be there.
const CONNECT: Duration = Duration::from_secs(2);
/// How long a connection that is given back may take to say that it is well.
const PING: Duration = Duration::from_secs(1);
/// How long another hub may take to make the tables.
const MAKE: Duration = Duration::from_secs(30);

/// A server.
#[derive(Clone)]
pub(super) struct Postgres {
    pool: PgPool,
    /// Whether the tables are made: a server that is away at the start gets them when it is there.
    made: Arc<OnceCell<()>>,
    /// Where, without credentials.
    shown: Arc<str>,
}

impl Postgres {
    pub(super) async fn open(url: &str) -> Result<Self, StoreError> {
        let postgres = Self::at(url)?;
        match postgres.make().await {
            Err(error @ StoreError::Unreachable { .. }) => {
                tracing::warn!("{error}: nothing is judged and no batch is taken until it can be");
                Ok(postgres)
            }
            Err(error) => Err(error),
            Ok(()) => Ok(postgres),
        }
    }

    pub(super) async fn open_to_read(url: &str) -> Result<Self, StoreError> {
        let mut postgres = Self::at(url)?;
        postgres.made = Arc::new(OnceCell::new_with(Some(())));
        postgres.acquire().await?;
        Ok(postgres)
    }

    fn at(url: &str) -> Result<Self, StoreError> {
        let options = options(url)?;
        let shown = shown(&options).into();
        Ok(Self { pool: pool(options), made: Arc::default(), shown })
    }

    /// A connection to a database whose tables are made.
    pub(super) fn acquire(&self) -> BoxFuture<'_, Result<PoolConnection<sqlx::Postgres>, StoreError>> {
        boxed(async {
            self.make().await?;
            self.connect().await
        })
    }

    async fn connect(&self) -> Result<PoolConnection<sqlx::Postgres>, StoreError> {
        self.pool.acquire().await.map_err(|error| self.opening(&error))
    }

    async fn make(&self) -> Result<(), StoreError> {
        let making = async {
            let mut connection = self.connect().await?;
            // Its own lock keeps two hubs from doing that at once.
            let made = timeout(MAKE, boxed(TABLES.run_direct(None, &mut *connection, false))).await;
            made.unwrap_or(Err(MigrateError::Execute(sqlx::Error::PoolTimedOut)))
                .map_err(|error| self.of_migration(&error))?;
            // Agents that were cut off come with what they saw in the last days.
            let today = days::of(chrono::Utc::now());
            let made = days::make(&mut connection, today - 3, today).await;
            made.map_err(|error| StoreError::writing(&error))
        };
        self.made.get_or_try_init(|| making).await.map(|_| ())
    }

    fn opening(&self, error: &sqlx::Error) -> StoreError {
        let why = format!("Postgres at {}: {}", self.shown, in_words(error));
        match error {
            // A certificate that is not what it should be does not become so by waiting.
            sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => StoreError::Server { why },
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => StoreError::Unreachable { why },
            // Starting up, shutting down, or more connections than it allows.
            error if error::state(error).is_some_and(|state| state.starts_with("57P") || state == "53300") => {
                StoreError::Unreachable { why }
            }
            _ => StoreError::Server { why },
        }
    }

    fn of_migration(&self, error: &MigrateError) -> StoreError {
        match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => self.opening(error),
            MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..) => StoreError::Server {
                why: format!("Postgres at {}: a newer version of usoryou has made its tables", self.shown),
            },
            other => StoreError::Server { why: format!("Postgres at {}: {other}", self.shown) },
        }
    }
}

fn pool(options: PgConnectOptions) -> PgPool {
    PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .min_connections(0)
        .acquire_timeout(CONNECT)
        // Whoever was cancelled in the middle of something may have left the connection waiting for ever, and a place taken.
        .after_release(|connection, _| {
            Box::pin(async move {
                let answered = timeout(PING, connection.ping()).await;
                answered.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map(|()| true)
            })
        })
        .connect_lazy_with(options)
}

/// One value of a query without values.
async fn one<T>(connection: &mut sqlx::PgConnection, query: &'static str) -> Result<T, sqlx::Error>
where
    T: Send + Unpin + sqlx::Type<sqlx::Postgres> + for<'a> sqlx::Decode<'a, sqlx::Postgres>,
{
    in_time(sqlx::query_scalar(query).fetch_one(connection)).await
}
