//! Features and predictions of a stream, as events, without threads.

use std::fmt;

use upbeat_core::{ConfigError, Continuity, SampleIndex};
use upbeat_io::StreamFormat;
use upbeat_perf::{Cost, QualitySettings};
use upbeat_predict::beats::BeatTracker;

use crate::predictors::{Predictors, steer};
use crate::{
    Analyzer, AnalyzerConfig, AnalyzerStats, BeatCommand, Error, Event, EventKind, Feature,
    FeatureFrame, Listener,
};

/// Settings of [`EventAnalyzer`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct EventConfig {
    /// The stream, and the features of its frames.
    pub analyzer: AnalyzerConfig,
    /// Whether to follow the beat. Default: yes.
    pub beats: bool,
    /// Whether to follow the energy. Default: yes.
    pub energy: bool,
    /// Whether to follow chords and keys. Default: yes.
    pub chords: bool,
}

impl EventConfig {
    /// Everything that can be predicted, the usual features, and onsets.
    #[must_use]
    pub fn new(sample_rate: u32, channels: usize) -> Self {
        let mut analyzer = AnalyzerConfig::new(sample_rate, channels);
        analyzer.features.insert(Feature::Onset);
        Self { analyzer, beats: true, energy: true, chords: true }
    }
}

/// Analyses a stream, and tells a [`Listener`] what happens in it.
///
/// This is all that a [`Pipeline`](crate::Pipeline) does to the sound, in one object without threads: the
/// place to start for a plug-in, a test, or a server with threads of its own.
///
/// Samples are analysed up to the last frame that they complete; what comes after it waits for the frame
/// that ends it, at most one hop. So events come in one order, however the stream was cut into blocks:
/// frame by frame, and in each the frame itself, onset, pitch, energy, beats, chords. Nothing is allocated or
/// freed after construction.
///
/// ```
/// use upbeat::{Event, EventAnalyzer, EventConfig, EventKind};
///
/// let mut analyzer = EventAnalyzer::new(&EventConfig::new(48_000, 1))?;
/// let mut onsets = 0;
/// let mut listener = |event: &Event| {
///     onsets += usize::from(matches!(event.kind, EventKind::Onset { .. }));
/// };
/// let mut clicks = vec![0.0; 96_000]; // two seconds, a click every half
/// clicks.iter_mut().step_by(24_000).skip(1).for_each(|x| *x = 0.8);
/// for block in clicks.chunks(480) {
///     analyzer.push(block, &mut listener)?;
/// }
/// assert_eq!(onsets, 3);
/// # Ok::<(), upbeat::Error>(())
/// ```
pub struct EventAnalyzer {
    analyzer: Analyzer,
    /// The same with frames of another length, where that can be; it takes the place of the other when quality
    /// falls or rises.
    resting: Option<Analyzer>,
    /// Whether the one that works has frames half as long.
    is_short: bool,
    /// What was seen before the last change of places.
    before: AnalyzerStats,
    predictors: Predictors,
    notes: Notes,
    channels: usize,
    frame_length: usize,
    hop_length: usize,
    continuity: Continuity,
    /// What came after the last whole frame, interleaved, and where it starts.
    pending: Box<[f32]>,
    filled: usize,
    start: SampleIndex,
    /// Values until the frame at hand is complete.
    until_frame: usize,
    quality: QualitySettings,
}

impl EventAnalyzer {
    /// Allocates all that will ever be needed.
    ///
    /// # Errors
    ///
    /// If a setting cannot work; the error names it and says what would.
    pub fn new(config: &EventConfig) -> Result<Self, ConfigError> {
        let EventConfig { analyzer: features, .. } = config;
        let mut analyzer = Analyzer::new(features)?;
        analyzer.measure_costs(true);
        let resting = short(features, &analyzer);
        let AnalyzerConfig { channels, frame_length, hop_length, .. } = *features;
        Ok(Self {
            predictors: Predictors::new(config)?,
            notes: Notes::default(),
            analyzer,
            resting,
            is_short: false,
            before: AnalyzerStats::default(),
            channels,
            frame_length,
            hop_length,
            continuity: Continuity::default(),
            pending: vec![0.0; frame_length.max(hop_length) * channels].into(),
            filled: 0,
            start: SampleIndex(0),
            until_frame: frame_length * channels,
            quality: QualitySettings::default(),
        })
    }

    /// Takes a block of interleaved samples that starts at index `at`, and tells what the frames bring that it
    /// completes.
    ///
    /// A block that does not start where the last one ended is a gap: what waited before it is analysed,
    /// an [`EventKind::Gap`] is told, and all starts anew.
    ///
    /// # Errors
    ///
    /// If the block is not a whole number of samples of all channels; nothing of it is taken then.
    pub fn process<L: Listener + ?Sized>(
        &mut self,
        at: SampleIndex,
        interleaved: &[f32],
        listener: &mut L,
    ) -> Result<(), Error> {
        let channels = self.channels;
        if !interleaved.len().is_multiple_of(channels) {
            return Err(Error::PartialSample { values: interleaved.len(), channels });
        }
        let before = self.continuity.next();
        if let Some(gap) = self.continuity.advance(at, (interleaved.len() / channels) as u64) {
            self.finish(listener);
            self.until_frame = self.frame_length * channels;
            self.notes = Notes::default();
            let kind = EventKind::Gap { lost: gap.lost() };
            listener.event(&Event { at: gap.expected, heard: at, kind });
        }
        if before != Some(at) {
            self.start = at;
        }
        let mut rest = interleaved;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(self.until_frame - self.filled));
            self.pending[self.filled..][..piece.len()].copy_from_slice(piece);
            self.filled += piece.len();
            if self.filled == self.until_frame {
                self.finish(listener);
                self.until_frame = self.hop_length * channels;
            }
            rest = after;
        }
        Ok(())
    }

    /// [`process`](Self::process) for a block that starts where the last one ended.
    ///
    /// # Errors
    ///
    /// As [`process`](Self::process).
    pub fn push<L: Listener + ?Sized>(
        &mut self,
        interleaved: &[f32],
        listener: &mut L,
    ) -> Result<(), Error> {
        self.process(self.continuity.next().unwrap_or_default(), interleaved, listener)
    }

    /// Analyses what still waits for a frame to end: the last call of a stream that ends here.
    ///
    /// To go on after it is allowed, and the same as if it had not been called, but for when events of the
    /// frame at hand are told.
    pub fn finish<L: Listener + ?Sized>(&mut self, listener: &mut L) {
        let block = &self.pending[..self.filled];
        let heard = self.start + (block.len() / self.channels) as u64;
        let notes = &mut self.notes;
        let result = self.analyzer.process(self.start, block, |frame| {
            listener.frame(frame);
            notes.tell(frame, heard, listener);
        });
        debug_assert!(result.is_ok(), "only whole samples are kept");
        self.predictors.process(self.start, block, |at, kind| {
            listener.event(&Event { at, heard, kind });
        });
        self.start = heard;
        self.until_frame -= self.filled;
        self.filled = 0;
    }

    /// What may be left out, and what it costs: [all features](crate::FeatureCosts::items), then beats,
    /// energy and chords.
    ///
    /// Now and then a frame is measured. Beats are essential, chords are advanced: they are left out early.
    pub fn items(&self) -> impl Iterator<Item = Cost> {
        self.analyzer.costs().items().into_iter().chain(self.predictors.items())
    }

    /// Leaves out what these settings leave out, from the frame at hand on, and tells so if anything changes.
    ///
    /// What is taken up again starts anew, as after a gap; so does everything where the frames become shorter (by
    /// half, if that can be) or longer. Beats go on: at `LOW` without the network, which has a say again 5 s after
    /// `LOW` is left ([`BeatTracker::set_front_end`]). Nothing of this allocates or frees.
    pub fn set_quality<L: Listener + ?Sized>(
        &mut self,
        settings: &QualitySettings,
        listener: &mut L,
    ) {
        if self.quality == *settings {
            return;
        }
        self.quality = *settings;
        let is_short = settings.window_divisor > 1;
        if let Some(resting) = self.resting.as_mut().filter(|_| is_short != self.is_short) {
            self.before += self.analyzer.stats();
            self.analyzer.reset();
            std::mem::swap(&mut self.analyzer, resting);
            self.is_short = is_short;
        }
        self.analyzer.set_active(settings.items);
        self.analyzer.set_reuse(settings.reuse);
        self.predictors.set_quality(settings);
        let kind = EventKind::Quality(*settings);
        listener.event(&Event { at: self.start, heard: self.start, kind });
    }

    /// The beat tracker, to ask it for tempo candidates and coming beats; `None` if it is not wanted.
    pub fn tracker(&mut self) -> Option<&mut BeatTracker> {
        self.predictors.tracker()
    }

    /// Corrects the beat tracker, and tells that it was corrected; nothing happens without one.
    pub fn steer<L: Listener + ?Sized>(&mut self, command: BeatCommand, listener: &mut L) {
        if let Some(tracker) = self.predictors.tracker() {
            steer(tracker, command);
            let kind = EventKind::Steered(command);
            listener.event(&Event { at: self.start, heard: self.start, kind });
        }
    }

    /// Forgets everything heard, as if new; the [quality](Self::set_quality) stays.
    pub fn reset(&mut self) {
        self.analyzer.reset();
        self.before = AnalyzerStats::default();
        self.predictors.reset();
        self.notes = Notes::default();
        self.continuity = Continuity::default();
        self.filled = 0;
        self.until_frame = self.frame_length * self.channels;
    }

    /// The rate and the channels.
    ///
    /// # Panics
    ///
    /// Never: construction has checked them.
    #[must_use]
    pub fn format(&self) -> StreamFormat {
        let rate = self.analyzer.layout().spec().sample_rate();
        StreamFormat::new(rate, self.channels).expect("checked by the analyzer")
    }

    /// The features of frames, at full quality.
    #[must_use]
    pub const fn analyzer(&self) -> &Analyzer {
        match &self.resting {
            Some(full) if self.is_short => full,
            _ => &self.analyzer,
        }
    }

    /// Up to where the stream was analysed.
    #[must_use]
    pub const fn heard(&self) -> SampleIndex {
        self.start
    }

    /// What was seen since construction or [`reset`](Self::reset).
    #[must_use]
    pub fn stats(&self) -> AnalyzerStats {
        let mut stats = self.before;
        stats += self.analyzer.stats();
        stats
    }
}

impl fmt::Debug for EventAnalyzer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventAnalyzer").field("analyzer", &self.analyzer).finish_non_exhaustive()
    }
}

/// An analyzer of frames half as long with the same columns, if there can be one.
fn short(config: &AnalyzerConfig, full: &Analyzer) -> Option<Analyzer> {
    let mut config = config.clone();
    config.frame_length /= 2;
    let mut short = Analyzer::new(&config).ok()?;
    short.measure_costs(true);
    short.layout().column_names().eq(full.layout().column_names()).then_some(short)
}

/// The events that frames bring.
#[derive(Default)]
struct Notes {
    /// The semitone told last, and the one that may be the next: since how many frames.
    told: Option<i32>,
    coming: Option<i32>,
    frames: u32,
}

impl Notes {
    fn tell<L: Listener + ?Sized>(
        &mut self,
        frame: &FeatureFrame,
        heard: SampleIndex,
        listener: &mut L,
    ) {
        let at = |feature| frame.refers_to(feature).unwrap_or_default();
        if let Some(strength) = frame.value(Feature::Onset) {
            let kind = EventKind::Onset { strength };
            listener.event(&Event { at: at(Feature::Onset), heard, kind });
        }
        if frame.values(Feature::Pitch).is_empty() {
            return;
        }
        let frequency = frame.value(Feature::Pitch);
        // MIDI's numbers: 69 is 440 Hz.
        let note = frequency.map(|hz| (69.0 + 12.0 * (hz / 440.0).log2()).round() as i32);
        self.frames = if note == self.coming { self.frames + 1 } else { 1 };
        self.coming = note;
        if self.frames == 3 && note != self.told {
            self.told = note;
            let kind = EventKind::Pitch { frequency };
            listener.event(&Event { at: at(Feature::Pitch), heard, kind });
        }
    }
}
