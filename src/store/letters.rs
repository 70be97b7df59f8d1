//! The outbox: letters in the order in which they were posted, one channel at a time, each in exactly one state. What
//! makes it exactly once is told in ADR 0004.

use std::sync::Arc;

use super::{
    Store, StoreError,
    access::{Access, sql},
    from_micros, micros,
    standing::took,
};
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
        let mut access = self.begin_leading().await?;
        let next = claim(&mut access, channel, now).await;
        Self::end(access, next).await
    }

    /// Notes that from now on the letter may have arrived.
    ///
    /// # Errors
    /// When that cannot be written; then the letter must not be sent.
    pub async fn handing_over(&self, id: LetterId) -> Result<(), StoreError> {
        self.note(id, "update letter set state = 'handed_over' where id = $1").await
    }

    /// Notes that no answer has come for a while: the channel is not well, so the letter has probably not arrived.
    ///
    /// # Errors
    /// When that cannot be written.
    pub async fn overdue(&self, id: LetterId) -> Result<(), StoreError> {
        self.note(id, "update letter set overdue = 1 where id = $1 and state = 'handed_over'").await
    }

    async fn note(&self, id: LetterId, update: &'static str) -> Result<(), StoreError> {
        let mut access = self.begin_leading().await?;
        let noted = sql!(access, query.execute, update, id.0);
        Self::end(access, noted).await.map(|_| ())
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
        let mut access = self.begin_leading().await?;
        let recorded = record(&mut access, claimed, delivered, now, not_before).await;
        Self::end(access, recorded).await
    }

    /// Notes that a letter needs no sending.
    ///
    /// # Errors
    /// When that cannot be written.
    pub async fn pass_over(&self, claimed: &Claimed, now: Timestamp) -> Result<(), StoreError> {
        let mut access = self.begin_leading().await?;
        let pass = "update letter set state = 'sent', done_at = $1 where id = $2";
        let passed = sql!(access, query.execute, pass, micros(now), claimed.id.0);
        Self::end(access, passed).await.map(|_| ())
    }

    /// What waits to be sent, over all channels.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn unsent(&self) -> Result<Unsent, StoreError> {
        let mut access = self.reading().await?;
        let unsent = "select count(*), min(at) from letter where state in ('pending', 'claimed', 'handed_over')";
        let (depth, oldest): (i64, Option<i64>) =
            sql!(access, query_as.fetch_one, unsent).map_err(|error| StoreError::reading(&error))?;
        Ok(Unsent { depth: usize::try_from(depth).unwrap_or_default(), oldest: oldest.map(from_micros) })
    }

    /// The letters of an incident with the word for the state of each, in the order of posting.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn letters(&self, incident: &str) -> Result<Vec<(Letter, String)>, StoreError> {
        let mut access = self.reading().await?;
        let of_incident = "select body, state from letter where incident = $1 order by id";
        let rows: Vec<(String, String)> =
            sql!(access, query_as.fetch_all, of_incident, incident).map_err(|error| StoreError::reading(&error))?;
        Ok(rows.into_iter().filter_map(|(body, state)| Some((serde_json::from_str(&body).ok()?, state))).collect())
    }
}

async fn claim(access: &mut Access<'_>, channel: &str, now: Timestamp) -> Result<Next, sqlx::Error> {
    loop {
        let next = oldest(access, channel, now).await?;
        let Next::Letter(claimed) = &next else { return Ok(next) };
        if claimed.elsewhere.is_some() && forget(access, claimed, now).await? {
            continue;
        }
        sql!(access, query.execute, "update letter set state = 'claimed', overdue = 0 where id = $1", claimed.id.0)?;
        return Ok(next);
    }
}

/// Number, attempts, when to try again, doubt, who was told instead, body.
type Waiting = (i64, i64, i64, Option<String>, Option<String>, String);

async fn oldest(access: &mut Access<'_>, channel: &str, now: Timestamp) -> Result<Next, sqlx::Error> {
    let row: Option<Waiting> = sql!(
        access,
        query_as.fetch_optional,
        "select id, attempts, not_before, doubt, elsewhere, body from letter
         where channel = $1 and state in ('pending', 'claimed', 'handed_over') order by id limit 1",
        channel,
    )?;
    let Some((id, attempts, not_before, doubt, elsewhere, body)) = row else { return Ok(Next::Nothing) };
    // A clock that was set back must not make a letter wait for longer than anybody may ask for.
    let honest = not_before <= micros(now + LONGEST_WAIT);
    if not_before > micros(now) && honest {
        return Ok(Next::Wait(from_micros(not_before)));
    }
    Ok(Next::Letter(Box::new(Claimed {
        id: LetterId(id),
        letter: serde_json::from_str(&body).map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
        attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
        doubt: doubt.as_deref().and_then(Doubt::of_word),
        elsewhere: elsewhere.map(Into::into),
    })))
}

/// Does not tell what another channel was told instead, once it is over and nobody here has heard of it. Says whether.
async fn forget(access: &mut Access<'_>, claimed: &Claimed, now: Timestamp) -> Result<bool, sqlx::Error> {
    let forgotten = sql!(
        access,
        query.execute,
        "update letter set state = 'sent', done_at = $1 where id = $2
           and exists (select 1 from letter other where other.state = 'sent'
                       and other.key = letter.elsewhere || substr(letter.key, length(letter.channel) + 1))
           and exists (select 1 from incident where incident.id = letter.incident and incident.state = 'closed')
           and not exists (select 1 from standing where standing.channel = letter.channel
                           and standing.incident = letter.incident and standing.taken_at is not null)",
        micros(now),
        claimed.id.0,
    )?;
    Ok(forgotten > 0)
}

async fn record(
    access: &mut Access<'_>,
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
    sql!(
        access,
        query.execute,
        "insert into delivery (letter, channel, at, result, why) values ($1, $2, $3, $4, $5)",
        claimed.id.0,
        &*claimed.letter.channel,
        micros(now),
        result,
        why,
    )?;
    let done = (state != "pending").then(|| micros(now));
    // Who says how long to wait has not taken it; any other failure may have come after it was taken.
    let refused = matches!(delivered, Delivered::Later { wait: Some(_), .. });
    sql!(
        access,
        query.execute,
        "update letter set doubt = case when state = 'handed_over' and not $1 then coalesce(doubt, 'unlikely') else doubt end,
                           state = $2, overdue = 0, attempts = attempts + 1, not_before = $3, done_at = $4 where id = $5",
        refused,
        state,
        micros(not_before),
        done,
        claimed.id.0,
    )?;
    if *delivered == Delivered::Taken {
        took(access, &claimed.letter, now).await?;
    }
    Ok(())
}
