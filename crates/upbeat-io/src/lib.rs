//! Audio sources for upbeat: sound files, samples in memory, synthetic signals, and a song that needs no file.
//!
//! Everything that gives samples is a [`Source`]: it says its [`StreamFormat`] and hands out [`Block`]s of
//! interleaved samples, each with the [`SampleIndex`](upbeat_core::SampleIndex) it starts at. Where a file is
//! damaged the index jumps over what was lost, so that nothing is glued together.
//!
//! - [`FileSource`]: WAV, AIFF, FLAC, MP3, Ogg Vorbis and MP4/M4A (AAC-LC, ALAC), decoded in pure Rust as they
//!   are read, in memory that does not grow with the length of the file.
//! - [`MemorySource`] and [`SynthSource`]: samples that are there already, and signals made by a closure.
//! - [`demo`]: sixteen seconds of drums, bass and chords, with the times of all beats, chords and notes.
//! - [`WavSink`]: writes samples to a WAV file.
//! - [`Resampler`]: another sample rate, with indices that keep their instants.
//! - [`live`]: devices, and streams that survive their loss.
//!
//! Sources do not belong on an audio thread: files are read and memory is allocated. What does is in [`live`].
//!
//! # Features
//!
//! - `device`: sound cards. On Linux building it needs the ALSA headers and `pkg-config` (Debian: `libasound2-dev
//!   pkg-config`), elsewhere nothing.
//!
//! # Examples
//!
//! ```
//! use upbeat_io::{Source, demo::DemoSource};
//!
//! let mut source = DemoSource::new(upbeat_core::SampleRate::new(44_100)?)?;
//! let channels = source.format().channels();
//! let mut buffer = vec![0.0; 4096 * channels];
//! let mut peak = 0.0_f32;
//! while let Some(block) = source.read(&mut buffer)? {
//!     peak = block.interleaved.iter().fold(peak, |peak, x| peak.max(x.abs()));
//! }
//! assert!(peak > 0.5 && peak < 1.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

pub mod demo;
pub mod live;

mod decode;
mod error;
mod file;
mod mp4;
mod resample;
mod source;
mod synth;
mod trim;
mod wav;

pub use error::IoError;
pub use file::{Damage, FileSource};
pub use resample::{ResampleQuality, Resampler};
pub use source::{Block, MemorySource, Source, StreamFormat};
pub use synth::SynthSource;
pub use wav::{WavEncoding, WavSink};
