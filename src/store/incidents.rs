//! Incidents, and the letters that tell of them: written together or not at all.

use std::sync::Arc;

use sqlx::SqliteConnection;

use super::{Store, StoreError, divert::told_instead, micros, reading};
use crate::model::{Incident, Letter, Timestamp};

impl Store {
    /// Writes incidents as they are now, forgets suspicions that came to nothing, and posts letters, in one transaction.
    /// A letter whose key is known already is not posted again.
    ///
    /// # Errors
    /// When the store cannot take it; then nothing has changed.
    pub async fn apply(
        &self,
        incidents: &[Incident],
        dropped: &[Arc<str>],
        letters: &[Letter],
    ) -> Result<(), StoreError> {
        let mut writer = self.begin().await?;
        let written = write(&mut writer, incidents, dropped, letters).await;
        Self::end(writer, written).await
    }

    /// Every incident that is not over, and those that began or ended at an instant or later; oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn incidents(&self, from: Timestamp) -> Result<Vec<Incident>, StoreError> {
        let query = sqlx::query_scalar(
            "select body from incident
             where onset >= ? or closed_at >= ? or state in ('suspected', 'open', 'recovering') order by onset, id",
        )
        .bind(micros(from))
        .bind(micros(from));
        let bodies: Vec<String> = reading!(self, query, fetch_all).map_err(|error| StoreError::reading(&error))?;
        Ok(bodies.iter().filter_map(|body| serde_json::from_str(body).ok()).collect())
    }
}

async fn write(
    connection: &mut SqliteConnection,
    incidents: &[Incident],
    dropped: &[Arc<str>],
    letters: &[Letter],
) -> Result<(), sqlx::Error> {
    // First the dropped ones: their ids may have been given again since.
    for id in dropped {
        let delete = sqlx::query("delete from incident where id = ? and state = 'suspected'").bind(&**id);
        delete.execute(&mut *connection).await?;
    }
    for incident in incidents {
        upsert(connection, incident).await?;
    }
    for letter in letters {
        post(connection, letter).await?;
        // Whoever was told in place of a channel hears the rest as well.
        let mut channels = vec![letter.channel.clone()];
        while let Some(instead) = told_instead(connection, &channels[channels.len() - 1], &letter.incident).await?.pop()
        {
            if channels.contains(&instead) {
                break;
            }
            post(connection, &letter.to(&instead)).await?;
            channels.push(instead);
        }
    }
    Ok(())
}

async fn upsert(connection: &mut SqliteConnection, incident: &Incident) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into incident (id, party, state, onset, closed_at, body) values (?, ?, ?, ?, ?, ?)
         on conflict (id) do update set
            party = excluded.party, state = excluded.state, onset = excluded.onset, closed_at = excluded.closed_at,
            body = excluded.body",
    )
    .bind(&*incident.id)
    .bind(&*incident.subject.party)
    .bind(incident.state.word())
    .bind(micros(incident.onset))
    .bind(incident.closed_at.map(micros))
    .bind(serde_json::to_string(incident).unwrap_or_default())
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn post(connection: &mut SqliteConnection, letter: &Letter) -> Result<(), sqlx::Error> {
    sqlx::query("insert or ignore into letter (key, channel, incident, at, body) values (?, ?, ?, ?, ?)")
        .bind(&*letter.key)
        .bind(&*letter.channel)
        .bind(&*letter.incident)
        .bind(micros(letter.at))
        .bind(serde_json::to_string(letter).unwrap_or_default())
        .execute(connection)
        .await?;
    Ok(())
}
