//! Sample queue, framer, sliding windows, window functions and overlap-add.
//!
//! What stands between a stream of samples and the analysis of it, for live audio:
//!
//! - [`sample_queue`] carries samples from the audio thread to the analysis thread without a lock.
//! - [`latest`](latest::latest) carries the newest value of something from one thread to another, without a lock.
//! - [`Framer`] cuts blocks of any size into frames.
//! - [`WindowFunction`] tapers them, with the values of `scipy.signal.get_window`.
//! - [`OverlapAdd`] puts frames together again.
//! - [`SlidingWindow`] keeps the newest seconds, any stretch of them as one slice.
//! - [`SlidingStatistic`] follows the mean, RMS, minimum, maximum or median, without drift.

#![forbid(unsafe_code)]

mod clean;
mod framer;
mod function;
pub mod latest;
mod overlap;
mod queue;
mod sliding;
mod statistic;
mod sync;

pub use framer::Framer;
pub use function::{Symmetry, WindowFunction};
pub use overlap::{OverlapAdd, OverlapAddConfig, check_cola, check_nola};
pub use queue::{QueueConfig, QueueMonitor, QueueReader, QueueStats, QueueWriter, sample_queue};
pub use sliding::{SlidingWindow, SlidingWindowConfig};
pub use statistic::{SlidingStatistic, Statistic};
