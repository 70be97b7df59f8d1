//! Lines of any source, in blocks, in bounded memory: a line that is longer than any honest one is skipped, not kept.

use std::io::{self, Read};

/// Read at once.
const BLOCK: usize = 1 << 17;
/// No honest line is longer.
pub(super) const LONGEST: usize = 1 << 20;

/// Lines without their ends.
pub(super) struct Lines<R> {
    source: R,
    block: Vec<u8>,
    begin: usize,
    end: usize,
    /// The end of the next line, where that has been looked for.
    found: Option<usize>,
    read: u64,
    over: bool,
}

/// One line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// As it is written.
    Whole(&'a [u8]),
    /// Longer than [`LONGEST`].
    TooLong,
}

impl<R: Read> Lines<R> {
    /// The lines of a source.
    pub(super) fn new(source: R) -> Self {
        Self { source, block: vec![0; BLOCK + LONGEST], begin: 0, end: 0, found: None, read: 0, over: false }
    }

    /// Bytes read from the source.
    pub(super) const fn read(&self) -> u64 {
        self.read
    }

    /// The next line; nothing at the end. What follows the last line end is a line too.
    ///
    /// # Errors
    /// When the source cannot be read.
    pub(super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        let mut looked = 0;
        let mut too_long = false;
        loop {
            if let Some(end) = self.found.take().or_else(|| self.look_for_end(looked)) {
                let begin = self.begin;
                self.begin = end + 1;
                return Ok(Some(self.line(begin, end, too_long)));
            }
            if self.over {
                let (begin, end) = (self.begin, self.end);
                self.begin = end;
                if begin == end && !too_long {
                    return Ok(None);
                }
                return Ok(Some(self.line(begin, end, too_long)));
            }
            looked = self.end - self.begin;
            if looked > LONGEST {
                // Its end is still sought, the rest of it forgotten.
                too_long = true;
                (self.begin, looked) = (self.end, 0);
            }
            self.more()?;
        }
    }

    /// Whether a whole line is at hand without another look at the source.
    pub(super) fn has_another(&mut self) -> bool {
        self.found = self.look_for_end(0);
        self.found.is_some()
    }

    /// The end of the next line, which is not among so many bytes of it.
    fn look_for_end(&self, looked: usize) -> Option<usize> {
        let begin = self.begin + looked;
        memchr::memchr(b'\n', self.block.get(begin..self.end)?).map(|offset| begin + offset)
    }

    fn line(&self, begin: usize, end: usize, too_long: bool) -> Line<'_> {
        match self.block.get(begin..end) {
            Some(line) if !too_long && line.len() <= LONGEST => Line::Whole(line),
            _ => Line::TooLong,
        }
    }

    /// Reads another block behind what is waiting.
    fn more(&mut self) -> io::Result<()> {
        if self.begin > 0 {
            self.block.copy_within(self.begin..self.end, 0);
            (self.begin, self.end) = (0, self.end - self.begin);
        }
        let room = self.block.len().min(self.end + BLOCK);
        let Some(room) = self.block.get_mut(self.end..room) else { return Ok(()) };
        loop {
            match self.source.read(room) {
                Ok(0) => self.over = true,
                Ok(read) => {
                    self.end += read;
                    self.read += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives few bytes at a time.
    struct Dripping<'a>(&'a [u8], usize);

    impl Read for Dripping<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let length = self.1.min(self.0.len()).min(into.len());
            into[..length].copy_from_slice(&self.0[..length]);
            self.0 = &self.0[length..];
            Ok(length)
        }
    }

    fn read(text: &[u8], drip: usize) -> Vec<Result<Vec<u8>, u64>> {
        let mut lines = Lines::new(Dripping(text, drip));
        let mut found = vec![];
        while let Some(line) = lines.next().unwrap() {
            let line = if let Line::Whole(line) = line { Some(line.to_vec()) } else { None };
            found.push(line.ok_or(found.len() as u64 + 1));
        }
        assert_eq!(lines.read(), text.len() as u64);
        found
    }

    #[test]
    fn lines_however_they_come() {
        for drip in [1, 2, 3, 100] {
            let expected: Vec<Result<Vec<u8>, u64>> =
                vec![Ok(b"one".into()), Ok(vec![]), Ok(b"three\r".into()), Ok(b"end".into())];
            assert_eq!(read(b"one\n\nthree\r\nend", drip), expected);
            assert_eq!(read(b"one\n", drip).len(), 1);
            assert_eq!(read(b"", drip), []);
        }
    }

    #[test]
    fn what_is_too_long_is_skipped_and_nothing_else() {
        for longest in [LONGEST - 1, LONGEST, LONGEST + 1, 3 * LONGEST, 5 * LONGEST + 7] {
            let mut text = b"before\n".to_vec();
            text.resize(text.len() + longest, b'x');
            text.extend(b"\nafter\n");
            let found = read(&text, 700_000);
            assert_eq!(found.len(), 3);
            assert_eq!((&found[0], &found[2]), (&Ok(b"before".into()), &Ok(b"after".into())));
            assert_eq!(found[1].is_ok(), longest <= LONGEST, "{longest}");
        }
        let endless = vec![b'x'; 3 * LONGEST];
        assert_eq!(read(&endless, 500_000), [Err(1)]);
    }
}
