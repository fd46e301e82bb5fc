//! When a governor acts.

use upbeat_core::ConfigError;

use super::QualityLevel;

/// From where on a measurement is too much. `0 < relax < warning < critical`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Thresholds {
    /// Below this, all is calm: quality may rise.
    pub relax: f64,
    /// From here on there is a warning.
    pub warning: f64,
    /// From here on quality falls.
    pub critical: f64,
}

impl Thresholds {
    /// These three.
    #[must_use]
    pub const fn new(relax: f64, warning: f64, critical: f64) -> Self {
        Self { relax, warning, critical }
    }

    fn check(&self, parameter: &'static str) -> Result<(), ConfigError> {
        let Self { relax, warning, critical } = *self;
        let rising = relax > 0.0 && warning > relax && critical > warning && critical.is_finite();
        let got = format_args!("{relax}, {warning}, {critical}");
        ConfigError::require(rising, parameter, "0 < relax < warning < critical", got)
    }
}

/// Settings of [`Governor`](super::Governor).
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct GovernorConfig {
    /// Processing time over deadline, 99th percentile. Default: 0.6, 0.75, 0.9.
    pub load: Thresholds,
    /// Use of the processor, 0 to 1. Default: 0.5, 0.6, 0.7.
    pub cpu: Thresholds,
    /// Memory in bytes. Default: 350e6, 400e6, 500e6.
    pub memory: Thresholds,
    /// How far the analysis is behind the sound, in seconds. Default: 0.030, 0.040, 0.050.
    pub latency: Thresholds,
    /// Missed deadlines, over- and underruns that are too many, at least 1; one a second is forgiven. Default: 2.
    pub misses: u32,
    /// Seconds that a resource (other than misses) must have been critical before quality falls, 0 or
    /// more. Default: 0.05, which is the second of two updates in a row.
    pub patience: f64,
    /// Seconds from one change of the level to the next, at least 0.01. Default: 0.25.
    pub dwell: f64,
    /// Seconds of calm before the level rises by one, at least `dwell`. Default: 2.
    pub calm: f64,
    /// Seconds of calm before it rises again to where it has failed, at least `calm`. Default: 5.
    pub back_off: f64,
    /// The level never falls below this. Default: `LOW`.
    pub lowest: QualityLevel,
    /// The level never rises above this, and starts here. Default: `MAXIMUM`.
    pub highest: QualityLevel,
}

impl Default for GovernorConfig {
    fn default() -> Self {
        Self {
            load: Thresholds::new(0.6, 0.75, 0.9),
            cpu: Thresholds::new(0.5, 0.6, 0.7),
            memory: Thresholds::new(350e6, 400e6, 500e6),
            latency: Thresholds::new(0.030, 0.040, 0.050),
            misses: 2,
            patience: 0.05,
            dwell: 0.25,
            calm: 2.0,
            back_off: 5.0,
            lowest: QualityLevel::Low,
            highest: QualityLevel::Maximum,
        }
    }
}

impl GovernorConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let Self { misses, patience, dwell, calm, back_off, lowest, highest, .. } = *self;
        self.load.check("load")?;
        self.cpu.check("cpu")?;
        self.memory.check("memory")?;
        self.latency.check("latency")?;
        ConfigError::require(misses >= 1, "misses", "at least 1", misses)?;
        ConfigError::require(
            patience >= 0.0 && patience.is_finite(),
            "patience",
            "0 seconds or more",
            patience,
        )?;
        let fits = dwell >= 0.01 && dwell.is_finite();
        ConfigError::require(fits, "dwell", "at least 0.01 seconds", dwell)?;
        let fits = calm >= dwell && calm.is_finite();
        ConfigError::require(fits, "calm", "at least dwell", calm)?;
        let fits = back_off >= calm && back_off.is_finite();
        ConfigError::require(fits, "back_off", "at least calm", back_off)?;
        ConfigError::require(lowest <= highest, "lowest", "at most highest", lowest)
    }
}
