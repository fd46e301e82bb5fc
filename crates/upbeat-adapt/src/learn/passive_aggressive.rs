use super::{Learner, assert_inputs, finite, is_finite};
use serde::{Deserialize, Serialize};

/// Linear regression that moves only when it was wrong, and then just as far as needed.
///
/// PA-II of Crammer et al., "Online passive-aggressive algorithms", JMLR 2006: with the loss
/// `l = max(0, |y − w·x| − ε)`, `w` moves by `sign(y − w·x) · l / (|x|² + 1 / 2C) · x`, where `C` is 0.5 and `ε` a tenth of
/// the mean absolute error so far. A constant 1 is among the `x`, and the first target is the origin of all.
/// It forgets at once what the last observation contradicts, which suits targets that wander without noise;
/// with noise, [`RecursiveLeastSquares`](super::RecursiveLeastSquares) is better.
///
/// Inputs should be of order 1, as [`Normalized`](super::Normalized) makes them. Before anything is
/// learned the prediction is 0.
///
/// # Examples
///
/// ```
/// use upbeat_adapt::learn::{Learner, PassiveAggressive};
///
/// let mut model = PassiveAggressive::new(1);
/// for step in 0..200 {
///     let x = f64::from(step % 5) - 2.0;
///     model.learn(&[x], 3.0 * x + 7.0);
/// }
/// assert!((model.predict(&[1.0]) - 10.0).abs() < 0.1);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PassiveAggressive {
    origin: Option<f64>,
    /// The constant's last.
    weights: Vec<f64>,
    seen: f64,
    mean_error: f64,
}

impl PassiveAggressive {
    /// A model of `n_inputs` numbers and a constant.
    #[must_use]
    pub fn new(n_inputs: usize) -> Self {
        Self { origin: None, weights: vec![0.0; n_inputs + 1], seen: 0.0, mean_error: 0.0 }
    }
}

impl Learner for PassiveAggressive {
    fn n_inputs(&self) -> usize {
        self.weights.len() - 1
    }

    fn predict(&self, inputs: &[f64]) -> f64 {
        assert_inputs(inputs, self.n_inputs());
        let inputs = inputs.iter().chain(&[1.0]).map(|&input| finite(input));
        let dot: f64 = self.weights.iter().zip(inputs).map(|(weight, input)| weight * input).sum();
        self.origin.unwrap_or(0.0) + dot
    }

    fn learn(&mut self, inputs: &[f64], target: f64) {
        assert_inputs(inputs, self.n_inputs());
        if !is_finite(inputs, target) {
            return;
        }
        self.origin.get_or_insert(target);
        let error = target - self.predict(inputs);
        let loss = (error.abs() - INSENSITIVE * self.mean_error).max(0.0);
        self.seen += 1.0;
        self.mean_error += (error.abs() - self.mean_error) / self.seen;
        let length: f64 = inputs.iter().map(|input| input * input).sum::<f64>() + 1.0;
        let step = error.signum() * loss / (length + 1.0 / (2.0 * AGGRESSIVENESS));
        for (weight, input) in self.weights.iter_mut().zip(inputs.iter().chain(&[1.0])) {
            *weight += step * input;
        }
    }
}

/// `C` of the paper.
const AGGRESSIVENESS: f64 = 0.5;

/// Errors below this share of the mean absolute one do not count.
const INSENSITIVE: f64 = 0.1;
