//! Opening: from an address to a store with its tables made and its journal set.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sqlx::{
    ConnectOptions, SqliteConnection, SqlitePool,
    migrate::MigrateError,
    sqlite::{SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::Mutex;

use super::{Store, StoreError, error::in_system_words};

static TABLES: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");

/// How long a process that is just ending may hold on to the store.
const HANDOVER: Duration = Duration::from_secs(5);
/// How long to wait for a lock of SQLite's own.
const BUSY: Duration = Duration::from_secs(5);
/// Readers at once: pages and the API.
const READERS: u32 = 4;

impl Store {
    /// Opens the store at `sqlite:PATH`, a plain path or `sqlite::memory:`, and makes its tables.
    ///
    /// # Errors
    /// One sentence that says what stands in the way.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        match path_of(url)? {
            Some(path) => Self::open_file(path).await,
            None => Self::open_in_memory().await,
        }
    }

    /// Opens the store of another process, which may be running, to read from it: nothing is made, locked or changed.
    ///
    /// # Errors
    /// One sentence that says what stands in the way.
    pub async fn open_to_read(url: &str) -> Result<Self, StoreError> {
        let Some(path) = path_of(url)? else { return Self::open_in_memory().await };
        if !path.is_file() {
            return Err(StoreError::Open { path, why: "there is no such file".to_owned() });
        }
        let reading =
            SqliteConnectOptions::new().filename(&path).read_only(true).busy_timeout(BUSY).disable_statement_logging();
        let only = reading.clone().connect().await.map_err(|error| StoreError::opening(path.clone(), &error))?;
        let readers = SqlitePoolOptions::new().max_connections(1).min_connections(0).connect_lazy_with(reading);
        Ok(Self { writer: Arc::new(Mutex::new(only)), readers: Some(readers), silences: Arc::default(), _lock: None })
    }

    async fn open_file(path: PathBuf) -> Result<Self, StoreError> {
        let lock = lock(&path).await?;
        let reading =
            SqliteConnectOptions::new().filename(&path).read_only(true).busy_timeout(BUSY).disable_statement_logging();
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
        TABLES.run(&mut writer).await.map_err(|error| of_migration(path.clone(), &error))?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .min_connections(0)
            .test_before_acquire(false)
            .connect_lazy_with(reading);
        Self::remembering(writer, Some(readers), Some(Arc::new(lock))).await
    }

    async fn open_in_memory() -> Result<Self, StoreError> {
        let place = || PathBuf::from(":memory:");
        let options = SqliteConnectOptions::new().in_memory(true).disable_statement_logging();
        let mut writer = options.connect().await.map_err(|error| StoreError::opening(place(), &error))?;
        TABLES.run(&mut writer).await.map_err(|error| of_migration(place(), &error))?;
        Self::remembering(writer, None, None).await
    }

    async fn remembering(
        writer: SqliteConnection,
        readers: Option<SqlitePool>,
        lock: Option<Arc<File>>,
    ) -> Result<Self, StoreError> {
        let store = Self { writer: Arc::new(Mutex::new(writer)), readers, silences: Arc::default(), _lock: lock };
        store.recall_silences().await?;
        Ok(store)
    }
}

/// The folder in which a store lies, for what must outlive the process beside it; the present folder for one in memory.
///
/// # Errors
/// That no store has such an address.
pub fn folder_of(url: &str) -> Result<PathBuf, StoreError> {
    let path = path_of(url)?;
    Ok(path.as_deref().and_then(Path::parent).map(Path::to_owned).unwrap_or_default())
}

/// The file that an address names; nothing for memory.
fn path_of(url: &str) -> Result<Option<PathBuf>, StoreError> {
    let wrong = |url: &str, why: &str| StoreError::Address { url: url.to_owned(), why: why.to_owned() };
    if let Some((scheme, _)) = url.split_once("://")
        && scheme != "sqlite"
    {
        let shown = format!("{scheme}://…");
        return Err(match scheme {
            "postgres" | "postgresql" => wrong(&shown, "Postgres is not supported yet; use sqlite:PATH"),
            _ => wrong(&shown, "known stores are sqlite:PATH and sqlite::memory:"),
        });
    }
    let path = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")).unwrap_or(url);
    match path {
        "" => Err(wrong(url, "it names no file; use sqlite:PATH")),
        ":memory:" => Ok(None),
        path => Ok(Some(PathBuf::from(path))),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_files_or_memory() {
        assert_eq!(path_of("sqlite:a.db"), Ok(Some("a.db".into())));
        assert_eq!(path_of("sqlite:///var/lib/a.db"), Ok(Some("/var/lib/a.db".into())));
        assert_eq!(path_of("a.db"), Ok(Some("a.db".into())));
        assert_eq!(path_of("sqlite::memory:"), Ok(None));
    }

    #[test]
    fn a_password_in_the_address_is_not_repeated() {
        let error = path_of("postgres://user:hunter2@db/usoryou").unwrap_err().to_string();
        assert_eq!(error, "cannot use the store `postgres://…`: Postgres is not supported yet; use sqlite:PATH");
    }
}
