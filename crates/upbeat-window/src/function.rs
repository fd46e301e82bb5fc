use std::f64::consts::PI;
use std::sync::Arc;

use upbeat_core::{ConfigError, FrameSpec};

/// A window function: the taper that a frame is multiplied by before its spectrum is taken.
///
/// The values are those of `scipy.signal.get_window` (with [`Symmetry::Periodic`] its `fftbins=True`)
/// to 1e-7. With `M` the length of the symmetric window and `n = 0, …, M − 1`, the cosine windows are
/// `w[n] = Σ_k (−1)^k a_k cos(2π k n / (M − 1))`. A window of length 1 is `[1]`.
///
/// # Examples
///
/// ```
/// use upbeat_window::{Symmetry, WindowFunction};
///
/// let window = WindowFunction::Hann.table(4, Symmetry::Periodic)?;
/// assert_eq!(*window, [0.0, 0.5, 1.0, 0.5]);
/// let error = WindowFunction::Tukey { alpha: 1.5 }.table(4, Symmetry::Periodic).unwrap_err();
/// assert_eq!(error.to_string(), "alpha must be from 0 to 1, got 1.5");
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum WindowFunction {
    /// All ones.
    Rectangular,
    /// `a = (0.5, 0.5)`.
    Hann,
    /// `a = (0.54, 0.46)`.
    Hamming,
    /// `a = (0.42, 0.5, 0.08)`.
    Blackman,
    /// `a = (0.35875, 0.48829, 0.14128, 0.01168)`: side lobes 92 dB down (Harris, "On the use of
    /// windows for harmonic analysis with the discrete Fourier transform", Proc. IEEE 1978).
    BlackmanHarris,
    /// `I₀(β √(1 − (2n/(M − 1) − 1)²)) / I₀(β)`, with `I₀` the modified Bessel function of order 0
    /// (Kaiser, "Digital filters", 1966).
    Kaiser {
        /// Trades main lobe width for side lobe height; from 0 (rectangular) to 700.
        beta: f64,
    },
    /// `exp(−(n − (M − 1)/2)² / (2σ²))`.
    Gaussian {
        /// The standard deviation σ in samples, above 0.
        std: f64,
    },
    /// Flat, with Hann slopes that together take the share `alpha` of the length.
    Tukey {
        /// From 0 (rectangular) to 1 (Hann).
        alpha: f64,
    },
    /// `a = (0.21557895, 0.41663158, 0.277263158, 0.083578947, 0.006947368)`: reads the amplitude of
    /// a sine between bins to 0.01 dB (D'Antona and Ferrero, "Digital signal processing for
    /// measurement systems", 2006). Slightly negative near its ends.
    FlatTop,
}

/// Whether a window is one period of a periodic sequence, or its own mirror image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
pub enum Symmetry {
    /// The symmetric window one longer, without its last value: for spectra and overlap-add.
    Periodic,
    /// `w[n] = w[M − 1 − n]`: for the design of filters.
    Symmetric,
}

impl WindowFunction {
    /// The longest window made, as the longest frame.
    pub const MAX_LENGTH: usize = FrameSpec::MAX_LENGTH;
    /// The largest `beta`; beyond it `I₀` leaves the range of `f64`.
    pub const MAX_BETA: f64 = 700.0;

    /// The window's values, computed in `f64` and rounded once; to be shared by all who use it.
    ///
    /// # Errors
    ///
    /// As [`table_f64`](Self::table_f64).
    pub fn table(self, length: usize, symmetry: Symmetry) -> Result<Arc<[f32]>, ConfigError> {
        let table = self.table_f64(length, symmetry)?;
        Ok(table.into_iter().map(|value| value as f32).collect())
    }

    /// The window's values in double precision.
    ///
    /// # Errors
    ///
    /// If `length` is 0 or above [`MAX_LENGTH`](Self::MAX_LENGTH), or a parameter of the window is
    /// outside its range.
    pub fn table_f64(self, length: usize, symmetry: Symmetry) -> Result<Vec<f64>, ConfigError> {
        ConfigError::require(length >= 1, "length", "at least 1", length)?;
        ConfigError::require(length <= Self::MAX_LENGTH, "length", "at most 4194304", length)?;
        self.check()?;
        if length == 1 {
            return Ok(vec![1.0]);
        }
        let last = match symmetry {
            Symmetry::Periodic => length,
            Symmetry::Symmetric => length - 1,
        };
        // The second half mirrors the first, so that symmetry is exact.
        let mut table = vec![0.0; length];
        for n in 0..=last / 2 {
            let value = self.value(n as f64, last as f64);
            table[n] = value;
            if let Some(mirrored) = table.get_mut(last - n) {
                *mirrored = value;
            }
        }
        Ok(table)
    }

    /// Refuses parameters for which the window is not defined.
    fn check(self) -> Result<(), ConfigError> {
        match self {
            Self::Kaiser { beta } => {
                let holds = (0.0..=Self::MAX_BETA).contains(&beta);
                ConfigError::require(holds, "beta", "from 0 to 700", beta)
            }
            Self::Gaussian { std } => {
                ConfigError::require(std > 0.0 && std.is_finite(), "std", "above 0 and finite", std)
            }
            Self::Tukey { alpha } => {
                ConfigError::require((0.0..=1.0).contains(&alpha), "alpha", "from 0 to 1", alpha)
            }
            _ => Ok(()),
        }
    }

    /// The value at `n`, in the first half of the symmetric window on `0..=last`.
    fn value(self, n: f64, last: f64) -> f64 {
        match self {
            Self::Hann => cosines(&[0.5, 0.5], n / last),
            Self::Hamming => cosines(&[0.54, 0.46], n / last),
            Self::Blackman => cosines(&[0.42, 0.5, 0.08], n / last),
            Self::BlackmanHarris => cosines(&[0.35875, 0.48829, 0.14128, 0.01168], n / last),
            Self::Kaiser { beta } => {
                let x = 2.0 * n / last - 1.0;
                bessel_i0(beta * (1.0 - x * x).sqrt()) / bessel_i0(beta)
            }
            Self::Gaussian { std } => (-0.5 * ((n - last / 2.0) / std).powi(2)).exp(),
            Self::Tukey { alpha } if n < alpha * last / 2.0 => {
                cosines(&[0.5, 0.5], n / (alpha * last))
            }
            Self::Rectangular | Self::Tukey { .. } => 1.0,
            Self::FlatTop => cosines(&FLAT_TOP, n / last),
        }
    }
}

/// `Σ_k (−1)^k a_k cos(2π k phase)`.
fn cosines(coefficients: &[f64], phase: f64) -> f64 {
    (0..).zip(coefficients).map(|(k, a)| a * (f64::from(k) * PI * (2.0 * phase - 1.0)).cos()).sum()
}

/// The modified Bessel function of the first kind of order 0, `Σ_k ((x/2)^k / k!)²`.
///
/// All terms are positive, so nothing cancels; for `x ≤ 700` some 500 terms reach full precision.
fn bessel_i0(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let mut term = 1.0;
    let mut sum = 1.0;
    let mut k = 1.0;
    while term > sum * (f64::EPSILON / 8.0) {
        term *= quarter / (k * k);
        sum += term;
        k += 1.0;
    }
    sum
}

const FLAT_TOP: [f64; 5] =
    [0.215_578_95, 0.416_631_58, 0.277_263_158, 0.083_578_947, 0.006_947_368];
