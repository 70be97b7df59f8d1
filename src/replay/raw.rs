//! A text of a line as it is written, and what is meant by it (RFC 8259, section 7).

use super::scan::NotJson;

/// A text as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Raw<'a> {
    /// Between the quotes.
    pub(super) text: &'a str,
    /// Where in the line that begins.
    pub(super) begin: usize,
    /// Whether there is a backslash in it.
    pub(super) escaped: bool,
}

impl<'a> Raw<'a> {
    /// What is written, where nothing in it is escaped.
    pub(super) const fn plain(self) -> Option<&'a str> {
        if self.escaped { None } else { Some(self.text) }
    }

    /// Adds what is meant to a text.
    pub(super) fn unescape(self, onto: &mut String) -> Result<(), NotJson> {
        let mut rest = self.text;
        while let Some(at) = rest.find('\\') {
            onto.push_str(&rest[..at]);
            let mut escape = rest[at + 1..].chars();
            let meant = match escape.next().ok_or(NotJson)? {
                same @ ('"' | '\\' | '/') => same,
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => unicode(&mut escape)?,
                _ => return Err(NotJson),
            };
            onto.push(meant);
            rest = escape.as_str();
        }
        onto.push_str(rest);
        Ok(())
    }
}

/// After `\u`; two of them where one cannot say it. Half of a pair says nothing.
fn unicode(escape: &mut std::str::Chars<'_>) -> Result<char, NotJson> {
    let first = four_digits(escape)?;
    if !(0xD800..0xDC00).contains(&first) {
        return char::from_u32(first).ok_or(NotJson);
    }
    if escape.next() != Some('\\') || escape.next() != Some('u') {
        return Err(NotJson);
    }
    let second = four_digits(escape)?;
    if !(0xDC00..0xE000).contains(&second) {
        return Err(NotJson);
    }
    char::from_u32(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)).ok_or(NotJson)
}

fn four_digits(escape: &mut std::str::Chars<'_>) -> Result<u32, NotJson> {
    (0..4).try_fold(0, |code, _| Ok(code << 4 | escape.next().and_then(|c| c.to_digit(16)).ok_or(NotJson)?))
}
