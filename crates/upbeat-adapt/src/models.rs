use crate::{
    AdaptError, Candidate, Context, Feedback, Forecast, MixingStyle, NextFeatures,
    NextFeaturesConfig, PerformanceModel, PerformanceSample, Recommendation, Recommender,
    TrackFeatures, UserPreference,
};
use serde::{Deserialize, Serialize};

/// Settings of [`AdaptiveModels`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AdaptConfig {
    /// What the levels of quality cost, relative to each other, cheapest first. Default: 1, 2 and 4.
    pub quality_costs: Vec<f64>,
    /// The most updates per second, from 0.1 to 10 000; so many may also come at once. More are not learned from, and counted.
    /// Default: 20.
    pub updates_per_second: f64,
}

impl Default for AdaptConfig {
    fn default() -> Self {
        Self { quality_costs: vec![1.0, 2.0, 4.0], updates_per_second: 20.0 }
    }
}

/// All that is learned of a user and of a machine, in one piece that can be saved.
///
/// Time is given by the caller, in seconds from any origin; there is no other clock. Memory is bounded, see
/// [`memory_size`](Self::memory_size).
///
/// # Examples
///
/// ```
/// use upbeat_adapt::{
///     AdaptConfig, AdaptiveModels, Candidate, Feedback, Response, TrackFeatures,
/// };
///
/// let mut models = AdaptiveModels::new(&AdaptConfig::default())?;
/// let track = |bpm: f32, key: &str, energy: f32| -> Result<_, upbeat_adapt::AdaptError> {
///     let key = Some(key.parse()?);
///     Ok(TrackFeatures { tempo_bpm: Some(bpm), key, energy: Some(energy), ..Default::default() })
/// };
/// let current = track(124.0, "Am", 0.6)?;
/// let candidates = [
///     Candidate { id: 7, features: track(125.0, "C", 0.7)?, last_played: None },
///     Candidate { id: 8, features: track(98.0, "F#", 0.2)?, last_played: None },
/// ];
/// let first = &models.recommend(&current, &candidates, 1)[0];
/// assert_eq!(first.id, 7);
/// assert_eq!(first.explain(), "tempo within 0.8 %, A minor → C major, energy +0.1");
///
/// let feedback = Feedback::new(Response::Accept).after(&current);
/// models.update(12.5, &candidates[0].features, Some(&feedback), None)?;
/// assert_eq!(models.status().responses, 1);
/// # Ok::<(), upbeat_adapt::AdaptError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdaptiveModels {
    config: AdaptConfig,
    recommender: Recommender,
    performance: PerformanceModel,
    next: NextFeatures,
    learning: Learning,
    updates: u64,
    dropped: u64,
    #[serde(skip)]
    pace: Option<Pace>,
}

/// Whether models learn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Learning {
    /// They do.
    On,
    /// They stay as they are.
    Frozen,
}

/// What became of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Update {
    /// It was learned from.
    Learned,
    /// Learning is frozen.
    Frozen,
    /// Too many came in too short a time; it was not learned from.
    TooFast,
}

/// A bucket of updates that fills with time.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Pace {
    at: f64,
    left: f64,
}

/// Features at a moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    /// When, in seconds.
    pub at: f64,
    /// What they were. Tempo, energy, brightness and loudness are forecast.
    pub features: TrackFeatures,
}

/// What the features will be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureForecast {
    /// In how many seconds.
    pub horizon: f64,
    /// In beats per minute.
    pub tempo_bpm: Option<Forecast>,
    /// From 0 to 1.
    pub energy: Option<Forecast>,
    /// In Hz.
    pub brightness: Option<Forecast>,
    /// In LUFS.
    pub loudness: Option<Forecast>,
}

/// How the models are doing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// Whether they learn.
    pub learning: Learning,
    /// Updates learned from.
    pub updates: u64,
    /// Updates that came too fast.
    pub dropped: u64,
    /// Responses learned from.
    pub responses: u64,
    /// Transitions learned from.
    pub transitions: u64,
    /// How often the user's taste was seen to change.
    pub changes_of_taste: u64,
    /// By how much the expected response is off, mean since the last change, from 0 to 1.
    pub mean_error: Option<f64>,
    /// Which share of features fell within their error bars; 0.9 is right.
    pub forecast_coverage: Option<f64>,
    /// Bytes in use.
    pub memory_size: usize,
}

impl AdaptiveModels {
    /// Models that know nothing yet.
    ///
    /// # Errors
    ///
    /// If a setting is outside its range.
    pub fn new(config: &AdaptConfig) -> Result<Self, AdaptError> {
        let rate = config.updates_per_second;
        let holds = (0.1..=10_000.0).contains(&rate);
        AdaptError::require(holds, "updates_per_second", "from 0.1 to 10000", rate)?;
        Ok(Self {
            config: config.clone(),
            recommender: Recommender::new(),
            performance: PerformanceModel::new(&config.quality_costs)?,
            next: NextFeatures::new(&NextFeaturesConfig::new(N_FORECAST))?,
            learning: Learning::On,
            updates: 0,
            dropped: 0,
            pace: None,
        })
    }

    /// Learns, at second `now`, what the user made of the track with `features`, and what work cost; either may be missing.
    ///
    /// A response worth more than one half to a track that came after another is a transition that the user makes.
    ///
    /// # Errors
    ///
    /// If `now` is not finite, a score or share is outside 0 to 1, or a cost is not positive; nothing is learned then.
    pub fn update(
        &mut self,
        now: f64,
        features: &TrackFeatures,
        feedback: Option<&Feedback>,
        performance: Option<&PerformanceSample>,
    ) -> Result<Update, AdaptError> {
        AdaptError::require(now.is_finite(), "now", "a time in seconds", now)?;
        let reward = feedback.map(|feedback| feedback.response.reward()).transpose()?;
        if let Some(share) = feedback.and_then(|feedback| feedback.mixed_at) {
            AdaptError::require((0.0..=1.0).contains(&share), "mixed_at", "from 0 to 1", share)?;
        }
        if let Some(sample) = performance {
            self.performance.check(sample)?;
        }
        if self.learning == Learning::Frozen {
            return Ok(Update::Frozen);
        }
        if !self.in_time(now) {
            self.dropped += 1;
            return Ok(Update::TooFast);
        }
        if let Some((feedback, reward)) = feedback.zip(reward) {
            let nothing = TrackFeatures::default();
            let current = feedback.after.as_ref().unwrap_or(&nothing);
            let Recommender { preference, style, .. } = &mut self.recommender;
            preference.learn(current, features, feedback.context, reward)?;
            if feedback.after.is_some() && reward > 0.5 {
                style.learn(current, features, feedback.mixed_at);
            }
        }
        if let Some(sample) = performance {
            self.performance.learn(sample)?;
        }
        self.updates += 1;
        Ok(Update::Learned)
    }

    /// Follows what is playing, so that [`forecast`](Self::forecast) can say what comes. May be called as often as features come; they are
    /// averaged over a quarter of a second.
    ///
    /// # Errors
    ///
    /// If the moment is not after the last one, or its time is not finite.
    pub fn observe(&mut self, moment: &Moment) -> Result<Update, AdaptError> {
        if self.learning == Learning::Frozen {
            return Ok(Update::Frozen);
        }
        self.next.observe(moment.at, &values(&moment.features))?;
        Ok(Update::Learned)
    }

    /// The best `n` of `candidates` to play after `current`; see [`Recommender::recommend`].
    #[must_use]
    pub fn recommend(
        &self,
        current: &TrackFeatures,
        candidates: &[Candidate],
        n: usize,
    ) -> Vec<Recommendation> {
        self.recommender.recommend(current, candidates, n)
    }

    /// Sets the circumstances that recommendations are for.
    pub fn set_context(&mut self, context: Context) {
        self.recommender.set_context(context);
    }

    /// What the features will be, in 1, 5 and 10 s, given what they are and were; `history` is the oldest first. Costs as much as
    /// [`observe`](Self::observe) for each moment; where these are observed one by one anyway, [`forecast`](Self::forecast) says the same.
    ///
    /// # Errors
    ///
    /// If moments are not in order of time, or a time is not finite.
    pub fn predict_next_features(
        &self,
        current: &Moment,
        history: &[Moment],
    ) -> Result<Vec<FeatureForecast>, AdaptError> {
        let mut next = self.next.without_past();
        for moment in history.iter().chain([current]) {
            next.observe(moment.at, &values(&moment.features))?;
        }
        next.close();
        Ok(forecasts(&next))
    }

    /// What the features will be, in 1, 5 and 10 s, given what was observed; `None` for those that were not.
    #[must_use]
    pub fn forecast(&self) -> Vec<FeatureForecast> {
        forecasts(&self.next)
    }

    /// Stops learning, or goes on with it. Recommendations and forecasts go on in either case.
    pub fn freeze(&mut self, frozen: bool) {
        self.learning = if frozen { Learning::Frozen } else { Learning::On };
    }

    /// How the models are doing.
    #[must_use]
    pub fn status(&self) -> Status {
        let preference = self.preference();
        Status {
            learning: self.learning,
            updates: self.updates,
            dropped: self.dropped,
            responses: preference.responses(),
            transitions: self.style().transitions(),
            changes_of_taste: preference.changes(),
            mean_error: preference.mean_error(),
            forecast_coverage: self.next.coverage(),
            memory_size: self.memory_size(),
        }
    }

    /// Bytes in use; less than 300 kB however much is learned.
    #[must_use]
    pub fn memory_size(&self) -> usize {
        size_of::<Self>()
            + self.preference().heap_size()
            + self.performance.heap_size()
            + self.next.heap_size()
            + self.config.quality_costs.capacity() * size_of::<f64>()
    }

    /// What the user likes.
    #[must_use]
    pub fn preference(&self) -> &UserPreference {
        self.recommender.preference()
    }

    /// How the user mixes.
    #[must_use]
    pub fn style(&self) -> &MixingStyle {
        self.recommender.style()
    }

    /// What the levels of quality cost.
    #[must_use]
    pub fn performance(&self) -> &PerformanceModel {
        &self.performance
    }

    /// Its settings.
    #[must_use]
    pub fn config(&self) -> &AdaptConfig {
        &self.config
    }

    /// Whether all tables have the sizes that the settings ask for.
    pub(crate) fn is_whole(&self) -> bool {
        Self::new(&self.config).is_ok_and(|fresh| {
            self.preference().fits()
                && self.performance.fits(&fresh.performance)
                && self.next.fits(&fresh.next)
        })
    }

    /// Takes one update from the bucket, if there is one.
    fn in_time(&mut self, now: f64) -> bool {
        let rate = self.config.updates_per_second;
        let full = rate.max(1.0);
        let pace = self.pace.get_or_insert(Pace { at: now, left: full });
        pace.left = (pace.left + (now - pace.at).max(0.0) * rate).min(full);
        pace.at = pace.at.max(now);
        let enough = pace.left >= 1.0;
        pace.left -= if enough { 1.0 } else { 0.0 };
        enough
    }
}

fn values(features: &TrackFeatures) -> [Option<f64>; N_FORECAST] {
    let TrackFeatures { tempo_bpm, energy, brightness, loudness, .. } = features;
    [tempo_bpm, energy, brightness, loudness].map(|value| value.map(f64::from))
}

fn forecasts(next: &NextFeatures) -> Vec<FeatureForecast> {
    let horizons = next.config().horizons.iter().enumerate();
    horizons
        .map(|(at, horizon)| FeatureForecast {
            horizon: *horizon,
            tempo_bpm: next.forecast(0, at),
            energy: next.forecast(1, at),
            brightness: next.forecast(2, at),
            loudness: next.forecast(3, at),
        })
        .collect()
}

/// Tempo, energy, brightness, loudness.
const N_FORECAST: usize = 4;
