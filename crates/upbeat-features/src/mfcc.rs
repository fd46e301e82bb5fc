//! Mel-frequency cepstral coefficients.

use std::f64::consts::PI;

use upbeat_core::{ConfigError, SampleIndex, Stage};

use crate::math::dot;

/// Settings of [`Mfcc`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct MfccConfig {
    /// Levels in each input frame, from 1 to 4096.
    pub n_mels: usize,
    /// Coefficients, from 1 to `n_mels`. Default: 20, or `n_mels` if that is less.
    pub n_mfcc: usize,
    /// Strength of the cepstral filter, at least 0, which is none. Default: 0.
    pub lifter: f32,
}

impl MfccConfig {
    /// librosa's settings, for frames of `n_mels` levels.
    #[must_use]
    pub const fn new(n_mels: usize) -> Self {
        Self { n_mels, n_mfcc: if n_mels < 20 { n_mels } else { 20 }, lifter: 0.0 }
    }
}

/// Mel-frequency cepstral coefficients of frames of mel levels in dB.
///
/// The orthonormal discrete cosine transform, type II:
/// `c[k] = s(k) Σ_m S[m] cos(π k (m + ½) / n_mels)`, `s(0) = √(1 / n_mels)`, else `√(2 / n_mels)`; then, if
/// `lifter` L is above 0, times `1 + L/2 · sin(π (k + 1) / L)`. As `librosa.feature.mfcc(S=…)`, after Davis
/// and Mermelstein, IEEE TASSP 1980. There is no memory. librosa's own default for `S` has a floor
/// 80 dB below the loudest level of the recording; see [`LogMel`](crate::mel::LogMel).
///
/// # Examples
///
/// ```
/// use upbeat_core::{SampleIndex, Stage};
/// use upbeat_features::mfcc::{Mfcc, MfccConfig};
///
/// let mut mfcc = Mfcc::new(&MfccConfig::new(4))?;
/// mfcc.process(SampleIndex(0), &[-10.0; 4], |_, coefficients| {
///     assert!((coefficients[0] + 20.0).abs() < 1e-4); // level: −10 dB · √4
///     assert!(coefficients[1..].iter().all(|c| c.abs() < 1e-4)); // flat: no other shape
/// });
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Mfcc {
    n_mels: usize,
    /// One row of `n_mels` weights per coefficient.
    basis: Box<[f32]>,
    coefficients: Box<[f32]>,
}

impl Mfcc {
    /// Computes the basis.
    ///
    /// # Errors
    ///
    /// If a setting is out of its range.
    pub fn new(config: &MfccConfig) -> Result<Self, ConfigError> {
        let MfccConfig { n_mels, n_mfcc, lifter } = *config;
        ConfigError::require((1..=4096).contains(&n_mels), "n_mels", "from 1 to 4096", n_mels)?;
        ConfigError::require(n_mfcc >= 1, "n_mfcc", "at least 1", n_mfcc)?;
        ConfigError::require(n_mfcc <= n_mels, "n_mfcc", "at most n_mels", n_mfcc)?;
        let holds = lifter >= 0.0 && lifter.is_finite();
        ConfigError::require(holds, "lifter", "at least 0", lifter)?;
        let (n, lifter) = (n_mels as f64, f64::from(lifter));
        let weight = |k: usize, m: usize| {
            let norm = if k == 0 { 1.0 / n } else { 2.0 / n }.sqrt();
            let lift = if lifter > 0.0 {
                1.0 + lifter / 2.0 * (PI * (k + 1) as f64 / lifter).sin()
            } else {
                1.0
            };
            (lift * norm * (PI * k as f64 * (m as f64 + 0.5) / n).cos()) as f32
        };
        let basis = (0..n_mfcc).flat_map(|k| (0..n_mels).map(move |m| weight(k, m))).collect();
        Ok(Self { n_mels, basis, coefficients: vec![0.0; n_mfcc].into() })
    }
}

impl Stage for Mfcc {
    type In = [f32];
    type Out = [f32];

    /// # Panics
    ///
    /// If there are not `n_mels` levels.
    fn process(
        &mut self,
        at: SampleIndex,
        levels: &[f32],
        mut emit: impl FnMut(SampleIndex, &[f32]),
    ) {
        assert_eq!(levels.len(), self.n_mels, "a frame holds n_mels levels");
        let rows = self.basis.chunks_exact(self.n_mels);
        for (coefficient, row) in self.coefficients.iter_mut().zip(rows) {
            *coefficient = dot(row, levels);
        }
        emit(at, &self.coefficients);
    }

    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use upbeat_testkit::signal;

    fn mfcc(config: &MfccConfig, levels: &[f32]) -> Vec<f32> {
        let mut found = Vec::new();
        Mfcc::new(config).unwrap().process(SampleIndex(0), levels, |_, c| found = c.to_vec());
        found
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let refused = |change: fn(&mut MfccConfig)| {
            let mut config = MfccConfig::new(40);
            change(&mut config);
            Mfcc::new(&config).unwrap_err().parameter()
        };
        assert_eq!(refused(|c| c.n_mels = 0), "n_mels");
        assert_eq!(refused(|c| c.n_mfcc = 0), "n_mfcc");
        assert_eq!(refused(|c| c.n_mfcc = 41), "n_mfcc");
        assert_eq!(refused(|c| c.lifter = f32::NAN), "lifter");
        assert_eq!(MfccConfig::new(13).n_mfcc, 13);
    }

    #[test]
    fn the_lifter_weights_coefficients_as_librosa_does() {
        let levels = signal::noise(40.0, 1, 40);
        let mut config = MfccConfig::new(40);
        let plain = mfcc(&config, &levels);
        config.lifter = 22.0;
        for (k, (lifted, plain)) in mfcc(&config, &levels).iter().zip(&plain).enumerate() {
            let expected =
                plain * (1.0 + 11.0 * (std::f32::consts::PI * (k + 1) as f32 / 22.0).sin());
            assert!((lifted - expected).abs() < 1e-3, "{k}: {lifted} {expected}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// An orthonormal transform of full size keeps lengths and can be undone by its transpose.
        #[test]
        fn the_basis_is_orthonormal(n in 1_usize..50, seed: u64) {
            let mut config = MfccConfig::new(n);
            config.n_mfcc = n;
            let levels = signal::noise(60.0, seed, n);
            let coefficients = mfcc(&config, &levels);
            let basis = Mfcc::new(&config).unwrap().basis;
            for (m, level) in levels.iter().enumerate() {
                let back: f32 = (0..n).map(|k| coefficients[k] * basis[k * n + m]).sum();
                prop_assert!((back - level).abs() < 1e-3);
            }
        }
    }
}
