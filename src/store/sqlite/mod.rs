//! SQLite: a file or memory, with its tables made and its journal set, and the one connection that writes.

mod trim;

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{
    ConnectOptions, SqliteConnection, SqlitePool,
    migrate::MigrateError,
    sqlite::{SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::{Mutex, MutexGuard};

use super::{StoreError, access::boxed, error::in_system_words};

static TABLES: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");

/// How long a process that is just ending may hold on to the store.
const HANDOVER: Duration = Duration::from_secs(5);
/// How long to wait for a lock of SQLite's own.
const BUSY: Duration = Duration::from_secs(5);
/// Readers at once: pages and the API.
const READERS: u32 = 4;

/// A store of this process alone.
pub(super) struct Sqlite {
    /// The one connection that writes: SQLite allows one writer, and waiting here is fairer than its busy timeout.
    pub(super) writer: Mutex<SqliteConnection>,
    /// Connections that only read; nothing for a store in memory, which lives in the writer's connection alone.
    pub(super) readers: Option<SqlitePool>,
    /// Keeps another process from judging and telling on the same store; released when this process ends, however it ends.
    _lock: Option<File>,
}

impl Sqlite {
    pub(super) async fn open_to_read(path: PathBuf) -> Result<Self, StoreError> {
        if !path.is_file() {
            return Err(StoreError::Open { path, why: "there is no such file".to_owned() });
        }
        let reading = to_read(&path);
        let only = reading.clone().connect().await.map_err(|error| StoreError::opening(path, &error))?;
        let readers = SqlitePoolOptions::new().max_connections(1).min_connections(0).connect_lazy_with(reading);
        Ok(Self { writer: Mutex::new(only), readers: Some(readers), _lock: None })
    }

    pub(super) async fn open(path: PathBuf) -> Result<Self, StoreError> {
        let lock = lock(&path).await?;
        // Settings that are written into the file: a connection that only reads must not even try to make them.
        let writing = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            // Only takes effect on a new file; it is what lets the file shrink again.
            .auto_vacuum(SqliteAutoVacuum::Incremental)
            .journal_mode(SqliteJournalMode::Wal)
            // In WAL mode a commit survives the death of the process; only the loss of power can undo the last ones.
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(BUSY)
            // Without a bound the journal keeps the size of the largest transaction for ever.
            .pragma("journal_size_limit", "16777216")
            // Fewer, larger checkpoints (16 MiB): a page that many batches touch is written back once.
            .pragma("wal_autocheckpoint", "4000")
            .disable_statement_logging();
        let mut writer = writing.connect().await.map_err(|error| StoreError::opening(path.clone(), &error))?;
        boxed(TABLES.run_direct(None, &mut writer, false)).await.map_err(|error| of_migration(path.clone(), &error))?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .min_connections(0)
            .test_before_acquire(false)
            .connect_lazy_with(to_read(&path));
        Ok(Self { writer: Mutex::new(writer), readers: Some(readers), _lock: Some(lock) })
    }

    pub(super) async fn in_memory() -> Result<Self, StoreError> {
        let place = || PathBuf::from(":memory:");
        let options = SqliteConnectOptions::new().in_memory(true).disable_statement_logging();
        let mut writer = options.connect().await.map_err(|error| StoreError::opening(place(), &error))?;
        boxed(TABLES.run_direct(None, &mut writer, false)).await.map_err(|error| of_migration(place(), &error))?;
        Ok(Self { writer: Mutex::new(writer), readers: None, _lock: None })
    }

    /// Begins a transaction. By hand, because a full disk makes SQLite end one by itself, which sqlx does not notice.
    pub(super) async fn begin(&self) -> Result<MutexGuard<'_, SqliteConnection>, StoreError> {
        let mut writer = self.writer.lock().await;
        if sqlx::raw_sql("begin immediate").execute(&mut *writer).await.is_err() {
            // Somebody was cancelled in the middle of one.
            let _ = sqlx::raw_sql("rollback").execute(&mut *writer).await;
            let begun = sqlx::raw_sql("begin immediate").execute(&mut *writer).await;
            begun.map_err(|error| StoreError::writing(&error))?;
        }
        Ok(writer)
    }
}

/// Ends a transaction: all of it when what was done in it succeeded, otherwise nothing.
pub(super) async fn end<T>(writer: &mut SqliteConnection, done: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
    let committed = match done {
        Ok(done) => sqlx::raw_sql("commit").execute(&mut *writer).await.map(|_| done),
        Err(error) => Err(error),
    };
    if committed.is_err() {
        let _ = sqlx::raw_sql("rollback").execute(&mut *writer).await;
    }
    committed
}

fn to_read(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(BUSY).disable_statement_logging()
}

/// Takes the store for this process. A file of its own: SQLite's locks on the database would be lost if anybody else in
/// this process opened and closed that file.
async fn lock(path: &Path) -> Result<File, StoreError> {
    let failed = |why: String| StoreError::Open { path: path.to_owned(), why };
    if path.is_dir() {
        return Err(failed("it is a directory".to_owned()));
    }
    let mut name = path.as_os_str().to_owned();
    name.push("-lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&name)
        .map_err(|error| failed(in_system_words(&error)))?;
    let patience = tokio::time::Instant::now() + HANDOVER;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if tokio::time::Instant::now() < patience => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(TryLockError::WouldBlock) => return Err(failed("another usoryou is using it".to_owned())),
            // A file system without locks: better unguarded than unusable.
            Err(TryLockError::Error(_)) => return Ok(file),
        }
    }
}

fn of_migration(path: PathBuf, error: &MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => StoreError::opening(path, error),
        MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..) => {
            StoreError::Open { path, why: "a newer version of usoryou has written it".to_owned() }
        }
        other => StoreError::Open { path, why: other.to_string() },
    }
}
