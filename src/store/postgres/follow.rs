//! What arrives, by whichever hub it came: the window of the past, then everything that was committed since, each row once
//! and none skipped, in whatever order its writers end.
//!
//! A row knows the transaction that wrote it, and a position is the snapshot of a read: what is new is what the snapshot
//! before did not see. Numbers given by a sequence would not do: a writer that commits late has a lower one.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use sqlx::postgres::PgListener;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

use super::days::CHANNEL;
use crate::{
    model::{Observation, Timestamp},
    store::{
        Store, StoreError,
        access::{On, in_time},
        database::Database,
        micros,
    },
};

/// Between two looks when nobody calls.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Observations handed over at once.
const PIECE: usize = 500;

/// Up to where a reader has read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position(String);

/// What is due from an instant on, and, as both end, a row without a body for the snapshot that was seen.
const WINDOW: &str = "(select body, null::text from observation where scheduled_at >= $1 order by scheduled_at)
    union all select null, pg_current_snapshot()::text";
/// What was written since a snapshot. What a restored copy brought along of another server's future has not arrived here.
const SINCE: &str = "select body, null::text from observation where tx >= pg_snapshot_xmin($1::text::pg_snapshot)
      and tx < pg_snapshot_xmax(pg_current_snapshot()) and not pg_visible_in_snapshot(tx, $1::text::pg_snapshot)
    union all select null, pg_current_snapshot()::text";

impl Store {
    /// Hands over every observation due at an instant or later, piece by piece, and says up to where that is, for
    /// [`Store::arrived`]. A store of one process has no position.
    ///
    /// # Errors
    /// When the store cannot be read; what was handed over until then is not all.
    pub async fn window(
        &self,
        from: Timestamp,
        take: &mpsc::Sender<Vec<Observation>>,
    ) -> Result<Option<Position>, StoreError> {
        let cannot = |error| StoreError::reading(&error);
        let mut access = self.reading().await?;
        match access.on() {
            On::Sqlite(connection) => {
                let query = "select body from observation where scheduled_at >= $1 order by scheduled_at";
                let mut rows = sqlx::query_scalar::<_, String>(query).bind(micros(from)).fetch(connection);
                let mut piece = Piece::default();
                while let Some(body) = rows.try_next().await.map_err(cannot)? {
                    piece.add(&body, take).await;
                }
                piece.hand_over(take).await;
                Ok(None)
            }
            On::Postgres(connection) => {
                read(sqlx::query_as(WINDOW).bind(micros(from)).fetch(connection), take).await.map(Some)
            }
        }
    }

    /// Hands over every observation that was written since a position, by any hub, and moves the position there.
    ///
    /// # Errors
    /// When the store cannot be read; then the position stays, and what was handed over comes again.
    pub async fn arrived(
        &self,
        position: &mut Position,
        take: &mpsc::Sender<Vec<Observation>>,
    ) -> Result<(), StoreError> {
        let mut access = self.reading().await?;
        let On::Postgres(connection) = access.on() else { return Ok(()) };
        *position = read(sqlx::query_as(SINCE).bind(position.0.clone()).fetch(connection), take).await?;
        Ok(())
    }

    /// Calls when something has arrived; nothing for a store of one process.
    #[must_use]
    pub fn arrivals(&self) -> Option<Arrivals> {
        match &self.database {
            Database::Sqlite(_) => None,
            Database::Postgres(postgres) => Some(Arrivals { postgres: postgres.clone(), listener: None }),
        }
    }
}

type Row = (Option<String>, Option<String>);

async fn read(
    mut rows: impl futures_util::Stream<Item = Result<Row, sqlx::Error>> + Send + Unpin,
    take: &mpsc::Sender<Vec<Observation>>,
) -> Result<Position, StoreError> {
    let (mut position, mut piece) = (None, Piece::default());
    while let Some((body, snapshot)) = in_time(rows.try_next()).await.map_err(|error| StoreError::reading(&error))? {
        if let Some(body) = body {
            piece.add(&body, take).await;
        }
        position = snapshot.map(Position).or(position);
    }
    piece.hand_over(take).await;
    position.ok_or_else(|| StoreError::Other { doing: "read from", why: "the answer was cut short".to_owned() })
}

/// Observations on their way to whoever takes them.
#[derive(Default)]
struct Piece(Vec<Observation>);

impl Piece {
    async fn add(&mut self, body: &str, take: &mpsc::Sender<Vec<Observation>>) {
        // Rows that cannot be read were written by somebody else; they are no reason to refuse the rest.
        self.0.extend(serde_json::from_str::<Observation>(body));
        if self.0.len() >= PIECE {
            std::mem::take(self).hand_over(take).await;
        }
    }

    async fn hand_over(self, take: &mpsc::Sender<Vec<Observation>>) {
        if !self.0.is_empty() {
            // Whoever took them may have gone: then nobody misses them.
            let _ = take.send(self.0).await;
        }
    }
}

/// Waits for calls that something has arrived. Calls may be lost: it looks by itself, too.
pub struct Arrivals {
    postgres: super::Postgres,
    listener: Option<PgListener>,
}

impl Arrivals {
    /// Returns when something may have arrived.
    pub async fn next(&mut self) {
        let Some(listener) = &mut self.listener else {
            self.listener = self.listen().await;
            // What came before there was anybody to call is found at once; a server that is away is given a rest.
            if self.listener.is_none() {
                sleep(LOOK_EVERY).await;
            }
            return;
        };
        match timeout(LOOK_EVERY, listener.try_recv()).await {
            Ok(Ok(Some(_))) => while listener.next_buffered().is_some() {},
            Ok(Ok(None) | Err(_)) => self.listener = None,
            Err(_) => {}
        }
    }

    /// Begins anew: a connection that is cut never says so.
    pub fn reset(&mut self) {
        self.listener = None;
    }

    async fn listen(&self) -> Option<PgListener> {
        let listen = async {
            let mut listener = PgListener::connect_with(&self.postgres.pool).await?;
            listener.eager_reconnect(false);
            listener.listen(CHANNEL).await?;
            Ok(listener)
        };
        timeout(super::CONNECT, listen).await.ok()?.map_err(|error: sqlx::Error| tracing::debug!("{error}")).ok()
    }
}

impl std::fmt::Debug for Arrivals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Arrivals").finish_non_exhaustive()
    }
}
