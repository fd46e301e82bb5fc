use std::fmt;
use std::path::PathBuf;

use upbeat_predict::harmony::Key;

use crate::Tags;

/// The number of a track in its library; never used again for another one while the library holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackId(pub i64);

impl fmt::Display for TrackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A track of the library.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Track {
    /// Its number.
    pub id: TrackId,
    /// Where it is, or was when it was last seen.
    pub path: PathBuf,
    /// What its tags say.
    pub tags: Tags,
    /// What it sounds like.
    pub analysis: TrackAnalysis,
    /// BLAKE3 hash of the file's bytes.
    pub hash: [u8; 32],
    /// Whether the file was gone when last looked for. What was said about the track is kept.
    pub missing: bool,
}

impl Track {
    /// What to call it: artist and title, or as much as is known, or the name of the file.
    #[must_use]
    pub fn name(&self) -> String {
        match (&self.tags.artist, &self.tags.title) {
            (Some(artist), Some(title)) => format!("{artist} - {title}"),
            (None, Some(title)) => title.clone(),
            (_, None) => self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        }
    }
}

/// A track that is to be put into a library; [`Library::scan`](crate::Library::scan) makes them from files.
#[derive(Clone, Debug, PartialEq)]
pub struct NewTrack {
    /// Where it is; a track that the library has at this path is replaced, and keeps its number.
    pub path: PathBuf,
    /// Bytes in the file.
    pub size: u64,
    /// When it was last changed, in nanoseconds since 1970.
    pub modified: i64,
    /// BLAKE3 hash of the file's bytes.
    pub hash: [u8; 32],
    /// What its tags say.
    pub tags: Tags,
    /// What it sounds like.
    pub analysis: TrackAnalysis,
}

/// What a track sounds like as a whole.
///
/// What is not known is `None`; numbers that are not finite are stored as `None` too.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrackAnalysis {
    /// Seconds of sound.
    pub duration: f64,
    /// The tempo, where there is a steady one.
    pub tempo: Option<Tempo>,
    /// The share of the track, 0 to 1, in pieces of 12 s, that has its tempo (or half or twice it) within 1 %.
    pub tempo_stability: Option<f32>,
    /// The key that is the likeliest throughout, if it is likelier than all others together.
    pub key: Option<TrackKey>,
    /// Integrated loudness (EBU R 128), in LUFS.
    pub loudness: Option<f32>,
    /// How energetic it is, 0 to 1: the mean of loudness from −24 to −6 LUFS, of onsets from 0 to 8 per second, and of
    /// the logarithm of brightness from 500 to 4000 Hz, each scaled to 0 to 1. A rule of thumb, not learned.
    pub energy: Option<f32>,
    /// Mean spectral centroid, in Hz, silence left out, as in all means here.
    pub brightness: Option<f32>,
    /// Mean frequency below which 85 % of the magnitude lies, in Hz.
    pub rolloff: Option<f32>,
    /// Mean standard deviation of the spectrum about its centroid, in Hz.
    pub bandwidth: Option<f32>,
    /// Mean share of samples whose sign changes, 0 to 1.
    pub zero_crossing_rate: Option<f32>,
    /// Onsets per second.
    pub onset_rate: Option<f32>,
    /// Mean spectral contrast in seven octave bands, in dB; `None` at sample rates up to 25.6 kHz, which have fewer.
    pub contrast: Option<[f32; 7]>,
    /// Mean mel-frequency cepstral coefficients.
    pub mfcc: Option<[f32; 20]>,
    /// What of the file could not be read; the rest was analysed.
    pub damage: Option<String>,
    /// The version of these features: values of different versions are not comparable.
    pub version: u32,
}

/// A track's tempo.
#[derive(Clone, Debug, PartialEq)]
pub struct Tempo {
    /// Beats per minute.
    pub bpm: f32,
    /// How sure it is, 0 to 1: the share of pieces of 12 s that have this tempo within 4 % on their own, times the square
    /// root of its weight against that of its alternatives. It grows with the chance of being right, but is not a
    /// probability.
    pub confidence: f32,
    /// When the first beat is, in seconds; the others follow at `bpm`. `None` if it is not known.
    pub first_beat: Option<f64>,
    /// What else it could be, the likeliest first.
    pub alternatives: Vec<TempoCandidate>,
}

/// What a tempo could be, too.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TempoCandidate {
    /// Beats per minute.
    pub bpm: f32,
    /// How much speaks for it; the weights of the tempo itself and of all alternatives add up to 1.
    pub weight: f32,
}

/// A track's key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrackKey {
    /// The key.
    pub key: Key,
    /// Its probability, averaged over the track.
    pub confidence: f32,
}

impl TrackAnalysis {
    /// How energetic a sound of this loudness (LUFS), with so many onsets per second, and of this brightness (Hz) is;
    /// see [`energy`](Self::energy).
    #[must_use]
    pub fn energy_of(loudness: f32, onset_rate: f32, brightness: f32) -> Option<f32> {
        let place = |x: f32, low: f32, high: f32| ((x - low) / (high - low)).clamp(0.0, 1.0);
        let energy = (place(loudness, -24.0, -6.0)
            + place(onset_rate, 0.0, 8.0)
            + place(brightness.max(1.0).log2(), 500_f32.log2(), 4000_f32.log2()))
            / 3.0;
        energy.is_finite().then_some(energy)
    }
}
