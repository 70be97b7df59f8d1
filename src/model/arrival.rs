//! What became of a message that was written at one end and waited for at the other.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

/// One message of a `round_trip`, as the one who waited for it saw it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Arrival {
    /// Region of the vantage point that wrote it.
    pub writer_region: Arc<str>,
    /// How it came.
    pub came: Came,
    /// From writing to arrival; of a message of another vantage point this is as good as the two clocks agree. Absent
    /// when it did not come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

/// How a message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Came {
    /// Once, after those that were written before it.
    InOrder,
    /// After one that was written later.
    OutOfOrder,
    /// A second time.
    Doubled,
    /// Not at all: a later one came, or its time is over.
    Lost,
}

impl Came {
    /// Every way.
    pub const ALL: [Self; 4] = [Self::InOrder, Self::OutOfOrder, Self::Doubled, Self::Lost];

    /// The word in metric labels and JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::InOrder => "in_order",
            Self::OutOfOrder => "out_of_order",
            Self::Doubled => "doubled",
            Self::Lost => "lost",
        }
    }
}

impl Arrival {
    /// How long it took, where it came.
    #[must_use]
    pub fn took(&self) -> Option<Duration> {
        self.seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    }
}
