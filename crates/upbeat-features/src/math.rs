//! Arithmetic that several features share, written so that the compiler vectorises it.

/// Lanes that a sum is split into: as many as keep the adders of common processors busy.
pub(crate) const LANES: usize = 16;

/// Values summed in `f32` before the sum is added up in `f64`.
pub(crate) const BLOCK: usize = 128;

/// The binary logarithm, to 2⁻²³ of the larger of 1 and the result; −126 for everything below 2⁻¹²⁶, for
/// NaN also.
///
/// Without branches, so that a loop over it is vectorised, unlike one over [`f32::log2`].
#[inline]
pub(crate) fn log2(x: f32) -> f32 {
    let x = if x > f32::MIN_POSITIVE { x } else { f32::MIN_POSITIVE };
    // x = mantissa · 2^exponent, with the mantissa from √½ to √2.
    let shifted = x.to_bits().wrapping_sub(SQRT_HALF);
    let exponent = (shifted as i32 >> MANTISSA_BITS) as f32;
    let mantissa = f32::from_bits((shifted & MANTISSA_MASK) + SQRT_HALF);
    // log2(mantissa) is an odd function of s; the polynomial is within 1e-9 of it.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let z = s * s;
    exponent + s * (2.885_39 + z * (0.961_798_85 + z * (0.576_714_4 + z * 0.431_735_8)))
}

/// `log2(1 + x)` for `x ≥ 0`, to 3e-7 of the result also where `x` is tiny.
#[inline]
pub(crate) fn log2_1p(x: f32) -> f32 {
    let sum = 1.0 + x;
    // What rounding `sum` lost, to first order.
    let lost = x - (sum - 1.0);
    log2(sum) + std::f32::consts::LOG2_E * lost / sum
}

/// `2^y`, to 3e-7 of the result; `y` is clipped to ±126.
#[inline]
pub(crate) fn exp2(y: f32) -> f32 {
    let (scale, fraction) = exp2_parts(y);
    scale * fraction + scale
}

/// `2^y − 1`, to 3e-7 of the result also where `y` is tiny; `y` is clipped to ±126.
#[inline]
pub(crate) fn exp2_m1(y: f32) -> f32 {
    let (scale, fraction) = exp2_parts(y);
    scale * fraction + (scale - 1.0)
}

/// A power of two and a small fraction, `2^y = scale · (1 + fraction)`.
#[inline]
fn exp2_parts(y: f32) -> (f32, f32) {
    let y = if y > -126.0 { y } else { -126.0 };
    let y = if y < 126.0 { y } else { 126.0 };
    // Adding 1.5 · 2²³ leaves the nearest integer in the lowest bits.
    let rounded = y + 12_582_912.0;
    let scale =
        f32::from_bits((rounded.to_bits() << MANTISSA_BITS).wrapping_add(1.0_f32.to_bits()));
    let f = y - (rounded - 12_582_912.0);
    let higher = 0.055_503_573 + f * (0.009_618_238 + f * (0.001_339_073_5 + f * 0.000_154_034_95));
    (scale, f * (std::f32::consts::LN_2 + f * (0.240_226_49 + f * higher)))
}

/// `10 log10(power)` without a branch; see [`log2`].
#[inline]
pub(crate) fn power_to_db(power: f32) -> f32 {
    DB_PER_OCTAVE * log2(power)
}

/// `Σ a[i] b[i]` over the shorter of both.
#[inline]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    short_dot::<LANES>(a, b)
}

/// [`dot`] in `N` lanes, a power of two: fewer for slices so short that adding up the lanes takes long.
#[inline]
pub(crate) fn short_dot<const N: usize>(a: &[f32], b: &[f32]) -> f32 {
    let length = a.len().min(b.len());
    let (a, a_rest) = a[..length].as_chunks::<N>();
    let (b, b_rest) = b[..length].as_chunks::<N>();
    let mut lanes = [0.0; N];
    for (a, b) in a.iter().zip(b) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    fold(lanes) + rest
}

/// `Σ term(x)`, in `f32` within blocks and in `f64` across them.
#[inline]
pub(crate) fn sum_of(values: &[f32], term: impl Fn(f32) -> f32) -> f64 {
    values.chunks(BLOCK).map(|block| f64::from(block_sum(block, &term))).sum()
}

/// `Σ term(x)` in `f32`, for a short slice.
#[inline]
pub(crate) fn block_sum(block: &[f32], term: impl Fn(f32) -> f32) -> f32 {
    let (chunks, rest) = block.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane += term(*x);
        }
    }
    let mut sum = fold(lanes);
    for x in rest {
        sum += term(*x);
    }
    sum
}

/// The largest of `term(x)`, at least 0.
#[inline]
pub(crate) fn max_of(values: &[f32], term: impl Fn(f32) -> f32) -> f32 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    let larger = |a: f32, b: f32| if a > b { a } else { b };
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = larger(term(*x), *lane);
        }
    }
    lanes.into_iter().chain(rest.iter().map(|x| term(*x))).fold(0.0, larger)
}

/// The sum of all lanes, in pairs.
#[inline]
fn fold<const N: usize>(mut lanes: [f32; N]) -> f32 {
    let mut width = N / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// `10 log10(2)`.
const DB_PER_OCTAVE: f32 = 3.010_3;
/// The bits of √½.
const SQRT_HALF: u32 = std::f32::consts::FRAC_1_SQRT_2.to_bits();
const MANTISSA_BITS: u32 = 23;
const MANTISSA_MASK: u32 = (1 << MANTISSA_BITS) - 1;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    /// The largest error of `fast` against `exact`, over positive numbers of every size.
    fn worst(range: std::ops::RangeInclusive<f32>, error: impl Fn(f32) -> f64) -> (f64, f32) {
        let (from, to) = (range.start().to_bits(), range.end().to_bits());
        (from..=to)
            .step_by(1009)
            .map(f32::from_bits)
            .map(|x| (error(x), x))
            .fold((0.0, 0.0), |worst, now| if now.0 > worst.0 { now } else { worst })
    }

    #[test]
    fn log2_is_within_its_bound_for_every_size() {
        let error = |x: f32| {
            let exact = f64::from(x).log2();
            (f64::from(log2(x)) - exact).abs() / exact.abs().max(1.0)
        };
        let (worst, at) = worst(f32::MIN_POSITIVE..=f32::MAX, error);
        assert!(worst < f64::from(f32::EPSILON), "{worst:e} at {at:e}");
        for exact in -126_i16..=127 {
            assert_eq!(log2(2.0_f32.powi(exact.into())), f32::from(exact));
        }
    }

    #[test]
    fn log2_has_a_floor_and_never_gives_nan() {
        for x in [0.0, -1.0, 1e-45, f32::NAN, f32::NEG_INFINITY] {
            assert_eq!(log2(x), -126.0);
        }
        assert!(log2(f32::INFINITY) >= 128.0);
    }

    #[test]
    fn log2_1p_and_exp2_m1_keep_small_values() {
        let (worst_log, at) = worst(1e-30..=1e30, |x| {
            let exact = f64::from(x).ln_1p() / std::f64::consts::LN_2;
            (f64::from(log2_1p(x)) - exact).abs() / exact
        });
        assert!(worst_log < 3e-7, "{worst_log:e} at {at:e}");
        for sign in [1.0, -1.0] {
            let (worst_exp, at) = worst(1e-30..=125.0, |y| {
                let natural = f64::from(sign * y) * std::f64::consts::LN_2;
                let error = |found: f32, exact: f64| (f64::from(found) - exact).abs() / exact.abs();
                error(exp2_m1(sign * y), natural.exp_m1()).max(error(exp2(sign * y), natural.exp()))
            });
            assert!(worst_exp < 3e-7, "{worst_exp:e} at {sign} · {at:e}");
        }
        assert_eq!((exp2_m1(0.0), exp2(3.0)), (0.0, 8.0));
        assert!(exp2_m1(1e9).is_finite() && exp2_m1(f32::NAN).is_finite());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn sums_equal_the_definition(values in vec(-1.0_f32..1.0, 0..400)) {
            let exact = |term: fn(f64) -> f64| values.iter().map(|x| term(f64::from(*x))).sum::<f64>();
            // Sixteen lanes of 25 values each, then the lanes.
            let bound = 30.0 * f64::from(f32::EPSILON) * exact(|x| x * x);
            prop_assert!((sum_of(&values, |x| x * x) - exact(|x| x * x)).abs() <= bound);
            prop_assert!((f64::from(dot(&values, &values)) - exact(|x| x * x)).abs() <= bound);
            prop_assert_eq!(max_of(&values, f32::abs), values.iter().fold(0.0, |a, b| f32::max(a, b.abs())));
        }
    }
}
