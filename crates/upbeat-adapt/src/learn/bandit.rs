use super::gaussian::{Gaussian, dot};
use super::{Learner, Random, assert_inputs, finite, is_finite};
use crate::AdaptError;
use serde::{Deserialize, Serialize};

/// Some of a bandit's inputs, under one name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureGroup {
    /// What they are about.
    pub name: String,
    /// How many there are.
    pub n_inputs: usize,
}

impl FeatureGroup {
    /// A group of `n_inputs` numbers.
    #[must_use]
    pub fn new(name: &str, n_inputs: usize) -> Self {
        Self { name: name.into(), n_inputs }
    }
}

/// How a bandit weighs trying out against what is known to be good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Strategy {
    /// Takes what would be best with luck: expected reward plus one standard deviation of what the reward may be (Li et al., "A contextual-bandit
    /// approach to personalized news article recommendation", WWW 2010).
    LinUcb,
    /// Takes what is best under weights drawn at random from what is believed, half as wide (Agrawal and Goyal, "Thompson
    /// sampling for contextual bandits with linear payoffs", ICML 2013).
    Thompson,
}

/// A contextual bandit: learns which of many choices pays, from the rewards of those it made.
///
/// The reward of a choice is linear in its inputs, which are made of named groups; belief about the weights is Gaussian, starts
/// from mean 0 and variance 1, and is updated by Bayes' rule. The noise of rewards is estimated on the way, so that their
/// scale need not be told. With a `half_life`, what was learned fades towards that start.
///
/// All choices share the weights. For weights that differ by choice (the "disjoint" form), make a bandit per choice and compare their
/// [`Choice::value`]s.
///
/// # Examples
///
/// ```
/// use upbeat_adapt::learn::{Bandit, FeatureGroup, Learner, Strategy};
///
/// let groups = [FeatureGroup::new("tempo", 1), FeatureGroup::new("energy", 1)];
/// let mut bandit = Bandit::new(&groups, Strategy::LinUcb, f64::INFINITY, 1)?;
/// let songs = [[1.0, 0.0], [0.0, 1.0]];
/// for _ in 0..50 {
///     let choice = bandit.choice();
///     let (first, second) = (choice.value(&songs[0]), choice.value(&songs[1]));
///     let played = if first > second { 0 } else { 1 };
///     bandit.learn(&songs[played], if played == 1 { 1.0 } else { 0.0 }); // energy is what pays
/// }
/// assert!(bandit.predict(&songs[1]) > 0.8);
/// let (name, share) = bandit.contributions(&songs[1]).remove(1);
/// assert!(name == "energy" && share > 0.8);
/// # Ok::<(), upbeat_adapt::AdaptError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bandit {
    groups: Vec<FeatureGroup>,
    strategy: Strategy,
    belief: Gaussian,
    random: Random,
}

/// What a bandit goes by in one round; see [`Bandit::choice`].
#[derive(Clone, Debug)]
pub struct Choice<'a> {
    weights: Vec<f64>,
    bonus: Option<&'a Gaussian>,
}

impl Bandit {
    /// A bandit that knows nothing yet, whose knowledge fades by half over `half_life` rewards.
    ///
    /// # Errors
    ///
    /// If `half_life` is below 1, or there are no inputs.
    pub fn new(
        groups: &[FeatureGroup],
        strategy: Strategy,
        half_life: f64,
        seed: u64,
    ) -> Result<Self, AdaptError> {
        AdaptError::require(half_life >= 1.0, "half_life", "at least 1 reward", half_life)?;
        let n: usize = groups.iter().map(|group| group.n_inputs).sum();
        AdaptError::require(n > 0, "groups", "of at least one input", n)?;
        let keep = (-1.0 / half_life).exp2();
        let belief = Gaussian::new(vec![0.0; n], vec![1.0; n], keep, 0.25);
        Ok(Self { groups: groups.to_vec(), strategy, belief, random: Random(seed) })
    }

    /// What to go by until the next reward: the same each time, so that a list does not jump while one looks at it.
    #[must_use]
    pub fn choice(&self) -> Choice<'_> {
        match self.strategy {
            Strategy::LinUcb => {
                Choice { weights: self.belief.mean.clone(), bonus: Some(&self.belief) }
            }
            Strategy::Thompson => {
                Choice { weights: self.belief.draw(DRAW, &mut self.random.clone()), bonus: None }
            }
        }
    }

    /// What to go by where nothing is to be tried out.
    #[must_use]
    pub fn known(&self) -> Choice<'_> {
        Choice { weights: self.belief.mean.clone(), bonus: None }
    }

    /// How unsure the expected reward of `inputs` is: its standard deviation.
    ///
    /// # Panics
    ///
    /// If `inputs` does not hold as many numbers as the groups together.
    #[must_use]
    pub fn uncertainty(&self, inputs: &[f64]) -> f64 {
        assert_inputs(inputs, self.n_inputs());
        self.belief.variance(inputs).sqrt()
    }

    /// What each group adds to the expected reward of `inputs`.
    ///
    /// # Panics
    ///
    /// If `inputs` does not hold as many numbers as the groups together.
    #[must_use]
    pub fn contributions(&self, inputs: &[f64]) -> Vec<(&str, f64)> {
        assert_inputs(inputs, self.n_inputs());
        let mut start = 0;
        let share = |group: &FeatureGroup| {
            let range = start..start + group.n_inputs;
            start = range.end;
            dot(&self.belief.mean[range.clone()], &inputs[range])
        };
        let shares: Vec<f64> = self.groups.iter().map(share).collect();
        self.groups.iter().map(|group| group.name.as_str()).zip(shares).collect()
    }

    /// Forgets all but the share `keep` of what was learned, from 0 to 1.
    pub fn forget(&mut self, keep: f64) {
        self.belief.fall_back(finite(keep).clamp(0.0, 1.0));
    }
}

impl Choice<'_> {
    /// How much is to be said for a choice with these inputs; the one with the largest value is to be made.
    ///
    /// # Panics
    ///
    /// If `inputs` does not hold as many numbers as the bandit's groups together.
    #[must_use]
    pub fn value(&self, inputs: &[f64]) -> f64 {
        assert_inputs(inputs, self.weights.len());
        let bonus =
            self.bonus.map_or(0.0, |belief| (belief.noise + belief.variance(inputs)).sqrt());
        finite(dot(&self.weights, inputs) + bonus)
    }
}

impl Learner for Bandit {
    fn n_inputs(&self) -> usize {
        self.belief.mean.len()
    }

    fn predict(&self, inputs: &[f64]) -> f64 {
        assert_inputs(inputs, self.n_inputs());
        self.belief.mean.iter().zip(inputs).map(|(weight, input)| weight * finite(*input)).sum()
    }

    fn learn(&mut self, inputs: &[f64], target: f64) {
        assert_inputs(inputs, self.n_inputs());
        if is_finite(inputs, target) {
            self.belief.learn(inputs, target);
            self.random.bits();
        }
    }
}

/// How wide weights are drawn, in standard deviations of the belief.
const DRAW: f64 = 0.5;
