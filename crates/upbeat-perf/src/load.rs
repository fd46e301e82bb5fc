//! How much of its deadline each block has used.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// A meter for the audio thread, and a monitor for another.
///
/// The *load* of a block is the time it took to process over the time it lasts, its deadline: 1 is just in
/// time. Loads are counted in a histogram with 32 buckets per octave, from 2⁻¹⁴ to 2⁸, as an HDR histogram
/// does (Gil Tene, <https://hdrhistogram.org>): what is read from it lies within 1.6 % of the true value. A load
/// below 2⁻¹⁴ counts as one of at most 6.3e-5, one above 2⁸ in the last bucket, with the maximum kept exactly.
///
/// Neither side waits, locks, or allocates from here on; the meter does a few plain loads and stores.
///
/// ```
/// let (mut meter, mut monitor) = upbeat_perf::load_meter();
/// for busy in [0.001, 0.001, 0.002, 0.012] {
///     meter.record(busy, 0.010); // in blocks of 10 ms
/// }
/// let stats = monitor.interval();
/// assert_eq!((stats.blocks, stats.misses), (4, 1));
/// let load = stats.load.unwrap();
/// assert!((load.p50 - 0.1).abs() < 0.002 && load.max == 1.2);
/// assert_eq!(monitor.interval().load, None); // no block since then
/// ```
#[must_use]
pub fn load_meter() -> (LoadMeter, LoadMonitor) {
    let shared = Arc::new(Shared {
        buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
        misses: AtomicU64::new(0),
        xruns: AtomicU64::new(0),
        busy: AtomicU64::new(0),
        deadline: AtomicU64::new(0),
        max: AtomicU32::new(0),
    });
    let seen = Seen { buckets: vec![0; BUCKETS].into(), ..Seen::default() };
    let counts = vec![0; BUCKETS].into();
    (LoadMeter { shared: Arc::clone(&shared) }, LoadMonitor { shared, seen, counts })
}

/// The side of a [`load_meter`] that measures; for the audio thread.
#[derive(Debug)]
pub struct LoadMeter {
    shared: Arc<Shared>,
}

impl LoadMeter {
    /// Counts a block that took `busy` seconds and lasts `deadline` seconds. Wait-free.
    ///
    /// A block without a deadline (0, negative, not a number, or over 1e6 s) is not counted; a `busy` time that is
    /// negative or not a number counts as 0.
    pub fn record(&mut self, busy: f64, deadline: f64) {
        if !(deadline > 0.0 && deadline <= LONGEST) {
            return;
        }
        let busy = if busy > 0.0 { busy.min(LONGEST) } else { 0.0 };
        let load = (busy / deadline).min(f64::from(f32::MAX)) as f32;
        let shared = &*self.shared;
        // Only this thread writes these, so that a load and a store are enough.
        add(&shared.buckets[bucket(load)], 1);
        if load > 1.0 {
            add(&shared.misses, 1);
        }
        if load > f32::from_bits(shared.max.load(Relaxed)) {
            shared.max.store(load.to_bits(), Relaxed);
        }
        add_seconds(&shared.busy, busy);
        add_seconds(&shared.deadline, deadline);
    }

    /// Runs `work`, which has `deadline` seconds, and counts how long it took.
    pub fn measure<R>(&mut self, deadline: f64, work: impl FnOnce() -> R) -> R {
        let start = Instant::now();
        let result = work();
        self.record(start.elapsed().as_secs_f64(), deadline);
        result
    }

    /// Counts `n` over- or underruns that the sound card has told of.
    pub fn note_xruns(&mut self, n: u64) {
        self.shared.xruns.fetch_add(n, Relaxed);
    }
}

/// The side of a [`load_meter`] that reads; for any other thread. Clones have intervals of their own.
#[derive(Clone, Debug)]
pub struct LoadMonitor {
    shared: Arc<Shared>,
    /// What there was at the end of the last interval.
    seen: Seen,
    /// Scratch: the counts of the interval that is read.
    counts: Box<[u64]>,
}

impl LoadMonitor {
    /// What was measured since the last call, or since the beginning.
    ///
    /// The maximum of an interval is known to within its bucket (1.6 %), that of [`total`](Self::total) exactly.
    /// While the meter is at work, single numbers may be one block newer than others. Does not allocate.
    pub fn interval(&mut self) -> LoadStats {
        let Self { shared, seen, counts } = self;
        let (misses, xruns) = (shared.misses.load(Relaxed), shared.xruns.load(Relaxed));
        let (busy, deadline) = (seconds(&shared.busy), seconds(&shared.deadline));
        for ((count, seen), bucket) in counts.iter_mut().zip(&mut seen.buckets).zip(&shared.buckets)
        {
            let now = bucket.load(Relaxed);
            *count = now - *seen;
            *seen = now;
        }
        let max = f32::from_bits(shared.max.load(Relaxed));
        let stats = LoadStats {
            misses: misses - seen.misses,
            xruns: xruns - seen.xruns,
            ..stats(counts, busy - seen.busy, deadline - seen.deadline, max)
        };
        (seen.misses, seen.xruns, seen.busy, seen.deadline) = (misses, xruns, busy, deadline);
        stats
    }

    /// What was measured since the beginning. Does not allocate, and does not end an interval.
    pub fn total(&mut self) -> LoadStats {
        let Self { shared, counts, .. } = self;
        for (count, bucket) in counts.iter_mut().zip(&shared.buckets) {
            *count = bucket.load(Relaxed);
        }
        let max = f32::from_bits(shared.max.load(Relaxed));
        let mut stats = stats(counts, seconds(&shared.busy), seconds(&shared.deadline), max);
        (stats.misses, stats.xruns) = (shared.misses.load(Relaxed), shared.xruns.load(Relaxed));
        if let Some(load) = &mut stats.load {
            load.max = max;
        }
        stats
    }

    /// Counts `n` over- or underruns; for the thread that is told of them, where that is not the audio thread.
    pub fn note_xruns(&self, n: u64) {
        self.shared.xruns.fetch_add(n, Relaxed);
    }
}

/// What a [`load_meter`] has measured over some time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct LoadStats {
    /// Blocks processed.
    pub blocks: u64,
    /// Blocks that took longer than they last.
    pub misses: u64,
    /// Over- and underruns that the sound card told of.
    pub xruns: u64,
    /// Time spent, in seconds.
    pub busy: f64,
    /// Time there was, in seconds.
    pub deadline: f64,
    /// How the loads were distributed; `None` if there was no block.
    pub load: Option<LoadQuantiles>,
}

/// How loads were distributed: processing time over deadline, 1 is just in time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct LoadQuantiles {
    /// All time spent over all time there was.
    pub mean: f32,
    /// Half of the blocks had no more than this.
    pub p50: f32,
    /// 99 % of the blocks had no more than this.
    pub p99: f32,
    /// 99.9 % of the blocks had no more than this.
    pub p999: f32,
    /// The largest.
    pub max: f32,
}

#[derive(Debug)]
struct Shared {
    buckets: Box<[AtomicU64]>,
    misses: AtomicU64,
    xruns: AtomicU64,
    /// Sums of seconds, the bits of an `f64`.
    busy: AtomicU64,
    deadline: AtomicU64,
    /// The bits of an `f32`.
    max: AtomicU32,
}

#[derive(Clone, Debug, Default)]
struct Seen {
    buckets: Box<[u64]>,
    misses: u64,
    xruns: u64,
    busy: f64,
    deadline: f64,
}

/// Of blocks that are all counted in `counts`; without misses and xruns.
fn stats(counts: &[u64], busy: f64, deadline: f64, max: f32) -> LoadStats {
    let blocks: u64 = counts.iter().sum();
    let largest = counts.iter().rposition(|count| *count > 0);
    let load = largest.map(|largest| {
        let quantile = |per_mille: u64| {
            // The nearest rank: the smallest load that so many blocks do not exceed.
            let rank = (blocks * per_mille).div_ceil(1000).max(1);
            let mut passed = 0;
            let found = counts.iter().position(|count| {
                passed += count;
                passed >= rank
            });
            value(found.unwrap_or(largest)).min(max)
        };
        LoadQuantiles {
            mean: if deadline > 0.0 { (busy / deadline) as f32 } else { 0.0 },
            p50: quantile(500),
            p99: quantile(990),
            p999: quantile(999),
            // The largest load of all lies in this bucket, or above.
            max: if bucket(max) == largest { max } else { value(largest) },
        }
    });
    LoadStats { blocks, misses: 0, xruns: 0, busy, deadline, load }
}

/// The bucket that counts `load`, which is not negative.
const fn bucket(load: f32) -> usize {
    // The exponent and the first five bits of the mantissa are a logarithm in steps.
    let step = (load.to_bits() >> DROPPED_BITS).saturating_sub(SMALLEST);
    if step < BUCKETS as u32 { step as usize } else { BUCKETS - 1 }
}

/// The middle of a bucket; of the last, which has no end, the largest `f32`.
const fn value(bucket: usize) -> f32 {
    if bucket == BUCKETS - 1 {
        return f32::MAX;
    }
    let low = f32::from_bits((SMALLEST + bucket as u32) << DROPPED_BITS);
    let high = f32::from_bits((SMALLEST + bucket as u32 + 1) << DROPPED_BITS);
    0.5 * (low + high)
}

fn add(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(n), Relaxed);
}

fn add_seconds(sum: &AtomicU64, n: f64) {
    sum.store((seconds(sum) + n).to_bits(), Relaxed);
}

fn seconds(sum: &AtomicU64) -> f64 {
    f64::from_bits(sum.load(Relaxed))
}

/// In seconds; so that sums stay finite.
const LONGEST: f64 = 1e6;
/// Bits of the mantissa that make no difference.
const DROPPED_BITS: u32 = 23 - 5;
/// What is left of the bits of 2⁻¹⁴.
const SMALLEST: u32 = (127 - 14) << 5;
/// Up to 2⁸.
const BUCKETS: usize = (14 + 8) * 32;
