//! Whose fault it is: from what was seen in the last minutes to one verdict per subject. Pure and synchronous, `now` is an
//! argument, so that stored history can be judged again. Must not know stores, channels or configuration files.
//!
//! The way: each observation goes to its `cell` (one probe seen from one vantage point), which knows what is normal for
//! it, and from there as evidence to every `part` of the world that covers the cell (a probe, a product, a party, a
//! region, and their crossings). A part adds up evidence round by round, clipped, so that many cells that fail together
//! in one round count once. [`Judge`] asks the regions first whether they can see (`vantage`), then, for each party
//! that looks bad, which explanation fits best (`explain`), and at last who fails only because of another (`fate`).
//! `docs/ATTRIBUTION.md` tells the reasons and how good it is.

mod absorb;
mod bonds;
mod cadence;
mod calm;
mod cell;
mod confirmed;
mod explain;
mod fate;
mod faults;
mod hypotheses;
mod index;
mod inquiry;
mod judge;
mod lasting;
mod memory;
mod names;
mod noise;
mod part;
mod places;
mod rows;
mod run;
mod silence;
mod sort;
mod spells;
mod surroundings;
mod suspect;
mod vantage;
mod watched;
mod world;

pub use absorb::Absorbed;
pub use confirmed::{Confirmed, in_words};
pub use judge::Judge;
pub(crate) use names::begins_with;
pub(crate) use silence::weight_of_silence;
pub use world::{World, WorldParty, WorldProbe};
