//! What a governor is told, and what it tells.

use std::fmt;

use super::{QualityLevel, Strategy};
use crate::{LoadStats, SystemLoad};

/// What was measured since the last update.
///
/// Whatever is `None` is not known, and neither helps nor hinders; so is what is not a number, or negative.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct GovernorInput {
    /// Seconds since any moment that is always the same. A time that goes backward counts as no time passed.
    pub time: f64,
    /// The median load, 1 being just in time: how heavy the work is as a rule.
    pub load_p50: Option<f64>,
    /// The load that 99 % of blocks did not exceed.
    pub load_p99: Option<f64>,
    /// Blocks that missed their deadline, and over- and underruns, since the last update.
    pub misses: u64,
    /// Use of the processor, 0 to 1.
    pub cpu: Option<f64>,
    /// Memory used, in bytes.
    pub memory: Option<f64>,
    /// How far the analysis is behind the sound, in seconds.
    pub latency: Option<f64>,
}

impl GovernorInput {
    /// Nothing measured until `time` in seconds.
    #[must_use]
    pub fn at(time: f64) -> Self {
        Self { time, ..Self::default() }
    }

    /// With the load of an interval.
    #[must_use]
    pub fn with_load(self, stats: &LoadStats) -> Self {
        let misses = stats.misses.saturating_add(stats.xruns);
        let load_p50 = stats.load.map(|load| f64::from(load.p50));
        let load_p99 = stats.load.map(|load| f64::from(load.p99));
        Self { load_p50, load_p99, misses, ..self }
    }

    /// With the process's own use of processor and memory, the part that lower quality can change.
    #[must_use]
    pub fn with_system(self, load: &SystemLoad) -> Self {
        let memory = load.own_memory.map(|bytes| bytes as f64);
        Self { cpu: load.own_cpu, memory, ..self }
    }

    /// With how far the analysis is behind the sound, in seconds.
    #[must_use]
    pub fn with_latency(self, seconds: f64) -> Self {
        Self { latency: Some(seconds), ..self }
    }
}

/// What can run short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Resource {
    /// Time: the 99th percentile of processing time over deadline.
    Load,
    /// Deadlines missed, over- and underruns.
    Misses,
    /// Use of the processor, 0 to 1.
    Cpu,
    /// Memory, in bytes.
    Memory,
    /// How far the analysis is behind the sound, in seconds.
    Latency,
}

impl Resource {
    /// Its name, in `snake_case`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Misses => "misses",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Latency => "latency",
        }
    }
}

/// A measurement that reached a threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Cause {
    /// What was measured.
    pub resource: Resource,
    /// What it was.
    pub value: f64,
    /// The threshold it reached.
    pub threshold: f64,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resource, value, threshold } = *self;
        let name = resource.name();
        match resource {
            Resource::Memory => {
                write!(f, "{name} {:.0} MB, limit {:.0} MB", value / 1e6, threshold / 1e6)
            }
            Resource::Latency => {
                write!(f, "{name} {:.1} ms, limit {:.1} ms", value * 1e3, threshold * 1e3)
            }
            Resource::Misses => write!(f, "{name} {value:.0}, limit {threshold:.0}"),
            Resource::Load | Resource::Cpu => {
                write!(f, "{name} {:.0} %, limit {:.0} %", value * 100.0, threshold * 100.0)
            }
        }
    }
}

/// Why the level is what it is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Reason {
    /// Nothing has happened yet.
    #[default]
    Start,
    /// Something ran short.
    Overload(Cause),
    /// All has been calm for long enough.
    Calm,
    /// The user wants it so.
    ByHand,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => f.write_str("start"),
            Self::Overload(cause) => cause.fmt(f),
            Self::Calm => f.write_str("calm"),
            Self::ByHand => f.write_str("by hand"),
        }
    }
}

/// What listeners are told.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(tag = "event", rename_all = "snake_case"))]
#[non_exhaustive]
pub enum GovernorEvent {
    /// A resource runs short; told once until it has relaxed.
    Warning {
        /// Seconds, as in [`GovernorInput::time`].
        time: f64,
        /// Which, and how much.
        cause: Cause,
    },
    /// A resource has run out; told once until it has relaxed.
    Critical {
        /// Seconds, as in [`GovernorInput::time`].
        time: f64,
        /// Which, and how much.
        cause: Cause,
    },
    /// A strategy goes further, or less far, than before.
    OptimizationApplied {
        /// Seconds, as in [`GovernorInput::time`].
        time: f64,
        /// Which.
        strategy: Strategy,
        /// How far: as is recommended for this level. At `MAXIMUM` it is off.
        to: QualityLevel,
    },
    /// The level is another.
    LevelChanged {
        /// Seconds, as in [`GovernorInput::time`].
        time: f64,
        /// What it was.
        from: QualityLevel,
        /// What it is.
        to: QualityLevel,
        /// Why.
        reason: Reason,
    },
}

impl GovernorEvent {
    /// Its name, in `snake_case`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Warning { .. } => "warning",
            Self::Critical { .. } => "critical",
            Self::OptimizationApplied { .. } => "optimization_applied",
            Self::LevelChanged { .. } => "level_changed",
        }
    }

    /// When, in seconds as in [`GovernorInput::time`].
    #[must_use]
    pub const fn time(&self) -> f64 {
        match self {
            Self::Warning { time, .. }
            | Self::Critical { time, .. }
            | Self::OptimizationApplied { time, .. }
            | Self::LevelChanged { time, .. } => *time,
        }
    }
}

impl fmt::Display for GovernorEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} s {}: ", self.time(), self.name())?;
        match self {
            Self::Warning { cause, .. } | Self::Critical { cause, .. } => cause.fmt(f),
            Self::OptimizationApplied { strategy, to, .. } => write!(f, "{strategy} as at {to}"),
            Self::LevelChanged { from, to, reason, .. } => write!(f, "{from} to {to}, {reason}"),
        }
    }
}
