//! A library of music: what is in a collection, how it sounds, and what to play next.
//!
//! - [`Library`]: one `SQLite` file with all tracks, their tags and analyses, and what was said about them. It may be used
//!   by several programs at once, and a program that is killed loses nothing that was stored.
//! - [`Library::scan`]: analyses folders on all cores; files that have not changed are left alone, and files that cannot
//!   be read are listed with the reason. [`Watch`] follows changes as they happen.
//! - [`Library::search`] by words, tempo and key; [`SimilarTracks`] by sound.
//! - [`MixSession`]: what plays, what to play next and why, learning from what is made of it.
//! - [`playlist`] writes and reads M3U8, [`rekordbox`] and [`traktor`] the beat grids of those programs.
//!
//! Nothing here belongs on an audio thread.
//!
//! # Examples
//!
//! ```
//! use std::ops::ControlFlow;
//! use upbeat_library::{Library, Query, ScanConfig};
//!
//! let folder = tempfile::tempdir()?;
//! # let format = upbeat_io::StreamFormat::mono(upbeat_core::SampleRate::new(8000)?);
//! # let song = folder.path().join("song.wav");
//! # let mut sink = upbeat_io::WavSink::create(song, format, upbeat_io::WavEncoding::Int16)?;
//! # sink.write(&[0.1, -0.1].repeat(8000))?;
//! # sink.finish()?;
//! std::fs::write(folder.path().join("broken.flac"), "no music")?;
//!
//! let mut library = Library::open(folder.path().join("library.db"))?;
//! let report = library.scan(&[folder.path()], &ScanConfig::default(), |_| ControlFlow::Continue(()))?;
//! for failure in &report.failures {
//!     println!("{}: {}", failure.path.display(), failure.reason);
//! }
//! assert_eq!((report.analysed, report.failures.len()), (1, 1));
//!
//! let found = library.search(&Query::default().with_words("song"))?;
//! assert_eq!(found[0].name(), "song");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

pub mod playlist;
pub mod rekordbox;
pub mod traktor;

mod analyse;
mod encode;
mod error;
mod feedback;
mod grid;
mod library;
mod listing;
mod live;
mod scan;
mod schema;
mod search;
mod session;
mod similar;
mod tags;
mod tempo;
mod track;
mod watch;
mod work;
mod xml;

pub use analyse::{FEATURE_VERSION, analyse_track};
pub use error::LibraryError;
pub use feedback::{OpenSession, Opinion, SessionId, StoredFeedback};
pub use grid::{BeatGrid, GridAnchor, GridTrack};
pub use library::Library;
pub use live::LiveListener;
pub use scan::{ScanConfig, ScanEvent, ScanFailure, ScanReport};
pub use search::{Query, TempoMatch};
pub use session::{Cause, LiveUpdate, MixConfig, MixSession, Proposal, SessionEvent};
pub use similar::{Similar, SimilarTracks};
pub use tags::Tags;
pub use track::{NewTrack, Tempo, TempoCandidate, Track, TrackAnalysis, TrackId, TrackKey};
pub use upbeat_adapt as adapt;
pub use watch::Watch;
