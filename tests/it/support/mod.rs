//! Fake servers and small things that tests share.

pub mod peers;

pub use peers::peer;
