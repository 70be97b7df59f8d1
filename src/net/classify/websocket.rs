//! Errors of a WebSocket connection, and its close codes (RFC 6455 §7.4), to our words.

use tokio_tungstenite::tungstenite::{
    Error,
    error::{CapacityError, ProtocolError},
};

use super::io;
use crate::model::{Failure, Kind, Phase};

/// An error of a WebSocket connection, from the upgrade on.
#[must_use]
pub fn websocket(phase: Phase, error: &Error) -> Failure {
    let (kind, words) = match error {
        Error::Io(error) => return io(phase, error),
        Error::Protocol(error) => breach(error),
        Error::ConnectionClosed | Error::AlreadyClosed => (Kind::ClosedEarly, "connection closed".to_owned()),
        Error::Capacity(CapacityError::MessageTooLong { max_size, .. }) => {
            (Kind::BodyTooLarge, format!("a message of more than {max_size} bytes"))
        }
        Error::Capacity(_) | Error::AttackAttempt => {
            (Kind::ProtocolError, "the head of the answer is too large".to_owned())
        }
        Error::Utf8(_) => (Kind::ProtocolError, "a text that is not UTF-8".to_owned()),
        Error::HttpFormat(_) => (Kind::ProtocolError, "what came back is not HTTP".to_owned()),
        Error::WriteBufferFull(_) => (Kind::TimedOut, "the other side does not take what we send".to_owned()),
        Error::Http(_) | Error::Url(_) | Error::Tls(_) => {
            (Kind::Internal, "the request cannot be sent like this".to_owned())
        }
    };
    Failure::new(phase, kind, words)
}

fn breach(error: &ProtocolError) -> (Kind, String) {
    let words = match error {
        ProtocolError::ResetWithoutClosingHandshake => {
            return (Kind::ClosedEarly, "connection closed without a close frame".to_owned());
        }
        ProtocolError::HttparseError(_) | ProtocolError::WrongHttpVersion => "what came back is not HTTP/1.1",
        ProtocolError::NonZeroReservedBits => "a frame with bits set that nobody agreed on",
        ProtocolError::MaskedFrameFromServer => "a masked frame",
        ProtocolError::FragmentedControlFrame | ProtocolError::ControlFrameTooBig => "a malformed control frame",
        ProtocolError::InvalidCloseSequence => "a malformed close frame",
        ProtocolError::ReceivedAfterClosing => "more after the close frame",
        ProtocolError::UnexpectedContinueFrame | ProtocolError::ExpectedFragment(_) => "fragments out of order",
        ProtocolError::SendAfterClosing | ProtocolError::InvalidHeader(_) | ProtocolError::WrongHttpMethod => {
            return (Kind::Internal, "the request cannot be sent like this".to_owned());
        }
        _ => "what came back are no frames",
    };
    (Kind::ProtocolError, words.to_owned())
}

/// What a close code means, and whether it is how a server ends a session in order: 1000, going away, restarting.
#[must_use]
pub fn close_code(phase: Phase, code: Option<u16>) -> (Failure, bool) {
    let Some(code) = code else {
        return (Failure::new(phase, Kind::ClosedEarly, "closed without a code"), true);
    };
    let (kind, words) = match code {
        1000 => (Kind::ClosedEarly, "normal end"),
        1001 => (Kind::ClosedEarly, "going away"),
        1012 => (Kind::ClosedEarly, "service restarts"),
        1002 => (Kind::ProtocolError, "the other side sees a breach of the protocol"),
        1003 | 1007 | 1010 => (Kind::ProtocolError, "the other side cannot take what we send"),
        1009 => (Kind::ProtocolError, "the other side finds a message too big"),
        1008 => (Kind::Unauthorized, "against the other side's policy"),
        3000 => (Kind::Unauthorized, "unauthorized"),
        3003 => (Kind::Unauthorized, "forbidden"),
        1011 => (Kind::NotServing, "an error inside of the other side"),
        1013 => (Kind::NotServing, "try again later"),
        1014 => (Kind::NotServing, "bad gateway"),
        4000..=4999 => (Kind::ClosedEarly, "a code of its own"),
        _ => (Kind::ClosedEarly, "a code without a meaning here"),
    };
    (Failure::new(phase, kind, format!("closed with {code}: {words}")), matches!(code, 1000 | 1001 | 1012))
}
