//! Power in mel bands, and its logarithm.

use upbeat_core::{ConfigError, SampleIndex, SampleRate, Stage};

use crate::math::{dot, power_to_db};
use crate::stft::{Spectrum, require_n_fft};

/// How frequency becomes pitch as the ear spaces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MelScale {
    /// Linear below 1 kHz, logarithmic above: M. Slaney, "Auditory Toolbox", 1998; librosa's default.
    Slaney,
    /// `2595 log10(1 + f / 700)`: O'Shaughnessy, "Speech Communication", 1987; used by HTK and Kaldi.
    Htk,
}

impl MelScale {
    /// A frequency in Hz as mel; `librosa.hz_to_mel`.
    #[must_use]
    pub fn mel(self, hz: f64) -> f64 {
        match self {
            Self::Slaney if hz < BREAK_HZ => hz / HZ_PER_MEL,
            Self::Slaney => BREAK_HZ / HZ_PER_MEL + (hz / BREAK_HZ).ln() / LOG_STEP,
            Self::Htk => 2595.0 * (1.0 + hz / 700.0).log10(),
        }
    }

    /// A pitch in mel as Hz; `librosa.mel_to_hz`.
    #[must_use]
    pub fn hz(self, mel: f64) -> f64 {
        let break_mel = BREAK_HZ / HZ_PER_MEL;
        match self {
            Self::Slaney if mel < break_mel => mel * HZ_PER_MEL,
            Self::Slaney => BREAK_HZ * ((mel - break_mel) * LOG_STEP).exp(),
            Self::Htk => 700.0 * (10_f64.powf(mel / 2595.0) - 1.0),
        }
    }
}

/// How the triangles of a mel filterbank are scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MelNorm {
    /// Each triangle has area 1 over Hz, so that bands of noise are level; librosa's default.
    Slaney,
    /// Each triangle has height 1.
    None,
}

/// Over what the sides of a band's triangle are straight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MelTriangle {
    /// Over Hz, as in librosa.
    Hertz,
    /// Over mel, as in HTK and Kaldi.
    Mel,
}

/// Whose filterbank to be equal to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Profile {
    /// `librosa.filters.mel`: 128 bands of area 1 on the Slaney scale, from 0 Hz to the Nyquist frequency.
    #[default]
    Librosa,
    /// HTK's `FBANK`: 26 bands of height 1 on the HTK scale, sides straight over mel.
    Htk,
    /// Kaldi's `fbank`: 23 such bands from 20 Hz on.
    Kaldi,
}

/// Settings of [`MelSpectrogram`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct MelConfig {
    /// The rate of the samples.
    pub sample_rate: SampleRate,
    /// The length of the transform that the spectra come from.
    pub n_fft: usize,
    /// Bands, from 1 to 4096. Default: 128.
    pub n_mels: usize,
    /// Lower edge of the first band, in Hz, at least 0. Default: 0.
    pub fmin: f32,
    /// Upper edge of the last band, in Hz, above `fmin` and at most the Nyquist frequency.
    /// Default: the Nyquist frequency.
    pub fmax: f32,
    /// Where the bands lie. Default: Slaney.
    pub scale: MelScale,
    /// How they are scaled. Default: Slaney.
    pub norm: MelNorm,
    /// Their form. Default: straight over Hz.
    pub triangle: MelTriangle,
}

impl MelConfig {
    /// librosa's settings.
    #[must_use]
    pub fn new(sample_rate: SampleRate, n_fft: usize) -> Self {
        Self {
            sample_rate,
            n_fft,
            n_mels: 128,
            fmin: 0.0,
            fmax: (sample_rate.as_f64() / 2.0) as f32,
            scale: MelScale::Slaney,
            norm: MelNorm::Slaney,
            triangle: MelTriangle::Hertz,
        }
    }

    /// The settings of another library's filterbank.
    #[must_use]
    pub fn with_profile(profile: Profile, sample_rate: SampleRate, n_fft: usize) -> Self {
        let librosa = Self::new(sample_rate, n_fft);
        let htk = Self {
            n_mels: 26,
            scale: MelScale::Htk,
            norm: MelNorm::None,
            triangle: MelTriangle::Mel,
            ..librosa
        };
        match profile {
            Profile::Librosa => librosa,
            Profile::Htk => htk,
            Profile::Kaldi => Self { n_mels: 23, fmin: 20.0, ..htk },
        }
    }

    fn check(&self) -> Result<(), ConfigError> {
        let Self { sample_rate, n_fft, n_mels, fmin, fmax, .. } = *self;
        require_n_fft(n_fft)?;
        ConfigError::require((1..=4096).contains(&n_mels), "n_mels", "from 1 to 4096", n_mels)?;
        ConfigError::require(fmin >= 0.0, "fmin", "at least 0 Hz", fmin)?;
        ConfigError::require(fmax > fmin, "fmax", "above fmin", fmax)?;
        let nyquist = sample_rate.as_f64() / 2.0;
        let most = format!("at most half the sample rate, {nyquist} Hz");
        ConfigError::require(f64::from(fmax) <= nyquist, "fmax", &most, fmax)
    }

    /// The edges and centres of the bands: `n_mels + 2` points, in mel.
    fn points(&self) -> Vec<f64> {
        let (low, high) = (self.scale.mel(self.fmin.into()), self.scale.mel(self.fmax.into()));
        let step = (high - low) / (self.n_mels + 1) as f64;
        (0..self.n_mels + 2).map(|i| low + step * i as f64).collect()
    }
}

/// Power in mel bands: `mel[m] = Σ_k W[m, k] · |X[k]|²`.
///
/// The bands are triangles, evenly spaced in mel; band `m` rises from the centre of the band below to its
/// own and falls to that of the band above. As `librosa.feature.melspectrogram` (power 2), with the
/// filters of `librosa.filters.mel`. In units of the spectrum's power. There is no memory.
///
/// # Examples
///
/// ```
/// use upbeat_core::{FrameSpec, SampleIndex, SampleRate, Stage};
/// use upbeat_features::mel::{LogMel, LogMelConfig, MelConfig, MelSpectrogram};
/// use upbeat_features::stft::{Stft, StftConfig};
/// use upbeat_window::Framer;
///
/// let rate = SampleRate::new(48_000)?;
/// let mut log_mel = Framer::new(FrameSpec::new(2048, 512, rate)?)
///     .then(Stft::new(&StftConfig::new(2048))?)
///     .then(MelSpectrogram::new(&MelConfig::new(rate, 2048))?)
///     .then(LogMel::new(&LogMelConfig::new(128))?);
/// log_mel.process(SampleIndex(0), &[0.0; 2048], |_, levels| {
///     assert_eq!(levels.len(), 128);
///     assert!((levels[0] + 100.0).abs() < 1e-4); // silence, at the floor of −100 dB
/// });
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct MelSpectrogram {
    filters: Box<[Filter]>,
    n_bins: usize,
    bands: Box<[f32]>,
}

/// The part of a triangle that is not 0.
#[derive(Clone, Debug)]
struct Filter {
    start: usize,
    weights: Box<[f32]>,
}

impl MelSpectrogram {
    /// Computes the filters.
    ///
    /// # Errors
    ///
    /// If a setting is out of its range.
    pub fn new(config: &MelConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let points = config.points();
        let filters = points.windows(3).map(|edges| filter(config, edges)).collect();
        let bands = vec![0.0; config.n_mels].into();
        Ok(Self { filters, n_bins: config.n_fft / 2 + 1, bands })
    }

    /// The weight of bin `k` in band `band`, 0 outside its triangle.
    ///
    /// # Panics
    ///
    /// If there is no such band.
    #[must_use]
    pub fn weight(&self, band: usize, k: usize) -> f32 {
        let Filter { start, weights } = &self.filters[band];
        k.checked_sub(*start).and_then(|i| weights.get(i)).copied().unwrap_or(0.0)
    }
}

impl Stage for MelSpectrogram {
    type In = Spectrum;
    type Out = [f32];

    /// # Panics
    ///
    /// If the spectrum is not of `n_fft` samples.
    fn process(
        &mut self,
        at: SampleIndex,
        spectrum: &Spectrum,
        mut emit: impl FnMut(SampleIndex, &[f32]),
    ) {
        let power = spectrum.power();
        assert_eq!(power.len(), self.n_bins, "a spectrum of n_fft / 2 + 1 bins");
        for (band, filter) in self.bands.iter_mut().zip(&self.filters) {
            *band = dot(&power[filter.start..], &filter.weights);
        }
        emit(at, &self.bands);
    }

    fn reset(&mut self) {}
}

/// Settings of [`LogMel`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct LogMelConfig {
    /// Bands in each input, at least 1.
    pub n_mels: usize,
    /// The power that is 0 dB, above 0. Default: 1.
    pub reference: f32,
    /// The least power told apart, at least 1e-37. Default: 1e-10.
    pub amin: f32,
}

impl LogMelConfig {
    /// librosa's settings, for `n_mels` bands.
    #[must_use]
    pub const fn new(n_mels: usize) -> Self {
        Self { n_mels, reference: 1.0, amin: 1e-10 }
    }
}

/// Powers in decibels: `10 log10(max(amin, S) / max(amin, reference))`.
///
/// As `librosa.power_to_db(S, ref=reference, amin=amin, top_db=None)`. librosa's default `top_db=80`, 80 dB
/// below the loudest value of the whole recording, cannot be had of a stream; here the floor is fixed at
/// `amin`. There is no memory.
///
/// # Examples
///
/// ```
/// use upbeat_core::{SampleIndex, Stage};
/// use upbeat_features::mel::{LogMel, LogMelConfig};
///
/// let mut log_mel = LogMel::new(&LogMelConfig::new(3))?;
/// log_mel.process(SampleIndex(0), &[1.0, 0.1, 0.0], |_, levels| {
///     for (level, expected) in levels.iter().zip([0.0, -10.0, -100.0]) {
///         assert!((level - expected).abs() < 1e-4);
///     }
/// });
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct LogMel {
    amin: f32,
    reference_db: f32,
    levels: Box<[f32]>,
}

impl LogMel {
    /// Allocates one frame.
    ///
    /// # Errors
    ///
    /// If a setting is out of its range.
    pub fn new(config: &LogMelConfig) -> Result<Self, ConfigError> {
        let LogMelConfig { n_mels, reference, amin } = *config;
        ConfigError::require((1..=4096).contains(&n_mels), "n_mels", "from 1 to 4096", n_mels)?;
        let above_0 = reference > 0.0 && reference.is_finite();
        ConfigError::require(above_0, "reference", "above 0", reference)?;
        ConfigError::require((1e-37..=1.0).contains(&amin), "amin", "from 1e-37 to 1", amin)?;
        let reference_db = 10.0 * reference.max(amin).log10();
        Ok(Self { amin, reference_db, levels: vec![0.0; n_mels].into() })
    }
}

impl Stage for LogMel {
    type In = [f32];
    type Out = [f32];

    /// # Panics
    ///
    /// If there are not `n_mels` powers.
    fn process(
        &mut self,
        at: SampleIndex,
        powers: &[f32],
        mut emit: impl FnMut(SampleIndex, &[f32]),
    ) {
        assert_eq!(powers.len(), self.levels.len(), "a frame holds n_mels powers");
        for (level, power) in self.levels.iter_mut().zip(powers) {
            let power = if *power > self.amin { *power } else { self.amin };
            *level = power_to_db(power) - self.reference_db;
        }
        emit(at, &self.levels);
    }

    fn reset(&mut self) {}
}

/// The triangle over these three points, in mel.
fn filter(config: &MelConfig, edges: &[f64]) -> Filter {
    let bin_hz = config.sample_rate.as_f64() / config.n_fft as f64;
    // The Slaney scale's points go to Hz, where its triangles are straight; those of HTK stay in mel.
    let place = |mel: f64| match config.triangle {
        MelTriangle::Hertz => config.scale.hz(mel),
        MelTriangle::Mel => mel,
    };
    let [low, centre, high] = [edges[0], edges[1], edges[2]].map(place);
    let scale = match config.norm {
        MelNorm::Slaney => 2.0 / (config.scale.hz(edges[2]) - config.scale.hz(edges[0])),
        MelNorm::None => 1.0,
    };
    let weight = |k: usize| {
        let hz = k as f64 * bin_hz;
        let x = match config.triangle {
            MelTriangle::Hertz => hz,
            MelTriangle::Mel => config.scale.mel(hz),
        };
        let side = ((x - low) / (centre - low)).min((high - x) / (high - centre));
        (side.max(0.0) * scale) as f32
    };
    let all: Vec<f32> = (0..=config.n_fft / 2).map(weight).collect();
    let start = all.iter().position(|w| *w > 0.0).unwrap_or(0);
    let end = all.iter().rposition(|w| *w > 0.0).map_or(start, |last| last + 1);
    Filter { start, weights: all[start..end].into() }
}

/// Where the Slaney scale becomes logarithmic, and how.
const BREAK_HZ: f64 = 1000.0;
const HZ_PER_MEL: f64 = 200.0 / 3.0;
/// ln(6.4) / 27
const LOG_STEP: f64 = 0.068_751_777_420_949_12;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use upbeat_core::FrameSpec;
    use upbeat_testkit::streaming::assert_streaming;
    use upbeat_testkit::{signal, streamed};
    use upbeat_window::Framer;

    use crate::stft::{Stft, StftConfig};

    fn rate(hz: u32) -> SampleRate {
        SampleRate::new(hz).unwrap()
    }

    #[test]
    fn scales_have_their_published_points() {
        assert!((MelScale::Slaney.mel(1000.0) - 15.0).abs() < 1e-12);
        assert!((MelScale::Slaney.mel(6400.0) - 42.0).abs() < 1e-12);
        assert!((MelScale::Htk.mel(1000.0) - 999.985_5).abs() < 1e-3);
        assert!((LOG_STEP - 6.4_f64.ln() / 27.0).abs() < 1e-16);
        for scale in [MelScale::Slaney, MelScale::Htk] {
            for hz in [0.0, 50.0, 999.0, 1000.0, 1001.0, 20_000.0] {
                assert!((scale.hz(scale.mel(hz)) - hz).abs() < 1e-8, "{scale:?} {hz}");
            }
        }
    }

    #[test]
    fn triangles_of_height_1_add_up_to_1_between_the_outer_centres() {
        for triangle in [MelTriangle::Hertz, MelTriangle::Mel] {
            let mut config = MelConfig::with_profile(Profile::Htk, rate(16_000), 512);
            config.triangle = triangle;
            let mel = MelSpectrogram::new(&config).unwrap();
            let points: Vec<f64> = config.points().iter().map(|m| config.scale.hz(*m)).collect();
            for k in 0..=256 {
                let hz = k as f64 * 16_000.0 / 512.0;
                if hz > points[1] && hz < points[config.n_mels] {
                    let sum: f32 = (0..config.n_mels).map(|band| mel.weight(band, k)).sum();
                    assert!((sum - 1.0).abs() < 1e-6, "{triangle:?} at {hz} Hz: {sum}");
                }
            }
        }
    }

    #[test]
    fn kaldi_bands_are_those_of_its_formula() {
        // From Kaldi's documentation of compute-fbank-feats: mel(f) = 1127 ln(1 + f/700), bands evenly from
        // mel(20) to mel(nyquist), triangles over mel.
        let config = MelConfig::with_profile(Profile::Kaldi, rate(16_000), 512);
        let mel = MelSpectrogram::new(&config).unwrap();
        let scale = |hz: f64| 1127.0 * (1.0 + hz / 700.0).ln();
        let step = (scale(8000.0) - scale(20.0)) / 24.0;
        for band in 0..23 {
            let left = scale(20.0) + step * band as f64;
            for k in 0..256 {
                let x = (scale(k as f64 * 31.25) - left) / step;
                let expected = x.min(2.0 - x).max(0.0);
                assert!((f64::from(mel.weight(band, k)) - expected).abs() < 1e-3, "{band} {k}");
            }
        }
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let refused = |change: fn(&mut MelConfig)| {
            let mut config = MelConfig::new(rate(8000), 256);
            change(&mut config);
            MelSpectrogram::new(&config).unwrap_err().to_string()
        };
        assert!(refused(|c| c.n_mels = 0).starts_with("n_mels"));
        assert!(refused(|c| c.n_mels = usize::MAX).starts_with("n_mels"));
        assert!(refused(|c| c.fmin = f32::NAN).starts_with("fmin"));
        assert!(refused(|c| c.fmax = 0.0).starts_with("fmax"));
        assert_eq!(
            refused(|c| c.fmax = 5000.0),
            "fmax must be at most half the sample rate, 4000 Hz, got 5000"
        );
        let refused = |change: fn(&mut LogMelConfig)| {
            let mut config = LogMelConfig::new(8);
            change(&mut config);
            LogMel::new(&config).unwrap_err().parameter()
        };
        assert_eq!(refused(|c| c.amin = 0.0), "amin");
        assert_eq!(refused(|c| c.reference = f32::NAN), "reference");
        assert_eq!(refused(|c| c.n_mels = 0), "n_mels");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn any_split_gives_the_same(n_mels in 1_usize..40, hop in 1_usize..300, seed: u64) {
            let spec = FrameSpec::new(256, hop, rate(8000)).unwrap();
            let stft = Stft::new(&StftConfig::new(256)).unwrap();
            let mut config = MelConfig::new(rate(8000), 256);
            config.n_mels = n_mels;
            let mel = MelSpectrogram::new(&config).unwrap();
            let log = LogMel::new(&LogMelConfig::new(n_mels)).unwrap();
            let chain = stft.then(mel).then(log);
            let make = || streamed!(Framer::new(spec).then(chain.clone()));
            assert_streaming(make, &signal::noise(0.5, seed, 2000), 1, seed);
        }

        #[test]
        fn bands_are_the_weighted_sums(seed: u64, n_mels in 1_usize..60) {
            let mut config = MelConfig::new(rate(22_050), 512);
            config.n_mels = n_mels;
            let mut mel = MelSpectrogram::new(&config).unwrap();
            let spectrum = Spectrum::from_magnitude(512, &signal::noise(1.0, seed, 257)).unwrap();
            let weights = mel.clone();
            mel.process(SampleIndex(0), &spectrum, |_, bands| {
                for (band, found) in bands.iter().enumerate() {
                    let sum = |k| f64::from(weights.weight(band, k)) * f64::from(spectrum.power()[k]);
                    let expected: f64 = (0..257).map(sum).sum();
                    assert!((f64::from(*found) - expected).abs() < 1e-6 * (expected + 1e-6));
                }
            });
        }
    }
}
