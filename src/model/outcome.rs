//! What an observation came to.

/// The result of one run of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It works as expected.
    Up,
    /// It works, but slower or poorer than expected.
    Degraded,
    /// It does not work.
    Down,
    /// We could not tell, and that is our own fault: counts against nobody. So does a word of a newer version.
    #[serde(other)]
    Inconclusive,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Up, Self::Degraded, Self::Down, Self::Inconclusive];

    /// The word in metric labels, JSON and documents.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Down => "down",
            Self::Inconclusive => "inconclusive",
        }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}
