//! Devices, and streams that outlive them.
//!
//! A [`Backend`] lists and opens devices: sound cards (`CardBackend`, with the feature `device`), files and
//! synthetic signals ([`SourceBackend`]), or devices driven by hand for tests ([`MockBackend`]). A [`StreamSupervisor`]
//! keeps a stream on a backend going: it opens the device, watches it, finds it again after it was unplugged, follows
//! the default device, and converts formats, so that what comes out is one stream of one format.
//!
//! # Taking samples out
//!
//! The other end of a supervised input is a [`LiveInput`], for the thread that analyses. It gives [`LiveBlock`]s: the
//! index of the first sample, interleaved samples, the format (always the same), and what is missing before.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//! use upbeat_io::demo::DemoSource;
//! use upbeat_io::live::{Channels, Pace, SourceBackend, StreamSupervisor, SupervisorConfig};
//! use upbeat_core::{SampleIndex, SampleRate};
//!
//! let demo = SourceBackend::new("demo:song", Pace::Fast, || {
//!     Ok(Box::new(DemoSource::new(SampleRate::new(22_050)?)?))
//! });
//! let config = SupervisorConfig { channels: Channels::Mono, ..SupervisorConfig::default() };
//! let (supervisor, mut live) = StreamSupervisor::input(Arc::new(demo), config)?;
//!
//! // The format is known once the first device is open; it is what stages are made for.
//! let format = live.wait_format(Duration::from_secs(5)).expect("the demo opens");
//! assert_eq!((format.channels(), format.sample_rate().hz()), (1, 22_050));
//!
//! let mut next = SampleIndex(0);
//! while !live.has_ended() {
//!     live.wait(Duration::from_millis(100));
//!     live.read(|block| {
//!         if let Some(gap) = block.gap {
//!             println!("{} samples ({} s) are missing before {}", gap.samples, gap.seconds, block.at);
//!         }
//!         // `stage.process(block.at, block.interleaved, ...)`: a stage sees the gap by itself.
//!         next = block.at + block.interleaved.len() as u64;
//!     });
//! }
//! assert!(next.0 > 350_000);
//! supervisor.stop();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - [`LiveInput::read`] never waits and, while one device runs, never allocates or locks. [`LiveInput::wait`] looks
//!   for news every millisecond.
//! - Indices count samples of the stream's rate from the first sample ever heard. They go on through everything: a queue
//!   that was not read in time, samples the device lost, a device that was away (for as long as the clock says), a
//!   device of another rate (converted; see [`Resampler`](crate::Resampler)). Every missing sample is in
//!   exactly one [`StreamGap`]: `stats().next = stats().read + stats().missing`.
//! - [`StreamSupervisor::status`] and [`StreamSupervisor::event`] are for another thread, such as the one that shows the
//!   state.
//! - Tests step a [`StreamSupervision`] on a [`MockBackend`] by hand, without threads and clocks.
//!
//! # Playing
//!
//! [`StreamSupervisor::output`] gives a [`LiveOutput`] that takes samples, and [`StreamSupervisor::duplex`] runs a
//! [`DuplexProcess`] on the audio thread, from input to output. What is not there in time is played as silence and
//! counted.
//!
//! # Threads
//!
//! Callbacks of a device run on the sound system's audio thread: they copy samples into a lock-free queue and count
//! ([`StreamHealth`]), and do not allocate, lock, block or panic. Opening, closing and asking for devices may
//! block for seconds in a sound system that hangs; the supervisor does it on helper threads and leaves those behind
//! that do not come back.

mod backend;
#[cfg(feature = "device")]
mod cards;
mod channels;
mod duplex;
mod error;
mod health;
mod input;
mod jobs;
mod latency;
mod machine;
mod mock;
mod output;
mod port;
mod source_backend;
mod supervision;
mod supervisor;

pub use backend::{
    Backend, CallbackInfo, ConnectInput, ConnectOutput, DeviceId, DeviceInfo, Direction, Encoding,
    FormatRange, InputSink, OpenStream, OutputFill, StreamRequest, monotonic,
};
#[cfg(feature = "device")]
pub use cards::CardBackend;
pub use channels::Channels;
pub use duplex::{DuplexConfig, DuplexProcess};
pub use error::{DeviceError, FaultKind};
pub use health::{StreamHealth, StreamStats};
pub use input::{GapCause, InputStats, LiveBlock, LiveInput, StreamGap};
pub use latency::{
    LatencyConfig, LatencyMeter, LatencyReport, LatencyVerdict, RoundTrip, measure_latency,
};
pub use machine::{Command, LossReason, Machine, Policy, Signal, StreamEvent, StreamState, Timing};
pub use mock::{MockBackend, MockDevice, counting};
pub use output::LiveOutput;
pub use source_backend::{Pace, SourceBackend};
pub use supervision::{StreamStatus, StreamSupervision, SupervisorConfig};
pub use supervisor::StreamSupervisor;
