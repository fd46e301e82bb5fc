//! A song made by the code itself, of which every beat, chord and note is known.
//!
//! Eight bars of 4/4 at 120 beats per minute, 16 seconds: drums, bass and chords (A minor, F, C, G, twice), joined in
//! the second half by a plucked melody. It is stereo, about −14 LUFS, and the same at all sample rates, apart from what
//! lies above half of it. Two runs give the same bits; two machines may differ in the last bit of a sine.
//!
//! ```
//! use upbeat_core::SampleRate;
//! use upbeat_io::demo;
//!
//! let song = demo::song(SampleRate::new(48_000)?)?;
//! assert_eq!(song.interleaved.len(), 2 * 16 * 48_000);
//! assert_eq!(song.annotations.beats[..3], [0.0, 0.5, 1.0]);
//! assert_eq!(song.annotations.chords[1].label, "F:maj");
//! # Ok::<(), upbeat_core::ConfigError>(())
//! ```

use upbeat_core::{ConfigError, SampleIndex, SampleRate};

use crate::source::capacity;
use crate::{Block, IoError, Source, StreamFormat};

mod score;
mod voice;

use voice::Voice;

/// What is played when in the demo.
///
/// All times are in seconds from the start of the song, and exact: it has no swing, and no delay before its first beat.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Annotations {
    /// Beats per minute.
    pub tempo: f64,
    /// The length of the song.
    pub duration: f64,
    /// All beats.
    pub beats: Vec<f64>,
    /// The beats that begin a bar.
    pub downbeats: Vec<f64>,
    /// The chords, one after the other without pause.
    pub chords: Vec<Chord>,
    /// All notes of all instruments, in the order they begin in.
    pub notes: Vec<Note>,
    /// The times at which one or more notes begin, each once, in order.
    pub onsets: Vec<f64>,
}

/// A chord and how long it sounds.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Chord {
    /// Where it begins.
    pub start: f64,
    /// Where it ends.
    pub end: f64,
    /// Its name after Harte et al., ISMIR 2005, such as `A:min`.
    pub label: &'static str,
    /// The pitch class of its root, 0 for C to 11 for B.
    pub root: u8,
    /// Whether its third is minor.
    pub is_minor: bool,
}

/// A note, or a stroke of a drum.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Note {
    /// Where it begins.
    pub start: f64,
    /// Who plays it.
    pub instrument: Instrument,
    /// The MIDI number of its pitch, 69 for 440 Hz; none for drums.
    pub pitch: Option<u8>,
    /// How long it is held; drums ring as they like.
    duration: f64,
    /// How loud it is, 1 for its instrument's usual level.
    velocity: f64,
}

/// Who plays in the demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Instrument {
    /// A sine that falls from 160 to 48 Hz.
    Kick,
    /// Two tones and noise.
    Snare,
    /// Short noise above 5 kHz.
    ClosedHat,
    /// Longer noise above 5 kHz.
    OpenHat,
    /// Long noise above 2 kHz.
    Crash,
    /// A saw wave that darkens.
    Bass,
    /// Saw waves, two a little out of tune for each note of a chord.
    Pad,
    /// A plucked string.
    Lead,
}

/// The demo as one piece.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Song {
    /// The samples, left and right in turn.
    pub interleaved: Vec<f32>,
    /// Two channels.
    pub format: StreamFormat,
    /// What is played when.
    pub annotations: Annotations,
}

/// The whole demo at `sample_rate`.
///
/// # Errors
///
/// As [`DemoSource::new`].
pub fn song(sample_rate: SampleRate) -> Result<Song, ConfigError> {
    let mut source = DemoSource::new(sample_rate)?;
    let format = source.format;
    let mut interleaved = vec![0.0; source.length as usize * CHANNELS];
    source.render(&mut interleaved);
    Ok(Song { interleaved, format, annotations: annotations() })
}

/// What is played when in the demo; the same at all sample rates.
#[must_use]
pub fn annotations() -> Annotations {
    score::annotations()
}

/// The demo as a stream, made while it is read.
#[derive(Clone, Debug)]
pub struct DemoSource {
    format: StreamFormat,
    length: u64,
    at: u64,
    /// The notes that have not begun, the next one last.
    waiting: Vec<Note>,
    voices: Vec<Voice>,
    /// A piece of left and right before it is rounded.
    mix: Vec<[f64; CHANNELS]>,
}

impl DemoSource {
    /// The demo from its start, at `sample_rate`.
    ///
    /// # Errors
    ///
    /// If `sample_rate` is not within 8 to 192 kHz.
    pub fn new(sample_rate: SampleRate) -> Result<Self, ConfigError> {
        let hz = sample_rate.hz();
        ConfigError::require(
            (8000..=192_000).contains(&hz),
            "sample_rate",
            "8000 to 192000 Hz",
            hz,
        )?;
        let annotations = annotations();
        let length = sample_rate.samples(annotations.duration);
        let mut waiting = annotations.notes;
        waiting.reverse();
        Ok(Self {
            format: StreamFormat::stereo(sample_rate),
            length,
            at: 0,
            waiting,
            voices: Vec::new(),
            mix: Vec::with_capacity(PIECE),
        })
    }

    /// The next samples, as many as `interleaved` holds; there must be as many.
    fn render(&mut self, interleaved: &mut [f32]) {
        for piece in interleaved.chunks_mut(PIECE * CHANNELS) {
            let end = self.at + (piece.len() / CHANNELS) as u64;
            self.begin_notes(end);
            self.mix.clear();
            self.mix.resize(piece.len() / CHANNELS, [0.0; CHANNELS]);
            for voice in &mut self.voices {
                voice.add_to(self.at, &mut self.mix);
            }
            self.voices.retain(|voice| voice.end() > end);
            for (sample, mixed) in piece.iter_mut().zip(self.mix.as_flattened()) {
                *sample = *mixed as f32;
            }
            self.at = end;
        }
    }

    /// Makes voices of the notes whose first sample comes before `end`.
    fn begin_notes(&mut self, end: u64) {
        let rate = self.format.sample_rate();
        while let Some(note) = self.waiting.last()
            && voice::first_sample(note.start, rate) < end
        {
            self.voices.push(Voice::new(note, rate));
            self.waiting.pop();
        }
    }
}

impl Source for DemoSource {
    fn format(&self) -> StreamFormat {
        self.format
    }

    fn length(&self) -> Option<u64> {
        Some(self.length)
    }

    fn read<'b>(&mut self, buffer: &'b mut [f32]) -> Result<Option<Block<'b>>, IoError> {
        let room = capacity(buffer, self.format) as u64;
        let samples = room.min(self.length - self.at) as usize;
        if samples == 0 {
            return Ok(None);
        }
        let at = SampleIndex(self.at);
        let interleaved = &mut buffer[..samples * CHANNELS];
        self.render(interleaved);
        Ok(Some(Block { at, interleaved }))
    }
}

/// Left and right.
const CHANNELS: usize = 2;
/// Samples rendered at once.
const PIECE: usize = 1024;
