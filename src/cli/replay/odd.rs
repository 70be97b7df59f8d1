//! What was odd about a trace, for people.

use std::io::{self, Write as _};

use crate::{replay::Tally, report};

/// Whether no observation was of a probe that is judged, from a time that is believed.
pub(super) fn nothing_judged(tally: &Tally) -> bool {
    use crate::replay::Odd::{Absurd, UnknownProbe};
    let count = |odd| tally.odd.get(&odd).map_or(0, |(count, _)| *count);
    tally.observations <= count(UnknownProbe) + count(Absurd)
}

/// What was odd, once each, with the first line of it.
pub(super) fn say_odd(tally: &Tally) -> io::Result<()> {
    let mut err = io::stderr().lock();
    for (odd, (count, first)) in &tally.odd {
        writeln!(err, "usoryou: {} {} (first: line {first})", grouped(*count), odd.in_words(*count))?;
    }
    Ok(())
}

/// `1,234,567`.
pub(super) fn grouped(count: u64) -> String {
    report::grouped(count, ',')
}
