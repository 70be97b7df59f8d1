//! A record of the spool: length, checksum, and the line. What a crash has left half written, or a disk has spoilt, is
//! noticed by them. Pure.

use flate2::Crc;

/// Length and checksum, four bytes each, the lowest first.
const HEAD: usize = 8;
/// No honest line is longer.
pub(super) const LONGEST: usize = 64 << 10;

/// Adds a record.
pub(super) fn write(line: &[u8], into: &mut Vec<u8>) {
    // Longer ones are refused before they come here.
    let length = u32::try_from(line.len()).unwrap_or(u32::MAX);
    into.extend_from_slice(&length.to_le_bytes());
    into.extend_from_slice(&checksum(line).to_le_bytes());
    into.extend_from_slice(line);
}

/// The lines of a file as far as they are whole, and how many bytes those are.
pub(super) fn read(bytes: &[u8]) -> (Vec<&[u8]>, usize) {
    let (mut lines, mut at) = (Vec::new(), 0);
    while let Some(line) = next(bytes.get(at..).unwrap_or_default()) {
        at += HEAD + line.len();
        lines.push(line);
    }
    (lines, at)
}

fn next(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok().filter(|length| (1..=LONGEST).contains(length))?;
    let line = rest.get(..length)?;
    (checksum(line) == u32::from_le_bytes(*sum)).then_some(line)
}

fn checksum(line: &[u8]) -> u32 {
    let mut sum = Crc::new();
    sum.update(line);
    sum.sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_written_is_read_up_to_where_it_was_torn(
            lines in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 0..20),
            torn in any::<prop::sample::Index>(),
        ) {
            let (mut file, mut ends) = (Vec::new(), vec![0]);
            for line in &lines {
                write(line, &mut file);
                ends.push(file.len());
            }
            let (all, whole) = read(&file);
            prop_assert_eq!(&all, &lines);
            prop_assert_eq!(whole, file.len());
            let cut = torn.index(file.len() + 1);
            let (some, whole) = read(&file[..cut]);
            let last = ends.iter().rposition(|end| *end <= cut).unwrap();
            prop_assert_eq!(whole, ends[last]);
            prop_assert_eq!(some, &lines[..last]);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            prop_assert!(read(&bytes).1 <= bytes.len());
        }
    }

    #[test]
    fn a_spoilt_byte_ends_the_file_there() {
        let mut file = Vec::new();
        write(b"one", &mut file);
        let second = file.len();
        write(b"two", &mut file);
        file[second + HEAD] ^= 1;
        assert_eq!(read(&file), (vec![&b"one"[..]], second));
    }
}
