//! Per-channel energy normalisation: mel bands with their loudness and colouring taken out.

use upbeat_core::{ConfigError, Continuity, FrameSpec, SampleIndex, Stage};

/// Settings of [`Pcen`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct PcenConfig {
    /// How the frames follow one another.
    pub frames: FrameSpec,
    /// Bands in each frame, from 1 to 4096.
    pub n_bands: usize,
    /// How much of the level is taken out, from 0 to 1. Default: 0.98.
    pub gain: f32,
    /// What is added before the power, above 0. Default: 2.
    pub bias: f32,
    /// The power that compresses, above 0 and at most 1. Default: 0.5.
    pub power: f32,
    /// Time constant of the level, in seconds, above 0. Default: 0.4.
    pub time_constant: f64,
    /// The least level told apart, above 0. Default: 1e-6.
    pub eps: f32,
}

impl PcenConfig {
    /// librosa's settings, for frames of `n_bands` bands.
    #[must_use]
    pub const fn new(frames: FrameSpec, n_bands: usize) -> Self {
        Self { frames, n_bands, gain: 0.98, bias: 2.0, power: 0.5, time_constant: 0.4, eps: 1e-6 }
    }
}

/// Per-channel energy normalisation of frames of powers or magnitudes in bands.
///
/// `P[t] = (S[t] / (eps + M[t])^gain + bias)^power − bias^power`, where the level
/// `M[t] = (1 − b) M[t−1] + b S[t]` starts at `M[−1] = 1`, and `b = (√(1 + 4T²) − 1) / (2T²)` for
/// a time constant of `T` frames. As `librosa.pcen`, which starts at the same level and meant for values as
/// large as those of 16-bit samples (multiply by 2³¹, as its documentation does). The level is carried
/// from frame to frame, so that a stream and a file give the same; after a gap it starts anew. Wang et
/// al., "Trainable frontend for robust and far-field keyword spotting", ICASSP 2017.
///
/// # Examples
///
/// ```
/// use upbeat_core::{FrameSpec, SampleIndex, SampleRate, Stage};
/// use upbeat_features::pcen::{Pcen, PcenConfig};
///
/// let frames = FrameSpec::new(1024, 256, SampleRate::new(16_000)?)?;
/// let mut pcen = Pcen::new(&PcenConfig::new(frames, 2))?;
/// let mut last = [0.0; 2];
/// for t in 0..1000 {
///     pcen.process(SampleIndex(256 * t), &[1.0, 1000.0], |_, p| last = [p[0], p[1]]);
/// }
/// assert!((last[0] - last[1]).abs() < 0.06); // bands 30 dB apart have become alike
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Pcen {
    config: PcenConfig,
    smoothing: f32,
    level: Box<[f32]>,
    normalised: Box<[f32]>,
    continuity: Continuity,
}

impl Pcen {
    /// Allocates the level of each band.
    ///
    /// # Errors
    ///
    /// If a setting is out of its range.
    pub fn new(config: &PcenConfig) -> Result<Self, ConfigError> {
        let PcenConfig { frames, n_bands, gain, bias, power, time_constant, eps } = *config;
        ConfigError::require((1..=4096).contains(&n_bands), "n_bands", "from 1 to 4096", n_bands)?;
        ConfigError::require((0.0..=1.0).contains(&gain), "gain", "from 0 to 1", gain)?;
        ConfigError::require(bias > 0.0 && bias.is_finite(), "bias", "above 0", bias)?;
        ConfigError::require(power > 0.0 && power <= 1.0, "power", "above 0, at most 1", power)?;
        let seconds = time_constant > 0.0 && time_constant.is_finite();
        ConfigError::require(seconds, "time_constant", "above 0 s", time_constant)?;
        ConfigError::require(eps >= 1e-30 && eps.is_finite(), "eps", "at least 1e-30", eps)?;
        let t = time_constant * frames.frame_rate();
        let smoothing = 2.0 / (1.0 + (1.0 + 4.0 * t * t).sqrt()); // the same, without cancellation
        Ok(Self {
            config: *config,
            smoothing: smoothing as f32,
            level: vec![1.0; n_bands].into(),
            normalised: vec![0.0; n_bands].into(),
            continuity: Continuity::default(),
        })
    }
}

impl Stage for Pcen {
    type In = [f32];
    type Out = [f32];

    /// # Panics
    ///
    /// If there are not `n_bands` bands.
    fn process(
        &mut self,
        at: SampleIndex,
        bands: &[f32],
        mut emit: impl FnMut(SampleIndex, &[f32]),
    ) {
        let PcenConfig { frames, n_bands, gain, bias, power, eps, .. } = self.config;
        assert_eq!(bands.len(), n_bands, "a frame holds n_bands bands");
        if self.continuity.advance(at, frames.hop_length() as u64).is_some() {
            self.level.fill(1.0);
        }
        let offset = bias.powf(power);
        for ((out, level), band) in self.normalised.iter_mut().zip(&mut self.level).zip(bands) {
            *level += self.smoothing * (band - *level);
            let scaled = band * (eps + *level).powf(-gain);
            *out = offset * (power * (scaled / bias).ln_1p()).exp_m1();
        }
        emit(at, &self.normalised);
    }

    fn reset(&mut self) {
        self.level.fill(1.0);
        self.continuity = Continuity::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use upbeat_core::SampleRate;
    use upbeat_testkit::streaming::{Output, Streamed, assert_streaming};
    use upbeat_testkit::{signal, streamed};
    use upbeat_window::Framer;

    /// Squares samples, so that they can stand for powers.
    #[derive(Clone)]
    struct Square([f32; 8]);

    impl Stage for Square {
        type In = [f32];
        type Out = [f32];

        fn process(
            &mut self,
            at: SampleIndex,
            x: &[f32],
            mut emit: impl FnMut(SampleIndex, &[f32]),
        ) {
            self.0.iter_mut().zip(x).for_each(|(out, x)| *out = x * x * 1e6);
            emit(at, &self.0);
        }

        fn reset(&mut self) {}
    }

    fn frames() -> FrameSpec {
        FrameSpec::new(8, 8, SampleRate::new(800).unwrap()).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn any_split_gives_the_same(seed: u64) {
            let pcen = Pcen::new(&PcenConfig::new(frames(), 8)).unwrap();
            let make = || streamed!(Framer::new(frames()).then(Square([0.0; 8])).then(pcen.clone()));
            assert_streaming(make, &signal::noise(1.0, seed, 400), 1, seed);
        }

        #[test]
        fn equals_the_definition(seed: u64, gain in 0.0_f32..1.0, power in 0.05_f32..1.0) {
            let mut config = PcenConfig::new(frames(), 8);
            (config.gain, config.power) = (gain, power);
            let samples = signal::noise(1.0, seed, 400);
            let mut stage = streamed!(Framer::new(frames()).then(Square([0.0; 8])).then(Pcen::new(&config).unwrap()));
            let mut found: Vec<Output> = Vec::new();
            stage.push(0, &samples, &mut found);

            let t = config.time_constant * frames().frame_rate();
            let b = ((1.0 + 4.0 * t * t).sqrt() - 1.0) / (2.0 * t * t);
            let [gain, power, bias, eps] = [gain, power, config.bias, config.eps].map(f64::from);
            let mut level = [1.0; 8];
            for (output, frame) in found.iter().zip(samples.chunks(8)) {
                for (i, x) in frame.iter().enumerate() {
                    let s = f64::from(x * x * 1e6);
                    level[i] = (1.0 - b) * level[i] + b * s;
                    let expected = (s / (eps + level[i]).powf(gain) + bias).powf(power) - bias.powf(power);
                    let value = f64::from(f32::from_bits(output.bits[1 + i] as u32));
                    prop_assert!((value - expected).abs() <= 1e-4 * expected.abs().max(1.0), "{} {}", value, expected);
                }
            }
        }
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let refused = |change: fn(&mut PcenConfig)| {
            let mut config = PcenConfig::new(frames(), 8);
            change(&mut config);
            Pcen::new(&config).unwrap_err().parameter()
        };
        assert_eq!(refused(|c| c.n_bands = 0), "n_bands");
        assert_eq!(refused(|c| c.gain = f32::NAN), "gain");
        assert_eq!(refused(|c| c.bias = 0.0), "bias");
        assert_eq!(refused(|c| c.power = 0.0), "power");
        assert_eq!(refused(|c| c.time_constant = 0.0), "time_constant");
        assert_eq!(refused(|c| c.eps = 0.0), "eps");
    }
}
