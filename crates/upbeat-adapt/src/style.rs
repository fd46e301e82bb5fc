use crate::track::Known;
use crate::{Compatibility, KeyRelation, TrackFeatures};
use serde::{Deserialize, Serialize};

/// How a user mixes: which steps in tempo, key and energy are usual, and at what point of a track.
///
/// Steps of tempo and energy and the point are described by mean and variance, key relations by counts; all forget by half over
/// 70 transitions and start from what is usual for anyone, as if seen 5 times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MixingStyle {
    tempo: Usual,
    energy: Usual,
    point: Usual,
    keys: [f64; N_RELATIONS],
    transitions: u64,
}

/// A number's usual range: its mean and standard deviation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Typical {
    /// The mean.
    pub mean: f64,
    /// The standard deviation.
    pub deviation: f64,
}

/// Normal, with a prior that counts as `PRIOR` observations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Usual {
    prior: (f64, f64),
    n: f64,
    sum: f64,
    squares: f64,
}

impl Default for MixingStyle {
    fn default() -> Self {
        Self::new()
    }
}

impl MixingStyle {
    /// One that knows nothing of the user yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            tempo: Usual::new(0.0, 0.15),
            energy: Usual::new(0.0, 0.25),
            point: Usual::new(0.8, 0.2),
            keys: [0.0; N_RELATIONS],
            transitions: 0,
        }
    }

    /// Takes note that the user went from one track to another, at which share of the first one's duration if that is known.
    pub fn learn(&mut self, from: &TrackFeatures, to: &TrackFeatures, point: Option<f32>) {
        let pair = Compatibility::of(&Known::of(from), &Known::of(to));
        self.tempo.learn(pair.tempo_step);
        self.energy.learn(pair.energy_step);
        let share = point.filter(|share| (0.0..=1.0).contains(share));
        self.point.learn(share.map(f64::from));
        if let Some(relation) = pair.key {
            self.keys.iter_mut().for_each(|count| *count *= KEEP);
            self.keys[index(relation)] += 1.0;
        }
        self.transitions += 1;
    }

    /// How much a transition is like the user's, from 0 to 1: the logistic of the mean logarithm of how much likelier it is by the user's
    /// habits than by anyone's. One half where nothing is known.
    #[must_use]
    pub fn score(&self, from: &TrackFeatures, to: &TrackFeatures) -> f64 {
        self.score_pair(&Compatibility::of(&Known::of(from), &Known::of(to)))
    }

    pub(crate) fn score_pair(&self, pair: &Compatibility) -> f64 {
        if self.transitions == 0 {
            return 0.5;
        }
        let key = pair.key.map_or(0.0, |relation| {
            let anyone = ANYONE[index(relation)];
            let all: f64 = self.keys.iter().sum();
            let user = (self.keys[index(relation)] + PRIOR * anyone) / (all + PRIOR);
            (user / anyone).ln()
        });
        let steps = [self.tempo.surplus(pair.tempo_step), self.energy.surplus(pair.energy_step)];
        let sum: f64 = steps.iter().chain(&[key]).map(|surplus| surplus.clamp(-3.0, 3.0)).sum();
        crate::learn::logistic(sum / 3.0)
    }

    /// The usual step in tempo, in octaves; `None` before the first transition.
    #[must_use]
    pub fn tempo_step(&self) -> Option<Typical> {
        self.tempo.typical()
    }

    /// The usual step in energy; `None` before the first transition.
    #[must_use]
    pub fn energy_step(&self) -> Option<Typical> {
        self.energy.typical()
    }

    /// The usual point of change, as a share of the track's duration; `None` before the first.
    #[must_use]
    pub fn mix_point(&self) -> Option<Typical> {
        self.point.typical()
    }

    /// How many transitions were learned from.
    #[must_use]
    pub fn transitions(&self) -> u64 {
        self.transitions
    }
}

impl Usual {
    fn new(mean: f64, deviation: f64) -> Self {
        Self { prior: (mean, deviation), n: 0.0, sum: 0.0, squares: 0.0 }
    }

    fn learn(&mut self, value: Option<f64>) {
        if let Some(value) = value {
            let off = value - self.prior.0;
            self.n = KEEP * self.n + 1.0;
            self.sum = KEEP * self.sum + off;
            self.squares = KEEP * self.squares + off * off;
        }
    }

    fn with_prior(&self) -> Typical {
        let n = self.n + PRIOR;
        let off = self.sum / n;
        let variance = (self.squares + PRIOR * self.prior.1.powi(2)) / n - off * off;
        Typical { mean: self.prior.0 + off, deviation: variance.max(1e-6).sqrt() }
    }

    fn typical(&self) -> Option<Typical> {
        (self.n > 0.0).then(|| self.with_prior())
    }

    /// The logarithm of how much likelier `value` is than by the prior alone.
    fn surplus(&self, value: Option<f64>) -> f64 {
        let Some(value) = value else { return 0.0 };
        let density = |mean: f64, deviation: f64| {
            -0.5 * ((value - mean) / deviation).powi(2) - deviation.ln()
        };
        let user = self.with_prior();
        density(user.mean, user.deviation) - density(self.prior.0, self.prior.1)
    }
}

fn index(relation: KeyRelation) -> usize {
    match relation {
        KeyRelation::Same => 0,
        KeyRelation::Relative => 1,
        KeyRelation::Fifth => 2,
        KeyRelation::Parallel => 3,
        KeyRelation::FifthOfRelative => 4,
        KeyRelation::TwoFifths => 5,
        KeyRelation::Distant => 6,
    }
}

const N_RELATIONS: usize = 7;

/// Shares of the relations between keys drawn at random.
const ANYONE: [f64; N_RELATIONS] =
    [1.0 / 24.0, 1.0 / 24.0, 2.0 / 24.0, 1.0 / 24.0, 2.0 / 24.0, 2.0 / 24.0, 15.0 / 24.0];

const KEEP: f64 = 0.99;
const PRIOR: f64 = 5.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn track(bpm: f32, energy: f32, key: &str) -> TrackFeatures {
        TrackFeatures {
            tempo_bpm: Some(bpm),
            energy: Some(energy),
            key: Some(key.parse().expect("a key")),
            ..TrackFeatures::default()
        }
    }

    #[test]
    fn what_the_user_does_scores_above_what_he_does_not() {
        let mut style = MixingStyle::new();
        let from = track(120.0, 0.5, "Am");
        assert_eq!(style.score(&from, &from), 0.5);
        assert!(style.mix_point().is_none());
        for _ in 0..30 {
            style.learn(&from, &track(126.0, 0.7, "Em"), Some(0.6));
        }
        let (like, unlike) = (track(126.0, 0.7, "Em"), track(110.0, 0.2, "Eb"));
        assert!(style.score(&from, &like) > 0.6, "{}", style.score(&from, &like));
        assert!(style.score(&from, &unlike) < 0.2, "{}", style.score(&from, &unlike));
        let tempo = style.tempo_step().unwrap();
        assert!((tempo.mean - 0.06).abs() < 0.02, "{tempo:?}");
        assert!((style.mix_point().unwrap().mean - 0.63).abs() < 0.03);
    }

    #[test]
    fn all_relations_between_keys_are_counted() {
        let keys =
            || (0..12).flat_map(|tonic| [false, true].map(|minor| crate::Key { tonic, minor }));
        let mut counts = [0.0; N_RELATIONS];
        for (a, b) in keys().flat_map(|a| keys().map(move |b| (a, b))) {
            counts[index(a.relation(b).unwrap())] += 1.0 / 576.0;
        }
        for (count, anyone) in counts.iter().zip(ANYONE) {
            assert!((count - anyone).abs() < 1e-12, "{counts:?}");
        }
    }
}
