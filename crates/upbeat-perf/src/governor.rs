//! Which quality the machine can bear.

mod config;
mod event;
mod quality;

use upbeat_core::ConfigError;

pub use config::{GovernorConfig, Thresholds};
pub use event::{Cause, GovernorEvent, GovernorInput, Reason, Resource};
pub use quality::{Cost, ItemSet, QualityLevel, QualitySettings, Strategy, StrategyMode, Tier};

use crate::PerfError;

/// Lowers quality where the machine cannot keep up, and restores it when it can.
///
/// A state machine: what it does depends only on its settings and on what it was told, in that order. It has no
/// clock (time is part of the [input](GovernorInput)), no thread and no randomness, so that a recorded
/// session replays to the same events. Call [`update`](Self::update) about every 0.1 s, from one thread.
///
/// # Down, fast
///
/// When a resource has been *critical* for `patience` seconds, or there were too many deadline misses, the
/// level falls: by one, or further, to the highest level at which the load would be below its warning threshold
/// if it were in proportion to the cost of what is computed. (The load is the median here; if deadlines were
/// missed, the 99th percentile.) The next change comes no sooner than `dwell` seconds later. So there is at most
/// one change per dwell, up or down.
///
/// # Up, slowly
///
/// When everything known has been *calm* (below its `relax` threshold, no deadline missed) for `calm` seconds,
/// the level rises by one; then it must be calm for as long again. A rise after which the level falls within
/// `back_off` seconds has failed. It is tried again
///
/// - when it has been a fifth calmer than before the attempt for `calm` seconds;
/// - else after `back_off` seconds of calm; which also forgives failures further up, where what was measured gives
///   hope that they will not be repeated;
/// - but after six times as long, if the load, growing as it did in the attempt, though no more than in proportion to
///   the cost of what is computed, would become critical again: so a lasting overload is not tried again and again.
///
/// With the default settings the way from `LOW` to `MAXIMUM` takes 6 s, after failures 9 s.
///
/// Between `relax` and `critical` the level stays: a machine whose load at `MAXIMUM` lies below `relax` comes
/// back to `MAXIMUM`, one that lies above may stay one level lower.
///
/// # What is left out
///
/// [`settings`](Self::settings) says what to compute. Given [costs](Self::set_costs), it leaves out first what is
/// advanced, then what costs most, never what is essential. The choice is made when the level or a strategy
/// changes and stands until the next change, so that costs that are measured anew do not make features come and go.
///
/// ```
/// use upbeat_perf::{Cost, Governor, GovernorConfig, GovernorInput, QualityLevel, Tier};
///
/// let mut governor = Governor::new(&GovernorConfig::default())?;
/// governor.set_costs(&[
///     Cost::new("rms", 0.0001).with_tier(Tier::Essential),
///     Cost::new("mfcc", 0.001),
///     Cost::new("pyin", 0.020).with_tier(Tier::Advanced),
/// ])?;
/// let mut input = GovernorInput::at(0.1);
/// (input.load_p50, input.load_p99, input.misses) = (Some(1.1), Some(1.2), 5);
/// for event in governor.update(&input) {
///     println!("{event}"); // 0.10 s critical: misses 5, limit 2 …
/// }
/// assert_eq!(governor.level(), QualityLevel::High); // enough, without the one that costs most
/// let computed = governor.settings().items;
/// assert!(computed.contains(0) && computed.contains(1) && !computed.contains(2));
/// # Ok::<(), upbeat_perf::PerfError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Governor {
    config: GovernorConfig,
    costs: Vec<Cost>,
    modes: [StrategyMode; Strategy::ALL.len()],
    by_hand: Option<QualityLevel>,
    level: QualityLevel,
    reason: Reason,
    settings: QualitySettings,
    /// The greatest time so far, in seconds.
    now: Option<f64>,
    /// When the level changed last.
    changed: Option<f64>,
    /// Misses less those forgiven.
    misses: f64,
    /// Of each resource: since when it has been critical, and what was told of it.
    watches: [Watch; RESOURCES],
    calm: Option<Calm>,
    /// Of each level: the last rise from it, if that has failed or is still on trial.
    rises: [Option<Rise>; QualityLevel::ALL.len()],
    events: Vec<GovernorEvent>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Watch {
    critical_since: Option<f64>,
    told: Told,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
enum Told {
    #[default]
    Nothing,
    Warning,
    Critical,
}

/// A time in which everything was calm.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Calm {
    since: f64,
    /// The largest measurement in it, as a share of its critical threshold.
    pressure: f64,
}

/// A rise to the next level.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rise {
    at: f64,
    /// The largest measurement in the calm before, as a share of its critical threshold.
    before: f64,
    /// The same in the moment it failed.
    after: Option<f64>,
    /// Since when it has been much calmer than before the rise.
    calmer_since: Option<f64>,
}

impl Governor {
    /// Starts at the highest level that the settings allow.
    ///
    /// # Errors
    ///
    /// If a setting is out of its range; the error names it.
    pub fn new(config: &GovernorConfig) -> Result<Self, PerfError> {
        config.check()?;
        let level = config.highest;
        let mut governor = Self {
            config: *config,
            costs: Vec::new(),
            modes: [StrategyMode::Auto; Strategy::ALL.len()],
            by_hand: None,
            level,
            reason: Reason::Start,
            settings: QualitySettings::recommended(level),
            now: None,
            changed: None,
            misses: 0.0,
            watches: [Watch::default(); RESOURCES],
            calm: None,
            rises: [None; QualityLevel::ALL.len()],
            events: Vec::new(),
        };
        governor.settings = governor.wanted();
        Ok(governor)
    }

    /// Takes what was measured, and returns what listeners are to be told, oldest first.
    pub fn update(&mut self, input: &GovernorInput) -> &[GovernorEvent] {
        self.events.clear();
        let (now, passed) = self.advance(input.time);
        // One miss a second is forgiven.
        let most = 2.0 * f64::from(self.config.misses);
        self.misses = ((self.misses - passed).max(0.0) + input.misses as f64).min(most);

        let GovernorConfig { load, cpu, memory, latency, .. } = self.config;
        let limit = f64::from(self.config.misses);
        let misses = Thresholds::new(0.25, 1.0, limit);
        let measured: [_; RESOURCES] = [
            (Resource::Load, known(input.load_p99), load),
            (Resource::Misses, Some(self.misses.max(input.misses as f64)), misses),
            (Resource::Cpu, known(input.cpu), cpu),
            (Resource::Memory, known(input.memory), memory),
            (Resource::Latency, known(input.latency), latency),
        ];
        let mut overload: Option<Cause> = None;
        let mut pressure: Option<f64> = None;
        let mut calm = true;
        for (i, (resource, value, limits)) in measured.into_iter().enumerate() {
            let Some(value) = value else {
                self.watches[i].critical_since = None;
                continue;
            };
            let cause = self.watch(i, now, resource, value, limits);
            if let Some(cause) = cause
                && overload.is_none_or(|worst| cause.excess() > worst.excess())
            {
                overload = Some(cause);
            }
            // Misses are always known, so that they say nothing of whether anything was measured.
            if resource == Resource::Misses {
                calm &= input.misses == 0;
            } else {
                calm &= value < limits.relax;
                pressure = Some(pressure.unwrap_or(0.0).max(value / limits.critical));
            }
        }
        self.calm = match (pressure, self.calm) {
            // Nothing known is neither calm nor the end of it.
            (None, calm_before) if calm => calm_before,
            (Some(pressure), Some(past)) if calm => {
                Some(Calm { pressure: past.pressure.max(pressure), ..past })
            }
            (Some(pressure), None) if calm => Some(Calm { since: now, pressure }),
            _ => None,
        };

        if let Some(rise) = &mut self.rises[self.level as usize] {
            let calmer = calm && pressure.is_some_and(|p| p < MUCH_CALMER * rise.before);
            rise.calmer_since = if calmer { rise.calmer_since.or(Some(now)) } else { None };
        }

        // Also where the level was by hand until now, and lies beyond the settings.
        let allowed = self.level.clamp(self.config.lowest, self.config.highest);
        let level = self.by_hand.unwrap_or(allowed);
        if level != self.level {
            self.change(now, level, Reason::ByHand);
        } else if self.by_hand.is_none()
            && self.changed.is_none_or(|at| now - at >= self.config.dwell)
        {
            match overload {
                Some(cause) => self.fall(now, cause, input, pressure),
                None => self.rise(now),
            }
        }
        self.apply(now);
        &self.events
    }

    /// The level now.
    #[must_use]
    pub const fn level(&self) -> QualityLevel {
        self.level
    }

    /// Why the level is what it is.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// What to compute now.
    #[must_use]
    pub const fn settings(&self) -> QualitySettings {
        self.settings
    }

    /// The settings it was made with.
    #[must_use]
    pub const fn config(&self) -> &GovernorConfig {
        &self.config
    }

    /// Holds the level where the user wants it, or leaves it to the governor again (`None`), from the next update on.
    ///
    /// A level by hand may lie outside of `lowest` and `highest`, and is taken without regard to `dwell`.
    pub fn set_level(&mut self, level: Option<QualityLevel>) {
        self.by_hand = level;
    }

    /// Says who decides how far a strategy goes, from the next update on.
    pub fn set_strategy(&mut self, strategy: Strategy, mode: StrategyMode) {
        self.modes[strategy as usize] = mode;
    }

    /// Who decides how far `strategy` goes.
    #[must_use]
    pub const fn strategy(&self, strategy: Strategy) -> StrategyMode {
        self.modes[strategy as usize]
    }

    /// What each item of the analysis costs, as measured last.
    ///
    /// [`ItemSet`]s go by the place of an item in this list. Costs measured anew count at the next change; if
    /// the list has other names or tiers than before, at once.
    ///
    /// # Errors
    ///
    /// If there are more than [`ItemSet::MAX_ITEMS`].
    pub fn set_costs(&mut self, costs: &[Cost]) -> Result<(), PerfError> {
        let fits = costs.len() <= ItemSet::MAX_ITEMS;
        ConfigError::require(fits, "costs", "at most 64 items", costs.len())?;
        let same = costs.len() == self.costs.len()
            && costs.iter().zip(&self.costs).all(|(a, b)| a.name == b.name && a.tier == b.tier);
        self.costs.clear();
        self.costs.extend(costs.iter().map(|cost| Cost { seconds: cost.known(), ..*cost }));
        if !same {
            self.settings = self.wanted();
        }
        Ok(())
    }

    /// The costs set last.
    #[must_use]
    pub fn costs(&self) -> &[Cost] {
        &self.costs
    }

    /// The time now, and how much has passed, in seconds.
    fn advance(&mut self, time: f64) -> (f64, f64) {
        let last = self.now.unwrap_or(if time.is_finite() { time } else { 0.0 });
        let now = if time.is_finite() { last.max(time) } else { last };
        self.now = Some(now);
        (now, now - last)
    }

    /// Looks at one resource: tells what is to be told, and returns it if the level should fall for it.
    fn watch(
        &mut self,
        index: usize,
        now: f64,
        resource: Resource,
        value: f64,
        limits: Thresholds,
    ) -> Option<Cause> {
        let watch = &mut self.watches[index];
        let reached = if value >= limits.critical {
            Told::Critical
        } else if value >= limits.warning {
            Told::Warning
        } else {
            Told::Nothing
        };
        if value < limits.relax {
            watch.told = Told::Nothing;
        } else if reached > watch.told {
            watch.told = reached;
            let (warning, critical) = (limits.warning, limits.critical);
            self.events.push(if reached == Told::Critical {
                GovernorEvent::Critical {
                    time: now,
                    cause: Cause { resource, value, threshold: critical },
                }
            } else {
                GovernorEvent::Warning {
                    time: now,
                    cause: Cause { resource, value, threshold: warning },
                }
            });
        }
        if reached < Told::Critical {
            watch.critical_since = None;
            return None;
        }
        let since = *watch.critical_since.get_or_insert(now);
        let patient = resource == Resource::Misses || now - since >= self.config.patience;
        patient.then_some(Cause { resource, value, threshold: limits.critical })
    }

    fn fall(&mut self, now: f64, cause: Cause, input: &GovernorInput, pressure: Option<f64>) {
        let GovernorConfig { lowest, back_off, load, .. } = self.config;
        if self.level == lowest {
            return;
        }
        // How heavy the work is tells how much less is needed.
        let load_now = match cause.resource {
            Resource::Load => known(input.load_p50),
            Resource::Misses => known(input.load_p99),
            _ => None,
        };
        let mut to = self.level.down();
        if let Some(load_now) = load_now {
            while to > lowest && load_now * self.growth(self.level, to) >= load.warning {
                to = to.down();
            }
        }
        let after = Some(pressure.unwrap_or(0.0).max(1.0));
        for rise in self.rises.iter_mut().flatten().filter(|rise| now - rise.at < back_off) {
            rise.after = after;
        }
        self.change(now, to, Reason::Overload(cause));
    }

    fn rise(&mut self, now: f64) {
        let GovernorConfig { calm, back_off, highest, .. } = self.config;
        let Some(Calm { since, pressure }) = self.calm else { return };
        let for_long = now - since;
        if self.level == highest || for_long < calm {
            return;
        }
        let (from, to) = (self.level, self.level.up());
        if let Some(Rise { before, after: Some(after), calmer_since, .. }) =
            self.rises[from as usize]
            && calmer_since.is_none_or(|since| now - since < calm)
        {
            let growth = self.growth(from, to).min(after / before.max(f64::MIN_POSITIVE));
            let wait = if pressure * growth >= 1.0 { HOPELESS * back_off } else { back_off };
            if for_long < wait {
                return;
            }
        }
        if for_long >= back_off {
            for level in QualityLevel::ALL {
                if level >= from && pressure * self.growth(from, level.up()) < 1.0 {
                    self.rises[level as usize] = None;
                }
            }
        }
        self.rises[from as usize] =
            Some(Rise { at: now, before: pressure, after: None, calmer_since: None });
        self.change(now, to, Reason::Calm);
    }

    fn change(&mut self, now: f64, to: QualityLevel, reason: Reason) {
        let from = self.level;
        if to == from {
            return;
        }
        self.level = to;
        self.reason = reason;
        self.changed = Some(now);
        // What was measured before says nothing of the new level.
        self.calm = None;
        self.watches.iter_mut().for_each(|watch| watch.critical_since = None);
        self.misses = 0.0;
        self.events.push(GovernorEvent::LevelChanged { time: now, from, to, reason });
    }

    /// Makes settings of the level and the strategies, and tells which of them go further or less far.
    fn apply(&mut self, now: f64) {
        let wanted = self.wanted();
        if wanted == (QualitySettings { items: wanted.items, ..self.settings }) {
            return; // only costs are others
        }
        let before = self.settings;
        self.settings = wanted;
        for strategy in Strategy::ALL {
            let changed = match strategy {
                Strategy::FeatureReduction => before.budget != wanted.budget,
                Strategy::WindowSizeReduction => before.window_divisor != wanted.window_divisor,
                Strategy::SkipAdvancedFeatures => before.skip_advanced != wanted.skip_advanced,
                Strategy::ReducePredictionFrequency => {
                    before.prediction_interval != wanted.prediction_interval
                }
                Strategy::Caching => before.reuse != wanted.reuse,
            };
            if changed {
                let to = self.goes(strategy);
                self.events.push(GovernorEvent::OptimizationApplied { time: now, strategy, to });
            }
        }
    }

    fn wanted(&self) -> QualitySettings {
        QualitySettings::new(self.level, |strategy| self.goes(strategy), &self.costs)
    }

    /// The level as recommended for which a strategy goes.
    const fn goes(&self, strategy: Strategy) -> QualityLevel {
        match self.modes[strategy as usize] {
            StrategyMode::Auto => self.level,
            StrategyMode::At(level) => level,
        }
    }

    /// By which factor load grows from one level to another, if it is in proportion to the cost of what is computed.
    fn growth(&self, from: QualityLevel, to: QualityLevel) -> f64 {
        self.share(to) / self.share(from)
    }

    /// Which share of the cost of everything would be computed at `level`, above 0.
    fn share(&self, level: QualityLevel) -> f64 {
        let settings = QualitySettings::new(
            level,
            |strategy| match self.modes[strategy as usize] {
                StrategyMode::Auto => level,
                StrategyMode::At(level) => level,
            },
            &self.costs,
        );
        let all: f64 = self.costs.iter().map(Cost::known).sum();
        if all > 0.0 {
            let items = self.costs.iter().enumerate().filter(|(i, _)| settings.items.contains(*i));
            (items.map(|(_, cost)| cost.known()).sum::<f64>() / all).max(0.01)
        } else {
            settings.budget
        }
    }
}

impl Cause {
    /// By how much the threshold was passed, as a factor.
    fn excess(&self) -> f64 {
        self.value / self.threshold
    }
}

/// What is measured; not a number and negative is not known. Bounded, so that all arithmetic with it is finite.
fn known(value: Option<f64>) -> Option<f64> {
    value.filter(|value| *value >= 0.0).map(|value| value.min(1e30))
}

const RESOURCES: usize = 5;
/// How many times longer a rise is put off that would fail again.
const HOPELESS: f64 = 6.0;
/// Calm that is less than this share of another is calmer.
const MUCH_CALMER: f64 = 0.8;
