//! The body of an answer, read up to a limit: what a peer sends, and what it unpacks to, never takes more memory than
//! the limit and a few buffers.

use std::io::{self, Write};

use flate2::write::{MultiGzDecoder, ZlibDecoder};
use http::{HeaderMap, header};

use super::line::{Body, Line};
use crate::{
    model::{Failure, Kind, Phase},
    protocol::Attempt,
};

/// What was read.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Read {
    /// The beginning of the body, where it was asked for.
    pub(in crate::protocol) bytes: Vec<u8>,
    /// Bytes that were read, after decompression where the content was asked for.
    pub(in crate::protocol) length: u64,
    /// Whether that is all of it.
    pub(in crate::protocol) complete: bool,
}

/// How to read.
#[derive(Clone, Copy)]
pub(super) struct Reading {
    /// Bytes at most.
    pub(super) limit: u64,
    /// Whether anybody wants the content; otherwise the bytes on the wire are counted and forgotten.
    pub(super) wants_content: bool,
}

impl Reading {
    /// Reads a body to its end or to the limit.
    pub(super) async fn read(
        self,
        attempt: &mut Attempt,
        line: &mut Line,
        headers: &HeaderMap,
        body: &mut Body,
    ) -> Result<Read, Failure> {
        let mut unpacking = Unpacking::of(self, headers);
        while let Some(piece) = line.next(attempt, body).await? {
            if !unpacking.push(&piece)? {
                return Ok(unpacking.into_read(false));
            }
        }
        unpacking.finish()
    }
}

enum Unpacking {
    Plain(Room),
    Gzip(MultiGzDecoder<Room>),
    Deflate(ZlibDecoder<Room>),
}

impl Unpacking {
    fn of(reading: Reading, headers: &HeaderMap) -> Self {
        let room = Room { limit: reading.limit, keeps: reading.wants_content, read: Read::default(), full: false };
        let encoding = headers.get(header::CONTENT_ENCODING).filter(|_| reading.wants_content);
        match encoding.and_then(|value| value.to_str().ok()) {
            Some("gzip" | "x-gzip") => Self::Gzip(MultiGzDecoder::new(room)),
            Some("deflate") => Self::Deflate(ZlibDecoder::new(room)),
            _ => Self::Plain(room),
        }
    }

    /// Takes a piece; `false` when the limit is passed.
    fn push(&mut self, piece: &[u8]) -> Result<bool, Failure> {
        let written = match self {
            Self::Plain(room) => room.write_all(piece),
            Self::Gzip(decoder) => decoder.write_all(piece),
            Self::Deflate(decoder) => decoder.write_all(piece),
        };
        match written {
            _ if self.room().full => Ok(false),
            Ok(()) => Ok(true),
            Err(_) => Err(broken()),
        }
    }

    fn finish(mut self) -> Result<Read, Failure> {
        let finished = match &mut self {
            Self::Plain(_) => Ok(()),
            Self::Gzip(decoder) => decoder.try_finish(),
            Self::Deflate(decoder) => decoder.try_finish(),
        };
        let full = self.room().full;
        match finished {
            Err(_) if !full => Err(broken()),
            _ => Ok(self.into_read(!full)),
        }
    }

    fn room(&self) -> &Room {
        match self {
            Self::Plain(room) => room,
            Self::Gzip(decoder) => decoder.get_ref(),
            Self::Deflate(decoder) => decoder.get_ref(),
        }
    }

    fn into_read(mut self, complete: bool) -> Read {
        let room = match &mut self {
            Self::Plain(room) => room,
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Deflate(decoder) => decoder.get_mut(),
        };
        Read { complete, ..std::mem::take(&mut room.read) }
    }
}

fn broken() -> Failure {
    Failure::new(Phase::Transfer, Kind::ProtocolError, "the body does not decompress")
}

/// Takes bytes up to a limit and then refuses.
struct Room {
    limit: u64,
    keeps: bool,
    read: Read,
    full: bool,
}

impl Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = usize::try_from(self.limit - self.read.length).unwrap_or(usize::MAX);
        let taken = bytes.get(..left).unwrap_or(bytes);
        if self.keeps {
            self.read.bytes.extend_from_slice(taken);
        }
        self.read.length += taken.len() as u64;
        if taken.len() < bytes.len() {
            self.full = true;
            return Err(io::Error::other("limit"));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn unpacking(limit: u64, wants_content: bool) -> Unpacking {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, "gzip".parse().unwrap());
        Unpacking::of(Reading { limit, wants_content }, &headers)
    }

    #[test]
    fn a_body_of_just_the_limit_is_whole() {
        let mut unpacking = unpacking(5, true);
        assert!(unpacking.push(&gzip(b"12345")).unwrap());
        let read = unpacking.finish().unwrap();
        assert_eq!((read.bytes.as_slice(), read.complete), (&b"12345"[..], true));
    }

    #[test]
    fn a_bomb_takes_no_more_than_the_limit() {
        let bomb = gzip(&vec![0; 10 << 20]);
        let mut unpacking = unpacking(1000, true);
        assert!(!unpacking.push(&bomb).unwrap());
        let read = unpacking.into_read(false);
        assert_eq!((read.bytes.len(), read.length, read.complete), (1000, 1000, false));
        assert!(read.bytes.capacity() < 100_000);
    }

    #[test]
    fn half_a_gzip_body_is_broken() {
        let packed = gzip(b"hello hello hello");
        let mut unpacking = unpacking(100, true);
        unpacking.push(&packed[..packed.len() - 9]).unwrap();
        assert_eq!(unpacking.finish().unwrap_err().kind, Kind::ProtocolError);
    }

    #[test]
    fn what_nobody_wants_is_counted_as_it_travels() {
        let packed = gzip(&[0; 5000]);
        let mut unpacking = unpacking(1000, false);
        assert!(unpacking.push(&packed).unwrap());
        let read = unpacking.finish().unwrap();
        assert_eq!((read.bytes.len(), read.length), (0, packed.len() as u64));
    }
}
