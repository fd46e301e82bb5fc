//! Self-scoring: predictions are kept until their time has come, and held against what was found.

use upbeat_core::{ConfigError, SampleIndex, SampleRate};

/// Settings of [`Scorer`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ScorerConfig {
    /// The rate of the samples that times are counted in.
    pub sample_rate: SampleRate,
    /// How far a prediction may be off to have come true, in seconds, from 0.001 to 10. Default: 0.07.
    pub tolerance: f64,
    /// The most predictions kept at a time, from 1 to 65 536; the oldest are dropped, and counted, beyond
    /// it. Default: 256.
    pub capacity: usize,
}

impl ScorerConfig {
    /// The defaults for times in samples at `sample_rate`.
    #[must_use]
    pub const fn new(sample_rate: SampleRate) -> Self {
        Self { sample_rate, tolerance: 0.07, capacity: 256 }
    }
}

/// Keeps the predictions of one kind until their time has come, and scores them.
///
/// Use one per kind and horizon (the next beat, the beat after, the next chord …). A prediction says
/// *when* something will be and with which confidence; [`found`](Self::found) says when something was,
/// as seen afterwards. A prediction that found nothing within the tolerance once
/// [`settle`](Self::settle) is told that the time has passed, did not come true.
///
/// Nothing allocates after construction.
///
/// # Examples
///
/// ```
/// use upbeat_core::{SampleIndex, SampleRate};
/// use upbeat_predict::scoring::{Scorer, ScorerConfig};
///
/// let mut scorer = Scorer::new(&ScorerConfig::new(SampleRate::new(1000)?))?;
/// scorer.predict(SampleIndex(500), 0.9);
/// scorer.predict(SampleIndex(1000), 0.8);
/// scorer.found(SampleIndex(520));
/// scorer.settle(SampleIndex(2000));
/// let score = scorer.score();
/// assert_eq!((score.hits, score.made), (1, 2));
/// assert!((score.bias.expect("there was a hit") - 0.020).abs() < 1e-9); // came 20 ms later than said
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Scorer {
    rate: SampleRate,
    tolerance: u64,
    capacity: usize,
    waiting: Vec<Waiting>,
    score: Score,
    reliability: Reliability,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    at: SampleIndex,
    confidence: f32,
    /// How far off the nearest thing found is, in samples; positive where it came later than said.
    off: Option<i64>,
}

/// How predictions have fared.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Score {
    /// Predictions whose time has passed.
    pub made: u64,
    /// Those of them that came true.
    pub hits: u64,
    /// How much later than predicted things came, in seconds, the mean over hits; `None` without any.
    pub bias: Option<f64>,
    /// Predictions that were dropped before their time, for lack of room.
    pub dropped: u64,
    total_off: f64,
}

impl Score {
    /// The share that came true; `None` before any was due.
    #[must_use]
    pub fn accuracy(&self) -> Option<f64> {
        (self.made > 0).then(|| self.hits as f64 / self.made as f64)
    }
}

impl Scorer {
    /// A scorer with nothing to score yet.
    ///
    /// # Errors
    ///
    /// If a setting is outside its range.
    pub fn new(config: &ScorerConfig) -> Result<Self, ConfigError> {
        let ScorerConfig { sample_rate, tolerance, capacity } = *config;
        let near = (0.001..=10.0).contains(&tolerance);
        ConfigError::require(near, "tolerance", "from 0.001 to 10 s", tolerance)?;
        let bounded = (1..=65_536).contains(&capacity);
        ConfigError::require(bounded, "capacity", "from 1 to 65536", capacity)?;
        Ok(Self {
            rate: sample_rate,
            tolerance: sample_rate.samples(tolerance),
            capacity,
            waiting: Vec::with_capacity(capacity),
            score: Score::default(),
            reliability: Reliability::default(),
        })
    }

    /// Forgets all predictions and how they have fared.
    pub fn reset(&mut self) {
        self.waiting.clear();
        self.score = Score::default();
        self.reliability = Reliability::default();
    }

    /// Keeps the prediction that something will be at `at`, made with `confidence`.
    pub fn predict(&mut self, at: SampleIndex, confidence: f32) {
        if self.waiting.len() == self.capacity {
            self.waiting.remove(0);
            self.score.dropped += 1;
        }
        self.waiting.push(Waiting { at, confidence, off: None });
    }

    /// Says that something was at `at`. Each thing found makes one prediction come true, the nearest
    /// that has found nothing yet.
    pub fn found(&mut self, at: SampleIndex) {
        let off = |waiting: &Waiting| at.0 as i64 - waiting.at.0 as i64;
        let nearest = self
            .waiting
            .iter_mut()
            .filter(|waiting| waiting.off.is_none())
            .min_by_key(|waiting| off(waiting).unsigned_abs());
        if let Some(waiting) = nearest
            && off(waiting).unsigned_abs() <= self.tolerance
        {
            waiting.off = Some(off(waiting));
        }
    }

    /// Scores all predictions for times so far before `now` that nothing more can be found for them.
    pub fn settle(&mut self, now: SampleIndex) {
        let Self { waiting, score, reliability, tolerance, rate, .. } = self;
        waiting.retain(|waiting| {
            if waiting.at + *tolerance >= now {
                return true;
            }
            score.made += 1;
            if let Some(off) = waiting.off {
                score.hits += 1;
                score.total_off += off as f64 / rate.as_f64();
                score.bias = Some(score.total_off / score.hits as f64);
            }
            reliability.add(waiting.confidence, waiting.off.is_some());
            false
        });
    }

    /// How the predictions so far have fared.
    #[must_use]
    pub const fn score(&self) -> Score {
        self.score
    }

    /// How often predictions of each confidence came true.
    #[must_use]
    pub const fn reliability(&self) -> &Reliability {
        &self.reliability
    }
}

/// How often predictions of each confidence came true: ten bins of equal width.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reliability {
    bins: [ReliabilityBin; 10],
}

/// The predictions whose confidence lay in one tenth of the range.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ReliabilityBin {
    /// How many there were.
    pub count: u64,
    /// How many came true.
    pub hits: u64,
    /// The sum of their confidences.
    pub confidence: f64,
}

impl Reliability {
    /// Counts a prediction made with `confidence`, clipped to 0…1; one that is no number counts as 0.
    pub fn add(&mut self, confidence: f32, came_true: bool) {
        let confidence = if confidence.is_nan() { 0.0 } else { confidence.clamp(0.0, 1.0) };
        let bin = &mut self.bins[((confidence * 10.0) as usize).min(9)];
        bin.count += 1;
        bin.hits += u64::from(came_true);
        bin.confidence += f64::from(confidence);
    }

    /// Counts all that `other` has counted.
    pub fn join(&mut self, other: &Self) {
        for (bin, other) in self.bins.iter_mut().zip(&other.bins) {
            bin.count += other.count;
            bin.hits += other.hits;
            bin.confidence += other.confidence;
        }
    }

    /// The bins, from confidence 0 up.
    #[must_use]
    pub const fn bins(&self) -> &[ReliabilityBin; 10] {
        &self.bins
    }

    /// The expected calibration error: how far the share that came true is from the mean confidence, the
    /// mean over bins weighted by their counts; `None` before the first prediction.
    ///
    /// After Guo et al., "On calibration of modern neural networks" (ICML 2017), with ten bins.
    #[must_use]
    pub fn calibration_error(&self) -> Option<f64> {
        let count: u64 = self.bins.iter().map(|bin| bin.count).sum();
        let off: f64 = self.bins.iter().map(|bin| (bin.hits as f64 - bin.confidence).abs()).sum();
        (count > 0).then(|| off / count as f64)
    }

    /// The confidence corrected by what was seen: the share that came true in its bin and, while there
    /// are few, mostly itself (as if [`PRIOR_COUNT`] more predictions had come true as often as it says).
    #[must_use]
    pub fn calibrated(&self, confidence: f32) -> f32 {
        let confidence = confidence.clamp(0.0, 1.0);
        let bin = &self.bins[((confidence * 10.0) as usize).min(9)];
        let expected = PRIOR_COUNT * f64::from(confidence);
        ((bin.hits as f64 + expected) / (bin.count as f64 + PRIOR_COUNT)) as f32
    }
}

/// How many predictions the stated confidence counts as, against those seen.
pub const PRIOR_COUNT: f64 = 20.0;

#[cfg(test)]
mod tests {
    use super::*;
    use upbeat_testkit::signal::Random;

    fn scorer(capacity: usize) -> Scorer {
        let mut config = ScorerConfig::new(SampleRate::new(1000).unwrap());
        config.capacity = capacity;
        Scorer::new(&config).unwrap()
    }

    #[test]
    fn one_thing_found_makes_one_prediction_true() {
        let mut scorer = scorer(16);
        for at in [1000, 1050, 2000] {
            scorer.predict(SampleIndex(at), 0.5);
        }
        scorer.found(SampleIndex(1030)); // 1050 is nearer than 1000
        scorer.found(SampleIndex(2071)); // 1 ms too late
        scorer.settle(SampleIndex(2070));
        assert_eq!((scorer.score().made, scorer.score().hits), (2, 1)); // 2000 may still come true
        scorer.settle(SampleIndex(2071));
        let score = scorer.score();
        assert_eq!((score.made, score.hits), (3, 1));
        assert!((score.bias.unwrap() + 0.020).abs() < 1e-12);
        assert_eq!(score.accuracy(), Some(1.0 / 3.0));
        scorer.reset();
        scorer.settle(SampleIndex(10_000));
        assert_eq!(scorer.score(), Score::default());
        assert_eq!(scorer.reliability().calibration_error(), None);
    }

    #[test]
    fn beyond_its_room_the_oldest_is_dropped_and_counted() {
        let mut scorer = scorer(2);
        for at in [100, 200, 300] {
            scorer.predict(SampleIndex(at), 0.5);
        }
        scorer.settle(SampleIndex(10_000));
        assert_eq!((scorer.score().made, scorer.score().dropped), (2, 1));
    }

    #[test]
    fn an_overconfident_predictor_is_found_out_and_corrected() {
        let mut random = Random::new(3);
        let mut reliability = Reliability::default();
        assert_eq!(reliability.calibration_error(), None);
        assert_eq!(reliability.calibrated(0.9), 0.9);
        for _ in 0..2000 {
            reliability.add(0.9, random.unit() < 0.6);
        }
        assert!((reliability.calibration_error().unwrap() - 0.3).abs() < 0.03);
        assert!((reliability.calibrated(0.9) - 0.6).abs() < 0.04);
        assert_eq!(reliability.bins()[9].count, 2000);
        let mut both = reliability;
        both.join(&reliability);
        assert_eq!(both.bins()[9].count, 4000);
        assert_eq!(both.calibration_error(), reliability.calibration_error());
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let mut config = ScorerConfig::new(SampleRate::new(1000).unwrap());
        config.tolerance = f64::NAN;
        assert_eq!(Scorer::new(&config).unwrap_err().parameter(), "tolerance");
        config.tolerance = 0.07;
        config.capacity = 0;
        assert_eq!(Scorer::new(&config).unwrap_err().parameter(), "capacity");
    }
}
