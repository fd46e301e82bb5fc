//! What features will be in some seconds.

mod series;

use crate::AdaptError;
use serde::{Deserialize, Serialize};
use series::{N_EXPERTS, Series};
use std::collections::VecDeque;

/// Settings of [`NextFeatures`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NextFeaturesConfig {
    /// How many numbers are forecast, from 1 to 64.
    pub n_features: usize,
    /// Seconds between two forecasts, from 0.05 to 10; what comes in between is averaged. Default: 0.25.
    pub interval: f64,
    /// How far ahead to look, in seconds, at most 240 intervals, in rising order. Default: 1, 5 and 10.
    pub horizons: Vec<f64>,
}

impl NextFeaturesConfig {
    /// The defaults for `n_features` numbers.
    #[must_use]
    pub fn new(n_features: usize) -> Self {
        Self { n_features, interval: 0.25, horizons: vec![1.0, 5.0, 10.0] }
    }
}

/// Forecasts trajectories of features, some seconds ahead, with error bars that hold.
///
/// For each feature and horizon several experts make a forecast: persistence; AR(1); means over the last 1, 4, 16 and 60 s; medians
/// that move by signs, over 4 and 20 s; and, since music repeats itself, what followed where the last seconds of all features were
/// most like these, the best place and the mean over all places that are nearly as good, within the last two minutes. A [`Mixture`](crate::learn::Mixture)
/// trusts those that were nearest of late, so that the forecast is hardly worse than the best of them. A
/// [`QuantileTracker`](crate::learn::QuantileTracker) of its errors gives the bar: 90 of 100 truths fall within it, in the long run.
///
/// What is observed is averaged over intervals on a fixed grid; where nothing was, nothing is learned. After a gap of more than ten seconds the
/// past is dropped and only what was learned remains.
///
/// # Examples
///
/// ```
/// use upbeat_adapt::{NextFeatures, NextFeaturesConfig};
///
/// let mut next = NextFeatures::new(&NextFeaturesConfig::new(1))?;
/// for step in 0..2000 {
///     let at = f64::from(step) * 0.25;
///     next.observe(at, &[Some(if at % 8.0 < 4.0 { 0.2 } else { 0.8 })])?;
/// }
/// let forecast = next.forecast(0, 1).ok_or("enough was observed")?; // in 5 s
/// assert!((forecast.value - 0.2).abs() < 0.1, "{forecast:?}"); // 499.75 s is within the second half
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NextFeatures {
    config: NextFeaturesConfig,
    steps: Vec<usize>,
    series: Vec<Series>,
    /// How unlike the last seconds were to those so many steps before; what is not known yet is infinite.
    #[serde(skip)]
    unlike: VecDeque<f64>,
    #[serde(skip)]
    cell: Option<Cell>,
}

/// The interval that is being observed.
#[derive(Clone, Debug, PartialEq)]
struct Cell {
    index: i64,
    sums: Vec<(f64, f64)>,
}

/// What a feature will be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// How many seconds ahead.
    pub horizon: f64,
    /// The forecast.
    pub value: f64,
    /// Half the width of the error bar: of 100 truths, 90 are within `value ± error`. `None` before the first forecast was put to the test.
    pub error: Option<f64>,
}

impl NextFeatures {
    /// Allocates all that will ever be needed.
    ///
    /// # Errors
    ///
    /// If a setting is outside its range.
    pub fn new(config: &NextFeaturesConfig) -> Result<Self, AdaptError> {
        let NextFeaturesConfig { n_features, interval, horizons } = config;
        let n = (1..=64).contains(n_features);
        AdaptError::require(n, "n_features", "from 1 to 64", n_features)?;
        let holds = (0.05..=10.0).contains(interval);
        AdaptError::require(holds, "interval", "from 0.05 to 10 s", interval)?;
        let furthest = interval * MOST_STEPS as f64;
        let rising = horizons.windows(2).all(|pair| pair[0] < pair[1]);
        let holds = !horizons.is_empty()
            && rising
            && horizons.iter().all(|horizon| (*interval..=furthest).contains(horizon));
        let requirement = "one or more, rising, from 1 to 240 intervals";
        AdaptError::require(holds, "horizons", requirement, format_args!("{horizons:?}"))?;
        let steps: Vec<usize> = horizons.iter().map(|h| (h / interval).round() as usize).collect();
        let series = (0..*n_features).map(|_| Series::new(&steps, *interval)).collect();
        let (unlike, cell) = (VecDeque::new(), None);
        Ok(Self { config: config.clone(), steps, series, unlike, cell })
    }

    /// Takes what the features are at second `at`; `None` or a non-finite number where one is not known.
    ///
    /// # Errors
    ///
    /// If `at` is not finite or before the last interval, or there are not as many values as features.
    pub fn observe(&mut self, at: f64, values: &[Option<f64>]) -> Result<(), AdaptError> {
        let n = self.series.len();
        AdaptError::require(values.len() == n, "values", "one per feature", values.len())?;
        AdaptError::require(at.is_finite() && at.abs() < 1e12, "at", "a time in seconds", at)?;
        let index = (at / self.config.interval).floor() as i64;
        let open = self.cell.as_ref().map_or(index, |cell| cell.index);
        AdaptError::require(index >= open, "at", "no earlier than the last", at)?;
        if (index - open) as f64 * self.config.interval > LONGEST_GAP {
            self.forget_past();
        } else {
            for _ in open..index {
                self.close_cell();
            }
        }
        let sums = || vec![(0.0, 0.0); n];
        let cell = self.cell.get_or_insert_with(|| Cell { index, sums: sums() });
        for ((sum, count), value) in cell.sums.iter_mut().zip(values) {
            if let Some(value) = value.filter(|value| value.is_finite()) {
                *sum += value;
                *count += 1.0;
            }
        }
        Ok(())
    }

    /// What feature `feature` will be at the horizon of number `horizon`; `None` where it was not observed yet, or there is no such number.
    #[must_use]
    pub fn forecast(&self, feature: usize, horizon: usize) -> Option<Forecast> {
        let (value, error) = self.series.get(feature)?.forecast(horizon)?;
        Some(Forecast { horizon: *self.config.horizons.get(horizon)?, value, error })
    }

    /// The same model without a past, to be shown one.
    #[must_use]
    pub fn without_past(&self) -> Self {
        let mut fresh = self.clone();
        fresh.forget_past();
        fresh
    }

    /// Which share of truths fell within the error bars, over all horizons of all features; `None` before the first.
    #[must_use]
    pub fn coverage(&self) -> Option<f64> {
        let add = |sum: (f64, f64), series: &Series| {
            let (within, all) = series.coverage();
            (sum.0 + within, sum.1 + all)
        };
        let (within, all) = self.series.iter().fold((0.0, 0.0), add);
        (all > 0.0).then(|| within / all)
    }

    /// Its settings.
    #[must_use]
    pub fn config(&self) -> &NextFeaturesConfig {
        &self.config
    }

    fn forget_past(&mut self) {
        self.cell = None;
        self.unlike.clear();
        self.series.iter_mut().for_each(Series::forget_past);
    }

    /// Counts the open interval as over, so that forecasts are from what was observed last.
    pub fn close(&mut self) {
        self.close_cell();
    }

    /// Ends the open interval, and opens the next.
    fn close_cell(&mut self) {
        let Some(cell) = &mut self.cell else { return };
        cell.index += 1;
        for (series, (sum, count)) in self.series.iter_mut().zip(&mut cell.sums) {
            series.push((*count > 0.0).then(|| *sum / *count));
            (*sum, *count) = (0.0, 0.0);
        }
        self.compare();
        let mut analogs = Vec::with_capacity(self.steps.len());
        for steps in &self.steps {
            analogs.push(self.analogs(*steps));
        }
        for series in &mut self.series {
            series.predict(&analogs);
        }
    }

    /// Brings `unlike` up to the newest interval.
    fn compare(&mut self) {
        if self.unlike.len() < PAST - 1 {
            self.unlike.push_back(0.0);
        }
        for unlike in &mut self.unlike {
            *unlike *= FADE;
        }
        for series in &self.series {
            let Some((now, scale)) = series.now_and_scale() else { continue };
            for (unlike, then) in self.unlike.iter_mut().zip(series.past().skip(1)) {
                *unlike += (now - then).abs() * scale;
            }
        }
    }

    /// Where to look for what follows in `steps`: how long ago that was, and how much it counts; the best place first.
    fn analogs(&self, steps: usize) -> Vec<(usize, f64)> {
        let length = self.series[0].past().len();
        // Lag `l` compares now with `l` steps ago; what followed is `l − steps` steps ago.
        let lags = steps.max(SHORTEST)..length.min(self.unlike.len() + 1).saturating_sub(SHORTEST);
        let unlike = |lag: usize| self.unlike[lag - 1];
        let Some(best) = lags.clone().min_by(|a, b| unlike(*a).total_cmp(&unlike(*b))) else {
            return Vec::new();
        };
        let least = unlike(best);
        let near = lags.filter(|lag| *lag != best && unlike(*lag) < 1.25 * least);
        let weigh = |lag: usize| (lag - steps, 1.0 / (0.05 * least + unlike(lag) - least + 1e-9));
        std::iter::once(best).chain(near).map(weigh).collect()
    }

    pub(crate) fn fits(&self, other: &Self) -> bool {
        self.config == other.config
            && self.steps == other.steps
            && self.series.len() == other.series.len()
            && self.series.iter().zip(&other.series).all(|(a, b)| a.fits(b))
    }

    pub(crate) fn heap_size(&self) -> usize {
        let series: usize = self.series.iter().map(Series::heap_size).sum();
        series
            + self.series.capacity() * size_of::<Series>()
            + self.unlike.capacity() * size_of::<f64>()
            + self.steps.capacity() * size_of::<usize>()
            + self.config.horizons.capacity() * size_of::<f64>()
            + self.cell.as_ref().map_or(0, |cell| cell.sums.capacity() * size_of::<(f64, f64)>())
    }
}

/// Intervals of the past that are kept.
const PAST: usize = 480;

/// The furthest horizon, in intervals.
const MOST_STEPS: usize = PAST / 2;

/// The shortest lag, and how much of the past must lie before a place, in intervals.
const SHORTEST: usize = 4;

/// Share of unlikeness that is kept from one interval to the next: places are alike in their last 20 intervals or so.
const FADE: f64 = 0.95;

/// In seconds.
const LONGEST_GAP: f64 = 10.0;

const _: () = assert!(N_EXPERTS == 10);
