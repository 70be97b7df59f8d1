//! What a failure sounds like, and which sort of explanation that speaks for.

use super::cell::Sample;
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
    pub(super) const fn speaks_for(self, explanation: Sound) -> f32 {
        match (explanation, self) {
            (Sound::Credential, Self::Credential) | (Sound::Quota, Self::Quota) => 2.0,
            (Sound::Credential, Self::Question) | (Sound::Release, Self::Nonsense | Self::Name) => 0.7,
            (Sound::Release, Self::Question) => 1.2,
            (Sound::Credential | Sound::Quota, _) => -3.0,
            (_, Self::Credential) => -2.0,
            (_, Self::Quota) => -1.5,
            (Sound::Them, Self::Server) => 1.0,
            (Sound::Them, Self::Certificate) => 1.5,
            (Sound::Path, Self::Server) => -0.7,
            (Sound::Path, Self::Silence | Self::Network | Self::Name) => 0.3,
            (Sound::Release, Self::Server) => -1.0,
            (Sound::Them, Self::Question) => -0.7,
            _ => 0.0,
        }
    }
}

/// Explanations as far as failures sound differently for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sound {
    Them,
    Path,
    Credential,
    Quota,
    Release,
}

impl Sound {
    pub(super) const ALL: [Self; 5] = [Self::Them, Self::Path, Self::Credential, Self::Quota, Self::Release];
}

/// Whether a sample failed the way in which a wrong question of ours fails.
pub(super) fn is_our_mistake(sample: &Sample) -> bool {
    sample.is_down() && Sort::of(sample).is_our_mistake()
}
