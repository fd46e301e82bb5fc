//! Harmony: what is sounding, in which key, and what comes next.
//!
//! [`ChordRecognizer`] hears chords and the key; [`NextChord`] knows what tends to follow.

mod chord;
mod filter;
mod key;
mod net;
mod next;
mod pitch_spectrum;
mod recognizer;
mod tensors;

pub use chord::{Chord, ChordError, ChordLabel, Mode, PitchClass, Quality, Triad};
pub use key::{Key, KeyEstimate};
pub use next::{NextChord, NextChordConfig};
pub use pitch_spectrum::{PitchSpectrum, PitchSpectrumConfig, frame_spec};
pub use recognizer::{ChordConfig, ChordEstimate, ChordRecognizer};
