use upbeat_core::{ConfigError, SampleIndex, SampleRate, Stage};

use crate::math::{self, BLOCK};
use crate::stft::{Spectrum, require_n_fft};

/// Settings of [`SpectralShape`] and of the stages for one of its values.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct SpectralShapeConfig {
    /// The rate of the samples behind the spectra.
    pub sample_rate: SampleRate,
    /// The length of their transform.
    pub n_fft: usize,
    /// The share of the magnitudes that lies up to the roll-off, above 0 and below 1. Default: 0.85.
    pub roll_percent: f64,
    /// The power that the flatness takes weaker bins for, from 1e-30 to 1. Default: 1e-10.
    pub amin: f32,
}

impl SpectralShapeConfig {
    /// librosa's settings, for the spectra of `n_fft` samples at this rate.
    #[must_use]
    pub const fn new(sample_rate: SampleRate, n_fft: usize) -> Self {
        Self { sample_rate, n_fft, roll_percent: 0.85, amin: 1e-10 }
    }
}

/// What [`SpectralShape`] says of a spectrum of the magnitudes `A[k]` at the frequencies
/// `f[k] = k · sample_rate / n_fft`, with their shares `p[k] = A[k] / Σ A`.
///
/// Centroid, bandwidth, roll-off and flatness are librosa's. Skewness, kurtosis and slope are those of
/// Peeters, "A large set of audio features for sound description (similarity and classification) in the
/// CUIDADO project", 2004, sections 6.1.3 to 6.1.5; the slope is not divided by `Σ A`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Shape {
    /// `Σ f p`, the centre of mass, in Hz; 0 for silence.
    pub centroid: f32,
    /// `√(Σ (f − centroid)² p)`, the spread around it, in Hz; 0 for silence.
    pub bandwidth: f32,
    /// `Σ (f − centroid)³ p / bandwidth³`: 0 for a symmetric spectrum, above 0 for more far above the
    /// centroid than far below; 0 where the bandwidth is 0.
    pub skewness: f32,
    /// `Σ (f − centroid)⁴ p / bandwidth⁴`: 3 for a bell, more for a narrow peak on a wide
    /// foot, less for a plateau (1.8); 0 where the bandwidth is 0.
    pub kurtosis: f32,
    /// The slope of the straight line that fits `A` over `f` best (least squares), in magnitude per
    /// Hz; 0 for silence.
    pub slope: f32,
    /// The lowest `f[k]` with `Σ A` up to `k` at least `roll_percent` of the whole, in Hz; 0 for
    /// silence.
    pub rolloff: f32,
    /// The geometric mean of `max(A², amin)` divided by its arithmetic mean: 1 for white, towards 0
    /// for tonal; 1 for silence.
    pub flatness: f32,
    /// `−Σ q log₂ q / log₂ n` of the shares of power `q[k] = A[k]² / Σ A²` of the `n` bins: from 0
    /// for one bin, over about 0.95 for white noise, to 1; 0 for silence (Misra et al., "Spectral entropy
    /// based feature for robust ASR", ICASSP 2004, there not divided by `log₂ n`).
    pub entropy: f32,
}

/// Centroid, bandwidth, skewness, kurtosis, slope, roll-off, flatness and entropy of each spectrum.
///
/// The formulas stand at [`Shape`]. One stage for all, since they share their sums; for one of them,
/// [`SpectralCentroid`] and its like compute no more than they need. No memory.
///
/// ```
/// use upbeat_core::{SampleIndex, SampleRate, Stage};
/// use upbeat_features::spectral::{SpectralShape, SpectralShapeConfig};
/// use upbeat_features::stft::Spectrum;
///
/// let rate = SampleRate::new(8000)?;
/// let mut shape = SpectralShape::new(&SpectralShapeConfig::new(rate, 8))?; // a bin every 1000 Hz
/// let spectrum = Spectrum::from_magnitude(8, &[0.0, 1.0, 2.0, 1.0, 0.0])?;
/// shape.process(SampleIndex(0), &spectrum, |_, shape| {
///     assert_eq!((shape.centroid, shape.rolloff), (2000.0, 3000.0));
///     assert!((shape.bandwidth - 707.1).abs() < 0.1);
/// });
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SpectralShape {
    bins: Bins,
}

impl SpectralShape {
    /// # Errors
    ///
    /// If `n_fft`, `roll_percent` or `amin` is outside its range.
    pub fn new(config: &SpectralShapeConfig) -> Result<Self, ConfigError> {
        Ok(Self { bins: Bins::new(config)? })
    }
}

impl Stage for SpectralShape {
    type In = Spectrum;
    type Out = Shape;

    /// # Panics
    ///
    /// If the spectrum is of another `n_fft`.
    fn process(
        &mut self,
        at: SampleIndex,
        spectrum: &Spectrum,
        mut emit: impl FnMut(SampleIndex, &Shape),
    ) {
        let bins = &self.bins;
        bins.check(spectrum);
        let mass = Mass::of(spectrum.magnitude());
        let moments = Moments::of(spectrum.magnitude(), &mass);
        let logs = Logs::of(spectrum.power(), bins.amin);
        let shape = Shape {
            centroid: bins.centroid(&mass),
            bandwidth: bins.bandwidth(&moments),
            skewness: moments.skewness(),
            kurtosis: moments.kurtosis(),
            slope: bins.slope(&mass, spectrum.n_bins()),
            rolloff: bins.rolloff(&mass, spectrum.magnitude()),
            flatness: logs.flatness(spectrum.n_bins()),
            entropy: logs.entropy(spectrum.n_bins()),
        };
        emit(at, &shape);
    }

    fn reset(&mut self) {}
}

/// Defines a stage that emits one field of [`Shape`] alone.
macro_rules! single {
    ($(#[doc = $doc:literal])+ $name:ident = |$bins:ident, $spectrum:ident| $value:expr) => {
        $(#[doc = $doc])+
        ///
        /// The formula stands at [`Shape`]. No memory.
        #[derive(Clone, Copy, Debug)]
        pub struct $name {
            bins: Bins,
        }

        impl $name {
            /// # Errors
            ///
            /// As [`SpectralShape::new`].
            pub fn new(config: &SpectralShapeConfig) -> Result<Self, ConfigError> {
                Ok(Self { bins: Bins::new(config)? })
            }
        }

        impl Stage for $name {
            type In = Spectrum;
            type Out = f32;

            /// # Panics
            ///
            /// If the spectrum is of another `n_fft`.
            fn process(
                &mut self,
                at: SampleIndex,
                $spectrum: &Spectrum,
                mut emit: impl FnMut(SampleIndex, &f32),
            ) {
                let $bins = &self.bins;
                $bins.check($spectrum);
                emit(at, &$value);
            }

            fn reset(&mut self) {}
        }
    };
}

single! {
    /// The spectral centroid in Hz, `librosa.feature.spectral_centroid`: how bright a sound is.
    SpectralCentroid = |bins, spectrum| bins.centroid(&Mass::of(spectrum.magnitude()))
}

single! {
    /// The spectral bandwidth (spread) in Hz, `librosa.feature.spectral_bandwidth`.
    SpectralBandwidth = |bins, spectrum| bins.bandwidth(&Moments::alone(spectrum))
}

single! {
    /// The spectral skewness.
    SpectralSkewness = |bins, spectrum| Moments::alone(spectrum).skewness()
}

single! {
    /// The spectral kurtosis.
    SpectralKurtosis = |bins, spectrum| Moments::alone(spectrum).kurtosis()
}

single! {
    /// The spectral slope in magnitude per Hz.
    SpectralSlope = |bins, spectrum| {
        bins.slope(&Mass::of(spectrum.magnitude()), spectrum.n_bins())
    }
}

single! {
    /// The spectral roll-off in Hz, `librosa.feature.spectral_rolloff`.
    SpectralRolloff = |bins, spectrum| {
        bins.rolloff(&Mass::of(spectrum.magnitude()), spectrum.magnitude())
    }
}

single! {
    /// The spectral flatness, `librosa.feature.spectral_flatness`: how noisy a sound is.
    SpectralFlatness = |bins, spectrum| {
        Logs::of(spectrum.power(), bins.amin).flatness(spectrum.n_bins())
    }
}

single! {
    /// The spectral entropy, from 0 to 1.
    SpectralEntropy = |bins, spectrum| {
        Logs::of(spectrum.power(), bins.amin).entropy(spectrum.n_bins())
    }
}

/// From bins to Hz, and the settings.
#[derive(Clone, Copy, Debug)]
struct Bins {
    n_fft: usize,
    /// Hz from one bin to the next.
    width: f64,
    roll_percent: f64,
    amin: f32,
}

impl Bins {
    fn new(config: &SpectralShapeConfig) -> Result<Self, ConfigError> {
        let SpectralShapeConfig { sample_rate, n_fft, roll_percent, amin } = *config;
        require_n_fft(n_fft)?;
        let holds = roll_percent > 0.0 && roll_percent < 1.0;
        ConfigError::require(holds, "roll_percent", "above 0 and below 1", roll_percent)?;
        ConfigError::require((1e-30..=1.0).contains(&amin), "amin", "from 1e-30 to 1", amin)?;
        Ok(Self { n_fft, width: sample_rate.as_f64() / n_fft as f64, roll_percent, amin })
    }

    fn check(&self, spectrum: &Spectrum) {
        assert_eq!(spectrum.n_fft(), self.n_fft, "spectra are of the n_fft that was set");
    }

    fn centroid(&self, mass: &Mass) -> f32 {
        (mass.centre * self.width) as f32
    }

    fn bandwidth(&self, moments: &Moments) -> f32 {
        (moments.second.sqrt() * moments.unit * self.width) as f32
    }

    fn slope(&self, mass: &Mass, n_bins: usize) -> f32 {
        // With the bins' mean m: Σ (k − m)(A − Ā) / Σ (k − m)², and Σ (k − m)² = n (n² − 1) / 12.
        let n = n_bins as f64;
        let mean = (n - 1.0) / 2.0;
        (mass.total * (mass.centre - mean) * 12.0 / (n * (n * n - 1.0)) / self.width) as f32
            * f32::from(mass.total > 0.0)
    }

    fn rolloff(&self, mass: &Mass, magnitude: &[f32]) -> f32 {
        let threshold = self.roll_percent * mass.total;
        let bin = match first_reaching(threshold, mass.total, magnitude) {
            Some(bin) => bin,
            None => first_reaching_in_f32(self.roll_percent as f32, magnitude),
        };
        (bin as f64 * self.width) as f32
    }
}

/// The first bin where the sum from bin 0 on reaches `threshold`; `None` where the sum passes it so closely that
/// rounding in `f32` could tell otherwise.
fn first_reaching(threshold: f64, total: f64, magnitude: &[f32]) -> Option<usize> {
    let in_doubt = magnitude.len() as f64 * f64::from(f32::EPSILON / 2.0) * total;
    let mut sum = 0.0;
    let mut bin = 0;
    for block in magnitude.chunks(BLOCK) {
        let after = sum + f64::from(math::block_sum(block, |a| a));
        if after + in_doubt >= threshold {
            break;
        }
        sum = after;
        bin += block.len();
    }
    for a in &magnitude[bin..] {
        let before = sum;
        sum += f64::from(*a);
        if sum >= threshold - in_doubt {
            let clear = sum >= threshold + in_doubt && before < threshold - in_doubt;
            return clear.then_some(bin);
        }
        bin += 1;
    }
    None
}

/// The same with librosa's arithmetic, to decide cases in doubt as it does: sums in `f32`, bin after bin.
fn first_reaching_in_f32(share: f32, magnitude: &[f32]) -> usize {
    let threshold = share * magnitude.iter().sum::<f32>();
    let mut sum = 0.0;
    let reaches = |a: &f32| {
        sum += a;
        sum >= threshold
    };
    magnitude.iter().position(reaches).unwrap_or(magnitude.len() - 1)
}

/// The sum of the magnitudes and where its centre lies.
struct Mass {
    total: f64,
    /// In bins; 0 for silence.
    centre: f64,
}

impl Mass {
    fn of(magnitude: &[f32]) -> Self {
        let (mut total, mut torque) = (0.0, 0.0);
        for (start, block) in (0..).step_by(BLOCK).zip(magnitude.chunks(BLOCK)) {
            let sum = f64::from(math::block_sum(block, |a| a));
            total += sum;
            torque += f64::from(start) * sum + f64::from(math::dot(block, &RAMP));
        }
        Self { total, centre: if total > 0.0 { torque / total } else { 0.0 } }
    }
}

/// The central moments of the magnitudes' shares, over distances in units of `unit` bins.
struct Moments {
    unit: f64,
    second: f64,
    third: f64,
    fourth: f64,
}

impl Moments {
    fn of(magnitude: &[f32], mass: &Mass) -> Self {
        // Distances are at most 1, so that no power of them leaves the range of f32.
        let unit = magnitude.len() as f64;
        let scale = 1.0 / unit as f32;
        let mut sums = [0.0_f64; 3];
        for (start, block) in (0..).step_by(BLOCK).zip(magnitude.chunks(BLOCK)) {
            let offset = (f64::from(start) - mass.centre) as f32;
            let mut distance = [0.0; BLOCK];
            let mut second = [0.0; BLOCK];
            for (((d, m), a), ramp) in distance.iter_mut().zip(&mut second).zip(block).zip(&RAMP) {
                *d = (ramp + offset) * scale;
                *m = *d * *d * a;
            }
            sums[0] += f64::from(math::block_sum(&second[..block.len()], |m| m));
            sums[1] += f64::from(math::dot(&second, &distance));
            for d in &mut distance {
                *d *= *d;
            }
            sums[2] += f64::from(math::dot(&second, &distance));
        }
        let share = if mass.total > 0.0 { 1.0 / mass.total } else { 0.0 };
        let [second, third, fourth] = sums.map(|sum| sum * share);
        Self { unit, second, third, fourth }
    }

    fn alone(spectrum: &Spectrum) -> Self {
        Self::of(spectrum.magnitude(), &Mass::of(spectrum.magnitude()))
    }

    fn skewness(&self) -> f32 {
        self.standardised(self.third / (self.second * self.second.sqrt()))
    }

    fn kurtosis(&self) -> f32 {
        self.standardised(self.fourth / (self.second * self.second))
    }

    /// `value`, or 0 where all lies in one bin, as far as rounding can tell.
    fn standardised(&self, value: f64) -> f32 {
        let bins = self.second.sqrt() * self.unit;
        if bins > NO_WIDTH { value as f32 } else { 0.0 }
    }
}

/// Sums of powers and of their logarithms.
struct Logs {
    /// `Σ P`.
    total: f64,
    /// `Σ max(P, amin)`.
    floored: f64,
    /// `Σ log₂ (max(P, amin) / amin)`: exactly 0 where all is below the floor.
    above_floor: f64,
    amin: f64,
    /// `Σ P log₂ P`.
    weighted: f64,
}

impl Logs {
    fn of(power: &[f32], amin: f32) -> Self {
        let log_amin = math::log2(amin);
        let larger = |a: f32, b: f32| if a > b { a } else { b };
        let (mut total, mut floored, mut above_floor, mut weighted) = (0.0, 0.0, 0.0, 0.0);
        for block in power.chunks(BLOCK) {
            let mut logs = [0.0; BLOCK];
            for (log, p) in logs.iter_mut().zip(block) {
                *log = math::log2(*p);
            }
            let logs = &logs[..block.len()];
            total += f64::from(math::block_sum(block, |p| p));
            floored += f64::from(math::block_sum(block, |p| larger(p, amin)));
            above_floor += f64::from(math::block_sum(logs, |l| larger(l - log_amin, 0.0)));
            weighted += f64::from(math::dot(block, logs));
        }
        Self { total, floored, above_floor, amin: amin.into(), weighted }
    }

    fn flatness(&self, n_bins: usize) -> f32 {
        let n = n_bins as f64;
        let geometric = self.amin * (self.above_floor / n).exp2();
        (geometric / (self.floored / n)).min(1.0) as f32
    }

    fn entropy(&self, n_bins: usize) -> f32 {
        if self.total > 0.0 {
            // −Σ q log q with q = P / total.
            let bits = self.total.log2() - self.weighted / self.total;
            (bits / (n_bins as f64).log2()).clamp(0.0, 1.0) as f32
        } else {
            0.0
        }
    }
}

/// A spread below this many bins is rounding.
const NO_WIDTH: f64 = 1e-3;

/// 0, 1, 2, …
const RAMP: [f32; BLOCK] = {
    let mut ramp = [0.0; BLOCK];
    let mut k = 0;
    while k < BLOCK {
        ramp[k] = k as f32;
        k += 1;
    }
    ramp
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use upbeat_core::FrameSpec;
    use upbeat_testkit::streaming::{Bits, assert_streaming};
    use upbeat_testkit::{signal, streamed};
    use upbeat_window::Framer;

    use crate::stft::{Stft, StftConfig};

    impl Bits for Shape {
        fn bits(&self, into: &mut Vec<u64>) {
            fields(self).bits(into);
        }
    }

    fn fields(shape: &Shape) -> [f32; 8] {
        let Shape { centroid, bandwidth, skewness, kurtosis, slope, rolloff, flatness, entropy } =
            *shape;
        [centroid, bandwidth, skewness, kurtosis, slope, rolloff, flatness, entropy]
    }

    fn config(n_fft: usize) -> SpectralShapeConfig {
        SpectralShapeConfig::new(SampleRate::new(16_000).unwrap(), n_fft)
    }

    fn one<S: Stage<In = Spectrum>>(mut stage: S, spectrum: &Spectrum) -> S::Out
    where
        S::Out: Copy,
    {
        let mut out = None;
        stage.process(SampleIndex(0), spectrum, |_, value| out = Some(*value));
        out.unwrap()
    }

    fn shape_of(n_fft: usize, magnitude: &[f32]) -> Shape {
        let spectrum = Spectrum::from_magnitude(n_fft, magnitude).unwrap();
        one(SpectralShape::new(&config(n_fft)).unwrap(), &spectrum)
    }

    /// The definitions, in the order of [`fields`].
    fn naive(n_fft: usize, magnitude: &[f32]) -> [f64; 8] {
        let a: Vec<f64> = magnitude.iter().map(|a| f64::from(*a)).collect();
        let f: Vec<f64> = (0..a.len()).map(|k| 16_000.0 / n_fft as f64 * k as f64).collect();
        let (n, total) = (a.len() as f64, a.iter().sum::<f64>());
        let mean_of =
            |g: &dyn Fn(f64) -> f64| f.iter().zip(&a).map(|(f, a)| g(*f) * a / total).sum::<f64>();
        let centroid = mean_of(&|f| f);
        let moment = |power| mean_of(&|f| (f - centroid).powi(power));
        let width = moment(2).sqrt();
        let (mean_f, mean_a) = (f.iter().sum::<f64>() / n, total / n);
        let covariance: f64 = f.iter().zip(&a).map(|(f, a)| (f - mean_f) * (a - mean_a)).sum();
        let variance: f64 = f.iter().map(|f| (f - mean_f).powi(2)).sum();
        let up_to = |k: usize| a[..=k].iter().sum::<f64>();
        // Where rounding in f32 could decide, it does, as in librosa.
        let doubt = n * 2.0_f64.powi(-24) * total;
        let clear = (0..a.len()).all(|k| (up_to(k) - 0.85 * total).abs() > doubt);
        let roll = if clear {
            (0..a.len()).find(|k| up_to(*k) >= 0.85 * total).unwrap()
        } else {
            let threshold = 0.85 * magnitude.iter().sum::<f32>();
            (0..a.len()).find(|k| magnitude[..=*k].iter().sum::<f32>() >= threshold).unwrap()
        };
        let floored: Vec<f64> = a.iter().map(|a| (a * a).max(1e-10)).collect();
        let log_mean = floored.iter().map(|p| p.ln()).sum::<f64>() / n;
        let power: f64 = a.iter().map(|a| a * a).sum();
        let entropy: f64 = a
            .iter()
            .map(|a| a * a / power)
            .map(|q| if q > 0.0 { -q * q.log2() } else { 0.0 })
            .sum();
        [
            centroid,
            width,
            moment(3) / width.powi(3),
            moment(4) / width.powi(4),
            covariance / variance,
            f[roll],
            log_mean.exp() / (floored.iter().sum::<f64>() / n),
            entropy / n.log2(),
        ]
    }

    #[test]
    fn silence_has_the_documented_shape() {
        for n_fft in [2, 9, 2048] {
            let silent = Shape { flatness: 1.0, ..Shape::default() };
            let found = shape_of(n_fft, &vec![0.0; n_fft / 2 + 1]);
            assert!((found.flatness - 1.0).abs() < 1e-6);
            assert_eq!(Shape { flatness: 1.0, ..found }, silent);
        }
    }

    #[test]
    fn one_line_has_no_width() {
        for k in [0, 3, 777, 1024] {
            let mut magnitude = [0.0; 1025];
            magnitude[k] = 0.3;
            let shape = shape_of(2048, &magnitude);
            let frequency = 7.8125 * k as f32;
            assert_eq!((shape.centroid, shape.rolloff), (frequency, frequency));
            assert_eq!((shape.skewness, shape.kurtosis, shape.entropy), (0.0, 0.0, 0.0));
            assert!(shape.bandwidth < 1e-2);
        }
    }

    #[test]
    fn a_plateau_has_the_moments_of_the_uniform_distribution() {
        let shape = shape_of(4096, &[1.0; 2049]);
        assert!((shape.centroid - 4000.0).abs() < 1e-3 && shape.skewness.abs() < 1e-5);
        assert!((shape.kurtosis - 1.8).abs() < 1e-4 && shape.slope.abs() < 1e-9);
        assert!((shape.entropy - 1.0).abs() < 1e-6 && (shape.flatness - 1.0).abs() < 1e-6);
    }

    #[test]
    fn the_largest_spectrum_stays_finite() {
        let n_fft = Stft::MAX_N_FFT;
        let shape = shape_of(n_fft, &vec![Spectrum::MAX_MAGNITUDE; n_fft / 2 + 1]);
        assert!(fields(&shape).iter().all(|x| x.is_finite()), "{shape:?}");
    }

    #[test]
    fn absurd_settings_are_refused_by_name() {
        let refused = |change: fn(&mut SpectralShapeConfig)| {
            let mut config = config(64);
            change(&mut config);
            SpectralShape::new(&config).unwrap_err().parameter()
        };
        assert_eq!(refused(|c| c.n_fft = 0), "n_fft");
        assert_eq!(refused(|c| c.roll_percent = f64::NAN), "roll_percent");
        assert_eq!(refused(|c| c.roll_percent = 1.0), "roll_percent");
        assert_eq!(refused(|c| c.amin = 0.0), "amin");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn shapes_equal_their_definitions(
            n_fft in 4_usize..1500,
            seed: u64,
            decibels in -120.0_f64..100.0,
            tilt in -0.02_f64..0.02,
        ) {
            let n_bins = n_fft / 2 + 1;
            let magnitude: Vec<f32> = signal::noise(1.0, seed, n_bins)
                .iter()
                .enumerate()
                .map(|(k, x)| x.abs() * (10.0_f64.powf(decibels / 20.0) * (tilt * k as f64).exp()) as f32)
                .collect();
            let expected = naive(n_fft, &magnitude);
            let found = fields(&shape_of(n_fft, &magnitude));
            let slope = magnitude.iter().fold(0.0_f64, |m, a| m.max(f64::from(*a))) / 8000.0;
            // Logarithms of up to 60, rounded three times on the way to their mean.
            let logs = 60.0 * 3.0 * 2.0_f64.powi(-24) / 2e-6;
            let ranges = [8000.0, 8000.0, 1.0 + expected[2].abs(), expected[3], slope, 8000.0, logs, logs];
            for (i, ((found, expected), range)) in found.iter().zip(expected).zip(ranges).enumerate() {
                let error = (f64::from(*found) - expected).abs() / range;
                prop_assert!(error < 2e-6, "value {} is {} for {}", i, found, expected);
            }
        }

        #[test]
        fn each_stage_alone_gives_the_same_value(seed: u64) {
            let spectrum = Spectrum::from_magnitude(256, &signal::noise(1.0, seed, 129)).unwrap();
            let config = config(256);
            let shape = one(SpectralShape::new(&config).unwrap(), &spectrum);
            prop_assert_eq!(one(SpectralCentroid::new(&config).unwrap(), &spectrum), shape.centroid);
            prop_assert_eq!(one(SpectralBandwidth::new(&config).unwrap(), &spectrum), shape.bandwidth);
            prop_assert_eq!(one(SpectralSkewness::new(&config).unwrap(), &spectrum), shape.skewness);
            prop_assert_eq!(one(SpectralKurtosis::new(&config).unwrap(), &spectrum), shape.kurtosis);
            prop_assert_eq!(one(SpectralSlope::new(&config).unwrap(), &spectrum), shape.slope);
            prop_assert_eq!(one(SpectralRolloff::new(&config).unwrap(), &spectrum), shape.rolloff);
            prop_assert_eq!(one(SpectralFlatness::new(&config).unwrap(), &spectrum), shape.flatness);
            prop_assert_eq!(one(SpectralEntropy::new(&config).unwrap(), &spectrum), shape.entropy);
        }

        #[test]
        fn any_split_gives_the_same(hop in 1_usize..100, seed: u64) {
            let spec = FrameSpec::new(64, hop, SampleRate::new(16_000).unwrap()).unwrap();
            let stft = Stft::new(&StftConfig::new(64)).unwrap();
            let shape = SpectralShape::new(&config(64)).unwrap();
            let make = || streamed!(Framer::new(spec).then(stft.clone()).then(shape));
            assert_streaming(make, &signal::noise(1.0, seed, 500), 1, seed);
        }
    }
}
