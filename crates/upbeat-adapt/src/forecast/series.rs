use super::PAST;
use crate::learn::{Mixture, QuantileTracker};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Persistence, AR(1), four means, two medians, the best place and all good places in the past.
pub(super) const N_EXPERTS: usize = 10;

/// One feature's past, and the experts about its future.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Series {
    interval: f64,
    horizons: Vec<Horizon>,
    #[serde(skip)]
    state: State,
}

/// What is forgotten after a gap.
#[derive(Clone, Debug, Default, PartialEq)]
struct State {
    /// Newest first; intervals without observation repeat the one before.
    past: VecDeque<f64>,
    known: bool,
    seen: f64,
    means: [f64; MEANS.len()],
    medians: [f64; MEDIANS.len()],
    /// Around the longest mean: variance, and product with the value before.
    variance: f64,
    product: f64,
    /// Mean absolute deviation from the longest mean.
    deviation: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Horizon {
    steps: usize,
    mixture: Mixture,
    errors: QuantileTracker,
    within: f64,
    tested: f64,
    /// What was forecast for the coming `steps` intervals, the next one first.
    #[serde(skip)]
    pending: VecDeque<Option<Pending>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Pending {
    experts: [f64; N_EXPERTS],
    mixed: f64,
}

impl Series {
    pub(super) fn new(steps: &[usize], interval: f64) -> Self {
        let horizon = |steps: &usize| Horizon {
            steps: *steps,
            mixture: Mixture::new(N_EXPERTS),
            errors: QuantileTracker::new(0.9),
            within: 0.0,
            tested: 0.0,
            pending: VecDeque::new(),
        };
        Self { interval, horizons: steps.iter().map(horizon).collect(), state: State::default() }
    }

    /// Takes the mean of the newest interval, and learns from it.
    pub(super) fn push(&mut self, value: Option<f64>) {
        for horizon in &mut self.horizons {
            horizon.settle(value);
        }
        self.state.push(value, self.interval);
    }

    /// Makes forecasts, given for each horizon which intervals of the past preceded the like of what is to come.
    pub(super) fn predict(&mut self, analogs: &[Vec<(usize, f64)>]) {
        for (horizon, analogs) in self.horizons.iter_mut().zip(analogs) {
            let pending = self
                .state
                .experts(horizon.steps, analogs)
                .map(|experts| Pending { experts, mixed: horizon.mixture.mix(&experts) });
            horizon.pending.push_back(pending);
        }
    }

    pub(super) fn forecast(&self, horizon: usize) -> Option<(f64, Option<f64>)> {
        let horizon = self.horizons.get(horizon)?;
        let newest = horizon.pending.back().copied().flatten()?;
        Some((newest.mixed, horizon.errors.quantile().map(|error| error.max(0.0))))
    }

    /// How many truths were within the bars, of how many.
    pub(super) fn coverage(&self) -> (f64, f64) {
        let add = |sum: (f64, f64), h: &Horizon| (sum.0 + h.within, sum.1 + h.tested);
        self.horizons.iter().fold((0.0, 0.0), add)
    }

    /// The newest value, and one over its usual deviation.
    pub(super) fn now_and_scale(&self) -> Option<(f64, f64)> {
        let now = self.state.past.front().filter(|_| self.state.known)?;
        let deviation = self.state.deviation;
        (deviation > 0.0).then(|| (*now, 1.0 / deviation)).filter(|(_, scale)| scale.is_finite())
    }

    /// Newest first.
    pub(super) fn past(&self) -> impl ExactSizeIterator<Item = f64> + '_ {
        self.state.past.iter().copied()
    }

    pub(super) fn forget_past(&mut self) {
        self.state = State::default();
        for horizon in &mut self.horizons {
            horizon.pending.clear();
        }
    }

    pub(super) fn fits(&self, other: &Self) -> bool {
        self.horizons.len() == other.horizons.len()
            && self.horizons.iter().zip(&other.horizons).all(|(a, b)| a.mixture.fits(&b.mixture))
    }

    pub(super) fn heap_size(&self) -> usize {
        let horizons: usize = self
            .horizons
            .iter()
            .map(|h| h.mixture.heap_size() + h.pending.capacity() * size_of::<Option<Pending>>())
            .sum();
        horizons
            + self.horizons.capacity() * size_of::<Horizon>()
            + self.state.past.capacity() * size_of::<f64>()
    }
}

impl Horizon {
    /// Holds what was forecast for now against what it is.
    fn settle(&mut self, truth: Option<f64>) {
        if self.pending.len() < self.steps {
            return;
        }
        let (Some(Some(pending)), Some(truth)) = (self.pending.pop_front(), truth) else { return };
        let error = (pending.mixed - truth).abs();
        if let Some(bar) = self.errors.quantile() {
            self.tested += 1.0;
            self.within += if error <= bar { 1.0 } else { 0.0 };
        }
        self.errors.learn(error);
        // What the mixture says of those forecasts now, for its weights have moved since.
        let mixed = self.mixture.mix(&pending.experts);
        self.mixture.learn(&pending.experts, mixed, truth);
    }
}

impl State {
    fn push(&mut self, value: Option<f64>, interval: f64) {
        let before = self.past.front().copied().filter(|_| self.known);
        let Some(value) = value.or(before) else {
            // Keeps the pasts of all features equally long.
            self.remember(0.0);
            return;
        };
        if !self.known {
            self.known = true;
            self.past.iter_mut().for_each(|past| *past = value);
            self.means = [value; MEANS.len()];
            self.medians = [value; MEDIANS.len()];
        }
        self.seen += 1.0;
        let gain = |seconds: f64| (interval / seconds).max(1.0 / self.seen).min(1.0);
        let (slow, last) = (gain(MEANS[MEANS.len() - 1]), MEANS.len() - 1);
        let off = value - self.means[last];
        let before = self.past.front().map_or(0.0, |past| past - self.means[last]);
        self.variance += slow * (before * before - self.variance);
        self.product += slow * (off * before - self.product);
        self.deviation += slow * (off.abs() - self.deviation);
        let gains = MEANS.map(gain);
        for (mean, gain) in self.means.iter_mut().zip(gains) {
            *mean += gain * (value - *mean);
        }
        let gains = MEDIANS.map(gain);
        for (median, gain) in self.medians.iter_mut().zip(gains) {
            let side = value - *median;
            *median += (2.0 * gain * self.deviation).min(side.abs()) * side.signum();
        }
        self.remember(value);
    }

    fn remember(&mut self, value: f64) {
        self.past.truncate(PAST - 1);
        self.past.push_front(value);
    }

    fn experts(&self, steps: usize, analogs: &[(usize, f64)]) -> Option<[f64; N_EXPERTS]> {
        let now = *self.past.front().filter(|_| self.known)?;
        let mean = self.means[MEANS.len() - 1];
        let follow = (self.product / self.variance).clamp(-1.0, 1.0);
        let follow = if follow.is_finite() { follow.powi(steps as i32) } else { 1.0 };
        let at = |ago: usize| self.past.get(ago).copied().unwrap_or(now);
        let best = analogs.first().map_or(now, |(ago, _)| at(*ago));
        let (sum, weights) = analogs.iter().fold((0.0, 0.0), |(sum, weights), (ago, weight)| {
            (sum + weight * at(*ago), weights + weight)
        });
        let near = sum / weights;
        let [m0, m1, m2, m3] = self.means;
        let [d0, d1] = self.medians;
        let near = if near.is_finite() { near } else { best };
        Some([now, mean + follow * (now - mean), m0, m1, m2, m3, d0, d1, best, near])
    }
}

/// Over how many seconds means go, the longest last.
const MEANS: [f64; 4] = [1.0, 4.0, 16.0, 60.0];

const MEDIANS: [f64; 2] = [4.0, 20.0];
