//! Mel bands: a spectrum as the ear spaces it, in power and in decibels.

use std::sync::Arc;

use upbeat_core::{ConfigError, SampleIndex, SampleRate, Stage};

use crate::math;
use crate::stft::{Spectrum, require_n_fft};

/// How pitch in mel follows from frequency in Hz.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MelScale {
    /// Linear below 1000 Hz (15 mel), logarithmic above, 27 mel per factor of 6.4: Slaney's "Auditory
    /// Toolbox", 1998; librosa's default.
    Slaney,
    /// `2595 log₁₀(1 + f / 700)`: O'Shaughnessy, "Speech communication", 1987; as HTK and Kaldi.
    Htk,
}

impl MelScale {
    /// The pitch of a frequency in Hz.
    #[must_use]
    pub fn mel(self, hz: f64) -> f64 {
        match self {
            Self::Slaney if hz < SLANEY_BREAK => hz / SLANEY_HZ_PER_MEL,
            Self::Slaney => SLANEY_BREAK_MEL + (hz / SLANEY_BREAK).ln() / slaney_log_step(),
            Self::Htk => 2595.0 * (1.0 + hz / 700.0).log10(),
        }
    }

    /// The frequency in Hz of a pitch.
    #[must_use]
    pub fn hz(self, mel: f64) -> f64 {
        match self {
            Self::Slaney if mel < SLANEY_BREAK_MEL => mel * SLANEY_HZ_PER_MEL,
            Self::Slaney => SLANEY_BREAK * ((mel - SLANEY_BREAK_MEL) * slaney_log_step()).exp(),
            Self::Htk => 700.0 * (10.0_f64.powf(mel / 2595.0) - 1.0),
        }
    }
}

/// How the filters are scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MelNorm {
    /// Each filter is divided by half its width in Hz, so that white noise has the same level in
    /// all; librosa's default.
    Slaney,
    /// Each filter has its peak at 1.
    None,
}

/// Over which axis the sides of the triangles are straight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MelTriangle {
    /// Over frequency, as librosa.
    Hertz,
    /// Over pitch, as HTK and Kaldi.
    Mel,
}

/// What of the spectrum the filters weigh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MelInput {
    /// `|X|²`.
    Power,
    /// `|X|`, as HTK's default.
    Magnitude,
}

/// Whose filterbank to be equal to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// `librosa.feature.melspectrogram`: 128 bands from 0 Hz, Slaney's scale and norm, of power.
    Librosa,
    /// HTK's FBANK with `NUMCHANS = 26`: from 0 Hz, triangles over pitch, of magnitude.
    Htk,
    /// Kaldi's `compute-fbank-feats`: 23 bands from 20 Hz, triangles over pitch, of power. Its
    /// frames are those of [`KaldiFrame`](crate::kaldi::KaldiFrame).
    Kaldi,
}

/// Settings of [`MelFilterbank`] and [`MelSpectrogram`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct MelConfig {
    /// The rate of the samples behind the spectra.
    pub sample_rate: SampleRate,
    /// The length of their transform.
    pub n_fft: usize,
    /// The number of bands, from 1 to [`MelFilterbank::MAX_MELS`]. Default: 128.
    pub n_mels: usize,
    /// Where the lowest band starts, in Hz, at least 0. Default: 0.
    pub fmin: f64,
    /// Where the highest band ends, in Hz, above `fmin`, at most half the sample rate. Default: half the sample rate.
    pub fmax: f64,
    /// Default: [`MelScale::Slaney`].
    pub scale: MelScale,
    /// Default: [`MelNorm::Slaney`].
    pub norm: MelNorm,
    /// Default: [`MelTriangle::Hertz`].
    pub triangle: MelTriangle,
    /// Default: [`MelInput::Power`].
    pub input: MelInput,
}

impl MelConfig {
    /// librosa's settings, for the spectra of `n_fft` samples at this rate.
    #[must_use]
    pub fn new(sample_rate: SampleRate, n_fft: usize) -> Self {
        Self {
            sample_rate,
            n_fft,
            n_mels: 128,
            fmin: 0.0,
            fmax: sample_rate.as_f64() / 2.0,
            scale: MelScale::Slaney,
            norm: MelNorm::Slaney,
            triangle: MelTriangle::Hertz,
            input: MelInput::Power,
        }
    }

    /// The settings of another toolkit.
    #[must_use]
    pub fn with_profile(profile: Profile, sample_rate: SampleRate, n_fft: usize) -> Self {
        let librosa = Self::new(sample_rate, n_fft);
        let over_pitch = Self {
            scale: MelScale::Htk,
            norm: MelNorm::None,
            triangle: MelTriangle::Mel,
            ..librosa
        };
        match profile {
            Profile::Librosa => librosa,
            Profile::Htk => Self { n_mels: 26, input: MelInput::Magnitude, ..over_pitch },
            Profile::Kaldi => Self { n_mels: 23, fmin: 20.0, ..over_pitch },
        }
    }

    fn check(&self) -> Result<(), ConfigError> {
        require_n_fft(self.n_fft)?;
        require_n_mels(self.n_mels)?;
        let half = self.sample_rate.as_f64() / 2.0;
        ConfigError::require(self.fmin >= 0.0, "fmin", "at least 0", self.fmin)?;
        let holds = self.fmax > self.fmin && self.fmax <= half;
        ConfigError::require(holds, "fmax", "above fmin, at most half the sample rate", self.fmax)
    }
}

/// The weights that make bands of bins, most of them 0; clones share them.
///
/// Triangles over the bins' frequencies, band `b` rising from edge `b` to edge `b + 1` and falling to edge
/// `b + 2` of `n_mels + 2` edges evenly spaced in mel from `fmin` to `fmax`, as `librosa.filters.mel`. Where
/// bins are farther apart than edges, a band may hold no bin and stay 0 (librosa warns of "empty
/// filters"; use fewer bands or a longer transform).
#[derive(Clone, Debug)]
pub struct MelFilterbank {
    n_bins: usize,
    rows: Arc<[Row]>,
    /// The weights of all rows, one after the other.
    weights: Arc<[f32]>,
}

/// Where a band's weights lie.
#[derive(Clone, Copy, Debug)]
struct Row {
    /// The first bin.
    bin: usize,
    /// The first weight.
    weight: usize,
    length: usize,
}

impl MelFilterbank {
    /// The most bands.
    pub const MAX_MELS: usize = 4096;

    /// Computes the weights in `f64`.
    ///
    /// # Errors
    ///
    /// If a setting is outside its range.
    pub fn new(config: &MelConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let n_bins = config.n_fft / 2 + 1;
        let (from, to) = (config.scale.mel(config.fmin), config.scale.mel(config.fmax));
        let step = (to - from) / (config.n_mels + 1) as f64;
        let edges: Vec<f64> = (0..config.n_mels + 2).map(|i| from + step * i as f64).collect();
        let bin_width = config.sample_rate.as_f64() / config.n_fft as f64;
        let mut rows = Vec::with_capacity(config.n_mels);
        let mut weights = Vec::new();
        for edges in edges.windows(3) {
            let hz = [0, 1, 2].map(|i| config.scale.hz(edges[i]));
            let height = match config.norm {
                MelNorm::Slaney => 2.0 / (hz[2] - hz[0]),
                MelNorm::None => 1.0,
            };
            let weight = |bin: usize| {
                let f = bin as f64 * bin_width;
                let (at, [low, centre, high]) = match config.triangle {
                    MelTriangle::Hertz => (f, hz),
                    MelTriangle::Mel => (config.scale.mel(f), [edges[0], edges[1], edges[2]]),
                };
                let triangle = ((at - low) / (centre - low)).min((high - at) / (high - centre));
                (height * triangle.max(0.0)) as f32
            };
            // One bin more to each side than can have weight.
            let first = (hz[0] / bin_width) as usize;
            let end = ((hz[2] / bin_width) as usize + 2).min(n_bins);
            let first = (first..end).find(|bin| weight(*bin) > 0.0).unwrap_or(end);
            let end = (first..end).rfind(|bin| weight(*bin) > 0.0).map_or(first, |last| last + 1);
            // Whole chunks, of weight 0 where the triangle is over, so that no remainder is left.
            let length = (end - first).next_multiple_of(CHUNK).min(n_bins);
            let bin = first.min(n_bins - length);
            rows.push(Row { bin, weight: weights.len(), length });
            weights.extend((bin..bin + length).map(weight));
        }
        Ok(Self { n_bins, rows: rows.into(), weights: weights.into() })
    }

    /// The number of bands.
    #[must_use]
    pub fn n_mels(&self) -> usize {
        self.rows.len()
    }

    /// The weights of band `band` for all bins.
    ///
    /// # Panics
    ///
    /// If there is no such band.
    #[must_use]
    pub fn weights(&self, band: usize) -> Vec<f32> {
        let Row { bin, weight, length } = self.rows[band];
        let mut all = vec![0.0; self.n_bins];
        all[bin..bin + length].copy_from_slice(&self.weights[weight..weight + length]);
        all
    }

    /// Puts the weighted sums of `bins` into `bands`.
    ///
    /// # Panics
    ///
    /// If there are not `n_fft / 2 + 1` bins and [`n_mels`](Self::n_mels) bands.
    pub fn apply(&self, bins: &[f32], bands: &mut [f32]) {
        assert_eq!(bins.len(), self.n_bins, "a spectrum holds n_fft / 2 + 1 bins");
        assert_eq!(bands.len(), self.rows.len(), "there are n_mels bands");
        for (band, Row { bin, weight, length }) in bands.iter_mut().zip(&*self.rows) {
            let weights = &self.weights[*weight..weight + length];
            *band = math::short_dot::<CHUNK>(&bins[*bin..bin + length], weights);
        }
    }
}

/// The power of each spectrum in mel bands: `mel[b] = Σ_k W[b, k] · |X[k]|²`.
///
/// The weights `W` are those of [`MelFilterbank`]; with the default settings, the values are those of
/// `librosa.feature.melspectrogram(center=False)`. 0 for silence. No memory.
///
/// ```
/// use upbeat_core::{FrameSpec, SampleIndex, SampleRate, Stage};
/// use upbeat_features::mel::{MelConfig, MelSpectrogram, LogMel, LogMelConfig};
/// use upbeat_features::stft::{Stft, StftConfig};
/// use upbeat_window::Framer;
///
/// let rate = SampleRate::new(44_100)?;
/// let mut log_mel = Framer::new(FrameSpec::new(2048, 512, rate)?)
///     .then(Stft::new(&StftConfig::new(2048))?)
///     .then(MelSpectrogram::new(&MelConfig::new(rate, 2048))?)
///     .then(LogMel::new(&LogMelConfig::new(128))?);
/// log_mel.process(SampleIndex(0), &[0.0; 2048], |_, bands| {
///     assert_eq!(bands.len(), 128);
///     assert!(bands.iter().all(|decibels| (decibels + 100.0).abs() < 1e-4)); // silence: the floor
/// });
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct MelSpectrogram {
    n_fft: usize,
    input: MelInput,
    filterbank: MelFilterbank,
    bands: Box<[f32]>,
}

impl MelSpectrogram {
    /// Allocates all that will ever be needed.
    ///
    /// # Errors
    ///
    /// If a setting is outside its range.
    pub fn new(config: &MelConfig) -> Result<Self, ConfigError> {
        let filterbank = MelFilterbank::new(config)?;
        let bands = vec![0.0; config.n_mels].into();
        Ok(Self { n_fft: config.n_fft, input: config.input, filterbank, bands })
    }
}

impl Stage for MelSpectrogram {
    type In = Spectrum;
    type Out = [f32];

    /// # Panics
    ///
    /// If the spectrum is of another `n_fft`.
    fn process(
        &mut self,
        at: SampleIndex,
        spectrum: &Spectrum,
        mut emit: impl FnMut(SampleIndex, &[f32]),
    ) {
        assert_eq!(spectrum.n_fft(), self.n_fft, "spectra are of the n_fft that was set");
        let bins = match self.input {
            MelInput::Power => spectrum.power(),
            MelInput::Magnitude => spectrum.magnitude(),
        };
        self.filterbank.apply(bins, &mut self.bands);
        emit(at, &self.bands);
    }

    fn reset(&mut self) {}
}

/// Settings of [`LogMel`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct LogMelConfig {
    /// Bands in each frame of powers, from 1 to [`MelFilterbank::MAX_MELS`].
    pub n_mels: usize,
    /// The power of 0 dB, from 1e-30 to 1e30. Default: 1.
    pub reference: f32,
    /// The power that less is taken for, from 1e-30 to 1e30: the floor. Default: 1e-10.
    pub amin: f32,
}

impl LogMelConfig {
    /// librosa's settings.
    #[must_use]
    pub const fn new(n_mels: usize) -> Self {
        Self { n_mels, reference: 1.0, amin: 1e-10 }
    }
}

/// Powers in decibels: `10 log₁₀(max(S, amin) / reference)`, `librosa.power_to_db(top_db=None)`.
///
/// librosa's default has a second floor, 80 dB below the loudest value of the whole recording
/// (`top_db=80`). What is still to come cannot be known, so here the floor is fixed: `amin`, −100 dB. For
/// quieter floors than librosa's in a clean recording, raise `amin`. No memory.
///
/// ```
/// use upbeat_core::{SampleIndex, Stage};
/// use upbeat_features::mel::{LogMel, LogMelConfig};
///
/// let mut log_mel = LogMel::new(&LogMelConfig::new(3))?;
/// log_mel.process(SampleIndex(0), &[1.0, 100.0, 0.0], |_, bands| {
///     assert!(bands.iter().zip([0.0, 20.0, -100.0]).all(|(db, expected)| (db - expected).abs() < 1e-4));
/// });
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct LogMel {
    amin: f32,
    /// The reference in decibels.
    zero: f32,
    bands: Box<[f32]>,
}

impl LogMel {
    /// Allocates all that will ever be needed.
    ///
    /// # Errors
    ///
    /// If a setting is outside its range.
    pub fn new(config: &LogMelConfig) -> Result<Self, ConfigError> {
        let LogMelConfig { n_mels, reference, amin } = *config;
        require_n_mels(n_mels)?;
        for (parameter, power) in [("reference", reference), ("amin", amin)] {
            let holds = (1e-30..=1e30).contains(&power);
            ConfigError::require(holds, parameter, "from 1e-30 to 1e30", power)?;
        }
        let zero = 10.0 * reference.max(amin).log10();
        Ok(Self { amin, zero, bands: vec![0.0; n_mels].into() })
    }
}

impl Stage for LogMel {
    type In = [f32];
    type Out = [f32];

    /// # Panics
    ///
    /// If the frame does not hold `n_mels` powers.
    fn process(
        &mut self,
        at: SampleIndex,
        powers: &[f32],
        mut emit: impl FnMut(SampleIndex, &[f32]),
    ) {
        assert_eq!(powers.len(), self.bands.len(), "a frame holds n_mels powers");
        let (amin, zero) = (self.amin, self.zero);
        for (band, power) in self.bands.iter_mut().zip(powers) {
            let power = if *power > amin { *power } else { amin };
            *band = math::power_to_db(power) - zero;
        }
        emit(at, &self.bands);
    }

    fn reset(&mut self) {}
}

/// # Errors
///
/// If no filterbank has this many bands.
pub(crate) fn require_n_mels(n_mels: usize) -> Result<(), ConfigError> {
    let holds = (1..=MelFilterbank::MAX_MELS).contains(&n_mels);
    ConfigError::require(holds, "n_mels", "from 1 to 4096", n_mels)
}

fn slaney_log_step() -> f64 {
    6.4_f64.ln() / 27.0
}

/// Where Slaney's scale turns from linear to logarithmic, in Hz.
const SLANEY_BREAK: f64 = 1000.0;
const SLANEY_HZ_PER_MEL: f64 = 200.0 / 3.0;
const SLANEY_BREAK_MEL: f64 = 15.0;
/// Weights come in multiples of this many.
const CHUNK: usize = 8;

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

    /// The definition, in dense rows.
    fn naive(config: &MelConfig, bin: usize, band: usize) -> f64 {
        let scale = config.scale;
        let (from, to) = (scale.mel(config.fmin), scale.mel(config.fmax));
        let edge = |i: usize| from + (to - from) * i as f64 / (config.n_mels + 1) as f64;
        let hz = config.sample_rate.as_f64() * bin as f64 / config.n_fft as f64;
        let axis = |mel: f64| if config.triangle == MelTriangle::Mel { mel } else { scale.hz(mel) };
        let [low, centre, high] = [band, band + 1, band + 2].map(|i| axis(edge(i)));
        let at = if config.triangle == MelTriangle::Mel { scale.mel(hz) } else { hz };
        let triangle = if at <= low || at >= high {
            0.0
        } else if at <= centre {
            (at - low) / (centre - low)
        } else {
            (high - at) / (high - centre)
        };
        match config.norm {
            MelNorm::None => triangle,
            MelNorm::Slaney => 2.0 * triangle / (scale.hz(edge(band + 2)) - scale.hz(edge(band))),
        }
    }

    #[test]
    fn absurd_settings_are_refused_by_name() {
        let refused = |change: fn(&mut MelConfig)| {
            let mut config = MelConfig::new(rate(16_000), 512);
            change(&mut config);
            MelSpectrogram::new(&config).unwrap_err().parameter()
        };
        assert_eq!(refused(|c| c.n_fft = 0), "n_fft");
        assert_eq!(refused(|c| c.n_mels = 0), "n_mels");
        assert_eq!(refused(|c| c.n_mels = usize::MAX), "n_mels");
        assert_eq!(refused(|c| c.fmin = f64::NAN), "fmin");
        assert_eq!(refused(|c| c.fmax = f64::NAN), "fmax");
        assert_eq!(refused(|c| c.fmax = 8000.1), "fmax");
        assert_eq!(refused(|c| c.fmin = 8000.0), "fmax");
        let mut config = LogMelConfig::new(0);
        assert_eq!(LogMel::new(&config).unwrap_err().parameter(), "n_mels");
        config = LogMelConfig::new(1);
        config.amin = f32::NAN;
        assert_eq!(LogMel::new(&config).unwrap_err().parameter(), "amin");
    }

    #[test]
    fn decibels_have_a_reference_and_a_floor_and_no_nan() {
        let mut config = LogMelConfig::new(4);
        config.reference = 100.0;
        config.amin = 1e-3;
        let mut stage = LogMel::new(&config).unwrap();
        stage.process(SampleIndex(0), &[100.0, 1.0, f32::NAN, -1.0], |_, bands| {
            for (found, expected) in bands.iter().zip([0.0, -20.0, -50.0, -50.0]) {
                assert!((found - expected).abs() < 1e-4);
            }
        });
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn scales_are_inverse_and_rise(hz in 0.0_f64..30_000.0) {
            for scale in [MelScale::Slaney, MelScale::Htk] {
                prop_assert!((scale.hz(scale.mel(hz)) - hz).abs() < 1e-9 * hz.max(1.0));
                prop_assert!(scale.mel(hz + 1.0) > scale.mel(hz));
            }
        }

        #[test]
        fn bands_equal_their_definition(
            n_fft in 2_usize..700,
            n_mels in 1_usize..60,
            fmin in 0.0_f64..3000.0,
            width in 10.0_f64..5000.0,
            profile in 0_usize..3,
            seed: u64,
        ) {
            let profile = [Profile::Librosa, Profile::Htk, Profile::Kaldi][profile];
            let mut config = MelConfig::with_profile(profile, rate(16_000), n_fft);
            (config.n_mels, config.fmin, config.fmax) = (n_mels, fmin, fmin + width);
            let filterbank = MelFilterbank::new(&config).unwrap();
            let n_bins = n_fft / 2 + 1;
            let bins: Vec<f32> = signal::noise(1.0, seed, n_bins).iter().map(|x| x * x).collect();
            let mut bands = vec![f32::NAN; n_mels];
            filterbank.apply(&bins, &mut bands);
            for (band, found) in bands.iter().enumerate() {
                let dense = filterbank.weights(band);
                let mut exact = 0.0;
                for (bin, (power, weight)) in bins.iter().zip(&dense).enumerate() {
                    let expected = naive(&config, bin, band);
                    prop_assert!((f64::from(*weight) - expected).abs() < 1e-7, "{band} {bin}");
                    exact += f64::from(*power) * expected;
                }
                prop_assert!((f64::from(*found) - exact).abs() < 1e-6 * exact.max(1.0));
            }
        }

        #[test]
        fn any_split_gives_the_same(hop in 1_usize..100, seed: u64) {
            let spec = FrameSpec::new(64, hop, rate(16_000)).unwrap();
            let mut config = MelConfig::new(rate(16_000), 64);
            config.n_mels = 10;
            let stft = Stft::new(&StftConfig::new(64)).unwrap();
            let mel = MelSpectrogram::new(&config).unwrap();
            let decibels = LogMel::new(&LogMelConfig::new(10)).unwrap();
            let chain = || Framer::new(spec).then(stft.clone()).then(mel.clone()).then(decibels.clone());
            assert_streaming(|| streamed!(chain()), &signal::noise(1.0, seed, 500), 1, seed);
        }
    }
}
