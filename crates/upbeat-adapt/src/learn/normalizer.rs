use super::{Learner, assert_inputs};
use crate::AdaptError;
use serde::{Deserialize, Serialize};

/// Brings numbers to mean 0 and variance 1, by what has been seen of late.
///
/// Mean and variance are West's weighted recurrences ("Updating mean and variance estimates", CACM 1979), where an observation
/// counts half after `half_life` others. Numbers that have not varied yet become 0, as do non-finite ones; the result is held
/// within ±10.
///
/// # Examples
///
/// ```
/// use upbeat_adapt::learn::Normalizer;
///
/// let mut normalizer = Normalizer::new(1, f64::INFINITY)?;
/// for bpm in [118.0, 120.0, 122.0] {
///     normalizer.learn(&[bpm]);
/// }
/// let mut out = [0.0];
/// normalizer.normalize(&[120.0], &mut out);
/// assert!(out[0].abs() < 1e-9);
/// # Ok::<(), upbeat_adapt::AdaptError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normalizer {
    keep: f64,
    seen: Vec<f64>,
    means: Vec<f64>,
    variances: Vec<f64>,
}

impl Normalizer {
    /// A normaliser of `n_inputs` numbers that have half their weight after `half_life` observations, at least 1; infinite
    /// where nothing is to be forgotten.
    ///
    /// # Errors
    ///
    /// If `half_life` is below 1.
    pub fn new(n_inputs: usize, half_life: f64) -> Result<Self, AdaptError> {
        AdaptError::require(half_life >= 1.0, "half_life", "at least 1 observation", half_life)?;
        let zeros = vec![0.0; n_inputs];
        let keep = (-1.0 / half_life).exp2();
        Ok(Self { keep, seen: zeros.clone(), means: zeros.clone(), variances: zeros })
    }

    /// Takes note of `inputs`; those that are not finite are passed over.
    ///
    /// # Panics
    ///
    /// If there are not as many as the normaliser was made for.
    pub fn learn(&mut self, inputs: &[f64]) {
        assert_inputs(inputs, self.means.len());
        for (i, &input) in inputs.iter().enumerate().filter(|(_, input)| input.is_finite()) {
            self.seen[i] = self.keep * self.seen[i] + 1.0;
            let off = input - self.means[i];
            let share = 1.0 / self.seen[i];
            self.means[i] += share * off;
            self.variances[i] = (1.0 - share) * (self.variances[i] + share * off * off);
        }
    }

    /// Writes the normalised `inputs` to `out`.
    ///
    /// # Panics
    ///
    /// If `inputs` or `out` does not hold as many numbers as the normaliser was made for.
    pub fn normalize(&self, inputs: &[f64], out: &mut [f64]) {
        assert_inputs(inputs, self.means.len());
        assert_inputs(out, self.means.len());
        for (i, out) in out.iter_mut().enumerate() {
            let scaled = (inputs[i] - self.means[i]) / self.variances[i].sqrt();
            *out = if scaled.is_finite() { scaled.clamp(-10.0, 10.0) } else { 0.0 };
        }
    }
}

/// A learner whose inputs are normalised first, by what has been seen of them, all of it or of late.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normalized<L> {
    normalizer: Normalizer,
    learner: L,
}

impl<L: Learner> Normalized<L> {
    /// Puts a normaliser before `learner`; see [`Normalizer::new`].
    ///
    /// # Errors
    ///
    /// If `half_life` is below 1.
    pub fn new(learner: L, half_life: f64) -> Result<Self, AdaptError> {
        Ok(Self { normalizer: Normalizer::new(learner.n_inputs(), half_life)?, learner })
    }
}

impl<L: Learner> Learner for Normalized<L> {
    fn n_inputs(&self) -> usize {
        self.learner.n_inputs()
    }

    fn predict(&self, inputs: &[f64]) -> f64 {
        let mut normalized = vec![0.0; inputs.len()];
        self.normalizer.normalize(inputs, &mut normalized);
        self.learner.predict(&normalized)
    }

    fn learn(&mut self, inputs: &[f64], target: f64) {
        if !super::is_finite(inputs, target) {
            return;
        }
        self.normalizer.learn(inputs);
        let mut normalized = vec![0.0; inputs.len()];
        self.normalizer.normalize(inputs, &mut normalized);
        self.learner.learn(&normalized, target);
    }
}
