//! The outbox after a process has died: what became of the letters that it had under way (ADR 0004).

use super::{
    Store, StoreError,
    access::{Access, sql},
    micros,
};
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
        let mut access = self.begin_leading().await?;
        let settled = settle(&mut access, now, repeat).await;
        Self::end(access, settled).await
    }
}

/// Number, channel, state, body, whether the channel is failing.
type UnderWay = (i64, String, String, String, bool);

async fn settle(
    access: &mut Access<'_>,
    now: Timestamp,
    repeat: &(dyn Fn(&str) -> Repeat + Sync),
) -> Result<Resumed, sqlx::Error> {
    let rows: Vec<UnderWay> = sql!(
        access,
        query_as.fetch_all,
        "select l.id, l.channel, l.state, l.body,
                l.overdue <> 0 or coalesce((select d.result <> 'taken' from delivery d where d.channel = l.channel
                                            order by d.id desc limit 1), false)
         from letter l where l.state in ('claimed', 'handed_over') order by l.id",
    )?;
    let mut resumed = Resumed::default();
    for (id, channel, state, body, failing) in rows {
        let handed_over = state == "handed_over";
        let repeat = repeat(&channel);
        let arrived = handed_over && !failing && repeat == Repeat::Shown;
        let sought = handed_over && repeat == Repeat::Sought;
        let doubt = if failing { Doubt::Unlikely } else { Doubt::Likely };
        if arrived {
            let sent = "update letter set state = 'sent', done_at = $1 where id = $2";
            sql!(access, query.execute, sent, micros(now), id)?;
        } else {
            let again = "update letter set state = 'pending', overdue = 0, doubt = coalesce($1, doubt) where id = $2";
            sql!(access, query.execute, again, sought.then(|| doubt.word()), id)?;
        }
        if let Ok(letter) = serde_json::from_str(&body) {
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
