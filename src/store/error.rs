//! What can be wrong with a store, as sentences that complete "cannot …".

use std::path::PathBuf;

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

/// The primary result code of an error, if the database gave one.
fn code(error: &sqlx::Error) -> Option<i32> {
    let code = error.as_database_error()?.code()?;
    code.parse::<i32>().ok().map(|code| code & 0xff)
}

impl StoreError {
    pub(super) fn writing(error: &sqlx::Error) -> Self {
        match code(error) {
            Some(FULL) => Self::Full,
            _ => Self::Other { doing: "write to", why: in_words(error) },
        }
    }

    pub(super) fn reading(error: &sqlx::Error) -> Self {
        Self::Other { doing: "read from", why: in_words(error) }
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

fn in_words(error: &sqlx::Error) -> String {
    match error.as_database_error() {
        Some(database) => database.message().to_owned(),
        None => error.to_string(),
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
