//! Observations in Postgres: written in batches, kept a partition a day, and dropped with their day.

use std::{borrow::Cow, collections::HashSet};

use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::{Postgres, one};
use crate::{
    model::{Observation, Timestamp},
    store::{StoreError, access::in_time, error::state, from_micros, micros},
};

/// Rows of one statement.
const ROWS: usize = 5_000;
/// Rows without a day of their own that are deleted at once.
const PIECE: i64 = 10_000;
/// Days that have their partition before they begin.
const AHEAD: i64 = 2;
/// Microseconds.
const DAY: i64 = 86_400_000_000;
/// Who makes and drops days.
const DAYS_LOCK: &str = "select pg_advisory_xact_lock(hashtext('usoryou'), hashtext('days'))";
/// What waits for arrivals hears this.
pub(super) const CHANNEL: &str = "usoryou_observations";
/// Rows of the default partition are in the way of a new one.
const CHECK_VIOLATION: &str = "23514";

/// Writes rows and says which were new.
pub(in crate::store) async fn insert(
    connection: &mut PgConnection,
    seen: &[Cow<'_, Observation>],
) -> Result<HashSet<Uuid>, sqlx::Error> {
    // Always in the same order: two hubs that are sent the same batch do not wait for each other crosswise.
    let mut seen: Vec<&Observation> = seen.iter().map(|one| &**one).collect();
    seen.sort_by_key(|one| (one.scheduled_at, one.id));
    let mut new = HashSet::new();
    for rows in seen.chunks(ROWS) {
        let texts = |of: fn(&Observation) -> &str| rows.iter().map(|one| of(one)).collect::<Vec<&str>>();
        let ids: Vec<Uuid> = sqlx::query_scalar(
            "insert into observation (id, probe, party, region, scheduled_at, outcome, body)
             select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[])
             on conflict do nothing returning id",
        )
        .bind(rows.iter().map(|one| one.id).collect::<Vec<_>>())
        .bind(texts(|one| &one.probe))
        .bind(texts(|one| &one.party))
        .bind(texts(|one| &one.region))
        .bind(rows.iter().map(|one| micros(one.scheduled_at)).collect::<Vec<_>>())
        .bind(texts(|one| one.outcome.word()))
        .bind(rows.iter().map(|one| serde_json::to_string(one).unwrap_or_default()).collect::<Vec<_>>())
        .fetch_all(&mut *connection)
        .await?;
        new.extend(ids);
    }
    if !new.is_empty() {
        // Heard by the leader once this is committed.
        sqlx::query("select pg_notify($1, '')").bind(CHANNEL).execute(connection).await?;
    }
    Ok(new)
}

/// The day of an instant, counted since 1970.
pub(super) fn of(at: Timestamp) -> i64 {
    micros(at).div_euclid(DAY)
}

/// Makes the partitions from a day on to some days after the present one. A day whose rows lie in the default partition already stays there.
pub(super) async fn make(connection: &mut PgConnection, from: i64, today: i64) -> Result<(), sqlx::Error> {
    for day in from..=today + AHEAD {
        make_day(connection, day).await?;
    }
    Ok(())
}

async fn make_day(connection: &mut PgConnection, day: i64) -> Result<(), sqlx::Error> {
    let (name, begin, end) = (name(day), day * DAY, (day + 1) * DAY);
    let known = sqlx::query_scalar::<_, bool>("select to_regclass($1) is not null").bind(name.clone());
    if in_time(known.fetch_one(&mut *connection)).await? {
        return Ok(());
    }
    // Attached, because making one in its place would wait for every reader and writer of the others.
    let make = format!(
        "begin; {DAYS_LOCK}; create table if not exists {name} (like observation including defaults including constraints);
         alter table observation attach partition {name} for values from ({begin}) to ({end}); commit"
    );
    let made = in_time(sqlx::raw_sql(AssertSqlSafe(make)).execute(&mut *connection)).await;
    let Err(error) = made else { return Ok(()) };
    in_time(sqlx::raw_sql("rollback").execute(&mut *connection)).await?;
    // Another hub was quicker, or rows of that day are in the default partition.
    let no_matter = matches!(state(&error), Some(CHECK_VIOLATION | "42P07" | "42809" | "42P17"));
    if no_matter { Ok(()) } else { Err(error) }
}

fn name(day: i64) -> String {
    format!("observation_{}", from_micros(day * DAY).format("%Y%m%d"))
}

/// A partition: its day, its size, and about how many rows it has.
type Kept = (i64, i64, i64);

impl Postgres {
    /// Drops the days that are wholly older than an instant, then the oldest days until the rest has a size, never the
    /// present one. Says about how many rows.
    pub(in crate::store) async fn trim(&self, oldest: i64, bytes: u64, now: i64) -> Result<u64, StoreError> {
        let cannot = |error: sqlx::Error| StoreError::writing(&error);
        let mut connection = self.acquire().await?;
        let today = now.div_euclid(DAY);
        make(&mut connection, today, today).await.map_err(cannot)?;
        let mut days = self.days().await?;
        days.sort_unstable();
        let mut size = u64::try_from(days.iter().map(|(_, size, _)| size).sum::<i64>()).unwrap_or_default();
        let mut dropped = 0;
        for (day, its_size, rows) in days {
            if day >= today || ((day + 1) * DAY > oldest && size <= bytes) {
                continue;
            }
            let drop = format!("set local lock_timeout = '2s'; {DAYS_LOCK}; drop table if exists {}", name(day));
            // Several statements in one text are one transaction.
            in_time(sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut *connection)).await.map_err(cannot)?;
            size = size.saturating_sub(u64::try_from(its_size).unwrap_or_default());
            dropped += u64::try_from(rows).unwrap_or_default();
        }
        loop {
            let delete = sqlx::query(
                "delete from observation_other where ctid = any(array(
                    select ctid from observation_other where scheduled_at < $1 limit $2))",
            );
            let deleted = in_time(delete.bind(oldest).bind(PIECE).execute(&mut *connection)).await.map_err(cannot)?;
            dropped += deleted.rows_affected();
            if deleted.rows_affected() == 0 {
                return Ok(dropped);
            }
        }
    }

    /// Bytes of the observations: the rest is little.
    pub(in crate::store) async fn size(&self) -> Result<u64, StoreError> {
        let size = "select coalesce(sum(pg_total_relation_size(inhrelid)), 0)::bigint from pg_inherits
                    where inhparent = 'observation'::regclass";
        let size: i64 = one(&mut *self.acquire().await?, size).await.map_err(|error| StoreError::reading(&error))?;
        Ok(u64::try_from(size).unwrap_or_default())
    }

    async fn days(&self) -> Result<Vec<Kept>, StoreError> {
        let query = sqlx::query_as::<_, (String, i64, i64)>(
            "select c.relname::text, pg_total_relation_size(c.oid), greatest(c.reltuples, 1)::bigint
             from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'observation'::regclass",
        );
        let rows = in_time(query.fetch_all(&mut *self.acquire().await?)).await;
        let rows = rows.map_err(|error| StoreError::reading(&error))?;
        let day = |(name, size, rows): (String, i64, i64)| {
            let date = chrono::NaiveDate::parse_from_str(name.strip_prefix("observation_")?, "%Y%m%d").ok()?;
            Some((of(date.and_time(chrono::NaiveTime::MIN).and_utc()), size, rows))
        };
        Ok(rows.into_iter().filter_map(day).collect())
    }
}
