//! Frames as Kaldi prepares them, for filterbank features equal to its own.

use std::f64::consts::TAU;
use std::sync::Arc;

use upbeat_core::{ConfigError, SampleIndex, Stage, sanitize};

use crate::stft::Stft;

/// Settings of [`KaldiFrame`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct KaldiFrameConfig {
    /// Samples per frame, from 2 to [`Stft::MAX_N_FFT`]; Kaldi's 25 ms are 400 at 16 kHz.
    pub frame_length: usize,
    /// How much of each sample is taken off the next, from 0 to 1. Default: 0.97.
    pub preemphasis: f32,
}

impl KaldiFrameConfig {
    /// Kaldi's settings.
    #[must_use]
    pub const fn new(frame_length: usize) -> Self {
        Self { frame_length, preemphasis: 0.97 }
    }

    /// The length of the frames that come out: the next power of two, which is the `n_fft` to use.
    #[must_use]
    pub const fn n_fft(&self) -> usize {
        self.frame_length.next_power_of_two()
    }
}

/// Kaldi's preparation of a frame: without its mean, pre-emphasised, tapered by the Povey window, zeros
/// after it up to a power of two.
///
/// `y[n] = (z[n] − c z[n − 1]) · (½ − ½ cos(2π n / (N − 1)))^0.85` with `z = x − mean(x)`: `ProcessWindow` of Kaldi's `feature-window.cc` without dither. Into an
/// [`Stft`] with a rectangular window and a [`MelSpectrogram`](crate::mel::MelSpectrogram) of the Kaldi
/// profile, it gives `compute-fbank-feats --dither=0`; the natural logarithm there is 0.230 259 times the
/// decibels of [`LogMel`](crate::mel::LogMel) with `amin` at `f32::EPSILON`. Kaldi's samples have a full scale of 32768. Samples
/// that cannot be sound count as 0. No memory.
///
/// ```
/// use upbeat_core::{FrameSpec, SampleIndex, SampleRate, Stage};
/// use upbeat_features::kaldi::{KaldiFrame, KaldiFrameConfig};
/// use upbeat_features::mel::{LogMel, LogMelConfig, MelConfig, MelSpectrogram, Profile};
/// use upbeat_features::stft::{Stft, StftConfig};
/// use upbeat_window::{Framer, WindowFunction};
///
/// let rate = SampleRate::new(16_000)?;
/// let frame = KaldiFrameConfig::new(400);
/// let mut stft = StftConfig::new(frame.n_fft());
/// stft.window = WindowFunction::Rectangular;
/// let mut log = LogMelConfig::new(23);
/// log.amin = f32::EPSILON;
/// let mut fbank = Framer::new(FrameSpec::new(400, 160, rate)?)
///     .then(KaldiFrame::new(&frame)?)
///     .then(Stft::new(&stft)?)
///     .then(MelSpectrogram::new(&MelConfig::with_profile(Profile::Kaldi, rate, 512))?)
///     .then(LogMel::new(&log)?);
/// fbank.process(SampleIndex(0), &[0.0; 400], |_, bands| assert_eq!(bands.len(), 23));
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct KaldiFrame {
    preemphasis: f32,
    window: Arc<[f32]>,
    /// The frame that comes out.
    frame: Box<[f32]>,
}

impl KaldiFrame {
    /// Allocates all that will ever be needed.
    ///
    /// # Errors
    ///
    /// If a setting is outside its range.
    pub fn new(config: &KaldiFrameConfig) -> Result<Self, ConfigError> {
        let KaldiFrameConfig { frame_length, preemphasis } = *config;
        let holds = (2..=Stft::MAX_N_FFT).contains(&frame_length);
        ConfigError::require(holds, "frame_length", "from 2 to 1048576", frame_length)?;
        let holds = (0.0..=1.0).contains(&preemphasis);
        ConfigError::require(holds, "preemphasis", "from 0 to 1", preemphasis)?;
        let last = (frame_length - 1) as f64;
        let window = (0..frame_length)
            .map(|n| (0.5 - 0.5 * (TAU * n as f64 / last).cos()).powf(0.85) as f32)
            .collect();
        Ok(Self { preemphasis, window, frame: vec![0.0; config.n_fft()].into() })
    }
}

impl Stage for KaldiFrame {
    type In = [f32];
    type Out = [f32];

    /// # Panics
    ///
    /// If the frame does not hold `frame_length` samples.
    fn process(
        &mut self,
        at: SampleIndex,
        frame: &[f32],
        mut emit: impl FnMut(SampleIndex, &[f32]),
    ) {
        assert_eq!(frame.len(), self.window.len(), "a frame holds frame_length samples");
        let sound = |x: f32| sanitize(x).unwrap_or(0.0);
        let sum: f64 = frame.iter().map(|x| f64::from(sound(*x))).sum();
        let mean = (sum / frame.len() as f64) as f32;
        // The first sample has weight 0, so that none is needed before it.
        let mut before = 0.0;
        for ((out, x), w) in self.frame.iter_mut().zip(frame).zip(&*self.window) {
            let now = sound(*x) - mean;
            *out = (now - self.preemphasis * before) * w;
            before = now;
        }
        emit(at, &self.frame);
    }

    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use upbeat_core::{FrameSpec, SampleRate};
    use upbeat_testkit::streaming::assert_streaming;
    use upbeat_testkit::{signal, streamed};
    use upbeat_window::Framer;

    #[test]
    fn absurd_settings_are_refused_by_name() {
        for frame_length in [0, 1, usize::MAX] {
            let config = KaldiFrameConfig { frame_length, preemphasis: 0.97 };
            assert_eq!(KaldiFrame::new(&config).unwrap_err().parameter(), "frame_length");
        }
        let config = KaldiFrameConfig { frame_length: 400, preemphasis: f32::NAN };
        assert_eq!(KaldiFrame::new(&config).unwrap_err().parameter(), "preemphasis");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn any_split_gives_the_same(length in 2_usize..80, hop in 1_usize..100, seed: u64) {
            let spec = FrameSpec::new(length, hop, SampleRate::new(8000).unwrap()).unwrap();
            let frame = KaldiFrame::new(&KaldiFrameConfig::new(length)).unwrap();
            let make = || streamed!(Framer::new(spec).then(frame.clone()));
            assert_streaming(make, &signal::noise(1.0, seed, 500), 1, seed);
        }
    }
}
