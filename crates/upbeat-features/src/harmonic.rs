//! How percussive a sound is: the share of its energy that stands upright in the spectrogram.

use upbeat_core::{ConfigError, Continuity, FrameSpec, SampleIndex, Stage};

use crate::stft::Spectrum;

/// Settings of [`PercussiveShare`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct PercussiveShareConfig {
    /// How the frames were cut; the spectra are of transforms of `frame_length` samples.
    pub frames: FrameSpec,
    /// The time over which the median is taken, backwards from each frame, in seconds. Default: 0.2.
    pub time: f64,
    /// The range over which the median is taken, around each bin, in Hz. Default: 334, librosa's 31 bins at
    /// its default rate and length.
    pub range: f64,
}

impl PercussiveShareConfig {
    /// The usual settings for such frames.
    #[must_use]
    pub const fn new(frames: FrameSpec) -> Self {
        Self { frames, time: 0.2, range: 334.0 }
    }
}

/// The percussive share of the energy of each frame.
///
/// Consumes a [`Spectrum`], and emits a share from 0, harmonic, to 1, percussive; `None` where there is no
/// energy:
///
/// ```text
/// Σ_k |X[k]|² P[k]² / (P[k]² + H[k]²)  /  Σ_k |X[k]|²
/// H[k] = median over the last `time` of |X[k]|,    P[k] = median over the bins within `range` / 2 of |X[k]|
/// ```
///
/// A held tone is a horizontal line in the spectrogram and survives in `H`, a stroke is an upright line and
/// survives in `P`. The medians are of nine values each, evenly spaced over `time` and `range`, so that they
/// are quick.
///
/// Before the start of a stream and in a gap it is taken to have been silent: the first frames are percussive,
/// and so is any new tone until it has lasted for half of `time`. That is the price of a latency of 0.
///
/// Source: Fitzgerald, "Harmonic/percussive separation using median filtering", `DAFx` 2010, whose time
/// window lies around the frame and not before it, and whose medians are of all values.
///
/// # Examples
///
/// ```
/// use upbeat_core::{FrameSpec, SampleIndex, SampleRate, Stage};
/// use upbeat_features::harmonic::{PercussiveShare, PercussiveShareConfig};
/// use upbeat_features::stft::{Stft, StftConfig};
/// use upbeat_window::Framer;
///
/// let frames = FrameSpec::new(2048, 512, SampleRate::new(44_100)?)?;
/// let mut share = Framer::new(frames)
///     .then(Stft::new(&StftConfig::new(2048))?)
///     .then(PercussiveShare::new(&PercussiveShareConfig::new(frames))?);
/// let tone: Vec<f32> = (0..44_100).map(|n| (n as f32 * 0.05).sin()).collect();
/// let mut last = None;
/// share.process(SampleIndex(0), &tone, |_, share| last = *share);
/// assert!(last.unwrap() < 0.05);
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct PercussiveShare {
    hop_length: u64,
    n_bins: usize,
    /// Powers of the frame at hand, in whole chunks: zeros behind its bins.
    power: Box<[f32]>,
    /// Bins between neighbours in the median over frequency.
    bin_step: usize,
    /// Frames between neighbours in the median over time.
    frame_step: usize,
    /// Magnitudes of the last frames, a ring of rows as long as `power`.
    history: Box<[f32]>,
    /// The row of the frame at hand.
    row: usize,
    /// Its magnitudes, with room for neighbours beyond the ends.
    padded: Box<[f32]>,
    continuity: Continuity,
}

impl PercussiveShare {
    /// Allocates all that will ever be needed.
    ///
    /// # Errors
    ///
    /// If `time` is not above 0 s, `range` not above 0 Hz or beyond half the sample rate, if the frame is
    /// shorter than 2 or longer than 2²⁰ samples, or if the history would need more than 16 MB.
    pub fn new(config: &PercussiveShareConfig) -> Result<Self, ConfigError> {
        let PercussiveShareConfig { frames, time, range } = *config;
        let frame_length = frames.frame_length();
        let lengths = "from 2 to 1048576";
        ConfigError::require(
            (2..=1 << 20).contains(&frame_length),
            "frame_length",
            lengths,
            frame_length,
        )?;
        ConfigError::require(time > 0.0, "time", "above 0 s", time)?;
        let nyquist = frames.sample_rate().as_f64() / 2.0;
        ConfigError::require(
            range > 0.0 && range <= nyquist,
            "range",
            "above 0 Hz, at most half the rate",
            range,
        )?;
        let n_bins = frame_length / 2 + 1;
        let stride = n_bins.next_multiple_of(LANES);
        let bins = range / frames.sample_rate().as_f64() * frame_length as f64;
        let bin_step = ((bins / 8.0).round() as usize).max(1);
        let frame_step = ((time * frames.frame_rate() / 8.0).round() as usize).max(1);
        let rows = frame_step.saturating_mul(8).saturating_add(1);
        ConfigError::require(
            rows.saturating_mul(stride) <= 1 << 22,
            "time",
            "shorter, or hop_length longer",
            time,
        )?;
        Ok(Self {
            hop_length: frames.hop_length() as u64,
            n_bins,
            bin_step,
            frame_step,
            power: vec![0.0; stride].into(),
            history: vec![0.0; rows * stride].into(),
            row: 0,
            padded: vec![0.0; stride + 8 * bin_step].into(),
            continuity: Continuity::default(),
        })
    }

    fn forget(&mut self) {
        self.history.fill(0.0);
    }

    fn share(&self) -> Option<f32> {
        let stride = self.power.len();
        let rows = self.history.len() / stride;
        let over_time: [&[[f32; LANES]]; 9] = std::array::from_fn(|i| {
            let row = (self.row + rows - i * self.frame_step) % rows;
            self.history[row * stride..][..stride].as_chunks().0
        });
        let over_range: [&[f32]; 9] =
            std::array::from_fn(|i| &self.padded[i * self.bin_step..][..stride]);
        let over_range = over_range.map(|row| row.as_chunks::<LANES>().0);

        let (mut percussive, mut total) = ([0.0; LANES], [0.0; LANES]);
        for (chunk, power) in self.power.as_chunks::<LANES>().0.iter().enumerate() {
            let h = median(&over_time.map(|row| row[chunk]));
            let p = median(&over_range.map(|row| row[chunk]));
            for i in 0..LANES {
                let (h, p) = (h[i] * h[i], p[i] * p[i]);
                percussive[i] += power[i] * (p / (p + h + f32::MIN_POSITIVE));
                total[i] += power[i];
            }
        }
        let [percussive, total] = [percussive, total].map(|sums| sums.iter().sum::<f32>());
        (total > SILENCE).then(|| (percussive / total).clamp(0.0, 1.0))
    }
}

impl Stage for PercussiveShare {
    type In = Spectrum;
    type Out = Option<f32>;

    /// # Panics
    ///
    /// If the spectrum is not of a transform of `frame_length` samples.
    fn process(
        &mut self,
        at: SampleIndex,
        spectrum: &Spectrum,
        mut emit: impl FnMut(SampleIndex, &Option<f32>),
    ) {
        assert_eq!(spectrum.n_bins(), self.n_bins, "the spectrum is of a frame");
        if self.continuity.advance(at, self.hop_length).is_some() {
            self.forget();
        }
        let n = self.n_bins;
        let stride = self.power.len();
        self.power[..n].copy_from_slice(spectrum.power());
        self.row = (self.row + 1) % (self.history.len() / stride);
        self.history[self.row * stride..][..n].copy_from_slice(spectrum.magnitude());
        let reach = 4 * self.bin_step;
        self.padded[reach..][..n].copy_from_slice(spectrum.magnitude());
        let (first, last) = (self.padded[reach], self.padded[reach + n - 1]);
        self.padded[..reach].fill(first);
        self.padded[reach + n..].fill(last);
        emit(at, &self.share());
    }

    fn reset(&mut self) {
        self.forget();
        self.continuity = Continuity::default();
    }
}

/// The medians of nine values each, by exchanges alone, all of them in registers.
///
/// The network is Paeth's, "Median finding on a 3×3 grid", Graphics Gems, 1990.
fn median(rows: &[[f32; LANES]; 9]) -> [f32; LANES] {
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h, mut i] = *rows;
    order(&mut b, &mut c);
    order(&mut e, &mut f);
    order(&mut h, &mut i);
    order(&mut a, &mut b);
    order(&mut d, &mut e);
    order(&mut g, &mut h);
    order(&mut b, &mut c);
    order(&mut e, &mut f);
    order(&mut h, &mut i);
    order(&mut a, &mut d);
    order(&mut f, &mut i);
    order(&mut e, &mut h);
    order(&mut d, &mut g);
    order(&mut b, &mut e);
    order(&mut c, &mut f);
    order(&mut e, &mut h);
    order(&mut e, &mut c);
    order(&mut g, &mut e);
    order(&mut e, &mut c);
    e
}

/// Puts the smaller values into `low`, the larger into `high`.
#[inline]
fn order(low: &mut [f32; LANES], high: &mut [f32; LANES]) {
    for (low, high) in low.iter_mut().zip(high) {
        (*low, *high) = if *low < *high { (*low, *high) } else { (*high, *low) };
    }
}

/// Bins handled at once.
const LANES: usize = 8;
/// The energy of a spectrum that is silent.
const SILENCE: f32 = 1e-20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stft::{Stft, StftConfig};
    use proptest::prelude::*;
    use upbeat_core::SampleRate;
    use upbeat_testkit::signal::{add, clicks, noise, sine, tone};
    use upbeat_testkit::streaming::assert_streaming;
    use upbeat_testkit::{oracle, streamed};
    use upbeat_window::Framer;

    fn spec(rate: u32, frame_length: usize, hop_length: usize) -> FrameSpec {
        FrameSpec::new(frame_length, hop_length, SampleRate::new(rate).unwrap()).unwrap()
    }

    fn chain(config: &PercussiveShareConfig) -> impl Stage<In = [f32], Out = Option<f32>> {
        let stft = Stft::new(&StftConfig::new(config.frames.frame_length())).unwrap();
        Framer::new(config.frames).then(stft).then(PercussiveShare::new(config).unwrap())
    }

    /// The shares of the second half of a signal.
    fn shares(rate: u32, signal: &[f32]) -> Vec<Option<f32>> {
        let mut out = Vec::new();
        chain(&PercussiveShareConfig::new(spec(rate, 2048, 512))).process(
            SampleIndex(0),
            signal,
            |_, share| out.push(*share),
        );
        out.split_off(out.len() / 2)
    }

    fn mean(shares: &[Option<f32>]) -> f32 {
        let heard: Vec<f32> = shares.iter().flatten().copied().collect();
        heard.iter().sum::<f32>() / heard.len() as f32
    }

    #[test]
    fn tones_are_harmonic_strokes_percussive_and_a_mix_between() {
        for rate in [22_050, 44_100] {
            let length = 2 * rate as usize;
            let held = tone(220.0, 8, 0.3, rate, length);
            let strokes: Vec<f32> = clicks(8000, length).iter().map(|x| 20.0 * x).collect();
            assert!(mean(&shares(rate, &held)) < 0.05, "{}", mean(&shares(rate, &held)));
            assert!(mean(&shares(rate, &strokes)) > 0.95, "{}", mean(&shares(rate, &strokes)));
            let mut both = held.clone();
            add(&mut both, &strokes);
            let both = shares(rate, &both);
            let top = both.iter().flatten().fold(0.0_f32, |max, share| max.max(*share));
            assert!((0.02..0.9).contains(&mean(&both)) && top > 0.3, "{} {top}", mean(&both));
            let hiss = mean(&shares(rate, &noise(0.5, 3, length)));
            assert!((0.3..0.7).contains(&hiss), "{hiss}");
        }
    }

    #[test]
    fn a_new_tone_is_percussive_for_half_the_time() {
        let mut signal = vec![0.0; 44_100];
        signal.extend(sine(500.0, 0.5, 44_100, 44_100));
        let mut out = Vec::new();
        chain(&PercussiveShareConfig::new(spec(44_100, 2048, 512))).process(
            SampleIndex(0),
            &signal,
            |at, share| out.push((at.0, *share)),
        );
        let at = |index: u64| out.iter().rfind(|(at, _)| *at <= index).unwrap().1;
        assert_eq!(at(40_000), None);
        assert!(at(43_000).unwrap() > 0.5);
        assert!(at(44_100 + 8820).unwrap() < 0.05); // 0.2 s later
    }

    /// A network that orders all sequences of zeros and ones orders everything.
    #[test]
    fn the_network_finds_medians() {
        for first in (0..512_usize).step_by(LANES) {
            let bit = |row: usize, i: usize| f32::from(u8::from((first + i) >> row & 1 == 1));
            let rows = std::array::from_fn(|row| std::array::from_fn(|i| bit(row, i)));
            for (i, found) in median(&rows).iter().enumerate() {
                let column: Vec<f64> = rows.iter().map(|row| f64::from(row[i])).collect();
                assert_eq!(f64::from(*found), oracle::median(&column), "{column:?}");
            }
        }
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let refused = |change: fn(&mut PercussiveShareConfig)| {
            let mut config = PercussiveShareConfig::new(spec(44_100, 2048, 512));
            change(&mut config);
            PercussiveShare::new(&config).unwrap_err().parameter()
        };
        assert_eq!(refused(|c| c.time = 0.0), "time");
        assert_eq!(refused(|c| c.time = 1e12), "time");
        assert_eq!(refused(|c| c.range = f64::NAN), "range");
        assert_eq!(refused(|c| c.range = 30_000.0), "range");
        assert_eq!(refused(|c| c.frames = spec(44_100, 1, 512)), "frame_length");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn the_share_does_not_depend_on_blocks(seed: u64, hop_length in 20_usize..150) {
            let mut config = PercussiveShareConfig::new(spec(8000, 128, hop_length));
            config.time = 0.1;
            let mut input = noise(0.3, seed, 2000);
            add(&mut input, &sine(1000.0, 0.3, 8000, 2000));
            assert_streaming(|| streamed!(chain(&config)), &input, 1, seed);
        }
    }
}
