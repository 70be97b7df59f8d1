//! Fake servers and small things that tests share.

pub mod nameserver;
pub mod peers;
pub mod program;
pub mod site;

pub use peers::peer;
