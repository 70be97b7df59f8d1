//! The outbox: letters in the order in which they were posted, one channel at a time, each in exactly one state. What
//! makes it exactly once is told in ADR 0004.

use std::sync::Arc;

use sqlx::{Row, SqliteConnection};

use super::{Store, StoreError, from_micros, micros, reading, standing::took};
use crate::model::{Delivered, Doubt, Letter, Timestamp};

/// Nobody may make a letter wait for longer.
const LONGEST_WAIT: chrono::Duration = chrono::Duration::hours(2);

/// Number of a letter, in the order of posting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LetterId(i64);

/// A letter that this process has taken to send.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// Its number.
    pub id: LetterId,
    /// The letter.
    pub letter: Letter,
    /// Attempts that have failed so far.
    pub attempts: u32,
    /// An earlier attempt may have arrived.
    pub doubt: Option<Doubt>,
    /// The channel that was told instead.
    pub elsewhere: Option<Arc<str>>,
}

/// What a channel has to do next.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Send this one.
    Letter(Box<Claimed>),
    /// Wait: the oldest letter must not be sent before this instant, and none may overtake it.
    Wait(Timestamp),
    /// Nothing.
    Nothing,
}

/// What waits to be sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unsent {
    /// How many letters.
    pub depth: usize,
    /// When what the oldest says happened.
    pub oldest: Option<Timestamp>,
}

impl Store {
    /// Claims the oldest letter of a channel that is not done. Letters of a channel never overtake each other, so the end
    /// of an incident is never told before its beginning.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn claim(&self, channel: &str, now: Timestamp) -> Result<Next, StoreError> {
        let mut writer = self.writing().await;
        let claim = async {
            loop {
                let next = oldest(&mut writer, channel, now).await?;
                let Next::Letter(claimed) = &next else { return Ok(next) };
                if claimed.elsewhere.is_some() && forget(&mut writer, claimed, now).await? {
                    continue;
                }
                sqlx::query("update letter set state = 'claimed', overdue = 0 where id = ?")
                    .bind(claimed.id.0)
                    .execute(&mut *writer)
                    .await?;
                return Ok(next);
            }
        };
        claim.await.map_err(|error: sqlx::Error| StoreError::writing(&error))
    }

    /// Notes that from now on the letter may have arrived.
    ///
    /// # Errors
    /// When that cannot be written; then the letter must not be sent.
    pub async fn handing_over(&self, id: LetterId) -> Result<(), StoreError> {
        self.note(id, "update letter set state = 'handed_over' where id = ?").await
    }

    /// Notes that no answer has come for a while: the channel is not well, so the letter has probably not arrived.
    ///
    /// # Errors
    /// When that cannot be written.
    pub async fn overdue(&self, id: LetterId) -> Result<(), StoreError> {
        self.note(id, "update letter set overdue = 1 where id = ? and state = 'handed_over'").await
    }

    async fn note(&self, id: LetterId, update: &'static str) -> Result<(), StoreError> {
        let mut writer = self.writing().await;
        let result = sqlx::query(update).bind(id.0).execute(&mut *writer).await;
        result.map(|_| ()).map_err(|error| StoreError::writing(&error))
    }

    /// Notes what became of an attempt; a letter that is to be tried again waits until `not_before`.
    ///
    /// # Errors
    /// When that cannot be written.
    pub async fn delivered(
        &self,
        claimed: &Claimed,
        delivered: &Delivered,
        now: Timestamp,
        not_before: Timestamp,
    ) -> Result<(), StoreError> {
        let mut writer = self.begin().await?;
        let recorded = record(&mut writer, claimed, delivered, now, not_before).await;
        Self::end(writer, recorded).await
    }

    /// Notes that a letter needs no sending.
    ///
    /// # Errors
    /// When that cannot be written.
    pub async fn pass_over(&self, claimed: &Claimed, now: Timestamp) -> Result<(), StoreError> {
        let mut writer = self.writing().await;
        let passed = sqlx::query("update letter set state = 'sent', done_at = ? where id = ?")
            .bind(micros(now))
            .bind(claimed.id.0)
            .execute(&mut *writer)
            .await;
        passed.map(|_| ()).map_err(|error| StoreError::writing(&error))
    }

    /// What waits to be sent, over all channels.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn unsent(&self) -> Result<Unsent, StoreError> {
        let query = sqlx::query_as::<_, (i64, Option<i64>)>(
            "select count(*), min(at) from letter where state in ('pending', 'claimed', 'handed_over')",
        );
        let (depth, oldest) = reading!(self, query, fetch_one).map_err(|error| StoreError::reading(&error))?;
        Ok(Unsent { depth: usize::try_from(depth).unwrap_or_default(), oldest: oldest.map(from_micros) })
    }

    /// The letters of an incident with the word for the state of each, in the order of posting.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn letters(&self, incident: &str) -> Result<Vec<(Letter, String)>, StoreError> {
        let query =
            sqlx::query_as::<_, (String, String)>("select body, state from letter where incident = ? order by id")
                .bind(incident);
        let rows = reading!(self, query, fetch_all).map_err(|error| StoreError::reading(&error))?;
        Ok(rows.into_iter().filter_map(|(body, state)| Some((serde_json::from_str(&body).ok()?, state))).collect())
    }
}

async fn oldest(connection: &mut SqliteConnection, channel: &str, now: Timestamp) -> Result<Next, sqlx::Error> {
    let row = sqlx::query(
        "select id, attempts, not_before, doubt, elsewhere, body from letter
         where channel = ? and state in ('pending', 'claimed', 'handed_over') order by id limit 1",
    )
    .bind(channel)
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(Next::Nothing) };
    let not_before: i64 = row.get("not_before");
    // A clock that was set back must not make a letter wait for longer than anybody may ask for.
    let honest = not_before <= micros(now + LONGEST_WAIT);
    if not_before > micros(now) && honest {
        return Ok(Next::Wait(from_micros(not_before)));
    }
    Ok(Next::Letter(Box::new(Claimed {
        id: LetterId(row.get("id")),
        letter: serde_json::from_str(row.get("body")).map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
        attempts: u32::try_from(row.get::<i64, _>("attempts")).unwrap_or(u32::MAX),
        doubt: row.get::<Option<&str>, _>("doubt").and_then(Doubt::of_word),
        elsewhere: row.get::<Option<&str>, _>("elsewhere").map(Into::into),
    })))
}

/// Does not tell what another channel was told instead, once it is over and nobody here has heard of it. Says whether.
async fn forget(connection: &mut SqliteConnection, claimed: &Claimed, now: Timestamp) -> Result<bool, sqlx::Error> {
    let forgotten = sqlx::query(
        "update letter set state = 'sent', done_at = ?1 where id = ?2
           and exists (select 1 from letter other where other.state = 'sent'
                       and other.key = letter.elsewhere || substr(letter.key, length(letter.channel) + 1))
           and exists (select 1 from incident where incident.id = letter.incident and incident.state = 'closed')
           and not exists (select 1 from standing where standing.channel = letter.channel
                           and standing.incident = letter.incident and standing.taken_at is not null)",
    )
    .bind(micros(now))
    .bind(claimed.id.0)
    .execute(connection)
    .await?;
    Ok(forgotten.rows_affected() > 0)
}

async fn record(
    connection: &mut SqliteConnection,
    claimed: &Claimed,
    delivered: &Delivered,
    now: Timestamp,
    not_before: Timestamp,
) -> Result<(), sqlx::Error> {
    let (result, why, state) = match delivered {
        Delivered::Taken => ("taken", "", "sent"),
        Delivered::Later { why, .. } => ("later", &**why, "pending"),
        Delivered::Never { why } => ("never", &**why, "dead"),
    };
    sqlx::query("insert into delivery (letter, channel, at, result, why) values (?, ?, ?, ?, ?)")
        .bind(claimed.id.0)
        .bind(&*claimed.letter.channel)
        .bind(micros(now))
        .bind(result)
        .bind(why)
        .execute(&mut *connection)
        .await?;
    let done = (state != "pending").then(|| micros(now));
    // Who says how long to wait has not taken it; any other failure may have come after it was taken.
    let refused = matches!(delivered, Delivered::Later { wait: Some(_), .. });
    sqlx::query(
        "update letter set doubt = case when state = 'handed_over' and not ? then coalesce(doubt, 'unlikely') else doubt end,
                           state = ?, overdue = 0, attempts = attempts + 1, not_before = ?, done_at = ? where id = ?",
    )
    .bind(refused)
    .bind(state)
    .bind(micros(not_before))
    .bind(done)
    .bind(claimed.id.0)
    .execute(&mut *connection)
    .await?;
    if *delivered == Delivered::Taken {
        took(connection, &claimed.letter, now).await?;
    }
    Ok(())
}
