//! Foreign errors to our words. The only file that matches on the error types of the operating system, rustls, hyper,
//! h2 and tungstenite (below); what it says of them never repeats what a peer wrote beyond names in certificates.

#[cfg(feature = "http3")]
mod quic;
mod websocket;

use std::{error::Error as _, io};

use rustls::{AlertDescription, CertificateError};

#[cfg(feature = "http3")]
pub use quic::{http3, http3_connection, quic};
pub use websocket::{close_code, websocket};

use crate::model::{Failure, Kind, Phase};

/// An error of a socket, or of a TLS session that travels inside one.
#[must_use]
pub fn io(phase: Phase, error: &io::Error) -> Failure {
    if let Some(inner) = error.get_ref() {
        if let Some(error) = inner.downcast_ref::<rustls::Error>() {
            return tls(phase, error);
        }
        if let Some(error) = inner.downcast_ref::<io::Error>() {
            return io(phase, error);
        }
        // A protocol that carries another one has found the words already.
        if let Some(failure) = inner.downcast_ref::<Failure>() {
            return Failure { phase, ..failure.clone() };
        }
    }
    let (kind, words) = match (error.kind(), error.raw_os_error()) {
        (_, Some(libc::EMFILE | libc::ENFILE)) => (Kind::Internal, "too many files are open here"),
        (_, Some(libc::ENOBUFS | libc::ENOMEM)) => (Kind::Internal, "this machine is out of memory for sockets"),
        (_, Some(libc::EPERM | libc::EACCES)) => (Kind::NotPermitted, "this machine does not let us send there"),
        (_, Some(libc::EADDRNOTAVAIL)) => (Kind::Internal, "no local address or port is free to reach it from"),
        (_, Some(libc::ENETUNREACH)) => (Kind::Unreachable, "network unreachable"),
        (_, Some(libc::EHOSTUNREACH | libc::EHOSTDOWN)) => (Kind::Unreachable, "host unreachable"),
        (_, Some(libc::ENETDOWN | libc::ENONET)) => (Kind::Unreachable, "network down"),
        (_, Some(libc::EPROTO | libc::ENOPROTOOPT)) => (Kind::Unreachable, "TCP is not spoken there"),
        (io::ErrorKind::ConnectionRefused, _) => (Kind::Refused, "connection refused"),
        (io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted, _) => (Kind::Reset, "connection reset"),
        // Not the kernel's: h2's word for streams that were open when the connection ended.
        (io::ErrorKind::BrokenPipe, None) => (Kind::ClosedEarly, "connection closed before the answer was complete"),
        (io::ErrorKind::BrokenPipe, _) => (Kind::Reset, "connection reset while we were writing"),
        (io::ErrorKind::UnexpectedEof | io::ErrorKind::NotConnected, _) => (Kind::ClosedEarly, "connection closed"),
        (io::ErrorKind::TimedOut, _) => (Kind::TimedOut, "the kernel gave up waiting"),
        (io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput, _) => {
            (Kind::ProtocolError, "what came back makes no sense")
        }
        (kind, _) => return Failure::new(phase, Kind::Unclassified, kind.to_string()),
    };
    Failure::new(phase, kind, words)
}

/// An error of a TLS session.
#[must_use]
pub fn tls(phase: Phase, error: &rustls::Error) -> Failure {
    use rustls::Error;
    let words = match error {
        Error::InvalidCertificate(error) => return certificate(phase, error),
        Error::AlertReceived(alert) => format!("alert {}", alert_name(*alert)),
        Error::InvalidMessage(_) => "what came back is not TLS".to_owned(),
        Error::NoCertificatesPresented => "the server showed no certificate".to_owned(),
        Error::NoApplicationProtocol => "no common application protocol (ALPN)".to_owned(),
        Error::PeerIncompatible(why) => format!("no common ground: {}", spaced(&format!("{why:?}"))),
        Error::PeerMisbehaved(why) => format!("against the protocol: {}", spaced(&format!("{why:?}"))),
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            "a message out of turn".to_owned()
        }
        Error::DecryptError => "a record does not decrypt".to_owned(),
        Error::PeerSentOversizedRecord => "an oversized record".to_owned(),
        Error::InconsistentKeys(_) => {
            return Failure::new(phase, Kind::Internal, "our client certificate and key do not belong together");
        }
        Error::FailedToGetCurrentTime | Error::FailedToGetRandomBytes | Error::EncryptError => {
            return Failure::new(phase, Kind::Internal, error.to_string());
        }
        _ => "the handshake failed".to_owned(),
    };
    Failure::new(phase, Kind::TlsFailed, words)
}

/// What is wrong with a certificate.
fn certificate(phase: Phase, error: &CertificateError) -> Failure {
    let (kind, words) = match error {
        CertificateError::Expired => (Kind::CertificateExpired, "expired".to_owned()),
        CertificateError::ExpiredContext { time, not_after } => {
            let ago = time.as_secs().saturating_sub(not_after.as_secs());
            (Kind::CertificateExpired, format!("expired {} ago", rough(ago)))
        }
        CertificateError::NotValidYet => (Kind::CertificateExpired, "not valid yet".to_owned()),
        CertificateError::NotValidYetContext { time, not_before } => {
            let ahead = not_before.as_secs().saturating_sub(time.as_secs());
            (Kind::CertificateExpired, format!("not valid before {} from now", rough(ahead)))
        }
        CertificateError::NotValidForName => (Kind::CertificateNameMismatch, "for another name".to_owned()),
        CertificateError::NotValidForNameContext { expected, presented } => {
            (Kind::CertificateNameMismatch, format!("for {}, not for {}", some_of(presented), expected.to_str()))
        }
        CertificateError::UnknownIssuer => (Kind::CertificateUntrusted, "issued by nobody that we trust".to_owned()),
        CertificateError::Revoked => (Kind::CertificateUntrusted, "revoked".to_owned()),
        CertificateError::BadSignature => (Kind::CertificateUntrusted, "a signature is wrong".to_owned()),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            (Kind::CertificateUntrusted, "not meant for servers".to_owned())
        }
        CertificateError::BadEncoding => (Kind::CertificateUntrusted, "malformed".to_owned()),
        _ => (Kind::CertificateUntrusted, "not acceptable".to_owned()),
    };
    Failure::new(phase, kind, words)
}

/// An error of an HTTP connection.
#[must_use]
pub fn http(phase: Phase, error: &hyper::Error) -> Failure {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(error) = inner.downcast_ref::<io::Error>() {
            return io(phase, error);
        }
        if let Some(error) = inner.downcast_ref::<h2::Error>() {
            return http2(phase, error);
        }
        source = inner.source();
    }
    let (kind, words) = if error.is_parse_too_large() {
        (Kind::ProtocolError, "the head of the answer is too large")
    } else if error.is_parse_version_h2() {
        (Kind::ProtocolError, "HTTP/2 where HTTP/1.1 was asked for")
    } else if error.is_parse() {
        (Kind::ProtocolError, "what came back is not HTTP")
    } else if error.is_incomplete_message() {
        (Kind::ClosedEarly, "connection closed before the answer was complete")
    } else if error.is_canceled() || error.is_closed() {
        (Kind::ClosedEarly, "connection closed")
    } else if error.is_user() {
        (Kind::Internal, "the request cannot be sent like this")
    } else {
        (Kind::ProtocolError, "the answer breaks the rules of HTTP")
    };
    Failure::new(phase, kind, words)
}

/// A connection of HTTP/2 that the other side has said good-bye to, with an error code (RFC 9113 §7).
#[must_use]
pub fn goaway(phase: Phase, code: u32) -> Failure {
    let reason = spaced(&format!("{:?}", h2::Reason::from(code)));
    Failure::new(phase, Kind::ClosedEarly, format!("HTTP/2 GOAWAY: {reason}"))
}

/// An error of an HTTP/2 connection or stream.
#[must_use]
pub fn http2(phase: Phase, error: &h2::Error) -> Failure {
    if let Some(error) = error.get_io() {
        return io(phase, error);
    }
    let reason = error.reason().map_or_else(|| "no reason".to_owned(), |reason| spaced(&format!("{reason:?}")));
    let (kind, words) = match error {
        error if error.is_go_away() && error.is_remote() => (Kind::ClosedEarly, format!("HTTP/2 GOAWAY: {reason}")),
        error if error.is_reset() && error.is_remote() => (Kind::Reset, format!("HTTP/2 stream reset: {reason}")),
        _ => (Kind::ProtocolError, format!("against the rules of HTTP/2: {reason}")),
    };
    Failure::new(phase, kind, words)
}

/// The name of an alert as RFC 8446 §6 writes it.
fn alert_name(alert: AlertDescription) -> String {
    let mut name = String::new();
    for letter in format!("{alert:?}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() && !name.ends_with(|c: char| c.is_ascii_uppercase()) {
            name.push('_');
        }
        name.push(letter);
    }
    name.to_ascii_lowercase()
}

/// `NoCipherSuitesInCommon` as `no cipher suites in common`, `ENHANCE_YOUR_CALM` as `enhance your calm`.
fn spaced(name: &str) -> String {
    let name: String = name.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    if name.contains('_') || name.chars().all(|c| c.is_ascii_uppercase()) {
        return name.replace('_', " ").to_ascii_lowercase();
    }
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

/// A span of time with one unit: `3 days`, `5 hours`, `40 seconds`.
pub(crate) fn rough(seconds: u64) -> String {
    let (number, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7200 => (seconds / 60, "minute"),
        7200..172_800 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

/// The first names of a list that a peer may have made very long. rustls writes them as `DnsName("a.example")`.
fn some_of(names: &[String]) -> String {
    let mut shown: Vec<String> = names.iter().take(3).map(|name| name_inside(name)).collect();
    if names.len() > shown.len() {
        shown.push(format!("{} more", names.len() - shown.len()));
    }
    if shown.is_empty() { "no name".to_owned() } else { shown.join(", ") }
}

fn name_inside(name: &str) -> String {
    let inner = name.split_once('(').map_or(name, |(_, rest)| rest.trim_end_matches(')')).trim_matches('"');
    inner.chars().take(80).filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_kernel() {
        for (code, kind) in [
            (libc::ECONNREFUSED, Kind::Refused),
            (libc::ECONNRESET, Kind::Reset),
            (libc::EPIPE, Kind::Reset),
            (libc::ENETUNREACH, Kind::Unreachable),
            (libc::EHOSTUNREACH, Kind::Unreachable),
            (libc::EMFILE, Kind::Internal),
        ] {
            let failure = io(Phase::Connect, &io::Error::from_raw_os_error(code));
            assert_eq!(failure.kind, kind, "{failure}");
            assert!(!failure.detail.contains("os error"), "{failure}");
        }
    }

    #[test]
    fn alerts_are_named_as_the_rfc_does() {
        let failure = tls(Phase::Tls, &rustls::Error::AlertReceived(AlertDescription::HandshakeFailure));
        assert_eq!(failure.to_string(), "tls: tls_failed (alert handshake_failure)");
        let failure = tls(Phase::Tls, &rustls::Error::AlertReceived(AlertDescription::UnknownCA));
        assert_eq!(failure.detail, "alert unknown_ca");
    }

    #[test]
    fn a_tls_error_inside_a_socket_error_is_found() {
        let inner = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let failure = io(Phase::Tls, &io::Error::new(io::ErrorKind::InvalidData, inner));
        assert_eq!(failure.kind, Kind::CertificateUntrusted);
    }

    #[test]
    fn a_span_has_one_unit() {
        assert_eq!(rough(1), "1 second");
        assert_eq!(rough(3 * 86_400), "3 days");
        assert_eq!(rough(7300), "2 hours");
    }
}
