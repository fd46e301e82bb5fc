//! What features cost.

use upbeat_perf::{Cost, ItemSet, Tier};

use crate::{Feature, FeatureSet};

/// How long an [`Analyzer`](crate::Analyzer) takes for each feature, in seconds per second of sound, so as a share
/// of one core in real time. Moving averages; see [`Analyzer::measure_costs`](crate::Analyzer::measure_costs).
///
/// The time of a stage that several active features need, such as the mel bands, is divided among them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FeatureCosts {
    seconds: [Option<f64>; N],
    shared: Option<f64>,
}

impl FeatureCosts {
    /// The cost of `feature` as measured last; `None` if it was not active while costs were measured.
    #[must_use]
    pub fn get(&self, feature: Feature) -> Option<f64> {
        self.seconds[feature as usize]
    }

    /// The cost of what all features need: mixing, framing and the STFT.
    #[must_use]
    pub const fn shared(&self) -> Option<f64> {
        self.shared
    }

    /// What a [`Governor`](upbeat_perf::Governor) is to know: one item for each feature, in the order of
    /// [`Feature::ALL`], those whose cost is not known as costing nothing.
    ///
    /// ```
    /// use upbeat::perf::{Governor, GovernorConfig, QualityLevel, GovernorInput};
    /// use upbeat::{Analyzer, AnalyzerConfig, FeatureSet};
    ///
    /// let mut governor = Governor::new(&GovernorConfig::default())?;
    /// let config = AnalyzerConfig::new(44_100, 1).with_features(FeatureSet::ALL);
    /// let mut analyzer = Analyzer::new(&config)?;
    /// analyzer.measure_costs(true);
    /// analyzer.push(&vec![0.1; 44_100], |_| ())?;
    ///
    /// governor.set_costs(&analyzer.costs().items())?;
    /// governor.set_level(Some(QualityLevel::Low)); // or by load
    /// governor.update(&GovernorInput::at(0.0));
    /// analyzer.set_active(governor.settings().items); // at the next frame
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn items(&self) -> [Cost; N] {
        std::array::from_fn(|i| {
            let feature = Feature::ALL[i];
            let seconds = self.get(feature).unwrap_or_default();
            Cost::new(feature.name(), seconds).with_tier(tier(feature))
        })
    }

    /// All features whose cost is known, with it.
    pub fn iter(&self) -> impl Iterator<Item = (Feature, f64)> {
        Feature::ALL.iter().filter_map(|feature| Some((*feature, self.get(*feature)?)))
    }
}

/// Measures what features cost, in some frames.
#[derive(Debug)]
pub(crate) struct CostMeter {
    /// Whether to measure at all.
    pub(crate) on: bool,
    /// Whether the frame that is being filled is measured.
    pub(crate) timed: bool,
    /// The time taken for it so far, in seconds.
    pub(crate) spent: f64,
    pub(crate) costs: FeatureCosts,
}

impl Default for CostMeter {
    fn default() -> Self {
        let costs = FeatureCosts { seconds: [None; N], shared: None };
        Self { on: false, timed: false, spent: 0.0, costs }
    }
}

impl CostMeter {
    /// Takes in a measured frame: `seconds` for each feature in `active`, `features` for all together; as shares of
    /// time, if there are `rate` frames per second.
    pub(crate) fn learn(
        &mut self,
        active: FeatureSet,
        seconds: &PerFeature,
        features: f64,
        rate: f64,
    ) {
        for feature in active.iter() {
            average(&mut self.costs.seconds[feature as usize], seconds[feature as usize] * rate);
        }
        let shared = (self.spent - features).max(0.0);
        average(&mut self.costs.shared, shared * rate);
        self.spent = 0.0;
    }

    /// Gives up the frame that is being filled.
    pub(crate) fn stop(&mut self) {
        self.timed = false;
        self.spent = 0.0;
    }
}

/// The features whose items a governor leaves in.
impl From<ItemSet> for FeatureSet {
    fn from(items: ItemSet) -> Self {
        Feature::ALL.iter().filter(|feature| items.contains(**feature as usize)).copied().collect()
    }
}

/// Levels, onsets and loudness are cheap and what a display needs; the second opinions on pitch and chroma
/// and the costly textures are the first to go.
const fn tier(feature: Feature) -> Tier {
    match feature {
        Feature::Rms
        | Feature::Peak
        | Feature::Silence
        | Feature::Loudness
        | Feature::OnsetStrength
        | Feature::Onset => Tier::Essential,
        Feature::Pyin
        | Feature::Cqt
        | Feature::ChromaCqt
        | Feature::Percussiveness
        | Feature::Pcen
        | Feature::MfccDelta
        | Feature::SpectralContrast => Tier::Advanced,
        _ => Tier::Standard,
    }
}

fn average(mean: &mut Option<f64>, value: f64) {
    *mean = Some(mean.map_or(value, |mean| mean + FORGETTING * (value - mean)));
}

/// A number for each feature.
pub(crate) type PerFeature = [f64; N];

pub(crate) const N: usize = Feature::ALL.len();

/// One frame in so many is measured: a prime, so that it does not keep step with what recurs.
pub(crate) const MEASURED_EVERY: u64 = 31;

/// The share of the newest measurement in the average.
const FORGETTING: f64 = 1.0 / 8.0;
