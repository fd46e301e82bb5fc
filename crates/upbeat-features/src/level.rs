//! How loud, how peaky and how busy a frame of samples is, without its spectrum.
//!
//! All stages here take frames of samples, of any length, and stand on [`Levels`]' definitions.
//! Samples that cannot be sound count as 0 (see [`sanitize`]).

use upbeat_core::{ConfigError, Continuity, Decibels, FrameSpec, SampleIndex, Stage, sanitize};

use crate::math;

/// What [`Levels`] says of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Level {
    /// `√(Σ x² / N)`; 1 for a full-scale square wave.
    pub rms: f32,
    /// `max |x|`.
    pub peak: f32,
    /// `peak / rms`, from 1 to `√N`; 0 for a silent frame.
    pub crest: f32,
    /// `Σ x²`.
    pub energy: f32,
}

/// Level, peak, crest factor and energy of each frame, in one go.
///
/// The formulas stand at [`Level`]; `rms` is `librosa.feature.rms`. All are 0 for a silent frame, and for
/// an empty one. No memory.
///
/// ```
/// use upbeat_core::{SampleIndex, Stage};
/// use upbeat_features::level::Levels;
///
/// Levels.process(SampleIndex(0), &[0.0, 0.8, 0.0, 0.6], |_, level| {
///     assert_eq!((level.peak, level.energy, level.rms), (0.8, 1.0, 0.5));
/// });
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Levels;

impl Stage for Levels {
    type In = [f32];
    type Out = Level;

    fn process(
        &mut self,
        at: SampleIndex,
        frame: &[f32],
        mut emit: impl FnMut(SampleIndex, &Level),
    ) {
        let energy = energy(frame);
        let rms = root_mean(energy, frame.len());
        let peak = peak(frame);
        emit(at, &Level { rms, peak, crest: crest(peak, rms), energy: energy as f32 });
    }

    fn reset(&mut self) {}
}

/// The root of the mean square of each frame: `√(Σ x² / N)`, librosa's `feature.rms`.
///
/// 0 for a silent or empty frame. No memory.
///
/// ```
/// use upbeat_core::{SampleIndex, Stage};
/// use upbeat_features::level::Rms;
///
/// Rms.process(SampleIndex(0), &[0.5, -0.5, 0.5, -0.5], |_, rms| assert_eq!(*rms, 0.5));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Rms;

impl Stage for Rms {
    type In = [f32];
    type Out = f32;

    fn process(&mut self, at: SampleIndex, frame: &[f32], mut emit: impl FnMut(SampleIndex, &f32)) {
        emit(at, &root_mean(energy(frame), frame.len()));
    }

    fn reset(&mut self) {}
}

/// The largest magnitude of each frame: `max |x|`; 0 for an empty frame. No memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct Peak;

impl Stage for Peak {
    type In = [f32];
    type Out = f32;

    fn process(&mut self, at: SampleIndex, frame: &[f32], mut emit: impl FnMut(SampleIndex, &f32)) {
        emit(at, &peak(frame));
    }

    fn reset(&mut self) {}
}

/// The crest factor of each frame: `max |x| / √(Σ x² / N)`, from 1 (square wave) over √2 (sine) to √N
/// (one click); 0 for a silent or empty frame. No memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct Crest;

impl Stage for Crest {
    type In = [f32];
    type Out = f32;

    fn process(&mut self, at: SampleIndex, frame: &[f32], emit: impl FnMut(SampleIndex, &f32)) {
        let mut emit = emit;
        Levels.process(at, frame, |at, level| emit(at, &level.crest));
    }

    fn reset(&mut self) {}
}

/// The energy of each frame: `Σ x²`, in samples at full scale; 0 for an empty frame. No memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct Energy;

impl Stage for Energy {
    type In = [f32];
    type Out = f32;

    fn process(&mut self, at: SampleIndex, frame: &[f32], mut emit: impl FnMut(SampleIndex, &f32)) {
        emit(at, &(energy(frame) as f32));
    }

    fn reset(&mut self) {}
}

/// Settings of [`ZeroCrossingRate`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ZeroCrossingRateConfig {
    /// Samples of this magnitude or less count as 0; at least 0. Default: 1e-10.
    pub threshold: f32,
    /// Which side 0 is on. Default: [`Zero::Positive`].
    pub zero: Zero,
    /// Whether the first sample of a frame counts as a crossing. Default: [`FirstSample::NoCrossing`].
    pub first: FirstSample,
}

/// Which side of zero a sample of 0 is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zero {
    /// On the positive side: only changes between negative and not negative are crossings.
    Positive,
    /// On neither: entering and leaving 0 are crossings, too.
    Neither,
}

/// What the first sample of a frame, which has none before it, counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstSample {
    /// Never a crossing: librosa's `pad=False`.
    NoCrossing,
    /// Always a crossing: librosa's `pad=True`.
    Crossing,
}

impl ZeroCrossingRateConfig {
    /// The settings of `librosa.feature.zero_crossing_rate`.
    #[must_use]
    pub const fn new() -> Self {
        Self { threshold: 1e-10, zero: Zero::Positive, first: FirstSample::NoCrossing }
    }
}

impl Default for ZeroCrossingRateConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// How often each frame changes sign: crossings per sample, from 0 to 1.
///
/// `|{n ≥ 1: sign(x[n]) ≠ sign(x[n − 1])}| / N` within the frame, as
/// `librosa.feature.zero_crossing_rate(center=False)`; 0 for an empty frame. No memory.
///
/// ```
/// use upbeat_core::{SampleIndex, Stage};
/// use upbeat_features::level::{ZeroCrossingRate, ZeroCrossingRateConfig};
///
/// let mut rate = ZeroCrossingRate::new(&ZeroCrossingRateConfig::new())?;
/// rate.process(SampleIndex(0), &[1.0, -1.0, -1.0, 0.0], |_, rate| assert_eq!(*rate, 0.5));
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ZeroCrossingRate {
    config: ZeroCrossingRateConfig,
}

impl ZeroCrossingRate {
    /// # Errors
    ///
    /// If `threshold` is negative or not finite.
    pub fn new(config: &ZeroCrossingRateConfig) -> Result<Self, ConfigError> {
        let threshold = config.threshold;
        let holds = threshold >= 0.0 && threshold.is_finite();
        ConfigError::require(holds, "threshold", "at least 0 and finite", threshold)?;
        Ok(Self { config: *config })
    }
}

impl Stage for ZeroCrossingRate {
    type In = [f32];
    type Out = f32;

    fn process(&mut self, at: SampleIndex, frame: &[f32], mut emit: impl FnMut(SampleIndex, &f32)) {
        let ZeroCrossingRateConfig { threshold, zero, first } = self.config;
        let mut crossings = u32::from(first == FirstSample::Crossing && !frame.is_empty());
        crossings += match zero {
            Zero::Positive => crossings_of(frame, |x| x < -threshold),
            // A bit for each side, so that 0 is neither.
            Zero::Neither => crossings_of(frame, |x| (x < -threshold, x > threshold)),
        };
        emit(at, &(crossings as f32 / frame.len().max(1) as f32));
    }

    fn reset(&mut self) {}
}

/// Settings of [`Silence`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct SilenceConfig {
    /// How the frames were cut.
    pub frames: FrameSpec,
    /// Frames with a root mean square below this are quiet. Default: −60 dB.
    pub threshold: Decibels,
    /// How long it must have been quiet to be silent, in seconds, from 0 to 3600. Default: 0.5.
    pub hold: f64,
}

impl SilenceConfig {
    /// The usual settings for frames cut like this.
    #[must_use]
    pub const fn new(frames: FrameSpec) -> Self {
        Self { frames, threshold: Decibels(-60.0), hold: 0.5 }
    }
}

/// Whether it has been quiet for some time.
///
/// `true` for a frame if the frames up to it have been quiet without a break, and the first of them began
/// at least `hold` seconds before the end of this one; one louder frame makes it `false` at once. After a
/// gap, the time counts from anew.
///
/// ```
/// use upbeat_core::{FrameSpec, SampleIndex, SampleRate, Stage};
/// use upbeat_features::level::{Silence, SilenceConfig};
///
/// let mut config = SilenceConfig::new(FrameSpec::new(4, 2, SampleRate::new(4)?)?);
/// config.hold = 2.0; // 8 samples: the third of these frames ends there
/// let mut silence = Silence::new(&config)?;
/// let mut seen = Vec::new();
/// for at in [0, 2, 4, 6] {
///     silence.process(SampleIndex(at), &[0.0; 4], |_, silent| seen.push(*silent));
/// }
/// assert_eq!(seen, [false, false, true, true]);
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Silence {
    frames: FrameSpec,
    /// The mean square below which a frame is quiet.
    threshold: f64,
    hold: u64,
    /// Where the quiet began.
    since: Option<SampleIndex>,
    continuity: Continuity,
}

impl Silence {
    /// # Errors
    ///
    /// If `threshold` is not finite or beyond ±200 dB, or `hold` is not from 0 to 3600 seconds.
    pub fn new(config: &SilenceConfig) -> Result<Self, ConfigError> {
        let SilenceConfig { frames, threshold, hold } = *config;
        let holds = threshold.0.abs() <= 200.0;
        ConfigError::require(holds, "threshold", "from -200 to 200 dB", threshold)?;
        ConfigError::require((0.0..=3600.0).contains(&hold), "hold", "from 0 to 3600 s", hold)?;
        Ok(Self {
            frames,
            threshold: f64::from(threshold.amplitude()).powi(2),
            hold: frames.sample_rate().samples(hold),
            since: None,
            continuity: Continuity::default(),
        })
    }
}

impl Stage for Silence {
    type In = [f32];
    type Out = bool;

    fn process(
        &mut self,
        at: SampleIndex,
        frame: &[f32],
        mut emit: impl FnMut(SampleIndex, &bool),
    ) {
        if self.continuity.advance(at, self.frames.hop_length() as u64).is_some() {
            self.since = None;
        }
        let quiet = energy(frame) < self.threshold * frame.len() as f64;
        self.since = if quiet { self.since.or(Some(at)) } else { None };
        let end = at + frame.len() as u64;
        emit(at, &self.since.is_some_and(|since| end - since >= self.hold));
    }

    fn reset(&mut self) {
        self.since = None;
        self.continuity = Continuity::default();
    }
}

fn energy(frame: &[f32]) -> f64 {
    math::sum_of(frame, |x| {
        let x = sanitize(x).unwrap_or(0.0);
        x * x
    })
}

fn peak(frame: &[f32]) -> f32 {
    math::max_of(frame, |x| sanitize(x).unwrap_or(0.0).abs())
}

fn crest(peak: f32, rms: f32) -> f32 {
    if rms > 0.0 { peak / rms } else { 0.0 }
}

fn root_mean(energy: f64, length: usize) -> f32 {
    (energy / length.max(1) as f64).sqrt() as f32
}

/// How many samples are on another side than the one before them.
fn crossings_of<S: PartialEq>(frame: &[f32], side: impl Fn(f32) -> S) -> u32 {
    let side = |x: f32| side(sanitize(x).unwrap_or(0.0));
    let later = frame.get(1..).unwrap_or_default();
    frame.iter().zip(later).map(|(a, b)| u32::from(side(*a) != side(*b))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use upbeat_core::SampleRate;
    use upbeat_testkit::streaming::{Bits, assert_streaming};
    use upbeat_testkit::{oracle, signal, streamed};
    use upbeat_window::Framer;

    impl Bits for Level {
        fn bits(&self, into: &mut Vec<u64>) {
            [self.rms, self.peak, self.crest, self.energy].bits(into);
        }
    }

    fn one<S: Stage<In = [f32]>>(mut stage: S, frame: &[f32]) -> S::Out
    where
        S::Out: Copy,
    {
        let mut out = None;
        stage.process(SampleIndex(0), frame, |_, value| out = Some(*value));
        out.unwrap()
    }

    fn spec(frame: usize, hop: usize) -> FrameSpec {
        FrameSpec::new(frame, hop, SampleRate::new(1000).unwrap()).unwrap()
    }

    #[test]
    fn silence_and_nothing_have_level_0() {
        for frame in [&[0.0; 100][..], &[]] {
            assert_eq!(one(Levels, frame), Level::default());
            let config = ZeroCrossingRateConfig::new();
            assert_eq!(one(ZeroCrossingRate::new(&config).unwrap(), frame), 0.0);
        }
    }

    #[test]
    fn samples_that_cannot_be_sound_count_as_0() {
        let level = one(Levels, &[f32::NAN, 0.5, f32::NEG_INFINITY, -0.5]);
        assert_eq!((level.energy, level.peak), (0.5, 0.5));
        let rate = ZeroCrossingRate::new(&ZeroCrossingRateConfig::new()).unwrap();
        assert_eq!(one(rate, &[0.5, f32::NEG_INFINITY, 0.5, f32::NAN]), 0.0);
    }

    #[test]
    fn crest_factors_of_known_waves() {
        assert_eq!(one(Crest, &[0.3, -0.3, -0.3, 0.3]), 1.0);
        assert!((one(Crest, &signal::sine(10.0, 0.7, 1000, 1000)) - 2.0_f32.sqrt()).abs() < 1e-3);
        let mut click = [0.0; 64];
        click[9] = -0.4;
        assert!((one(Crest, &click) - 8.0).abs() < 1e-5);
    }

    #[test]
    fn crossings_follow_the_rules_of_zero() {
        let frame = [1.0, 0.0, -1e-11, 0.5, -0.5, 0.0, 0.0, -0.5];
        let rate = |change: fn(&mut ZeroCrossingRateConfig)| {
            let mut config = ZeroCrossingRateConfig::new();
            change(&mut config);
            8.0 * one(ZeroCrossingRate::new(&config).unwrap(), &frame)
        };
        assert_eq!(rate(|_| {}), 3.0);
        assert_eq!(rate(|c| c.threshold = 0.0), 5.0);
        assert_eq!(rate(|c| c.first = FirstSample::Crossing), 4.0);
        assert_eq!(rate(|c| c.zero = Zero::Neither), 5.0);
        assert_eq!(rate(|c| c.threshold = 0.6), 0.0);
    }

    #[test]
    fn one_loud_frame_ends_silence_and_a_gap_starts_it_anew() {
        let mut config = SilenceConfig::new(spec(10, 10));
        config.hold = 0.03;
        let mut silence = Silence::new(&config).unwrap();
        let mut seen = Vec::new();
        let frames = [(0, 0.0), (10, 9e-4), (20, 0.0), (30, 2e-3), (40, 0.0), (50, 0.0), (60, 0.0)];
        for (at, level) in frames.into_iter().chain([(200, 0.0), (210, 0.0), (220, 0.0)]) {
            silence.process(SampleIndex(at), &[level; 10], |_, silent| seen.push(*silent));
        }
        let (f, t) = (false, true);
        assert_eq!(seen, [f, f, t, f, f, f, t, f, f, t]);
    }

    #[test]
    fn absurd_settings_are_refused_by_name() {
        let mut rate = ZeroCrossingRateConfig::new();
        rate.threshold = f32::NAN;
        assert_eq!(ZeroCrossingRate::new(&rate).unwrap_err().parameter(), "threshold");
        let mut silence = SilenceConfig::new(spec(10, 10));
        silence.hold = f64::NAN;
        assert_eq!(Silence::new(&silence).unwrap_err().parameter(), "hold");
        silence.threshold = Decibels(f32::NEG_INFINITY);
        assert_eq!(Silence::new(&silence).unwrap_err().parameter(), "threshold");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn levels_equal_their_definitions(length in 1_usize..3000, seed: u64, scale in -200.0_f64..100.0) {
            let frame = signal::noise(10.0_f64.powf(scale / 20.0), seed, length);
            let exact: Vec<f64> = frame.iter().map(|x| f64::from(*x)).collect();
            let close = |found: f32, exact: f64| (f64::from(found) - exact).abs() <= 1e-6 * exact;
            let level = one(Levels, &frame);
            let rms = oracle::rms(&exact);
            let peak = exact.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
            prop_assert!(close(level.rms, rms) && close(level.peak, peak));
            prop_assert!(close(level.energy, rms * rms * length as f64) && close(level.crest, peak / rms));
            prop_assert_eq!(one(Rms, &frame), level.rms);
            prop_assert_eq!(one(Peak, &frame), level.peak);
            prop_assert_eq!(one(Crest, &frame), level.crest);
            prop_assert_eq!(one(Energy, &frame), level.energy);
        }

        #[test]
        fn any_split_gives_the_same(frame in 1_usize..80, hop in 1_usize..100, seed: u64) {
            let spec = spec(frame, hop);
            let mut input = signal::noise(1.0, seed, 700);
            input[200..400].fill(0.0);
            let framer = || Framer::new(spec);
            assert_streaming(|| streamed!(framer().then(Levels)), &input, 1, seed);
            let rate = ZeroCrossingRate::new(&ZeroCrossingRateConfig::new()).unwrap();
            assert_streaming(|| streamed!(framer().then(rate)), &input, 1, seed);
            let mut config = SilenceConfig::new(spec);
            config.hold = 0.1;
            let silence = Silence::new(&config).unwrap();
            assert_streaming(|| streamed!(framer().then(silence.clone())), &input, 1, seed);
        }
    }
}
