//! Keys over time.

use std::fmt;

use super::chord::{Mode, PitchClass, Triad};
use super::tensors::Tensors;
use upbeat_core::ConfigError;

/// A key: a tonic, and major or minor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The tonic.
    pub tonic: PitchClass,
    /// Major or minor.
    pub mode: Mode,
}

impl Key {
    /// The key with the same notes: a minor third below a major key, above a minor one.
    #[must_use]
    pub const fn relative(self) -> Self {
        match self.mode {
            Mode::Major => Self { tonic: self.tonic.up(9), mode: Mode::Minor },
            Mode::Minor => Self { tonic: self.tonic.up(3), mode: Mode::Major },
        }
    }

    /// The key with the same tonic.
    #[must_use]
    pub const fn parallel(self) -> Self {
        let mode = match self.mode {
            Mode::Major => Mode::Minor,
            Mode::Minor => Mode::Major,
        };
        Self { mode, ..self }
    }

    /// Its name on the Camelot wheel: 8B is C major, 8A is A minor, a fifth up is one more.
    #[must_use]
    pub fn camelot(self) -> String {
        let (letter, major) = match self.mode {
            Mode::Major => ('B', self),
            Mode::Minor => ('A', self.relative()),
        };
        let fifths = u32::from(major.tonic.semitones()) * 7 % 12;
        format!("{}{letter}", (fifths + 7) % 12 + 1)
    }

    /// The tonic triad, whose [`Triad::index`] also numbers the keys.
    #[must_use]
    pub const fn tonic_triad(self) -> Triad {
        Triad { root: self.tonic, mode: self.mode }
    }

    const fn of(triad: Triad) -> Self {
        Self { tonic: triad.root, mode: triad.mode }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.tonic, self.mode)
    }
}

/// How likely each key is, now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KeyEstimate {
    probabilities: [f32; 24],
}

impl Default for KeyEstimate {
    /// Nothing is known: all keys are alike.
    fn default() -> Self {
        Self { probabilities: [1.0 / 24.0; 24] }
    }
}

impl KeyEstimate {
    /// The probability of one key.
    #[must_use]
    pub const fn probability(&self, key: Key) -> f32 {
        self.probabilities[key.tonic_triad().index()]
    }

    /// The most likely key, and its probability.
    #[must_use]
    pub fn most_likely(&self) -> (Key, f32) {
        let first = (0, self.probabilities[0]);
        let (index, p) = (0..)
            .zip(self.probabilities)
            .fold(first, |best, now| if now.1 > best.1 { now } else { best });
        (Key::of(Triad::from_index(index)), p)
    }

    /// The most likely key if it is likelier than all others together, else nobody knows.
    #[must_use]
    pub fn key(&self) -> Option<Key> {
        let (key, p) = self.most_likely();
        (p > 0.5).then_some(key)
    }
}

/// Follows the key: a Bayesian filter over the 24 keys, whose evidence are the probabilities of the
/// triads that sound.
///
/// `p_k ← normalise((1 − c) p_k + c / 24) · (Σ_x q_x P(x | k))^w`, where `q` are the probabilities of
/// the 24 triads, `P` how long each sounds in songs of a key (POP909), `c` the chance that the key
/// changes and `w = hop / `[`SECONDS`], because a chord that goes on is not evidence anew.
#[derive(Clone, Debug)]
pub(crate) struct KeyFilter {
    /// By key, then triad.
    profile: Box<[[f32; Triad::COUNT]; 24]>,
    estimate: KeyEstimate,
    change: f32,
    weight: f32,
}

impl KeyFilter {
    /// Reads the table that ships with the crate; `hop` seconds lie between updates.
    pub(crate) fn new(hop: f64) -> Result<Self, ConfigError> {
        let tensors = Tensors::read(include_bytes!("../../weights/next_chord.safetensors"))?;
        let shares = tensors.of::<f32>("key.profile", 2 * Triad::COUNT)?;
        let mut profile = Box::new([[0.0; Triad::COUNT]; 24]);
        for (key, row) in profile.iter_mut().enumerate() {
            for (triad, p) in row.iter_mut().enumerate() {
                let relative = (triad + 24 - (key & !1)) % 24;
                *p = shares[key % 2 * Triad::COUNT + relative];
            }
        }
        Ok(Self {
            profile,
            estimate: KeyEstimate::default(),
            change: (hop / CHANGE_SECONDS).min(1.0) as f32,
            weight: (hop / SECONDS) as f32,
        })
    }

    /// Takes the probabilities of the triads, whose sum is less than 1 where there may be no chord.
    pub(crate) fn push(&mut self, triads: &[f32; Triad::COUNT]) -> &KeyEstimate {
        // What is no chord says nothing about the key.
        let rest = (1.0 - triads.iter().sum::<f32>()).max(0.0) / 24.0;
        for (p, profile) in self.estimate.probabilities.iter_mut().zip(&*self.profile) {
            let fits: f32 = triads.iter().zip(profile).map(|(q, p)| q * p).sum();
            *p = ((1.0 - self.change) * *p + self.change / 24.0) * (fits + rest).powf(self.weight);
        }
        let sum: f32 = self.estimate.probabilities.iter().sum();
        for p in &mut self.estimate.probabilities {
            *p /= sum;
        }
        &self.estimate
    }

    pub(crate) fn reset(&mut self) {
        self.estimate = KeyEstimate::default();
    }
}

/// How long a chord lasts that counts as one observation.
const SECONDS: f64 = 1.5;
/// How long a key lasts on average.
const CHANGE_SECONDS: f64 = 120.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key::of(name.parse::<super::super::Chord>().unwrap().triad())
    }

    #[test]
    fn related_keys_and_their_names() {
        assert_eq!(key("C").relative(), key("A:min"));
        assert_eq!(key("A:min").relative(), key("C"));
        assert_eq!(key("Eb").parallel(), key("Eb:min"));
        for (name, camelot) in [
            ("C", "8B"),
            ("A:min", "8A"),
            ("G", "9B"),
            ("F", "7B"),
            ("E:min", "9A"),
            ("B", "1B"),
            ("E", "12B"),
            ("Ab:min", "1A"),
        ] {
            assert_eq!(key(name).camelot(), camelot, "{name}");
        }
    }

    #[test]
    fn a_cadence_tells_the_key_and_a_new_one_a_change() {
        let mut filter = KeyFilter::new(0.1).unwrap();
        let mut hear = |chords: &[&str]| {
            let mut last = None;
            for chord in chords {
                for _ in 0..20 {
                    let mut triads = [0.0; 24];
                    triads[chord.parse::<super::super::Chord>().unwrap().triad().index()] = 1.0;
                    last = Some(*filter.push(&triads));
                }
            }
            last.unwrap()
        };
        assert_eq!(hear(&["C"]).key(), None);
        let estimate = hear(&["F", "G", "C", "A:min", "F", "G", "C"]);
        assert_eq!(estimate.key(), Some(key("C")));
        let (relative, far) = (estimate.probability(key("A:min")), estimate.probability(key("F#")));
        assert!(relative > 100.0 * far, "{relative} {far}");
        let estimate = hear(&["B", "C#", "F#", "B", "C#", "F#", "D#:min", "B", "C#", "F#"]);
        assert_eq!(estimate.key(), Some(key("F#")));
    }
}
