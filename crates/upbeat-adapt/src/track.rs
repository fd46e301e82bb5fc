use crate::{AdaptError, Key};
use serde::{Deserialize, Serialize};

/// What is known of a track, or of the sound at this moment. What is not known is `None`.
///
/// Numbers that cannot be (not finite, a tempo of 0, a tonic of 12) count as unknown wherever this is used; those outside a range
/// are held within it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrackFeatures {
    /// Beats per minute.
    pub tempo_bpm: Option<f32>,
    /// Tonic and mode.
    pub key: Option<Key>,
    /// How forceful it is, from 0 to 1, by any measure that stays the same for all tracks.
    pub energy: Option<f32>,
    /// The spectral centroid, in Hz.
    pub brightness: Option<f32>,
    /// Integrated loudness, in LUFS.
    pub loudness: Option<f32>,
    /// What it sounds like: means of MFCC from the second on, or any other vector whose direction tells; empty where unknown.
    pub timbre: Vec<f32>,
}

/// A track that might be played next.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// The caller's number for it.
    pub id: u64,
    /// What is known of it.
    pub features: TrackFeatures,
    /// How many seconds ago it was last played; `None` if never. 0 keeps it from being recommended.
    pub last_played: Option<f64>,
}

/// What a user made of a track.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Response {
    /// Taken: worth 1.
    Accept,
    /// Turned down: worth 0.
    Reject,
    /// Rated, from 0 to 1: worth that.
    Score(f32),
    /// Left after this share of its duration, from 0 to 1: worth half of it at most.
    Skip(f32),
    /// Heard for this share of its duration, from 0 to 1, and not skipped: worth that.
    Listened(f32),
}

impl Response {
    /// What it is worth, from 0 to 1.
    ///
    /// # Errors
    ///
    /// If a score or share is not from 0 to 1.
    pub fn reward(self) -> Result<f64, AdaptError> {
        let (what, share, worth) = match self {
            Self::Accept => return Ok(1.0),
            Self::Reject => return Ok(0.0),
            Self::Score(score) => ("score", score, 1.0),
            Self::Skip(share) => ("share listened to", share, 0.5),
            Self::Listened(share) => ("share listened to", share, 1.0),
        };
        AdaptError::require((0.0..=1.0).contains(&share), what, "from 0 to 1", share)?;
        Ok(f64::from(share) * worth)
    }
}

/// A user's response to a track, and the circumstances.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Feedback {
    /// What the user made of it.
    pub response: Response,
    /// What was played before it, if anything.
    pub after: Option<TrackFeatures>,
    /// At which share of that track's duration the change came, from 0 to 1, if it did.
    pub mixed_at: Option<f32>,
    /// Circumstances.
    pub context: Context,
}

impl Feedback {
    /// A response to a track that came after nothing, in no particular circumstances.
    #[must_use]
    pub const fn new(response: Response) -> Self {
        Self { response, after: None, mixed_at: None, context: Context { hour_of_day: None } }
    }

    /// The same, for a track that came after `track`.
    #[must_use]
    pub fn after(mut self, track: &TrackFeatures) -> Self {
        self.after = Some(track.clone());
        self
    }
}

/// Circumstances that taste may depend on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Context {
    /// Local time, from 0 to 24 hours; anything else counts as unknown.
    pub hour_of_day: Option<f32>,
}

/// The numbers of a track in the units that models think in; what cannot be is gone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known<'a> {
    /// Octaves above 120 BPM.
    pub(crate) tempo: Option<f64>,
    pub(crate) key: Option<Key>,
    pub(crate) energy: Option<f64>,
    /// Octaves above 2 kHz.
    pub(crate) brightness: Option<f64>,
    /// LUFS, from −70 to 5.
    pub(crate) loudness: Option<f64>,
    pub(crate) timbre: &'a [f32],
    /// Of `timbre`; 0 where that is unknown.
    pub(crate) timbre_length: f64,
}

impl<'a> Known<'a> {
    pub(crate) fn of(features: &'a TrackFeatures) -> Self {
        let finite = |value: Option<f32>| value.filter(|v| v.is_finite()).map(f64::from);
        let positive = |value: Option<f32>| finite(value).filter(|v| *v > 0.0);
        let square: f64 = features.timbre.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
        Self {
            tempo: positive(features.tempo_bpm).map(|bpm| (bpm / 120.0).log2().clamp(-4.0, 4.0)),
            key: features.key.filter(|key| key.tonic < 12),
            energy: finite(features.energy).map(|energy| energy.clamp(0.0, 1.0)),
            brightness: positive(features.brightness)
                .map(|hz| (hz / 2000.0).log2().clamp(-7.0, 4.0)),
            loudness: finite(features.loudness).map(|lufs| lufs.clamp(-70.0, 5.0)),
            timbre: &features.timbre,
            timbre_length: if square.is_finite() { square.sqrt() } else { 0.0 },
        }
    }
}
