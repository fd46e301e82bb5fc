mod belief;
mod inputs;

use crate::learn::{Adwin, Calibrator, dot};
use crate::track::Known;
use crate::{AdaptError, Compatibility, Context, TrackFeatures};
use belief::Belief;
use inputs::GROUPS;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

pub(crate) use inputs::{N_INPUTS, inputs};

/// What a user likes: learns from each response how the next one will be.
///
/// The log-odds of a track's being liked are linear in what it is (tempo, mode, energy, brightness, loudness, timbre), how it follows
/// the one before (the [`Compatibility`]) and the time of day; belief about the weights is Gaussian. Before the first
/// response the user is expected to like what is compatible; that gives way as responses come. Since taste may change at any
/// time, models that began to learn at different times run side by side, each trusted by how likely it found the responses
/// since (Bayesian online changepoint detection, Adams and `MacKay`, 2007). The probability is calibrated by what came of earlier ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserPreference {
    belief: Belief,
    calibrator: Calibrator,
    errors: Adwin,
    changes: u64,
    responses: u64,
    /// The latest tracks responded to.
    memory: VecDeque<Judged>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Judged {
    tempo: Option<f64>,
    minor: Option<bool>,
    energy: Option<f64>,
    brightness: Option<f64>,
    reward: f64,
}

impl Default for UserPreference {
    fn default() -> Self {
        Self::new()
    }
}

impl UserPreference {
    /// One that knows nothing of the user yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            belief: Belief::new(),
            calibrator: Calibrator::new(),
            errors: Adwin::new(),
            changes: 0,
            responses: 0,
            memory: VecDeque::with_capacity(MEMORY),
        }
    }

    /// Takes note that the user found `next`, after `current`, worth `reward`, from 0 to 1.
    ///
    /// # Errors
    ///
    /// If `reward` is outside 0 to 1.
    pub fn learn(
        &mut self,
        current: &TrackFeatures,
        next: &TrackFeatures,
        context: Context,
        reward: f64,
    ) -> Result<(), AdaptError> {
        AdaptError::require((0.0..=1.0).contains(&reward), "reward", "from 0 to 1", reward)?;
        let known = Known::of(next);
        let inputs = inputs(&Compatibility::of(&Known::of(current), &known), &known, context);
        let expected = self.expected(&inputs);
        self.calibrator.learn(expected, reward);
        self.errors.learn((expected - reward).abs());
        self.changes += u64::from(self.belief.learn(&inputs, reward));
        self.responses += 1;
        if self.memory.len() == MEMORY {
            self.memory.pop_front();
        }
        self.memory.push_back(Judged {
            tempo: known.tempo,
            minor: known.key.map(|key| key.minor),
            energy: known.energy,
            brightness: known.brightness,
            reward,
        });
        Ok(())
    }

    /// The probability that the user will like `next` after `current`.
    #[must_use]
    pub fn probability(
        &self,
        current: &TrackFeatures,
        next: &TrackFeatures,
        context: Context,
    ) -> f64 {
        let known = Known::of(next);
        let inputs = inputs(&Compatibility::of(&Known::of(current), &known), &known, context);
        self.calibrator.calibrate(self.expected(&inputs))
    }

    /// Of tracks like `track` that the user responded to, how many were liked, and how many there were: within 6 % of the tempo,
    /// 0.15 of the energy, half an octave of the brightness, and in the same mode, as far as known.
    #[must_use]
    pub fn liked_like(&self, track: &TrackFeatures) -> (usize, usize) {
        let known = Known::of(track);
        let similar = self.memory.iter().filter(|judged| judged.is_like(&known));
        similar.fold((0, 0), |(liked, all), judged| {
            (liked + usize::from(judged.reward > 0.5), all + 1)
        })
    }

    /// How many responses were learned from.
    #[must_use]
    pub fn responses(&self) -> u64 {
        self.responses
    }

    /// How often the taste was seen to change.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// By how much the expected response was off, mean since the last change of taste, from 0 to 1; `None` before the first response.
    #[must_use]
    pub fn mean_error(&self) -> Option<f64> {
        self.errors.mean()
    }

    /// What to multiply inputs with for the log-odds.
    pub(crate) fn weights(&self) -> [f64; N_INPUTS] {
        self.belief.weights()
    }

    pub(crate) fn uncertainty(&self, inputs: &[f64; N_INPUTS]) -> f64 {
        self.belief.uncertainty(inputs)
    }

    /// The probability of a good response, before calibration.
    pub(crate) fn expected(&self, inputs: &[f64; N_INPUTS]) -> f64 {
        self.belief.probability(inputs)
    }

    pub(crate) fn calibrated(&self, expected: f64) -> f64 {
        self.calibrator.calibrate(expected)
    }

    /// What each group of features adds to the log-odds.
    pub(crate) fn contributions(&self, inputs: &[f64; N_INPUTS]) -> Vec<(&'static str, f64)> {
        let weights = self.weights();
        let mut start = 0;
        let mut share = |n: usize| {
            let range = start..start + n;
            start = range.end;
            dot(&weights[range.clone()], &inputs[range])
        };
        GROUPS.iter().map(|(name, n)| (*name, share(*n))).collect()
    }

    pub(crate) fn fits(&self) -> bool {
        self.belief.fits() && self.memory.len() <= MEMORY
    }

    pub(crate) fn heap_size(&self) -> usize {
        self.belief.heap_size()
            + self.errors.heap_size()
            + self.memory.capacity() * size_of::<Judged>()
    }
}

impl Judged {
    fn is_like(&self, track: &Known<'_>) -> bool {
        let near = |a: Option<f64>, b: Option<f64>, width: f64| {
            a.zip(b).map(|(a, b)| (a - b).abs() <= width)
        };
        let minor = track.key.map(|key| key.minor);
        let known = [
            near(self.tempo, track.tempo, 0.084),
            near(self.energy, track.energy, 0.15),
            near(self.brightness, track.brightness, 0.5),
            self.minor.zip(minor).map(|(a, b)| a == b),
        ];
        let compared = known.iter().flatten().count();
        compared >= 2 && known.iter().flatten().all(|like| *like)
    }
}

/// Tracks kept for [`UserPreference::liked_like`].
const MEMORY: usize = 256;
