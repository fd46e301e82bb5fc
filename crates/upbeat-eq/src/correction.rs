//! The bands that a wanted curve is made with.

use crate::{Band, ToneCurve};

/// How many.
pub(crate) const BANDS: usize = 8;

/// A low shelf, six bells an octave apart, a high shelf: they stay where they are, and only their gains
/// move, so that a curve that changes a little changes the bands a little.
pub(crate) fn bands(gains: &[f64; BANDS]) -> [Band; BANDS] {
    std::array::from_fn(|k| {
        let frequency = FREQUENCIES[k];
        match (gains[k], k) {
            // Exactly nothing, bit for bit.
            (0.0, _) => Band { frequency, ..Band::off() },
            (gain, 0) => Band::low_shelf(frequency, gain),
            (gain, LAST) => Band::high_shelf(frequency, gain),
            (gain, _) => Band::peak(frequency, gain, Q),
        }
    })
}

/// From where to where band `k` is the one that does most, in Hz.
pub(crate) fn region(k: usize) -> [f64; 2] {
    let between = |k: usize| (FREQUENCIES[k] * FREQUENCIES[k + 1]).sqrt();
    [if k == 0 { 20.0 } else { between(k - 1) }, if k == LAST { 20_000.0 } else { between(k) }]
}

/// Gains for curves, by least squares.
///
/// In dB, a band's response is nearly proportional to its gain; it is taken for that here.
#[derive(Clone, Debug)]
pub(crate) struct Fit {
    /// Response of each band to 1 dB, of a gain of 6 dB.
    responses: Box<[ToneCurve; BANDS]>,
    /// What to weigh a curve's points with for each gain.
    weights: Box<[ToneCurve; BANDS]>,
}

impl Fit {
    pub(crate) fn new() -> Self {
        let responses: [ToneCurve; BANDS] = std::array::from_fn(|k| {
            let gains = std::array::from_fn(|other| if other == k { 6.0 } else { 0.0 });
            ToneCurve::of_bands(&bands(&gains)) * 6.0_f64.recip()
        });
        let product = |a: &ToneCurve, b: &ToneCurve| -> f64 {
            a.gains().iter().zip(b.gains()).map(|(x, y)| x * y).sum()
        };
        // (RᵀR + ridge) W = Rᵀ, by Gauss and Jordan without pivots: the matrix is positive definite.
        let mut matrix: [[f64; BANDS]; BANDS] = std::array::from_fn(|i| {
            std::array::from_fn(|j| {
                product(&responses[i], &responses[j]) + if i == j { RIDGE } else { 0.0 }
            })
        });
        let mut weights = responses;
        for i in 0..BANDS {
            let scale = matrix[i][i].recip();
            matrix[i] = matrix[i].map(|x| x * scale);
            weights[i] = weights[i] * scale;
            let (row, own) = (matrix[i], weights[i]);
            for j in (0..BANDS).filter(|j| *j != i) {
                let factor = matrix[j][i];
                for (x, y) in matrix[j].iter_mut().zip(&row) {
                    *x -= factor * y;
                }
                weights[j] = weights[j] - own * factor;
            }
        }
        Self { responses: Box::new(responses), weights: Box::new(weights) }
    }

    /// The gains whose response is nearest to `curve`, none beyond what a band takes.
    pub(crate) fn gains(&self, curve: &ToneCurve) -> [f64; BANDS] {
        std::array::from_fn(|k| {
            let products = self.weights[k].gains().iter().zip(curve.gains()).map(|(x, y)| x * y);
            products.sum::<f64>().clamp(Band::GAINS[0], Band::GAINS[1])
        })
    }

    /// What gains do, as the fit sees it.
    pub(crate) fn response(&self, gains: &[f64; BANDS]) -> ToneCurve {
        let all = self.responses.iter().zip(gains);
        all.fold(ToneCurve::FLAT, |sum, (response, gain)| sum + *response * *gain)
    }
}

const LAST: usize = BANDS - 1;

/// In Hz.
const FREQUENCIES: [f64; BANDS] = [100.0, 200.0, 400.0, 800.0, 1600.0, 3200.0, 6400.0, 11_000.0];

/// Of the bells: about an octave wide.
const Q: f64 = 1.1;

/// Keeps neighbours from working against each other.
const RIDGE: f64 = 0.5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Vocabulary;

    #[test]
    fn words_are_made_but_for_what_lies_between_the_bands() {
        let fit = Fit::new();
        let mut errors = Vec::new();
        for word in Vocabulary::builtin().words() {
            let gains = fit.gains(&word.curve);
            let made = ToneCurve::of_bands(&bands(&gains));
            let size = word.curve.rms();
            errors.push((made - word.curve).rms() / size.max(1.0));
            println!("{}: {:.2} of {size:.2} dB", word.name, (made - word.curve).rms());
            assert!((made - fit.response(&gains)).rms() < 0.1 * size.max(5.0), "{}", word.name);
        }
        errors.sort_by(f64::total_cmp);
        assert!(errors[errors.len() / 2] < 0.12, "median {}", errors[errors.len() / 2]);
        assert!(errors[errors.len() - 1] < 0.5, "worst {}", errors[errors.len() - 1]);
    }

    #[test]
    fn nothing_is_made_of_nothing() {
        assert_eq!(Fit::new().gains(&ToneCurve::FLAT), [0.0; BANDS]);
        assert!(bands(&[0.0; BANDS]).iter().all(|band| band.kind == crate::BandKind::Off));
    }

    #[test]
    fn regions_follow_one_another() {
        for (k, frequency) in FREQUENCIES.iter().enumerate() {
            let [low, high] = region(k);
            assert!(low < *frequency && *frequency < high);
            assert!(k == LAST || high == region(k + 1)[0]);
        }
    }
}
