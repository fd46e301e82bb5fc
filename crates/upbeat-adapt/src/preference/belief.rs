use super::{N_INPUTS, inputs};
use crate::compatibility::WEIGHTS;
use crate::learn::{Gaussian, dot, logistic};
use serde::{Deserialize, Serialize};

/// What is believed of a taste that may change at any time.
///
/// Several linear models run side by side, each of which began to learn at another time; each is trusted by how likely it found the
/// responses since, with a share for a new one. This is Bayesian online changepoint detection (Adams and `MacKay`, 2007) with
/// the run lengths thinned out: a change is noticed, and learned from, as soon as a younger model explains responses better.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Belief {
    runs: Vec<Run>,
    responses: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Run {
    trust: f64,
    since: u64,
    model: Gaussian,
}

impl Belief {
    pub(super) fn new() -> Self {
        let trust = 1.0 / PRIORS.len() as f64;
        let first = |prior: &Prior| Run { trust, since: 0, model: prior.model() };
        Self { runs: PRIORS.iter().map(first).collect(), responses: 0 }
    }

    /// Takes note of a response, and says whether it shows that the taste has changed.
    pub(super) fn learn(&mut self, inputs: &[f64; N_INPUTS], reward: f64) -> bool {
        let before = self.most_trusted().since;
        let mut total = 0.0;
        for run in &mut self.runs {
            let probability = run.model.probability(inputs);
            run.trust *= (reward * probability + (1.0 - reward) * (1.0 - probability)).max(1e-3);
            run.model.learn_outcome(inputs, reward);
            total += run.trust;
        }
        self.runs.iter_mut().for_each(|run| run.trust /= total);
        self.responses += 1;
        if self.responses.is_multiple_of(BIRTH) {
            self.begin_another();
        }
        self.most_trusted().since > before
    }

    pub(super) fn weights(&self) -> [f64; N_INPUTS] {
        std::array::from_fn(|i| self.runs.iter().map(|run| run.trust * run.model.mean[i]).sum())
    }

    /// The probability that the response is good, averaged over all that is believed.
    pub(super) fn probability(&self, inputs: &[f64; N_INPUTS]) -> f64 {
        logistic(self.runs.iter().map(|run| run.trust * run.model.log_odds(inputs)).sum())
    }

    /// Standard deviation of the log-odds.
    pub(super) fn uncertainty(&self, inputs: &[f64; N_INPUTS]) -> f64 {
        let expected = dot(&self.weights(), inputs);
        let variance =
            |run: &Run| run.model.variance(inputs) + (run.model.predict(inputs) - expected).powi(2);
        self.runs.iter().map(|run| run.trust * variance(run)).sum::<f64>().sqrt()
    }

    pub(super) fn fits(&self) -> bool {
        let fresh = PRIORS[0].model();
        (1..=RUNS).contains(&self.runs.len()) && self.runs.iter().all(|run| run.model.fits(&fresh))
    }

    pub(super) fn heap_size(&self) -> usize {
        let models: usize = self.runs.iter().map(|run| run.model.heap_size()).sum();
        models + self.runs.capacity() * size_of::<Run>()
    }

    fn most_trusted(&self) -> &Run {
        let mut most = &self.runs[0];
        for run in &self.runs {
            if run.trust > most.trust {
                most = run;
            }
        }
        most
    }

    fn begin_another(&mut self) {
        while self.runs.len() + PRIORS.len() > RUNS {
            let trusts = self.runs.iter().map(|run| run.trust).enumerate();
            let least = trusts.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(at, _)| at);
            self.runs.remove(least);
        }
        let total: f64 = self.runs.iter().map(|run| run.trust).sum();
        self.runs.iter_mut().for_each(|run| run.trust *= (1.0 - CHANGE) / total);
        let trust = CHANGE / PRIORS.len() as f64;
        let since = self.responses;
        self.runs.extend(PRIORS.iter().map(|prior| Run { trust, since, model: prior.model() }));
    }
}

/// What may be believed before the first response.
struct Prior {
    /// By how much more the log-odds of the most compatible track are than those of the least.
    compatible: f64,
    /// How far weights may be from that.
    spread: f64,
}

impl Prior {
    fn model(&self) -> Gaussian {
        let mut mean = vec![0.0; N_INPUTS];
        mean[0] = -self.compatible / 2.0;
        for (at, weight) in inputs::MATCHES.iter().zip(WEIGHTS) {
            mean[*at] = self.compatible * weight;
        }
        let variance = inputs::RELEVANCE.map(|relevance| (relevance * self.spread).powi(2));
        Gaussian::new(mean, variance.to_vec(), 1.0, 1.0)
    }
}

/// That the user goes by compatibility, and that he does not.
const PRIORS: [Prior; 2] =
    [Prior { compatible: 12.0, spread: 0.5 }, Prior { compatible: 2.0, spread: 2.0 }];

/// Most models that run side by side.
const RUNS: usize = 12;

/// Responses from one model's beginning to the next one's.
const BIRTH: u64 = 3;

/// How likely a change of taste is believed to be in so many responses.
const CHANGE: f64 = 0.03;
