//! Equalizers: one that may be moved while it plays, and one that hears its input and moves it towards a word.
//!
//! # By hand
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
//!
//! # By word
//!
//! An [`AdaptiveEqualizer`] estimates the tone of what it gets, and applies the difference to what a word of the
//! [`Vocabulary`] asks for, or a blend of words; its [`AdaptiveHandle`] says what it did and why. Each part
//! stands on its own: [`ToneEar`] hears, [`ToneModel`] judges, [`SemanticEq`] and [`ToneCurve`] are what words
//! are written in, a [`Profile`] learns what a person means by them.
//!
//! ```
//! use upbeat_core::{SampleIndex, SampleRate};
//! use upbeat_eq::{AdaptiveConfig, AdaptiveEqualizer, EqError};
//!
//! let mut config = AdaptiveConfig::new(SampleRate::new(44_100)?, 2);
//! config.words = Some("warm".into());
//! let (mut equalizer, handle) = AdaptiveEqualizer::new(&config)?;
//! let mut stereo = vec![0.0; 2 * 4096];
//! equalizer.process_in_place(SampleIndex(0), &mut stereo);
//! # Ok::<(), EqError>(())
//! ```

#![deny(unsafe_code)]

mod adaptive;
mod band;
mod correction;
mod curve;
mod design;
mod ear;
mod equalizer;
mod error;
mod gate;
mod kernel;
mod model;
mod motion;
mod profile;
mod semantic;
mod vocabulary;
mod words;

pub use adaptive::{
    AdaptiveConfig, AdaptiveEqualizer, AdaptiveHandle, BandMove, Explanation, Status,
};
pub use band::{Band, BandKind};
pub use curve::ToneCurve;
pub use design::{Coefficients, Design, Response, analogue_response};
pub use ear::{Heard, ToneEar, ToneEarConfig};
pub use equalizer::{Equalizer, EqualizerConfig, EqualizerHandle, response};
pub use error::EqError;
pub use gate::Verdict;
pub use kernel::Kernel;
pub use model::{Latent, ToneModel};
pub use profile::Profile;
pub use semantic::SemanticEq;
pub use vocabulary::{Direction, Target, Vocabulary, Word};
