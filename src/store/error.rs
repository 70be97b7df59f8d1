//! What can be wrong with a store, as sentences that complete "cannot …".

use std::path::PathBuf;

use sqlx::error::DatabaseError as _;
use sqlx::{postgres::PgDatabaseError, sqlite::SqliteError};

/// Why the store could not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The address names a kind of store that this version does not have, or none at all.
    #[error("cannot use the store `{url}`: {why}")]
    Address {
        /// What was given, without credentials.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The file cannot be opened or made.
    #[error("cannot open the store at {}: {why}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What stands in the way.
        why: String,
    },
    /// The file is not a database, or a damaged one.
    #[error("cannot read the store at {}: it is damaged or not a SQLite database; move it away and start again, or restore a copy", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// No room on the disk.
    #[error("cannot write to the store: the disk is full")]
    Full,
    /// The server does not answer.
    #[error("cannot reach the store: {why}")]
    Unreachable {
        /// What was tried.
        why: String,
    },
    /// The server answers, and lets nobody in or has other tables.
    #[error("cannot use the store: {why}")]
    Server {
        /// What it said.
        why: String,
    },
    /// Another hub leads: nothing of what was to be written has been.
    #[error("cannot write to the store: not the leader any more")]
    Deposed,
    /// Anything else.
    #[error("cannot {doing} the store: {why}")]
    Other {
        /// `write to`, `read from`.
        doing: &'static str,
        /// What the database said.
        why: String,
    },
}

/// SQLite's result codes (<https://www.sqlite.org/rescode.html>); the low byte of an extended code is the primary one.
const READONLY: i32 = 8;
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
const CANTOPEN: i32 = 14;
const NOTADB: i32 = 26;

/// Postgres' code for a disk that is full, and what its codes begin with when the server is going or coming.
const DISK_FULL: &str = "53100";
const ADMIN_SHUTDOWN: &str = "57P0";

/// The primary result code of an error, if it is one of SQLite.
fn code(error: &sqlx::Error) -> Option<i32> {
    let error = error.as_database_error()?.try_downcast_ref::<SqliteError>()?;
    error.code()?.parse::<i32>().ok().map(|code| code & 0xff)
}

/// The code of an error, if it is one of Postgres.
pub(super) fn state(error: &sqlx::Error) -> Option<&str> {
    Some(error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()?.code())
}

/// Whether the server was not there, or went away.
fn unreachable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => true,
        other => state(other).is_some_and(|state| state.starts_with(ADMIN_SHUTDOWN)),
    }
}

impl StoreError {
    pub(super) fn writing(error: &sqlx::Error) -> Self {
        match error {
            error if code(error) == Some(FULL) || state(error) == Some(DISK_FULL) => Self::Full,
            error => Self::of(error, "write to"),
        }
    }

    fn of(error: &sqlx::Error, doing: &'static str) -> Self {
        let why = in_words(error);
        if unreachable(error) { Self::Unreachable { why } } else { Self::Other { doing, why } }
    }

    pub(super) fn reading(error: &sqlx::Error) -> Self {
        Self::of(error, "read from")
    }

    pub(super) fn opening(path: PathBuf, error: &sqlx::Error) -> Self {
        match code(error) {
            Some(NOTADB | CORRUPT) => Self::Damaged { path },
            Some(FULL) => Self::Open { path, why: "the disk is full".to_owned() },
            Some(READONLY) => Self::Open { path, why: "it cannot be written to".to_owned() },
            Some(CANTOPEN) | None => {
                // SQLite only says "unable to open database file"; the system knows why.
                let why = std::fs::OpenOptions::new().read(true).append(true).create(true).open(&path).err();
                Self::Open { path, why: why.map_or_else(|| in_words(error), |why| in_system_words(&why)) }
            }
            Some(_) => Self::Open { path, why: in_words(error) },
        }
    }
}

pub(super) fn in_words(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(database) => database.message().to_owned(),
        sqlx::Error::PoolTimedOut => "no connection in time".to_owned(),
        sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => "no answer in time".to_owned(),
        sqlx::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

pub(super) fn in_system_words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        std::io::ErrorKind::NotFound => "the directory does not exist".to_owned(),
        std::io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        std::io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only".to_owned(),
        std::io::ErrorKind::StorageFull => "the disk is full".to_owned(),
        _ => error.to_string(),
    }
}
