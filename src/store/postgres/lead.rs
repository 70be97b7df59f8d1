//! Who leads: one row, held for a few seconds at a time by the clock of the database, never by ours. Its number, the
//! epoch, goes up when it changes hands; a leader's writes ask for theirs, so that one who does not know yet that it
//! leads no more changes nothing (ADR 0009).

use std::time::Duration;

use tokio::time::timeout;

use crate::store::{Store, StoreError, access::sql, database::Database};

/// Nobody waits longer for the lease: whoever holds its row just then is ending a transaction, or is dead.
const WITHIN: Duration = Duration::from_secs(2);

/// Who leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leader {
    /// Its name.
    pub name: String,
    /// How often the lead has changed hands.
    pub epoch: i64,
    /// Whether it has said lately that it is alive.
    pub alive: bool,
}

impl Store {
    /// Whether other hubs may use the same store at the same time.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        matches!(self.database, Database::Postgres(_))
    }

    /// Takes the lead for a time if nobody has it: a handle to write with as the leader. A store of one process is always
    /// led by it.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn lead(&self, name: &str, length: Duration) -> Result<Option<Self>, StoreError> {
        if !self.is_shared() {
            return Ok(Some(self.clone()));
        }
        let take = "update lease set epoch = epoch + 1, holder = $1, until = clock_timestamp() + $2 * interval '1 ms'
                    where until < clock_timestamp() returning epoch";
        let epoch: Option<i64> = self
            .of_lease(async {
                let mut access = self.begin().await?;
                let taken = sql!(access, query_scalar.fetch_optional, take, name, millis(length));
                Self::end(access, taken).await
            })
            .await?;
        Ok(epoch.map(|epoch| Self { epoch: Some(epoch), ..self.clone() }))
    }

    /// Keeps the lead for another while. Says whether it is still ours.
    ///
    /// # Errors
    /// When the store cannot be written: then it is ours until another takes it.
    pub async fn go_on_leading(&self, length: Duration) -> Result<bool, StoreError> {
        let Some(epoch) = self.epoch else { return Ok(true) };
        let renew = "update lease set until = clock_timestamp() + $2 * interval '1 ms' where epoch = $1";
        let kept = self.of_lease(async {
            let mut access = self.begin().await?;
            let kept = sql!(access, query.execute, renew, epoch, millis(length));
            Self::end(access, kept).await
        });
        Ok(kept.await? > 0)
    }

    /// Gives the lead up, so that another need not wait for its end.
    ///
    /// # Errors
    /// When the store cannot be written: then it ends by itself.
    pub async fn stop_leading(&self) -> Result<(), StoreError> {
        let Some(epoch) = self.epoch else { return Ok(()) };
        let left = self.of_lease(async {
            let mut access = self.begin().await?;
            let left = sql!(access, query.execute, "update lease set until = '-infinity' where epoch = $1", epoch);
            Self::end(access, left).await
        });
        left.await.map(|_| ())
    }

    /// Who leads, or led last; nothing where there is only one.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn leader(&self) -> Result<Option<Leader>, StoreError> {
        if !self.is_shared() {
            return Ok(None);
        }
        let (name, epoch, alive) = self
            .of_lease(async {
                let mut access = self.reading().await?;
                let leader = "select holder, epoch, until > clock_timestamp() from lease";
                sql!(access, query_as.fetch_one, leader).map_err(|error| StoreError::reading(&error))
            })
            .await?;
        Ok(Some(Leader { name, epoch, alive }))
    }

    /// Shows the others what the leader thinks.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn publish(&self, picture: &str) -> Result<(), StoreError> {
        let mut access = self.begin_leading().await?;
        let publish = "update picture set epoch = $1, body = $2,
                       at = (extract(epoch from clock_timestamp()) * 1000000)::bigint";
        let published = sql!(access, query.execute, publish, self.epoch.unwrap_or_default(), picture);
        Self::end(access, published).await.map(|_| ())
    }

    /// What the leader thought last and when, in microseconds; nothing when it is what was known then already.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn published(&self, known: i64) -> Result<Option<(i64, String)>, StoreError> {
        if !self.is_shared() {
            return Ok(None);
        }
        let mut access = self.reading().await?;
        let picture = "select at, body from picture where at > $1";
        sql!(access, query_as.fetch_optional, picture, known).map_err(|error| StoreError::reading(&error))
    }

    async fn of_lease<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let late = || Err(StoreError::Unreachable { why: "the lease cannot be read or written in time".to_owned() });
        timeout(WITHIN, work).await.unwrap_or_else(|_| late())
    }
}

fn millis(length: Duration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX)
}
