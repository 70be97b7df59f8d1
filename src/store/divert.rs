//! Letters that go another way, because their channel cannot be reached: copies for another channel, which hears the rest
//! of the incident too.

use std::sync::Arc;

use sqlx::{Row, SqliteConnection};

use super::{Store, StoreError, from_micros, incidents::post, micros, reading};
use crate::model::{Letter, Timestamp};

/// A letter that was given up before is old news.
const JUST_NOW: chrono::Duration = chrono::Duration::minutes(5);

impl Store {
    /// When a channel first failed to take a letter since it last took one; nothing when it takes them.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn failing_since(&self, channel: &str) -> Result<Option<Timestamp>, StoreError> {
        let query = sqlx::query_scalar::<_, Option<i64>>(
            "select min(at) from delivery where channel = ?1 and result = 'later'
               and id > coalesce((select max(id) from delivery where channel = ?1 and result = 'taken'), 0)",
        )
        .bind(channel);
        let since = reading!(self, query, fetch_one).map_err(|error| StoreError::reading(&error))?;
        Ok(since.map(from_micros))
    }

    /// Posts, for each letter that waits for a channel, or that the channel has just given up (`true`), the copy for
    /// another channel that `instead` makes of it; once for each letter. Says which copies.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn divert(
        &self,
        channel: &str,
        now: Timestamp,
        instead: &(dyn Fn(&Letter, bool) -> Option<Letter> + Sync),
    ) -> Result<Vec<Letter>, StoreError> {
        let mut writer = self.begin().await?;
        let diverted = divert(&mut writer, channel, now, instead).await;
        Self::end(writer, diverted).await
    }
}

async fn divert(
    connection: &mut SqliteConnection,
    channel: &str,
    now: Timestamp,
    instead: &(dyn Fn(&Letter, bool) -> Option<Letter> + Sync),
) -> Result<Vec<Letter>, sqlx::Error> {
    let rows = sqlx::query(
        "select id, state = 'dead' as given_up, body from letter
         where channel = ?1 and elsewhere is null
           and (state in ('pending', 'claimed', 'handed_over') or (state = 'dead' and done_at >= ?2)) order by id",
    )
    .bind(channel)
    .bind(micros(now - JUST_NOW))
    .fetch_all(&mut *connection)
    .await?;
    let mut diverted = Vec::new();
    for row in rows {
        let Ok(letter) = serde_json::from_str::<Letter>(row.get("body")) else { continue };
        let Some(copy) = instead(&letter, row.get("given_up")) else { continue };
        post(connection, &copy).await?;
        sqlx::query("update letter set elsewhere = ? where id = ?")
            .bind(&*copy.channel)
            .bind(row.get::<i64, _>("id"))
            .execute(&mut *connection)
            .await?;
        diverted.push(copy);
    }
    Ok(diverted)
}

/// Channels that were told of an incident in place of this one.
pub(super) async fn told_instead(
    connection: &mut SqliteConnection,
    channel: &str,
    incident: &str,
) -> Result<Vec<Arc<str>>, sqlx::Error> {
    let query = sqlx::query_scalar(
        "select distinct elsewhere from letter where incident = ? and channel = ? and elsewhere is not null",
    );
    let told: Vec<String> = query.bind(incident).bind(channel).fetch_all(connection).await?;
    Ok(told.into_iter().map(Into::into).collect())
}
