//! The faults that can be switched on, and what each does to whom. Pure: what a server then does is in `servers`.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// The regions of the simulated world, nearest first.
pub(super) const REGIONS: [&str; 3] = ["eu-west", "us-east", "asia"];

/// A server of the simulated world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Service {
    /// The provider's database.
    Database,
    /// Its live connections, which come in by the same door.
    Live,
    /// The provider's sign-in.
    Auth,
    /// Where the partner gives out tokens.
    PartnerToken,
    /// The partner's devices.
    PartnerDevices,
    /// Our own API; its deep health asks the database.
    Api,
    /// An unrelated place.
    ControlOne,
    /// Another one.
    ControlTwo,
}

impl Service {
    /// Those with a door of their own.
    pub(super) const ALL: [Self; 7] = [
        Self::Database,
        Self::Auth,
        Self::PartnerToken,
        Self::PartnerDevices,
        Self::Api,
        Self::ControlOne,
        Self::ControlTwo,
    ];

    const fn is_provider(self) -> bool {
        self.is_database() || matches!(self, Self::Auth)
    }

    const fn is_database(self) -> bool {
        matches!(self, Self::Database | Self::Live)
    }

    /// What it is called over HTTP.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Live => "live",
            Self::Auth => "auth",
            Self::PartnerToken => "partner-token",
            Self::PartnerDevices => "partner-devices",
            Self::Api => "api",
            Self::ControlOne => "control-one",
            Self::ControlTwo => "control-two",
        }
    }
}

/// Something that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// One product of the provider answers errors.
    DatabaseErrors,
    /// The provider takes connections and says nothing, everywhere.
    ProviderSilent,
    /// Our own API answers errors.
    ApiErrors,
    /// One region cannot reach the provider, all else works there.
    PathBroken,
    /// One region reaches nothing at all.
    RegionOffline,
    /// Our credential at the provider has expired.
    CredentialExpired,
    /// A control is down: nobody's verdict.
    ControlDown,
    /// The partner gives out no tokens: one fault, though nothing of it can be used.
    TokenDown,
    /// The database takes no live connections, and ends those that stand; all else of it works.
    LiveDown,
}

/// What a server does with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// Answers as it should.
    Serve,
    /// Accepts and then says nothing.
    Silent,
    /// Cuts the connection with a RST.
    Reset,
    /// Answers with this status.
    Status(u16),
}

impl Fault {
    pub(super) const ALL: [Self; 9] = [
        Self::DatabaseErrors,
        Self::ProviderSilent,
        Self::ApiErrors,
        Self::PathBroken,
        Self::RegionOffline,
        Self::CredentialExpired,
        Self::ControlDown,
        Self::TokenDown,
        Self::LiveDown,
    ];

    /// The key that switches it, and the name that does so over HTTP.
    pub(super) const fn key(self) -> (char, &'static str) {
        match self {
            Self::DatabaseErrors => ('1', "database-errors"),
            Self::ProviderSilent => ('2', "provider-silent"),
            Self::ApiErrors => ('3', "api-errors"),
            Self::PathBroken => ('4', "path-broken"),
            Self::RegionOffline => ('5', "region-offline"),
            Self::CredentialExpired => ('6', "credential-expired"),
            Self::ControlDown => ('7', "control-down"),
            Self::TokenDown => ('8', "token-down"),
            Self::LiveDown => ('9', "websocket-down"),
        }
    }

    /// What happens, for people.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::DatabaseErrors => "Firelike's database answers 503 everywhere",
            Self::ProviderSilent => "Firelike takes connections and says nothing, everywhere",
            Self::ApiErrors => "our API answers 500",
            Self::PathBroken => "asia cannot reach Firelike, everything else works there",
            Self::RegionOffline => "asia reaches nothing at all",
            Self::CredentialExpired => "Firelike refuses our credential (401)",
            Self::ControlDown => "one control is down",
            Self::TokenDown => "the partner's token endpoint answers 503, its devices live",
            Self::LiveDown => "Firelike's database takes no WebSockets, its REST works",
        }
    }

    fn behaviour(self, service: Service, region: &str) -> Option<Behaviour> {
        let far = region == REGIONS[2];
        match self {
            Self::DatabaseErrors => service.is_database().then_some(Behaviour::Status(503)),
            Self::ProviderSilent => service.is_provider().then_some(Behaviour::Silent),
            Self::ApiErrors => (service == Service::Api).then_some(Behaviour::Status(500)),
            Self::PathBroken => (far && service.is_provider()).then_some(Behaviour::Reset),
            Self::RegionOffline => far.then_some(Behaviour::Silent),
            Self::CredentialExpired => service.is_database().then_some(Behaviour::Status(401)),
            Self::LiveDown => (service == Service::Live).then_some(Behaviour::Status(503)),
            Self::ControlDown => (service == Service::ControlOne).then_some(Behaviour::Status(500)),
            Self::TokenDown => (service == Service::PartnerToken).then_some(Behaviour::Status(503)),
        }
    }
}

impl std::str::FromStr for Fault {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|fault| fault.key().1 == text).ok_or(())
    }
}

/// Which faults are on.
#[derive(Debug, Default)]
pub(super) struct Switches(Mutex<BTreeSet<Fault>>);

impl Switches {
    /// Switches a fault and says whether that changed anything.
    pub(super) fn set(&self, fault: Fault, on: bool) -> bool {
        let mut set = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if on { set.insert(fault) } else { set.remove(&fault) }
    }

    pub(super) fn toggle(&self, fault: Fault) -> bool {
        let on = !self.on(fault);
        self.set(fault, on);
        on
    }

    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(super) fn on(&self, fault: Fault) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&fault)
    }

    /// What a server does now for connections from a region: the worst of all faults that are on.
    pub(super) fn behaviour(&self, service: Service, region: &str) -> Behaviour {
        let set = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let badness = |behaviour: &Behaviour| match behaviour {
            Behaviour::Serve => 0,
            Behaviour::Status(_) => 1,
            Behaviour::Reset => 2,
            Behaviour::Silent => 3,
        };
        set.iter().filter_map(|fault| fault.behaviour(service, region)).max_by_key(badness).unwrap_or(Behaviour::Serve)
    }
}

/// How far a region is from every server, one way: loopback is too near to look real.
pub(super) fn distance(region: &str) -> Duration {
    Duration::from_millis(match region {
        "eu-west" => 8,
        "us-east" => 38,
        _ => 95,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_fault_wins_and_clearing_heals() {
        let switches = Switches::default();
        switches.set(Fault::DatabaseErrors, true);
        assert_eq!(switches.behaviour(Service::Database, "asia"), Behaviour::Status(503));
        switches.set(Fault::RegionOffline, true);
        assert_eq!(switches.behaviour(Service::Database, "asia"), Behaviour::Silent);
        assert_eq!(switches.behaviour(Service::Database, "eu-west"), Behaviour::Status(503));
        switches.clear();
        assert_eq!(switches.behaviour(Service::Database, "asia"), Behaviour::Serve);
    }

    #[test]
    fn keys_and_names_are_unique() {
        let keys: BTreeSet<_> = Fault::ALL.into_iter().map(|fault| fault.key().0).collect();
        let names: BTreeSet<_> = Fault::ALL.into_iter().map(|fault| fault.key().1).collect();
        assert_eq!((keys.len(), names.len()), (Fault::ALL.len(), Fault::ALL.len()));
    }
}
