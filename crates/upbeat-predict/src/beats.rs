//! Beats, before they happen: the next beat and those after it, tempo, tempo changes, metre and bar.
//!
//! [`BeatTracker`] is what most will use:
//!
//! ```
//! use upbeat_core::{SampleIndex, SampleRate, Stage};
//! use upbeat_predict::beats::{BeatConfig, BeatTracker};
//!
//! let rate = SampleRate::new(44_100)?;
//! let mut tracker = BeatTracker::new(&BeatConfig::new(rate))?;
//! let block = vec![0.0; 4096]; // mono samples, from wherever you get them
//! tracker.process(SampleIndex(0), &block, |_, estimate| {
//!     if let Some(beat) = estimate.beat {
//!         println!("beat at {:.3} s, {:.0} % sure", beat.at.seconds(rate), 100.0 * beat.confidence);
//!     }
//! });
//! assert!(tracker.next_beat().is_none()); // silence has no beat
//! # Ok::<(), upbeat_core::ConfigError>(())
//! ```
//!
//! [`BeatSpectrum`] is its front end, [`TempoMap`] puts the beats of a whole song into a few numbers.

mod bar;
mod confidence;
mod config;
mod filter;
mod follow;
mod front;
mod map;
mod net;
mod tempo;
mod tracker;

pub use bar::{BarPosition, Metre};
pub use config::{BeatConfig, FrontEnd};
pub use front::BeatSpectrum;
pub use map::{Anchor, TempoMap};
pub use tempo::{Relation, TempoCandidate, TempoChange, TempoForecast};
pub use tracker::{BeatEstimate, BeatTracker, Horizon, Prediction};
