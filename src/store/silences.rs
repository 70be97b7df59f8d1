//! Silences: who does not want to hear of what, why, until when. Few, so all of them are kept in memory as well.

use std::sync::{Arc, PoisonError};

use super::{Store, StoreError, micros};
use crate::model::{Silence, Timestamp};

/// Silences that are over stay for so long, for whoever asks who muted what.
const KEPT: chrono::Days = chrono::Days::new(30);
/// More at once are nobody's wish.
const MOST: usize = 1_000;

impl Store {
    /// Every silence: those in force, those to come, and those that have ended lately; oldest first. Never waits.
    #[must_use]
    pub fn silences(&self) -> Arc<Vec<Silence>> {
        self.silences.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Adds a silence and gives it its id.
    ///
    /// # Errors
    /// When the store cannot take it.
    pub async fn add_silence(&self, mut silence: Silence) -> Result<Silence, StoreError> {
        if self.silences().len() >= MOST {
            return Err(StoreError::Other { doing: "write to", why: format!("there are {MOST} silences already") });
        }
        let mut writer = self.begin().await?;
        let added = async {
            let last: i64 = sqlx::query_scalar("insert into silence (until, body) values (?, '') returning id")
                .bind(micros(silence.until))
                .fetch_one(&mut *writer)
                .await?;
            silence.id = format!("s-{last}").into();
            sqlx::query("update silence set body = ? where id = ?")
                .bind(serde_json::to_string(&silence).unwrap_or_default())
                .bind(last)
                .execute(&mut *writer)
                .await?;
            let forgotten = Timestamp::from(silence.from).checked_sub_days(KEPT).unwrap_or_default();
            sqlx::query("delete from silence where until < ?").bind(micros(forgotten)).execute(&mut *writer).await?;
            Ok(silence)
        }
        .await;
        let added = Self::end(writer, added).await?;
        self.recall_silences().await?;
        Ok(added)
    }

    /// Ends a silence now. It stays for the record; says whether there was one that was not over yet.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn end_silence(&self, id: &str, now: Timestamp) -> Result<Option<Silence>, StoreError> {
        let known = self.silences().iter().find(|silence| *silence.id == *id && silence.until > now).cloned();
        let (Some(mut silence), Some(Ok(number))) = (known, id.strip_prefix("s-").map(str::parse::<i64>)) else {
            return Ok(None);
        };
        silence.until = now;
        let mut writer = self.begin().await?;
        let done = sqlx::query("update silence set until = ?, body = ? where id = ?")
            .bind(micros(now))
            .bind(serde_json::to_string(&silence).unwrap_or_default())
            .bind(number)
            .execute(&mut *writer)
            .await;
        Self::end(writer, done).await?;
        self.recall_silences().await?;
        Ok(Some(silence))
    }

    /// Reads them again.
    pub(super) async fn recall_silences(&self) -> Result<(), StoreError> {
        let mut writer = self.writing().await;
        let query = sqlx::query_scalar("select body from silence order by id");
        let bodies: Vec<String> = query.fetch_all(&mut *writer).await.map_err(|error| StoreError::reading(&error))?;
        let silences = bodies.iter().filter_map(|body| serde_json::from_str(body).ok()).collect();
        *self.silences.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(silences);
        Ok(())
    }
}
