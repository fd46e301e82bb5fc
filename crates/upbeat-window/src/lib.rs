//! Sample queue, framer, sliding windows, window functions and overlap-add.
//!
//! What stands between a stream of samples and the analysis of it, for live audio:
//!
//! - [`Framer`] cuts blocks of any size into frames.
//! - [`WindowFunction`] tapers them, with the values of `scipy.signal.get_window`.

#![forbid(unsafe_code)]

mod framer;
mod function;

pub use framer::Framer;
pub use function::{Symmetry, WindowFunction};
