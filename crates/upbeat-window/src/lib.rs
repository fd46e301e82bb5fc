//! Sample queue, framer, sliding windows, window functions and overlap-add.
//!
//! What stands between a stream of samples and the analysis of it, for live audio:
//!
//! - [`sample_queue`] carries samples from the audio thread to the analysis thread without a lock.
//! - [`Framer`] cuts blocks of any size into frames.
//! - [`WindowFunction`] tapers them, with the values of `scipy.signal.get_window`.

#![forbid(unsafe_code)]

mod framer;
mod function;
mod queue;

pub use framer::Framer;
pub use function::{Symmetry, WindowFunction};
pub use queue::{QueueConfig, QueueMonitor, QueueReader, QueueStats, QueueWriter, sample_queue};
