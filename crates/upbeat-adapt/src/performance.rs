use crate::AdaptError;
use crate::learn::{Gaussian, QuantileTracker};
use serde::{Deserialize, Serialize};

/// What it cost to work at one level of quality.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PerformanceSample {
    /// The level, counted from 0, the cheapest.
    pub level: usize,
    /// Seconds that a block took.
    pub cost: f64,
    /// Seconds that a block may take.
    pub deadline: f64,
}

/// What a level of quality is expected to cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CostEstimate {
    /// Typical share of the deadline.
    pub typical: f64,
    /// Share of the deadline that 95 of 100 blocks stay below.
    pub high: f64,
}

/// Learns which settings keep this machine inside its deadline, also for levels of quality that it has not tried.
///
/// The logarithm of the share of the deadline that a block takes is the logarithm of the level's relative cost, which is told, plus one
/// number for the machine, plus one per level for what was told wrongly; both are learned, and fade by half over 700 blocks, since
/// machines slow down and recover. A [`QuantileTracker`] follows how far blocks are above that.
///
/// # Examples
///
/// ```
/// use upbeat_adapt::{PerformanceModel, PerformanceSample};
///
/// let mut model = PerformanceModel::new(&[1.0, 2.0, 8.0])?;
/// assert!(model.best_level(0.7).is_none(), "nothing is known yet");
/// for _ in 0..100 {
///     model.learn(&PerformanceSample { level: 0, cost: 0.002, deadline: 0.010 })?;
/// }
/// let next = model.estimate(1).ok_or("known now")?;
/// assert!((next.typical - 0.4).abs() < 0.05); // twice the cost of level 0
/// assert_eq!(model.best_level(0.7), Some(1)); // level 2 would take 1.6 deadlines
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PerformanceModel {
    relative: Vec<f64>,
    belief: Gaussian,
    surplus: QuantileTracker,
}

impl PerformanceModel {
    /// A model of as many levels as there are `relative_costs`, in any unit.
    ///
    /// # Errors
    ///
    /// If there are none or more than 32, or one is not positive.
    pub fn new(relative_costs: &[f64]) -> Result<Self, AdaptError> {
        let n = relative_costs.len();
        AdaptError::require((1..=32).contains(&n), "the number of levels", "from 1 to 32", n)?;
        for cost in relative_costs {
            let holds = *cost > 0.0 && cost.is_finite();
            AdaptError::require(holds, "a relative cost", "positive", cost)?;
        }
        let mut variance = vec![0.03; n + 1];
        variance[n] = 100.0; // the machine may be anything
        let belief = Gaussian::new(vec![0.0; n + 1], variance, 0.999, 0.05);
        Ok(Self {
            relative: relative_costs.iter().map(|cost| cost.ln()).collect(),
            belief,
            surplus: QuantileTracker::new(0.95),
        })
    }

    /// Takes note of what a block cost.
    ///
    /// # Errors
    ///
    /// If there is no such level, or cost or deadline are not positive.
    pub fn learn(&mut self, sample: &PerformanceSample) -> Result<(), AdaptError> {
        self.check(sample)?;
        let PerformanceSample { level, cost, deadline } = *sample;
        let load = (cost / deadline).clamp(1e-9, 1e9).ln() - self.relative[level];
        let inputs = self.inputs(level);
        if self.surplus.quantile().is_some() {
            self.surplus.learn(load - self.belief.predict(&inputs));
        } else {
            self.surplus.learn(0.0);
        }
        self.belief.learn(&inputs, load);
        Ok(())
    }

    /// What `level` is expected to cost; `None` before the first block, or if there is no such level.
    #[must_use]
    pub fn estimate(&self, level: usize) -> Option<CostEstimate> {
        let surplus = self.surplus.quantile()?;
        let relative = self.relative.get(level)?;
        let inputs = self.inputs(level);
        let load = relative + self.belief.predict(&inputs);
        let unsure = 1.645 * self.belief.variance(&inputs).sqrt();
        Some(CostEstimate { typical: load.exp(), high: (load + surplus.max(0.0) + unsure).exp() })
    }

    /// The highest level of which 95 of 100 blocks stay below `limit`, a share of the deadline; `None` where none does, or nothing is known.
    #[must_use]
    pub fn best_level(&self, limit: f64) -> Option<usize> {
        let fits = |level: &usize| self.estimate(*level).is_some_and(|cost| cost.high <= limit);
        (0..self.relative.len()).rev().find(fits)
    }

    pub(crate) fn check(&self, sample: &PerformanceSample) -> Result<(), AdaptError> {
        let PerformanceSample { level, cost, deadline } = *sample;
        AdaptError::require(level < self.relative.len(), "level", "one of those told", level)?;
        let positive = |value: f64| value > 0.0 && value.is_finite();
        AdaptError::require(positive(cost), "cost", "positive", cost)?;
        AdaptError::require(positive(deadline), "deadline", "positive", deadline)
    }

    fn inputs(&self, level: usize) -> Vec<f64> {
        let n = self.relative.len();
        (0..=n).map(|i| if i == level || i == n { 1.0 } else { 0.0 }).collect()
    }

    pub(crate) fn fits(&self, other: &Self) -> bool {
        self.relative == other.relative && self.belief.fits(&other.belief)
    }

    pub(crate) fn heap_size(&self) -> usize {
        self.belief.heap_size() + self.relative.capacity() * size_of::<f64>()
    }
}
