//! What happens in a stream, and who is told.

use upbeat_core::SampleIndex;
use upbeat_io::live::StreamEvent;
use upbeat_perf::{GovernorEvent, QualitySettings};
use upbeat_predict::beats::{BarPosition, TempoCandidate, TempoChange};
use upbeat_predict::energy::{Energy, EnergyTransition};
use upbeat_predict::harmony::{ChordLabel, Key, Triad};

use crate::FeatureFrame;

/// Something that happened in a stream, or is expected to.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// The sample that the event lies at; for a prediction, one that has not been heard yet.
    pub at: SampleIndex,
    /// How far the stream had been heard when the event was told: the end of the newest sample used.
    pub heard: SampleIndex,
    /// What it is.
    pub kind: EventKind,
}

impl Event {
    /// An event, for listeners that are told by something else than a pipeline.
    #[must_use]
    pub const fn new(at: SampleIndex, heard: SampleIndex, kind: EventKind) -> Self {
        Self { at, heard, kind }
    }
}

/// The kinds of [`Event`]s.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum EventKind {
    /// Something began to sound; told if [`Feature::Onset`](crate::Feature::Onset) is computed.
    Onset {
        /// How much the mel bands rose, as in [`Feature::OnsetStrength`](crate::Feature::OnsetStrength).
        strength: f32,
    },
    /// Another note is sung or played, or none any more; told if [`Feature::Pitch`](crate::Feature::Pitch)
    /// is computed, once the nearest semitone has been the same for three frames.
    Pitch {
        /// The fundamental frequency in Hz; `None` where the voice stops.
        frequency: Option<f32>,
    },
    /// A beat, announced before it happens: [`Event::at`] lies in the future, by 0.25 s as a rule.
    Beat {
        /// The standard deviation of the time, in seconds, if there is such a beat at all.
        std_dev: f64,
        /// The chance that the beat is within 70 ms of that time.
        confidence: f32,
        /// Where in the bar it is, if that is known: beat 1 is the downbeat.
        bar_position: Option<BarPosition>,
        /// The tempo, in beats per minute.
        bpm: Option<f64>,
        /// What else the tempo may be, the likeliest first; the tempo followed is among them.
        tempi: [Option<TempoCandidate>; 3],
    },
    /// The tempo is known now, or another by 2 % than the one told last, or unknown: there is no beat (any more).
    Tempo {
        /// In beats per minute.
        bpm: Option<f64>,
    },
    /// The music has gone over to another tempo.
    TempoChange(TempoChange),
    /// The beat tracker was corrected.
    Steered(BeatCommand),
    /// How loud the music is for what it has been, ten times a second.
    Energy(Energy),
    /// The energy changes.
    Transition(EnergyTransition),
    /// Another chord sounds, or the key is another one.
    Chord {
        /// The chord, or that there is none.
        label: ChordLabel,
        /// How likely the chord's triad is right.
        confidence: f32,
        /// The key, if one is likelier than all others together.
        key: Option<Key>,
        /// The chord most likely to come next, and its probability.
        next: Option<(Triad, f32)>,
        /// When this one is most likely to end, and how likely just then; `None` while there is no beat.
        changes: Option<(SampleIndex, f32)>,
    },
    /// Samples were lost: the stream goes on `lost` samples after where it had stopped.
    Gap {
        /// Samples per channel that never came; 0 where the index jumped backwards.
        lost: u64,
    },
    /// A supervised stream lost its device, found it again, or moved to another.
    Stream(StreamEvent),
    /// More or less is computed from here on.
    Quality(QualitySettings),
    /// The load is too high, or the quality changes, and why; from the control thread of a
    /// [`Pipeline`](crate::Pipeline).
    Governor(GovernorEvent),
}

/// A correction of the beat tracker by someone who knows better.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum BeatCommand {
    /// Take twice the tempo; see [`BeatTracker::double`](upbeat_predict::beats::BeatTracker::double).
    Double,
    /// Take half the tempo; see [`BeatTracker::halve`](upbeat_predict::beats::BeatTracker::halve).
    Halve,
    /// Beats lie half-way between where they are now.
    ShiftHalf,
    /// Stay within a factor of √2 of the tempo, or do not any longer.
    LockOctave(bool),
    /// Expect this tempo, in beats per minute.
    Retarget(f64),
    /// Allow tempi from the first to the second, in beats per minute.
    Range(f64, f64),
    /// Somebody taps a beat at this sample.
    Tap(SampleIndex),
}

impl BeatCommand {
    /// As numbers: which, and its arguments.
    pub(crate) fn words(self) -> [f64; 3] {
        match self {
            Self::Double => [0.0, 0.0, 0.0],
            Self::Halve => [1.0, 0.0, 0.0],
            Self::ShiftHalf => [2.0, 0.0, 0.0],
            Self::LockOctave(lock) => [3.0, f64::from(u8::from(lock)), 0.0],
            Self::Retarget(bpm) => [4.0, bpm, 0.0],
            Self::Range(min, max) => [5.0, min, max],
            Self::Tap(at) => [6.0, f64::from_bits(at.0), 0.0],
        }
    }

    /// From what [`words`](Self::words) gave; `None` for other numbers.
    pub(crate) fn from_words([which, first, second]: [f64; 3]) -> Option<Self> {
        Some(match which as u32 {
            0 => Self::Double,
            1 => Self::Halve,
            2 => Self::ShiftHalf,
            3 => Self::LockOctave(first != 0.0),
            4 => Self::Retarget(first),
            5 => Self::Range(first, second),
            6 => Self::Tap(SampleIndex(first.to_bits())),
            _ => return None,
        })
    }
}

/// Gets what a stream brings: events, and the features of each frame.
///
/// A closure that takes an [`Event`] is a listener too.
pub trait Listener {
    /// Something happened.
    fn event(&mut self, event: &Event);

    /// The features of another frame; ignored by default.
    fn frame(&mut self, frame: &FeatureFrame) {
        let _ = frame;
    }

    /// A block of the stream as it came, interleaved, before what it brings; ignored by default.
    fn block(&mut self, at: SampleIndex, interleaved: &[f32]) {
        let _ = (at, interleaved);
    }

    /// The stream has ended: the last call. Nothing is done by default.
    fn end(&mut self) {}

    /// What it wants to be told; all events by default.
    ///
    /// Asked once, before the stream begins.
    fn interests(&self) -> Interests {
        Interests::EVENTS
    }
}

impl<F: FnMut(&Event)> Listener for F {
    fn event(&mut self, event: &Event) {
        self(event);
    }
}

/// What a [`Listener`] wants to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interests {
    /// Calls of [`Listener::event`].
    pub events: bool,
    /// Calls of [`Listener::frame`].
    pub frames: bool,
    /// Calls of [`Listener::block`]; only a [`Pipeline`](crate::Pipeline) makes them.
    pub blocks: bool,
}

impl Interests {
    /// Nothing at all.
    pub const NONE: Self = Self { events: false, frames: false, blocks: false };
    /// Events alone.
    pub const EVENTS: Self = Self { events: true, ..Self::NONE };
    /// Frames alone.
    pub const FRAMES: Self = Self { frames: true, ..Self::NONE };
    /// Blocks, events and frames, in the order in which they come.
    pub const ALL: Self = Self { events: true, frames: true, blocks: true };
}
