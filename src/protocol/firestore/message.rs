//! The few messages of `google.firestore.v1` that listening takes, in protobuf and in gRPC's frames, by hand. Pure; what
//! comes is believed no further than its shape, and memory is bounded whatever comes.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use crate::model::{Failure, Kind, Phase};

/// What a message may be at most: documents that a probe listens to are small.
const MESSAGE_AT_MOST: usize = 256 * 1024;

/// The field of a document that holds a message of a `round_trip`.
const FIELD: &str = "message";

/// The only target that we ever listen to.
const TARGET: u64 = 1;

/// What to listen to.
pub(super) enum Target<'a> {
    /// One document, by its full name.
    Document(&'a str),
    /// All documents of a collection below the database's root: the root's name and the collection's.
    Collection(&'a str, &'a str),
}

/// Asks to listen.
pub(super) fn listen(database: &str, target: &Target<'_>) -> Bytes {
    let mut inner = BytesMut::new();
    match target {
        Target::Document(name) => {
            let mut documents = BytesMut::new();
            text(&mut documents, 2, name);
            nested(&mut inner, 3, &documents);
        }
        Target::Collection(parent, collection) => {
            let (mut selector, mut from, mut query) = (BytesMut::new(), BytesMut::new(), BytesMut::new());
            text(&mut selector, 2, collection);
            nested(&mut from, 2, &selector);
            text(&mut query, 1, parent);
            nested(&mut query, 2, &from);
            nested(&mut inner, 2, &query);
        }
    }
    number(&mut inner, 5, TARGET);
    let mut request = BytesMut::new();
    text(&mut request, 1, database);
    nested(&mut request, 2, &inner);
    framed(&request)
}

/// Writes a document with one message in it; without one, removes it.
pub(super) fn commit(database: &str, name: &str, message: Option<&str>) -> Bytes {
    let mut write = BytesMut::new();
    match message {
        Some(message) => {
            let (mut value, mut field, mut document) = (BytesMut::new(), BytesMut::new(), BytesMut::new());
            text(&mut value, 17, message);
            text(&mut field, 1, FIELD);
            nested(&mut field, 2, &value);
            text(&mut document, 1, name);
            nested(&mut document, 2, &field);
            nested(&mut write, 1, &document);
        }
        None => text(&mut write, 2, name),
    }
    let mut request = BytesMut::new();
    text(&mut request, 1, database);
    nested(&mut request, 2, &write);
    framed(&request)
}

/// What a listener is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    /// Everything that was there has been told.
    Current,
    /// A document has changed; the message in it, where it holds one.
    Changed(Option<String>),
    /// The target is not listened to any more, with the code of the reason.
    Removed(u64),
    /// Something else.
    Other,
}

/// Reads a `ListenResponse`.
pub(super) fn heard(message: &[u8]) -> Result<Heard, Failure> {
    for part in Fields(message) {
        match part? {
            (2, Part::Bytes(change)) => return target_change(change),
            (3, Part::Bytes(change)) => return Ok(Heard::Changed(in_document(change)?)),
            _ => {}
        }
    }
    Ok(Heard::Other)
}

fn target_change(change: &[u8]) -> Result<Heard, Failure> {
    let (mut kind, mut code) = (0, 0);
    for part in Fields(change) {
        match part? {
            (1, Part::Number(number)) => kind = number,
            (3, Part::Bytes(cause)) => {
                for part in Fields(cause) {
                    if let (1, Part::Number(number)) = part? {
                        code = number;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(match kind {
        2 => Heard::Removed(code),
        3 => Heard::Current,
        _ => Heard::Other,
    })
}

/// The message in a `DocumentChange`.
fn in_document(change: &[u8]) -> Result<Option<String>, Failure> {
    let Some(document) = bytes_of(change, 1)? else { return Ok(None) };
    for part in Fields(document) {
        let (2, Part::Bytes(field)) = part? else { continue };
        if bytes_of(field, 1)? == Some(FIELD.as_bytes())
            && let Some(value) = bytes_of(field, 2)?
            && let Some(text) = bytes_of(value, 17)?
        {
            return Ok(String::from_utf8(text.to_vec()).ok());
        }
    }
    Ok(None)
}

/// The first field of that number that holds bytes.
fn bytes_of(message: &[u8], wanted: u64) -> Result<Option<&[u8]>, Failure> {
    for part in Fields(message) {
        match part? {
            (number, Part::Bytes(bytes)) if number == wanted => return Ok(Some(bytes)),
            _ => {}
        }
    }
    Ok(None)
}

/// Puts what comes in pieces together to messages.
#[derive(Debug, Default)]
pub(super) struct Frames(BytesMut);

impl Frames {
    /// Takes a piece.
    pub(super) fn push(&mut self, piece: &[u8]) {
        self.0.extend_from_slice(piece);
    }

    /// The next message that is whole.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        let Some((head, rest)) = self.0.split_first_chunk::<5>() else { return Ok(None) };
        let [flag, length @ ..] = *head;
        if flag != 0 {
            return Err(breach("a message that is compressed, which nobody asked for"));
        }
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > MESSAGE_AT_MOST {
            let detail = format!("a message of more than {MESSAGE_AT_MOST} bytes");
            return Err(Failure::new(Phase::Exchange, Kind::BodyTooLarge, detail));
        }
        if rest.len() < length {
            return Ok(None);
        }
        self.0.advance(5);
        Ok(Some(self.0.split_to(length).freeze()))
    }
}

/// What a field holds.
enum Part<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Other,
}

/// The fields of a message, one after the other.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Part<'a>), Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let read = self.field();
        if read.is_none() {
            self.0 = &[];
        }
        Some(read.ok_or_else(|| breach("a message that is not in protobuf")))
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u64, Part<'a>)> {
        let tag = self.varint()?;
        let part = match tag & 7 {
            0 => Part::Number(self.varint()?),
            1 => self.skip(8)?,
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                let (bytes, rest) = self.0.split_at_checked(length)?;
                self.0 = rest;
                Part::Bytes(bytes)
            }
            5 => self.skip(4)?,
            _ => return None,
        };
        Some((tag >> 3, part))
    }

    fn skip(&mut self, count: usize) -> Option<Part<'a>> {
        self.0 = self.0.get(count..)?;
        Some(Part::Other)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for index in 0..10 {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f).checked_shl(7 * index)?;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

fn varint(out: &mut BytesMut, mut number: u64) {
    while number > 0x7f {
        out.put_u8(u8::try_from(number & 0x7f).unwrap_or(0) | 0x80);
        number >>= 7;
    }
    out.put_u8(u8::try_from(number).unwrap_or(0));
}

fn number(out: &mut BytesMut, field: u64, value: u64) {
    varint(out, field << 3);
    varint(out, value);
}

fn nested(out: &mut BytesMut, field: u64, message: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, message.len() as u64);
    out.put_slice(message);
}

fn text(out: &mut BytesMut, field: u64, value: &str) {
    nested(out, field, value.as_bytes());
}

fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(message.len() + 5);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(0));
    frame.put_slice(message);
    frame.freeze()
}

fn breach(what: &str) -> Failure {
    Failure::new(Phase::Exchange, Kind::ProtocolError, what)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn requests_are_laid_out_as_protobuf_says() {
        let request = listen("db", &Target::Document("d/x"));
        assert_eq!(&request[..], b"\0\0\0\0\x0f\x0a\x02db\x12\x09\x1a\x05\x12\x03d/x\x28\x01");
        let request = listen("db", &Target::Collection("r", "c"));
        assert_eq!(&request[..], b"\0\0\0\0\x14\x0a\x02db\x12\x0e\x12\x0a\x0a\x01r\x12\x05\x12\x03\x12\x01c\x28\x01");
        assert_eq!(&commit("db", "n", None)[..], b"\0\0\0\0\x09\x0a\x02db\x12\x03\x12\x01n");
    }

    #[test]
    fn what_a_listener_is_told() {
        assert_eq!(heard(b"\x12\x02\x08\x03"), Ok(Heard::Current));
        assert_eq!(heard(b"\x12\x06\x08\x02\x1a\x02\x08\x07"), Ok(Heard::Removed(7)));
        assert_eq!(heard(b"\x12\x00"), Ok(Heard::Other));
        assert_eq!(heard(b"\x22\x00"), Ok(Heard::Other));
        // What we write ourselves is what a change holds.
        let written = commit("db", "n", Some("hello"));
        let write = bytes_of(&written[5..], 2).unwrap().unwrap();
        let document = bytes_of(write, 1).unwrap().unwrap();
        let mut change = BytesMut::new();
        nested(&mut change, 1, document);
        let mut response = BytesMut::new();
        nested(&mut response, 3, &change);
        assert_eq!(heard(&response), Ok(Heard::Changed(Some("hello".to_owned()))));
        for bad in [&b"\x12\x05\x08"[..], b"\xff", b"\x12", b"\x0f", b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"] {
            assert_eq!(heard(bad).unwrap_err().kind, Kind::ProtocolError, "{bad:x?}");
        }
    }

    #[test]
    fn frames() {
        let mut frames = Frames::default();
        for byte in b"\0\0\0\0\x02ab\0\0\0\0\0" {
            frames.push(&[*byte]);
        }
        assert_eq!(frames.next().unwrap().unwrap(), "ab");
        assert_eq!(frames.next().unwrap().unwrap(), "");
        assert_eq!(frames.next(), Ok(None));
        frames.push(b"\x01\0\0\0\0");
        assert_eq!(frames.next().unwrap_err().kind, Kind::ProtocolError);
        let mut frames = Frames::default();
        frames.push(b"\0\xff\xff\xff\xff");
        assert_eq!(frames.next().unwrap_err().kind, Kind::BodyTooLarge);
    }

    proptest! {
        #[test]
        fn noise_breaks_nothing(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = heard(&bytes);
            let mut frames = Frames::default();
            frames.push(&bytes);
            while let Ok(Some(message)) = frames.next() {
                let _ = heard(&message);
            }
        }
    }
}
