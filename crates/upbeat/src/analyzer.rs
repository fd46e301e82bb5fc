//! All features of a stream at once, without threads.

use std::fmt;
use std::sync::Arc;

use upbeat_core::{ConfigError, Continuity, FrameSpec, SampleIndex, SampleRate, Stage, sanitize};
use upbeat_features::stft::Stft;
use upbeat_window::Framer;

use crate::branch::{Branches, PIECE};
use crate::plan::Plan;
use crate::{AnalyzerConfig, Error, FeatureFrame, FeatureLayout};

/// What an [`Analyzer`] has seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct AnalyzerStats {
    /// Samples per channel taken.
    pub samples: u64,
    /// Frames handed out.
    pub frames: u64,
    /// Blocks that did not start where the last one ended.
    pub gaps: u64,
    /// Samples per channel lost in those gaps.
    pub lost: u64,
    /// Samples that could not be sound (not finite, or absurdly large) and counted as 0.
    pub sanitized: u64,
}

/// Computes features of a stream, frame by frame.
///
/// Blocks of any size go in, interleaved; a [`FeatureFrame`] comes out each time a frame is complete.
/// However the stream is cut into blocks, the frames are the same, bit for bit. Nothing is allocated
/// or freed after construction. Features share one STFT, and only what is asked for is computed.
///
/// ```
/// use upbeat::{Analyzer, AnalyzerConfig, Feature, FeatureSet};
///
/// let mut config = AnalyzerConfig::new(48_000, 2);
/// config.features = "rms,spectral_centroid".parse()?;
/// let mut analyzer = Analyzer::new(&config)?;
///
/// let block = [0.25; 2 * 480]; // 10 ms of two channels
/// let mut frames = 0;
/// for _ in 0..100 {
///     analyzer.push(&block, |frame| {
///         assert_eq!(frame.value(Feature::Rms), Some(0.25));
///         frames += 1;
///     })?;
/// }
/// assert_eq!(frames, 90);
/// # Ok::<(), upbeat::Error>(())
/// ```
pub struct Analyzer {
    channels: usize,
    continuity: Continuity,
    /// Samples until the current frame is complete.
    until_frame: usize,
    /// A piece of the input, sanitized: interleaved, and mixed to one channel.
    interleaved: Box<[f32]>,
    mono: Box<[f32]>,
    framer: Framer,
    stft: Option<Stft>,
    branches: Branches,
    frame: FeatureFrame,
    stats: AnalyzerStats,
}

impl Analyzer {
    /// The most channels accepted.
    pub const MAX_CHANNELS: usize = 64;

    /// Allocates all that will ever be needed.
    ///
    /// # Errors
    ///
    /// If a setting cannot work; the error names it and says what would.
    pub fn new(config: &AnalyzerConfig) -> Result<Self, ConfigError> {
        let AnalyzerConfig { channels, frame_length, hop_length, .. } = *config;
        let rate = SampleRate::new(config.sample_rate)?;
        ConfigError::require(channels >= 1, "channels", "at least 1", channels)?;
        ConfigError::require(channels <= Self::MAX_CHANNELS, "channels", "at most 64", channels)?;
        let spec = FrameSpec::new(frame_length, hop_length, rate)?;
        let Plan { layout, stft, branches } = Plan::new(config, spec)?;
        Ok(Self {
            channels,
            continuity: Continuity::default(),
            until_frame: frame_length,
            interleaved: vec![0.0; PIECE * channels].into(),
            mono: vec![0.0; PIECE].into(),
            framer: Framer::new(spec),
            stft,
            branches,
            frame: FeatureFrame::new(Arc::new(layout)),
            stats: AnalyzerStats::default(),
        })
    }

    /// Takes a block of interleaved samples that starts at index `at`, and emits the frames it completes.
    ///
    /// A block that does not start where the last one ended is a gap: analysis starts anew at `at`, and
    /// the next frame says how many samples were [lost](FeatureFrame::lost). The first block may start
    /// anywhere.
    ///
    /// # Errors
    ///
    /// If the block is not a whole number of samples of all channels; nothing of it is taken then.
    pub fn process(
        &mut self,
        at: SampleIndex,
        interleaved: &[f32],
        mut emit: impl FnMut(&FeatureFrame),
    ) -> Result<(), Error> {
        let channels = self.channels;
        if !interleaved.len().is_multiple_of(channels) {
            return Err(Error::PartialSample { values: interleaved.len(), channels });
        }
        let samples = (interleaved.len() / channels) as u64;
        if let Some(gap) = self.continuity.advance(at, samples) {
            self.forget();
            self.frame.lost += gap.lost();
            self.stats.gaps += 1;
            self.stats.lost += gap.lost();
        }
        self.stats.samples += samples;

        let mut at = at;
        let mut rest = interleaved;
        while !rest.is_empty() {
            // A piece ends where a frame ends, so that what is measured over pieces is measured up to there.
            let length = (rest.len() / channels).min(PIECE).min(self.until_frame);
            let (piece, after) = rest.split_at(length * channels);
            self.take(at, piece, &mut emit);
            self.until_frame -= length;
            if self.until_frame == 0 {
                self.until_frame = self.frame.layout.spec().hop_length();
            }
            at += length as u64;
            rest = after;
        }
        Ok(())
    }

    /// [`process`](Self::process) for a block that starts where the last one ended.
    ///
    /// # Errors
    ///
    /// As [`process`](Self::process).
    pub fn push(
        &mut self,
        interleaved: &[f32],
        emit: impl FnMut(&FeatureFrame),
    ) -> Result<(), Error> {
        self.process(self.continuity.next().unwrap_or_default(), interleaved, emit)
    }

    /// Forgets everything heard, as if new.
    pub fn reset(&mut self) {
        self.forget();
        self.continuity = Continuity::default();
        self.frame.lost = 0;
        self.stats = AnalyzerStats::default();
    }

    /// Where each feature's values lie in the frames.
    #[must_use]
    pub fn layout(&self) -> &Arc<FeatureLayout> {
        &self.frame.layout
    }

    /// What was seen since construction or [`reset`](Self::reset).
    #[must_use]
    pub const fn stats(&self) -> AnalyzerStats {
        self.stats
    }

    fn take(&mut self, at: SampleIndex, piece: &[f32], emit: &mut impl FnMut(&FeatureFrame)) {
        let Self { channels, interleaved, mono, framer, stft, branches, frame, stats, .. } = self;
        let interleaved = &mut interleaved[..piece.len()];
        for (clean, sample) in interleaved.iter_mut().zip(piece) {
            *clean = sanitize(*sample).unwrap_or_else(|| {
                stats.sanitized += 1;
                0.0
            });
        }
        let mono = &mut mono[..piece.len() / *channels];
        let scale = 1.0 / *channels as f32;
        for (mean, all) in mono.iter_mut().zip(interleaved.chunks_exact(*channels)) {
            *mean = all.iter().sum::<f32>() * scale;
        }

        for branch in &mut branches.interleaved {
            branch.process(at, interleaved, &mut frame.values);
        }
        for branch in &mut branches.mono {
            branch.process(at, mono, &mut frame.values);
        }
        framer.process(at, mono, |at, samples| {
            for branch in &mut branches.frame {
                branch.process(at, samples, &mut frame.values);
            }
            if let Some(stft) = stft {
                stft.process(at, samples, |at, spectrum| {
                    for branch in &mut branches.spectrum {
                        branch.process(at, spectrum, &mut frame.values);
                    }
                });
            }
            frame.at = at;
            stats.frames += 1;
            emit(frame);
            frame.values.fill(f32::NAN);
            frame.lost = 0;
        });
    }

    fn forget(&mut self) {
        self.until_frame = self.frame.layout.spec().frame_length();
        self.framer.reset();
        if let Some(stft) = &mut self.stft {
            stft.reset();
        }
        self.branches.reset();
        self.frame.values.fill(f32::NAN);
    }
}

impl fmt::Debug for Analyzer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Analyzer")
            .field("channels", &self.channels)
            .field("layout", &self.frame.layout)
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}
