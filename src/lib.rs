//! usoryou: is it us, is it them, or is it you?
//!
//! The way of the data, for a newcomer:
//!
//! ```text
//! config  probes.yaml -> Plan
//! engine  schedule -> observe (protocol over net) -> Observation -> metrics, sink
//! hub     Observation -> store, window -> attribution::judge -> incident::step -> notify::plan -> store.apply
//! notify  outbox -> channel (Slack)
//! replay  stored observations -> the same course again -> what would have been said
//! uplink  spool -> a hub elsewhere, where hub.urls names one
//! web     /metrics /probe /api    cli  run check validate replay demo
//! ```
//!
//! A failed target is data, never an `Err`; an `Err` means our own fault and becomes `Outcome::Inconclusive`. Probing
//! never waits for judging, judging never waits for sending. `docs/ARCHITECTURE.md` has the map and the rules.

pub mod app;
pub mod attribution;
pub mod cli;
pub mod config;
pub mod engine;
pub mod feed;
pub mod hub;
pub mod incident;
pub mod metrics;
pub mod model;
pub mod net;
pub mod notify;
pub mod placement;
pub mod protocol;
pub mod replay;
pub mod report;
pub mod store;
pub mod uplink;
pub mod web;
