//! Mel-frequency cepstral coefficients: the outline of a spectrum in a few numbers.

use std::f64::consts::PI;
use std::sync::Arc;

use upbeat_core::{ConfigError, SampleIndex, Stage};

use crate::math;
use crate::mel::require_n_mels;

/// Settings of [`Mfcc`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct MfccConfig {
    /// Bands in each frame of log-mel levels, from 1 to 4096.
    pub n_mels: usize,
    /// Coefficients to emit, from 1 to `n_mels`. Default: 20, or `n_mels` if that is fewer.
    pub n_mfcc: usize,
    /// Length `L` of the lifter, which weighs coefficient `n` with `1 + L/2 · sin(π (n + 1) / L)`; 0 for
    /// none, at most 10000. Default: 0.
    pub lifter: f64,
}

impl MfccConfig {
    /// librosa's settings.
    #[must_use]
    pub const fn new(n_mels: usize) -> Self {
        Self { n_mels, n_mfcc: if n_mels < 20 { n_mels } else { 20 }, lifter: 0.0 }
    }
}

/// Mel-frequency cepstral coefficients of frames of log-mel levels (see [`LogMel`](crate::mel::LogMel)).
///
/// The orthonormal discrete cosine transform of type II,
/// `mfcc[n] = s_n Σ_b S[b] cos(π n (2b + 1) / (2 n_mels))` with `s_0 = √(1 / n_mels)` and
/// `s_n = √(2 / n_mels)` else, in dB: as `librosa.feature.mfcc` of a log-mel spectrogram made with
/// `top_db=None`. No memory.
///
/// Source: Davis and Mermelstein, "Comparison of parametric representations for monosyllabic word
/// recognition in continuously spoken sentences", IEEE ASSP 1980; the lifter: Juang et al., 1987.
///
/// ```
/// use upbeat_core::{SampleIndex, Stage};
/// use upbeat_features::mfcc::{Mfcc, MfccConfig};
///
/// let mut mfcc = Mfcc::new(&MfccConfig::new(4))?;
/// mfcc.process(SampleIndex(0), &[-20.0; 4], |_, mfcc| {
///     assert!((mfcc[0] + 40.0).abs() < 1e-4); // −20 dB · √4
///     assert!(mfcc[1..].iter().all(|c| c.abs() < 1e-4)); // a flat spectrum has no outline
/// });
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Mfcc {
    n_mels: usize,
    /// A row of `n_mels` weights for each coefficient.
    weights: Arc<[f32]>,
    coefficients: Box<[f32]>,
}

impl Mfcc {
    /// Allocates all that will ever be needed.
    ///
    /// # Errors
    ///
    /// If a setting is outside its range.
    pub fn new(config: &MfccConfig) -> Result<Self, ConfigError> {
        let MfccConfig { n_mels, n_mfcc, lifter } = *config;
        require_n_mels(n_mels)?;
        ConfigError::require((1..=n_mels).contains(&n_mfcc), "n_mfcc", "from 1 to n_mels", n_mfcc)?;
        ConfigError::require((0.0..=1e4).contains(&lifter), "lifter", "from 0 to 10000", lifter)?;
        let size = n_mels as f64;
        let weight = |n: usize, b: usize| {
            // Reduced first, so that the angle is exact.
            let angle = PI * (n * (2 * b + 1) % (4 * n_mels)) as f64 / (2.0 * size);
            let scale = if n == 0 { (1.0 / size).sqrt() } else { (2.0 / size).sqrt() };
            scale * angle.cos() * lift(lifter, n)
        };
        let rows = (0..n_mfcc).flat_map(|n| (0..n_mels).map(move |b| weight(n, b) as f32));
        Ok(Self { n_mels, weights: rows.collect(), coefficients: vec![0.0; n_mfcc].into() })
    }
}

impl Stage for Mfcc {
    type In = [f32];
    type Out = [f32];

    /// # Panics
    ///
    /// If the frame does not hold `n_mels` levels.
    fn process(
        &mut self,
        at: SampleIndex,
        levels: &[f32],
        mut emit: impl FnMut(SampleIndex, &[f32]),
    ) {
        assert_eq!(levels.len(), self.n_mels, "a frame holds n_mels levels");
        let rows = self.weights.chunks_exact(self.n_mels);
        for (coefficient, row) in self.coefficients.iter_mut().zip(rows) {
            *coefficient = math::dot(levels, row);
        }
        emit(at, &self.coefficients);
    }

    fn reset(&mut self) {}
}

/// The lifter's weight of coefficient `n`.
fn lift(lifter: f64, n: usize) -> f64 {
    if lifter > 0.0 { 1.0 + lifter / 2.0 * (PI * (n + 1) as f64 / lifter).sin() } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use upbeat_testkit::signal;

    #[test]
    fn absurd_settings_are_refused_by_name() {
        let refused = |change: fn(&mut MfccConfig)| {
            let mut config = MfccConfig::new(40);
            change(&mut config);
            Mfcc::new(&config).unwrap_err().parameter()
        };
        assert_eq!(refused(|c| c.n_mels = 0), "n_mels");
        assert_eq!(refused(|c| c.n_mels = usize::MAX), "n_mels");
        assert_eq!(refused(|c| c.n_mfcc = 41), "n_mfcc");
        assert_eq!(refused(|c| c.n_mfcc = 0), "n_mfcc");
        assert_eq!(refused(|c| c.lifter = f64::NAN), "lifter");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn coefficients_equal_their_definition(
            n_mels in 1_usize..200,
            lifter in prop_oneof![Just(0.0), 1.0_f64..100.0],
            seed: u64,
        ) {
            let levels = signal::noise(100.0, seed, n_mels);
            let mut config = MfccConfig::new(n_mels);
            config.lifter = lifter;
            config.n_mfcc = n_mels;
            let mut found: Vec<f32> = Vec::new();
            Mfcc::new(&config).unwrap().process(SampleIndex(0), &levels, |_, mfcc| found.extend_from_slice(mfcc));
            let size = n_mels as f64;
            for (n, found) in found.into_iter().enumerate() {
                let cosine = |b: usize| (PI * n as f64 * (b as f64 + 0.5) / size).cos();
                let sum: f64 = levels.iter().enumerate().map(|(b, x)| f64::from(*x) * cosine(b)).sum();
                let scale = if n == 0 { 1.0 / size } else { 2.0 / size }.sqrt();
                let lift = if lifter > 0.0 {
                    1.0 + lifter / 2.0 * (PI * (n as f64 + 1.0) / lifter).sin()
                } else {
                    1.0
                };
                // Rounding of sums of up to 200 levels of up to 100 dB.
                let bound = 100.0 * size.sqrt() * 2e-7 * (1.0 + lift.abs());
                prop_assert!((f64::from(found) - sum * scale * lift).abs() < bound);
            }
        }
    }
}
