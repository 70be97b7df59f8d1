//! Whose fault it is: from what was seen in the last minutes to one verdict per subject. Pure and synchronous, `now` is an
//! argument, so that stored history can be judged again. Must not know stores, channels or configuration files.
//!
//! The way: `window` keeps the newest observations of each cell; `matrix` reduces them to how each subject stands in
//! each region; `hypotheses` holds one function per way to explain that; [`Judge`] asks them in order.

mod confirmed;
mod hypotheses;
mod judge;
mod matrix;
mod window;
mod world;

pub use confirmed::{Confirmed, in_words};
pub use judge::Judge;
pub use window::Absorbed;
pub use world::{World, WorldParty, WorldProbe};
