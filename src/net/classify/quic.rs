//! Errors of QUIC (RFC 9000 §20) and HTTP/3 (RFC 9114 §8) to our words.

use h3::{
    error::{ConnectionError as Http3Error, StreamError},
    quic::ConnectionErrorIncoming,
};
use quinn::ConnectionError;
use rustls::AlertDescription;

use super::alert_name;
use crate::model::{Failure, Kind, Phase};

/// An alert of TLS inside of QUIC: 0x100 and its number (RFC 9001 §4.8).
const ALERTS: std::ops::RangeInclusive<u64> = 0x100..=0x1ff;
/// The alert `no_application_protocol`.
const NOT_OFFERED: u64 = 0x178;

/// An error of a QUIC connection.
#[must_use]
pub fn quic(phase: Phase, error: &ConnectionError) -> Failure {
    let (kind, words) = match error {
        ConnectionError::VersionMismatch => (Kind::ProtocolError, "no common version of QUIC".to_owned()),
        ConnectionError::TransportError(error) => {
            return transport(phase, error.code.into(), "against the rules of QUIC");
        }
        ConnectionError::ConnectionClosed(close) => {
            return transport(phase, close.error_code.into(), "the server closed the QUIC connection");
        }
        ConnectionError::ApplicationClosed(close) => (
            Kind::ClosedEarly,
            format!("the server closed the HTTP/3 connection (code {:#x})", close.error_code.into_inner()),
        ),
        ConnectionError::Reset => (Kind::Reset, "the server knows nothing of this QUIC connection".to_owned()),
        ConnectionError::TimedOut => (Kind::TimedOut, "nothing more came over UDP".to_owned()),
        ConnectionError::LocallyClosed => (Kind::ClosedEarly, "connection closed".to_owned()),
        ConnectionError::CidsExhausted => (Kind::Internal, "too many QUIC connections".to_owned()),
    };
    Failure::new(phase, kind, words)
}

fn transport(phase: Phase, code: u64, words: &str) -> Failure {
    if code == NOT_OFFERED {
        return Failure::new(Phase::Tls, Kind::ProtocolError, "the server does not offer HTTP/3");
    }
    match u8::try_from(code & 0xff) {
        Ok(alert) if ALERTS.contains(&code) => {
            let name = alert_name(AlertDescription::from(alert));
            Failure::new(Phase::Tls, Kind::TlsFailed, format!("alert {name}"))
        }
        // CONNECTION_REFUSED.
        _ if code == 2 => Failure::new(phase, Kind::Refused, "the server refuses QUIC connections"),
        _ => Failure::new(phase, Kind::ProtocolError, format!("{words} (code {code:#x})")),
    }
}

/// An error of an HTTP/3 connection as a whole.
#[must_use]
pub fn http3_connection(phase: Phase, error: &Http3Error) -> Failure {
    let (kind, words) = match error {
        Http3Error::Timeout { .. } => (Kind::TimedOut, "nothing more came over UDP".to_owned()),
        Http3Error::Remote { 0: ConnectionErrorIncoming::Timeout, .. } => {
            (Kind::TimedOut, "nothing more came over UDP".to_owned())
        }
        Http3Error::Remote { 0: ConnectionErrorIncoming::ApplicationClose { error_code }, .. } => {
            (Kind::ClosedEarly, format!("the server closed the HTTP/3 connection (code {error_code:#x})"))
        }
        Http3Error::Remote { 0: ConnectionErrorIncoming::Undefined(inner), .. } => {
            return match inner.downcast_ref::<ConnectionError>() {
                Some(error) => quic(phase, error),
                None => Failure::new(phase, Kind::ClosedEarly, "connection closed"),
            };
        }
        _ => (Kind::ProtocolError, "against the rules of HTTP/3".to_owned()),
    };
    Failure::new(phase, kind, words)
}

/// An error of a request over HTTP/3.
#[must_use]
pub fn http3(phase: Phase, error: &StreamError) -> Failure {
    let (kind, words) = match error {
        StreamError::ConnectionError { 0: error, .. } => return http3_connection(phase, error),
        StreamError::RemoteTerminate { code, .. } => (Kind::Reset, format!("HTTP/3 stream reset: {code}")),
        StreamError::HeaderTooBig { .. } => (Kind::ProtocolError, "the head of the answer is too large".to_owned()),
        StreamError::RemoteClosing { .. } => (Kind::ClosedEarly, "HTTP/3 GOAWAY".to_owned()),
        _ => (Kind::ProtocolError, "the answer breaks the rules of HTTP/3".to_owned()),
    };
    Failure::new(phase, kind, words)
}
