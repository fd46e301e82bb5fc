use std::fmt::Write;
use std::ops::RangeInclusive;

use rusqlite::types::Value;
use upbeat_core::ConfigError;
use upbeat_predict::harmony::{Key, Mode};

use crate::{Library, LibraryError, Track};

/// What tracks are looked for; by default all that are not missing.
///
/// # Examples
///
/// ```
/// use upbeat_library::{Query, TempoMatch};
///
/// // Anything by or on something with "disco" that mixes with 124 BPM.
/// let query = Query::default().with_words("disco").with_tempo(122.0..=126.0, TempoMatch::AnyOctave);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Query {
    /// Words that must all be in the artist, title, album or file name, in any order; upper or lower case. Empty: any.
    pub words: String,
    /// What the tempo must be, in beats per minute. `None`: anything, also unknown.
    pub tempo: Option<RangeInclusive<f32>>,
    /// Whether half and double tempi count.
    pub tempo_match: TempoMatch,
    /// What the key must be, one of these. `None`: anything, also unknown.
    pub keys: Option<Vec<Key>>,
    /// How many tracks are wanted at most. `None`: all.
    pub limit: Option<usize>,
}

/// Which tempi count as the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TempoMatch {
    /// Only those in the range.
    #[default]
    Exact,
    /// Half and double ones too.
    AnyOctave,
}

impl Query {
    /// The same, with these [`words`](Self::words).
    #[must_use]
    pub fn with_words(self, words: impl Into<String>) -> Self {
        Self { words: words.into(), ..self }
    }

    /// The same, for this range of tempi.
    #[must_use]
    pub fn with_tempo(self, tempo: RangeInclusive<f32>, tempo_match: TempoMatch) -> Self {
        Self { tempo: Some(tempo), tempo_match, ..self }
    }

    /// The same, for these keys.
    #[must_use]
    pub fn with_keys(self, keys: impl IntoIterator<Item = Key>) -> Self {
        Self { keys: Some(keys.into_iter().collect()), ..self }
    }

    /// The same, for at most `limit` tracks.
    #[must_use]
    pub fn with_limit(self, limit: usize) -> Self {
        Self { limit: Some(limit), ..self }
    }
}

impl Library {
    /// The tracks that `query` asks for, in the order of artist, title and path.
    ///
    /// # Errors
    ///
    /// If the range of tempi is not one of numbers above 0, or the library cannot be read.
    pub fn search(&self, query: &Query) -> Result<Vec<Track>, LibraryError> {
        let mut clause = String::from("WHERE missing = 0");
        let mut values: Vec<Value> = Vec::new();
        for word in query.words.to_lowercase().split_whitespace() {
            clause.push_str(" AND instr(words, ?) > 0");
            values.push(word.to_owned().into());
        }
        if let Some(tempo) = &query.tempo {
            let (low, high) = (*tempo.start(), *tempo.end());
            let sound = low > 0.0 && low <= high && high.is_finite();
            ConfigError::require(
                sound,
                "tempo",
                "a range above 0, the lower end first",
                format!("{low} to {high}"),
            )?;
            let octaves: &[f32] = match query.tempo_match {
                TempoMatch::Exact => &[1.0],
                TempoMatch::AnyOctave => &[0.5, 1.0, 2.0],
            };
            let ranges = vec!["tempo BETWEEN ? AND ?"; octaves.len()].join(" OR ");
            let _ = write!(clause, " AND ({ranges})");
            values.extend(
                octaves.iter().flat_map(|by| [low * by, high * by]).map(|x| f64::from(x).into()),
            );
        }
        if let Some(keys) = &query.keys {
            let any = vec!["(tonic = ? AND mode = ?)"; keys.len()].join(" OR ");
            let any = if keys.is_empty() { "FALSE" } else { &any };
            let _ = write!(clause, " AND ({any})");
            for key in keys {
                values.push(i64::from(key.tonic.semitones()).into());
                values.push(i64::from(key.mode == Mode::Minor).into());
            }
        }
        clause.push_str(" ORDER BY artist, title, path");
        if let Some(limit) = query.limit {
            clause.push_str(" LIMIT ?");
            values.push(i64::try_from(limit).unwrap_or(i64::MAX).into());
        }
        self.many(&clause, rusqlite::params_from_iter(values))
    }
}
