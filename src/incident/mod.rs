//! Incidents that people can live with: suspected, open, recovering, closed. Pure and synchronous, `now` is an argument.
//! Knows verdicts; must not know who is told, or where anything is kept.

mod incidents;
mod rules;
mod step;
mod turn;

pub use incidents::{Adopted, Incidents};
pub use step::{Change, News, Policy, Step, step};
