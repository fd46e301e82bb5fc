//! Slow definitions, in `f64`, to hold fast code against.

use std::f64::consts::TAU;

/// The discrete Fourier transform of a real signal by its definition: bins 0 to `n / 2` as
/// (real, imaginary), `X[k] = Σ_n x[n] e^(−2πi k n / N)`.
#[must_use]
pub fn dft(signal: &[f64]) -> Vec<(f64, f64)> {
    let n = signal.len();
    (0..=n / 2)
        .map(|k| {
            signal.iter().enumerate().fold((0.0, 0.0), |(re, im), (t, x)| {
                // The product is reduced first: the angle stays exact for long signals.
                let angle = TAU * (k * t % n) as f64 / n as f64;
                (re + x * angle.cos(), im - x * angle.sin())
            })
        })
        .collect()
}

/// The arithmetic mean; NaN for no values.
#[must_use]
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The median, the mean of the middle two for an even count.
///
/// # Panics
///
/// If there is no value.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    }
}

/// The root of the mean square; NaN for no values.
#[must_use]
pub fn rms(values: &[f64]) -> f64 {
    (values.iter().map(|x| x * x).sum::<f64>() / values.len() as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transform_of_a_cosine_is_two_lines() {
        let cosine: Vec<f64> = (0..16).map(|n| (TAU * 3.0 * f64::from(n) / 16.0).cos()).collect();
        for (k, (re, im)) in dft(&cosine).into_iter().enumerate() {
            assert!((re - if k == 3 { 8.0 } else { 0.0 }).abs() < 1e-12 && im.abs() < 1e-12);
        }
    }

    #[test]
    fn median_of_an_even_count_is_between() {
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(median(&[9.0, 1.0, 3.0]), 3.0);
    }
}
