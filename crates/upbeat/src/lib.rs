//! Real-time audio analysis: push blocks of any size, get features per hop in your own callback.
//!
//! This crate composes the upbeat crates; each of them is a module here. [`Analyzer`] computes any set of
//! [`Feature`]s of a stream, without threads and without allocating after construction:
//!
//! ```
//! use upbeat::{Analyzer, AnalyzerConfig, Feature};
//!
//! let mut analyzer = Analyzer::new(&AnalyzerConfig::new(44_100, 2))?;
//! let block = vec![0.0; 2 * 4096]; // interleaved samples, from wherever you get them
//! analyzer.push(&block, |frame| {
//!     let level = frame.value(Feature::Rms);
//!     let pitch = frame.value(Feature::Pitch); // None where there is none
//!     let mfcc = frame.values(Feature::Mfcc);
//!     println!("{:.2} s: {level:?} {pitch:?} {mfcc:.1?}", frame.seconds());
//! })?;
//! # Ok::<(), upbeat::Error>(())
//! ```
//!
//! [`EventAnalyzer`] adds what is predicted, and tells what happens as [`Event`]s; [`Pipeline`] does so on threads,
//! from a file, a sound card or samples that you push, to any number of [`Listener`]s. One of them is
//! [`sync::SyncOut`], which tells others of beats by OSC and MIDI.
//!
//! For pipelines of your own, compose stages: see [`core::Stage`] and [`features`].
//!
//! # Cargo features
//!
//! - `serde`: `Serialize` for frames, both ways for settings.
//! - `midi`: [`sync::MidiOut::open`], a MIDI clock to ports of the system.
//! - `ndarray`: [`FeatureFrame::array`](FeatureFrame#method.array) gives views for `ndarray`.

#![forbid(unsafe_code)]

pub use upbeat_core as core;
pub use upbeat_eq as eq;
pub use upbeat_features as features;
pub use upbeat_io as io;
pub use upbeat_nn as nn;
pub use upbeat_perf as perf;
pub use upbeat_predict as predict;
pub use upbeat_sync as sync;
pub use upbeat_window as window;

mod adapters;
mod analyzer;
mod branch;
mod config;
mod costs;
mod error;
mod event;
mod event_analyzer;
mod feature;
mod frame;
pub mod pipeline;
mod plan;
mod predictors;
mod sync_out;

pub use analyzer::{Analyzer, AnalyzerStats};
pub use config::AnalyzerConfig;
pub use costs::FeatureCosts;
pub use error::Error;
pub use event::{BeatCommand, Event, EventKind, Interests, Listener};
pub use event_analyzer::{EventAnalyzer, EventConfig};
pub use feature::{Feature, FeatureSet};
pub use frame::{FeatureFrame, FeatureLayout};
pub use pipeline::{Input, Pipeline, PipelineConfig};

/// The code in the README is tested with that of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
