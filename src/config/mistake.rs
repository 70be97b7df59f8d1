//! Mistakes in a configuration: what is wrong, where, and what to do about it. They hold no more of the file than may
//! be shown; how they look on a terminal is `render.rs`.

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
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Mistake {
    /// How much it matters.
    pub severity: Severity,
    /// What is wrong, and what was expected.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Where; `None` when it is about the file as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

/// A place in a file, and its line as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The line with secrets masked and without its comment.
    pub text: String,
    /// What to mark in `text`, in bytes.
    #[serde(skip)]
    pub mark: Range<usize>,
}

/// Everything that is wrong with a file: errors first, then in the order of the file. `Display` is what people read,
/// without colour.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Mistakes {
    /// Name of the file as it was given.
    pub file: Arc<str>,
    /// The mistakes.
    #[serde(rename = "mistakes")]
    pub list: Vec<Mistake>,
}

impl Mistakes {
    /// The one mistake of a file that could not even be looked into.
    #[must_use]
    pub fn of_file(file: Arc<str>, message: String) -> Self {
        Self { file, list: vec![Mistake { severity: Severity::Error, message, help: None, place: None }] }
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many of a severity there are.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.list.iter().filter(|mistake| mistake.severity == severity).count()
    }
}

impl std::error::Error for Mistakes {}
