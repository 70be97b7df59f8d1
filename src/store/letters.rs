//! The outbox: letters in the order in which they were posted, one channel at a time, each in exactly one state. What
//! makes it exactly once is told in ADR 0004.

use sqlx::{Row, SqliteConnection};

use super::{Store, StoreError, from_micros, micros, reading};
use crate::model::{Delivered, Letter, Timestamp};

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

/// What was found of the time before a restart.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Resumed {
    /// Letters that cannot have arrived, or not for all we know: they are sent (again).
    pub again: Vec<Letter>,
    /// Letters that were handed over to a channel that was well: they are taken as delivered.
    pub taken: Vec<Letter>,
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
    /// Settles what a process that died has left under way; to be called once, before the first letter is claimed.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn resume_letters(&self, now: Timestamp) -> Result<Resumed, StoreError> {
        let mut writer = self.begin().await?;
        let settled = settle(&mut writer, now).await;
        Self::end(writer, settled).await
    }

    /// Claims the oldest letter of a channel that is not done. Letters of a channel never overtake each other, so the end
    /// of an incident is never told before its beginning.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn claim(&self, channel: &str, now: Timestamp) -> Result<Next, StoreError> {
        let mut writer = self.writing().await;
        let claim = async {
            let row = sqlx::query(
                "select id, attempts, not_before, body from letter
                 where channel = ? and state in ('pending', 'claimed', 'handed_over') order by id limit 1",
            )
            .bind(channel)
            .fetch_optional(&mut *writer)
            .await?;
            let Some(row) = row else { return Ok(Next::Nothing) };
            let not_before: i64 = row.get("not_before");
            // A clock that was set back must not make a letter wait for longer than anybody may ask for.
            let honest = not_before <= micros(now + LONGEST_WAIT);
            if not_before > micros(now) && honest {
                return Ok(Next::Wait(from_micros(not_before)));
            }
            let id: i64 = row.get("id");
            let letter = serde_json::from_str(row.get("body")).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
            sqlx::query("update letter set state = 'claimed', overdue = 0 where id = ?")
                .bind(id)
                .execute(&mut *writer)
                .await?;
            let attempts = u32::try_from(row.get::<i64, _>("attempts")).unwrap_or(u32::MAX);
            Ok(Next::Letter(Box::new(Claimed { id: LetterId(id), letter, attempts })))
        };
        claim.await.map_err(|error: sqlx::Error| StoreError::writing(&error))
    }

    /// Notes that from now on the letter may have arrived.
    ///
    /// # Errors
    /// When that cannot be written; then the letter must not be sent.
    pub async fn handing_over(&self, id: LetterId) -> Result<(), StoreError> {
        self.mark(id, "update letter set state = 'handed_over' where id = ?").await
    }

    /// Notes that no answer has come for a while: the channel is not well, so the letter has probably not arrived.
    ///
    /// # Errors
    /// When that cannot be written.
    pub async fn overdue(&self, id: LetterId) -> Result<(), StoreError> {
        self.mark(id, "update letter set overdue = 1 where id = ? and state = 'handed_over'").await
    }

    async fn mark(&self, id: LetterId, update: &'static str) -> Result<(), StoreError> {
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
        let (result, why, state) = match delivered {
            Delivered::Taken => ("taken", "", "sent"),
            Delivered::Later { why, .. } => ("later", &**why, "pending"),
            Delivered::Never { why } => ("never", &**why, "dead"),
        };
        let mut writer = self.begin().await?;
        let recorded = record(&mut writer, claimed, (result, why, state), now, not_before).await;
        Self::end(writer, recorded).await
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

async fn settle(connection: &mut SqliteConnection, now: Timestamp) -> Result<Resumed, sqlx::Error> {
    let rows = sqlx::query(
        "select l.id, l.state, l.body,
                l.overdue or coalesce((select result <> 'taken' from delivery d where d.channel = l.channel
                                       order by d.id desc limit 1), 0) as failing
         from letter l where l.state in ('claimed', 'handed_over') order by l.id",
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut resumed = Resumed::default();
    for row in rows {
        let (id, state, failing): (i64, String, bool) = (row.get("id"), row.get("state"), row.get("failing"));
        let arrived = state == "handed_over" && !failing;
        let update = if arrived {
            sqlx::query("update letter set state = 'sent', done_at = ? where id = ?").bind(micros(now)).bind(id)
        } else {
            sqlx::query("update letter set state = 'pending', overdue = 0 where id = ?").bind(id)
        };
        update.execute(&mut *connection).await?;
        if let Ok(letter) = serde_json::from_str(row.get("body")) {
            if arrived { resumed.taken.push(letter) } else { resumed.again.push(letter) }
        }
    }
    Ok(resumed)
}

async fn record(
    connection: &mut SqliteConnection,
    claimed: &Claimed,
    (result, why, state): (&'static str, &str, &'static str),
    now: Timestamp,
    not_before: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query("insert into delivery (letter, channel, at, result, why) values (?, ?, ?, ?, ?)")
        .bind(claimed.id.0)
        .bind(&*claimed.letter.channel)
        .bind(micros(now))
        .bind(result)
        .bind(why)
        .execute(&mut *connection)
        .await?;
    let done = (state != "pending").then(|| micros(now));
    sqlx::query(
        "update letter set state = ?, overdue = 0, attempts = attempts + 1, not_before = ?, done_at = ? where id = ?",
    )
    .bind(state)
    .bind(micros(not_before))
    .bind(done)
    .bind(claimed.id.0)
    .execute(&mut *connection)
    .await?;
    Ok(())
}
