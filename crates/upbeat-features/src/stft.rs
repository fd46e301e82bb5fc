//! The short-time Fourier transform: frames of samples to spectra.

use std::fmt;
use std::sync::Arc;

use upbeat_core::{ConfigError, SampleIndex, Stage, sanitize};
use upbeat_fft::{Complex, RealToComplex};
use upbeat_window::{Symmetry, WindowFunction};

/// Settings of [`Stft`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct StftConfig {
    /// Length of the transform and of the frames it takes, from 2 to [`Stft::MAX_N_FFT`]; any length works,
    /// products of small primes are fast.
    pub n_fft: usize,
    /// Length of the window, from 1 to `n_fft`; a shorter one lies in the middle of the frame, zeros
    /// around it. Default: `n_fft`.
    pub win_length: usize,
    /// The taper, periodic. Default: Hann.
    pub window: WindowFunction,
}

impl StftConfig {
    /// librosa's settings for frames of `n_fft` samples.
    #[must_use]
    pub const fn new(n_fft: usize) -> Self {
        Self { n_fft, win_length: n_fft, window: WindowFunction::Hann }
    }
}

/// The spectrum of each frame of a stream: a [`Framer`](upbeat_window::Framer) before it cuts the frames.
///
/// `X[k] = Σ_n w[n] · x[n] · e^(−2πi k n / n_fft)` for the bins `k = 0, …, n_fft / 2` (rounded down),
/// bin `k` at `k · sample_rate / n_fft` Hz, not scaled: as `librosa.stft(center=False)`. Each frame
/// stands for itself; there is no memory. Samples that cannot be sound count as 0 (see [`sanitize`]).
///
/// The transform is computed in `f64`, as librosa's is: in `f32`, rounding of the strongest bins drowns
/// what lies 120 dB below them, and features of logarithms (spectral contrast, MFCC) are off by per
/// cents for clean tones.
///
/// # Examples
///
/// ```
/// use upbeat_core::{SampleIndex, Stage};
/// use upbeat_features::stft::{Stft, StftConfig};
/// use upbeat_window::WindowFunction;
///
/// let mut config = StftConfig::new(4);
/// config.window = WindowFunction::Rectangular;
/// let mut stft = Stft::new(&config)?;
/// stft.process(SampleIndex(0), &[1.0, 0.0, -1.0, 0.0], |_, spectrum| {
///     assert_eq!(spectrum.magnitude(), [0.0, 2.0, 0.0]); // a cosine that fits the frame once
/// });
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct Stft {
    plan: Arc<dyn RealToComplex<f64>>,
    window: Arc<[f64]>,
    /// The windowed frame; the transform works in it.
    frame: Box<[f64]>,
    scratch: Box<[Complex<f64>]>,
    spectrum: Spectrum,
}

impl Stft {
    /// The longest transform.
    pub const MAX_N_FFT: usize = 1 << 20;

    /// Plans the transform and allocates all that will ever be needed. Clones share plan and window.
    ///
    /// # Errors
    ///
    /// If `n_fft`, `win_length` or a parameter of the window is outside its range.
    pub fn new(config: &StftConfig) -> Result<Self, ConfigError> {
        let StftConfig { n_fft, win_length, window } = *config;
        require_n_fft(n_fft)?;
        ConfigError::require(win_length >= 1, "win_length", "at least 1", win_length)?;
        ConfigError::require(win_length <= n_fft, "win_length", "at most n_fft", win_length)?;
        let window = window.table_f64(win_length, Symmetry::Periodic)?.into();
        let plan = upbeat_fft::plan_forward_f64(n_fft);
        Ok(Self {
            frame: vec![0.0; n_fft].into(),
            scratch: plan.make_scratch_vec().into(),
            spectrum: Spectrum::silent(n_fft),
            plan,
            window,
        })
    }
}

impl Stage for Stft {
    type In = [f32];
    type Out = Spectrum;

    /// # Panics
    ///
    /// If the frame does not hold `n_fft` samples.
    fn process(
        &mut self,
        at: SampleIndex,
        frame: &[f32],
        mut emit: impl FnMut(SampleIndex, &Spectrum),
    ) {
        let n_fft = self.frame.len();
        assert_eq!(frame.len(), n_fft, "a frame holds n_fft samples");
        let start = (n_fft - self.window.len()) / 2;
        let end = start + self.window.len();
        self.frame[..start].fill(0.0);
        self.frame[end..].fill(0.0);
        let samples = &frame[start..end];
        let windowed = self.frame[start..end].iter_mut().zip(samples).zip(&*self.window);
        // Two loops: the one for sound frames is twice as fast.
        if samples.iter().map(|x| u32::from(sanitize(*x).is_none())).sum::<u32>() == 0 {
            windowed.for_each(|((out, x), w)| *out = f64::from(*x) * w);
        } else {
            windowed.for_each(|((out, x), w)| *out = f64::from(sanitize(*x).unwrap_or(0.0)) * w);
        }
        self.plan
            .process_with_scratch(&mut self.frame, &mut self.spectrum.bins, &mut self.scratch)
            .expect("the buffers were made for this plan");
        self.spectrum.measure();
        emit(at, &self.spectrum);
    }

    fn reset(&mut self) {}
}

impl fmt::Debug for Stft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stft")
            .field("n_fft", &self.frame.len())
            .field("win_length", &self.window.len())
            .finish_non_exhaustive()
    }
}

/// The spectrum of one frame of `n_fft` samples: `n_fft / 2 + 1` bins (rounded down), from 0 Hz on.
///
/// Made by [`Stft`]; from magnitudes of one's own by [`from_magnitude`](Self::from_magnitude).
/// Magnitudes and powers are finite, never NaN and never negative.
#[derive(Clone, Debug, PartialEq)]
pub struct Spectrum {
    n_fft: usize,
    bins: Box<[Complex<f64>]>,
    magnitude: Box<[f32]>,
    power: Box<[f32]>,
}

impl Spectrum {
    /// The largest magnitude taken by [`from_magnitude`](Self::from_magnitude): that of the longest
    /// frame of the largest samples.
    pub const MAX_MAGNITUDE: f32 = (1_u64 << 50) as f32;

    /// The spectrum with these magnitudes of bins and all phases 0, for transforms of one's own.
    ///
    /// A magnitude that is negative, not finite or beyond [`MAX_MAGNITUDE`](Self::MAX_MAGNITUDE) counts
    /// as 0.
    ///
    /// ```
    /// use upbeat_features::stft::Spectrum;
    ///
    /// let spectrum = Spectrum::from_magnitude(4, &[0.0, 3.0, 1.0])?;
    /// assert_eq!(spectrum.power(), [0.0, 9.0, 1.0]);
    /// assert_eq!(spectrum.re_im(1), (3.0, 0.0));
    /// # Ok::<(), upbeat_core::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If `n_fft` is not from 2 to [`Stft::MAX_N_FFT`], or there are not `n_fft / 2 + 1` magnitudes.
    pub fn from_magnitude(n_fft: usize, magnitude: &[f32]) -> Result<Self, ConfigError> {
        require_n_fft(n_fft)?;
        let mut spectrum = Self::silent(n_fft);
        let n_bins = magnitude.len();
        ConfigError::require(
            n_bins == spectrum.n_bins(),
            "magnitude",
            "n_fft / 2 + 1 long",
            n_bins,
        )?;
        spectrum.set_magnitude(magnitude);
        Ok(spectrum)
    }

    /// Puts other magnitudes in place, as [`from_magnitude`](Self::from_magnitude) but without
    /// allocating.
    ///
    /// # Panics
    ///
    /// If there are not [`n_bins`](Self::n_bins) magnitudes.
    pub fn set_magnitude(&mut self, magnitude: &[f32]) {
        assert_eq!(magnitude.len(), self.n_bins(), "a spectrum holds n_fft / 2 + 1 bins");
        for (bin, m) in self.bins.iter_mut().zip(magnitude) {
            let sound = (0.0..=Self::MAX_MAGNITUDE).contains(m);
            *bin = Complex::new(if sound { f64::from(*m) } else { 0.0 }, 0.0);
        }
        self.measure();
    }

    /// The length of the transform.
    #[must_use]
    pub const fn n_fft(&self) -> usize {
        self.n_fft
    }

    /// The number of bins, `n_fft / 2 + 1`.
    #[must_use]
    pub const fn n_bins(&self) -> usize {
        self.magnitude.len()
    }

    /// Real and imaginary part of bin `k`.
    ///
    /// # Panics
    ///
    /// If there is no bin `k`.
    #[must_use]
    pub fn re_im(&self, k: usize) -> (f32, f32) {
        let bin = self.bins[k];
        (bin.re as f32, bin.im as f32)
    }

    /// Real and imaginary parts of all bins.
    #[must_use]
    pub fn bins(&self) -> impl ExactSizeIterator<Item = (f32, f32)> {
        self.bins.iter().map(|bin| (bin.re as f32, bin.im as f32))
    }

    /// `|X[k]|` of all bins.
    #[must_use]
    pub fn magnitude(&self) -> &[f32] {
        &self.magnitude
    }

    /// `|X[k]|²` of all bins.
    #[must_use]
    pub fn power(&self) -> &[f32] {
        &self.power
    }

    fn silent(n_fft: usize) -> Self {
        let n_bins = n_fft / 2 + 1;
        Self {
            n_fft,
            bins: vec![Complex::default(); n_bins].into(),
            magnitude: vec![0.0; n_bins].into(),
            power: vec![0.0; n_bins].into(),
        }
    }

    fn measure(&mut self) {
        for (power, bin) in self.power.iter_mut().zip(&self.bins) {
            *power = (bin.re * bin.re + bin.im * bin.im) as f32;
        }
        for (magnitude, power) in self.magnitude.iter_mut().zip(&self.power) {
            *magnitude = power.sqrt();
        }
    }
}

/// # Errors
///
/// If there is no transform of this length.
pub(crate) fn require_n_fft(n_fft: usize) -> Result<(), ConfigError> {
    let holds = (2..=Stft::MAX_N_FFT).contains(&n_fft);
    ConfigError::require(holds, "n_fft", "from 2 to 1048576", n_fft)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use upbeat_core::{FrameSpec, SampleRate};
    use upbeat_testkit::streaming::{Bits, assert_streaming};
    use upbeat_testkit::{oracle, signal, streamed};
    use upbeat_window::Framer;

    impl Bits for Spectrum {
        fn bits(&self, into: &mut Vec<u64>) {
            for (re, im) in Spectrum::bins(self) {
                [re, im].bits(into);
            }
            self.magnitude.bits(into);
            self.power.bits(into);
        }
    }

    /// The definition: the window in the middle, then the transform by its sum.
    fn naive(frame: &[f32], config: &StftConfig) -> Vec<(f64, f64)> {
        let window = config.window.table_f64(config.win_length, Symmetry::Periodic).unwrap();
        let before = (config.n_fft - config.win_length) / 2;
        let mut tapered = vec![0.0; config.n_fft];
        for (n, w) in window.iter().enumerate() {
            tapered[before + n] = f64::from(frame[before + n]) * w;
        }
        oracle::dft(&tapered)
    }

    fn transform(stft: &mut Stft, frame: &[f32]) -> Spectrum {
        let mut spectrum = None;
        stft.process(SampleIndex(0), frame, |_, s| spectrum = Some(s.clone()));
        spectrum.unwrap()
    }

    #[test]
    fn absurd_settings_are_refused_by_name() {
        let refused = |change: fn(&mut StftConfig)| {
            let mut config = StftConfig::new(512);
            change(&mut config);
            Stft::new(&config).unwrap_err().to_string()
        };
        assert_eq!(refused(|c| c.n_fft = 1), "n_fft must be from 2 to 1048576, got 1");
        assert_eq!(refused(|c| c.n_fft = usize::MAX).split(' ').next(), Some("n_fft"));
        assert_eq!(refused(|c| c.win_length = 0), "win_length must be at least 1, got 0");
        assert_eq!(refused(|c| c.win_length = 513), "win_length must be at most n_fft, got 513");
        assert!(Spectrum::from_magnitude(4, &[0.0; 4]).is_err());
        assert!(Spectrum::from_magnitude(usize::MAX, &[0.0; 4]).is_err());
    }

    #[test]
    fn samples_that_cannot_be_sound_count_as_0() {
        let mut stft = Stft::new(&StftConfig::new(8)).unwrap();
        let good = transform(&mut stft, &[0.1, 0.2, 0.0, 0.4, 0.5, 0.0, 0.7, 0.8]);
        let bad = transform(&mut stft, &[0.1, 0.2, f32::NAN, 0.4, 0.5, f32::INFINITY, 0.7, 0.8]);
        assert_eq!(good, bad);
        let loud = vec![upbeat_core::MAX_SAMPLE; Stft::MAX_N_FFT];
        let mut stft = Stft::new(&StftConfig::new(Stft::MAX_N_FFT)).unwrap();
        assert!(transform(&mut stft, &loud).power().iter().all(|p| p.is_finite()));
        let odd = [-1.0, f32::NAN, f32::INFINITY, 2.0, 1e20];
        assert_eq!(
            Spectrum::from_magnitude(9, &odd).unwrap().magnitude(),
            [0.0, 0.0, 0.0, 2.0, 0.0]
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn equals_the_definition_for_any_length(
            n_fft in 2_usize..300,
            shorter in 0_usize..300,
            seed: u64,
            rectangular: bool,
        ) {
            let mut config = StftConfig::new(n_fft);
            config.win_length = n_fft - shorter % n_fft;
            if rectangular {
                config.window = WindowFunction::Rectangular;
            }
            let mut stft = Stft::new(&config).unwrap();
            let frame = signal::noise(1.0, seed, n_fft);
            let spectrum = transform(&mut stft, &frame);
            let expected = naive(&frame, &config);
            prop_assert_eq!(spectrum.n_bins(), expected.len());
            prop_assert_eq!(spectrum.bins().len(), expected.len());
            // Rounding grows as the root of the number of steps, of values of the size √n.
            let bound = 1e-6 * (n_fft as f64).sqrt();
            for (k, (re, im)) in expected.into_iter().enumerate() {
                let found = spectrum.re_im(k);
                prop_assert!((f64::from(found.0) - re).abs() < bound, "re of bin {}", k);
                prop_assert!((f64::from(found.1) - im).abs() < bound, "im of bin {}", k);
                let power = f64::from(spectrum.power()[k]);
                prop_assert!((power - (re * re + im * im)).abs() < 2.0 * bound * (re.hypot(im) + bound));
                prop_assert!((f64::from(spectrum.magnitude()[k]) - re.hypot(im)).abs() < 2.0 * bound);
            }
        }

        #[test]
        fn any_split_gives_the_same(n_fft in 2_usize..80, hop in 1_usize..100, seed: u64) {
            let spec = FrameSpec::new(n_fft, hop, SampleRate::new(8000).unwrap()).unwrap();
            let stft = Stft::new(&StftConfig::new(n_fft)).unwrap();
            let make = || streamed!(Framer::new(spec).then(stft.clone()));
            assert_streaming(make, &signal::noise(1.0, seed, 700), 1, seed);
        }
    }
}
