//! All features of a stream at once, without threads.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use upbeat_core::{ConfigError, Continuity, FrameSpec, SampleIndex, SampleRate, Stage, sanitize};
use upbeat_features::stft::Stft;
use upbeat_window::Framer;

use crate::branch::{Branches, Mode, PIECE, seconds_since};
use crate::costs::{CostMeter, MEASURED_EVERY, N};
use crate::plan::Plan;
use crate::{AnalyzerConfig, Error, FeatureCosts, FeatureFrame, FeatureLayout, FeatureSet};

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

/// What two analyzers have seen, one after the other.
impl std::ops::AddAssign for AnalyzerStats {
    fn add_assign(&mut self, other: Self) {
        self.samples += other.samples;
        self.frames += other.frames;
        self.gaps += other.gaps;
        self.lost += other.lost;
        self.sanitized += other.sanitized;
    }
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
    /// The features computed now, and those from the next frame on; of those configured.
    active: FeatureSet,
    wanted: FeatureSet,
    /// In every so many frames, [`FeatureSet::LASTING`] is computed.
    reuse: u64,
    /// Whether nothing was heard since the last frame ended, or since the beginning.
    between_frames: bool,
    meter: CostMeter,
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
        let active = layout.features().collect();
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
            active,
            wanted: active,
            reuse: 1,
            between_frames: true,
            meter: CostMeter::default(),
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
            self.between_frames = false;
            self.take(at, piece, &mut emit);
            self.until_frame -= length;
            if self.until_frame == 0 {
                self.until_frame = self.frame.layout.spec().hop_length();
                self.turn();
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

    /// Computes only those of the configured features that are in `features`, from the next frame on.
    ///
    /// That is, from the end of the frame that is being filled; at once, if no sample was taken since a frame
    /// ended, or none at all. Columns of features that are not computed hold NaN, as where nothing is known. A
    /// feature that is computed again starts anew, as after a gap; the others do not notice. Neither allocates nor
    /// frees. [`reset`](Self::reset) leaves the choice as it is.
    ///
    /// ```
    /// use upbeat::{Analyzer, AnalyzerConfig, Feature};
    ///
    /// let mut analyzer = Analyzer::new(&AnalyzerConfig::new(44_100, 1))?;
    /// analyzer.set_active([Feature::Rms]);
    /// analyzer.push(&[0.5; 2048], |frame| {
    ///     assert_eq!(frame.value(Feature::Rms), Some(0.5));
    ///     assert_eq!(frame.value(Feature::SpectralCentroid), None);
    /// })?;
    /// # Ok::<(), upbeat::Error>(())
    /// ```
    pub fn set_active(&mut self, features: impl Into<FeatureSet>) {
        let configured = self.frame.layout.features().collect();
        self.wanted = features.into().intersection(configured);
        if self.between_frames {
            self.turn();
        }
    }

    /// Computes [features that last](FeatureSet::LASTING) only in every frame whose number `frames` divides, from
    /// the next frame on; in the frames between, their last values stand. 1, the default, computes them in
    /// every frame, and so does 0.
    ///
    /// After a gap they are unknown until such a frame comes. Neither allocates nor frees.
    ///
    /// ```
    /// use upbeat::{Analyzer, AnalyzerConfig, Feature};
    ///
    /// let mut analyzer = Analyzer::new(&AnalyzerConfig::new(8000, 1))?;
    /// analyzer.set_reuse(4);
    /// let rising: Vec<f32> = (0..16_384).map(|n| (n as f32 * n as f32 * 1e-5).sin()).collect();
    /// let mut centroids = Vec::new();
    /// let mut contrasts = Vec::new();
    /// analyzer.push(&rising, |frame| {
    ///     centroids.extend(frame.value(Feature::SpectralCentroid));
    ///     contrasts.extend(frame.value(Feature::SpectralContrast));
    /// })?;
    /// centroids.dedup();
    /// contrasts.dedup();
    /// assert_eq!((centroids.len(), contrasts.len()), (29, 8)); // of 29 frames
    /// # Ok::<(), upbeat::Error>(())
    /// ```
    pub fn set_reuse(&mut self, frames: u32) {
        self.reuse = u64::from(frames.max(1));
        if self.between_frames {
            self.turn();
        }
    }

    /// The features computed now; a change by [`set_active`](Self::set_active) shows when it takes effect.
    #[must_use]
    pub const fn active(&self) -> FeatureSet {
        self.active
    }

    /// Starts or stops to measure what each feature costs; off at first.
    ///
    /// One frame in 31 is measured, from the next one on, which takes two looks at the clock for each stage: less than
    /// 1 % of the time of the default features, even where a look takes 150 ns. What was measured before stays.
    pub fn measure_costs(&mut self, on: bool) {
        self.meter.on = on;
    }

    /// What each feature costs, as far as it was [measured](Self::measure_costs).
    #[must_use]
    pub const fn costs(&self) -> &FeatureCosts {
        &self.meter.costs
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
        let mode = Mode { active: self.active, timed: self.meter.timed };
        let start = mode.timed.then(Instant::now);
        let mut elsewhere = 0.0;
        let standing = if self.reuse > 1 {
            self.wanted.intersection(FeatureSet::LASTING)
        } else {
            FeatureSet::EMPTY
        };
        let Self { channels, interleaved, mono, framer, stft, branches, frame, stats, .. } = self;
        let mut stft = stft.as_mut().filter(|_| branches.need_spectra(mode.active));
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
            branch.process(at, interleaved, &mut frame.values, mode);
        }
        for branch in &mut branches.mono {
            branch.process(at, mono, &mut frame.values, mode);
        }
        framer.process(at, mono, |at, samples| {
            for branch in &mut branches.frame {
                branch.process(at, samples, &mut frame.values, mode);
            }
            if let Some(stft) = &mut stft {
                stft.process(at, samples, |at, spectrum| {
                    for branch in &mut branches.spectrum {
                        branch.process(at, spectrum, &mut frame.values, mode);
                    }
                });
            }
            frame.at = at;
            stats.frames += 1;
            let start = mode.timed.then(Instant::now);
            emit(frame);
            elsewhere += seconds_since(start);
            frame.forget_all_but(standing);
            frame.lost = 0;
        });
        self.meter.spent += seconds_since(start) - elsewhere;
    }

    /// What there is to do from one frame to the next.
    fn turn(&mut self) {
        self.between_frames = true;
        if self.meter.timed {
            let mut seconds = [0.0; N];
            let features = self.branches.collect(self.active, &mut seconds);
            let rate = self.frame.layout.spec().frame_rate();
            self.meter.learn(self.active, &seconds, features, rate);
        }
        self.meter.timed = self.meter.on && self.stats.frames.is_multiple_of(MEASURED_EVERY);
        let lasting = self.stats.frames.is_multiple_of(self.reuse);
        let now = if lasting { self.wanted } else { self.wanted.difference(FeatureSet::LASTING) };
        if self.active != now {
            self.branches.wake(self.active, now);
            self.active = now;
        }
    }

    fn forget(&mut self) {
        self.until_frame = self.frame.layout.spec().frame_length();
        self.framer.reset();
        if let Some(stft) = &mut self.stft {
            stft.reset();
        }
        self.branches.reset();
        self.frame.values.fill(f32::NAN);
        // What was measured of a frame that will never be whole says nothing.
        self.branches.collect(self.active, &mut [0.0; N]);
        self.meter.stop();
        self.turn();
        // The first frame takes more samples than the others.
        self.meter.stop();
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
