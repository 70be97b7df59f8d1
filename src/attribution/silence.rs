//! What a silence is worth. Must not know who is silent, or how that was found.

use chrono::TimeDelta;

/// A region is not called silent before this, however often it should speak: what it has to say may be held up.
const SILENT: i64 = 210_000;

/// Rounds' worth of evidence in a silence of so many milliseconds; with three rounds to open, enough after [`SILENT`].
#[expect(clippy::cast_precision_loss, reason = "a share of minutes")]
pub(super) fn worth(millis: i64) -> f64 {
    millis.max(0) as f64 / SILENT as f64 * 2.7
}

/// The same for whoever misses a region without having looked at what it saw.
#[must_use]
pub(crate) fn weight_of_silence(lasts: TimeDelta) -> f64 {
    worth(lasts.num_milliseconds())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::is_enough;

    #[test]
    fn what_may_be_held_up_on_the_way_is_not_enough() {
        let opens = |seconds| is_enough(weight_of_silence(TimeDelta::seconds(seconds)), 3);
        assert_eq!([-5, 0, 90, 180, 206, 208, 3_600].map(opens), [false, false, false, false, false, true, true]);
    }
}
