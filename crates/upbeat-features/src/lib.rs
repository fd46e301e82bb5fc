//! Streaming audio features with librosa's numbers.
//!
//! Every feature is a [`Stage`](upbeat_core::Stage): it takes one frame of samples, one [`Spectrum`](stft::Spectrum) or
//! one row of bands at a time and emits what it makes of it. Chain the stages that you need, and
//! share what they have in common:
//!
//! ```text
//! samples ─ Framer ─┬─ Rms, Peak, …                       levels, of frames of samples
//!                   └─ Stft ─┬─ SpectralShape, …          shapes, of a Spectrum
//!                            └─ MelSpectrogram ─ LogMel ─ Mfcc ─ Delta
//! ```
//!
//! # What is common to all
//!
//! - Frames start where librosa's do with `center=False`: a value refers to the first sample of its
//!   frame, and nothing is padded.
//! - Values are librosa's, to 1e-4 of the feature's range, where librosa has the feature; `tests/golden`
//!   holds values that librosa itself computed. Elsewhere the documentation gives the formula and
//!   the source.
//! - Silence gives a documented finite value; no input gives NaN.
//! - Sample rates are always given. Times are in seconds, levels are relative to full scale 1.0.
//!
//! ```
//! use upbeat_core::{FrameSpec, SampleIndex, SampleRate, Stage};
//! use upbeat_features::stft::{Stft, StftConfig};
//! use upbeat_window::Framer;
//!
//! let spec = FrameSpec::new(2048, 512, SampleRate::new(48_000)?)?;
//! let mut spectra = Framer::new(spec).then(Stft::new(&StftConfig::new(2048))?);
//! let mut count = 0;
//! spectra.process(SampleIndex(0), &[0.0; 4096], |_, spectrum| {
//!     assert_eq!(spectrum.power().len(), 1025);
//!     count += 1;
//! });
//! assert_eq!(count, 5);
//! # Ok::<(), upbeat_core::ConfigError>(())
//! ```

#![forbid(unsafe_code)]

mod math;

pub mod chroma;
pub mod cqt;
pub mod delta;
pub mod harmonic;
pub mod kaldi;
pub mod level;
pub mod loudness;
pub mod mel;
pub mod mfcc;
pub mod onset;
pub mod pcen;
pub mod pitch;
pub mod spectral;
pub mod stereo;
pub mod stft;
pub mod tonnetz;
