use std::f64::consts::{LN_10, PI};

use upbeat_core::{Decibels, SampleRate};

use crate::{Band, BandKind};

/// How a band's coefficients are made of its analogue prototype.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Design {
    /// Matched to the magnitude of the analogue prototype up to half the sample rate.
    ///
    /// Poles by impulse invariance; the numerator such that the magnitude is the prototype's at 0 Hz, at
    /// the band's frequency (at most 0.3 of the sample rate) and at half the sample rate: M. Vicanek,
    /// "Matched Second Order Digital Filters", 2016, extended to shelves. A bell or shelf is designed in
    /// that of its two directions, boost or cut, which has the narrower or lower poles, and inverted for
    /// the other, so that boost and cut of the same settings undo each other exactly.
    #[default]
    Matched,
    /// R. Bristow-Johnson's Audio EQ Cookbook, as the crate `biquad` computes it: the bilinear transform,
    /// which squeezes the response towards half the sample rate. Frequencies above 0.49 of the sample
    /// rate are taken for that.
    Cookbook,
}

/// A second-order section, `H(z) = (b0 + b1 z⁻¹ + b2 z⁻²) / (1 + a1 z⁻¹ + a2 z⁻²)`.
///
/// ```
/// use upbeat_core::SampleRate;
/// use upbeat_eq::{Band, Coefficients, Design};
///
/// let rate = SampleRate::new(48_000)?;
/// let bell = Coefficients::of(&Band::peak(1_000.0, 6.0, 1.0), rate, Design::Matched);
/// assert!((bell.response(1_000.0, rate).level().0 - 6.0).abs() < 0.001);
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Coefficients {
    /// Weight of the newest input.
    pub b0: f64,
    /// Weight of the input before it.
    pub b1: f64,
    /// Weight of the input two before.
    pub b2: f64,
    /// Weight of the output before, to be subtracted.
    pub a1: f64,
    /// Weight of the output two before, to be subtracted.
    pub a2: f64,
}

impl Coefficients {
    /// What passes everything unchanged.
    pub const IDENTITY: Self = Self { b0: 1.0, b1: 0.0, b2: 0.0, a1: 0.0, a2: 0.0 };

    /// What changes nothing when added.
    pub(crate) const NOTHING: Self = Self { b0: 0.0, b1: 0.0, b2: 0.0, a1: 0.0, a2: 0.0 };

    /// The coefficients of a valid `band` (see [`Band::validate`]); stable for every valid band.
    ///
    /// Neither allocates nor fails: an [`Equalizer`](crate::Equalizer) calls it while a band moves.
    #[must_use]
    pub fn of(band: &Band, rate: SampleRate, design: Design) -> Self {
        match (band.kind, design) {
            (BandKind::Off, _) => Self::IDENTITY,
            (BandKind::Gain, _) => {
                Self { b0: (band.gain * (LN_10 / 20.0)).exp(), ..Self::IDENTITY }
            }
            (_, Design::Matched) => Prototype::of(band).matched(band.kind, angle(band, rate)),
            (_, Design::Cookbook) => cookbook(band, rate),
        }
    }

    /// Magnitude and phase at `frequency` in Hz.
    #[must_use]
    pub fn response(&self, frequency: f64, rate: SampleRate) -> Response {
        let w = 2.0 * PI * frequency / rate.as_f64();
        // Around z = 1 the terms cancel: 1 − cos w is taken as 2 sin²(w/2), so that low bands stay exact.
        let (sin, half) = (w.sin(), (0.5 * w).sin());
        let (double_sin, double) = ((2.0 * w).sin(), w.sin());
        let complex = |c0: f64, c1: f64, c2: f64| {
            let real = (c0 + c1 + c2) - 2.0 * (c1 * half * half + c2 * double * double);
            (real, -(c1 * sin + c2 * double_sin))
        };
        let numerator = complex(self.b0, self.b1, self.b2);
        Response::quotient(numerator, complex(1.0, self.a1, self.a2))
    }

    /// Whether both poles lie inside the unit circle.
    #[must_use]
    pub fn is_stable(&self) -> bool {
        self.a2.abs() < 1.0 && self.a1.abs() < 1.0 + self.a2
    }

    /// `b0, b1, b2, a1, a2`.
    pub(crate) const fn to_array(self) -> [f64; 5] {
        [self.b0, self.b1, self.b2, self.a1, self.a2]
    }

    /// Of `b0, b1, b2, a1, a2`.
    pub(crate) const fn from_array([b0, b1, b2, a1, a2]: [f64; 5]) -> Self {
        Self { b0, b1, b2, a1, a2 }
    }

    /// What to add `steps` times to get to `target`.
    pub(crate) fn step_to(&self, target: &Self, steps: f64) -> Self {
        self.combine(target, |from, to| (to - from) / steps)
    }

    /// One step on.
    pub(crate) fn advance(&mut self, step: &Self) {
        *self = self.combine(step, |c, step| c + step);
    }

    /// `1 − weight + weight · H`: the signal itself and what the filter makes of it, mixed.
    pub(crate) fn mixed(&self, weight: f64) -> Self {
        let mix = |own: f64, filtered: f64| own + weight * (filtered - own);
        let Self { b0, b1, b2, a1, a2 } = *self;
        Self { b0: mix(1.0, b0), b1: mix(a1, b1), b2: mix(a2, b2), a1, a2 }
    }

    fn combine(&self, other: &Self, f: impl Fn(f64, f64) -> f64) -> Self {
        let (a, b) = (self.to_array(), other.to_array());
        Self::from_array(std::array::from_fn(|k| f(a[k], b[k])))
    }

    /// `1 / H`: what this boosts is cut as much. Stable where the zeros lie inside the unit circle.
    fn inverse(&self) -> Self {
        let scale = self.b0.recip();
        Self {
            b0: scale,
            b1: self.a1 * scale,
            b2: self.a2 * scale,
            a1: self.b1 * scale,
            a2: self.b2 * scale,
        }
    }
}

/// A filter's answer at one frequency.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Response {
    /// Amplitude of the output over that of the input.
    pub magnitude: f64,
    /// By how much the output is ahead of the input, in radians, −π to π.
    pub phase: f64,
}

impl Response {
    /// The answer of nothing at all.
    pub const IDENTITY: Self = Self { magnitude: 1.0, phase: 0.0 };

    /// The magnitude in dB.
    #[must_use]
    pub fn level(&self) -> Decibels {
        Decibels((20.0 * self.magnitude.log10()) as f32)
    }

    /// The answer of this filter followed by `next`.
    #[must_use]
    pub fn then(&self, next: Self) -> Self {
        let phase = self.phase + next.phase;
        let turns = (phase / (2.0 * PI)).round();
        Self { magnitude: self.magnitude * next.magnitude, phase: phase - 2.0 * PI * turns }
    }

    fn quotient(numerator: (f64, f64), denominator: (f64, f64)) -> Self {
        let ((a, b), (c, d)) = (numerator, denominator);
        let magnitude = a.hypot(b) / c.hypot(d);
        Self { magnitude, phase: (b * c - a * d).atan2(a * c + b * d) }
    }
}

/// The answer of the analogue prototype of `band` at `frequency` in Hz: what [`Design::Matched`] aims at.
#[must_use]
pub fn analogue_response(band: &Band, frequency: f64) -> Response {
    match band.kind {
        BandKind::Off => Response::IDENTITY,
        BandKind::Gain => Response { magnitude: 10_f64.powf(band.gain / 20.0), phase: 0.0 },
        _ => {
            let Prototype { n, d } = Prototype::of(band);
            let x = frequency / band.frequency;
            let at = |p: [f64; 3]| (p[0] - p[2] * x * x, p[1] * x);
            Response::quotient(at(n), at(d))
        }
    }
}

/// The analogue prototype of a band, `(n₀ + n₁ s + n₂ s²) / (d₀ + d₁ s + d₂ s²)`, `s = i f / frequency`;
/// the forms of the Audio EQ Cookbook.
#[derive(Clone, Copy, Debug)]
struct Prototype {
    n: [f64; 3],
    d: [f64; 3],
}

impl Prototype {
    fn of(band: &Band) -> Self {
        let a = (band.gain * (LN_10 / 40.0)).exp();
        let width = band.q.recip();
        let (n, d) = match band.kind {
            BandKind::Off | BandKind::Gain => ([1.0, 0.0, 0.0], [1.0, 0.0, 0.0]),
            BandKind::Peak => ([1.0, width * a, 1.0], [1.0, width / a, 1.0]),
            BandKind::LowShelf => {
                let slope = a.sqrt() * width;
                ([a * a, a * slope, a], [1.0, slope, a])
            }
            BandKind::HighShelf => {
                let slope = a.sqrt() * width;
                ([a, a * slope, a * a], [a, slope, 1.0])
            }
            BandKind::LowPass => ([1.0, 0.0, 0.0], [1.0, width, 1.0]),
            BandKind::HighPass => ([0.0, 0.0, 1.0], [1.0, width, 1.0]),
            BandKind::Notch => ([1.0, 0.0, 1.0], [1.0, width, 1.0]),
            BandKind::Tilt => ([1.0, a, 0.0], [a, 1.0, 0.0]),
        };
        Self { n, d }
    }

    /// The coefficients for a band at the angular frequency `w`, in radians per sample.
    fn matched(&self, kind: BandKind, w: f64) -> Coefficients {
        let inverse = Self { n: self.d, d: self.n };
        match kind {
            BandKind::Off | BandKind::Gain => Coefficients::IDENTITY,
            BandKind::Peak if self.d[1] > self.n[1] => inverse.matched_section(w).inverse(),
            BandKind::LowShelf | BandKind::HighShelf if self.pole_is_higher() => {
                inverse.matched_section(w).inverse()
            }
            BandKind::Peak | BandKind::LowShelf | BandKind::HighShelf | BandKind::LowPass => {
                self.matched_section(w)
            }
            BandKind::HighPass => self.matched_high_pass(w),
            BandKind::Notch => self.matched_notch(w),
            BandKind::Tilt if self.d[0] > self.n[0] * self.d[1] / self.n[1] => {
                inverse.matched_first_order(w).inverse()
            }
            BandKind::Tilt => self.matched_first_order(w),
        }
    }

    /// Whether the poles' frequency is above the zeros'.
    fn pole_is_higher(&self) -> bool {
        self.d[0] * self.n[2] > self.n[0] * self.d[2]
    }

    /// `|H|²` at `x` times the band's frequency.
    fn power(&self, x: f64) -> f64 {
        let square = |p: [f64; 3]| (p[0] - p[2] * x * x).powi(2) + (p[1] * x).powi(2);
        square(self.n) / square(self.d)
    }

    /// Magnitude as the prototype's at 0 Hz, at the band and at half the sample rate.
    fn matched_section(&self, w: f64) -> Coefficients {
        let poles = Poles::impulse_invariant(self.d, w);
        let [at_zero, at_nyquist, _] = poles.powers;
        let b_zero = at_zero * (self.n[0] / self.d[0]).powi(2);
        let b_nyquist = at_nyquist * self.power(PI / w);
        let matched = w.min(HIGHEST_MATCH);
        let phi = Phi::at(matched);
        let wanted = self.power(matched / w) * poles.power(phi);
        let b_between = (wanted - b_zero * phi.zero - b_nyquist * phi.nyquist) / phi.between;

        // Spectral factorisation of b_zero φ₀ + b_nyquist φ₁ + b_between φ₂, zeros inside the circle.
        let (sum, alternating) = (b_zero.sqrt(), b_nyquist.sqrt());
        let even = 0.5 * (sum + alternating);
        // A very wide bell beyond half the sample rate asks for more than two zeros can do: the root would
        // be imaginary. Its zeros stay a tenth as far inside the circle as impulse invariance puts them.
        let inside = (0.05 * self.n[1] / self.d[2].max(self.n[2]) * w).min(0.5) * even;
        let b0 = 0.5 * (even + (even * even + b_between).max(inside * inside).sqrt());
        let b1 = 0.5 * (sum - alternating);
        Coefficients { b0, b1, b2: even - b0, a1: poles.a1, a2: poles.a2 }
    }

    /// Two zeros at 0 Hz; magnitude as the prototype's at the band, or, for bands so low that the poles' power
    /// there is lost in rounding, at half the sample rate, which by then is the same to 10⁻⁵.
    fn matched_high_pass(&self, w: f64) -> Coefficients {
        let poles = Poles::impulse_invariant(self.d, w);
        let b0 = if w < LOWEST_MATCH {
            0.25 * poles.powers[1].sqrt()
        } else {
            let matched = w.min(HIGHEST_MATCH);
            let phi = Phi::at(matched);
            (self.power(matched / w) * poles.power(phi)).sqrt() / (4.0 * phi.nyquist)
        };
        Coefficients { b0, b1: -2.0 * b0, b2: b0, a1: poles.a1, a2: poles.a2 }
    }

    /// Zeros exactly at the band, magnitude 1 at 0 Hz and at half the sample rate, width as the
    /// prototype's; nothing at all for a band above half the sample rate.
    fn matched_notch(&self, w: f64) -> Coefficients {
        if w >= PI {
            return Coefficients::IDENTITY;
        }
        let width = (0.5 * w * self.d[1]).min(WIDEST_NOTCH).tan();
        let a2 = (1.0 - width) / (1.0 + width);
        let (b0, a1) = (0.5 * (1.0 + a2), -w.cos() * (1.0 + a2));
        Coefficients { b0, b1: a1, b2: b0, a1, a2 }
    }

    /// One pole by impulse invariance, magnitude as the prototype's at 0 Hz and half the sample rate.
    fn matched_first_order(&self, w: f64) -> Coefficients {
        let pole = (-w * self.d[0] / self.d[1]).exp();
        let sum = (1.0 - pole) * self.n[0] / self.d[0];
        let alternating = (1.0 + pole) * self.power(PI / w).sqrt();
        Coefficients {
            b0: 0.5 * (sum + alternating),
            b1: 0.5 * (sum - alternating),
            a1: -pole,
            b2: 0.0,
            a2: 0.0,
        }
    }
}

/// A denominator and its power `|1 + a1 z⁻¹ + a2 z⁻²|² = p₀ φ₀ + p₁ φ₁ + p₂ φ₂`.
struct Poles {
    a1: f64,
    a2: f64,
    powers: [f64; 3],
}

impl Poles {
    /// `z = e^(s w)` for the roots `s` of `d`. An angle above half the sample rate is taken for that.
    fn impulse_invariant(d: [f64; 3], w: f64) -> Self {
        let half = 0.5 * d[1] / d[2];
        let square = half * half - d[0] / d[2];
        let (a1, a2) = if square < 0.0 {
            let decay = (-half * w).exp();
            (-2.0 * decay * ((-square).sqrt() * w).min(PI).cos(), decay * decay)
        } else {
            // Real poles: e^(−half w) cosh(…) written without overflow.
            let root = square.sqrt();
            let slow = (-(d[0] / d[2]) / (half + root) * w).exp();
            let fast = (-(half + root) * w).exp();
            (-(slow + fast), slow * fast)
        };
        let (even, odd) = (1.0 + a2, a1);
        Self { a1, a2, powers: [(even + odd).powi(2), (even - odd).powi(2), -4.0 * a2] }
    }

    fn power(&self, phi: Phi) -> f64 {
        self.powers[0] * phi.zero + self.powers[1] * phi.nyquist + self.powers[2] * phi.between
    }
}

/// The three functions of frequency that the power of any second-order polynomial is a sum of: 1 at 0 Hz
/// only, 1 at half the sample rate only, and one that is 0 at both.
#[derive(Clone, Copy)]
struct Phi {
    zero: f64,
    nyquist: f64,
    between: f64,
}

impl Phi {
    fn at(w: f64) -> Self {
        let nyquist = (0.5 * w).sin().powi(2);
        let zero = 1.0 - nyquist;
        Self { zero, nyquist, between: 4.0 * zero * nyquist }
    }
}

fn angle(band: &Band, rate: SampleRate) -> f64 {
    2.0 * PI * band.frequency / rate.as_f64()
}

fn cookbook(band: &Band, rate: SampleRate) -> Coefficients {
    use biquad::Type;
    // The crate takes the frequency as a fraction of half the sample rate.
    let position = (2.0 * band.frequency / rate.as_f64()).min(0.98);
    let (kind, q) = match band.kind {
        BandKind::Off | BandKind::Gain => return Coefficients::IDENTITY,
        BandKind::Tilt => return bilinear_first_order(&Prototype::of(band), position),
        BandKind::Peak => (Type::PeakingEQ(band.gain), band.q),
        BandKind::LowShelf => (Type::LowShelf(band.gain), band.q),
        BandKind::HighShelf => (Type::HighShelf(band.gain), band.q),
        BandKind::LowPass => (Type::LowPass, band.q),
        BandKind::HighPass => (Type::HighPass, band.q),
        BandKind::Notch => (Type::Notch, band.q),
    };
    // Fails for a position or Q out of range only, which a valid band has not.
    biquad::Coefficients::from_normalized_params(kind, position, q).map_or(
        Coefficients::IDENTITY,
        |c| Coefficients { b0: c.b0, b1: c.b1, b2: c.b2, a1: c.a1, a2: c.a2 },
    )
}

/// `s = (1 − z⁻¹) / (1 + z⁻¹) / tan(w / 2)`; the cookbook has no section of first order.
fn bilinear_first_order(prototype: &Prototype, position: f64) -> Coefficients {
    let Prototype { n, d } = prototype;
    let t = (0.5 * PI * position).tan();
    let scale = (d[0] * t + d[1]).recip();
    Coefficients {
        b0: (n[0] * t + n[1]) * scale,
        b1: (n[0] * t - n[1]) * scale,
        a1: (d[0] * t - d[1]) * scale,
        b2: 0.0,
        a2: 0.0,
    }
}

/// The highest frequency to match at, beside 0 Hz and half the sample rate, in radians per sample: 0.3 of
/// the sample rate. Of 0.25, 0.3, 0.4 and 0.5 it gives the smallest error over random settings.
const HIGHEST_MATCH: f64 = 0.6 * PI;

/// Below this angular frequency, in radians per sample, nothing is matched at the band itself.
const LOWEST_MATCH: f64 = 1e-3;

/// Half of the widest notch, in radians per sample.
const WIDEST_NOTCH: f64 = 0.49 * PI;

#[cfg(test)]
#[path = "design_tests.rs"]
mod tests;
