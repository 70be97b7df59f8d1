//! What the codes of MQTT mean in our words: those of a refused CONNECT, and the reason codes of MQTT 5 wherever they come.

use super::codec::Version;
use crate::model::{Failure, Kind, Phase};

/// A CONNACK that is no welcome.
pub(super) fn refused(version: Version, phase: Phase, code: u8) -> Failure {
    if version == Version::V5 {
        return failure(phase, "refused", code);
    }
    let (kind, words) = match code {
        1 => (Kind::ProtocolError, "does not speak MQTT 3.1.1"),
        2 => (Kind::Unauthorized, "client id not allowed"),
        3 => (Kind::NotServing, "server unavailable"),
        4 => (Kind::Unauthorized, "bad user name or password"),
        5 => (Kind::Unauthorized, "not authorized"),
        _ => (Kind::ProtocolError, "a code that MQTT 3.1.1 does not have"),
    };
    Failure::new(phase, kind, format!("refused: {words} ({code})"))
}

/// A reason code of MQTT 5, said with a `verb`.
pub(super) fn failure(phase: Phase, verb: &str, code: u8) -> Failure {
    let (kind, words) = meaning(code);
    Failure::new(phase, kind, format!("{verb}: {words} (0x{code:02X})"))
}

/// Whether a server that takes its leave like this does so as it always does: it is told to, moves or restarts in order, or
/// the connection has reached its age.
pub(super) const fn is_on_purpose(code: u8) -> bool {
    matches!(code, 0x00 | 0x8b | 0x98 | 0x9c | 0x9d | 0xa0)
}

const fn meaning(code: u8) -> (Kind, &'static str) {
    match code {
        0x00 => (Kind::ClosedEarly, "normal disconnection"),
        0x80 => (Kind::StatusUnexpected, "unspecified error"),
        0x81 => (Kind::ProtocolError, "malformed packet"),
        0x82 => (Kind::ProtocolError, "protocol error"),
        0x83 => (Kind::StatusUnexpected, "error of its own implementation"),
        0x84 => (Kind::ProtocolError, "does not speak MQTT 5"),
        0x85 => (Kind::Unauthorized, "client id not allowed"),
        0x86 => (Kind::Unauthorized, "bad user name or password"),
        0x87 => (Kind::Unauthorized, "not authorized"),
        0x88 => (Kind::NotServing, "server unavailable"),
        0x89 => (Kind::NotServing, "server busy"),
        0x8a => (Kind::Unauthorized, "banned"),
        0x8b => (Kind::NotServing, "server shutting down"),
        0x8c => (Kind::Unauthorized, "bad authentication method"),
        0x8d => (Kind::TimedOut, "it has heard nothing of us for longer than the keep-alive"),
        0x8e => (Kind::TakenOver, "session taken over by another client with our client id"),
        0x8f => (Kind::Unauthorized, "topic filter not allowed"),
        0x90 => (Kind::Unauthorized, "topic not allowed"),
        0x93 => (Kind::ProtocolError, "more at once than it takes"),
        0x95 => (Kind::ProtocolError, "packet too large"),
        0x96 => (Kind::RateLimited, "too many messages"),
        0x97 => (Kind::RateLimited, "quota exceeded"),
        0x98 => (Kind::NotServing, "closed by an administrator"),
        0x99 => (Kind::StatusUnexpected, "format of the message not allowed"),
        0x9a => (Kind::StatusUnexpected, "keeps no messages"),
        0x9b => (Kind::StatusUnexpected, "quality of service not supported"),
        0x9c => (Kind::NotServing, "asks to use another server"),
        0x9d => (Kind::NotServing, "server moved"),
        0x9e => (Kind::StatusUnexpected, "no shared subscriptions"),
        0x9f => (Kind::RateLimited, "too many connections"),
        0xa0 => (Kind::ClosedEarly, "the connection has reached its greatest age"),
        0xa1 => (Kind::StatusUnexpected, "no subscription identifiers"),
        0xa2 => (Kind::StatusUnexpected, "no wildcards in filters"),
        _ => (Kind::ProtocolError, "a code that MQTT 5 does not have"),
    }
}
