//! Agents that report: where each is, when it was heard last and by which hub, and what its clock says.

use super::{Store, StoreError, access::sql, micros};
use crate::model::{Heard, Timestamp};

impl Store {
    /// Notes agents that were heard. What another hub has heard later stands.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn heard(&self, agents: &[Heard]) -> Result<(), StoreError> {
        let mut access = self.begin().await?;
        // Always in the same order: two hubs that heard the same ones do not wait for each other crosswise.
        let mut agents: Vec<&Heard> = agents.iter().collect();
        agents.sort_by_key(|agent| (&agent.agent, &agent.node));
        let mut noted = Ok(0);
        for agent in agents {
            #[expect(clippy::cast_possible_truncation, reason = "a clock is no further off than fits")]
            let ahead = agent.clock_offset.map(|offset| (offset * 1e6) as i64);
            noted = sql!(
                access,
                query.execute,
                "insert into agent (name, node, region, seen_at, ahead, body) values ($1, $2, $3, $4, $5, $6)
                 on conflict (name, node) do update set region = excluded.region, ahead = excluded.ahead,
                    seen_at = excluded.seen_at, body = excluded.body
                 where excluded.seen_at >= agent.seen_at",
                &*agent.agent,
                &*agent.node,
                &*agent.region,
                micros(agent.at),
                ahead,
                serde_json::to_string(agent).unwrap_or_default(),
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
    pub async fn agents(&self, from: Timestamp) -> Result<Vec<Heard>, StoreError> {
        let mut access = self.reading().await?;
        let heard = "select body from agent where seen_at >= $1 order by name, node";
        let bodies: Vec<String> =
            sql!(access, query_scalar.fetch_all, heard, micros(from)).map_err(|error| StoreError::reading(&error))?;
        Ok(bodies.iter().filter_map(|body| serde_json::from_str(body).ok()).collect())
    }

    /// Forgets agents that were last heard before an instant, and what was handed over and taken before it.
    ///
    /// # Errors
    /// When that cannot be written.
    pub async fn forget_agents(&self, before: Timestamp) -> Result<(), StoreError> {
        let mut access = self.begin().await?;
        let agents = sql!(access, query.execute, "delete from agent where seen_at < $1", micros(before));
        let forgotten = match agents {
            Ok(_) => sql!(access, query.execute, "delete from handover where taken_at < $1", micros(before)),
            Err(error) => Err(error),
        };
        Self::end(access, forgotten).await.map(|_| ())
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
