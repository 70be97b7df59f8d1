//! Letters that go another way, because their channel cannot be reached: copies for another channel, which hears the rest
//! of the incident too.

use std::sync::Arc;

use super::{
    Store, StoreError,
    access::{Access, sql},
    from_micros,
    incidents::post,
    micros,
};
use crate::model::{Letter, Timestamp};

/// A letter that was given up before is old news.
const JUST_NOW: chrono::Duration = chrono::Duration::minutes(5);

impl Store {
    /// When a channel first failed to take a letter since it last took one; nothing when it takes them.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn failing_since(&self, channel: &str) -> Result<Option<Timestamp>, StoreError> {
        let mut access = self.reading().await?;
        let since: Option<i64> = sql!(
            access,
            query_scalar.fetch_one,
            "select min(at) from delivery where channel = $1 and result = 'later'
               and id > coalesce((select max(id) from delivery where channel = $1 and result = 'taken'), 0)",
            channel,
        )
        .map_err(|error| StoreError::reading(&error))?;
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
        let mut access = self.begin_leading().await?;
        let diverted = divert(&mut access, channel, now, instead).await;
        Self::end(access, diverted).await
    }
}

async fn divert(
    access: &mut Access<'_>,
    channel: &str,
    now: Timestamp,
    instead: &(dyn Fn(&Letter, bool) -> Option<Letter> + Sync),
) -> Result<Vec<Letter>, sqlx::Error> {
    let rows: Vec<(i64, bool, String)> = sql!(
        access,
        query_as.fetch_all,
        "select id, state = 'dead', body from letter
         where channel = $1 and elsewhere is null
           and (state in ('pending', 'claimed', 'handed_over') or (state = 'dead' and done_at >= $2)) order by id",
        channel,
        micros(now - JUST_NOW),
    )?;
    let mut diverted = Vec::new();
    for (id, given_up, body) in rows {
        let Ok(letter) = serde_json::from_str::<Letter>(&body) else { continue };
        let Some(copy) = instead(&letter, given_up) else { continue };
        post(access, &copy).await?;
        sql!(access, query.execute, "update letter set elsewhere = $1 where id = $2", &*copy.channel, id)?;
        diverted.push(copy);
    }
    Ok(diverted)
}

/// Channels that were told of an incident in place of this one.
pub(super) async fn told_instead(
    access: &mut Access<'_>,
    channel: &str,
    incident: &str,
) -> Result<Vec<Arc<str>>, sqlx::Error> {
    let told: Vec<String> = sql!(
        access,
        query_scalar.fetch_all,
        "select distinct elsewhere from letter where incident = $1 and channel = $2 and elsewhere is not null",
        incident,
        channel,
    )?;
    Ok(told.into_iter().map(Into::into).collect())
}
