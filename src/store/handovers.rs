//! What regions that judged by themselves hand over, from whichever hub they reach to the one that judges.

use std::sync::Arc;

use super::{Store, StoreError, access::sql, from_micros, micros};
use crate::model::{Handover, Timestamp, ToldAlone};

/// Number of a handover, in the order in which they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HandoverId(i64);

/// What a region has handed over.
#[derive(Debug, Clone, PartialEq)]
pub struct HandedOver {
    /// Its number.
    pub id: HandoverId,
    /// The region.
    pub region: Arc<str>,
    /// When.
    pub at: Timestamp,
    /// Whether whoever judges has taken it.
    pub taken: bool,
    /// What.
    pub handover: Handover,
}

impl Store {
    /// Keeps what a region hands over.
    ///
    /// # Errors
    /// When that cannot be written.
    pub async fn hand_over(&self, region: &str, handover: &Handover, now: Timestamp) -> Result<(), StoreError> {
        let mut access = self.begin().await?;
        let kept = sql!(
            access,
            query.execute,
            "insert into handover (region, at, body) values ($1, $2, $3)",
            region,
            micros(now),
            serde_json::to_string(handover).unwrap_or_default(),
        );
        Self::end(access, kept).await.map(|_| ())
    }

    /// What was handed over at an instant or later, and whatever has not been taken; in the order in which it came.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn handovers(&self, from: Timestamp) -> Result<Vec<HandedOver>, StoreError> {
        let mut access = self.reading().await?;
        let wanted =
            "select id, region, at, taken_at, body from handover where taken_at is null or at >= $1 order by id";
        let rows: Vec<(i64, String, i64, Option<i64>, String)> =
            sql!(access, query_as.fetch_all, wanted, micros(from)).map_err(|error| StoreError::reading(&error))?;
        let handed_over = |(id, region, at, taken_at, body): (i64, String, i64, Option<i64>, String)| HandedOver {
            id: HandoverId(id),
            region: region.into(),
            at: from_micros(at),
            taken: taken_at.is_some(),
            handover: serde_json::from_str(&body).unwrap_or_default(),
        };
        Ok(rows.into_iter().map(handed_over).collect())
    }

    /// Notes that a handover was taken.
    ///
    /// # Errors
    /// When that cannot be written.
    pub async fn handover_taken(&self, id: HandoverId, now: Timestamp) -> Result<(), StoreError> {
        let mut access = self.begin_leading().await?;
        let noted = sql!(access, query.execute, "update handover set taken_at = $1 where id = $2", micros(now), id.0);
        Self::end(access, noted).await.map(|_| ())
    }

    /// Notes what a channel was told of an incident by somebody else, unless more is known of it here.
    ///
    /// # Errors
    /// When that cannot be written.
    pub async fn told_by_another(&self, told: &ToldAlone, now: Timestamp) -> Result<(), StoreError> {
        let (by, place) = told.mark.clone().unzip();
        let mut access = self.begin_leading().await?;
        let noted = sql!(
            access,
            query.execute,
            "insert into standing (channel, incident, marked_by, mark, taken_at, body) values ($1, $2, $3, $4, $5, $6)
             on conflict (channel, incident) do nothing",
            &*told.channel,
            &*told.incident,
            by,
            place,
            micros(now),
            told.letter.as_ref().and_then(|letter| serde_json::to_string(letter).ok()),
        );
        Self::end(access, noted).await.map(|_| ())
    }
}
