//! What goes into a session, and what comes out.

use upbeat_adapt::{AdaptConfig, Recommendation};
use upbeat_core::ConfigError;
use upbeat_predict::harmony::Key;

use crate::TrackId;

/// Settings of [`MixSession`](crate::MixSession).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct MixConfig {
    /// How many tracks are proposed. Default: 5.
    pub proposals: usize,
    /// By which share the tempo must differ from the one last gone by, for new proposals; above 0. Default: 0.02.
    pub tempo_change: f32,
    /// By how much the energy must differ; above 0. Default: 0.1.
    pub energy_change: f32,
    /// How many seconds that must have lasted. Default: 2.
    pub hold: f64,
    /// How many seconds lie between proposals at least, where only the sound has changed. Default: 5.
    pub interval: f64,
    /// By which share the score of another track must exceed that of the first proposal to take its place, where only the
    /// sound has changed. Default: 0.05.
    pub margin: f64,
    /// How many seconds before the end of the track it is time to mix. Default: 30.
    pub mix_ahead: f64,
    /// Settings of models that are made anew.
    pub models: AdaptConfig,
}

impl Default for MixConfig {
    fn default() -> Self {
        Self {
            proposals: 5,
            tempo_change: 0.02,
            energy_change: 0.1,
            hold: 2.0,
            interval: 5.0,
            margin: 0.05,
            mix_ahead: 30.0,
            models: AdaptConfig::default(),
        }
    }
}

impl MixConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let MixConfig {
            proposals,
            tempo_change,
            energy_change,
            hold,
            interval,
            margin,
            mix_ahead,
            ..
        } = *self;
        let times = |x: f64| (0.0..1e9).contains(&x);
        ConfigError::require(proposals > 0, "proposals", "at least 1", proposals)?;
        ConfigError::require(tempo_change > 0.0, "tempo_change", "above 0", tempo_change)?;
        ConfigError::require(energy_change > 0.0, "energy_change", "above 0", energy_change)?;
        ConfigError::require(times(hold), "hold", "at least 0 s", hold)?;
        ConfigError::require(times(interval), "interval", "at least 0 s", interval)?;
        ConfigError::require(margin >= 0.0, "margin", "at least 0", margin)?;
        ConfigError::require(times(mix_ahead), "mix_ahead", "at least 0 s", mix_ahead)
    }
}

/// What is heard at one moment. What is not known is `None`, and stays as it was.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LiveUpdate {
    /// When, in seconds, by the clock of all of the session's times.
    pub at: f64,
    /// Where in the track that is, in seconds.
    pub position: Option<f64>,
    /// The tempo, in beats per minute.
    pub tempo: Option<f32>,
    /// The key.
    pub key: Option<Key>,
    /// The energy as [`TrackAnalysis::energy_of`](crate::TrackAnalysis::energy_of) has it, 0 to 1: the library's
    /// tracks are measured so.
    pub energy: Option<f32>,
    /// The spectral centroid, in Hz.
    pub brightness: Option<f32>,
    /// The loudness, in LUFS.
    pub loudness: Option<f32>,
}

/// A track that could be played next.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Proposal {
    /// The track.
    pub track: TrackId,
    /// What to call it.
    pub name: String,
    /// How good it would be, and why.
    pub recommendation: Recommendation,
}

/// Why there are other proposals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// Another track plays.
    Track,
    /// The sound has changed.
    Sound,
    /// The listener has said something.
    Feedback,
    /// The library has changed.
    Library,
}

/// What happened in a session.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SessionEvent {
    /// A track was analysed and may be proposed from now on.
    TrackAnalyzed(TrackId),
    /// There are other proposals, or the same in another order.
    RecommendationsUpdated(Cause),
    /// The track ends soon; told once for each that plays.
    MixReady {
        /// The first of the proposals.
        next: TrackId,
        /// Seconds until the end.
        seconds_left: f64,
    },
    /// Something went wrong that no method's result tells.
    Error(String),
}
