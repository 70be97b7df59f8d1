//! Observations: written in batches, read by time.

use std::{collections::HashSet, sync::Arc};

use futures_util::TryStreamExt as _;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};
use uuid::Uuid;

use super::{Store, StoreError, micros, reading};
use crate::model::{Observation, Timestamp, Vantage, observation_id};

/// Rows of one statement; SQLite allows 32,766 values in one.
const ROWS: usize = 500;

/// Which observations are wanted. Without any wish: the newest ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Only of this probe.
    pub probe: Option<Arc<str>>,
    /// Only of this party.
    pub party: Option<Arc<str>>,
    /// Only from this region.
    pub region: Option<Arc<str>>,
    /// Only those due at this instant or later.
    pub from: Option<Timestamp>,
    /// Only those due before this instant.
    pub until: Option<Timestamp>,
    /// At most so many.
    pub limit: usize,
}

impl Store {
    /// Writes a batch in one transaction and says how many of it were new.
    ///
    /// # Errors
    /// When the store cannot take them; then it has taken none.
    pub async fn append(&self, seen: &[Observation]) -> Result<usize, StoreError> {
        let mut writer = self.begin().await?;
        let inserted = insert(&mut writer, seen).await;
        Self::end(writer, inserted).await
    }

    /// The same, and says which were new: what was sent twice is to be judged once.
    ///
    /// # Errors
    /// When the store cannot take them; then it has taken none.
    pub async fn append_new(&self, seen: Vec<Observation>) -> Result<Vec<Observation>, StoreError> {
        let mut writer = self.begin().await?;
        let inserted = insert_telling(&mut writer, &seen).await;
        let new = Self::end(writer, inserted).await?;
        Ok(seen.into_iter().filter(|one| new.contains(&with_id(one).id)).collect())
    }

    /// Every observation due at an instant or later, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn since(&self, from: Timestamp) -> Result<Vec<Observation>, StoreError> {
        let query = sqlx::query_scalar("select body from observation where scheduled_at >= ? order by scheduled_at")
            .bind(micros(from));
        let bodies: Vec<String> = reading!(self, query, fetch_all).map_err(|error| StoreError::reading(&error))?;
        Ok(parse(&bodies))
    }

    /// Hands over the line of every observation that was due in a span, oldest first, one at a time.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn each_line(
        &self,
        from: Timestamp,
        until: Timestamp,
        take: &mut (dyn FnMut(&str) + Send),
    ) -> Result<(), StoreError> {
        let oldest = self.oldest().await?;
        let Some(mut begin) = oldest.map(|oldest| oldest.max(from)) else { return Ok(()) };
        // A read that lasts keeps the journal from being worked in: one of each hour does not last.
        while begin < until {
            let end = begin.checked_add_signed(chrono::TimeDelta::hours(1)).unwrap_or(until).min(until);
            self.each_line_of(begin, end, take).await.map_err(|error| StoreError::reading(&error))?;
            begin = end;
        }
        Ok(())
    }

    async fn each_line_of(
        &self,
        begin: Timestamp,
        end: Timestamp,
        take: &mut (dyn FnMut(&str) + Send),
    ) -> Result<(), sqlx::Error> {
        let query = || {
            sqlx::query_scalar::<_, String>(
                "select body from observation where scheduled_at >= ? and scheduled_at < ? order by scheduled_at",
            )
            .bind(micros(begin))
            .bind(micros(end))
        };
        match &self.readers {
            Some(readers) => {
                let mut rows = query().fetch(readers);
                while let Some(body) = rows.try_next().await? {
                    take(&body);
                }
            }
            None => query().fetch_all(&mut *self.writing().await).await?.iter().for_each(|body| take(body)),
        }
        Ok(())
    }

    /// When the oldest observation was due; nothing when there is none.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn oldest(&self) -> Result<Option<Timestamp>, StoreError> {
        let query = sqlx::query_scalar::<_, Option<i64>>("select min(scheduled_at) from observation");
        let oldest = reading!(self, query, fetch_one).map_err(|error| StoreError::reading(&error))?;
        Ok(oldest.map(super::from_micros))
    }

    /// The observations that are wanted, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn observations(&self, wanted: &Wanted) -> Result<Vec<Observation>, StoreError> {
        let mut select = QueryBuilder::<Sqlite>::new("select body from observation where 1");
        let texts = [("probe", &wanted.probe), ("party", &wanted.party), ("region", &wanted.region)];
        for (column, wish) in texts {
            if let Some(wish) = wish {
                select.push(format_args!(" and {column} = ")).push_bind(wish.to_string());
            }
        }
        for (comparison, wish) in [(">=", wanted.from), ("<", wanted.until)] {
            if let Some(wish) = wish {
                select.push(format_args!(" and scheduled_at {comparison} ")).push_bind(micros(wish));
            }
        }
        select.push(" order by scheduled_at desc limit ").push_bind(i64::try_from(wanted.limit).unwrap_or(i64::MAX));
        let query = select.build_query_scalar::<String>();
        let bodies: Vec<String> = reading!(self, query, fetch_all).map_err(|error| StoreError::reading(&error))?;
        Ok(parse(&bodies))
    }
}

async fn insert(connection: &mut SqliteConnection, seen: &[Observation]) -> Result<usize, sqlx::Error> {
    let mut inserted = 0;
    for rows in seen.chunks(ROWS) {
        let mut insert = insertion(rows);
        // Batches differ in length: keeping each statement prepared would only fill the cache.
        inserted += insert.build().persistent(false).execute(&mut *connection).await?.rows_affected();
    }
    Ok(usize::try_from(inserted).unwrap_or(usize::MAX))
}

async fn insert_telling(connection: &mut SqliteConnection, seen: &[Observation]) -> Result<HashSet<Uuid>, sqlx::Error> {
    let mut new = HashSet::new();
    for rows in seen.chunks(ROWS) {
        let mut insert = insertion(rows);
        insert.push(" returning id");
        let ids: Vec<Vec<u8>> = insert.build_query_scalar().persistent(false).fetch_all(&mut *connection).await?;
        new.extend(ids.iter().filter_map(|id| Uuid::from_slice(id).ok()));
    }
    Ok(new)
}

fn insertion(rows: &[Observation]) -> QueryBuilder<Sqlite> {
    let mut insert = QueryBuilder::<Sqlite>::new(
        "insert or ignore into observation (id, probe, party, region, scheduled_at, outcome, body) ",
    );
    insert.push_values(rows, |mut row, one| {
        let one = with_id(one);
        row.push_bind(one.id.as_bytes().to_vec())
            .push_bind(one.probe.to_string())
            .push_bind(one.party.to_string())
            .push_bind(one.region.to_string())
            .push_bind(micros(one.scheduled_at))
            .push_bind(one.outcome.word())
            .push_bind(serde_json::to_string(&*one).unwrap_or_default());
    });
    insert
}

/// A line of a foreign file may come without an id; what it is about makes one.
fn with_id(seen: &Observation) -> std::borrow::Cow<'_, Observation> {
    if !seen.id.is_nil() {
        return std::borrow::Cow::Borrowed(seen);
    }
    let vantage = Vantage { region: seen.region.clone(), node: seen.node.clone() };
    let id: Uuid = observation_id(&seen.probe, &vantage, micros(seen.scheduled_at), 0);
    std::borrow::Cow::Owned(Observation { id, ..seen.clone() })
}

/// Rows that cannot be read were written by somebody else; they are no reason to refuse the rest.
fn parse(bodies: &[String]) -> Vec<Observation> {
    bodies.iter().filter_map(|body| serde_json::from_str(body).ok()).collect()
}
