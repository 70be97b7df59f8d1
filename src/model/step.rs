//! One step of a check that takes several, and how it fared.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A step, in the order of the check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// How it fared.
    pub came: StepCame,
    /// How long it took; absent when it was not tried, or was cut off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

/// How a step fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepCame {
    /// It did what it should.
    Up,
    /// It failed; the failure of the observation is its.
    Down,
    /// It could not be tried, because an earlier one failed.
    Blocked,
}

impl StepCame {
    /// The word in JSON and on the terminal.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Blocked => "blocked",
        }
    }
}
