//! `probes.yaml` to a [`Plan`]: file shape, rules that cross fields, and the immutable result. Only `file.rs` and below
//! know YAML; nobody outside sees anything but the plan and the list of mistakes.

mod mistake;
mod plan;

use std::{path::Path, sync::Arc};

pub use mistake::{Mistake, Mistakes, Severity};
pub use plan::{Alerts, Keep, Maintenance, Party, Plan, Probe, Route};

use crate::net::Net;

/// What the command line says about the vantage point; it wins over the file.
#[derive(Debug, Clone, Default)]
pub struct VantageOverrides {
    /// `--region`.
    pub region: Option<String>,
    /// `--node`.
    pub node: Option<String>,
}

/// A configuration that can be used.
pub struct Loaded {
    /// The plan.
    pub plan: Arc<Plan>,
    /// What is likely not meant; may be empty.
    pub warnings: Mistakes,
}

/// Reads, checks and prepares a configuration.
///
/// # Errors
/// Every mistake in it (and the warnings), ready to be shown. A file that cannot be read is one mistake.
pub fn read(
    path: &Path,
    _env: &dyn Fn(&str) -> Option<String>,
    _net: &Arc<Net>,
    _vantage: &VantageOverrides,
) -> Result<Loaded, Mistakes> {
    Err(Mistakes { file: path.to_string_lossy().into(), list: Vec::new() })
}

/// The JSON Schema (2020-12) of `probes.yaml`.
#[must_use]
pub fn schema() -> serde_json::Value {
    serde_json::Value::Null
}
