//! Onsets: a strength for each frame, and the events picked from it.

mod picker;
mod strength;

pub use picker::{Onset, OnsetPicker, OnsetPickerConfig, OnsetScale};
pub use strength::{OnsetStrength, OnsetStrengthConfig};
