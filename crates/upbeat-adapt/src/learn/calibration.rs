use super::logistic;
use serde::{Deserialize, Serialize};

/// Makes probabilities come true as often as they say, from what came of earlier ones.
///
/// Platt's scaling of the log-odds, `p' = logistic(a · ln(p / (1 − p)) + b)` ("Probabilistic outputs for support vector
/// machines", 1999), learned one outcome at a time by Newton's steps that forget: half of what is known after 140
/// outcomes. It starts from `a = 1, b = 0`, which changes nothing, as if that had been seen to hold 10 times.
///
/// # Examples
///
/// ```
/// use upbeat_adapt::learn::Calibrator;
///
/// let mut calibrator = Calibrator::new();
/// assert!((calibrator.calibrate(0.9) - 0.9).abs() < 1e-9);
/// for round in 0..300 {
///     calibrator.learn(0.9, if round % 2 == 0 { 1.0 } else { 0.0 }); // far too sure of itself
/// }
/// assert!((calibrator.calibrate(0.9) - 0.5).abs() < 0.05);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibrator {
    slope: f64,
    offset: f64,
    /// Second derivatives: slope twice, slope and offset, offset twice.
    curvature: [f64; 3],
}

impl Default for Calibrator {
    fn default() -> Self {
        Self::new()
    }
}

impl Calibrator {
    /// A calibrator that changes nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self { slope: 1.0, offset: 0.0, curvature: PRIOR }
    }

    /// The probability that `probability` stands for, from 0 to 1. Never falls as `probability` rises.
    #[must_use]
    pub fn calibrate(&self, probability: f64) -> f64 {
        logistic(self.slope * log_odds(probability) + self.offset)
    }

    /// Takes note of what came of a prediction made with `probability`: 1 if it came true, 0 if not, or a share.
    /// Non-finite numbers are passed over.
    pub fn learn(&mut self, probability: f64, outcome: f64) {
        if !(probability.is_finite() && outcome.is_finite()) {
            return;
        }
        let x = log_odds(probability);
        let said = self.calibrate(probability);
        let weight = (said * (1.0 - said)).max(1e-3);
        let mut gradient = outcome.clamp(0.0, 1.0) - said;
        let [ss, so, oo] = &mut self.curvature;
        for (sum, prior, new) in [(ss, PRIOR[0], x * x), (so, PRIOR[1], x), (oo, PRIOR[2], 1.0)] {
            *sum = KEEP * *sum + (1.0 - KEEP) * prior + weight * new;
        }
        let [ss, so, oo] = self.curvature;
        gradient /= (ss * oo - so * so).max(1e-6);
        self.slope = (self.slope + gradient * (oo * x - so)).clamp(0.05, 20.0);
        self.offset = (self.offset + gradient * (ss - so * x)).clamp(-20.0, 20.0);
    }
}

fn log_odds(probability: f64) -> f64 {
    let probability = probability.clamp(1e-3, 1.0 - 1e-3);
    (probability / (1.0 - probability)).ln()
}

const KEEP: f64 = 0.995;

/// Ten outcomes at even odds, with log-odds of ±1.
const PRIOR: [f64; 3] = [2.5, 0.0, 2.5];
