//! Chords and their names.

use std::fmt;
use std::str::FromStr;

/// A pitch without its octave: 0 is C, 11 is B.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PitchClass(u8);

impl PitchClass {
    /// The pitch class `semitones` above C, in whichever octave.
    #[must_use]
    pub const fn new(semitones: u8) -> Self {
        Self(semitones % 12)
    }

    /// Semitones above C, from 0 to 11.
    #[must_use]
    pub const fn semitones(self) -> u8 {
        self.0
    }

    /// The pitch class `semitones` higher.
    #[must_use]
    pub const fn up(self, semitones: u8) -> Self {
        Self((self.0 + semitones % 12) % 12)
    }

    /// How many semitones, from 0 to 11, this lies above `other`.
    #[must_use]
    pub const fn above(self, other: Self) -> u8 {
        (self.0 + 12 - other.0) % 12
    }
}

impl fmt::Display for PitchClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAMES[usize::from(self.0)])
    }
}

/// What a chord is made of, above its root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Quality {
    /// `maj`: 1 3 5.
    Major,
    /// `min`: 1 ♭3 5.
    Minor,
    /// `maj7`: 1 3 5 7.
    Major7,
    /// `min7`: 1 ♭3 5 ♭7.
    Minor7,
    /// `7`: 1 3 5 ♭7.
    Dominant7,
    /// `sus2`: 1 2 5.
    Suspended2,
    /// `sus4`: 1 4 5.
    Suspended4,
    /// `sus4(b7)`: 1 4 5 ♭7.
    Suspended4Flat7,
    /// `dim`: 1 ♭3 ♭5.
    Diminished,
    /// `aug`: 1 3 ♯5.
    Augmented,
    /// `hdim7`: 1 ♭3 ♭5 ♭7.
    HalfDiminished7,
    /// `dim7`: 1 ♭3 ♭5 ♭♭7.
    Diminished7,
    /// `minmaj7`: 1 ♭3 5 7.
    MinorMajor7,
    /// `maj6`: 1 3 5 6.
    Major6,
    /// `min6`: 1 ♭3 5 6.
    Minor6,
}

impl Quality {
    /// All of them; the chord model tells apart the first eleven.
    pub const ALL: [Self; 15] = [
        Self::Major,
        Self::Minor,
        Self::Major7,
        Self::Minor7,
        Self::Dominant7,
        Self::Suspended2,
        Self::Suspended4,
        Self::Suspended4Flat7,
        Self::Diminished,
        Self::Augmented,
        Self::HalfDiminished7,
        Self::Diminished7,
        Self::MinorMajor7,
        Self::Major6,
        Self::Minor6,
    ];

    /// The shorthand of Harte's notation.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.describe().0
    }

    /// Semitones above the root, from 0 on, rising.
    #[must_use]
    pub const fn intervals(self) -> &'static [u8] {
        self.describe().1
    }

    /// The triad that stands for this quality where only major and minor are told apart: minor where the
    /// third is minor, else major.
    #[must_use]
    pub const fn mode(self) -> Mode {
        match self.intervals()[1] {
            3 => Mode::Minor,
            _ => Mode::Major,
        }
    }

    const fn describe(self) -> (&'static str, &'static [u8]) {
        match self {
            Self::Major => ("maj", &[0, 4, 7]),
            Self::Minor => ("min", &[0, 3, 7]),
            Self::Major7 => ("maj7", &[0, 4, 7, 11]),
            Self::Minor7 => ("min7", &[0, 3, 7, 10]),
            Self::Dominant7 => ("7", &[0, 4, 7, 10]),
            Self::Suspended2 => ("sus2", &[0, 2, 7]),
            Self::Suspended4 => ("sus4", &[0, 5, 7]),
            Self::Suspended4Flat7 => ("sus4(b7)", &[0, 5, 7, 10]),
            Self::Diminished => ("dim", &[0, 3, 6]),
            Self::Augmented => ("aug", &[0, 4, 8]),
            Self::HalfDiminished7 => ("hdim7", &[0, 3, 6, 10]),
            Self::Diminished7 => ("dim7", &[0, 3, 6, 9]),
            Self::MinorMajor7 => ("minmaj7", &[0, 3, 7, 11]),
            Self::Major6 => ("maj6", &[0, 4, 7, 9]),
            Self::Minor6 => ("min6", &[0, 3, 7, 9]),
        }
    }
}

/// Major or minor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// With a major third.
    Major,
    /// With a minor third.
    Minor,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Major => "maj",
            Self::Minor => "min",
        })
    }
}

/// A chord: a root, a quality, and the pitch that is lowest.
///
/// Reads and writes the notation of Harte et al., "Symbolic representation of musical chords", ISMIR
/// 2005, for the qualities of [`Quality`]; ninths and beyond are read as their sevenths, and degrees in
/// brackets are read only in `sus4(b7)`.
///
/// ```
/// use upbeat_predict::harmony::{Chord, ChordLabel, PitchClass, Quality};
///
/// let label: ChordLabel = "F#:min7/b3".parse()?;
/// let chord = Chord::new(PitchClass::new(6), Quality::Minor7).over(PitchClass::new(9));
/// assert_eq!(label, ChordLabel::Chord(chord));
/// assert_eq!(chord.to_string(), "F#:min7/b3");
/// assert_eq!("N".parse(), Ok(ChordLabel::NoChord));
/// assert!("H:maj".parse::<ChordLabel>().is_err());
/// # Ok::<(), upbeat_predict::harmony::ChordError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Chord {
    root: PitchClass,
    quality: Quality,
    bass: PitchClass,
}

impl Chord {
    /// The chord in root position.
    #[must_use]
    pub const fn new(root: PitchClass, quality: Quality) -> Self {
        Self { root, quality, bass: root }
    }

    /// The same chord over another lowest pitch.
    #[must_use]
    pub const fn over(self, bass: PitchClass) -> Self {
        Self { bass, ..self }
    }

    /// The root.
    #[must_use]
    pub const fn root(self) -> PitchClass {
        self.root
    }

    /// The quality.
    #[must_use]
    pub const fn quality(self) -> Quality {
        self.quality
    }

    /// The lowest pitch.
    #[must_use]
    pub const fn bass(self) -> PitchClass {
        self.bass
    }

    /// Its triad.
    #[must_use]
    pub const fn triad(self) -> Triad {
        Triad { root: self.root, mode: self.quality.mode() }
    }
}

impl fmt::Display for Chord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.root, self.quality.name())?;
        match self.bass.above(self.root) {
            0 => Ok(()),
            above => write!(f, "/{}", DEGREES[usize::from(above)]),
        }
    }
}

/// One of the 24 major and minor triads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Triad {
    /// The root.
    pub root: PitchClass,
    /// Major or minor.
    pub mode: Mode,
}

impl Triad {
    /// How many there are.
    pub const COUNT: usize = 24;

    /// The triad of this [`index`](Self::index), counted on beyond 23.
    #[must_use]
    pub const fn from_index(index: usize) -> Self {
        let mode = if index.is_multiple_of(2) { Mode::Major } else { Mode::Minor };
        Self { root: PitchClass::new((index % Self::COUNT / 2) as u8), mode }
    }

    /// Twice the root's semitones above C, and 1 more where minor.
    #[must_use]
    pub const fn index(self) -> usize {
        self.root.semitones() as usize * 2 + matches!(self.mode, Mode::Minor) as usize
    }
}

impl fmt::Display for Triad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.root, self.mode)
    }
}

/// What a stretch of music is labelled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChordLabel {
    /// A chord.
    Chord(Chord),
    /// `N`: nothing that has a chord.
    NoChord,
    /// `X`: there may be a chord, but it is not known which.
    Unknown,
}

impl ChordLabel {
    /// The chord, if it is one.
    #[must_use]
    pub const fn chord(self) -> Option<Chord> {
        match self {
            Self::Chord(chord) => Some(chord),
            Self::NoChord | Self::Unknown => None,
        }
    }
}

impl fmt::Display for ChordLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chord(chord) => chord.fmt(f),
            Self::NoChord => f.write_str("N"),
            Self::Unknown => f.write_str("X"),
        }
    }
}

impl FromStr for ChordLabel {
    type Err = ChordError;

    fn from_str(label: &str) -> Result<Self, ChordError> {
        match label {
            "N" => Ok(Self::NoChord),
            "X" => Ok(Self::Unknown),
            _ => label.parse().map(Self::Chord),
        }
    }
}

impl FromStr for Chord {
    type Err = ChordError;

    fn from_str(label: &str) -> Result<Self, ChordError> {
        let unreadable = || ChordError { label: label.to_owned() };
        let (upper, bass) = label.split_once('/').unwrap_or((label, "1"));
        let (root, quality) = upper.split_once(':').unwrap_or((upper, "maj"));
        let root = pitch_class(root).ok_or_else(unreadable)?;
        let quality = quality_named(quality).ok_or_else(unreadable)?;
        let bass = degree(bass).ok_or_else(unreadable)?;
        Ok(Self::new(root, quality).over(root.up(bass)))
    }
}

/// A label that is no chord of [`Quality`]'s in Harte's notation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChordError {
    label: String,
}

impl fmt::Display for ChordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a chord must be written like C, Bb:min7 or F#:sus4/5, got {:?}", self.label)
    }
}

impl std::error::Error for ChordError {}

fn pitch_class(name: &str) -> Option<PitchClass> {
    let (letter, accidentals) = name.split_at_checked(1)?;
    let natural = match letter {
        "C" => 0,
        "D" => 2,
        "E" => 4,
        "F" => 5,
        "G" => 7,
        "A" => 9,
        "B" => 11,
        _ => return None,
    };
    Some(PitchClass::new((natural + alteration(accidentals)?).rem_euclid(12) as u8))
}

/// Semitones of a run of sharps or flats; `None` for anything else.
fn alteration(accidentals: &str) -> Option<i32> {
    accidentals.chars().try_fold(0_i32, |sum, c| match c {
        '#' => Some((sum + 1) % 12),
        'b' => Some((sum - 1) % 12),
        _ => None,
    })
}

fn quality_named(name: &str) -> Option<Quality> {
    let quality = |name: &str| Quality::ALL.into_iter().find(|quality| quality.name() == name);
    quality(name).or(match name {
        "9" | "11" | "13" => Some(Quality::Dominant7),
        "maj9" | "maj11" | "maj13" => Some(Quality::Major7),
        "min9" | "min11" | "min13" => Some(Quality::Minor7),
        _ => None,
    })
}

/// Semitones of a degree such as `b7`, from 0 to 11.
fn degree(name: &str) -> Option<u8> {
    let number = name.trim_start_matches(['#', 'b']);
    let above = match number.parse().ok()? {
        1 | 8 => 0,
        2 | 9 => 2,
        3 | 10 => 4,
        4 | 11 => 5,
        5 | 12 => 7,
        6 | 13 => 9,
        7 => 11,
        _ => return None,
    };
    let altered = above + alteration(&name[..name.len() - number.len()])?;
    Some(altered.rem_euclid(12) as u8)
}

const NAMES: [&str; 12] = ["C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"];
const DEGREES: [&str; 12] = ["1", "b2", "2", "b3", "3", "4", "b5", "5", "b6", "6", "b7", "7"];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_chord_is_read_as_it_is_written() {
        for root in (0..12).map(PitchClass::new) {
            for quality in Quality::ALL {
                for bass in (0..12).map(PitchClass::new) {
                    let chord = Chord::new(root, quality).over(bass);
                    assert_eq!(chord.to_string().parse(), Ok(chord));
                }
            }
        }
        for label in [ChordLabel::NoChord, ChordLabel::Unknown] {
            assert_eq!(label.to_string().parse(), Ok(label));
        }
    }

    #[test]
    fn spellings_of_the_notation() {
        let read = |label: &str| label.parse::<Chord>().unwrap().to_string();
        assert_eq!(read("C"), "C:maj");
        assert_eq!(read("Cb:min"), "B:min");
        assert_eq!(read("E##:maj/3"), "F#:maj/3");
        assert_eq!(read("Bb/b9"), "Bb:maj/b2");
        assert_eq!(read("D:min9/#4"), "D:min7/b5");
        for wrong in
            ["", "c:maj", "C:", "C:major", "C:maj/", "C:maj/0", "C:maj/b", "C:maj/3/5", "Cx", "é"]
        {
            let error = wrong.parse::<Chord>().unwrap_err();
            assert!(error.to_string().ends_with(&format!("got {wrong:?}")), "{error}");
        }
    }

    #[test]
    fn triads_and_their_indices_are_one_to_one() {
        for index in 0..Triad::COUNT {
            assert_eq!(Triad::from_index(index).index(), index);
        }
        let triad = |label: &str| label.parse::<Chord>().unwrap().triad().to_string();
        assert_eq!(triad("A:hdim7"), "A:min");
        assert_eq!(triad("A:sus4(b7)/4"), "A:maj");
        assert_eq!(triad("A:7"), "A:maj");
    }

    #[test]
    fn intervals_rise_from_the_root() {
        for quality in Quality::ALL {
            let intervals = quality.intervals();
            assert_eq!(intervals[0], 0);
            assert!(intervals.is_sorted() && intervals[intervals.len() - 1] < 12);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_text_breaks_the_reader(label in "[A-G#b:/()0-9a-z]{0,12}|.{0,6}") {
            if let Ok(chord) = label.parse::<Chord>() {
                prop_assert_eq!(chord.to_string().parse(), Ok(chord));
            }
        }
    }
}
