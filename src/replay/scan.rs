//! JSON as far as a line of a trace needs it: values are borrowed or skipped, nothing is built. Takes exactly what
//! RFC 8259 allows, but looks at numbers and literals that are skipped only as far as to find their end.

use super::raw::Raw;
use crate::attribution::begins_with;

/// Deeper values are not looked into; no honest line comes near it.
const DEEPEST: u32 = 64;

/// A place in a line.
pub(super) struct Scan<'a> {
    text: &'a str,
    at: usize,
}

/// The line is not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotJson;

/// A value of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Text(Raw<'a>),
    Number(&'a str),
    /// An object whose first key is next.
    Object,
    /// Something else, that has been skipped.
    Other,
}

impl<'a> Scan<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// How far it has come.
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    /// Takes a text where it comes next, as it is written.
    #[inline]
    pub(super) fn takes(&mut self, text: &str) -> bool {
        let comes = self.text.as_bytes().get(self.at..).is_some_and(|rest| begins_with(rest, text.as_bytes()));
        self.at += if comes { text.len() } else { 0 };
        comes
    }

    /// Where the next value begins.
    pub(super) fn next(&mut self) -> Result<usize, NotJson> {
        self.peek().map(|_| self.at).ok_or(NotJson)
    }

    #[inline]
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        loop {
            let byte = *bytes.get(self.at)?;
            if byte > b' ' || !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    fn eat(&mut self, wanted: u8) -> Result<(), NotJson> {
        if self.peek() == Some(wanted) {
            self.at += 1;
            return Ok(());
        }
        Err(NotJson)
    }

    /// The beginning of an object.
    pub(super) fn open(&mut self) -> Result<(), NotJson> {
        self.eat(b'{')
    }

    /// The next key of the present object; nothing at its end. `first` right after its beginning.
    pub(super) fn key(&mut self, first: bool) -> Result<Option<Raw<'a>>, NotJson> {
        match self.peek() {
            Some(b'}') => {
                self.at += 1;
                return Ok(None);
            }
            Some(b',') if !first => {
                self.at += 1;
                self.peek();
            }
            _ if !first => return Err(NotJson),
            _ => {}
        }
        let key = self.text()?;
        self.eat(b':')?;
        Ok(Some(key))
    }

    /// Nothing may follow.
    pub(super) fn end(&mut self) -> Result<(), NotJson> {
        if self.peek().is_none() { Ok(()) } else { Err(NotJson) }
    }

    /// The next value. An object is entered, an array is skipped.
    pub(super) fn value(&mut self) -> Result<Value<'a>, NotJson> {
        match self.peek().ok_or(NotJson)? {
            b'"' => Ok(Value::Text(self.text()?)),
            b'{' => {
                self.at += 1;
                Ok(Value::Object)
            }
            b'[' => self.skip_array().map(|()| Value::Other),
            b'-' | b'0'..=b'9' => Ok(Value::Number(self.word())),
            b't' | b'f' | b'n' if matches!(self.word(), "true" | "false" | "null") => Ok(Value::Other),
            _ => Err(NotJson),
        }
    }

    /// Passes over the next value.
    pub(super) fn pass(&mut self) -> Result<(), NotJson> {
        match self.peek().ok_or(NotJson)? {
            b'"' => self.pass_text().map(|_| ()),
            b'-' | b'0'..=b'9' => {
                self.pass_word();
                Ok(())
            }
            _ => match self.value()? {
                Value::Object => self.leave(),
                _ => Ok(()),
            },
        }
    }

    /// Skips what is left of an object that was entered.
    pub(super) fn leave(&mut self) -> Result<(), NotJson> {
        // One bit for each bracket that is open: set for an object.
        self.skip(1, 1)
    }

    fn skip_array(&mut self) -> Result<(), NotJson> {
        self.at += 1;
        self.skip(0, 1)
    }

    /// Skips to the end of the outermost of the brackets that are open.
    fn skip(&mut self, mut objects: u64, mut depth: u32) -> Result<(), NotJson> {
        while depth > 0 {
            match self.peek().ok_or(NotJson)? {
                b'"' => _ = self.pass_text()?,
                open @ (b'{' | b'[') => {
                    if depth == DEEPEST {
                        return Err(NotJson);
                    }
                    objects = objects << 1 | u64::from(open == b'{');
                    depth += 1;
                    self.at += 1;
                }
                close @ (b'}' | b']') => {
                    if (objects & 1 == 1) != (close == b'}') {
                        return Err(NotJson);
                    }
                    objects >>= 1;
                    depth -= 1;
                    self.at += 1;
                }
                b',' | b':' => self.at += 1,
                _ if self.pass_word() == 0 => return Err(NotJson),
                _ => {}
            }
        }
        Ok(())
    }

    /// A number or a literal.
    fn word(&mut self) -> &'a str {
        let begin = self.at;
        let length = self.pass_word();
        self.text.get(begin..begin + length).unwrap_or_default()
    }

    /// Its length.
    #[inline]
    fn pass_word(&mut self) -> usize {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|byte| !IS_OF_A_WORD[usize::from(*byte)]).unwrap_or(rest.len());
        self.at += length;
        length
    }

    #[inline]
    fn text(&mut self) -> Result<Raw<'a>, NotJson> {
        let begin = self.at + 1;
        let escaped = self.pass_text()?;
        let text = self.text.get(begin..self.at - 1).ok_or(NotJson)?;
        Ok(Raw { text, begin, escaped })
    }

    /// Whether there is a backslash in it.
    #[inline]
    fn pass_text(&mut self) -> Result<bool, NotJson> {
        let Some((b'"', inner)) = self.text.as_bytes().get(self.at..).and_then(<[u8]>::split_first) else {
            return Err(NotJson);
        };
        let (mut length, mut escaped) = (special(inner), false);
        loop {
            match inner.get(length) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    length += 2;
                    length += special(inner.get(length..).ok_or(NotJson)?);
                }
                _ => return Err(NotJson),
            }
        }
        // Both quotes too.
        self.at += length + 2;
        Ok(escaped)
    }
}

/// Which bytes numbers and literals are made of.
static IS_OF_A_WORD: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        byte += 1;
    }
    table
};

/// Where the first quote, backslash or control character is, eight bytes at a time.
#[inline]
fn special(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x8080_8080_8080_8080;
    let (mut rest, mut passed) = (bytes, 0);
    while let Some((chunk, behind)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        // A quote with its second bit turned is the byte after the control characters, which stay among themselves.
        let turned = word ^ (ONES * 2);
        let backslash = word ^ (ONES * u64::from(b'\\'));
        let low = turned.wrapping_sub(ONES * 0x21) & !turned;
        let zero = backslash.wrapping_sub(ONES) & !backslash;
        let found = (low | zero) & TOPS;
        if found != 0 {
            // A borrow can mark a byte above the first that is meant, never one below it.
            return passed + found.trailing_zeros() as usize / 8;
        }
        (rest, passed) = (behind, passed + 8);
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    rest.iter().position(is_special).map_or(bytes.len(), |offset| passed + offset)
}
