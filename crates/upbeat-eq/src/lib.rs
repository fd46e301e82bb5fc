//! Parametric equalizer that may be moved while it plays.
//!
//! An [`Equalizer`] runs any number of [`Band`]s over any number of channels, in place and without delay:
//! bells, shelves, passes, notches, tilts. Its filters are matched to their analogue prototypes up to half
//! the sample rate ([`Design::Matched`]); an [`EqualizerHandle`] moves them from any thread, without clicks.
//! [`response`] and [`analogue_response`] say what comes of a setting.
//!
//! ```
//! use upbeat_core::{SampleIndex, SampleRate};
//! use upbeat_eq::{Band, Equalizer, EqualizerConfig};
//!
//! let rate = SampleRate::new(44_100)?;
//! let bands = [Band::high_pass(30.0), Band::peak(300.0, -3.0, 1.0), Band::high_shelf(8_000.0, 2.0)];
//! let mut equalizer = Equalizer::new(&EqualizerConfig::new(rate, 2, &bands))?;
//! let mut stereo = vec![0.25; 2 * 44_100];
//! equalizer.process_in_place(SampleIndex(0), &mut stereo);
//! assert!(stereo[2 * 44_099].abs() < 1e-6); // one second on, nothing is left of a constant
//! # Ok::<(), upbeat_core::ConfigError>(())
//! ```

#![deny(unsafe_code)]

mod band;
mod design;
mod equalizer;
mod kernel;
mod motion;

pub use band::{Band, BandKind};
pub use design::{Coefficients, Design, Response, analogue_response};
pub use equalizer::{Equalizer, EqualizerConfig, EqualizerHandle, response};
pub use kernel::Kernel;
