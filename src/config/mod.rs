//! `probes.yaml` to a [`Plan`]: file shape, rules that cross fields, and the immutable result. Only `file.rs` and below
//! know YAML; nobody outside sees anything but the plan and the list of mistakes.

mod plan;

pub use plan::{Alerts, Keep, Maintenance, Party, Plan, Probe, Route};
