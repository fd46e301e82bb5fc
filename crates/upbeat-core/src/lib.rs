//! Units, the [`Stage`] trait and its combinators: what every upbeat crate agrees on.
//!
//! A *stage* turns one stream into another: samples into frames, frames into spectra, spectra into
//! features. All of upbeat is built from stages, and all of them keep the same contract:
//!
//! - **Streaming is the truth.** However a stream is cut into blocks, a stage emits the same values,
//!   bit for bit. There is no separate batch implementation.
//! - **Time is exact.** Every block says at which [`SampleIndex`] it starts, every output says which
//!   sample it refers to, and [`Stage::latency`] says how much later it comes.
//! - **Gaps are data.** A block that does not start where the last one ended is a dropout. A stage with
//!   memory forgets what lies before it, as after [`Stage::reset`]; nothing is glued together.
//! - **Construction may fail and allocate, use does neither.**
//!
//! ```
//! use upbeat_core::{SampleIndex, Stage};
//!
//! /// Emits each sample's distance from the one before it; the first sample of a stream has none.
//! #[derive(Default)]
//! struct Difference {
//!     last: Option<f32>,
//!     continuity: upbeat_core::Continuity,
//! }
//!
//! impl Stage for Difference {
//!     type In = [f32];
//!     type Out = f32;
//!
//!     fn process(&mut self, at: SampleIndex, input: &[f32], mut emit: impl FnMut(SampleIndex, &f32)) {
//!         if self.continuity.advance(at, input.len() as u64).is_some() {
//!             self.last = None; // a gap: the sample before it is no neighbour
//!         }
//!         for (offset, sample) in (0..).zip(input) {
//!             if let Some(last) = self.last.replace(*sample) {
//!                 emit(at + offset, &(sample - last));
//!             }
//!         }
//!     }
//!
//!     fn reset(&mut self) {
//!         *self = Self::default();
//!     }
//! }
//!
//! let mut stage = Difference::default();
//! let mut seen = Vec::new();
//! stage.process(SampleIndex(0), &[1.0, 4.0], |at, d| seen.push((at.0, *d)));
//! stage.process(SampleIndex(2), &[9.0], |at, d| seen.push((at.0, *d)));
//! stage.process(SampleIndex(100), &[0.0, 2.0], |at, d| seen.push((at.0, *d))); // 97 samples lost
//! assert_eq!(seen, [(1, 3.0), (2, 5.0), (101, 2.0)]);
//! ```

#![forbid(unsafe_code)]

mod continuity;
mod error;
mod mix;
mod sanitize;
mod stage;
mod units;

pub use continuity::{Continuity, Gap};
pub use error::ConfigError;
pub use mix::Mix;
pub use sanitize::{MAX_SAMPLE, sanitize};
pub use stage::{BoxedStage, Chain, DynStage, Fork, PerChannel, Stage, Tap};
pub use units::{Decibels, FrameSpec, SampleIndex, SampleRate};
