//! `grpc.health.v1` in bytes: the question, the answer, and what a status of gRPC means in our words. Pure; what comes is
//! believed no further than its shape.

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};

use crate::{
    model::{Failure, Kind, Phase},
    protocol::head,
};

/// What is called.
pub(super) const METHOD: &str = "/grpc.health.v1.Health/Check";

/// An answer is a few bytes; more than this is none.
pub(super) const ANSWER_AT_MOST: usize = 4096;

/// What a server says of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    Serving,
    /// It speaks gRPC, and has nothing that tells of health: it lives.
    NotImplemented,
}

/// `HealthCheckRequest` in its frame: a flag for compression, a length, and field 1 as a text.
pub(super) fn question(service: &str) -> Bytes {
    let mut message = BytesMut::new();
    if !service.is_empty() {
        message.put_u8(0x0a);
        varint(&mut message, service.len());
        message.put_slice(service.as_bytes());
    }
    let mut frame = BytesMut::with_capacity(message.len() + 5);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(0));
    frame.put_slice(&message);
    frame.freeze()
}

fn varint(out: &mut BytesMut, mut number: usize) {
    while number > 0x7f {
        out.put_u8(u8::try_from(number & 0x7f).unwrap_or(0) | 0x80);
        number >>= 7;
    }
    out.put_u8(u8::try_from(number).unwrap_or(0));
}

/// The status at the end of an answer, where there is one.
pub(super) fn status(trailers: &HeaderMap) -> Option<Result<u32, Failure>> {
    let value = trailers.get("grpc-status")?;
    let code = value.to_str().ok().and_then(|text| text.parse().ok());
    let nonsense = || Failure::new(Phase::Transfer, Kind::ProtocolError, "the status of gRPC is no number");
    Some(code.ok_or_else(nonsense))
}

/// What a status and the message before it come to.
pub(super) fn judge(phase: Phase, code: u32, body: &[u8]) -> Result<Health, Failure> {
    let (kind, words) = match code {
        0 => return serving(phase, body),
        12 => return Ok(Health::NotImplemented),
        1 => (Kind::StatusUnexpected, "CANCELLED"),
        2 => (Kind::StatusUnexpected, "UNKNOWN"),
        3 => (Kind::StatusUnexpected, "INVALID_ARGUMENT"),
        4 => (Kind::TimedOut, "DEADLINE_EXCEEDED"),
        5 => (Kind::StatusUnexpected, "NOT_FOUND, the server knows no such service"),
        6 => (Kind::StatusUnexpected, "ALREADY_EXISTS"),
        7 => (Kind::Unauthorized, "PERMISSION_DENIED"),
        8 => (Kind::RateLimited, "RESOURCE_EXHAUSTED"),
        9 => (Kind::StatusUnexpected, "FAILED_PRECONDITION"),
        10 => (Kind::StatusUnexpected, "ABORTED"),
        11 => (Kind::StatusUnexpected, "OUT_OF_RANGE"),
        13 => (Kind::StatusUnexpected, "INTERNAL"),
        14 => (Kind::NotServing, "UNAVAILABLE"),
        15 => (Kind::StatusUnexpected, "DATA_LOSS"),
        16 => (Kind::Unauthorized, "UNAUTHENTICATED"),
        _ => (Kind::ProtocolError, "a status that gRPC does not have"),
    };
    Err(Failure::new(phase, kind, format!("{words} ({code})")))
}

/// What an answer means that does not come from gRPC: that of a proxy or a load balancer before it.
pub(super) fn no_grpc(status: StatusCode, headers: &HeaderMap) -> Option<Failure> {
    let sort = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_grpc =
        sort == "application/grpc" || sort.starts_with("application/grpc+") || sort.starts_with("application/grpc;");
    let words = if sort.starts_with("text/html") { "a page" } else { "something" };
    let number = status.as_u16();
    if number != 200 {
        let failure = head::refusal(Phase::FirstByte, status);
        let detail = format!("answered {number} with {words} that is not gRPC: a proxy before it, perhaps");
        let other = || Failure::new(Phase::FirstByte, Kind::StatusUnexpected, detail.clone());
        return Some(failure.unwrap_or_else(other));
    }
    let detail = format!("answered 200 with {words} that is not gRPC: a proxy before it, perhaps");
    (!is_grpc).then(|| Failure::new(Phase::FirstByte, Kind::ProtocolError, detail))
}

fn serving(phase: Phase, body: &[u8]) -> Result<Health, Failure> {
    let says = |words: &str| Err(Failure::new(phase, Kind::NotServing, words));
    match answer(body) {
        Ok(1) => Ok(Health::Serving),
        Ok(0) => says("the server says UNKNOWN of it"),
        Ok(2) => says("the server says NOT_SERVING"),
        Ok(3) => says("the server says SERVICE_UNKNOWN"),
        Ok(_) => Err(Failure::new(phase, Kind::ProtocolError, "a state of health that does not exist")),
        Err(why) => Err(Failure::new(phase, Kind::ProtocolError, why)),
    }
}

/// `HealthCheckResponse` in its frame: the number in field 1, which is 0 when left out.
pub(super) fn answer(bytes: &[u8]) -> Result<u64, &'static str> {
    let Some((&flag, rest)) = bytes.split_first() else { return Err("a good status without an answer") };
    if flag != 0 {
        return Err("an answer that is compressed, which nobody asked for");
    }
    let (length, message) = rest.split_first_chunk::<4>().ok_or("an answer that ends in its length")?;
    let length = u32::from_be_bytes(*length);
    if usize::try_from(length).ok() != Some(message.len()) {
        return Err("an answer of another length than it says");
    }
    let (mut rest, mut state) = (message, 0);
    while !rest.is_empty() {
        let tag = number(&mut rest)?;
        match (tag >> 3, tag & 7) {
            (1, 0) => state = number(&mut rest)?,
            (_, 0) => drop(number(&mut rest)?),
            (_, 1) => skip(&mut rest, 8)?,
            (_, 2) => {
                let length = number(&mut rest)?;
                skip(&mut rest, length)?;
            }
            (_, 5) => skip(&mut rest, 4)?,
            _ => return Err(NOT_PROTOBUF),
        }
    }
    Ok(state)
}

const NOT_PROTOBUF: &str = "an answer that is not in protobuf";

fn skip(rest: &mut &[u8], count: u64) -> Result<(), &'static str> {
    let count = usize::try_from(count).map_err(|_| NOT_PROTOBUF)?;
    *rest = rest.get(count..).ok_or(NOT_PROTOBUF)?;
    Ok(())
}

fn number(rest: &mut &[u8]) -> Result<u64, &'static str> {
    let mut number = 0_u64;
    for index in 0..10 {
        let (&byte, after) = rest.split_first().ok_or(NOT_PROTOBUF)?;
        *rest = after;
        number |= u64::from(byte & 0x7f).checked_shl(7 * index).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(NOT_PROTOBUF)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_question_is_laid_out_as_protobuf_and_grpc_say() {
        assert_eq!(&question("")[..], b"\0\0\0\0\0");
        assert_eq!(&question("a.B")[..], b"\0\0\0\0\x05\x0a\x03a.B");
        let long = question(&"x".repeat(300));
        assert_eq!(&long[..8], b"\0\0\0\x01\x2f\x0a\xac\x02");
    }

    #[test]
    fn answers_and_what_is_none() {
        assert_eq!(answer(b"\0\0\0\0\x02\x08\x01"), Ok(1));
        assert_eq!(answer(b"\0\0\0\0\0"), Ok(0));
        // Fields of a newer version are passed over.
        assert_eq!(answer(b"\0\0\0\0\x07\x12\x03abc\x08\x02"), Ok(2));
        for bad in [
            &b""[..],
            b"\0",
            b"\x01\0\0\0\x02\x08\x01",
            b"\0\0\0\0\x03\x08\x01",
            b"\0\xff\xff\xff\xff\x08\x01",
            b"\0\0\0\0\x01\x08",
            b"\0\0\0\0\x02\x12\x7f",
            b"\0\0\0\0\x01\x0f",
        ] {
            assert!(answer(bad).is_err(), "{bad:x?}");
        }
    }

    #[test]
    fn every_status_has_a_kind() {
        let kind = |code| judge(Phase::Transfer, code, b"").map_err(|failure| failure.kind);
        assert_eq!(kind(12), Ok(Health::NotImplemented));
        assert_eq!(kind(14), Err(Kind::NotServing));
        assert_eq!(kind(16), Err(Kind::Unauthorized));
        assert_eq!(kind(7), Err(Kind::Unauthorized));
        assert_eq!(kind(8), Err(Kind::RateLimited));
        assert_eq!(kind(4), Err(Kind::TimedOut));
        assert_eq!(kind(5), Err(Kind::StatusUnexpected));
        assert_eq!(kind(99), Err(Kind::ProtocolError));
        assert_eq!(judge(Phase::Transfer, 0, b"\0\0\0\0\x02\x08\x02").unwrap_err().kind, Kind::NotServing);
    }

    proptest! {
        #[test]
        fn noise_breaks_nothing(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = answer(&bytes);
            let mut framed = vec![0, 0, 0, 0, u8::try_from(bytes.len()).unwrap()];
            framed.extend(&bytes);
            let _ = answer(&framed);
        }
    }
}
