use upbeat_core::{ConfigError, SampleRate};

/// What tells beats from other frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum FrontEnd {
    /// A small network and the onset strength together. Knows which beats of a piece people tap to, and where
    /// bars begin.
    #[default]
    Network,
    /// The onset strength alone: a fifth cheaper, nothing learned.
    Onset,
}

/// Settings of [`BeatTracker`](super::BeatTracker).
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct BeatConfig {
    /// The rate of the samples, from 1000 Hz to 1 MHz; below 16 kHz the highest bands are missing.
    pub sample_rate: SampleRate,
    /// Default: [`FrontEnd::Network`].
    pub front_end: FrontEnd,
    /// The slowest tempo, in beats per minute, at least 30 and below `max_tempo`. Default: 40.
    pub min_tempo: f64,
    /// The fastest tempo, in beats per minute, at most 300. Default: 220.
    pub max_tempo: f64,
    /// The tempo expected before anything is heard, in beats per minute. Default: 105.
    pub prior_tempo: f64,
    /// How wide that expectation is: the standard deviation of the natural logarithm of the tempo, from 0.02 to
    /// 2. Default: 0.4, a factor of 1.5.
    pub prior_width: f64,
    /// How long before it happens a beat is announced, in seconds, from 0 to 0.4. Default: 0.25.
    pub lead: f64,
    /// How far ahead [`upcoming`](super::BeatTracker::upcoming) looks, in seconds, from 0 to 8. Default: 2.
    pub prediction_window: f64,
    /// How sure it must be that there is a beat before any is announced, from 0, always, to 0.9: there is a beat once
    /// [`BeatEstimate::confidence`](super::BeatEstimate::confidence) has come up to this, until it falls below half of
    /// it. Default: 0.55.
    pub threshold: f64,
    /// Gaps up to this long are lived through, in seconds, from 0 to 10: time goes on and nothing is heard. After a
    /// longer one all begins anew. Default: 1.
    pub longest_gap: f64,
}

impl BeatConfig {
    /// The usual settings for samples of this rate.
    #[must_use]
    pub const fn new(sample_rate: SampleRate) -> Self {
        Self {
            sample_rate,
            front_end: FrontEnd::Network,
            min_tempo: 40.0,
            max_tempo: 220.0,
            prior_tempo: 105.0,
            prior_width: 0.4,
            lead: 0.25,
            prediction_window: 2.0,
            threshold: 0.55,
            longest_gap: 1.0,
        }
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let Self { min_tempo, max_tempo, prior_tempo, prior_width, lead, .. } = *self;
        let slow = min_tempo >= 30.0 && min_tempo * 1.1 <= max_tempo;
        ConfigError::require(slow, "min_tempo", "from 30 to 0.9 times max_tempo", min_tempo)?;
        ConfigError::require(max_tempo <= 300.0, "max_tempo", "at most 300", max_tempo)?;
        let sound = (20.0..=400.0).contains(&prior_tempo);
        ConfigError::require(sound, "prior_tempo", "from 20 to 400", prior_tempo)?;
        let sound = (0.02..=2.0).contains(&prior_width);
        ConfigError::require(sound, "prior_width", "from 0.02 to 2", prior_width)?;
        ConfigError::require((0.0..=0.4).contains(&lead), "lead", "from 0 to 0.4 s", lead)?;
        let window = self.prediction_window;
        let sound = (0.0..=8.0).contains(&window);
        ConfigError::require(sound, "prediction_window", "from 0 to 8 s", window)?;
        let threshold = self.threshold;
        ConfigError::require(
            (0.0..=0.9).contains(&threshold),
            "threshold",
            "from 0 to 0.9",
            threshold,
        )?;
        let gap = self.longest_gap;
        ConfigError::require((0.0..=10.0).contains(&gap), "longest_gap", "from 0 to 10 s", gap)
    }
}
