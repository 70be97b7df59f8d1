//! What a failure sounds like, and which explanation that speaks for.

use super::{cell::Sample, hypotheses::Label};
use crate::model::{Kind, Phase};

/// Failures as far as they speak for one explanation or another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Credential,
    Quota,
    /// The other 4xx: a wrong question, perhaps.
    Question,
    /// It answers, and says that it cannot.
    Server,
    /// No answer in time.
    Silence,
    /// Refused, reset, closed, unreachable.
    Network,
    Name,
    Certificate,
    /// What comes back makes no sense.
    Nonsense,
    /// Nothing is known of it.
    Unsaid,
}

impl Sort {
    pub(super) const COUNT: usize = 10;
    pub(super) const ALL: [Self; Self::COUNT] = [
        Self::Credential,
        Self::Quota,
        Self::Question,
        Self::Server,
        Self::Silence,
        Self::Network,
        Self::Name,
        Self::Certificate,
        Self::Nonsense,
        Self::Unsaid,
    ];

    pub(super) fn of(sample: &Sample) -> Self {
        let Some((phase, kind)) = sample.failure else {
            return Self::of_status(sample.http_status).unwrap_or(Self::Unsaid);
        };
        match (phase, kind) {
            // Another prober of ours uses the same client id: who we say that we are is part of the credential.
            (_, Kind::Unauthorized | Kind::TakenOver) => Self::Credential,
            (_, Kind::RateLimited) => Self::Quota,
            (Phase::Resolve, _) | (_, Kind::NameNotFound | Kind::ResolverFailed) => Self::Name,
            (_, Kind::TimedOut | Kind::NotDelivered) => Self::Silence,
            (_, Kind::Refused | Kind::Reset | Kind::Unreachable | Kind::ClosedEarly) => Self::Network,
            (_, Kind::CertificateExpired | Kind::CertificateUntrusted | Kind::CertificateNameMismatch) => {
                Self::Certificate
            }
            (_, Kind::NotServing) => Self::Server,
            (_, Kind::StatusUnexpected) => Self::of_status(sample.http_status).unwrap_or(Self::Unsaid),
            _ => Self::Nonsense,
        }
    }

    const fn of_status(status: u16) -> Option<Self> {
        match status {
            401 | 403 => Some(Self::Credential),
            429 => Some(Self::Quota),
            400..=499 => Some(Self::Question),
            500..=599 => Some(Self::Server),
            _ => None,
        }
    }

    /// Whether a wrong question of ours looks like this rather than an end that is down.
    const fn is_our_mistake(self) -> bool {
        matches!(self, Self::Credential | Self::Question | Self::Name | Self::Certificate | Self::Nonsense)
    }

    /// What such a failure says for an explanation, in nats.
    pub(super) const fn speaks_for(self, label: &Label) -> f32 {
        match (label, self) {
            (Label::Credential(..), Self::Credential) | (Label::Quota(..), Self::Quota) => 2.0,
            (Label::Credential(..), Self::Question) | (Label::Release(_), Self::Nonsense | Self::Name) => 0.7,
            (Label::Release(_), Self::Question) => 1.2,
            (Label::Credential(..) | Label::Quota(..), _) => -3.0,
            (_, Self::Credential) => -2.0,
            (_, Self::Quota) => -1.5,
            (Label::Them(_), Self::Server) => 1.0,
            (Label::Them(_), Self::Certificate) => 1.5,
            (Label::Path(..), Self::Server) => -0.7,
            (Label::Path(..), Self::Silence | Self::Network | Self::Name) => 0.3,
            (Label::Release(_), Self::Server) => -1.0,
            (Label::Them(_), Self::Question) => -0.7,
            _ => 0.0,
        }
    }
}

/// Whether a sample failed the way in which a wrong question of ours fails.
pub(super) fn is_our_mistake(sample: &Sample) -> bool {
    sample.is_down() && Sort::of(sample).is_our_mistake()
}
