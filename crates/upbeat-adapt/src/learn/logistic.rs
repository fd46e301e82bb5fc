use super::{Learner, assert_inputs, finite, is_finite, logistic};
use serde::{Deserialize, Serialize};

/// Logistic regression by FTRL-Proximal, with steps that need no choosing.
///
/// The probability is `1 / (1 + exp(−(b + Σ wᵢ xᵢ)))`; each weight has its own step, which shrinks with
/// the gradients that it has seen: `wᵢ = −zᵢ α / (1 + √nᵢ)`, the algorithm of `McMahan` et al., "Ad click
/// prediction: a view from the trenches", KDD 2013, without its L1 and L2 terms. Copies with different
/// steps `α`, some of which forget, run side by side; their probabilities are
/// mixed by Bayes' rule with a small share for all (Herbster and Warmuth, "Tracking the best expert", 1998),
/// which is worse than the best of them by at most `ln(copies)` in total log-loss, plus a little for each
/// time that the best one changes.
///
/// Inputs should be of order 1, as [`Normalized`](super::Normalized) makes them. Targets are 0 or 1, or a share between. Before
/// anything is learned the probability is one half.
///
/// # Examples
///
/// ```
/// use upbeat_adapt::learn::{Learner, LogisticRegression};
///
/// let mut model = LogisticRegression::new(1);
/// assert!((model.predict(&[1.0]) - 0.5).abs() < 1e-9);
/// for _ in 0..20 {
///     model.learn(&[1.0], 1.0);
///     model.learn(&[-1.0], 0.0);
/// }
/// assert!(model.predict(&[1.0]) > 0.9);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogisticRegression {
    n_inputs: usize,
    copies: Vec<Ftrl>,
    /// How far each copy is trusted; they sum to 1.
    trust: Vec<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Ftrl {
    step: f64,
    keep: f64,
    z: Vec<f64>,
    n: Vec<f64>,
}

impl LogisticRegression {
    /// A model of `n_inputs` numbers and a constant.
    #[must_use]
    pub fn new(n_inputs: usize) -> Self {
        let copies: Vec<Ftrl> = STEPS
            .iter()
            .map(|&(step, keep)| Ftrl {
                step,
                keep,
                z: vec![0.0; n_inputs + 1],
                n: vec![0.0; n_inputs + 1],
            })
            .collect();
        let trust = vec![1.0 / copies.len() as f64; copies.len()];
        Self { n_inputs, copies, trust }
    }
}

impl Learner for LogisticRegression {
    fn n_inputs(&self) -> usize {
        self.n_inputs
    }

    fn predict(&self, inputs: &[f64]) -> f64 {
        assert_inputs(inputs, self.n_inputs);
        let copies = self.copies.iter().zip(&self.trust);
        logistic(copies.map(|(copy, trust)| trust * copy.log_odds(inputs)).sum())
    }

    fn learn(&mut self, inputs: &[f64], target: f64) {
        assert_inputs(inputs, self.n_inputs);
        if !is_finite(inputs, target) {
            return;
        }
        let target = target.clamp(0.0, 1.0);
        let mut total = 0.0;
        for (copy, trust) in self.copies.iter_mut().zip(&mut self.trust) {
            let probability = logistic(copy.log_odds(inputs));
            let likelihood = target * probability + (1.0 - target) * (1.0 - probability);
            *trust *= likelihood.max(1e-9);
            total += *trust;
            copy.learn(inputs, probability - target);
        }
        let share = SHARE / self.copies.len() as f64;
        for trust in &mut self.trust {
            *trust = (1.0 - SHARE) * *trust / total + share;
        }
    }
}

impl Ftrl {
    fn weight(&self, index: usize) -> f64 {
        -self.z[index] * self.step / (1.0 + self.n[index].sqrt())
    }

    fn log_odds(&self, inputs: &[f64]) -> f64 {
        let dot = |(i, &input): (usize, &f64)| self.weight(i) * finite(input);
        inputs.iter().chain(&[1.0]).enumerate().map(dot).sum::<f64>().clamp(-8.0, 8.0)
    }

    fn learn(&mut self, inputs: &[f64], error: f64) {
        for (i, input) in inputs.iter().chain(&[1.0]).enumerate() {
            let gradient = error * input;
            let weight = self.weight(i);
            let before = self.n[i];
            let after = self.keep * before + gradient * gradient;
            let slowdown = (after.sqrt() - before.sqrt()) / self.step;
            self.z[i] = self.z[i] + gradient - slowdown * weight;
            self.n[i] = after;
        }
    }
}

/// Steps `α`, and which share of the squared gradients is kept from one observation to the next.
const STEPS: [(f64, f64); 6] =
    [(0.03, 1.0), (0.1, 1.0), (0.3, 1.0), (1.0, 1.0), (0.1, 0.98), (0.3, 0.98)];

/// What all copies share of the trust, at every observation.
const SHARE: f64 = 1e-4;
