//! Harmony: chords as they are written, and what comes next.
//!
//! [`NextChord`] knows what tends to follow, from many songs and from what this one has done so far.

mod chord;
mod next;
mod tensors;

pub use chord::{Chord, ChordError, ChordLabel, Mode, PitchClass, Quality, Triad};
pub use next::{NextChord, NextChordConfig};
