//! Mistakes in a configuration: what is wrong, where, and what to do about it. Knows positions and words; how they look
//! on a terminal is `render.rs`.

use std::{ops::Range, sync::Arc};

/// How much a mistake matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used, and likely does not do what was meant.
    Warning,
}

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mistake {
    /// How much it matters.
    pub severity: Severity,
    /// What is wrong, and what was expected.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Bytes of the file that it is about; `None` when it is about the file as a whole.
    pub at: Option<Range<usize>>,
    /// Another place that explains it.
    pub see: Option<(Range<usize>, String)>,
}

/// Everything that is wrong with a file: errors first, in the order of the file. `Display` is what people read, without
/// colour and with secrets masked.
#[derive(Debug, Clone)]
pub struct Mistakes {
    /// Name of the file as it was given.
    pub file: Arc<str>,
    /// The mistakes.
    pub list: Vec<Mistake>,
}

impl Mistakes {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl std::fmt::Display for Mistakes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.list.iter().try_for_each(|mistake| writeln!(f, "{}", mistake.message))
    }
}

impl std::error::Error for Mistakes {}
