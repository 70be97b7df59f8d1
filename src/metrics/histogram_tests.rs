//! Against the histogram of the library that writes our pages: the same values have to give the same page.

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, prometheus_protobuf, text},
    metrics::histogram::{Histogram as Theirs, NativeHistogramConfig},
    registry::Registry,
};
use proptest::prelude::*;

use super::*;

#[derive(Debug)]
struct Page<M>(M);

impl<M: EncodeMetric + std::fmt::Debug + Send + Sync + 'static> Collector for Page<M> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.0.encode(encoder.encode_descriptor("h", "Help", None, MetricType::Histogram)?)
    }
}

/// The page as text, and as protobuf without the instants at which the histograms were made.
fn pages(metric: impl EncodeMetric + std::fmt::Debug + Send + Sync + 'static) -> (String, Vec<u8>) {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Page(metric)));
    let mut page = String::new();
    text::encode(&mut page, &registry).unwrap();
    (page, prometheus_protobuf::encode_to_vec(&registry).unwrap())
}

/// Ours and theirs. Both are made in the same second; the rest of the instant is made the same.
fn both(values: &[f64]) -> [(String, Vec<u8>); 2] {
    let mut ours = Histogram::new(Scale::Latency);
    let config = NativeHistogramConfig::default().max_buckets(BUCKETS_AT_MOST);
    let theirs = Theirs::new_classic_and_native(Scale::Latency.bounds().iter().copied(), config);
    for value in values {
        // Nothing is shorter than a nanosecond, and not zero.
        let took = Duration::from_secs_f64(*value);
        ours.observe(took);
        theirs.observe(took.as_secs_f64());
    }
    [pages(ours), pages(theirs)]
}

/// Takes the field of the instant of creation (number 15, a message) off the end of a histogram.
fn without_created(page: &[u8]) -> Vec<u8> {
    let at = page.windows(2).rposition(|pair| pair[0] == 0x7a && usize::from(pair[1]) <= 12).unwrap();
    let end = at + 2 + usize::from(page[at + 1]);
    [&page[..at], &page[end..]].concat()
}

#[track_caller]
fn assert_same(values: &[f64]) {
    let [(our_text, our_bytes), (their_text, their_bytes)] = both(values);
    assert_eq!(our_text, their_text);
    assert_eq!(without_created(&our_bytes)[3..], without_created(&their_bytes)[3..], "{values:?}");
}

#[test]
fn the_same_page_as_the_library_writes() {
    assert_same(&[]);
    assert_same(&[0.0]);
    assert_same(&[0.3, 0.3, 0.31, 2.0, 0.000_05, 0.0]);
    // Upper bounds belong to their bucket, in both kinds of buckets.
    assert_same(&[0.001, 0.5, 1.0, 2.0, 4.0, 0.25]);
    assert_same(&[1e19, 1e-9, 2e-9, 86_400.0]);
}

#[test]
fn with_too_many_buckets_the_resolution_is_halved_and_nothing_is_lost() {
    let values: Vec<f64> = (0..1500).map(|n| 1e-6 * 1.03_f64.powi(n)).collect();
    assert_same(&values);
    let values: Vec<f64> = values.iter().rev().copied().collect();
    assert_same(&values);
}

#[test]
fn one_that_has_counted_little_is_small() {
    let mut one = Histogram::new(Scale::Latency);
    one.observe(Duration::from_millis(20));
    let room = size_of::<Histogram>() + one.cells.capacity() * size_of::<Cell>();
    assert!(room <= 64, "{room} bytes");
}

proptest! {
    #[test]
    fn whatever_is_counted(values in proptest::collection::vec(
        prop_oneof![0.0..20.0_f64, (-30.0..30.0_f64).prop_map(f64::exp2), Just(0.0), Just(0.01)], 0..400,
    )) {
        assert_same(&values);
    }
}
