//! `usoryou schema`: the JSON Schema of `probes.yaml`, on stdout.

use std::io::Write as _;

use super::{Exit, Stopped};

/// Prints the schema.
pub(super) fn run() -> Result<Exit, Stopped> {
    writeln!(std::io::stdout().lock(), "{:#}", crate::config::schema())?;
    Ok(Exit::Good)
}
