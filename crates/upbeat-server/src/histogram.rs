//! Quantiles of durations.

use std::time::Duration;

/// Counts durations in buckets that grow by an eighth of an octave, from 1 µs to a minute; quantiles are upper
/// ends of buckets, so at most 9.1 % too large.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    buckets: [u32; Histogram::BUCKETS],
    count: u64,
    sum: f64,
}

impl Histogram {
    const PER_OCTAVE: f64 = 8.0;
    const BUCKETS: usize = 26 * 8;

    pub(crate) const fn new() -> Self {
        Self { buckets: [0; Self::BUCKETS], count: 0, sum: 0.0 }
    }

    pub(crate) fn record(&mut self, duration: Duration) {
        let micros = duration.as_secs_f64() * 1e6;
        let bucket = (micros.max(1.0).log2() * Self::PER_OCTAVE).ceil() as usize;
        let bucket = &mut self.buckets[bucket.min(Self::BUCKETS - 1)];
        *bucket = bucket.saturating_add(1);
        self.count += 1;
        self.sum += duration.as_secs_f64();
    }

    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    /// All durations together, in seconds.
    pub(crate) const fn sum(&self) -> f64 {
        self.sum
    }

    /// The duration in milliseconds that a share `q` of all do not exceed; `None` if there is none.
    pub(crate) fn quantile(&self, q: f64) -> Option<f64> {
        let rank = (q * self.count as f64).ceil() as u64;
        let mut seen = 0;
        self.buckets.iter().enumerate().find_map(|(i, n)| {
            seen += u64::from(*n);
            (*n > 0 && seen >= rank).then(|| (i as f64 / Self::PER_OCTAVE).exp2() * 1e-3)
        })
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (n, more) in self.buckets.iter_mut().zip(&other.buckets) {
            *n = n.saturating_add(*more);
        }
        self.count += other.count;
        self.sum += other.sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_at_most_a_bucket_too_large() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.quantile(0.5), None);
        for micros in 1..=10_000 {
            histogram.record(Duration::from_micros(micros));
        }
        for (q, ms) in [(0.5, 5.0), (0.99, 9.9), (1.0, 10.0)] {
            let got = histogram.quantile(q).unwrap();
            assert!((ms..ms * 1.091).contains(&got), "{q}: {got}");
        }
        histogram.record(Duration::ZERO);
        histogram.record(Duration::from_secs(3600));
        assert!((histogram.quantile(1.0).unwrap() - 62_000.0).abs() < 5000.0);
        let mut both = Histogram::new();
        both.add(&histogram);
        both.add(&histogram);
        assert_eq!((both.count(), both.quantile(0.5)), (20_004, histogram.quantile(0.5)));
        assert!((both.sum() - 2.0 * histogram.sum()).abs() < 1e-9);
    }
}
