//! Names as numbers, and tables that are looked into for every observation. Knows nothing of what the names mean.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hash as _, Hasher},
    sync::Arc,
};

/// Names that were met last, as places for them.
const RECENT: usize = 1 << 10;
/// Regions, nodes, builds and the like at most, together: what comes then has no name, and does not grow the process.
const MOST: usize = 100_000;

/// For keys that nobody outside can choose: names of the configuration, numbers that we gave.
pub(super) type Quick = BuildHasherDefault<Mixed>;

/// Names in the order in which they were first met; number zero is no name.
#[derive(Debug, Clone)]
pub(super) struct Names {
    names: Vec<Arc<str>>,
    /// By a hash that withstands whoever sends names.
    numbers: HashMap<Arc<str>, u32>,
    /// By a quick one: at a place is the number of the name that came there last, right or not.
    recent: Vec<u32>,
}

impl Default for Names {
    fn default() -> Self {
        Self { names: vec!["".into()], numbers: [("".into(), 0)].into(), recent: vec![0; RECENT] }
    }
}

impl Names {
    /// The number of a name, a new one where it has none yet.
    pub(super) fn number(&mut self, name: &str) -> u32 {
        let mut mixed = Mixed::default();
        name.hash(&mut mixed);
        #[expect(clippy::cast_possible_truncation, reason = "only some bits are wanted")]
        let place = mixed.finish() as usize % RECENT;
        let recent = self.recent[place];
        if is_same(self.name(recent), name) {
            return recent;
        }
        let number = self.look_up(name);
        self.recent[place] = number;
        number
    }

    /// The number of a name that was met before.
    pub(super) fn known(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    /// Whether what is new gets no name any more.
    pub(super) const fn is_full(&self) -> bool {
        self.names.len() >= MOST
    }

    /// The same, where it is most likely this one.
    pub(super) fn number_like(&mut self, name: &str, likely: u32) -> u32 {
        if is_same(self.name(likely), name) { likely } else { self.number(name) }
    }

    pub(super) fn name(&self, number: u32) -> &str {
        self.names.get(number as usize).map_or("", |name| name)
    }

    fn look_up(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let Some(number) = u32::try_from(self.names.len()).ok().filter(|_| !self.is_full()) else { return 0 };
        let name: Arc<str> = name.into();
        self.names.push(name.clone());
        self.numbers.insert(name, number);
        number
    }
}

fn is_same(one: &str, other: &str) -> bool {
    one.len() == other.len() && begins_with(one.as_bytes(), other.as_bytes())
}

/// Whether bytes begin with others, many at a time: not every C library that we are linked with compares more than one.
pub(crate) fn begins_with(bytes: &[u8], with: &[u8]) -> bool {
    let Some(bytes) = bytes.get(..with.len()) else { return false };
    let ((ones, one), (others, other)) = (bytes.as_chunks::<32>(), with.as_chunks::<32>());
    ones.iter().zip(others).all(|(one, other)| one == other) && is_same_rest(one, other)
}

/// The same of fewer than 32 bytes, as many on either side.
fn is_same_rest(one: &[u8], other: &[u8]) -> bool {
    match one.len() {
        16.. => have_same_ends::<16>(one, other),
        8.. => have_same_ends::<8>(one, other),
        4.. => have_same_ends::<4>(one, other),
        _ => one.iter().eq(other),
    }
}

/// Whether the first bytes are the same, and the last, which may be some of the first.
fn have_same_ends<const N: usize>(one: &[u8], other: &[u8]) -> bool {
    one.first_chunk::<N>() == other.first_chunk() && one.last_chunk::<N>() == other.last_chunk()
}

/// A hash of few instructions.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Mixed(u64);

impl Mixed {
    const fn mix(&mut self, word: u64) {
        // Any odd number with its bits well spread.
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Hasher for Mixed {
    fn write(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((chunk, behind)) = rest.split_first_chunk::<8>() {
            self.mix(u64::from_le_bytes(*chunk));
            rest = behind;
        }
        if !rest.is_empty() {
            self.mix(rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.mix(byte.into());
    }

    fn write_u32(&mut self, word: u32) {
        self.mix(word.into());
    }

    fn write_u64(&mut self, word: u64) {
        self.mix(word);
    }

    fn write_usize(&mut self, word: usize) {
        self.mix(word as u64);
    }

    fn finish(&self) -> u64 {
        // The upper bits are the better ones; tables look at the lower ones first.
        self.0.rotate_left(26)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_a_beginning_counts() {
        let text: Vec<u8> = (0..150).collect();
        for length in 0..150 {
            assert!(begins_with(&text, &text[..length]));
            for wrong in 0..length {
                let mut other = text[..length].to_vec();
                other[wrong] ^= 1;
                assert!(!begins_with(&text, &other), "{wrong} of {length}");
            }
        }
        assert!(!begins_with(&text[..149], &text));
    }

    #[test]
    fn every_name_keeps_its_number_however_many_there_are() {
        let mut names = Names::default();
        let all: Vec<String> = (0..5 * RECENT).map(|n| format!("name-{n}")).collect();
        let numbers: Vec<u32> = all.iter().map(|name| names.number(name)).collect();
        for (name, number) in all.iter().zip(&numbers) {
            assert_eq!(names.number(name), *number);
            assert_eq!(names.name(*number), name);
        }
        assert_eq!(names.number(""), 0);
        assert_eq!(names.known("name-7"), Some(names.number("name-7")));
        assert_eq!((names.known("new"), names.name(u32::MAX)), (None, ""));
    }

    #[test]
    fn when_there_is_no_room_what_is_new_has_no_name_and_what_is_known_keeps_its() {
        let mut names = Names::default();
        let first = names.number("first");
        for n in 0..MOST {
            names.number(&n.to_string());
        }
        assert_eq!((names.number("one more"), names.number("first")), (0, first));
    }
}
