//! Retention: by age, then by size. What is the same for both databases; how observations are cut is theirs.

use std::time::Duration;

use super::{Store, StoreError, access::sql, database::Database, micros};
use crate::model::Timestamp;

/// Closed incidents are few and are what reports are made of: they outlive the observations.
const INCIDENTS: chrono::Days = chrono::Days::new(400);

impl Store {
    /// Deletes observations older than `age`, then the oldest ones until the store is no larger than `bytes`; and with the
    /// same age the letters that are done and the record of their deliveries; closed incidents stay for over a year. Never
    /// an unsent letter or an incident that is not over. Postgres cuts whole days, and never the present one. Says how
    /// many observations were deleted.
    ///
    /// # Errors
    /// When the store cannot be written; what was deleted until then stays deleted.
    pub async fn trim(&self, age: Duration, bytes: u64, now: Timestamp) -> Result<u64, StoreError> {
        let oldest = chrono::Duration::from_std(age).ok().and_then(|age| now.checked_sub_signed(age));
        let oldest = micros(oldest.unwrap_or(Timestamp::MIN_UTC));
        let forgotten = micros(now.checked_sub_days(INCIDENTS).unwrap_or(Timestamp::MIN_UTC)).min(oldest);
        let deletions = [
            ("delete from incident where state = 'closed' and closed_at < $1", forgotten),
            ("delete from delivery where at < $1", oldest),
            ("delete from letter where state in ('sent', 'dead') and done_at < $1", oldest),
            (
                "delete from standing where taken_at < $1 and not exists
                 (select 1 from incident i where i.id = standing.incident and i.state <> 'closed')",
                oldest,
            ),
            ("delete from agent where seen_at < $1", oldest),
        ];
        for (delete, before) in deletions {
            let mut access = self.begin_leading().await?;
            let deleted = sql!(access, query.execute, delete, before);
            Self::end(access, deleted).await?;
        }
        match &self.database {
            Database::Sqlite(sqlite) => sqlite.trim(oldest, bytes).await,
            Database::Postgres(postgres) => postgres.trim(oldest, bytes, micros(now)).await,
        }
    }

    /// Bytes that the store's contents take.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn size(&self) -> Result<u64, StoreError> {
        match &self.database {
            Database::Sqlite(sqlite) => sqlite.size().await,
            Database::Postgres(postgres) => postgres.size().await,
        }
    }
}
