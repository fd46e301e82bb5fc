use serde::{Deserialize, Serialize};

/// Follows a quantile of errors, so that a stated share of the coming ones stays below it.
///
/// Online conformal prediction: `q ← q + γ s (1[error > q] − (1 − share))`, whose coverage comes to `share` in the long run whatever
/// the errors do (Gibbs and Candès, "Adaptive conformal inference under distribution shift", `NeurIPS` 2021; the form is the quantile
/// tracker of Angelopoulos, Candès and Tibshirani, "Conformal PID control for time series prediction", 2023). `s` is twice the mean
/// absolute error of late, and `γ` is one tenth, more at
/// first. After less than ten errors it is one and a half times the largest, before the first there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuantileTracker {
    share: f64,
    quantile: f64,
    largest: f64,
    scale: f64,
    seen: f64,
}

impl QuantileTracker {
    /// Follows the error that `share` of all stay below; `share` is held within 0.5 to 0.999.
    #[must_use]
    pub fn new(share: f64) -> Self {
        Self { share: share.clamp(0.5, 0.999), quantile: 0.0, largest: 0.0, scale: 0.0, seen: 0.0 }
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
        self.largest = self.largest.max(error);
        if self.seen < FEW {
            self.quantile = 1.5 * self.largest;
            return;
        }
        let miss = if error > self.quantile { 1.0 } else { 0.0 };
        let rate = (0.5 / self.seen.sqrt()).max(0.1);
        self.quantile += rate * SPREAD * self.scale * (miss - (1.0 - self.share));
    }
}

const KEEP: f64 = 0.97;

/// Errors that are too few for a quantile.
const FEW: f64 = 8.0;

/// Errors of the tail are some times the mean absolute one.
const SPREAD: f64 = 2.0;
