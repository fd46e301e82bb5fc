//! Pitch of a single voice: YIN, and pYIN for a smoothed track with a probability of voicing.

mod difference;
mod pyin;
mod track;
mod yin;

pub use difference::Edges;
pub use pyin::{Pyin, PyinConfig, TrackedPitch};
pub use yin::{Pitch, Yin, YinConfig};

/// Hz of the note C2, the lowest pitch looked for unless another is asked for.
const C2: f64 = 65.406_391_325_149_66;
/// Hz of the note C7, the highest pitch looked for unless another is asked for.
const C7: f64 = 2_093.004_522_404_789;
