use super::{Random, logistic};
use serde::{Deserialize, Serialize};

/// A linear model with a Gaussian belief about its weights, which drift.
///
/// Between observations the weights are believed to fall back towards the prior: the mean by the factor `keep`, the
/// covariance by its square, the rest filled up with the prior's; so belief never gets narrower than what
/// recent observations support, nor wider than the prior. An observation is a Kalman update.
/// The noise of observations is estimated from what was unexpected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Gaussian {
    prior_mean: Vec<f64>,
    prior_variance: Vec<f64>,
    pub(crate) mean: Vec<f64>,
    /// Symmetric, row by row.
    covariance: Vec<f64>,
    keep: f64,
    /// Squared noise, and of how many observations it is the mean.
    pub(crate) noise: f64,
    seen: f64,
}

impl Gaussian {
    pub(crate) fn new(
        prior_mean: Vec<f64>,
        prior_variance: Vec<f64>,
        keep: f64,
        noise: f64,
    ) -> Self {
        let n = prior_mean.len();
        let mut covariance = vec![0.0; n * n];
        for (i, variance) in prior_variance.iter().enumerate() {
            covariance[i * n + i] = *variance;
        }
        let mean = prior_mean.clone();
        Self { prior_mean, prior_variance, mean, covariance, keep, noise, seen: NOISE_PRIOR }
    }

    pub(crate) fn predict(&self, inputs: &[f64]) -> f64 {
        dot(&self.mean, inputs)
    }

    /// Variance of the prediction, without the noise of the observation.
    pub(crate) fn variance(&self, inputs: &[f64]) -> f64 {
        dot(&self.spread(inputs), inputs).max(0.0)
    }

    /// Where the model is of log-odds: the probability, averaged over the belief (`MacKay`'s approximation, "The evidence
    /// framework applied to classification networks", 1992).
    pub(crate) fn probability(&self, inputs: &[f64]) -> f64 {
        logistic(self.log_odds(inputs))
    }

    /// Of [`probability`](Self::probability).
    pub(crate) fn log_odds(&self, inputs: &[f64]) -> f64 {
        let variance = self.variance(inputs);
        self.predict(inputs) / (1.0 + std::f64::consts::PI / 8.0 * variance).sqrt()
    }

    /// Where the model is of log-odds: learns that the outcome was `share`, from 0 to 1, by one step of Newton's method from
    /// the belief before (the extended Kalman filter).
    pub(crate) fn learn_outcome(&mut self, inputs: &[f64], share: f64) {
        if self.keep < 1.0 {
            self.fall_back(self.keep);
        }
        let n = self.mean.len();
        let expected = logistic(self.predict(inputs));
        let weight = (expected * (1.0 - expected)).max(0.01);
        let gain = self.spread(inputs);
        let spread = dot(&gain, inputs).max(0.0) + 1.0 / weight;
        for (mean, gain) in self.mean.iter_mut().zip(&gain) {
            *mean += gain * (share - expected) / (weight * spread);
        }
        for (row, a) in self.covariance.chunks_exact_mut(n).zip(&gain) {
            for (value, b) in row.iter_mut().zip(&gain) {
                *value -= a * b / spread;
            }
        }
    }

    pub(crate) fn learn(&mut self, inputs: &[f64], target: f64) {
        if self.keep < 1.0 {
            self.fall_back(self.keep);
        }
        let n = self.mean.len();
        let gain = self.spread(inputs);
        let spread = dot(&gain, inputs).max(0.0) + self.noise;
        let error = target - self.predict(inputs);
        for (mean, gain) in self.mean.iter_mut().zip(&gain) {
            *mean += gain * error / spread;
        }
        for (row, a) in self.covariance.chunks_exact_mut(n).zip(&gain) {
            for (value, b) in row.iter_mut().zip(&gain) {
                *value -= a * b / spread;
            }
        }
        self.seen = (self.seen + 1.0).min(NOISE_WINDOW);
        let share = error * error / spread * self.noise;
        self.noise = (self.noise + (share - self.noise) / self.seen).max(1e-6);
    }

    /// Covariance times `inputs`; by rows, which are columns too, since sums of rows are vectorised and sums along them are not.
    fn spread(&self, inputs: &[f64]) -> Vec<f64> {
        let n = self.mean.len();
        let mut product = vec![0.0; n];
        for (row, input) in self.covariance.chunks_exact(n).zip(inputs) {
            for (sum, value) in product.iter_mut().zip(row) {
                *sum += input * value;
            }
        }
        product
    }

    /// Forgets all but the share `keep` of what was learned.
    pub(crate) fn fall_back(&mut self, keep: f64) {
        let n = self.mean.len();
        for (mean, prior) in self.mean.iter_mut().zip(&self.prior_mean) {
            *mean = prior + keep * (*mean - prior);
        }
        self.covariance.iter_mut().for_each(|value| *value *= keep * keep);
        for (i, prior) in self.prior_variance.iter().enumerate() {
            self.covariance[i * n + i] += (1.0 - keep * keep) * prior;
        }
    }

    /// Weights drawn from the belief.
    pub(crate) fn draw(&self, spread: f64, random: &mut Random) -> Vec<f64> {
        let n = self.mean.len();
        let mut factor = self.covariance.clone();
        for row in 0..n {
            for column in 0..=row {
                let sum: f64 =
                    (0..column).map(|k| factor[row * n + k] * factor[column * n + k]).sum();
                let rest = self.covariance[row * n + column] - sum;
                factor[row * n + column] = if row == column {
                    rest.max(1e-12).sqrt()
                } else {
                    rest / factor[column * n + column]
                };
            }
        }
        let noise: Vec<f64> = (0..n).map(|_| random.normal()).collect();
        let draw = |row: usize| dot(&factor[row * n..=row * n + row], &noise[..=row]);
        self.mean.iter().enumerate().map(|(row, mean)| mean + spread * draw(row)).collect()
    }

    pub(crate) fn fits(&self, other: &Self) -> bool {
        let n = other.mean.len();
        [&self.prior_mean, &self.prior_variance, &self.mean].iter().all(|v| v.len() == n)
            && self.covariance.len() == n * n
    }

    pub(crate) fn heap_size(&self) -> usize {
        (3 * self.mean.len() + self.covariance.len()) * size_of::<f64>()
    }
}

pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// As many observations the noise that was assumed counts for.
const NOISE_PRIOR: f64 = 10.0;

/// Over as many observations it is estimated.
const NOISE_WINDOW: f64 = 200.0;
