//! Which database a store is.

use std::sync::Arc;

use super::{postgres::Postgres, sqlite::Sqlite};

/// Where everything is.
#[derive(Clone)]
pub(super) enum Database {
    /// A file, or memory, of this process alone.
    Sqlite(Arc<Sqlite>),
    /// A server, perhaps of several hubs.
    Postgres(Postgres),
}
