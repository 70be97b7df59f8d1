//! Percentiles of durations in bounded memory: counts in steps of two percent.

/// From ten microseconds …
const LEAST: f64 = 1e-5;
/// … each step two percent longer …
const STEP: f64 = 1.02;
/// … to more than a thousand seconds.
const STEPS: usize = 940;

/// How often each duration was seen.
#[derive(Debug, Clone, Default)]
pub(super) struct Durations {
    counts: Vec<u64>,
    total: u64,
}

impl Durations {
    pub(super) fn add(&mut self, seconds: f64) {
        if !seconds.is_finite() || seconds <= 0.0 {
            return;
        }
        self.counts.resize(STEPS, 0);
        if let Some(count) = self.counts.get_mut(step(seconds)) {
            *count += 1;
            self.total += 1;
        }
    }

    pub(super) fn absorb(&mut self, other: &Self) {
        if other.counts.is_empty() {
            return;
        }
        self.counts.resize(STEPS, 0);
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, more)| *count += more);
        self.total += other.total;
    }

    /// The duration that a share of all stays below, to within a percent.
    #[expect(clippy::cast_precision_loss, reason = "a count of observations")]
    pub(super) fn percentile(&self, share: f64) -> Option<f64> {
        let wanted = (self.total as f64 * share).max(1.0);
        let mut passed = 0;
        let at = self.counts.iter().position(|count| {
            passed += count;
            passed as f64 >= wanted
        })?;
        // The middle of the step.
        Some(LEAST * STEP.powi(i32::try_from(at).unwrap_or(i32::MAX)) * STEP.sqrt())
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the steps")]
fn step(seconds: f64) -> usize {
    ((seconds / LEAST).ln() / STEP.ln()).clamp(0.0, (STEPS - 1) as f64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_a_percent() {
        let mut durations = Durations::default();
        assert_eq!(durations.percentile(0.5), None);
        (1..=10_000).for_each(|millis| durations.add(f64::from(millis) / 1000.0));
        for (share, meant) in [(0.5, 5.0), (0.95, 9.5), (0.99, 9.9)] {
            let found = durations.percentile(share).unwrap();
            assert!((found / meant - 1.0).abs() < 0.012, "{share}: {found}");
        }
        [0.0, -1.0, f64::NAN, f64::INFINITY].into_iter().for_each(|odd| durations.add(odd));
        assert_eq!(durations.total, 10_000);
    }
}
