//! Retention in a file, in pieces so small that nobody waits long for the writer.

use super::Sqlite;
use crate::store::StoreError;

/// Rows deleted at once.
const PIECE: i64 = 2_000;
/// Free pages that stay: the next batches use them again.
const SPARE: i64 = 256;
/// What is over the size is cut to this share of it, so that the next batch does not cut again.
const ROOM: f64 = 0.95;

impl Sqlite {
    /// Deletes what is older than an instant, then the oldest until the rest has a size. Says how many rows.
    pub(in crate::store) async fn trim(&self, oldest: i64, bytes: u64) -> Result<u64, StoreError> {
        let old = "delete from observation where rowid in
                   (select rowid from observation where scheduled_at < ? order by scheduled_at limit ?)";
        let mut deleted = 0;
        loop {
            let piece = self.delete(old, &[oldest, PIECE]).await?;
            deleted += piece;
            if piece == 0 {
                break;
            }
        }
        deleted += self.trim_to(bytes).await?;
        self.give_back().await?;
        if deleted > 0 {
            // The file itself shrinks when the journal is worked into it.
            let checkpoint = sqlx::raw_sql("pragma wal_checkpoint(passive)");
            checkpoint.execute(&mut *self.writer.lock().await).await.map_err(|error| StoreError::writing(&error))?;
        }
        Ok(deleted)
    }

    async fn trim_to(&self, bytes: u64) -> Result<u64, StoreError> {
        let mut deleted = 0;
        if self.size().await? <= bytes {
            return Ok(0);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a size"
        )]
        let goal = (bytes as f64 * ROOM) as u64;
        while self.size().await? > goal {
            let oldest = "delete from observation where rowid in
                          (select rowid from observation order by scheduled_at limit ?)";
            let piece = self.delete(oldest, &[PIECE]).await?;
            if piece == 0 {
                break;
            }
            deleted += piece;
        }
        Ok(deleted)
    }

    /// Bytes that the contents take.
    pub(in crate::store) async fn size(&self) -> Result<u64, StoreError> {
        let mut writer = self.writer.lock().await;
        let query = sqlx::query_as::<_, (i64, i64, i64)>(
            "select page_count, freelist_count, page_size from pragma_page_count, pragma_freelist_count, pragma_page_size",
        );
        let (pages, free, size) = query.fetch_one(&mut *writer).await.map_err(|error| StoreError::reading(&error))?;
        Ok(u64::try_from((pages - free) * size).unwrap_or_default())
    }

    async fn delete(&self, sql: &'static str, values: &[i64]) -> Result<u64, StoreError> {
        let mut writer = self.writer.lock().await;
        let query = values.iter().fold(sqlx::query(sql), |query, value| query.bind(*value));
        let done = query.execute(&mut *writer).await.map_err(|error| StoreError::writing(&error))?;
        drop(writer);
        // Whoever waits for the writer goes first.
        tokio::task::yield_now().await;
        Ok(done.rows_affected())
    }

    /// Gives free pages back to the file system, some thousand at once.
    async fn give_back(&self) -> Result<(), StoreError> {
        loop {
            let mut writer = self.writer.lock().await;
            let free: i64 = sqlx::query_scalar("select freelist_count from pragma_freelist_count")
                .fetch_one(&mut *writer)
                .await
                .map_err(|error| StoreError::reading(&error))?;
            if free <= SPARE {
                return Ok(());
            }
            let vacuum = sqlx::raw_sql("pragma incremental_vacuum(2000)");
            vacuum.execute(&mut *writer).await.map_err(|error| StoreError::writing(&error))?;
            let left: i64 = sqlx::query_scalar("select freelist_count from pragma_freelist_count")
                .fetch_one(&mut *writer)
                .await
                .map_err(|error| StoreError::reading(&error))?;
            drop(writer);
            if left >= free {
                // A file from before it could shrink: its free pages are used again instead.
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
    }
}
