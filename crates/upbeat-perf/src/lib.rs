//! Keeping audio analysis inside its deadline: measure the load, watch the machine, lower the quality, restore it.
//!
//! - [`load_meter`] counts, wait-free in the audio callback, how much of its deadline each block has used:
//!   percentiles, deadline misses, xruns.
//! - [`SystemMonitor`] measures processor and memory use, on a thread of its own.
//! - [`Governor`] turns these measurements into a [`QualityLevel`] and [`QualitySettings`]: a state machine
//!   without a clock, a thread or randomness, so that what it did can be replayed.
//! - [`set_thread_class`] asks for real-time scheduling, and says why it was refused.
//! - [`alloc`] holds code to not allocating, in tests and in debug modes.
//!
//! ```
//! use upbeat_perf::{Governor, GovernorConfig, GovernorInput, QualityLevel, load_meter};
//!
//! let (mut meter, mut monitor) = load_meter();
//! let mut governor = Governor::new(&GovernorConfig::default())?;
//!
//! // In the audio callback: how long the block took, and how long it lasts.
//! for _ in 0..10 {
//!     meter.record(0.015, 0.010); // 15 ms for 10 ms of sound
//! }
//!
//! // On a control thread, ten times a second:
//! let events = governor.update(&GovernorInput::at(0.1).with_load(&monitor.interval()));
//! assert!(events.iter().any(|event| event.name() == "level_changed"));
//! assert!(governor.level() < QualityLevel::Maximum);
//! # Ok::<(), upbeat_perf::PerfError>(())
//! ```
//!
//! # Cargo features
//!
//! - `serde`: `Serialize` and `Deserialize` for measurements, events and settings.

pub mod alloc;
mod error;
mod governor;
mod load;
mod priority;
mod system;

pub use error::PerfError;
pub use governor::{
    Cause, Cost, Governor, GovernorConfig, GovernorEvent, GovernorInput, ItemSet, QualityLevel,
    QualitySettings, Reason, Resource, Strategy, StrategyMode, Thresholds, Tier,
};
pub use load::{LoadMeter, LoadMonitor, LoadQuantiles, LoadStats, load_meter};
pub use priority::{ThreadClass, set_thread_class};
pub use system::{SystemLoad, SystemMonitor, SystemMonitorConfig, SystemProbe};
