//! The ground-truth simulation: worlds with faults whose truth is known, rules that guess at it, and how well they do.
//! `benches/simulate/main.rs` prints the table; the tests run a few cases.

pub mod baselines;
pub mod bayes;
pub mod case;
pub mod dice;
pub mod fault;
pub mod noise;
pub mod parameters;
pub mod product;
pub mod score;
pub mod stream;
pub mod told;
pub mod world;
pub mod written;
