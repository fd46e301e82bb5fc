//! The equalizer that hears what it gets.

mod control;
mod explain;
mod handle;
mod processor;

use upbeat_core::{ConfigError, SampleRate};

use crate::{Design, Kernel, Profile, ToneModel, Vocabulary};

pub use explain::{BandMove, Explanation};
pub use handle::{AdaptiveHandle, Status};
pub use processor::AdaptiveEqualizer;

/// Settings of an [`AdaptiveEqualizer`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AdaptiveConfig {
    /// Rate of the samples, 8 to 768 kHz.
    pub sample_rate: SampleRate,
    /// Interleaved channels: 1 to 1024.
    pub channels: usize,
    /// A word or a blend of words to start with; see [`Vocabulary::target`]. Default: none, which leaves
    /// the sound alone.
    pub words: Option<String>,
    /// How far to go from what is heard to what is wanted: 0, not at all, to 1, all the way, and
    /// [`MAX_INTENSITY`](Self::MAX_INTENSITY). Default: 0.7.
    pub intensity: f64,
    /// The largest gain or cut that adapting may come to, in dB, 0 to 24. Default: 9.
    pub depth: f64,
    /// How fast the gain of a band may change while adapting, in dB per second, 0.01 to 1000. Default: 6.
    pub slew: f64,
    /// The time constant in seconds with which gains follow what is heard, 0 to 60. Default: 0.5.
    pub smoothing: f64,
    /// How long what was heard is remembered, in seconds; see [`ToneEarConfig`](crate::ToneEarConfig).
    /// Default: 4.
    pub memory: f64,
    /// How many bands to have for setting by hand, at most 64. Default: 4, all off.
    pub manual_bands: usize,
    /// How coefficients are made. Default: [`Design::Matched`].
    pub design: Design,
    /// Which code filters. Default: the fastest that the processor at hand can run.
    pub kernel: Kernel,
    /// Default: [`ToneModel::builtin`].
    pub model: ToneModel,
    /// Default: [`Vocabulary::builtin`].
    pub vocabulary: Vocabulary,
    /// Default: empty.
    pub profile: Profile,
}

impl AdaptiveConfig {
    /// The most intensity: beyond what a word asks for.
    pub const MAX_INTENSITY: f64 = 2.0;

    /// The usual settings.
    #[must_use]
    pub fn new(sample_rate: SampleRate, channels: usize) -> Self {
        Self {
            sample_rate,
            channels,
            words: None,
            intensity: 0.7,
            depth: 9.0,
            slew: 6.0,
            smoothing: 0.5,
            memory: 4.0,
            manual_bands: 4,
            design: Design::default(),
            kernel: Kernel::default(),
            model: ToneModel::builtin(),
            vocabulary: Vocabulary::builtin(),
            profile: Profile::default(),
        }
    }

    fn check(&self) -> Result<(), ConfigError> {
        let manual = self.manual_bands;
        ConfigError::require(manual <= 64, "manual_bands", "at most 64", manual)?;
        let smoothing = self.smoothing;
        let fits = (0.0..=60.0).contains(&smoothing);
        ConfigError::require(fits, "smoothing", "0 to 60 seconds", smoothing)?;
        check_intensity(self.intensity)?;
        check_limits(self.depth, self.slew)
    }
}

fn check_intensity(intensity: f64) -> Result<(), ConfigError> {
    let fits = (0.0..=AdaptiveConfig::MAX_INTENSITY).contains(&intensity);
    ConfigError::require(fits, "intensity", "0 to 2", intensity)
}

fn check_limits(depth: f64, slew: f64) -> Result<(), ConfigError> {
    ConfigError::require((0.0..=24.0).contains(&depth), "depth", "0 to 24 dB", depth)?;
    let fits = (0.01..=1000.0).contains(&slew);
    ConfigError::require(fits, "slew", "0.01 to 1000 dB per second", slew)
}

#[cfg(test)]
#[path = "../adaptive_tests.rs"]
mod tests;
