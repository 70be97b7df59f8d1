//! The agent: runs each probe of the plan on schedule and hands on what it saw. Owns time, deadlines and rounds; must
//! not know how a verdict is reached, how anything is stored, or who is told.

mod clock;
mod health;
mod observe;
mod schedule;

pub use clock::{Clock, SystemClock};
pub use health::{Health, Mark};
pub use observe::{Due, Observer, Seen};
