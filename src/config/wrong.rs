//! What serde says is wrong, turned into words for people. Knows serde's phrases; must not know where a value stands.

use serde::de::{Error, Expected, Unexpected};

use super::tree::Id;

/// Why a value does not decode, on its way out to where it is reported.
#[derive(Debug)]
pub(super) struct Wrong {
    /// The innermost value that it is about; `None` until a deserializer on the way out fills it in.
    pub(super) at: Option<Id>,
    pub(super) message: String,
    pub(super) help: Option<String>,
    /// Has been reported, or follows from what has been.
    pub(super) told: bool,
    /// The key that is missing, where that is what is wrong.
    pub(super) missing: Option<&'static str>,
}

impl Wrong {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { at: None, message: message.into(), help: None, told: false, missing: None }
    }

    /// Nothing to add to what has been reported.
    pub(super) fn told() -> Self {
        Self { told: true, ..Self::new(String::new()) }
    }

    pub(super) fn help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }

    fn mismatch(unexpected: Unexpected<'_>, expected: &str) -> Self {
        let unquoted =
            matches!(unexpected, Unexpected::Str(text) if text.parse::<f64>().is_ok() || text.parse::<bool>().is_ok());
        let help = match &unexpected {
            Unexpected::Str(text) if unquoted && !expected.starts_with("text") => {
                Some(format!("write {text} without quotes"))
            }
            _ => None,
        };
        Self::new(format!("expected {expected}, got {}", got(&unexpected))).help(help)
    }
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Wrong {}

impl Error for Wrong {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::mismatch(unexpected, &phrase(&expected.to_string()))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::mismatch(unexpected, &phrase(&expected.to_string()))
    }

    fn missing_field(field: &'static str) -> Self {
        Self { missing: Some(field), ..Self::new(format!("`{field}` is missing")) }
    }
}

/// What serde's visitors expect, as a person would say it.
fn phrase(expected: &str) -> String {
    let whole = |least: &str, most: u64| format!("a whole number from {least} to {most}");
    match expected {
        "u8" => whole("0", u8::MAX.into()),
        "u16" => whole("0", u16::MAX.into()),
        "u32" => whole("0", u32::MAX.into()),
        "u64" | "usize" => "a whole number".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a string" | "a borrowed string" | "a Cow<str>" => "text".to_owned(),
        "a boolean" => "`true` or `false`".to_owned(),
        "path string" => "the path of a file".to_owned(),
        "a string representing an URL" => "a URL".to_owned(),
        "a sequence" => "a list".to_owned(),
        _ if expected == "a map" || expected.starts_with("struct ") => "a mapping".to_owned(),
        _ => expected.to_owned(),
    }
}

/// What was found instead.
fn got(unexpected: &Unexpected<'_>) -> String {
    match unexpected {
        Unexpected::Bool(value) => format!("`{value}`"),
        Unexpected::Unsigned(value) => format!("`{value}`"),
        Unexpected::Signed(value) => format!("`{value}`"),
        Unexpected::Float(value) => format!("`{value}`"),
        Unexpected::Str(text) if text.parse::<f64>().is_ok() => format!("the text \"{text}\""),
        Unexpected::Str(text) => shortened(text),
        Unexpected::Unit | Unexpected::Option => "nothing".to_owned(),
        Unexpected::Map | Unexpected::StructVariant => "a mapping".to_owned(),
        Unexpected::Seq | Unexpected::TupleVariant => "a list".to_owned(),
        other => other.to_string(),
    }
}

/// A text between backticks: its first line, and not too much of it.
pub(super) fn shortened(text: &str) -> String {
    const MOST: usize = 40;
    let line = text.lines().next().unwrap_or_default();
    let start: String = line.chars().take(MOST).collect();
    let more = if start.len() < text.trim_end().len() { "…" } else { "" };
    format!("`{start}{more}`")
}
