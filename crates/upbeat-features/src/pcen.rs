//! Per-channel energy normalisation: mel bands freed of loudness and steady noise.

use upbeat_core::{ConfigError, Continuity, FrameSpec, SampleIndex, Stage};

use crate::math;

/// Settings of [`Pcen`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct PcenConfig {
    /// How the frames behind the bands were cut.
    pub frames: FrameSpec,
    /// Bands in each frame, from 1 to 65536.
    pub n_bands: usize,
    /// How much of the smoothed level is taken away, from 0 to 2. Default: 0.98.
    pub gain: f32,
    /// What is added before compression, from 0 to 1e6. Default: 2.
    pub bias: f32,
    /// The exponent of compression, from 0 (logarithm) to 2. Default: 0.5.
    pub power: f32,
    /// How long levels are smoothed, in seconds, above 0 and at most 3600. Default: 0.4.
    pub time_constant: f64,
    /// The level that counts as nothing, from 1e-20 to 1e6. Default: 1e-6.
    pub eps: f32,
}

impl PcenConfig {
    /// librosa's settings.
    #[must_use]
    pub const fn new(frames: FrameSpec, n_bands: usize) -> Self {
        let (gain, bias, power, time_constant, eps) = (0.98, 2.0, 0.5, 0.4, 1e-6);
        Self { frames, n_bands, gain, bias, power, time_constant, eps }
    }
}

/// Per-channel energy normalisation of frames of mel bands `S`, `librosa.pcen`.
///
/// - smoothed: `M[t] = (1 − b) M[t − 1] + b S[t]` with
///   `b = (√(1 + 4 T²) − 1) / (2 T²)`, `T` the time constant in frames;
/// - normalised: `G = S / (eps + M)^gain`;
/// - compressed: `(G + bias)^power − bias^power`; for `power = 0` it is `ln(1 + G)`, as librosa has it.
///
/// `M` is carried from frame to frame. It starts at 1 before the first frame, as librosa's filter
/// state does, and again after a gap. `eps` and `bias` are meant for powers of samples at integer full
/// scale: multiply bands of samples in ±1 by 2³¹ first, as librosa advises. Powers that are negative, not finite
/// or beyond 1e30 count as 0. Silence gives 0.
///
/// Source: Wang et al., "Trainable frontend for robust and far-field keyword spotting", ICASSP 2017.
///
/// ```
/// use upbeat_core::{FrameSpec, SampleIndex, SampleRate, Stage};
/// use upbeat_features::pcen::{Pcen, PcenConfig};
///
/// let frames = FrameSpec::new(2048, 512, SampleRate::new(22_050)?)?;
/// let mut pcen = Pcen::new(&PcenConfig::new(frames, 1))?;
/// let mut seen = Vec::new();
/// for t in 0..200 {
///     pcen.process(SampleIndex(512 * t), &[1e6], |_, bands| seen.push(bands[0]));
/// }
/// assert!(seen[0] > 3.0 && seen[199] < 0.5); // a new sound stands out, a steady one does not
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Pcen {
    config: PcenConfig,
    /// The share of the new frame in the smoothed level.
    b: f32,
    /// The smoothed levels `M`.
    smooth: Box<[f32]>,
    bands: Box<[f32]>,
    continuity: Continuity,
}

impl Pcen {
    /// Allocates all that will ever be needed.
    ///
    /// # Errors
    ///
    /// If a setting is outside its range.
    pub fn new(config: &PcenConfig) -> Result<Self, ConfigError> {
        let PcenConfig { frames, n_bands, gain, bias, power, time_constant, eps } = *config;
        let holds = (1..=1 << 16).contains(&n_bands);
        ConfigError::require(holds, "n_bands", "from 1 to 65536", n_bands)?;
        ConfigError::require((0.0..=2.0).contains(&gain), "gain", "from 0 to 2", gain)?;
        ConfigError::require((0.0..=1e6).contains(&bias), "bias", "from 0 to 1e6", bias)?;
        ConfigError::require((0.0..=2.0).contains(&power), "power", "from 0 to 2", power)?;
        let holds = time_constant > 0.0 && time_constant <= 3600.0;
        ConfigError::require(holds, "time_constant", "above 0, at most 3600 s", time_constant)?;
        ConfigError::require((1e-20..=1e6).contains(&eps), "eps", "from 1e-20 to 1e6", eps)?;
        let smooth = vec![FIRST; n_bands].into();
        let bands = vec![0.0; n_bands].into();
        let b = smoothing(time_constant * frames.frame_rate()) as f32;
        Ok(Self { config: *config, b, smooth, bands, continuity: Continuity::default() })
    }
}

impl Stage for Pcen {
    type In = [f32];
    type Out = [f32];

    /// # Panics
    ///
    /// If the frame does not hold `n_bands` bands.
    fn process(
        &mut self,
        at: SampleIndex,
        powers: &[f32],
        mut emit: impl FnMut(SampleIndex, &[f32]),
    ) {
        assert_eq!(powers.len(), self.bands.len(), "a frame holds n_bands bands");
        let PcenConfig { frames, gain, bias, power, eps, .. } = self.config;
        if self.continuity.advance(at, frames.hop_length() as u64).is_some() {
            self.smooth.fill(FIRST);
        }
        for ((band, smooth), s) in self.bands.iter_mut().zip(&mut self.smooth).zip(powers) {
            let s = if *s > 0.0 && *s <= MAX_POWER { *s } else { 0.0 };
            let m = self.b * s + (1.0 - self.b) * *smooth;
            // What has died away is 0, before it becomes too small to compute with at full speed.
            *smooth = if m > NOTHING { m } else { 0.0 };
            *band = s * math::exp2(-gain * math::log2(eps + *smooth));
        }
        if power == 0.0 {
            for band in &mut self.bands {
                *band = std::f32::consts::LN_2 * math::log2_1p(*band);
            }
        } else if bias == 0.0 {
            for band in &mut self.bands {
                *band = if *band > 0.0 { math::exp2(power * math::log2(*band)) } else { 0.0 };
            }
        } else {
            let (scale, bias) = (bias.powf(power), 1.0 / bias);
            for band in &mut self.bands {
                *band = scale * math::exp2_m1(power * math::log2_1p(*band * bias));
            }
        }
        emit(at, &self.bands);
    }

    fn reset(&mut self) {
        self.smooth.fill(FIRST);
        self.continuity = Continuity::default();
    }
}

/// The share of the new frame for a time constant in frames.
fn smoothing(frames: f64) -> f64 {
    let square = 4.0 * frames * frames;
    // (√(1 + 4 T²) − 1) / (2 T²), without the difference, which vanishes for small T.
    2.0 / ((1.0 + square).sqrt() + 1.0)
}

/// The smoothed level before the first frame.
const FIRST: f32 = 1.0;
/// A smoothed level below this is none.
const NOTHING: f32 = 1e-30;
const MAX_POWER: f32 = 1e30;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use upbeat_core::SampleRate;
    use upbeat_testkit::streaming::assert_streaming;
    use upbeat_testkit::{signal, streamed};
    use upbeat_window::Framer;

    fn frames(hop: usize) -> FrameSpec {
        FrameSpec::new(3, hop, SampleRate::new(16_000).unwrap()).unwrap()
    }

    #[test]
    fn absurd_settings_are_refused_by_name() {
        let refused = |change: fn(&mut PcenConfig)| {
            let mut config = PcenConfig::new(frames(1), 2);
            change(&mut config);
            Pcen::new(&config).unwrap_err().parameter()
        };
        assert_eq!(refused(|c| c.n_bands = 0), "n_bands");
        assert_eq!(refused(|c| c.n_bands = usize::MAX), "n_bands");
        assert_eq!(refused(|c| c.gain = f32::NAN), "gain");
        assert_eq!(refused(|c| c.bias = -1.0), "bias");
        assert_eq!(refused(|c| c.power = f32::INFINITY), "power");
        assert_eq!(refused(|c| c.time_constant = 0.0), "time_constant");
        assert_eq!(refused(|c| c.eps = 0.0), "eps");
    }

    #[test]
    fn bad_powers_count_as_0_and_are_forgotten() {
        let mut pcen = Pcen::new(&PcenConfig::new(frames(1), 4)).unwrap();
        pcen.process(SampleIndex(0), &[f32::NAN, f32::INFINITY, -1.0, 1e31], |_, bands| {
            assert_eq!(bands, [0.0; 4]);
        });
        pcen.process(SampleIndex(1), &[1.0; 4], |_, bands| {
            assert!(bands.iter().all(|band| *band > 0.1 && *band == bands[0]));
        });
    }

    #[test]
    fn long_silence_leaves_no_tiny_numbers() {
        let mut config = PcenConfig::new(frames(1), 1);
        config.time_constant = 1e-3;
        let mut pcen = Pcen::new(&config).unwrap();
        for at in 0..10_000 {
            pcen.process(SampleIndex(at), &[0.0], |_, bands| assert_eq!(bands, [0.0]));
        }
        assert_eq!(*pcen.smooth, [0.0]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn bands_equal_their_definition(
            seed: u64,
            level in -3_i32..10,
            gain in 0.0_f32..1.2,
            bias in prop_oneof![Just(0.0_f32), 0.01_f32..10.0],
            power in prop_oneof![Just(0.0_f32), 0.05_f32..1.0],
            time_constant in 1e-4..1.0,
        ) {
            let mut config = PcenConfig::new(frames(5), 50);
            (config.gain, config.bias, config.power) = (gain, bias, power);
            config.time_constant = time_constant;
            let mut pcen = Pcen::new(&config).unwrap();
            let t = time_constant * 16_000.0 / 5.0;
            let b = ((1.0 + 4.0 * t * t).sqrt() - 1.0) / (2.0 * t * t);
            let [gain, bias, power] = [gain, bias, power].map(f64::from);
            let mut smooth = [1.0_f64; 50];
            for frame in 0..5_u64 {
                let noise = signal::noise(10.0_f64.powi(level), seed.wrapping_add(frame), 50);
                let powers: Vec<f32> = noise.iter().map(|x| x.abs()).collect();
                let mut found = Vec::new();
                pcen.process(SampleIndex(5 * frame), &powers, |_, bands| found.extend_from_slice(bands));
                for ((smooth, s), found) in smooth.iter_mut().zip(&powers).zip(found) {
                    let s = f64::from(*s);
                    *smooth = (1.0 - b) * *smooth + b * s;
                    let normalised = s / (1e-6 + *smooth).powf(gain);
                    let expected = if power == 0.0 {
                        normalised.ln_1p()
                    } else {
                        (normalised + bias).powf(power) - bias.powf(power)
                    };
                    let error = (f64::from(found) - expected).abs();
                    prop_assert!(error <= 1e-5 * expected.abs().max(1e-3), "{found} for {expected}");
                }
            }
        }

        #[test]
        fn any_split_gives_the_same(hop in 1_usize..20, seed: u64) {
            let config = PcenConfig::new(frames(hop), 3);
            let pcen = Pcen::new(&config).unwrap();
            let make = || streamed!(Framer::new(config.frames).then(pcen.clone()));
            assert_streaming(make, &signal::noise(1.0, seed, 300), 1, seed);
        }
    }
}
