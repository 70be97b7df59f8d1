//! A mistake while it is being found: what is wrong and which bytes of the file it is about. `render.rs` turns faults
//! into [`super::Mistake`]s, which no longer need the file.

use std::ops::Range;

use super::Severity;

/// Something wrong at a place in the file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Fault {
    pub(super) severity: Severity,
    pub(super) message: String,
    pub(super) help: Option<String>,
    /// Bytes of the file; `None` when it is about the file as a whole.
    pub(super) at: Option<Range<usize>>,
}

impl Fault {
    pub(super) fn error(at: Range<usize>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, message: message.into(), help: None, at: Some(at) }
    }

    pub(super) fn warning(at: Range<usize>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(at, message) }
    }

    /// Adds what to do about it.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds what to do about it, where that is known.
    pub(super) fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }
}

/// `did you mean …?` for the known word that is nearest to a written one, if any is near.
pub(super) fn did_you_mean<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(written, known).map(|word| format!("did you mean `{word}`?"))
}

/// The known word that is nearest to a written one, if any is near.
pub(super) fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Very long words are not typing mistakes, and the comparison is quadratic.
    if written.len() > 64 {
        return None;
    }
    let folded = fold(written);
    let allowed = (folded.len().max(3) / 3).max(1);
    known
        .into_iter()
        .filter(|word| word.len() <= 64)
        .map(|word| {
            let plain = fold(word);
            // One word that begins the other is near even where many letters are missing (`addr`, `desc`).
            let prefix = folded.len() >= 3 && (plain.starts_with(&folded) || folded.starts_with(&plain));
            (if prefix { 1 } else { distance(&folded, &plain) }, word)
        })
        .filter(|&(distance, _)| distance <= allowed)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, word)| word)
}

/// Case and separators are what people get wrong most.
fn fold(word: &str) -> Vec<char> {
    word.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase).collect()
}

/// Edits (insert, delete, replace, swap of neighbours) between two words.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, &x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &y) in b.iter().enumerate() {
            let replaced = above.get(j).copied().unwrap_or(0) + usize::from(x != y);
            let deleted = above.get(j + 1).copied().unwrap_or(0) + 1;
            let inserted = row.get(j).copied().unwrap_or(0) + 1;
            let mut best = replaced.min(deleted).min(inserted);
            if i > 0 && j > 0 && a.get(i - 1) == Some(&y) && b.get(j - 1) == Some(&x) {
                best = best.min(before.get(j - 1).copied().unwrap_or(0) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let known = ["interval", "timeout", "check", "party", "name", "max_size"];
        for (written, meant) in [
            ("timout", Some("timeout")),
            ("tiemout", Some("timeout")),
            ("Interval", Some("interval")),
            ("maxSize", Some("max_size")),
            ("max-size", Some("max_size")),
            ("chekc", Some("check")),
            ("colour", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(written, known), meant, "{written}");
        }
        assert_eq!(nearest(&"a".repeat(1 << 20), known), None);
    }
}
