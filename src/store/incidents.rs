//! Incidents, and the letters that tell of them: written together or not at all.

use std::sync::Arc;

use super::{
    Store, StoreError,
    access::{Access, sql},
    divert::told_instead,
    micros,
};
use crate::model::{Incident, Letter, LetterKind, Timestamp};

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
        let mut access = self.begin_leading().await?;
        let written = write(&mut access, incidents, dropped, letters).await;
        Self::end(access, written).await
    }

    /// Every incident that is not over, and those that began or ended at an instant or later; oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn incidents(&self, from: Timestamp) -> Result<Vec<Incident>, StoreError> {
        let mut access = self.reading().await?;
        let bodies: Vec<String> = sql!(
            access,
            query_scalar.fetch_all,
            "select body from incident
             where onset >= $1 or closed_at >= $1 or state in ('suspected', 'open', 'recovering') order by onset, id",
            micros(from),
        )
        .map_err(|error| StoreError::reading(&error))?;
        Ok(bodies.iter().filter_map(|body| serde_json::from_str(body).ok()).collect())
    }
}

async fn write(
    access: &mut Access<'_>,
    incidents: &[Incident],
    dropped: &[Arc<str>],
    letters: &[Letter],
) -> Result<(), sqlx::Error> {
    // First the dropped ones: their ids may have been given again since.
    for id in dropped {
        sql!(access, query.execute, "delete from incident where id = $1 and state = 'suspected'", &**id)?;
    }
    for incident in incidents {
        upsert(access, incident).await?;
    }
    for letter in letters {
        post(access, letter).await?;
        // Whoever was told in place of a channel hears the rest as well.
        let mut channels = vec![letter.channel.clone()];
        while let Some(instead) = told_instead(access, &channels[channels.len() - 1], &letter.incident).await?.pop() {
            if channels.contains(&instead) {
                break;
            }
            post(access, &letter.to(&instead)).await?;
            channels.push(instead);
        }
    }
    Ok(())
}

async fn upsert(access: &mut Access<'_>, incident: &Incident) -> Result<(), sqlx::Error> {
    sql!(
        access,
        query.execute,
        "insert into incident (id, party, state, onset, closed_at, body) values ($1, $2, $3, $4, $5, $6)
         on conflict (id) do update set
            party = excluded.party, state = excluded.state, onset = excluded.onset, closed_at = excluded.closed_at,
            body = excluded.body",
        &*incident.id,
        &*incident.subject.party,
        incident.state.word(),
        micros(incident.onset),
        incident.closed_at.map(micros),
        serde_json::to_string(incident).unwrap_or_default(),
    )?;
    Ok(())
}

pub(super) async fn post(access: &mut Access<'_>, letter: &Letter) -> Result<(), sqlx::Error> {
    outdate(access, letter).await?;
    sql!(
        access,
        query.execute,
        "insert into letter (key, channel, incident, at, body) values ($1, $2, $3, $4, $5) on conflict do nothing",
        &*letter.key,
        &*letter.channel,
        &*letter.incident,
        micros(letter.at),
        serde_json::to_string(letter).unwrap_or_default(),
    )?;
    Ok(())
}

/// A reminder that still waits is old news as soon as there is a newer one, or all is over: it is never sent.
async fn outdate(access: &mut Access<'_>, letter: &Letter) -> Result<(), sqlx::Error> {
    let all = format!("{}/{}/reminder-", letter.channel, letter.incident);
    let reminders = match letter.kind {
        LetterKind::Closed => all,
        LetterKind::Reminder => match letter.key.strip_prefix(&all).and_then(|rest| rest.rsplit_once('-')) {
            Some((incident, _)) => format!("{all}{incident}-"),
            None => return Ok(()),
        },
        _ => return Ok(()),
    };
    sql!(
        access,
        query.execute,
        "update letter set state = 'sent', done_at = $1
         where channel = $2 and incident = $3 and state = 'pending' and substr(key, 1, length($4)) = $4 and key <> $5",
        micros(letter.at),
        &*letter.channel,
        &*letter.incident,
        reminders,
        &*letter.key,
    )?;
    Ok(())
}
