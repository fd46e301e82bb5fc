//! Learners that take one observation at a time, in bounded memory.
//!
//! All are used in the same way: [`predict`](Learner::predict), then, once the truth is known,
//! [`learn`](Learner::learn). Scoring the predictions made so is *progressive validation*: every observation
//! is a test first and a lesson after (Blum, Kalai and Langford, "Beating the hold-out", COLT 1999).
//! None has a step size or a forgetting rate to choose: where there is one to choose, several are run side by
//! side and mixed by how they have fared.

mod bandit;
mod calibration;
mod drift;
mod gaussian;
mod logistic;
mod mixture;
mod normalizer;
mod passive_aggressive;
mod quantile;
mod random;
mod rls;

pub use bandit::{Bandit, Choice, FeatureGroup, Strategy};
pub use calibration::Calibrator;
pub use drift::Adwin;
pub use logistic::LogisticRegression;
pub use mixture::Mixture;
pub use normalizer::{Normalized, Normalizer};
pub use passive_aggressive::PassiveAggressive;
pub use quantile::QuantileTracker;
pub use rls::RecursiveLeastSquares;

pub(crate) use gaussian::{Gaussian, dot};
use random::Random;

/// What learns to predict a number from others, one observation at a time.
///
/// Non-finite inputs count as 0 in [`predict`](Self::predict), and are not learned from.
pub trait Learner {
    /// How many numbers an observation has.
    fn n_inputs(&self) -> usize;

    /// What the target of `inputs` will be: a probability for classifiers, else a number.
    ///
    /// # Panics
    ///
    /// If `inputs` does not hold [`n_inputs`](Self::n_inputs) numbers.
    fn predict(&self, inputs: &[f64]) -> f64;

    /// Takes note that the target of `inputs` was `target`.
    ///
    /// # Panics
    ///
    /// If `inputs` does not hold [`n_inputs`](Self::n_inputs) numbers.
    fn learn(&mut self, inputs: &[f64], target: f64);
}

fn assert_inputs(inputs: &[f64], n_inputs: usize) {
    assert_eq!(
        inputs.len(),
        n_inputs,
        "an observation has as many numbers as the learner was made for"
    );
}

/// Whether all there is to learn from is finite.
fn is_finite(inputs: &[f64], target: f64) -> bool {
    target.is_finite() && inputs.iter().all(|input| input.is_finite())
}

/// `value`, or 0 where it is not finite.
fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { 0.0 }
}

/// `1 / (1 + e⁻ˣ)`.
pub(crate) fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}
