use crate::words::{Entry, WORDS};
use crate::{EqError, Profile, SemanticEq, ToneCurve};

/// Which way a word tilts a sound, if it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Direction {
    /// Less highs than before.
    Falls,
    /// More highs than before.
    Rises,
    /// Neither, or not known.
    Open,
}

/// A word, and what it asks of a sound.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Word {
    /// In lower case.
    pub name: String,
    /// What it asks for, as settings.
    pub settings: SemanticEq,
    /// What the settings do.
    pub curve: ToneCurve,
    /// Which way it tilts a sound.
    pub direction: Direction,
    /// Where the settings come from.
    pub source: String,
}

/// The words that an equalizer understands, and the blends of them.
///
/// ```
/// use upbeat_eq::{EqError, Vocabulary};
///
/// let vocabulary = Vocabulary::builtin();
/// let blend = vocabulary.target("0.6 warm + 0.4 clear")?;
/// assert_eq!(blend.to_string(), "0.6 warm + 0.4 clear");
/// assert!(vocabulary.target("-bright")?.curve().tilt() < 0.0); // the opposite
///
/// let error = vocabulary.target("brihgt").unwrap_err();
/// assert_eq!(error.to_string(), r#"there is no word "brihgt"; the nearest is "bright""#);
/// # Ok::<(), EqError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Vocabulary {
    words: Vec<Word>,
}

impl Vocabulary {
    /// The built-in words; their sources are in [`Word::source`].
    ///
    /// # Panics
    ///
    /// Never: a test reads the whole table.
    #[must_use]
    pub fn builtin() -> Self {
        let word = |(name, parameters, direction, source): &Entry| {
            let settings =
                SemanticEq::from_parameters(*parameters).expect("a test has read the table");
            let (name, source) = ((*name).to_owned(), (*source).to_owned());
            Word { name, settings, curve: settings.curve(), direction: *direction, source }
        };
        Self { words: WORDS.iter().map(word).collect() }
    }

    /// All words.
    #[must_use]
    pub fn words(&self) -> &[Word] {
        &self.words
    }

    /// The word called `name`, in letters of any case.
    ///
    /// # Errors
    ///
    /// If there is none; the error names the nearest.
    pub fn word(&self, name: &str) -> Result<&Word, EqError> {
        let wanted = name.trim().to_lowercase();
        self.words.iter().find(|word| word.name == wanted).ok_or_else(|| {
            let nearest = self.words.iter().min_by_key(|word| distance(&wanted, &word.name));
            let nearest = nearest.map_or_else(String::new, |word| word.name.clone());
            EqError::UnknownWord { word: name.trim().to_owned(), nearest }
        })
    }

    /// Adds a word, or changes what one means.
    ///
    /// # Errors
    ///
    /// If `name` is not made of letters alone.
    pub fn define(
        &mut self,
        name: &str,
        settings: SemanticEq,
        source: &str,
    ) -> Result<(), EqError> {
        let name = name.trim().to_lowercase();
        if name.is_empty() || !name.chars().all(char::is_alphabetic) {
            let reason = "a word is made of letters".to_owned();
            return Err(EqError::Blend { text: name, reason });
        }
        self.words.retain(|word| word.name != name);
        self.words.push(Word {
            name,
            settings,
            curve: settings.curve(),
            direction: Direction::Open,
            source: source.to_owned(),
        });
        Ok(())
    }

    /// What a word or a blend of words asks for: `warm`, `0.6 warm + 0.4 clear`, `full - muddy`, `-bright`.
    ///
    /// # Errors
    ///
    /// If the text is no blend, a word is unknown, or a weight is beyond ±4.
    pub fn target(&self, text: &str) -> Result<Target, EqError> {
        self.personal_target(text, &Profile::default())
    }

    /// As [`target`](Self::target), with each word meaning what `profile` says it means to its owner.
    ///
    /// # Errors
    ///
    /// As [`target`](Self::target).
    pub fn personal_target(&self, text: &str, profile: &Profile) -> Result<Target, EqError> {
        let error =
            |reason: &str| EqError::Blend { text: text.to_owned(), reason: reason.to_owned() };
        let mut target = Target { terms: Vec::new(), curve: ToneCurve::FLAT };
        let mut rest = text.trim();
        while !rest.is_empty() {
            let mut sign = 1.0;
            let signed = rest.starts_with(['+', '-', '−']);
            if let Some(after) = rest.strip_prefix(['-', '−']) {
                (sign, rest) = (-1.0, after.trim_start());
            } else if let Some(after) = rest.strip_prefix('+') {
                rest = after.trim_start();
            }
            if !signed && !target.terms.is_empty() {
                return Err(error("there is no + or - between two words"));
            }
            let number =
                rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
            let (digits, after) = rest.split_at(number);
            let weight: f64 = match digits {
                "" => 1.0,
                digits => digits.parse().map_err(|_| error("a weight is no number"))?,
            };
            if weight > MAX_WEIGHT {
                return Err(error("weights are at most 4"));
            }
            rest = after.trim_start().trim_start_matches('*').trim_start();
            let end = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            if name.is_empty() {
                return Err(error("a word is missing"));
            }
            let word = self.word(name)?;
            target.curve = target.curve + profile.curve(word) * (sign * weight);
            target.terms.push((sign * weight, word.name.clone()));
            rest = after.trim_start();
        }
        if target.terms.is_empty() {
            return Err(error("a word is missing"));
        }
        Ok(target)
    }
}

impl Default for Vocabulary {
    fn default() -> Self {
        Self::builtin()
    }
}

/// What a blend of words asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    terms: Vec<(f64, String)>,
    curve: ToneCurve,
}

impl Target {
    /// Any curve, under a name of your own.
    #[must_use]
    pub fn new(name: impl Into<String>, curve: ToneCurve) -> Self {
        Self { terms: vec![(1.0, name.into())], curve }
    }

    /// The words, each with its weight.
    #[must_use]
    pub fn terms(&self) -> &[(f64, String)] {
        &self.terms
    }

    /// The weighted sum of the words' curves.
    #[must_use]
    pub const fn curve(&self) -> &ToneCurve {
        &self.curve
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (place, (weight, word)) in self.terms.iter().enumerate() {
            let sign = if *weight < 0.0 { "-" } else { "+" };
            match (place, *weight < 0.0) {
                (0, false) => {}
                (0, true) => write!(f, "-")?,
                _ => write!(f, " {sign} ")?,
            }
            if weight.abs() != 1.0 {
                write!(f, "{} ", weight.abs())?;
            }
            write!(f, "{word}")?;
        }
        Ok(())
    }
}

/// How many letters to insert, delete or replace to make `a` of `b` (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().take(MAX_LETTERS).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// Letters of an unknown word that are compared.
const MAX_LETTERS: usize = 64;

const MAX_WEIGHT: f64 = 4.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_has_settings_in_range_a_source_and_the_tilt_it_says() {
        let vocabulary = Vocabulary::builtin();
        assert!(vocabulary.words().len() >= 24);
        for word in vocabulary.words() {
            assert!(word.source.len() > 10, "{}", word.name);
            let tilt = word.curve.tilt();
            match word.direction {
                Direction::Falls => assert!(tilt < -0.1, "{}: {tilt}", word.name),
                Direction::Rises => assert!(tilt > 0.1, "{}: {tilt}", word.name),
                Direction::Open => {}
            }
            let same = vocabulary.words().iter().filter(|other| other.curve == word.curve);
            assert_eq!(same.count(), 1, "{} means the same as another word", word.name);
        }
    }

    #[test]
    fn blends_are_weighted_sums() {
        let vocabulary = Vocabulary::builtin();
        let curve = |name: &str| vocabulary.word(name).unwrap().curve;
        for (text, expected) in [
            ("warm", curve("warm")),
            (" WARM ", curve("warm")),
            ("0.6 warm + 0.4 clear", curve("warm") * 0.6 + curve("clear") * 0.4),
            ("0.5*warm-bright", curve("warm") * 0.5 - curve("bright")),
            ("-bright", -curve("bright")),
            ("− 2 airy", curve("airy") * -2.0),
        ] {
            let target = vocabulary.target(text).unwrap();
            assert!((*target.curve() - expected).peak() < 1e-12, "{text}");
            let again = vocabulary.target(&target.to_string()).unwrap();
            assert_eq!(again, target, "{text} is written as {target}");
        }
    }

    #[test]
    fn what_is_no_blend_is_refused() {
        let vocabulary = Vocabulary::builtin();
        for text in
            ["", "  ", "0.5", "warm clear", "warm +", "0..5 warm", "9 warm", "warm & clear", "+"]
        {
            let error = vocabulary.target(text).unwrap_err();
            assert!(matches!(error, EqError::Blend { .. }), "{text:?}: {error}");
        }
        for (text, near) in [("wrm", "warm"), ("Britght", "bright"), ("harshh", "harsh")] {
            let Err(EqError::UnknownWord { nearest, .. }) = vocabulary.target(text) else {
                panic!("{text} is known");
            };
            assert_eq!(nearest, near);
        }
    }

    #[test]
    fn words_can_be_added_and_changed() {
        let mut vocabulary = Vocabulary::builtin();
        let settings = vocabulary.word("fat").unwrap().settings;
        vocabulary.define("Chunky", settings, "the mixing engineer").unwrap();
        assert_eq!(vocabulary.word("chunky").unwrap().settings, settings);
        vocabulary.define("warm", settings, "the mixing engineer").unwrap();
        assert_eq!(vocabulary.word("warm").unwrap().curve, settings.curve());
        assert!(vocabulary.define("two words", settings, "").is_err());
    }
}
