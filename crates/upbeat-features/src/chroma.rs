//! Chroma: how much of each pitch class is heard, from C to B.

use upbeat_core::{ConfigError, SampleIndex, SampleRate, Stage};

use crate::stft::{Spectrum, require_n_fft};

/// The number of pitch classes, C first.
pub const N_CHROMA: usize = 12;

/// Settings of [`ChromaStft`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ChromaStftConfig {
    /// The rate of the samples.
    pub sample_rate: SampleRate,
    /// The length of the transform that the spectra come from.
    pub n_fft: usize,
    /// How far the music is tuned from A4 = 440 Hz, in fractions of a semitone, −0.5 to 0.5.
    /// Default: 0. librosa estimates it from the whole recording first, which no stream can.
    pub tuning: f32,
    /// The octave, counted from A0 as librosa does, at the centre of the weighting. Default: 5.
    pub ctroct: f32,
    /// The standard deviation of that weighting in octaves, above 0; infinite for none. Default: 2.
    pub octwidth: f32,
}

impl ChromaStftConfig {
    /// librosa's settings.
    #[must_use]
    pub const fn new(sample_rate: SampleRate, n_fft: usize) -> Self {
        Self { sample_rate, n_fft, tuning: 0.0, ctroct: 5.0, octwidth: 2.0 }
    }
}

/// Chroma of a spectrum: power per pitch class, the largest being 1.
///
/// `raw[c] = Σ_k W[c, k] · |X[k]|²`, `chroma[c] = raw[c] / max_c raw[c]`, as
/// `librosa.feature.chroma_stft(norm=inf)` with the filterbank of `librosa.filters.chroma`: a Gaussian
/// about each pitch class, one semitone or one bin wide, scaled to Euclidean norm 1 over the classes of
/// each bin, times a Gaussian over octaves. After D. P. W. Ellis, "Chroma feature analysis and
/// synthesis", 2007. Classes from C to B. All 0 where the frame is silent. There is no memory.
///
/// # Examples
///
/// ```
/// use upbeat_core::{FrameSpec, SampleIndex, SampleRate, Stage};
/// use upbeat_features::chroma::{ChromaStft, ChromaStftConfig};
/// use upbeat_features::stft::{Stft, StftConfig};
/// use upbeat_window::Framer;
///
/// let rate = SampleRate::new(44_100)?;
/// let mut chroma = Framer::new(FrameSpec::new(4096, 1024, rate)?)
///     .then(Stft::new(&StftConfig::new(4096))?)
///     .then(ChromaStft::new(&ChromaStftConfig::new(rate, 4096))?);
/// let a4 = |n: u16| (std::f32::consts::TAU * 440.0 * f32::from(n) / 44_100.0).sin();
/// let samples: Vec<f32> = (0..4096).map(a4).collect();
/// chroma.process(SampleIndex(0), &samples, |_, chroma| {
///     assert_eq!(chroma[9], 1.0); // A
///     assert!(chroma[3] < 0.01); // D♯, the farthest from it
/// });
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ChromaStft {
    /// The filterbank, the classes of a bin side by side.
    weights: Box<[[f32; N_CHROMA]]>,
}

impl ChromaStft {
    /// Computes the filterbank.
    ///
    /// # Errors
    ///
    /// If a setting is out of its range.
    pub fn new(config: &ChromaStftConfig) -> Result<Self, ConfigError> {
        let weights = chroma_filterbank(config, N_CHROMA)?;
        Ok(Self { weights: weights.as_chunks().0.into() })
    }

    /// The filterbank, `weights()[k][c]` for bin `k` and pitch class `c`.
    #[must_use]
    pub fn weights(&self) -> &[[f32; N_CHROMA]] {
        &self.weights
    }
}

impl Stage for ChromaStft {
    type In = Spectrum;
    type Out = [f32; N_CHROMA];

    /// # Panics
    ///
    /// If the spectrum is not of `n_fft` samples.
    fn process(
        &mut self,
        at: SampleIndex,
        spectrum: &Spectrum,
        mut emit: impl FnMut(SampleIndex, &[f32; N_CHROMA]),
    ) {
        let power = spectrum.power();
        assert_eq!(power.len(), self.weights.len(), "a spectrum of n_fft / 2 + 1 bins");
        // Four sums per class hide the latency of addition.
        let mut sums = [[0.0; N_CHROMA]; 4];
        let (bins, rest) = power.as_chunks::<4>();
        let (weights, weights_rest) = self.weights.as_chunks::<4>();
        for (bins, weights) in bins.iter().zip(weights) {
            for ((sum, weights), power) in sums.iter_mut().zip(weights).zip(bins) {
                for (sum, weight) in sum.iter_mut().zip(weights) {
                    *sum += weight * power;
                }
            }
        }
        for (power, weights) in rest.iter().zip(weights_rest) {
            for (sum, weight) in sums[0].iter_mut().zip(weights) {
                *sum += weight * power;
            }
        }
        let mut chroma =
            std::array::from_fn(|c| (sums[0][c] + sums[1][c]) + (sums[2][c] + sums[3][c]));
        scale_to_1(&mut chroma);
        emit(at, &chroma);
    }

    fn reset(&mut self) {}
}

/// Settings of [`ChromaCqt`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ChromaCqtConfig {
    /// Bins in each input, at least 1.
    pub n_bins: usize,
    /// Bins per octave, a multiple of 12.
    pub bins_per_octave: usize,
    /// Frequency of the first bin, in Hz, above 0.
    pub fmin: f32,
}

impl ChromaCqtConfig {
    /// For the outputs of a [`Cqt`](crate::cqt::Cqt) with these settings.
    #[must_use]
    pub const fn new(cqt: &crate::cqt::CqtConfig) -> Self {
        Self { n_bins: cqt.n_bins, bins_per_octave: cqt.bins_per_octave, fmin: cqt.fmin }
    }
}

/// Chroma of a constant-Q spectrum: magnitude per pitch class, the largest being 1.
///
/// `raw[c]` is the sum of the magnitudes of all bins whose nearest pitch class is `c`,
/// `chroma[c] = raw[c] / max_c raw[c]`, as `librosa.feature.chroma_cqt(C=…)`. Classes from C to B. All 0
/// where the frame is silent. There is no memory.
///
/// # Examples
///
/// ```
/// use upbeat_core::{SampleIndex, SampleRate, Stage};
/// use upbeat_features::chroma::{ChromaCqt, ChromaCqtConfig};
/// use upbeat_features::cqt::CqtConfig;
///
/// let cqt = CqtConfig::new(SampleRate::new(44_100)?); // 84 bins from C1 on
/// let mut chroma = ChromaCqt::new(&ChromaCqtConfig::new(&cqt))?;
/// let mut magnitudes = [0.0; 84];
/// (magnitudes[0], magnitudes[12], magnitudes[7]) = (1.0, 3.0, 2.0); // C1, C2, G1
/// chroma.process(SampleIndex(0), &magnitudes, |_, chroma| {
///     assert_eq!((chroma[0], chroma[7]), (1.0, 0.5));
/// });
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ChromaCqt {
    /// The pitch class of each bin.
    classes: Box<[u8]>,
}

impl ChromaCqt {
    /// Finds each bin's pitch class.
    ///
    /// # Errors
    ///
    /// If a setting is out of its range.
    pub fn new(config: &ChromaCqtConfig) -> Result<Self, ConfigError> {
        let ChromaCqtConfig { n_bins, bins_per_octave, fmin } = *config;
        ConfigError::require((1..=4096).contains(&n_bins), "n_bins", "from 1 to 4096", n_bins)?;
        let multiple = bins_per_octave > 0 && bins_per_octave.is_multiple_of(N_CHROMA);
        ConfigError::require(multiple, "bins_per_octave", "a multiple of 12", bins_per_octave)?;
        ConfigError::require(fmin > 0.0 && fmin.is_finite(), "fmin", "above 0 Hz", fmin)?;
        let merge = bins_per_octave / N_CHROMA;
        let first = (69.0 + 12.0 * (f64::from(fmin) / 440.0).log2()).round().rem_euclid(12.0);
        let class = |bin: usize| ((bin + merge / 2) / merge + first as usize) % N_CHROMA;
        Ok(Self { classes: (0..n_bins).map(|bin| class(bin) as u8).collect() })
    }
}

impl Stage for ChromaCqt {
    type In = [f32];
    type Out = [f32; N_CHROMA];

    /// # Panics
    ///
    /// If there are not `n_bins` magnitudes.
    fn process(
        &mut self,
        at: SampleIndex,
        magnitudes: &[f32],
        mut emit: impl FnMut(SampleIndex, &[f32; N_CHROMA]),
    ) {
        assert_eq!(magnitudes.len(), self.classes.len(), "a frame holds n_bins magnitudes");
        let mut chroma = [0.0; N_CHROMA];
        for (magnitude, class) in magnitudes.iter().zip(&self.classes) {
            chroma[usize::from(*class)] += magnitude;
        }
        scale_to_1(&mut chroma);
        emit(at, &chroma);
    }

    fn reset(&mut self) {}
}

/// Divides by the largest value, unless all are as good as 0.
fn scale_to_1(chroma: &mut [f32; N_CHROMA]) {
    let largest = chroma.iter().copied().fold(0.0, f32::max);
    if largest >= f32::MIN_POSITIVE {
        for value in chroma {
            *value /= largest;
        }
    }
}

/// The filterbank of `librosa.filters.chroma` for `n_chroma` classes per octave, a multiple of 12: for each of
/// the `n_fft / 2 + 1` bins one weight per class, from C on.
///
/// [`ChromaStft`] uses it with 12 classes; with more, `tuning` is in fractions of a class.
///
/// # Errors
///
/// If a setting is out of its range, or `n_chroma` is not 12, 24, … 120.
pub fn chroma_filterbank(
    config: &ChromaStftConfig,
    n_chroma: usize,
) -> Result<Vec<f32>, ConfigError> {
    let ChromaStftConfig { sample_rate, n_fft, tuning, ctroct, octwidth } = *config;
    require_n_fft(n_fft)?;
    ConfigError::require(tuning.abs() <= 0.5, "tuning", "from -0.5 to 0.5 semitones", tuning)?;
    ConfigError::require(ctroct.is_finite(), "ctroct", "finite", ctroct)?;
    ConfigError::require(octwidth > 0.0, "octwidth", "above 0 octaves", octwidth)?;
    let multiple = n_chroma.is_multiple_of(N_CHROMA) && (N_CHROMA..=120).contains(&n_chroma);
    ConfigError::require(multiple, "n_chroma", "a multiple of 12, up to 120", n_chroma)?;

    let classes = n_chroma as f64;
    // A0 at 27.5 Hz, tuned: octave 0.
    let a0 = 27.5 * 2_f64.powf(f64::from(tuning) / classes);
    let pitch = |k: usize| {
        let hz = k as f64 * sample_rate.as_f64() / n_fft as f64;
        classes * (hz / a0).log2()
    };
    let mut weights = Vec::with_capacity((n_fft / 2 + 1) * n_chroma);
    for k in 0..=n_fft / 2 {
        // The bin at 0 Hz has no pitch: it is put an octave and a half below the next.
        let at = if k == 0 { pitch(1) - 1.5 * classes } else { pitch(k) };
        let width = match k {
            _ if k + 1 == n_fft => 1.0,
            0 => 1.5 * classes,
            _ => (pitch(k + 1) - pitch(k)).max(1.0),
        };
        let bump = |class: usize| {
            let distance = (at - class as f64 + classes / 2.0).rem_euclid(classes) - classes / 2.0;
            (-0.5 * (2.0 * distance / width).powi(2)).exp()
        };
        let octave = (at / classes - f64::from(ctroct)) / f64::from(octwidth);
        let norm = (0..n_chroma).map(|class| bump(class).powi(2)).sum::<f64>().sqrt();
        let scale = (-0.5 * octave * octave).exp() / norm;
        // Class 0 of `bump` is A; the rows start at C, a quarter of an octave above.
        let from_c = (0..n_chroma).map(|class| bump((class + n_chroma / 4) % n_chroma));
        weights.extend(from_c.map(|b| (b * scale) as f32));
    }
    Ok(weights)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use upbeat_core::FrameSpec;
    use upbeat_testkit::streaming::assert_streaming;
    use upbeat_testkit::{signal, streamed};
    use upbeat_window::Framer;

    use crate::stft::{Stft, StftConfig};

    const RATE: u32 = 22_050;

    fn chroma_of(samples: &[f32], tuning: f32) -> [f32; N_CHROMA] {
        let rate = SampleRate::new(RATE).unwrap();
        let mut config = ChromaStftConfig::new(rate, samples.len());
        config.tuning = tuning;
        let mut chain = Stft::new(&StftConfig::new(samples.len()))
            .unwrap()
            .then(ChromaStft::new(&config).unwrap());
        let mut chroma = [f32::NAN; N_CHROMA];
        chain.process(SampleIndex(0), samples, |_, c| chroma = *c);
        chroma
    }

    #[test]
    fn each_semitone_is_its_own_class_in_every_octave() {
        for midi in 48..96_u8 {
            let hz = 440.0 * 2_f64.powf((f64::from(midi) - 69.0) / 12.0);
            let chroma = chroma_of(&signal::sine(hz, 0.5, RATE, 8192), 0.0);
            assert_eq!(chroma[usize::from(midi) % 12], 1.0, "MIDI {midi}: {chroma:?}");
        }
    }

    #[test]
    fn music_tuned_higher_needs_the_tuning() {
        // Half-way between A and A♯, and as far above: which class wins depends on the tuning.
        let sharp = signal::sine(440.0 * 2_f64.powf(0.6 / 12.0), 0.5, RATE, 8192);
        assert_eq!(chroma_of(&sharp, 0.0)[10], 1.0);
        assert_eq!(chroma_of(&sharp, 0.4)[9], 1.0);
    }

    #[test]
    fn silence_has_no_chroma() {
        assert_eq!(chroma_of(&[0.0; 2048], 0.0), [0.0; N_CHROMA]);
        let mut cqt =
            ChromaCqt::new(&ChromaCqtConfig { n_bins: 24, bins_per_octave: 12, fmin: 55.0 })
                .unwrap();
        cqt.process(SampleIndex(0), &[0.0; 24], |_, c| assert_eq!(*c, [0.0; N_CHROMA]));
    }

    #[test]
    fn thirds_of_semitones_go_to_the_nearest_class() {
        // From A1 on, 36 bins per octave: bins 35, 0 and 1 surround A.
        let config = ChromaCqtConfig { n_bins: 36, bins_per_octave: 36, fmin: 55.0 };
        let mut stage = ChromaCqt::new(&config).unwrap();
        for (bin, class) in [(0, 9), (1, 9), (2, 10), (3, 10), (4, 10), (5, 11), (35, 9)] {
            let mut magnitudes = [0.0; 36];
            magnitudes[bin] = 0.3;
            stage.process(SampleIndex(0), &magnitudes, |_, c| assert_eq!(c[class], 1.0, "{bin}"));
        }
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let rate = SampleRate::new(RATE).unwrap();
        let refused = |change: fn(&mut ChromaStftConfig)| {
            let mut config = ChromaStftConfig::new(rate, 2048);
            change(&mut config);
            ChromaStft::new(&config).unwrap_err().parameter()
        };
        assert_eq!(refused(|c| c.n_fft = 0), "n_fft");
        assert_eq!(refused(|c| c.tuning = f32::NAN), "tuning");
        assert_eq!(refused(|c| c.octwidth = 0.0), "octwidth");
        assert_eq!(refused(|c| c.ctroct = f32::INFINITY), "ctroct");
        let refused = |n_bins, bins_per_octave, fmin| {
            ChromaCqt::new(&ChromaCqtConfig { n_bins, bins_per_octave, fmin })
                .unwrap_err()
                .parameter()
        };
        assert_eq!(refused(0, 12, 55.0), "n_bins");
        assert_eq!(refused(84, 18, 55.0), "bins_per_octave");
        assert_eq!(refused(84, 0, 55.0), "bins_per_octave");
        assert_eq!(refused(84, 12, f32::NAN), "fmin");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn any_split_gives_the_same(hop in 1_usize..300, seed: u64) {
            let rate = SampleRate::new(RATE).unwrap();
            let spec = FrameSpec::new(256, hop, rate).unwrap();
            let stft = Stft::new(&StftConfig::new(256)).unwrap();
            let chroma = ChromaStft::new(&ChromaStftConfig::new(rate, 256)).unwrap();
            let make = || streamed!(Framer::new(spec).then(stft.clone()).then(chroma.clone()));
            assert_streaming(make, &signal::noise(0.5, seed, 2000), 1, seed);
        }
    }
}
