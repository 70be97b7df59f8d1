//! Observations: written in batches, read by time.

use std::{borrow::Cow, collections::HashSet, fmt::Write as _, sync::Arc};

use futures_util::TryStreamExt as _;
use sqlx::{AssertSqlSafe, QueryBuilder, Sqlite, SqliteConnection};
use uuid::Uuid;

use super::{
    Store, StoreError,
    access::{On, in_time, on, sql},
    micros, postgres,
};
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

/// Where a page of lines ended: the next one begins after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Microseconds since 1970.
    scheduled_at: i64,
    id: Uuid,
}

impl Place {
    /// Before everything.
    pub const START: Self = Self { scheduled_at: i64::MIN, id: Uuid::nil() };
}

impl Wanted {
    /// What it asks for, as conditions over `$1` and so on, and what is to be bound to them: texts first, then numbers.
    fn conditions(&self) -> (String, Vec<&str>, Vec<i64>) {
        let (mut texts, mut numbers) = (Vec::new(), Vec::new());
        let mut conditions = "true".to_owned();
        let named = [("probe", &self.probe), ("party", &self.party), ("region", &self.region)];
        for (column, wish) in named.into_iter().filter_map(|(column, wish)| Some((column, wish.as_deref()?))) {
            texts.push(wish);
            let _ = write!(conditions, " and {column} = ${}", texts.len());
        }
        for (comparison, wish) in [(">=", self.from), ("<", self.until)] {
            if let Some(wish) = wish {
                numbers.push(micros(wish));
                let _ = write!(conditions, " and scheduled_at {comparison} ${}", texts.len() + numbers.len());
            }
        }
        (conditions, texts, numbers)
    }
}

impl Store {
    /// Writes a batch in one transaction and says how many of it were new.
    ///
    /// # Errors
    /// When the store cannot take them; then it has taken none.
    pub async fn append(&self, seen: &[Observation]) -> Result<usize, StoreError> {
        Ok(self.insert(seen).await?.len())
    }

    /// The same, and says which were new: what was sent twice is to be judged once.
    ///
    /// # Errors
    /// When the store cannot take them; then it has taken none.
    pub async fn append_new(&self, seen: Vec<Observation>) -> Result<Vec<Observation>, StoreError> {
        let mut new = self.insert(&seen).await?;
        Ok(seen.into_iter().filter(|one| new.remove(&with_id(one).id)).collect())
    }

    async fn insert(&self, seen: &[Observation]) -> Result<HashSet<Uuid>, StoreError> {
        if seen.is_empty() {
            return Ok(HashSet::new());
        }
        let seen: Vec<Cow<'_, Observation>> = seen.iter().map(with_id).collect();
        let mut access = self.begin().await?;
        let inserted = match access.on() {
            On::Sqlite(connection) => insert(connection, &seen).await,
            On::Postgres(connection) => in_time(postgres::insert(connection, &seen)).await,
        };
        Self::end(access, inserted).await
    }

    /// Every observation due at an instant or later, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn since(&self, from: Timestamp) -> Result<Vec<Observation>, StoreError> {
        let mut access = self.reading().await?;
        let since = "select body from observation where scheduled_at >= $1 order by scheduled_at";
        let bodies: Vec<String> =
            sql!(access, query_scalar.fetch_all, since, micros(from)).map_err(|error| StoreError::reading(&error))?;
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
            self.each_line_of(begin, end, take).await?;
            begin = end;
        }
        Ok(())
    }

    async fn each_line_of(
        &self,
        begin: Timestamp,
        end: Timestamp,
        take: &mut (dyn FnMut(&str) + Send),
    ) -> Result<(), StoreError> {
        let cannot = |error| StoreError::reading(&error);
        let mut access = self.reading().await?;
        let query = "select body from observation where scheduled_at >= $1 and scheduled_at < $2 order by scheduled_at";
        let (begin, end) = (micros(begin), micros(end));
        match access.on() {
            On::Sqlite(connection) => {
                let mut rows = sqlx::query_scalar::<_, String>(query).bind(begin).bind(end).fetch(connection);
                while let Some(body) = rows.try_next().await.map_err(cannot)? {
                    take(&body);
                }
            }
            On::Postgres(connection) => {
                let mut rows = sqlx::query_scalar::<_, String>(query).bind(begin).bind(end).fetch(connection);
                while let Some(body) = in_time(rows.try_next()).await.map_err(cannot)? {
                    take(&body);
                }
            }
        }
        Ok(())
    }

    /// When the oldest observation was due; nothing when there is none.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn oldest(&self) -> Result<Option<Timestamp>, StoreError> {
        let mut access = self.reading().await?;
        let oldest: Option<i64> = sql!(access, query_scalar.fetch_one, "select min(scheduled_at) from observation")
            .map_err(|error| StoreError::reading(&error))?;
        Ok(oldest.map(super::from_micros))
    }

    /// The observations that are wanted, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn observations(&self, wanted: &Wanted) -> Result<Vec<Observation>, StoreError> {
        let (conditions, texts, mut numbers) = wanted.conditions();
        numbers.push(i64::try_from(wanted.limit).unwrap_or(i64::MAX));
        let last = texts.len() + numbers.len();
        let select =
            format!("select body from observation where {conditions} order by scheduled_at desc limit ${last}");
        let mut access = self.reading().await?;
        // Only our own words are in the text; what somebody wishes is bound to it.
        let bodies: Result<Vec<String>, _> = on!(access, |connection| {
            let query = texts.iter().fold(sqlx::query_scalar(AssertSqlSafe(select)), |query, text| query.bind(*text));
            numbers.iter().fold(query, |query, number| query.bind(*number)).fetch_all(connection)
        });
        Ok(parse(&bodies.map_err(|error| StoreError::reading(&error))?))
    }

    /// The lines of the observations that are wanted, oldest first: as many as the limit says of those after a place, and the
    /// place to go on from when there may be more.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn lines(&self, wanted: &Wanted, after: Place) -> Result<(Vec<u8>, Option<Place>), StoreError> {
        let (conditions, texts, mut numbers) = wanted.conditions();
        numbers.extend([i64::try_from(wanted.limit).unwrap_or(i64::MAX), after.scheduled_at]);
        let last = texts.len() + numbers.len();
        // Many are due at the same instant, so the instant alone is no place to go on from.
        let select = format!(
            "select scheduled_at, id, body from observation where {conditions} and (scheduled_at, id) > (${last}, ${}) \
             order by scheduled_at, id limit ${}",
            last + 1,
            last - 1,
        );
        let mut access = self.reading().await?;
        let rows: Result<Vec<(i64, Uuid, String)>, _> = on!(access, |connection| {
            let query = texts.iter().fold(sqlx::query_as(AssertSqlSafe(select)), |query, text| query.bind(*text));
            let query = numbers.iter().fold(query, |query, number| query.bind(*number));
            query.bind(after.id).fetch_all(connection)
        });
        let rows = rows.map_err(|error| StoreError::reading(&error))?;
        let next = rows.last().filter(|_| rows.len() == wanted.limit);
        let next = next.map(|&(scheduled_at, id, _)| Place { scheduled_at, id });
        let lines = rows.iter().flat_map(|(_, _, body)| [body.as_bytes(), b"\n"]).collect::<Vec<_>>().concat();
        Ok((lines, next))
    }
}

/// Writes rows to SQLite and says which were new.
async fn insert(
    connection: &mut SqliteConnection,
    seen: &[Cow<'_, Observation>],
) -> Result<HashSet<Uuid>, sqlx::Error> {
    let mut new = HashSet::new();
    for rows in seen.chunks(ROWS) {
        let mut insert = QueryBuilder::<Sqlite>::new(
            "insert or ignore into observation (id, probe, party, region, scheduled_at, outcome, body) ",
        );
        insert.push_values(rows, |mut row, one| {
            row.push_bind(one.id)
                .push_bind(one.probe.to_string())
                .push_bind(one.party.to_string())
                .push_bind(one.region.to_string())
                .push_bind(micros(one.scheduled_at))
                .push_bind(one.outcome.word())
                .push_bind(serde_json::to_string(&**one).unwrap_or_default());
        });
        insert.push(" returning id");
        // Batches differ in length: keeping each statement prepared would only fill the cache.
        let ids: Vec<Uuid> = insert.build_query_scalar().persistent(false).fetch_all(&mut *connection).await?;
        new.extend(ids);
    }
    Ok(new)
}

/// A line of a foreign file may come without an id; what it is about makes one.
fn with_id(seen: &Observation) -> Cow<'_, Observation> {
    if !seen.id.is_nil() {
        return Cow::Borrowed(seen);
    }
    let vantage = Vantage { region: seen.region.clone(), node: seen.node.clone() };
    let id: Uuid = observation_id(&seen.probe, &vantage, micros(seen.scheduled_at), 0);
    Cow::Owned(Observation { id, ..seen.clone() })
}

/// Rows that cannot be read were written by somebody else; they are no reason to refuse the rest.
fn parse(bodies: &[String]) -> Vec<Observation> {
    bodies.iter().filter_map(|body| serde_json::from_str(body).ok()).collect()
}
