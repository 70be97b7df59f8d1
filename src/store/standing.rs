//! Where each channel stands with each incident: what it was told last, and where its message is.

use sqlx::{Row, SqliteConnection};

use super::{Store, StoreError, micros, reading};
use crate::model::{Letter, Timestamp};

/// Where a channel stands with an incident.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Standing {
    /// The letter that it took last.
    pub letter: Option<Letter>,
    /// Its message, if it keeps one.
    pub mark: Option<Mark>,
}

/// What a channel remembers of its own message about an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Key of the letter that is shown there.
    pub by: String,
    /// Where the message is, in the channel's own words.
    pub place: String,
}

impl Store {
    /// Where a channel stands with an incident.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn standing(&self, channel: &str, incident: &str) -> Result<Standing, StoreError> {
        let query = sqlx::query("select marked_by, mark, body from standing where channel = ? and incident = ?")
            .bind(channel)
            .bind(incident);
        let row = reading!(self, query, fetch_optional).map_err(|error| StoreError::reading(&error))?;
        let Some(row) = row else { return Ok(Standing::default()) };
        let (by, place): (Option<String>, Option<String>) = (row.get("marked_by"), row.get("mark"));
        Ok(Standing {
            letter: row.get::<Option<&str>, _>("body").and_then(|body| serde_json::from_str(body).ok()),
            mark: by.zip(place).map(|(by, place)| Mark { by, place }),
        })
    }

    /// Notes where a channel's message about an incident is, and which letter it shows.
    ///
    /// # Errors
    /// When that cannot be written.
    pub async fn mark(&self, channel: &str, incident: &str, mark: &Mark) -> Result<(), StoreError> {
        let mut writer = self.writing().await;
        let noted = sqlx::query(
            "insert into standing (channel, incident, marked_by, mark) values (?, ?, ?, ?)
             on conflict (channel, incident) do update set marked_by = excluded.marked_by, mark = excluded.mark",
        )
        .bind(channel)
        .bind(incident)
        .bind(&*mark.by)
        .bind(&*mark.place)
        .execute(&mut *writer)
        .await;
        noted.map(|_| ()).map_err(|error| StoreError::writing(&error))
    }

    /// The place of a channel's newest message, whatever it is about.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn newest_mark(&self, channel: &str) -> Result<Option<String>, StoreError> {
        let query = sqlx::query_scalar(
            "select mark from standing where channel = ? and mark is not null order by taken_at desc limit 1",
        )
        .bind(channel);
        reading!(self, query, fetch_optional).map_err(|error| StoreError::reading(&error))
    }

    /// What a channel was told last, as far as it is about incidents that are not over.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn standing_letters(&self, channel: &str) -> Result<Vec<Letter>, StoreError> {
        let query = sqlx::query_scalar("select id from incident where state in ('open', 'recovering')");
        let open: Vec<String> = reading!(self, query, fetch_all).map_err(|error| StoreError::reading(&error))?;
        if open.is_empty() {
            return Ok(Vec::new());
        }
        let query =
            sqlx::query_scalar("select body from standing where channel = ? and body is not null").bind(channel);
        let bodies: Vec<String> = reading!(self, query, fetch_all).map_err(|error| StoreError::reading(&error))?;
        let mut letters: Vec<Letter> = bodies.iter().filter_map(|body| serde_json::from_str(body).ok()).collect();
        for letter in &mut letters {
            letter.about.retain(|about| about.ended().is_none() && open.iter().any(|id| **id == *about.id));
        }
        letters.retain(|letter| !letter.about.is_empty());
        Ok(letters)
    }
}

/// Notes, with the record of its delivery, what a channel has taken.
pub(super) async fn took(
    connection: &mut SqliteConnection,
    letter: &Letter,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let query = sqlx::query_scalar("select body from standing where channel = ? and incident = ? and body is not null");
    let before: Option<String> =
        query.bind(&*letter.channel).bind(&*letter.incident).fetch_optional(&mut *connection).await?;
    let mut letter = letter.clone();
    // A message about many incidents may go on about one of them: what was said of the others still stands.
    let before = before.and_then(|body| serde_json::from_str::<Letter>(&body).ok()).unwrap_or_default();
    let untouched = before.about.into_iter().filter(|old| letter.about.iter().all(|new| new.id != old.id));
    let untouched: Vec<_> = untouched.filter(|old| old.ended().is_none()).collect();
    letter.about.extend(untouched);
    sqlx::query(
        "insert into standing (channel, incident, taken_at, body) values (?, ?, ?, ?)
         on conflict (channel, incident) do update set taken_at = excluded.taken_at, body = excluded.body",
    )
    .bind(&*letter.channel)
    .bind(&*letter.incident)
    .bind(micros(now))
    .bind(serde_json::to_string(&letter).unwrap_or_default())
    .execute(connection)
    .await?;
    Ok(())
}
