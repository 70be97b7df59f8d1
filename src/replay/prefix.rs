//! What is looked for at the beginning of what is left of a line, again and again. Must not know what it means.

use crate::attribution::begins_with;

/// A text that is looked for again and again.
#[derive(Debug)]
pub(super) struct Prefix {
    text: Box<str>,
    /// Its first sixteen bytes, and which bits of these are its.
    head: u128,
    mask: u128,
}

impl Prefix {
    pub(super) fn new(text: &str) -> Self {
        let (mut head, mut mask) = ([0; 16], [0; 16]);
        for (place, byte) in text.bytes().take(16).enumerate() {
            (head[place], mask[place]) = (byte, 0xff);
        }
        Self { text: text.into(), head: u128::from_le_bytes(head), mask: u128::from_le_bytes(mask) }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether bytes begin with it.
    #[inline]
    pub(super) fn begins(&self, bytes: &[u8]) -> bool {
        match bytes.first_chunk::<16>() {
            Some(chunk) if (u128::from_le_bytes(*chunk) ^ self.head) & self.mask != 0 => false,
            Some(_) if self.text.len() <= 16 => true,
            _ => begins_with(bytes, self.text.as_bytes()),
        }
    }
}
