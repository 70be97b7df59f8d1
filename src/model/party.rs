//! Who answers for a thing, which part of it, and where we look from.

use std::sync::Arc;

/// Whether a party is ourselves, a third party, or a place that tells us whether our own network works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PartyKind {
    /// Our own service.
    Us,
    /// A third party that our product stands on.
    Provider,
    /// An unrelated place; only tells whether our own network works.
    Control,
}

/// What a verdict or an incident is about: a party, or one product of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Subject {
    /// Key of the party in the configuration.
    pub party: Arc<str>,
    /// Product, where the party has products.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<Arc<str>>,
}

impl Subject {
    /// The party that stands for ourselves as the observer, not as a service.
    pub const OBSERVER: &'static str = "usoryou";

    /// One of our own vantage points: what a region's own fault is about.
    #[must_use]
    pub fn vantage(region: &Arc<str>) -> Self {
        Self { party: Self::OBSERVER.into(), product: Some(region.clone()) }
    }

    /// What stands in the place of a region for our own store; no region has this name.
    pub const STORE: &'static str = "store";

    /// Our own store.
    #[must_use]
    pub fn store() -> Self {
        Self { party: Self::OBSERVER.into(), product: Some(Self::STORE.into()) }
    }

    /// The region, when this is one of our own vantage points.
    #[must_use]
    pub fn as_vantage(&self) -> Option<&Arc<str>> {
        self.product.as_ref().filter(|region| &*self.party == Self::OBSERVER && &***region != Self::STORE)
    }
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.product {
            Some(product) => write!(f, "{} {product}", self.party),
            None => f.write_str(&self.party),
        }
    }
}

/// Where we look from: a region and a node in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Vantage {
    /// Region, `local` when nothing is said.
    pub region: Arc<str>,
    /// Node, the host's name when nothing is said.
    pub node: Arc<str>,
}
