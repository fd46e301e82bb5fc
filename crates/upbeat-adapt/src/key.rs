use crate::AdaptError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A musical key: a tonic and a mode.
///
/// Reads and writes the usual notations.
///
/// ```
/// use upbeat_adapt::{Camelot, Key};
///
/// let key: Key = "8A".parse()?;
/// assert_eq!(key, "Am".parse()?);
/// assert_eq!(key.to_string(), "A minor");
/// assert_eq!(key.relative().to_string(), "C major");
/// assert_eq!(key.camelot().map(|camelot| camelot.to_string()).as_deref(), Some("8A"));
/// # Ok::<(), upbeat_adapt::AdaptError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Key {
    /// Semitones above C, 0 to 11. A key with any other tonic counts as unknown.
    pub tonic: u8,
    /// Whether the mode is minor, else it is major.
    pub minor: bool,
}

impl Key {
    /// The key on `tonic` semitones above C.
    ///
    /// # Errors
    ///
    /// If `tonic` is above 11.
    pub fn new(tonic: u8, minor: bool) -> Result<Self, AdaptError> {
        AdaptError::require(tonic < 12, "tonic", "from 0 (C) to 11 (B)", tonic)?;
        Ok(Self { tonic, minor })
    }

    /// The key of the other mode with the same notes: C major for A minor.
    #[must_use]
    pub const fn relative(self) -> Self {
        let up = if self.minor { 3 } else { 9 };
        Self { tonic: (self.tonic % 12 + up) % 12, minor: !self.minor }
    }

    /// The key of the other mode on the same tonic: A major for A minor.
    #[must_use]
    pub const fn parallel(self) -> Self {
        Self { tonic: self.tonic, minor: !self.minor }
    }

    /// Its place on the Camelot wheel; `None` if the tonic is none.
    #[must_use]
    pub const fn camelot(self) -> Option<Camelot> {
        if self.tonic > 11 {
            return None;
        }
        let major = if self.minor { self.relative() } else { self };
        Some(Camelot { number: (major.tonic * 7 + 7) % 12 + 1, minor: self.minor })
    }

    /// How `other` is related to this key; `None` if either is unknown.
    #[must_use]
    pub fn relation(self, other: Self) -> Option<KeyRelation> {
        let (from, to) = (self.camelot()?, other.camelot()?);
        let apart = (i16::from(from.number) - i16::from(to.number)).rem_euclid(12);
        let fifths = apart.min(12 - apart);
        Some(match (from.minor == to.minor, fifths) {
            (true, 0) => KeyRelation::Same,
            (false, 0) => KeyRelation::Relative,
            (true, 1) => KeyRelation::Fifth,
            _ if other == self.parallel() => KeyRelation::Parallel,
            (false, 1) => KeyRelation::FifthOfRelative,
            (true, 2) => KeyRelation::TwoFifths,
            _ => KeyRelation::Distant,
        })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tonic = TONICS.get(usize::from(self.tonic)).unwrap_or(&"?");
        write!(f, "{tonic} {}", if self.minor { "minor" } else { "major" })
    }
}

impl FromStr for Key {
    type Err = AdaptError;

    /// Reads `8A`, `A minor`, `A min`, `Am`, `C major`, `C`, `F#m`, `Bb`; case counts only for `M` and `m`.
    ///
    /// # Errors
    ///
    /// If it is none of these.
    fn from_str(text: &str) -> Result<Self, AdaptError> {
        let unknown = || AdaptError::Key { text: text.chars().take(40).collect() };
        let trimmed = text.trim();
        if trimmed.starts_with(|first: char| first.is_ascii_digit()) {
            return trimmed.parse().map(Camelot::key).map_err(|_| unknown());
        }
        let mut rest = trimmed.chars();
        let letter = rest.next().ok_or_else(unknown)?.to_ascii_uppercase();
        let natural = match letter {
            'C' => 0,
            'D' => 2,
            'E' => 4,
            'F' => 5,
            'G' => 7,
            'A' => 9,
            'B' => 11,
            _ => return Err(unknown()),
        };
        let (raised, mode) = match rest.clone().next() {
            Some('#' | '♯') => {
                (1, &rest.as_str()[rest.clone().next().map_or(0, char::len_utf8)..])
            }
            Some('b' | '♭') => {
                (11, &rest.as_str()[rest.clone().next().map_or(0, char::len_utf8)..])
            }
            _ => (0, rest.as_str()),
        };
        let mode = mode.trim_start_matches([' ', '-', '_']);
        let minor = match mode {
            "" | "M" => false,
            "m" => true,
            _ => match mode.to_ascii_lowercase().as_str() {
                "maj" | "major" | "dur" => false,
                "min" | "minor" | "moll" => true,
                _ => return Err(unknown()),
            },
        };
        Self::new((natural + raised) % 12, minor)
    }
}

/// How two keys are related, on the circle of fifths and between the modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum KeyRelation {
    /// The same key.
    Same,
    /// The same notes in the other mode: A minor and C major.
    Relative,
    /// One fifth up or down in the same mode: C major and G major.
    Fifth,
    /// The other mode on the same tonic: A minor and A major.
    Parallel,
    /// The relative of a key one fifth away: C major and E minor.
    FifthOfRelative,
    /// Two fifths away in the same mode: C major and D major.
    TwoFifths,
    /// Anything further.
    Distant,
}

impl KeyRelation {
    /// How well the keys go together, from 0 to 1, by the rules of harmonic mixing: a step of at most one
    /// on the Camelot wheel is smooth, the rest gets rougher with distance.
    #[must_use]
    pub const fn harmony(self) -> f64 {
        match self {
            Self::Same => 1.0,
            Self::Relative | Self::Fifth => 0.9,
            Self::Parallel => 0.6,
            Self::FifthOfRelative => 0.55,
            Self::TwoFifths => 0.4,
            Self::Distant => 0.1,
        }
    }
}

/// A place on the Camelot wheel, by which disc jockeys write keys: `8A` is A minor, `8B` its relative C major, and the next
/// number a fifth up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Camelot {
    number: u8,
    minor: bool,
}

impl Camelot {
    /// The place `number` (1 to 12) on the ring of minor keys (`A`) or major ones (`B`).
    ///
    /// # Errors
    ///
    /// If `number` is not from 1 to 12.
    pub fn new(number: u8, minor: bool) -> Result<Self, AdaptError> {
        AdaptError::require((1..=12).contains(&number), "number", "from 1 to 12", number)?;
        Ok(Self { number, minor })
    }

    /// From 1 to 12.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.number
    }

    /// Whether it is on the ring `A`, that of the minor keys.
    #[must_use]
    pub const fn minor(self) -> bool {
        self.minor
    }

    /// The key of that place.
    #[must_use]
    pub const fn key(self) -> Key {
        let major = Key { tonic: (self.number + 4) * 7 % 12, minor: false };
        if self.minor { major.relative() } else { major }
    }
}

impl fmt::Display for Camelot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.number, if self.minor { 'A' } else { 'B' })
    }
}

impl FromStr for Camelot {
    type Err = AdaptError;

    fn from_str(text: &str) -> Result<Self, AdaptError> {
        let unknown = || AdaptError::Key { text: text.chars().take(40).collect() };
        let upper = text.trim().to_ascii_uppercase();
        let (number, minor) = match (upper.strip_suffix('A'), upper.strip_suffix('B')) {
            (Some(number), _) => (number, true),
            (_, Some(number)) => (number, false),
            _ => return Err(unknown()),
        };
        let number = number.parse().map_err(|_| unknown())?;
        Self::new(number, minor).map_err(|_| unknown())
    }
}

const TONICS: [&str; 12] = ["C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_camelot_wheel_is_the_one_in_print() {
        let printed = [
            ("1A", "Abm"),
            ("2A", "Ebm"),
            ("3A", "Bbm"),
            ("4A", "Fm"),
            ("5A", "Cm"),
            ("6A", "Gm"),
            ("7A", "Dm"),
            ("8A", "Am"),
            ("9A", "Em"),
            ("10A", "Bm"),
            ("11A", "F#m"),
            ("12A", "C#m"),
            ("1B", "B"),
            ("2B", "F#"),
            ("3B", "Db"),
            ("4B", "Ab"),
            ("5B", "Eb"),
            ("6B", "Bb"),
            ("7B", "F"),
            ("8B", "C"),
            ("9B", "G"),
            ("10B", "D"),
            ("11B", "A"),
            ("12B", "E"),
        ];
        for (place, name) in printed {
            let key: Key = name.parse().unwrap();
            assert_eq!(key, place.parse().unwrap(), "{place} is {name}");
            assert_eq!(key.camelot().unwrap().to_string(), place);
            assert_eq!(key.camelot().unwrap().key(), key);
            assert_eq!(key.to_string().parse::<Key>().unwrap(), key);
        }
    }

    #[test]
    fn relations_are_those_of_the_circle_of_fifths() {
        let relation =
            |a: &str, b: &str| a.parse::<Key>().unwrap().relation(b.parse().unwrap()).unwrap();
        for (a, b, expected) in [
            ("Am", "8A", KeyRelation::Same),
            ("Am", "C", KeyRelation::Relative),
            ("C", "F", KeyRelation::Fifth),
            ("1A", "12A", KeyRelation::Fifth),
            ("Am", "A", KeyRelation::Parallel),
            ("C", "Em", KeyRelation::FifthOfRelative),
            ("C", "Dm", KeyRelation::FifthOfRelative),
            ("C", "D", KeyRelation::TwoFifths),
            ("C", "F#", KeyRelation::Distant),
        ] {
            assert_eq!(relation(a, b), expected, "{a} {b}");
            assert_eq!(relation(b, a), expected, "{b} {a}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["", "H", "0A", "13B", "8C", "300A", "A mixed", "-", "8", "♯", "Ünknown"] {
            assert!(text.parse::<Key>().is_err(), "{text:?}");
        }
        assert!(Key::new(12, true).is_err());
        assert_eq!(Key { tonic: 200, minor: false }.camelot(), None);
    }
}
