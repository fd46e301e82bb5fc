use std::ops::{Add, Mul, Neg, Sub};

use crate::{Band, analogue_response};

/// Gain over frequency: dB at 128 points evenly spaced in pitch, 20 Hz to 20 kHz.
///
/// Curves add, subtract and scale like the decibels they are made of.
///
/// ```
/// use upbeat_eq::{Band, ToneCurve};
///
/// let curve = ToneCurve::of_bands(&[Band::high_shelf(2_000.0, 6.0)]);
/// assert!(curve.at(20.0).abs() < 0.01 && (curve.at(20_000.0) - 6.0).abs() < 0.1);
/// assert!(curve.tilt() > 0.5);
/// assert_eq!(curve - curve, ToneCurve::FLAT);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ToneCurve([f64; ToneCurve::POINTS]);

impl ToneCurve {
    /// How many points a curve has.
    pub const POINTS: usize = 128;

    /// 0 dB everywhere.
    pub const FLAT: Self = Self([0.0; Self::POINTS]);

    /// Of gains in dB, from the lowest frequency to the highest.
    #[must_use]
    pub const fn new(gains: [f64; Self::POINTS]) -> Self {
        Self(gains)
    }

    /// The gain in dB that `gain` gives for each point's frequency in Hz.
    #[must_use]
    pub fn from_fn(gain: impl Fn(f64) -> f64) -> Self {
        Self(std::array::from_fn(|k| gain(Self::frequency(k))))
    }

    /// What the analogue prototypes of `bands` do behind one another.
    #[must_use]
    pub fn of_bands(bands: &[Band]) -> Self {
        Self::from_fn(|f| {
            20.0 * bands.iter().map(|b| analogue_response(b, f).magnitude.log10()).sum::<f64>()
        })
    }

    /// The frequency of point `k` in Hz: `20 · 1000^(k / 127)`.
    #[must_use]
    pub fn frequency(k: usize) -> f64 {
        LOWEST * SPAN.powf(k as f64 / LAST)
    }

    /// The frequencies of all points in Hz.
    pub fn frequencies() -> impl ExactSizeIterator<Item = f64> {
        (0..Self::POINTS).map(Self::frequency)
    }

    /// The gains in dB.
    #[must_use]
    pub const fn gains(&self) -> &[f64; Self::POINTS] {
        &self.0
    }

    /// The gain at `frequency` in Hz, in dB: straight over pitch between two points, and beyond the first
    /// and the last one as there.
    #[must_use]
    pub fn at(&self, frequency: f64) -> f64 {
        let place = (LAST * (frequency / LOWEST).ln() / SPAN.ln()).clamp(0.0, LAST);
        let left = (place as usize).min(Self::POINTS - 2);
        self.0[left] + (self.0[left + 1] - self.0[left]) * (place - left as f64)
    }

    /// The mean gain in dB, over pitch.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / Self::POINTS as f64
    }

    /// The mean gain in dB between two frequencies in Hz, of the points there; of the nearest where there is
    /// none.
    #[must_use]
    pub fn mean_between(&self, low: f64, high: f64) -> f64 {
        let mut sum = 0.0;
        let mut count = 0.0;
        for (f, gain) in Self::frequencies().zip(&self.0) {
            if f >= low && f <= high {
                sum += gain;
                count += 1.0;
            }
        }
        if count > 0.0 { sum / count } else { self.at((low * high).sqrt()) }
    }

    /// The curve without its mean: tone, whatever the level.
    #[must_use]
    pub fn timbre(&self) -> Self {
        let mean = self.mean();
        Self(self.0.map(|gain| gain - mean))
    }

    /// Root of the mean square in dB.
    #[must_use]
    pub fn rms(&self) -> f64 {
        (self.0.iter().map(|gain| gain * gain).sum::<f64>() / Self::POINTS as f64).sqrt()
    }

    /// The largest gain or cut, in dB.
    #[must_use]
    pub fn peak(&self) -> f64 {
        self.0.iter().fold(0.0, |peak, gain| gain.abs().max(peak))
    }

    /// The straight line nearest to the curve: its slope in dB per octave.
    #[must_use]
    pub fn tilt(&self) -> f64 {
        let octave = |k: usize| (k as f64 / LAST - 0.5) * SPAN.log2();
        let products = self.0.iter().enumerate().map(|(k, gain)| gain * octave(k)).sum::<f64>();
        products / (0..Self::POINTS).map(|k| octave(k).powi(2)).sum::<f64>()
    }

    /// How much of `other` is in this curve, both taken without their means: 1 for `other` itself, 0 for
    /// what has nothing to do with it, or where `other` is flat.
    #[must_use]
    pub fn share_of(&self, other: &Self) -> f64 {
        let (own, other) = (self.timbre(), other.timbre());
        let product = |a: &Self, b: &Self| a.0.iter().zip(&b.0).map(|(x, y)| x * y).sum::<f64>();
        let energy = product(&other, &other);
        if energy > 0.0 { product(&own, &other) / energy } else { 0.0 }
    }

    fn combine(self, other: &Self, f: impl Fn(f64, f64) -> f64) -> Self {
        Self(std::array::from_fn(|k| f(self.0[k], other.0[k])))
    }
}

impl Default for ToneCurve {
    fn default() -> Self {
        Self::FLAT
    }
}

impl Add for ToneCurve {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.combine(&other, |a, b| a + b)
    }
}

impl Sub for ToneCurve {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.combine(&other, |a, b| a - b)
    }
}

impl Mul<f64> for ToneCurve {
    type Output = Self;

    fn mul(self, factor: f64) -> Self {
        Self(self.0.map(|gain| gain * factor))
    }
}

impl Neg for ToneCurve {
    type Output = Self;

    fn neg(self) -> Self {
        self * -1.0
    }
}

/// In Hz.
const LOWEST: f64 = 20.0;

/// The highest frequency over the lowest.
const SPAN: f64 = 1000.0;

const LAST: f64 = (ToneCurve::POINTS - 1) as f64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_lie_evenly_in_pitch() {
        let all: Vec<f64> = ToneCurve::frequencies().collect();
        assert!((all[0] - 20.0).abs() < 1e-9 && (all[127] - 20_000.0).abs() < 1e-6);
        assert!((all[64] / all[63] - all[1] / all[0]).abs() < 1e-12);
    }

    #[test]
    fn measures_are_those_of_their_definitions() {
        let rising = ToneCurve::from_fn(|f| 2.0 * (f / 1000.0).log2());
        assert!((rising.tilt() - 2.0).abs() < 1e-9);
        assert!((rising.at(2000.0) - 2.0).abs() < 1e-9);
        assert_eq!(rising.at(1.0), rising.gains()[0]);
        assert_eq!(rising.at(1e6), rising.gains()[127]);
        assert!(rising.timbre().mean().abs() < 1e-12);
        assert!(
            ((rising * 0.5 + ToneCurve::from_fn(|_| 7.0)).share_of(&rising) - 0.5).abs() < 1e-12
        );
        assert_eq!(rising.share_of(&ToneCurve::FLAT), 0.0);
        assert!((rising.mean_between(900.0, 1100.0) - rising.at(1000.0)).abs() < 0.1);
        let step = ToneCurve::from_fn(|f| if f < 632.0 { -3.0 } else { 3.0 });
        assert!((step.rms() - 3.0).abs() < 1e-12 && step.peak() == 3.0);
    }
}
