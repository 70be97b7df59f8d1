//! How bad something is for those who are told of it: what routes are chosen by, apart from whose fault it is.

/// How bad it is. The order is the order of badness.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Default,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Slow, or poorer than usual, with nothing down: a note, and nobody is paged who has not asked for it.
    Degraded,
    /// One region's way, a vantage point of ours, or nobody can tell.
    Warning,
    /// Our service or a provider is down.
    #[default]
    Critical,
}

impl Severity {
    /// The word in JSON, in the configuration and in channels.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Degraded => "degraded",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}
