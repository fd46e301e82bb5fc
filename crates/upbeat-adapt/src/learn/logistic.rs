use super::gaussian::Gaussian;
use super::{Learner, assert_inputs, finite, is_finite, logistic};
use serde::{Deserialize, Serialize};

/// Logistic regression by FTRL-Proximal, with steps that need no choosing.
///
/// The probability is `1 / (1 + exp(−(b + Σ wᵢ xᵢ)))`. Four copies run side by side. In two, each weight has its own step, which shrinks
/// with the gradients that it has seen: `wᵢ = −zᵢ α / (1 + √nᵢ)`, the algorithm of `McMahan` et al., "Ad click
/// prediction: a view from the trenches", KDD 2013, without its L1 and L2 terms, with `α` 0.1 and 0.5. Two are of second order: a Gaussian
/// belief about the weights, moved by one Newton step per observation, of which one forgets half in 140. Their probabilities are
/// mixed by Bayes' rule with a small share for all (Herbster and Warmuth, "Tracking the best expert", 1998),
/// which is worse than the best of them by at most `ln 4` in total log-loss, plus a little for each
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
/// assert!(model.predict(&[1.0]) > 0.8);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogisticRegression {
    n_inputs: usize,
    copies: Vec<Ftrl>,
    beliefs: Vec<Gaussian>,
    /// How far each copy is trusted; they sum to 1.
    trust: Vec<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Ftrl {
    step: f64,
    z: Vec<f64>,
    n: Vec<f64>,
}

impl LogisticRegression {
    /// A model of `n_inputs` numbers and a constant.
    #[must_use]
    pub fn new(n_inputs: usize) -> Self {
        let copies: Vec<Ftrl> = STEPS
            .iter()
            .map(|&step| Ftrl { step, z: vec![0.0; n_inputs + 1], n: vec![0.0; n_inputs + 1] })
            .collect();
        let belief = |(spread, keep): &(f64, f64)| {
            let n = n_inputs + 1;
            Gaussian::new(vec![0.0; n], vec![spread * spread; n], *keep, 1.0)
        };
        let beliefs: Vec<Gaussian> = BELIEFS.iter().map(belief).collect();
        let n = copies.len() + beliefs.len();
        Self { n_inputs, copies, beliefs, trust: vec![1.0 / n as f64; n] }
    }

    /// What each copy says of inputs that end with the constant 1.
    fn probabilities(&self, inputs: &[f64]) -> impl Iterator<Item = f64> {
        let copies = self.copies.iter().map(|copy| logistic(copy.log_odds(inputs)));
        let beliefs = self.beliefs.iter().map(|belief| belief.probability(inputs));
        copies.chain(beliefs).map(|probability| probability.clamp(1e-4, 1.0 - 1e-4))
    }
}

impl Learner for LogisticRegression {
    fn n_inputs(&self) -> usize {
        self.n_inputs
    }

    fn predict(&self, inputs: &[f64]) -> f64 {
        assert_inputs(inputs, self.n_inputs);
        let whole: Vec<f64> = inputs.iter().map(|x| finite(*x)).chain([1.0]).collect();
        self.probabilities(&whole).zip(&self.trust).map(|(p, trust)| p * trust).sum()
    }

    fn learn(&mut self, inputs: &[f64], target: f64) {
        assert_inputs(inputs, self.n_inputs);
        if !is_finite(inputs, target) {
            return;
        }
        let target = target.clamp(0.0, 1.0);
        let inputs: Vec<f64> = inputs.iter().copied().chain([1.0]).collect();
        let mut total = 0.0;
        let probabilities: Vec<f64> = self.probabilities(&inputs).collect();
        for (probability, trust) in probabilities.iter().zip(&mut self.trust) {
            let likelihood = target * probability + (1.0 - target) * (1.0 - probability);
            *trust *= likelihood;
            total += *trust;
        }
        for (copy, probability) in self.copies.iter_mut().zip(&probabilities) {
            copy.learn(&inputs, probability - target);
        }
        for belief in &mut self.beliefs {
            belief.learn_outcome(&inputs, target);
        }
        let share = SHARE / self.trust.len() as f64;
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
        inputs.iter().enumerate().map(|(i, input)| self.weight(i) * input).sum()
    }

    fn learn(&mut self, inputs: &[f64], error: f64) {
        for (i, input) in inputs.iter().enumerate() {
            let gradient = error * input;
            let weight = self.weight(i);
            let before = self.n[i];
            let after = before + gradient * gradient;
            let slowdown = (after.sqrt() - before.sqrt()) / self.step;
            self.z[i] = self.z[i] + gradient - slowdown * weight;
            self.n[i] = after;
        }
    }
}

/// Steps `α` of the copies of first order.
const STEPS: [f64; 2] = [0.1, 0.5];

/// Of the copies of second order: how far weights are believed to be from 0, and which share of what is known is kept.
const BELIEFS: [(f64, f64); 2] = [(0.2, 1.0), (1.0, 0.995)];

/// What all copies share of the trust, at every observation.
const SHARE: f64 = 3e-5;
