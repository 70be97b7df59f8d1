//! What a cell saw that counts: chosen once for an inquiry, and asked often.

use super::{
    cell::{Cell, Sample},
    part::Channel,
};

/// A cell with those of its samples that say something.
pub(super) struct Watched<'a> {
    pub(super) cell: &'a Cell,
    /// Its place among all cells.
    pub(super) number: usize,
    pub(super) subject: usize,
    /// From one of its looks to the next, in milliseconds.
    pub(super) interval: i64,
    /// Oldest first.
    looks: Vec<&'a Sample>,
}

impl<'a> Watched<'a> {
    /// What says something in a channel, due since an instant and at an instant that `counts`.
    pub(super) fn new(
        (number, cell): (usize, &'a Cell),
        (subject, interval): (usize, i64),
        (channel, since): (Channel, i64),
        counts: impl Fn(i64) -> bool,
    ) -> Self {
        let mut looks = Vec::with_capacity(cell.samples.len());
        looks.extend(cell.since(since).filter(|sample| channel.counts(sample) && counts(sample.at)));
        Self { cell, number, subject, interval: interval.max(1), looks }
    }

    /// Since an instant, oldest first.
    pub(super) fn since(&self, at: i64) -> &[&'a Sample] {
        let begin = self.looks.partition_point(|look| look.at < at);
        &self.looks[begin..]
    }
}
