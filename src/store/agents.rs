//! Agents that report: where each is, when it was heard last, and what its clock says.

use std::sync::Arc;

use super::{Store, StoreError, access::sql, micros};
use crate::model::{Timestamp, Vantage};

/// An agent on a node, as it was heard last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alive {
    /// Its name, by its token.
    pub name: Arc<str>,
    /// Where it looks from.
    pub vantage: Vantage,
    /// When it was heard.
    pub seen_at: Timestamp,
    /// How far its clock is ahead of the hub's, in microseconds, where that is known.
    pub ahead: Option<i64>,
}

impl Store {
    /// Notes that agents were heard. What is known of a clock stays where nothing new is.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn heard(&self, agents: &[Alive]) -> Result<(), StoreError> {
        let mut access = self.begin().await?;
        // Always in the same order: two hubs that heard the same ones do not wait for each other crosswise.
        let mut agents: Vec<&Alive> = agents.iter().collect();
        agents.sort_by_key(|agent| (&agent.name, &agent.vantage.node));
        let mut noted = Ok(0);
        for agent in agents {
            noted = sql!(
                access,
                query.execute,
                "insert into agent (name, node, region, seen_at, ahead) values ($1, $2, $3, $4, $5)
                 on conflict (name, node) do update set region = excluded.region,
                    ahead = coalesce(excluded.ahead, agent.ahead),
                    seen_at = case when excluded.seen_at > agent.seen_at then excluded.seen_at else agent.seen_at end",
                &*agent.name,
                &*agent.vantage.node,
                &*agent.vantage.region,
                micros(agent.seen_at),
                agent.ahead,
            );
            if noted.is_err() {
                break;
            }
        }
        Self::end(access, noted).await.map(|_| ())
    }

    /// The agents that were heard at an instant or later, by any hub; by name and node.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn agents(&self, from: Timestamp) -> Result<Vec<Alive>, StoreError> {
        let mut access = self.reading().await?;
        let heard = "select name, node, region, seen_at, ahead from agent where seen_at >= $1 order by name, node";
        let rows: Vec<(String, String, String, i64, Option<i64>)> =
            sql!(access, query_as.fetch_all, heard, micros(from)).map_err(|error| StoreError::reading(&error))?;
        let alive = |(name, node, region, seen_at, ahead): (String, String, String, i64, Option<i64>)| Alive {
            name: name.into(),
            vantage: Vantage { region: region.into(), node: node.into() },
            seen_at: super::from_micros(seen_at),
            ahead,
        };
        Ok(rows.into_iter().map(alive).collect())
    }

    /// The time by the clock that all who share the store go by.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn now(&self) -> Result<Timestamp, StoreError> {
        match &self.database {
            super::database::Database::Sqlite(_) => Ok(chrono::Utc::now()),
            super::database::Database::Postgres(_) => {
                let mut access = self.reading().await?;
                let now = "select (extract(epoch from clock_timestamp()) * 1000000)::bigint";
                let now: i64 =
                    sql!(access, query_scalar.fetch_one, now).map_err(|error| StoreError::reading(&error))?;
                Ok(super::from_micros(now))
            }
        }
    }
}
