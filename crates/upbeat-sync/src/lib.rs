//! Sync out: what is predicted of a stream, told to lights, instruments and other programs before it happens.
//!
//! - [`SyncOut`] is what most will use: it takes [`Cue`]s at sample indices, and sends them by OSC and as MIDI clock.
//! - [`OscEncoder`] makes the OSC packets, [`OscOut`] sends them by UDP.
//! - [`MidiClock`] makes a MIDI clock of predicted beats, and knows neither devices nor the time; [`MidiOut`] plays
//!   it, into any function or (feature `midi`) a MIDI port.
//! - [`StreamClock`] says when a sample sounds.
//!
//! `docs/sync.md` specifies every message.
//!
//! ```
//! use upbeat_core::{SampleIndex, SampleRate};
//! use upbeat_sync::{Beat, Cue, SyncOut};
//!
//! let rate = SampleRate::new(48_000)?;
//! let mut out = SyncOut::new(rate);
//! out.add_osc("127.0.0.1:9000")?;
//! out.set_nudge(-0.02)?; // 20 ms earlier, for slow lamps
//!
//! // One second has been heard, and a beat is expected a quarter of a second later.
//! let beat = Beat { bpm: Some(120.0), confidence: 0.9, std_dev: 0.01, bar: None };
//! out.tell(SampleIndex(60_000), SampleIndex(48_000), &Cue::Beat(beat));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! All this allocates and locks, and is for the thread of a listener, never for the audio thread.
//!
//! # Cargo features
//!
//! - `midi`: [`MidiOut::open`], to MIDI ports of the system. On Linux it needs ALSA's headers to build.

#![forbid(unsafe_code)]

mod clock;
mod cue;
mod error;
mod midi;
mod midi_out;
mod osc;
mod out;

pub use clock::StreamClock;
pub use cue::{Bar, Beat, Cue, Transition};
pub use error::SyncError;
pub use midi::{MidiClock, MidiClockConfig, MidiMessage, PULSES_PER_BEAT};
pub use midi_out::MidiOut;
pub use osc::{NtpTime, OscEncoder, OscOut};
pub use out::{SyncOut, SyncStats};
