use crate::track::Known;
use crate::{KeyRelation, TrackFeatures};

/// How well one track goes after another, before any taste is known. Unknown parts are `None`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Compatibility {
    /// Step in tempo, in octaves (1 doubles it), after halving or doubling as [`tempo_ratio`](Self::tempo_ratio) says.
    pub tempo_step: Option<f64>,
    /// 0.5, 1 or 2: what the next track's tempo is to be multiplied by to come nearest to this one's.
    pub tempo_ratio: f64,
    /// How the keys are related.
    pub key: Option<KeyRelation>,
    /// Step in energy, from −1 to 1.
    pub energy_step: Option<f64>,
    /// Step of the spectral centroid, in octaves.
    pub brightness_step: Option<f64>,
    /// Half the distance between the directions of the timbre vectors, from 0 (the same) to 1 (opposite).
    pub timbre_distance: Option<f64>,
}

impl Compatibility {
    /// Of `next` after `current`.
    #[must_use]
    pub fn between(current: &TrackFeatures, next: &TrackFeatures) -> Self {
        Self::of(&Known::of(current), &Known::of(next))
    }

    pub(crate) fn of(current: &Known<'_>, next: &Known<'_>) -> Self {
        let step = |a: Option<f64>, b: Option<f64>| Some(b? - a?);
        let (tempo_step, tempo_ratio) = match step(current.tempo, next.tempo) {
            Some(step) if (step - 1.0).abs() < step.abs() => (Some(step - 1.0), 0.5),
            Some(step) if (step + 1.0).abs() < step.abs() => (Some(step + 1.0), 2.0),
            step => (step, 1.0),
        };
        Self {
            tempo_step,
            tempo_ratio,
            key: current.key.zip(next.key).and_then(|(a, b)| a.relation(b)),
            energy_step: step(current.energy, next.energy),
            brightness_step: step(current.brightness, next.brightness),
            timbre_distance: timbre_distance(current, next),
        }
    }

    /// The matches, from 0 to 1: tempo, key, energy, brightness, timbre; one half where unknown.
    ///
    /// Tempo: `exp(−(step / 6 %)²)`, as far as a deck's pitch fader goes without being heard, times 0.9 where halved or doubled. Key:
    /// [`KeyRelation::harmony`]. Energy: `exp(−(step / 0.3)²)`. Brightness: `exp(−octaves²)`. Timbre: 1 − distance.
    #[must_use]
    pub fn matches(&self) -> [f64; 5] {
        let bell = |step: Option<f64>, width: f64| step.map(|s| (-(s / width).powi(2)).exp());
        let folded = if self.tempo_ratio == 1.0 { 1.0 } else { 0.9 };
        [
            bell(self.tempo_step, TEMPO_WIDTH).map(|m| m * folded),
            self.key.map(KeyRelation::harmony),
            bell(self.energy_step, 0.3),
            bell(self.brightness_step, 1.0),
            self.timbre_distance.map(|distance| 1.0 - distance),
        ]
        .map(|value| value.unwrap_or(0.5))
    }

    /// All in one number from 0 to 1: the mean of the [`matches`](Self::matches), of which tempo counts 0.3, key 0.25,
    /// energy 0.2, brightness 0.1, timbre 0.15.
    #[must_use]
    pub fn score(&self) -> f64 {
        self.matches().iter().zip(WEIGHTS).map(|(value, weight)| value * weight).sum()
    }
}

fn timbre_distance(a: &Known<'_>, b: &Known<'_>) -> Option<f64> {
    let length = a.timbre_length * b.timbre_length;
    if length <= 0.0 || a.timbre.len() != b.timbre.len() {
        return None;
    }
    let dot: f64 = a.timbre.iter().zip(b.timbre).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
    Some(((1.0 - dot / length) / 2.0).max(0.0).sqrt().min(1.0))
}

/// What each match counts.
pub(crate) const WEIGHTS: [f64; 5] = [0.3, 0.25, 0.2, 0.1, 0.15];

/// 6 % in octaves.
const TEMPO_WIDTH: f64 = 0.084;

#[cfg(test)]
mod tests {
    use super::*;

    fn track(bpm: f32, key: &str, energy: f32) -> TrackFeatures {
        TrackFeatures {
            tempo_bpm: Some(bpm),
            key: Some(key.parse().expect("a key")),
            energy: Some(energy),
            brightness: Some(2000.0),
            loudness: Some(-9.0),
            timbre: vec![1.0, 2.0, -1.0],
        }
    }

    #[test]
    fn half_and_double_tempo_count_as_near() {
        let slow = track(87.0, "Am", 0.5);
        let fast = track(174.0, "Am", 0.5);
        let pair = Compatibility::between(&slow, &fast);
        assert!(pair.tempo_step.unwrap().abs() < 1e-6 && pair.tempo_ratio == 0.5);
        let pair = Compatibility::between(&fast, &slow);
        assert!(pair.tempo_step.unwrap().abs() < 1e-6 && pair.tempo_ratio == 2.0);
        let off = Compatibility::between(&slow, &track(130.0, "Am", 0.5));
        assert!(off.score() < pair.score());
    }

    #[test]
    fn a_track_goes_best_with_itself_and_unknown_counts_half() {
        let a = track(120.0, "Am", 0.5);
        assert!((Compatibility::between(&a, &a).score() - 1.0).abs() < 1e-6);
        let nothing = TrackFeatures::default();
        assert!((Compatibility::between(&a, &nothing).score() - 0.5).abs() < 1e-12);
        for worse in [track(127.0, "Am", 0.5), track(120.0, "C#m", 0.5), track(120.0, "Am", 0.9)] {
            assert!(Compatibility::between(&a, &worse).score() < 0.95);
        }
    }

    #[test]
    fn numbers_that_cannot_be_count_as_unknown() {
        let a = track(120.0, "Am", 0.5);
        for bad in [f32::NAN, f32::INFINITY, -1.0, 0.0] {
            let b = TrackFeatures { tempo_bpm: Some(bad), timbre: vec![f32::NAN; 3], ..a.clone() };
            let pair = Compatibility::between(&a, &b);
            assert_eq!((pair.tempo_step, pair.timbre_distance), (None, None), "{bad}");
            assert!(pair.score().is_finite());
        }
        let b = TrackFeatures { timbre: vec![1.0], ..a.clone() };
        assert_eq!(Compatibility::between(&a, &b).timbre_distance, None, "of another length");
    }
}
