//! The outbox after a process has died: what became of the letters that it had under way (ADR 0004).

use sqlx::{Row, SqliteConnection};

use super::{Store, StoreError, micros};
use crate::model::{Doubt, Letter, Repeat, Timestamp};

/// What was found of the time before a restart.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Resumed {
    /// Letters that cannot have arrived, or not for all we know: they are sent (again).
    pub again: Vec<Letter>,
    /// Letters that were handed over to a channel that was well: they are taken as delivered.
    pub taken: Vec<Letter>,
    /// Letters that were handed over to a channel that can be asked for them: it is.
    pub sought: Vec<Letter>,
}

impl Store {
    /// Settles what a process that died has left under way; to be called once, before the first letter is claimed.
    /// `repeat` says what it does when a channel gets a letter twice.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn resume_letters(
        &self,
        now: Timestamp,
        repeat: &(dyn Fn(&str) -> Repeat + Sync),
    ) -> Result<Resumed, StoreError> {
        let mut writer = self.begin().await?;
        let settled = settle(&mut writer, now, repeat).await;
        Self::end(writer, settled).await
    }
}

async fn settle(
    connection: &mut SqliteConnection,
    now: Timestamp,
    repeat: &(dyn Fn(&str) -> Repeat + Sync),
) -> Result<Resumed, sqlx::Error> {
    let rows = sqlx::query(
        "select l.id, l.channel, l.state, l.body, l.doubt,
                l.overdue or coalesce((select result <> 'taken' from delivery d where d.channel = l.channel
                                       order by d.id desc limit 1), 0) as failing
         from letter l where l.state in ('claimed', 'handed_over') order by l.id",
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut resumed = Resumed::default();
    for row in rows {
        let (id, state, failing): (i64, String, bool) = (row.get("id"), row.get("state"), row.get("failing"));
        let handed_over = state == "handed_over";
        let repeat = repeat(row.get("channel"));
        let arrived = handed_over && !failing && repeat == Repeat::Shown;
        let sought = handed_over && repeat == Repeat::Sought;
        let doubt = if failing { Doubt::Unlikely } else { Doubt::Likely };
        let update = if arrived {
            sqlx::query("update letter set state = 'sent', done_at = ? where id = ?").bind(micros(now)).bind(id)
        } else {
            sqlx::query("update letter set state = 'pending', overdue = 0, doubt = coalesce(?, doubt) where id = ?")
                .bind(sought.then(|| doubt.word()))
                .bind(id)
        };
        update.execute(&mut *connection).await?;
        if let Ok(letter) = serde_json::from_str(row.get("body")) {
            let known = match (arrived, sought) {
                (true, _) => &mut resumed.taken,
                (false, true) => &mut resumed.sought,
                (false, false) => &mut resumed.again,
            };
            known.push(letter);
        }
    }
    Ok(resumed)
}
