use serde::{Deserialize, Serialize};

/// Mixes the forecasts of several experts, so that the mix is hardly worse than the best of them.
///
/// `ML-Poly` of Gaillard, Stoltz and van Erven, "A second-order bound with excess losses", COLT 2014, for
/// the absolute error, with its gradient: expert `k` weighs in proportion to `max(0, R_k) / (1 + V_k)`, where
/// `R_k` sums `sign(mix − truth) · (mix − forecast_k)`, by how much it would have been better, and `V_k` the
/// squares of that, both in units of the mix's mean absolute error. Both forget with a half-life of 700 forecasts, so that the
/// best expert may change; there is no rate to choose. At first, and as long as no expert is better than the
/// mix, the weights stay as they are; to begin with they are equal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mixture {
    weights: Vec<f64>,
    regrets: Vec<f64>,
    squares: Vec<f64>,
    scale: f64,
    seen: f64,
}

impl Mixture {
    /// A mix of `n_experts`, all trusted alike.
    #[must_use]
    pub fn new(n_experts: usize) -> Self {
        Self {
            weights: vec![1.0 / n_experts.max(1) as f64; n_experts],
            regrets: vec![0.0; n_experts],
            squares: vec![0.0; n_experts],
            scale: 0.0,
            seen: 0.0,
        }
    }

    /// The mix of what the experts say.
    ///
    /// # Panics
    ///
    /// If there are not as many forecasts as experts.
    #[must_use]
    pub fn mix(&self, forecasts: &[f64]) -> f64 {
        assert_eq!(forecasts.len(), self.weights.len(), "one forecast per expert");
        self.weights.iter().zip(forecasts).map(|(weight, forecast)| weight * forecast).sum()
    }

    /// Takes note of the `truth`, after the experts said `forecasts` and the mix of then was `mixed`.
    ///
    /// # Panics
    ///
    /// If there are not as many forecasts as experts.
    pub fn learn(&mut self, forecasts: &[f64], mixed: f64, truth: f64) {
        assert_eq!(forecasts.len(), self.weights.len(), "one forecast per expert");
        let error = mixed - truth;
        self.seen = FORGET * self.seen + 1.0;
        self.scale += (error.abs() - self.scale) / self.seen;
        if self.scale <= 0.0 {
            return;
        }
        let slope = if error == 0.0 { 0.0 } else { error.signum() };
        let mut total = 0.0;
        for (k, forecast) in forecasts.iter().enumerate() {
            let better = slope * (mixed - forecast) / self.scale;
            self.regrets[k] = FORGET * self.regrets[k] + better;
            self.squares[k] = FORGET * self.squares[k] + better * better;
            total += self.regrets[k].max(0.0) / (1.0 + self.squares[k]);
        }
        if total > 0.0 {
            for (k, weight) in self.weights.iter_mut().enumerate() {
                *weight = self.regrets[k].max(0.0) / (1.0 + self.squares[k]) / total;
            }
        }
    }

    /// How much each expert is trusted, from 0 to 1; they sum to 1.
    #[must_use]
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    pub(crate) fn fits(&self, other: &Self) -> bool {
        let n = other.weights.len();
        [&self.weights, &self.regrets, &self.squares].iter().all(|numbers| numbers.len() == n)
    }

    pub(crate) fn heap_size(&self) -> usize {
        3 * self.weights.capacity() * size_of::<f64>()
    }
}

/// Half of it is forgotten in 700 steps.
const FORGET: f64 = 0.999;
