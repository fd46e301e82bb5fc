//! Prediction: what a piece of music will do next, said before it does it, with a probability that can
//! be trusted.
//!
//! - [`beats`]: the next beat and those after it, tempo, metre and bar.
//! - [`energy`]: how loud the music is for what it has been, and when that changes.
//! - [`harmony`]: chords and keys as they are heard, and what chord comes next and when.
//! - [`scoring`]: predictions held against what came.

#![forbid(unsafe_code)]

pub mod beats;
pub mod energy;
pub mod harmony;
pub mod scoring;
