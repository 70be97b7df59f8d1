//! Silences: who does not want to hear of what, why, until when. Few, so all of them are kept in memory as well.

use std::sync::{Arc, PoisonError};

use super::{
    Store, StoreError,
    access::{Access, sql},
    micros,
};
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
        let from = Timestamp::from(silence.from);
        if self.silences().iter().filter(|one| one.until > from).count() >= MOST {
            return Err(StoreError::Other { doing: "write to", why: format!("there are {MOST} silences already") });
        }
        let mut access = self.begin().await?;
        let added = add(&mut access, &mut silence).await;
        let added = Self::end(access, added.map(|()| silence)).await?;
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
        let mut access = self.begin().await?;
        let done = sql!(
            access,
            query.execute,
            "update silence set until = $1, body = $2 where id = $3",
            micros(now),
            serde_json::to_string(&silence).unwrap_or_default(),
            number,
        );
        Self::end(access, done).await?;
        self.recall_silences().await?;
        Ok(Some(silence))
    }

    /// Reads them again: another hub may have changed them.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn recall_silences(&self) -> Result<(), StoreError> {
        let mut access = self.reading().await?;
        let bodies: Vec<String> = sql!(access, query_scalar.fetch_all, "select body from silence order by id")
            .map_err(|error| StoreError::reading(&error))?;
        let silences = bodies.iter().filter_map(|body| serde_json::from_str(body).ok()).collect();
        *self.silences.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(silences);
        Ok(())
    }
}

async fn add(access: &mut Access<'_>, silence: &mut Silence) -> Result<(), sqlx::Error> {
    let insert = "insert into silence (until, body) values ($1, '') returning id";
    let id: i64 = sql!(access, query_scalar.fetch_one, insert, micros(silence.until))?;
    silence.id = format!("s-{id}").into();
    let body = serde_json::to_string(&silence).unwrap_or_default();
    sql!(access, query.execute, "update silence set body = $1 where id = $2", body, id)?;
    let forgotten = Timestamp::from(silence.from).checked_sub_days(KEPT).unwrap_or_default();
    sql!(access, query.execute, "delete from silence where until < $1", micros(forgotten))?;
    Ok(())
}
