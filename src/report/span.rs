//! Spans of time: how long several of them last together.

use crate::model::Timestamp;

/// From an instant to another.
pub(super) type Span = (Timestamp, Timestamp);

/// Seconds that at least one of the spans covers.
pub(super) fn together(mut spans: Vec<Span>) -> f64 {
    spans.sort_unstable();
    let mut covered = 0.0;
    let mut reached: Option<Timestamp> = None;
    for (begin, end) in spans {
        let begin = reached.map_or(begin, |reached| reached.max(begin));
        covered += seconds(begin, end);
        reached = Some(reached.map_or(end, |reached| reached.max(end)));
    }
    covered
}

/// Seconds from one instant to another; none when it is the other way round.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of a few years")]
pub(super) fn seconds(begin: Timestamp, end: Timestamp) -> f64 {
    ((end - begin).num_milliseconds().max(0)) as f64 / 1000.0
}
