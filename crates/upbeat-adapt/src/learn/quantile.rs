use serde::{Deserialize, Serialize};

/// Follows a quantile of errors, so that a stated share of the coming ones stays below it.
///
/// Online conformal prediction: `q ← q + γ s (1[error > q] − (1 − share))`, whose coverage comes to `share` in the long run whatever
/// the errors do (Gibbs and Candès, "Adaptive conformal inference under distribution shift", `NeurIPS` 2021; the form is the quantile
/// tracker of Angelopoulos, Candès and Tibshirani, "Conformal PID control for time series prediction", 2023). `s` is the mean
/// absolute error of late, and `γ` falls from 1/2 to 1/20 over the first errors. Before the first error there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuantileTracker {
    share: f64,
    quantile: f64,
    scale: f64,
    seen: f64,
}

impl QuantileTracker {
    /// Follows the error that `share` of all stay below; `share` is held within 0.5 to 0.999.
    #[must_use]
    pub fn new(share: f64) -> Self {
        Self { share: share.clamp(0.5, 0.999), quantile: 0.0, scale: 0.0, seen: 0.0 }
    }

    /// The quantile, in the unit of the errors; `None` before the first.
    #[must_use]
    pub fn quantile(&self) -> Option<f64> {
        (self.seen > 0.0).then_some(self.quantile)
    }

    /// Takes note of an error; non-finite ones are passed over.
    pub fn learn(&mut self, error: f64) {
        if !error.is_finite() {
            return;
        }
        self.seen = KEEP * self.seen + 1.0;
        self.scale += (error.abs() - self.scale) / self.seen;
        if self.seen < 1.5 {
            self.quantile = error;
            return;
        }
        let miss = if error > self.quantile { 1.0 } else { 0.0 };
        let rate = (0.5 / self.seen.sqrt()).max(0.05);
        self.quantile += rate * self.scale * SPREAD * (miss - (1.0 - self.share));
    }
}

const KEEP: f64 = 0.99;

/// Errors of the tail are some times the mean absolute one.
const SPREAD: f64 = 2.0;
