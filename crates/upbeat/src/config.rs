//! What an analyzer is to compute.

use crate::FeatureSet;

/// Settings of [`Analyzer`](crate::Analyzer).
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct AnalyzerConfig {
    /// Samples per second and channel, in Hz; at least 1. There is no default.
    pub sample_rate: u32,
    /// Interleaved channels, 1 to [`Analyzer::MAX_CHANNELS`](crate::Analyzer::MAX_CHANNELS). Features are those of their mean, but for
    /// loudness (of all channels) and stereo (of the first two).
    pub channels: usize,
    /// What to compute. Default: [`FeatureSet::DEFAULT`].
    pub features: FeatureSet,
    /// Samples per frame, the size of the FFT. Default: 2048.
    pub frame_length: usize,
    /// Samples from frame to frame. Default: 512.
    pub hop_length: usize,
    /// Mel bands. Default: 128.
    pub n_mels: usize,
    /// Mel-frequency cepstral coefficients. Default: 20.
    pub n_mfcc: usize,
    /// Lowest pitch looked for, in Hz. Default: `None`, which is 65.41 Hz (C2) or, if the frame is too
    /// short for that, the lowest it can hold.
    pub pitch_fmin: Option<f32>,
    /// Highest pitch looked for, in Hz. Default: `None`, which is 2093 Hz (C7) or a quarter of the
    /// sample rate, whichever is less.
    pub pitch_fmax: Option<f32>,
}

impl AnalyzerConfig {
    /// The usual settings for a stream of this rate and channel count.
    #[must_use]
    pub const fn new(sample_rate: u32, channels: usize) -> Self {
        Self {
            sample_rate,
            channels,
            features: FeatureSet::DEFAULT,
            frame_length: 2048,
            hop_length: 512,
            n_mels: 128,
            n_mfcc: 20,
            pitch_fmin: None,
            pitch_fmax: None,
        }
    }

    /// The same settings for these features only.
    #[must_use]
    pub fn with_features(self, features: impl Into<FeatureSet>) -> Self {
        Self { features: features.into(), ..self }
    }
}
