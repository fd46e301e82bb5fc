use serde::{Deserialize, Serialize};
use upbeat_core::ConfigError;

use crate::{Band, BandKind, ToneCurve};

/// The equalizer that words are written in: a low shelf, three bells and a high shelf, 13 parameters.
///
/// The bands, their order and their ranges are those of the SAFE equaliser (Stables, Enderby, De Man, Fazekas
/// and Reiss, 2014); shelves have a Q of 0.71.
///
/// ```
/// use upbeat_eq::SemanticEq;
///
/// let eq = SemanticEq::from_parameters([
///     2.0, 120.0, 0.0, 300.0, 0.7, -1.5, 900.0, 1.0, 0.0, 3_000.0, 0.7, 3.0, 8_000.0,
/// ])?;
/// assert!((eq.curve().at(20.0) - 2.0).abs() < 0.2);
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "[f64; 13]", into = "[f64; 13]")]
pub struct SemanticEq {
    parameters: [f64; SemanticEq::PARAMETERS],
}

impl SemanticEq {
    /// How many parameters there are.
    pub const PARAMETERS: usize = 13;

    /// The largest gain or cut of a band, in dB.
    pub const MAX_GAIN: f64 = 12.0;

    /// The lowest and the highest Q of a bell.
    pub const QS: [f64; 2] = [0.1, 10.0];

    /// The lowest and the highest frequency of each band, in Hz.
    pub const FREQUENCIES: [[f64; 2]; 5] =
        [[22.0, 1000.0], [82.0, 3900.0], [180.0, 4700.0], [220.0, 10_000.0], [580.0, 20_000.0]];

    /// Of low shelf gain (dB) and frequency (Hz), gain, frequency and Q of each bell, high shelf gain and
    /// frequency.
    ///
    /// # Errors
    ///
    /// If one is out of its range.
    pub fn from_parameters(parameters: [f64; Self::PARAMETERS]) -> Result<Self, ConfigError> {
        let eq = Self { parameters };
        for (band, [low, high]) in eq.bands().iter().zip(Self::FREQUENCIES) {
            let gain = band.gain.abs() <= Self::MAX_GAIN;
            ConfigError::require(gain, "gain", "-12 to 12 dB", band.gain)?;
            if !(band.frequency >= low && band.frequency <= high) {
                let range = format!("{low} to {high} Hz");
                return Err(ConfigError::new("frequency", range, band.frequency));
            }
            let q = band.q >= Self::QS[0] && band.q <= Self::QS[1];
            ConfigError::require(q, "q", "0.1 to 10", band.q)?;
        }
        Ok(eq)
    }

    /// The 13 parameters, in the order of [`from_parameters`](Self::from_parameters).
    #[must_use]
    pub const fn parameters(&self) -> &[f64; Self::PARAMETERS] {
        &self.parameters
    }

    /// The bands of an [`Equalizer`](crate::Equalizer) that does the same.
    #[must_use]
    pub const fn bands(&self) -> [Band; 5] {
        let [g0, f0, g1, f1, q1, g2, f2, q2, g3, f3, q3, g4, f4] = self.parameters;
        [
            Band::new(BandKind::LowShelf, f0, g0, SHELF_Q),
            Band::peak(f1, g1, q1),
            Band::peak(f2, g2, q2),
            Band::peak(f3, g3, q3),
            Band::new(BandKind::HighShelf, f4, g4, SHELF_Q),
        ]
    }

    /// What it does, as the analogue prototypes do it.
    #[must_use]
    pub fn curve(&self) -> ToneCurve {
        ToneCurve::of_bands(&self.bands())
    }
}

impl TryFrom<[f64; SemanticEq::PARAMETERS]> for SemanticEq {
    type Error = ConfigError;

    fn try_from(parameters: [f64; Self::PARAMETERS]) -> Result<Self, ConfigError> {
        Self::from_parameters(parameters)
    }
}

impl From<SemanticEq> for [f64; SemanticEq::PARAMETERS] {
    fn from(eq: SemanticEq) -> Self {
        eq.parameters
    }
}

const SHELF_Q: f64 = 0.71;

#[cfg(test)]
mod tests {
    use super::*;

    const FLAT: [f64; 13] =
        [0.0, 100.0, 0.0, 300.0, 1.0, 0.0, 900.0, 1.0, 0.0, 3000.0, 1.0, 0.0, 9000.0];

    #[test]
    fn each_parameter_out_of_range_is_named() {
        assert_eq!(SemanticEq::from_parameters(FLAT).unwrap().curve(), ToneCurve::FLAT);
        for (index, value, parameter) in [
            (0, 12.1, "gain"),
            (1, 21.0, "frequency"),
            (1, 1001.0, "frequency"),
            (4, 0.05, "q"),
            (8, f64::NAN, "gain"),
            (9, f64::INFINITY, "frequency"),
            (10, f64::NAN, "q"),
            (12, 20_001.0, "frequency"),
        ] {
            let mut parameters = FLAT;
            parameters[index] = value;
            let error = SemanticEq::from_parameters(parameters).unwrap_err();
            assert_eq!(error.parameter(), parameter, "{index} {value}");
        }
    }
}
