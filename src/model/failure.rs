//! A failure: in which phase, of which kind, in whose words. The kinds are a closed list; the same word stands in the
//! metric label, the Slack message and `docs/FAILURES.md`.

use super::Phase;

/// What went wrong. `docs/FAILURES.md` has a section for each (a test compares the two).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The resolver answered that the name, or an address for it, does not exist.
    NameNotFound,
    /// The resolver answered with an error (SERVFAIL, REFUSED …) or not at all.
    ResolverFailed,
    /// The deadline passed.
    TimedOut,
    /// The connection was refused: a closed port.
    Refused,
    /// The connection was reset by the other side (or something between).
    Reset,
    /// No route, network or host unreachable, as told by the kernel or an ICMP error.
    Unreachable,
    /// The other side closed the connection before it had answered.
    ClosedEarly,
    /// The certificate's validity has ended, or has not begun.
    CertificateExpired,
    /// The certificate does not lead to an authority that we trust.
    CertificateUntrusted,
    /// The certificate is for another name.
    CertificateNameMismatch,
    /// The TLS handshake failed for another reason (alert, no common version …).
    TlsFailed,
    /// The answer is not what the protocol allows.
    ProtocolError,
    /// An HTTP status (or DNS response code) that the probe does not expect.
    StatusUnexpected,
    /// The credential was refused (401, 403).
    Unauthorized,
    /// Too many requests (429).
    RateLimited,
    /// The body, banner, header or answer is not what the probe expects.
    BodyUnexpected,
    /// The body is larger than the limit, as sent or after decompression.
    BodyTooLarge,
    /// More redirects than allowed, or a redirect that leads nowhere.
    RedirectLimit,
    /// The other side refused to change to the wanted protocol.
    UpgradeRefused,
    /// The service says of itself that it is not serving.
    NotServing,
    /// A message that was sent did not arrive.
    NotDelivered,
    /// Another client came with our name, and the server ended our session for it: two probers use one client id.
    TakenOver,
    /// Our own process was starved: what it measured would be its own slowness.
    Starved,
    /// We are not allowed to measure this here (ICMP sockets, for instance).
    NotPermitted,
    /// Not tried because an earlier step failed.
    Blocked,
    /// A fault of our own.
    Internal,
    /// A word of a newer version, read from a file or an agent.
    #[serde(other)]
    Unclassified,
}

impl Kind {
    /// Every kind that this version can report.
    pub const ALL: [Self; 27] = [
        Self::NameNotFound,
        Self::ResolverFailed,
        Self::TimedOut,
        Self::Refused,
        Self::Reset,
        Self::Unreachable,
        Self::ClosedEarly,
        Self::CertificateExpired,
        Self::CertificateUntrusted,
        Self::CertificateNameMismatch,
        Self::TlsFailed,
        Self::ProtocolError,
        Self::StatusUnexpected,
        Self::Unauthorized,
        Self::RateLimited,
        Self::BodyUnexpected,
        Self::BodyTooLarge,
        Self::RedirectLimit,
        Self::UpgradeRefused,
        Self::NotServing,
        Self::NotDelivered,
        Self::TakenOver,
        Self::Starved,
        Self::NotPermitted,
        Self::Blocked,
        Self::Internal,
        Self::Unclassified,
    ];

    /// The word in metric labels, JSON and documents.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::NameNotFound => "name_not_found",
            Self::ResolverFailed => "resolver_failed",
            Self::TimedOut => "timed_out",
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::Unreachable => "unreachable",
            Self::ClosedEarly => "closed_early",
            Self::CertificateExpired => "certificate_expired",
            Self::CertificateUntrusted => "certificate_untrusted",
            Self::CertificateNameMismatch => "certificate_name_mismatch",
            Self::TlsFailed => "tls_failed",
            Self::ProtocolError => "protocol_error",
            Self::StatusUnexpected => "status_unexpected",
            Self::Unauthorized => "unauthorized",
            Self::RateLimited => "rate_limited",
            Self::BodyUnexpected => "body_unexpected",
            Self::BodyTooLarge => "body_too_large",
            Self::RedirectLimit => "redirect_limit",
            Self::UpgradeRefused => "upgrade_refused",
            Self::NotServing => "not_serving",
            Self::NotDelivered => "not_delivered",
            Self::TakenOver => "taken_over",
            Self::Starved => "starved",
            Self::NotPermitted => "not_permitted",
            Self::Blocked => "blocked",
            Self::Internal => "internal",
            Self::Unclassified => "unclassified",
        }
    }

    /// The same for people: what stands in a message after "Fails at tls:".
    #[must_use]
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::NameNotFound => "name not found",
            Self::ResolverFailed => "the resolver failed",
            Self::TimedOut => "timed out",
            Self::Refused => "connection refused",
            Self::Reset => "connection reset",
            Self::Unreachable => "unreachable",
            Self::ClosedEarly => "connection closed before the answer",
            Self::CertificateExpired => "certificate expired",
            Self::CertificateUntrusted => "certificate not trusted",
            Self::CertificateNameMismatch => "certificate is for another name",
            Self::TlsFailed => "TLS handshake failed",
            Self::ProtocolError => "the answer breaks the protocol",
            Self::StatusUnexpected => "unexpected status",
            Self::Unauthorized => "credential refused",
            Self::RateLimited => "rate limited",
            Self::BodyUnexpected => "unexpected answer",
            Self::BodyTooLarge => "answer too large",
            Self::RedirectLimit => "too many redirects",
            Self::UpgradeRefused => "upgrade refused",
            Self::NotServing => "says that it is not serving",
            Self::NotDelivered => "message not delivered",
            Self::TakenOver => "session taken over by another client with our client id",
            Self::Starved => "our own process was starved",
            Self::NotPermitted => "not permitted here",
            Self::Blocked => "not tried",
            Self::Internal => "a fault of our own",
            Self::Unclassified => "unclassified",
        }
    }

    /// Whether this is our own fault, so that the outcome is `inconclusive` and counts against nobody.
    #[must_use]
    pub const fn is_ours(self) -> bool {
        matches!(self, Self::Starved | Self::NotPermitted | Self::Blocked | Self::Internal)
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// Why an attempt did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Failure {
    /// Where it happened.
    pub phase: Phase,
    /// What happened.
    pub kind: Kind,
    /// The same in a few words for people; never holds a secret or a query string.
    #[serde(default)]
    pub detail: String,
}

impl Failure {
    /// A failure with its phase, kind and words.
    pub fn new(phase: Phase, kind: Kind, detail: impl Into<String>) -> Self {
        Self { phase, kind, detail: detail.into() }
    }
}

impl std::error::Error for Failure {}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.phase, self.kind)?;
        if !self.detail.is_empty() {
            write!(f, " ({})", self.detail)?;
        }
        Ok(())
    }
}
