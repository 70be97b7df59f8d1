//! From an address to a store: which kind it names, and where that is.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Store, StoreError,
    database::Database,
    postgres::{self, Postgres},
    sqlite::Sqlite,
};

impl Store {
    /// Opens the store at `sqlite:PATH`, a plain path, `sqlite::memory:` or `postgres://…`, and makes its tables. A server
    /// that does not answer yet is waited for: until then everything asked of the store fails.
    ///
    /// # Errors
    /// One sentence that says what stands in the way, without credentials.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let store = Self::of(match place_of(url)? {
            Place::Memory => Database::Sqlite(Arc::new(Sqlite::in_memory().await?)),
            Place::File(path) => Database::Sqlite(Arc::new(Sqlite::open(path).await?)),
            Place::Server => Database::Postgres(Postgres::open(url).await?),
        });
        match store.recall_silences().await {
            Err(error) if !matches!(error, StoreError::Unreachable { .. }) => Err(error),
            _ => Ok(store),
        }
    }

    /// Opens it for a task that may be moved between threads: tables are made by what must stay on its thread.
    ///
    /// # Errors
    /// One sentence that says what stands in the way.
    pub async fn open_apart(url: String) -> Result<Self, String> {
        let runtime = tokio::runtime::Handle::current();
        let opening = tokio::task::spawn_blocking(move || runtime.block_on(Self::open(&url)));
        opening.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }

    /// Opens the store of another process, which may be running, to read from it: nothing is made, locked or changed.
    ///
    /// # Errors
    /// One sentence that says what stands in the way.
    pub async fn open_to_read(url: &str) -> Result<Self, StoreError> {
        Ok(Self::of(match place_of(url)? {
            Place::Memory => Database::Sqlite(Arc::new(Sqlite::in_memory().await?)),
            Place::File(path) => Database::Sqlite(Arc::new(Sqlite::open_to_read(path).await?)),
            Place::Server => Database::Postgres(Postgres::open_to_read(url).await?),
        }))
    }

    fn of(database: Database) -> Self {
        Self { database, silences: Arc::default(), epoch: None }
    }
}

enum Place {
    Memory,
    File(PathBuf),
    Server,
}

/// The folder in which a store lies, for what must outlive the process beside it; the present folder for one that is in
/// no folder.
///
/// # Errors
/// That no store has such an address.
pub fn folder_of(url: &str) -> Result<PathBuf, StoreError> {
    Ok(match place_of(url)? {
        Place::File(path) => path.parent().map(Path::to_owned).unwrap_or_default(),
        Place::Memory | Place::Server => PathBuf::default(),
    })
}

/// Whether an address can be one of a store, without looking at what is there.
///
/// # Errors
/// What is wrong with it.
pub fn check(url: &str) -> Result<(), StoreError> {
    match place_of(url)? {
        Place::Server => postgres::check_address(url),
        Place::Memory | Place::File(_) => Ok(()),
    }
}

/// An address for people and logs: without credentials.
#[must_use]
pub fn shown(url: &str) -> String {
    match place_of(url) {
        Ok(Place::Server) => format!("Postgres at {}", postgres::shown_address(url)),
        _ => url.to_owned(),
    }
}

/// Whether a store at this address may be used by several hubs at once.
#[must_use]
pub fn is_shared(url: &str) -> bool {
    matches!(place_of(url), Ok(Place::Server))
}

fn place_of(url: &str) -> Result<Place, StoreError> {
    let wrong = |url: &str, why: &str| StoreError::Address { url: url.to_owned(), why: why.to_owned() };
    if let Some((scheme, _)) = url.split_once("://")
        && scheme != "sqlite"
    {
        return match scheme {
            "postgres" | "postgresql" => Ok(Place::Server),
            _ => Err(wrong(
                &format!("{scheme}://…"),
                "known stores are sqlite:PATH, sqlite::memory: and postgres://USER:PASSWORD@HOST/DATABASE",
            )),
        };
    }
    let path = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")).unwrap_or(url);
    match path {
        "" => Err(wrong(url, "it names no file; use sqlite:PATH")),
        ":memory:" => Ok(Place::Memory),
        path => Ok(Place::File(PathBuf::from(path))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(url: &str) -> Option<PathBuf> {
        match place_of(url) {
            Ok(Place::File(path)) => Some(path),
            _ => None,
        }
    }

    #[test]
    fn addresses_are_files_or_memory_or_servers() {
        assert_eq!(file("sqlite:a.db"), Some("a.db".into()));
        assert_eq!(file("sqlite:///var/lib/a.db"), Some("/var/lib/a.db".into()));
        assert_eq!(file("a.db"), Some("a.db".into()));
        assert!(matches!(place_of("sqlite::memory:"), Ok(Place::Memory)));
        assert!(is_shared("postgres://db/usoryou") && is_shared("postgresql://db/usoryou") && !is_shared("a.db"));
    }

    #[test]
    fn a_password_in_the_address_is_not_repeated() {
        let error = place_of("mysql://user:hunter2@db/usoryou").err().unwrap().to_string();
        assert!(error.starts_with("cannot use the store `mysql://…`: known stores are"), "{error}");
    }
}
