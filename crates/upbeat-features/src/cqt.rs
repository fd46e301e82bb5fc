//! The constant-Q transform: a spectrum whose bins are equally far apart in pitch.

use upbeat_core::{ConfigError, SampleIndex, SampleRate, Stage};
use upbeat_window::{Symmetry, WindowFunction};

use crate::stft::{Stft, StftConfig};

/// Settings of [`Cqt`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct CqtConfig {
    /// The rate of the samples.
    pub sample_rate: SampleRate,
    /// Frequency of the first bin, in Hz, above 0. Default: 32.703 (C1).
    pub fmin: f32,
    /// Bins, from 1 to 4096; the last must lie below the Nyquist frequency. Default: 84, seven octaves.
    pub n_bins: usize,
    /// Bins per octave, from 6 (with fewer, kernels are so short that they hear negative frequencies) to
    /// 480. Default: 12.
    pub bins_per_octave: usize,
    /// The taper of each bin's kernel. Default: Hann.
    pub window: WindowFunction,
}

impl CqtConfig {
    /// librosa's settings.
    #[must_use]
    pub const fn new(sample_rate: SampleRate) -> Self {
        Self {
            sample_rate,
            fmin: 32.703_197,
            n_bins: 84,
            bins_per_octave: 12,
            window: WindowFunction::Hann,
        }
    }

    /// The centre frequency of bin `bin` in Hz: `fmin · 2^(bin / bins_per_octave)`.
    #[must_use]
    pub fn frequency(&self, bin: usize) -> f64 {
        f64::from(self.fmin) * 2_f64.powf(bin as f64 / self.bins_per_octave as f64)
    }

    /// How many samples the frames must hold: the power of two that the longest kernel fits in.
    ///
    /// # Errors
    ///
    /// If a setting is out of its range.
    pub fn frame_length(&self) -> Result<usize, ConfigError> {
        let Self { fmin, n_bins, bins_per_octave, .. } = *self;
        ConfigError::require(fmin > 0.0 && fmin.is_finite(), "fmin", "above 0 Hz", fmin)?;
        let per_octave = (6..=480).contains(&bins_per_octave);
        ConfigError::require(per_octave, "bins_per_octave", "from 6 to 480", bins_per_octave)?;
        ConfigError::require((1..=4096).contains(&n_bins), "n_bins", "from 1 to 4096", n_bins)?;
        let (last, nyquist) = (self.frequency(n_bins - 1), self.sample_rate.as_f64() / 2.0);
        let below = format!("so that the last bin lies below {nyquist} Hz, not at {last:.0} Hz");
        ConfigError::require(last < nyquist, "n_bins", &below, n_bins)?;
        let longest = self.kernel_length(0);
        let most = format!("at least {:.2} Hz for kernels of 2^20 samples", self.lowest_fmin());
        ConfigError::require(longest <= Stft::MAX_N_FFT as f64, "fmin", &most, fmin)?;
        Ok((longest.ceil() as usize).next_power_of_two().max(2))
    }

    /// The quality factor `Q`: a bin's frequency over the distance to its neighbours.
    fn q(&self) -> f64 {
        let step = 2_f64.powf(2.0 / self.bins_per_octave as f64);
        (step + 1.0) / (step - 1.0)
    }

    fn kernel_length(&self, bin: usize) -> f64 {
        self.q() * self.sample_rate.as_f64() / self.frequency(bin)
    }

    fn lowest_fmin(&self) -> f64 {
        self.q() * self.sample_rate.as_f64() / Stft::MAX_N_FFT as f64
    }
}

/// Magnitudes of the constant-Q transform of each frame.
///
/// Bin `b` at `f = fmin · 2^(b / bins_per_octave)` Hz has a kernel of `N = Q · sample_rate / f` samples
/// in the middle of the frame: `C[b] = √N · |Σ_n w[n] x[n] e^(−2πi f n / sample_rate)| / Σ_n w[n]`. A sine
/// of amplitude `a` at a bin's frequency gives `a/2 · √N`, as `librosa.cqt(scale=True)` does; `Q` is that
/// of librosa too.
///
/// Frames are those of a [`Framer`](upbeat_window::Framer) with [`CqtConfig::frame_length`] samples, all
/// kernels in the middle of it: high bins say what is heard there, low bins what is heard around. So the
/// stage works on a stream with a latency of one (long) frame, and any hop will do; it has no memory. It
/// is computed from one FFT with sparse kernels (Brown and Puckette, "An efficient algorithm for the
/// calculation of a constant Q transform", JASA 1992): what a kernel holds below 1/5000 of its
/// largest value is left out.
///
/// # Examples
///
/// ```
/// use upbeat_core::{FrameSpec, SampleIndex, SampleRate, Stage};
/// use upbeat_features::cqt::{Cqt, CqtConfig};
/// use upbeat_window::Framer;
///
/// let rate = SampleRate::new(22_050)?;
/// let mut config = CqtConfig::new(rate);
/// config.fmin = 110.0; // A2: shorter frames
/// config.n_bins = 48;
/// let spec = FrameSpec::new(config.frame_length()?, 512, rate)?;
/// let mut cqt = Framer::new(spec).then(Cqt::new(&config)?);
///
/// let a4 = |n: u16| (std::f32::consts::TAU * 440.0 * f32::from(n) / 22_050.0).sin();
/// let samples: Vec<f32> = (0..8192).map(a4).collect();
/// cqt.process(SampleIndex(0), &samples, |_, magnitudes| {
///     let loudest = (0..48).max_by(|a, b| magnitudes[*a].total_cmp(&magnitudes[*b]));
///     assert_eq!(loudest, Some(24)); // two octaves above A2
/// });
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Cqt {
    stft: Stft,
    kernels: Box<[Kernel]>,
    magnitudes: Box<[f32]>,
}

/// What a bin takes from the spectrum: complex weights for consecutive bins of it.
#[derive(Clone, Debug)]
struct Kernel {
    start: usize,
    re_im: Box<[(f32, f32)]>,
}

impl Cqt {
    /// Computes the kernels.
    ///
    /// # Errors
    ///
    /// If a setting is out of its range.
    pub fn new(config: &CqtConfig) -> Result<Self, ConfigError> {
        let n_fft = config.frame_length()?;
        let mut stft = StftConfig::new(n_fft);
        stft.window = WindowFunction::Rectangular;
        Ok(Self {
            stft: Stft::new(&stft)?,
            kernels: kernels(config, n_fft)?.into(),
            magnitudes: vec![0.0; config.n_bins].into(),
        })
    }
}

impl Stage for Cqt {
    type In = [f32];
    type Out = [f32];

    /// # Panics
    ///
    /// If the frame does not hold [`CqtConfig::frame_length`] samples.
    fn process(
        &mut self,
        at: SampleIndex,
        frame: &[f32],
        mut emit: impl FnMut(SampleIndex, &[f32]),
    ) {
        let Self { stft, kernels, magnitudes } = self;
        stft.process(at, frame, |at, spectrum| {
            for (magnitude, kernel) in magnitudes.iter_mut().zip(&*kernels) {
                let (mut re, mut im) = (0.0, 0.0);
                for ((x, y), (a, b)) in spectrum.bins().skip(kernel.start).zip(&kernel.re_im) {
                    re += x * a - y * b;
                    im += x * b + y * a;
                }
                *magnitude = (re * re + im * im).sqrt();
            }
            emit(at, magnitudes);
        });
    }

    fn reset(&mut self) {}
}

/// The conjugate spectra of all kernels, scaled, by Parseval's theorem to be summed over the spectrum.
fn kernels(config: &CqtConfig, n_fft: usize) -> Result<Vec<Kernel>, ConfigError> {
    let plan = upbeat_fft::plan_forward_f64(n_fft);
    let transform = |mut samples: Vec<f64>| {
        let mut spectrum = plan.make_output_vec();
        plan.process(&mut samples, &mut spectrum).expect("the buffers were made for this plan");
        spectrum
    };
    let kernel = |bin: usize| {
        let length = config.kernel_length(bin);
        // Samples from −N/2 to N/2, rounded down: where librosa puts them.
        let first = (-length / 2.0).floor();
        let n = ((length / 2.0).floor() - first).max(1.0) as usize;
        let window = config.window.table_f64(n, Symmetry::Periodic)?;
        let scale = length.sqrt() / (window.iter().sum::<f64>() * n_fft as f64);
        let step = std::f64::consts::TAU * config.frequency(bin) / config.sample_rate.as_f64();
        let start = (n_fft - n) / 2;
        let (mut re, mut im) = (vec![0.0; n_fft], vec![0.0; n_fft]);
        for (i, w) in window.iter().enumerate() {
            let (sin, cos) = (step * (first + i as f64)).sin_cos();
            re[start + i] = scale * w * cos;
            im[start + i] = scale * w * sin;
        }
        // The transform of re + i·im, conjugated.
        let values: Vec<(f64, f64)> = transform(re)
            .iter()
            .zip(&transform(im))
            .map(|(a, b)| (a.re - b.im, -(a.im + b.re)))
            .collect();
        let size = |(re, im): &(f64, f64)| re.hypot(*im);
        let least = values.iter().map(size).fold(0.0, f64::max) * LEFT_OUT;
        let start = values.iter().position(|v| size(v) >= least).unwrap_or(0);
        let end = values.iter().rposition(|v| size(v) >= least).unwrap_or(0);
        let re_im = values[start..=end].iter().map(|(re, im)| (*re as f32, *im as f32)).collect();
        Ok(Kernel { start, re_im })
    };
    (0..config.n_bins).map(kernel).collect()
}

/// What lies below this share of a kernel's largest value is left out.
const LEFT_OUT: f64 = 1.0 / 5000.0;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use upbeat_core::FrameSpec;
    use upbeat_testkit::streaming::assert_streaming;
    use upbeat_testkit::{signal, streamed};
    use upbeat_window::Framer;

    fn small() -> CqtConfig {
        let mut config = CqtConfig::new(SampleRate::new(16_000).unwrap());
        config.fmin = 220.0;
        config.n_bins = 48;
        config
    }

    fn transform(config: &CqtConfig, frame: &[f32]) -> Vec<f32> {
        let mut found = Vec::new();
        Cqt::new(config).unwrap().process(SampleIndex(0), frame, |_, m| found = m.to_vec());
        found
    }

    /// The definition, as a sum over samples.
    fn naive(config: &CqtConfig, frame: &[f32], bin: usize) -> f64 {
        let length = config.kernel_length(bin);
        let n = ((length / 2.0).floor() - (-length / 2.0).floor()) as usize;
        let window = config.window.table_f64(n, Symmetry::Periodic).unwrap();
        let step = std::f64::consts::TAU * config.frequency(bin) / config.sample_rate.as_f64();
        let samples = &frame[(frame.len() - n) / 2..][..n];
        let (mut re, mut im) = (0.0, 0.0);
        for (i, (w, x)) in window.iter().zip(samples).enumerate() {
            re += w * f64::from(*x) * (step * i as f64).cos();
            im -= w * f64::from(*x) * (step * i as f64).sin();
        }
        length.sqrt() * re.hypot(im) / window.iter().sum::<f64>()
    }

    #[test]
    fn a_sine_on_a_bin_peaks_there_with_half_its_amplitude_times_root_n() {
        let config = small();
        let length = config.frame_length().unwrap();
        for bin in 0..config.n_bins {
            let sine = signal::sine(config.frequency(bin), 0.5, 16_000, length);
            let found = transform(&config, &sine);
            let loudest = (0..found.len()).max_by(|a, b| found[*a].total_cmp(&found[*b]));
            assert_eq!(loudest, Some(bin));
            let expected = 0.25 * config.kernel_length(bin).sqrt();
            let error_db = 20.0 * (f64::from(found[bin]) / expected).log10();
            assert!(error_db.abs() < 0.05, "bin {bin}: {error_db} dB");
        }
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let refused = |change: fn(&mut CqtConfig)| {
            let mut config = small();
            change(&mut config);
            Cqt::new(&config).unwrap_err()
        };
        assert_eq!(refused(|c| c.fmin = f32::NAN).parameter(), "fmin");
        assert_eq!(refused(|c| c.fmin = 0.01).parameter(), "fmin");
        assert_eq!(refused(|c| c.n_bins = 0).parameter(), "n_bins");
        assert_eq!(refused(|c| c.bins_per_octave = 0).parameter(), "bins_per_octave");
        let above = refused(|c| c.n_bins = 84).to_string();
        assert!(above.contains("below 8000 Hz, not at 26580 Hz"), "{above}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn equals_the_definition(seed: u64, bins_per_octave in 6_usize..37) {
            let mut config = small();
            config.bins_per_octave = bins_per_octave;
            config.n_bins = bins_per_octave * 4;
            let frame = signal::noise(1.0, seed, config.frame_length().unwrap());
            let found = transform(&config, &frame);
            let expected: Vec<f64> = (0..config.n_bins).map(|b| naive(&config, &frame, b)).collect();
            let largest = expected.iter().copied().fold(0.0, f64::max);
            for (bin, (f, e)) in found.iter().zip(&expected).enumerate() {
                prop_assert!((f64::from(*f) - e).abs() < 3e-3 * largest, "bin {}: {} {}", bin, f, e);
            }
        }

        #[test]
        fn any_split_gives_the_same(hop in 1_usize..900, seed: u64) {
            let mut config = small();
            config.fmin = 1760.0;
            config.n_bins = 12;
            let spec = FrameSpec::new(config.frame_length().unwrap(), hop, config.sample_rate).unwrap();
            let cqt = Cqt::new(&config).unwrap();
            let make = || streamed!(Framer::new(spec).then(cqt.clone()));
            assert_streaming(make, &signal::noise(0.5, seed, 2000), 1, seed);
        }
    }
}
