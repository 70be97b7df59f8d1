//! The phases of one attempt, in the order in which they happen, and how long each took.

use std::time::Duration;

/// A part of an attempt that is timed on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Name to addresses.
    Resolve,
    /// TCP handshake (or the first packet of a datagram protocol's session).
    Connect,
    /// Asking a proxy for a tunnel.
    Proxy,
    /// TLS handshake.
    Tls,
    /// Turning the connection into another protocol (WebSocket, STARTTLS).
    Upgrade,
    /// Writing the request.
    Request,
    /// From the request written to the first byte of the answer.
    FirstByte,
    /// From the first byte to the last.
    Transfer,
    /// A question and its answer where the two cannot be told apart (DNS, ICMP, banners); a word of a newer version.
    #[serde(other)]
    Exchange,
}

impl Phase {
    /// Every phase, in order.
    pub const ALL: [Self; 9] = [
        Self::Resolve,
        Self::Connect,
        Self::Proxy,
        Self::Tls,
        Self::Upgrade,
        Self::Request,
        Self::FirstByte,
        Self::Transfer,
        Self::Exchange,
    ];

    /// The word in metric labels, JSON and documents.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Proxy => "proxy",
            Self::Tls => "tls",
            Self::Upgrade => "upgrade",
            Self::Request => "request",
            Self::FirstByte => "first_byte",
            Self::Transfer => "transfer",
            Self::Exchange => "exchange",
        }
    }

    /// The same for people.
    #[must_use]
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::FirstByte => "first byte",
            other => other.word(),
        }
    }
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// How long each phase took; a phase that did not happen is absent, never zero.
///
/// On the wire this is an object of seconds: `{"resolve":0.0012,"connect":0.0104}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PhaseTimes([Option<Duration>; Phase::ALL.len()]);

impl PhaseTimes {
    /// Adds to a phase: an attempt that follows a redirect goes through some phases twice.
    pub fn add(&mut self, phase: Phase, took: Duration) {
        let slot = &mut self.0[phase as usize];
        *slot = Some(slot.unwrap_or_default() + took);
    }

    /// The time spent in a phase, if it happened.
    #[must_use]
    pub const fn get(&self, phase: Phase) -> Option<Duration> {
        self.0[phase as usize]
    }

    /// The phases that happened, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Phase, Duration)> + '_ {
        Phase::ALL.into_iter().filter_map(|phase| self.get(phase).map(|took| (phase, took)))
    }

    /// The sum over all phases.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.iter().map(|(_, took)| took).sum()
    }
}

impl serde::Serialize for PhaseTimes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(phase, took)| (phase, super::observation::seconds(took))))
    }
}

impl<'de> serde::Deserialize<'de> for PhaseTimes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Read by name, so that a phase of a newer version is ignored instead of refusing the line.
        let by_name = std::collections::BTreeMap::<String, f64>::deserialize(deserializer)?;
        let mut times = Self::default();
        for phase in Phase::ALL {
            if let Some(took) = by_name.get(phase.word()).and_then(|s| Duration::try_from_secs_f64(*s).ok()) {
                times.add(phase, took);
            }
        }
        Ok(times)
    }
}
