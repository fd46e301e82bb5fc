//! Levels of quality, and what they mean for the analysis.

use std::fmt;

/// How much is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "UPPERCASE"))]
pub enum QualityLevel {
    /// What is essential.
    Low,
    /// About half.
    Medium,
    /// Nearly everything.
    High,
    /// Everything.
    #[default]
    Maximum,
}

impl QualityLevel {
    /// All levels, from the lowest up.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Maximum];

    /// Its name: `LOW`, `MEDIUM`, `HIGH` or `MAXIMUM`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "LOW",
            Self::Medium => "MEDIUM",
            Self::High => "HIGH",
            Self::Maximum => "MAXIMUM",
        }
    }

    /// The next level up; `MAXIMUM` is above itself.
    #[must_use]
    pub const fn up(self) -> Self {
        match self {
            Self::Low => Self::Medium,
            Self::Medium => Self::High,
            Self::High | Self::Maximum => Self::Maximum,
        }
    }

    /// The next level down; `LOW` is below itself.
    #[must_use]
    pub const fn down(self) -> Self {
        match self {
            Self::Maximum => Self::High,
            Self::High => Self::Medium,
            Self::Medium | Self::Low => Self::Low,
        }
    }

    pub(super) const fn from_index(index: usize) -> Self {
        Self::ALL[if index < 4 { index } else { 3 }]
    }
}

impl fmt::Display for QualityLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A way to compute less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Strategy {
    /// Leave out the items that cost most, until the rest costs 80 % (`HIGH`), 50 % (`MEDIUM`) or 25 % (`LOW`).
    FeatureReduction,
    /// Analyse shorter windows: half as long at `LOW`.
    WindowSizeReduction,
    /// Leave out the items of [`Tier::Advanced`], at `MEDIUM` and `LOW`.
    SkipAdvancedFeatures,
    /// Predict in every 2nd (`HIGH`), 4th (`MEDIUM`) or 8th (`LOW`) frame only.
    ReducePredictionFrequency,
    /// Let values that change slowly stand for 2 (`HIGH`), 4 (`MEDIUM`) or 8 (`LOW`) frames before they are computed anew.
    Caching,
}

impl Strategy {
    /// All strategies.
    pub const ALL: [Self; 5] = [
        Self::FeatureReduction,
        Self::WindowSizeReduction,
        Self::SkipAdvancedFeatures,
        Self::ReducePredictionFrequency,
        Self::Caching,
    ];

    /// Its name, in `snake_case`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FeatureReduction => "feature_reduction",
            Self::WindowSizeReduction => "window_size_reduction",
            Self::SkipAdvancedFeatures => "skip_advanced_features",
            Self::ReducePredictionFrequency => "reduce_prediction_frequency",
            Self::Caching => "caching",
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who decides how far a [`Strategy`] goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum StrategyMode {
    /// The governor: as far as is recommended for its level.
    #[default]
    Auto,
    /// The user: as far as is recommended for this level, whatever the governor's. At `MAXIMUM` a strategy
    /// is off, at `LOW` it goes as far as it can.
    At(QualityLevel),
}

/// How much an item of the analysis would be missed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Tier {
    /// Left out first.
    Advanced,
    /// Left out when the advanced ones are not enough.
    #[default]
    Standard,
    /// Never left out.
    Essential,
}

/// An item of the analysis that may be left out, and what it costs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Cost {
    /// What it is called.
    pub name: &'static str,
    /// Processing time in seconds per second of sound, as measured last; what is not a positive number counts as 0.
    pub seconds: f64,
    /// How much it would be missed.
    pub tier: Tier,
}

impl Cost {
    /// An item of [`Tier::Standard`].
    #[must_use]
    pub const fn new(name: &'static str, seconds: f64) -> Self {
        Self { name, seconds, tier: Tier::Standard }
    }

    /// The same in another tier.
    #[must_use]
    pub const fn with_tier(self, tier: Tier) -> Self {
        Self { tier, ..self }
    }

    pub(super) fn known(&self) -> f64 {
        if self.seconds > 0.0 && self.seconds.is_finite() { self.seconds } else { 0.0 }
    }
}

/// Which items are computed, by their place in the list of [`Cost`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ItemSet(u64);

impl ItemSet {
    /// The most items there can be.
    pub const MAX_ITEMS: usize = 64;
    /// All items.
    pub const ALL: Self = Self(u64::MAX);

    /// Whether the item at `index` is computed; those beyond [`MAX_ITEMS`](Self::MAX_ITEMS) always are.
    #[must_use]
    pub const fn contains(self, index: usize) -> bool {
        index >= Self::MAX_ITEMS || self.0 >> index & 1 == 1
    }

    pub(super) const fn remove(&mut self, index: usize) {
        self.0 &= !(1 << index);
    }
}

/// What to compute: the recommendation for a [`QualityLevel`], or what the [`Governor`](super::Governor) asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct QualitySettings {
    /// The governor's level.
    pub level: QualityLevel,
    /// The share of the cost of all items that those computed may have together, 0 to 1.
    pub budget: f64,
    /// Which items are computed; all where costs are not known.
    pub items: ItemSet,
    /// Whether items of [`Tier::Advanced`] are left out.
    pub skip_advanced: bool,
    /// Frames are as long as configured, divided by this.
    pub window_divisor: u32,
    /// Predictions are made in every frame whose number this divides.
    pub prediction_interval: u32,
    /// A value that changes slowly stands for so many frames; 1 is no reuse.
    pub reuse: u32,
}

impl QualitySettings {
    /// How many words [`words`](Self::words) has.
    pub const WORDS: usize = 8;

    /// What is recommended for `level` where costs are not known.
    #[must_use]
    pub const fn recommended(level: QualityLevel) -> Self {
        let every = QualityLevel::Maximum as u32 - level as u32;
        Self {
            level,
            budget: BUDGETS[level as usize],
            items: ItemSet::ALL,
            skip_advanced: (level as u32) < QualityLevel::High as u32,
            window_divisor: if matches!(level, QualityLevel::Low) { 2 } else { 1 },
            prediction_interval: 1 << every,
            reuse: 1 << every,
        }
    }

    /// As numbers, for a latest-value slot to another thread.
    #[must_use]
    pub fn words(&self) -> [f64; Self::WORDS] {
        [
            f64::from(self.level as u8),
            self.budget,
            f64::from((self.items.0 >> 32) as u32),
            f64::from(self.items.0 as u32),
            f64::from(u8::from(self.skip_advanced)),
            f64::from(self.window_divisor),
            f64::from(self.prediction_interval),
            f64::from(self.reuse),
        ]
    }

    /// From what [`words`](Self::words) gave.
    #[must_use]
    pub fn from_words(words: [f64; Self::WORDS]) -> Self {
        let [level, budget, high, low, skip_advanced, window, interval, reuse] = words;
        Self {
            level: QualityLevel::from_index(level as usize),
            budget,
            items: ItemSet(u64::from(high as u32) << 32 | u64::from(low as u32)),
            skip_advanced: skip_advanced != 0.0,
            window_divisor: (window as u32).max(1),
            prediction_interval: (interval as u32).max(1),
            reuse: (reuse as u32).max(1),
        }
    }

    /// What each strategy asks for at the level given for it; `costs` say which items that is.
    pub(super) fn new(
        level: QualityLevel,
        at: impl Fn(Strategy) -> QualityLevel,
        costs: &[Cost],
    ) -> Self {
        let by = |strategy| Self::recommended(at(strategy));
        let budget = by(Strategy::FeatureReduction).budget;
        let skip_advanced = by(Strategy::SkipAdvancedFeatures).skip_advanced;
        Self {
            level,
            budget,
            items: items(costs, budget, skip_advanced),
            skip_advanced,
            window_divisor: by(Strategy::WindowSizeReduction).window_divisor,
            prediction_interval: by(Strategy::ReducePredictionFrequency).prediction_interval,
            reuse: by(Strategy::Caching).reuse,
        }
    }
}

impl Default for QualitySettings {
    fn default() -> Self {
        Self::recommended(QualityLevel::Maximum)
    }
}

/// All items but those that buy most, until the rest fits into the budget. The smaller the budget, the more are
/// left out of the same list: none that is left out in a large one is computed in a smaller one.
fn items(costs: &[Cost], budget: f64, skip_advanced: bool) -> ItemSet {
    let mut left = ItemSet::ALL;
    let mut order: Vec<usize> = (0..costs.len()).collect();
    order.retain(|i| costs[*i].tier < Tier::Essential);
    order.sort_by(|a, b| {
        let (a, b) = (&costs[*a], &costs[*b]);
        a.tier.cmp(&b.tier).then(b.known().total_cmp(&a.known()))
    });
    let mut used: f64 = costs.iter().map(Cost::known).sum();
    // A little more, so that rounding leaves nothing out of a budget of 1.
    let allowed = used * budget * (1.0 + 1e-9);
    for index in order {
        let cost = &costs[index];
        let skipped = skip_advanced && cost.tier == Tier::Advanced;
        if skipped || (used > allowed && cost.known() > 0.0) {
            left.remove(index);
            used -= cost.known();
        }
    }
    left
}

/// Shares of the cost of everything, from `LOW` to `MAXIMUM`.
const BUDGETS: [f64; 4] = [0.25, 0.5, 0.8, 1.0];
