//! Where each channel stands with each incident: what it was told last, and where its message is.

use super::{
    Store, StoreError,
    access::{Access, sql},
    micros,
};
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
        let mut access = self.reading().await?;
        let row: Option<(Option<String>, Option<String>, Option<String>)> = sql!(
            access,
            query_as.fetch_optional,
            "select marked_by, mark, body from standing where channel = $1 and incident = $2",
            channel,
            incident,
        )
        .map_err(|error| StoreError::reading(&error))?;
        let Some((by, place, body)) = row else { return Ok(Standing::default()) };
        Ok(Standing {
            letter: body.and_then(|body| serde_json::from_str(&body).ok()),
            mark: by.zip(place).map(|(by, place)| Mark { by, place }),
        })
    }

    /// Notes where a channel's message about an incident is, and which letter it shows.
    ///
    /// # Errors
    /// When that cannot be written.
    pub async fn mark(&self, channel: &str, incident: &str, mark: &Mark) -> Result<(), StoreError> {
        let mut access = self.begin_leading().await?;
        let noted = sql!(
            access,
            query.execute,
            "insert into standing (channel, incident, marked_by, mark) values ($1, $2, $3, $4)
             on conflict (channel, incident) do update set marked_by = excluded.marked_by, mark = excluded.mark",
            channel,
            incident,
            &*mark.by,
            &*mark.place,
        );
        Self::end(access, noted).await.map(|_| ())
    }

    /// The place of a channel's newest message, whatever it is about.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn newest_mark(&self, channel: &str) -> Result<Option<String>, StoreError> {
        let mut access = self.reading().await?;
        let newest = "select mark from standing where channel = $1 and mark is not null
                      order by coalesce(taken_at, 0) desc limit 1";
        sql!(access, query_scalar.fetch_optional, newest, channel).map_err(|error| StoreError::reading(&error))
    }

    /// What a channel was told last, as far as it is about incidents that are not over.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn standing_letters(&self, channel: &str) -> Result<Vec<Letter>, StoreError> {
        let mut access = self.reading().await?;
        let open = "select id from incident where state in ('open', 'recovering')";
        let open: Vec<String> =
            sql!(access, query_scalar.fetch_all, open).map_err(|error| StoreError::reading(&error))?;
        if open.is_empty() {
            return Ok(Vec::new());
        }
        let told = "select body from standing where channel = $1 and body is not null";
        let bodies: Vec<String> =
            sql!(access, query_scalar.fetch_all, told, channel).map_err(|error| StoreError::reading(&error))?;
        let mut letters: Vec<Letter> = bodies.iter().filter_map(|body| serde_json::from_str(body).ok()).collect();
        for letter in &mut letters {
            letter.about.retain(|about| about.ended().is_none() && open.iter().any(|id| **id == *about.id));
        }
        letters.retain(|letter| !letter.about.is_empty());
        Ok(letters)
    }
}

/// Notes, with the record of its delivery, what a channel has taken.
pub(super) async fn took(access: &mut Access<'_>, letter: &Letter, now: Timestamp) -> Result<(), sqlx::Error> {
    let before: Option<String> = sql!(
        access,
        query_scalar.fetch_optional,
        "select body from standing where channel = $1 and incident = $2 and body is not null",
        &*letter.channel,
        &*letter.incident,
    )?;
    let mut letter = letter.clone();
    // A message about many incidents may go on about one of them: what was said of the others still stands.
    let before = before.and_then(|body| serde_json::from_str::<Letter>(&body).ok()).unwrap_or_default();
    let untouched = before.about.into_iter().filter(|old| letter.about.iter().all(|new| new.id != old.id));
    let untouched: Vec<_> = untouched.filter(|old| old.ended().is_none()).collect();
    letter.about.extend(untouched);
    sql!(
        access,
        query.execute,
        "insert into standing (channel, incident, taken_at, body) values ($1, $2, $3, $4)
         on conflict (channel, incident) do update set taken_at = excluded.taken_at, body = excluded.body",
        &*letter.channel,
        &*letter.incident,
        micros(now),
        serde_json::to_string(&letter).unwrap_or_default(),
    )?;
    Ok(())
}
