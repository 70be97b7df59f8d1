//! A histogram with classic buckets for every scraper and native ones for those that ask in protobuf. A prober has some
//! seven of them for each probe, most nearly empty, so that they are kept small: only what was ever counted takes room.
//!
//! Native buckets are those of Prometheus, schema 3: eight for each power of two, a bucket `(2^((i-1)/8), 2^(i/8)]`
//! (<https://prometheus.io/docs/specs/native_histograms/>).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NativeHistogram, NativeHistogramBuckets, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// The finest schema, which every histogram begins with.
const SCHEMA: u8 = 3;
/// Native buckets of one histogram at most; beyond it its resolution is halved.
const BUCKETS_AT_MOST: usize = 160;
/// What is not greater counts as zero: 2^-128, as the specification recommends.
const ZERO: f64 = 2.938_735_877_055_719e-39;
/// Upper bounds of the buckets within a power of two, as fractions from a half to 1: 2^(i/8) / 2.
const FRACTIONS: [f64; 8] = [
    0.5,
    0.545_253_866_332_628_8,
    0.594_603_557_501_360_5,
    0.648_419_777_325_504_8,
    0.707_106_781_186_547_5,
    0.771_105_412_703_970_4,
    0.840_896_415_253_714_4,
    0.917_004_043_204_671_1,
];

/// Which classic buckets a histogram has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// For anything that a network does.
    Latency,
    /// For our own lateness, which should be far below a network's.
    Lateness,
}

impl Scale {
    /// Upper bounds in seconds of all buckets but the last, which has none; ascending.
    const fn bounds(self) -> &'static [f64] {
        match self {
            Self::Latency => {
                &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0]
            }
            Self::Lateness => &[0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.02, 0.05, 0.25, 1.0, 5.0],
        }
    }
}

/// A histogram of seconds.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    /// Microseconds since 1970.
    created: u64,
    sum: f64,
    /// Where a native and a classic bucket meet, ascending; what is not among them has counted nothing.
    cells: Vec<Cell>,
    scale: Scale,
    /// By how many halvings the native buckets are coarser than [`SCHEMA`].
    coarser: u8,
}

#[derive(Debug, Clone, Copy)]
struct Cell {
    /// The native bucket at its present resolution; [`Cell::ZERO`] for the zero bucket.
    native: i16,
    /// The classic bucket.
    classic: u16,
    count: u64,
}

impl Cell {
    const ZERO: i16 = i16::MIN;
}

impl Histogram {
    pub(super) fn new(scale: Scale) -> Self {
        let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let created = u64::try_from(created.as_micros()).unwrap_or(0);
        Self { created, sum: 0.0, cells: Vec::new(), scale, coarser: 0 }
    }

    /// Counts a time.
    pub(super) fn observe(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        self.sum += seconds;
        let classic = self.scale.bounds().partition_point(|bound| *bound < seconds);
        let classic = u16::try_from(classic).unwrap_or(u16::MAX);
        let native = coarsened(bucket(seconds), self.coarser);
        match self.cells.binary_search_by_key(&(native, classic), |cell| (cell.native, cell.classic)) {
            Ok(at) => self.cells[at].count += 1,
            Err(at) => {
                if self.cells.is_empty() {
                    // Many never count a second time.
                    self.cells.reserve_exact(1);
                }
                self.cells.insert(at, Cell { native, classic, count: 1 });
                self.thin_out();
            }
        }
    }

    /// Halves the resolution until there are few enough native buckets.
    fn thin_out(&mut self) {
        while self.cells.chunk_by(|one, next| one.native == next.native).count() > BUCKETS_AT_MOST {
            self.coarser += 1;
            for cell in &mut self.cells {
                cell.native = coarsened(cell.native, 1);
            }
            // What belongs together is side by side already: coarsening changes no order.
            self.cells.dedup_by(|next, kept| {
                let same = (next.native, next.classic) == (kept.native, kept.classic);
                kept.count += if same { next.count } else { 0 };
                same
            });
        }
    }
}

/// The native bucket of the finest resolution that a time lies in; the longest is far from where exponents end.
fn bucket(seconds: f64) -> i16 {
    if seconds <= ZERO {
        return Cell::ZERO;
    }
    let exponent = i16::try_from(seconds.to_bits() >> 52 & 0x7ff).unwrap_or(0) - 1022;
    let fraction = f64::from_bits(seconds.to_bits() & !(0x7ff << 52) | 1022 << 52);
    let within = FRACTIONS.partition_point(|bound| *bound < fraction);
    (exponent - 1) * 8 + i16::try_from(within).unwrap_or(0)
}

/// The bucket that one of a finer resolution becomes part of: upper bounds are part of a bucket, so this rounds up.
fn coarsened(bucket: i16, by: u8) -> i16 {
    match bucket {
        Cell::ZERO => Cell::ZERO,
        _ => (bucket + (1 << by) - 1) >> by,
    }
}

/// So many empty buckets are written out within a span: that takes less than another one.
const GAP_WITHIN: i32 = 2;

/// Counts of native buckets as the wire has them: spans of neighbours (gap before, length), and each count as what it
/// has more than the one before.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sparse {
    spans: Vec<(i32, u32)>,
    deltas: Vec<i64>,
}

impl Sparse {
    fn of(cells: &[Cell]) -> Self {
        let mut sparse = Self::default();
        let (mut due, mut before) = (0, 0);
        for cells in cells.chunk_by(|one, next| one.native == next.native) {
            let native = i32::from(cells[0].native);
            let count: u64 = cells.iter().map(|cell| cell.count).sum();
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            match sparse.spans.last_mut() {
                Some((_, length)) if native - due <= GAP_WITHIN => {
                    let mut gap = native - due;
                    while gap > 0 {
                        (*length, gap) = (*length + 1, gap - 1);
                        sparse.deltas.push(-before);
                        before = 0;
                    }
                    *length += 1;
                }
                _ => sparse.spans.push((native - due, 1)),
            }
            sparse.deltas.push(count - before);
            (due, before) = (native + 1, count);
        }
        sparse
    }
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        let bounds = self.scale.bounds().iter().copied().chain([f64::INFINITY]);
        let mut classic: Vec<(f64, u64)> = bounds.map(|bound| (bound, 0)).collect();
        for cell in &self.cells {
            classic[usize::from(cell.classic)].1 += cell.count;
        }
        let zeros = self.cells.partition_point(|cell| cell.native == Cell::ZERO);
        let (zeros, others) = self.cells.split_at(zeros);
        let positive = Sparse::of(others);
        let native = NativeHistogram {
            schema: i32::from(SCHEMA) - i32::from(self.coarser),
            zero_threshold: ZERO,
            zero_count: zeros.iter().map(|cell| cell.count).sum(),
            negative: NativeHistogramBuckets { spans: &[], deltas: &[] },
            positive: NativeHistogramBuckets { spans: &positive.spans, deltas: &positive.deltas },
            created: Some(UNIX_EPOCH + Duration::from_micros(self.created)),
        };
        let count = self.cells.iter().map(|cell| cell.count).sum();
        encoder.encode_histogram_with_native::<NoLabelSet>(self.sum, count, &classic, None, native)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

#[cfg(test)]
#[path = "histogram_tests.rs"]
mod tests;
