//! Statistics of the newest samples.

mod fold;
mod median;

use upbeat_core::{Continuity, FrameSpec, SampleIndex, Stage, sanitize};

use self::fold::Fold;
use self::median::Median;

/// What [`SlidingStatistic`] says about each window of samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Statistic {
    /// `Σ x / N`.
    Mean,
    /// `√(Σ x² / N)`.
    Rms,
    /// The smallest sample.
    Min,
    /// The largest sample.
    Max,
    /// The middle sample in order of size; the mean of the middle two where the window's length is even.
    Median,
}

/// One [`Statistic`] of a sliding window over samples.
///
/// The window is `frame_length` samples long and moves by `hop_length`: 1 for a value per sample. A value
/// refers to the first sample of its window; the first one comes with the first whole window, nothing is
/// padded, and after a gap all starts anew. The values are those of the window alone: nothing is ever
/// subtracted from a sum, so that nothing drifts, and what a window no longer holds leaves no trace (the
/// method of van Herk, "A fast algorithm for local minimum and maximum filters on rectangular and octagonal
/// kernels", Pattern Recognition Letters 1992, on sums in double precision). Samples that cannot be sound
/// count as 0 (see [`sanitize`]).
///
/// A sample costs a few operations, with one pass over the window once per window length; for the median,
/// `O(log frame_length)`. Latency: `frame_length − 1` samples.
///
/// # Examples
///
/// ```
/// use upbeat_core::{FrameSpec, SampleIndex, SampleRate, Stage};
/// use upbeat_window::{SlidingStatistic, Statistic};
///
/// let window = FrameSpec::new(3, 1, SampleRate::new(48_000)?)?;
/// let mut median = SlidingStatistic::new(Statistic::Median, window);
/// let mut values = Vec::new();
/// median.process(SampleIndex(0), &[0.1, 0.9, 0.2, 0.3], |at, value| values.push((at.0, *value)));
/// assert_eq!(values, [(0, 0.2), (1, 0.3)]);
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SlidingStatistic {
    memory: Memory,
    schedule: Schedule,
    continuity: Continuity,
}

impl SlidingStatistic {
    /// `statistic` of each window of `spec`; allocates all that will ever be needed.
    #[must_use]
    pub fn new(statistic: Statistic, spec: FrameSpec) -> Self {
        let length = spec.frame_length();
        let memory = match statistic {
            Statistic::Mean => Memory::Mean(Fold::new(length)),
            Statistic::Rms => Memory::Rms(Fold::new(length)),
            Statistic::Min => Memory::Min(Fold::new(length)),
            Statistic::Max => Memory::Max(Fold::new(length)),
            Statistic::Median => Memory::Median(Median::new(length)),
        };
        Self { memory, schedule: Schedule::new(spec), continuity: Continuity::default() }
    }

    /// The window and its hop.
    #[must_use]
    pub const fn spec(&self) -> FrameSpec {
        self.schedule.spec
    }

    /// How many samples could not be sound and counted as 0, since construction.
    #[must_use]
    pub const fn sanitized(&self) -> u64 {
        self.schedule.sanitized
    }
}

impl Stage for SlidingStatistic {
    type In = [f32];
    type Out = f32;

    fn process(&mut self, at: SampleIndex, samples: &[f32], emit: impl FnMut(SampleIndex, &f32)) {
        let starts = self.continuity.next().is_none();
        let jumps = self.continuity.advance(at, samples.len() as u64).is_some();
        let anew = (starts || jumps).then_some(at);
        match &mut self.memory {
            Memory::Mean(mean) => self.schedule.run(mean, anew, samples, emit),
            Memory::Rms(rms) => self.schedule.run(rms, anew, samples, emit),
            Memory::Min(min) => self.schedule.run(min, anew, samples, emit),
            Memory::Max(max) => self.schedule.run(max, anew, samples, emit),
            Memory::Median(median) => self.schedule.run(median, anew, samples, emit),
        }
    }

    fn reset(&mut self) {
        self.continuity = Continuity::default();
    }

    fn latency(&self) -> u64 {
        self.spec().frame_length() as u64 - 1
    }
}

/// A window of fixed length that knows one statistic of the samples in it.
trait Window {
    /// Forgets all samples.
    fn clear(&mut self);
    /// Takes a sample; the oldest one leaves.
    fn push(&mut self, sample: f32);
    /// The statistic, once the window is full.
    fn value(&self) -> f32;
}

#[derive(Clone, Debug)]
enum Memory {
    Mean(Fold<fold::Mean>),
    Rms(Fold<fold::Rms>),
    Min(Fold<fold::Min>),
    Max(Fold<fold::Max>),
    Median(Median),
}

/// When to emit.
#[derive(Clone, Debug)]
struct Schedule {
    spec: FrameSpec,
    /// How many samples complete the next window.
    missing: usize,
    /// Index of the next window's first sample.
    window_at: SampleIndex,
    sanitized: u64,
}

impl Schedule {
    fn new(spec: FrameSpec) -> Self {
        Self { spec, missing: spec.frame_length(), window_at: SampleIndex(0), sanitized: 0 }
    }

    /// Feeds `samples` to `window`, which starts `anew` at that index, if any.
    fn run(
        &mut self,
        window: &mut impl Window,
        anew: Option<SampleIndex>,
        samples: &[f32],
        mut emit: impl FnMut(SampleIndex, &f32),
    ) {
        if let Some(at) = anew {
            window.clear();
            self.missing = self.spec.frame_length();
            self.window_at = at;
        }
        for sample in samples {
            let sound = sanitize(*sample);
            self.sanitized += u64::from(sound.is_none());
            window.push(sound.unwrap_or(0.0));
            self.missing -= 1;
            if self.missing == 0 {
                emit(self.window_at, &window.value());
                self.missing = self.spec.hop_length();
                self.window_at += self.spec.hop_length() as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use upbeat_core::SampleRate;
    use upbeat_testkit::signal::Random;
    use upbeat_testkit::{oracle, signal, streamed, streaming::assert_streaming};

    const ALL: [Statistic; 5] =
        [Statistic::Mean, Statistic::Rms, Statistic::Min, Statistic::Max, Statistic::Median];

    fn stage(statistic: Statistic, length: usize, hop_length: usize) -> SlidingStatistic {
        let rate = SampleRate::new(8000).unwrap();
        SlidingStatistic::new(statistic, FrameSpec::new(length, hop_length, rate).unwrap())
    }

    /// The definition, in double precision, of one window.
    fn naive(statistic: Statistic, window: &[f32]) -> f32 {
        let window: Vec<f64> = window.iter().map(|x| f64::from(*x)).collect();
        let value = match statistic {
            Statistic::Mean => oracle::mean(&window),
            Statistic::Rms => oracle::rms(&window),
            Statistic::Min => window.iter().copied().fold(f64::INFINITY, f64::min),
            Statistic::Max => window.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            Statistic::Median => oracle::median(&window),
        };
        value as f32
    }

    /// Noise with loud and quiet passages, and many equal values.
    fn uneven(seed: u64, length: usize) -> Vec<f32> {
        let mut random = Random::new(seed);
        let mut samples = signal::noise(1.0, seed, length);
        for part in samples.chunks_mut(37) {
            let (scale, steps) = ([1.0, 1e-4, 3e3][random.below(3)], [1e6, 3.0][random.below(2)]);
            for x in part {
                *x = (*x * steps).round() / steps * scale;
            }
        }
        samples
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn values_are_those_of_the_definition(
            length in 1_usize..80,
            hop_length in 1_usize..100,
            seed: u64,
        ) {
            let samples = uneven(seed, 700);
            for statistic in ALL {
                let mut expected = samples.windows(length).step_by(hop_length);
                let mut starts = (0_u64..).step_by(hop_length);
                stage(statistic, length, hop_length).process(SampleIndex(0), &samples, |at, value| {
                    assert_eq!(Some(at.0), starts.next());
                    let expected = naive(statistic, expected.next().unwrap());
                    // Rounding to f32 may go either way; sums differ from 0 by what f64 can tell.
                    let allowed = f32::EPSILON * expected.abs() + 1e-9;
                    let error = (value - expected).abs();
                    assert!(error <= allowed, "{statistic:?} at {at}: {value}, not {expected}");
                });
                prop_assert_eq!(expected.next(), None);
            }
        }

        #[test]
        fn any_split_gives_the_same_values(
            length in 1_usize..80,
            hop_length in 1_usize..100,
            seed: u64,
        ) {
            let mut samples = uneven(seed, 400);
            samples[11] = f32::NEG_INFINITY;
            for statistic in ALL {
                let make = || streamed!(stage(statistic, length, hop_length));
                assert_streaming(make, &samples, 1, seed);
            }
        }
    }

    #[test]
    fn an_hour_of_noise_at_full_scale_leaves_no_trace() {
        let window = 1600; // 0.2 s
        let mut stages = ALL.map(|statistic| stage(statistic, window, window));
        let (mean, rest) = stages.split_first_mut().unwrap();
        let rms = &mut rest[0];
        let mut at = SampleIndex(0);
        for minute in 0..60 {
            let noise = signal::noise(1.0, minute, 8000 * 60);
            mean.process(at, &noise, |_, _| {});
            rms.process(at, &noise, |_, _| {});
            at += noise.len() as u64;
        }

        let quiet: Vec<f32> = signal::noise(1e-4, 9, 8000).iter().map(|x| x + 3e-5).collect();
        let db = |value: f32| 20.0 * f64::from(value.abs()).log10();
        for (stage, statistic) in [(mean, Statistic::Mean), (rms, Statistic::Rms)] {
            let mut compared = 0;
            stage.process(at, &quiet, |from, value| {
                if from >= at {
                    let expected = naive(statistic, &quiet[(from - at) as usize..][..window]);
                    assert!((db(*value) - db(expected)).abs() < 1e-6, "{value}, not {expected}");
                    compared += 1;
                }
            });
            assert_eq!(compared, 5);
        }
    }

    #[test]
    fn what_cannot_be_sound_is_zero_and_counted() {
        let mut max = stage(Statistic::Max, 2, 1);
        let mut values = Vec::new();
        let bad = [-1.0, f32::NAN, -3.0, -2.0, f32::INFINITY];
        max.process(SampleIndex(0), &bad, |_, value| values.push(*value));
        assert_eq!((values, max.sanitized()), (vec![0.0, 0.0, -2.0, 0.0], 2));
    }
}
