use std::fmt;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use upbeat_core::{ConfigError, SampleIndex};
use upbeat_window::{QueueConfig, QueueReader, QueueWriter, sample_queue};

use super::channels::Converter;
use super::port::{ClockShift, LOOK, wait_format};
use super::{CallbackInfo, Channels, InputSink, StreamHealth};
use crate::resample::first_output;
use crate::{ResampleQuality, StreamFormat};

/// The consumer's end of a supervised input: blocks of one format, with indices that go on counting whatever becomes of
/// the device.
///
/// For one thread, the one that analyses. See the [module](super) for how it is used.
pub struct LiveInput {
    segments: Receiver<Segment>,
    current: Option<Segment>,
    format: Arc<OnceLock<StreamFormat>>,
    /// Index after the last sample handed on.
    next: SampleIndex,
    /// Index at which what is known of the stream ends: `next` and what was lost after it.
    end: SampleIndex,
    /// When the last block of the segment before came.
    last_beat: Option<Duration>,
    read: u64,
    gaps: u64,
    missing: u64,
    ended: bool,
}

/// A piece of a supervised stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LiveBlock<'a> {
    /// The index of the first sample. It counts from the first sample that was ever heard, at the stream's rate.
    pub at: SampleIndex,
    /// The samples, interleaved, full scale ±1; never empty. Not cleaned: what cannot be sound is passed on,
    /// unless the rate or the channels were converted.
    pub interleaved: &'a [f32],
    /// The format, the same for all blocks of a stream.
    pub format: StreamFormat,
    /// What is missing between the block before and this one.
    pub gap: Option<StreamGap>,
}

/// Samples that are missing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StreamGap {
    /// How many per channel: the block's index is that much further on.
    pub samples: u64,
    /// How long they would have lasted.
    pub seconds: f64,
    /// What happened.
    pub cause: GapCause,
}

/// Why samples are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GapCause {
    /// The device lost them, or they were not read in time; both are counted apart in the statistics.
    Dropout,
    /// The device was away or was changed: the length is what the clock says.
    Reopened,
}

impl LiveInput {
    /// Hands on all blocks that are there, and returns how many samples per channel they had. Never waits; nothing is
    /// allocated but where a device was opened anew.
    pub fn read(&mut self, mut take: impl FnMut(LiveBlock<'_>)) -> usize {
        let before = self.read;
        loop {
            if let Some(segment) = self.current.take() {
                // Asked before reading: what was written before the writer went is read now.
                let is_over = segment.reader.is_abandoned();
                let mut segment = self.drain(segment, &mut take);
                if is_over {
                    self.close(&mut segment, &mut take);
                } else {
                    self.current = Some(segment);
                }
            }
            match self.segments.try_recv() {
                Ok(next) => {
                    if let Some(segment) = self.current.take() {
                        // A stream that could not be closed: it is not listened to any longer.
                        let mut segment = self.drain(segment, &mut take);
                        self.close(&mut segment, &mut take);
                    }
                    self.current = Some(next);
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    self.ended = self.current.is_none();
                    break;
                }
            }
        }
        (self.read - before) as usize
    }

    /// Waits until there may be something to [`read`](Self::read), at most `timeout`; whether there is.
    ///
    /// Looks every millisecond, since a callback may wake nobody.
    pub fn wait(&mut self, timeout: Duration) -> bool {
        let until = Instant::now() + timeout;
        loop {
            if self.has_news() {
                return true;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.ended {
                return false;
            }
            std::thread::sleep(left.min(LOOK));
        }
    }

    /// The stream's format, once a device was opened; it never changes.
    #[must_use]
    pub fn format(&self) -> Option<StreamFormat> {
        self.format.get().copied()
    }

    /// Waits for the [`format`](Self::format), at most `timeout`.
    #[must_use]
    pub fn wait_format(&self, timeout: Duration) -> Option<StreamFormat> {
        wait_format(&self.format, timeout)
    }

    /// Whether nothing will come any more: the source has ended or was stopped, and all was read.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.ended
    }

    /// How many samples per channel wait, at the device's rate.
    #[must_use]
    pub fn available(&self) -> usize {
        self.current.as_ref().map_or(0, |segment| segment.reader.available())
    }

    /// What was read so far.
    #[must_use]
    pub const fn stats(&self) -> InputStats {
        InputStats { next: self.next, read: self.read, gaps: self.gaps, missing: self.missing }
    }

    pub(crate) fn new(segments: Receiver<Segment>, format: Arc<OnceLock<StreamFormat>>) -> Self {
        Self {
            segments,
            current: None,
            format,
            next: SampleIndex(0),
            end: SampleIndex(0),
            last_beat: None,
            read: 0,
            gaps: 0,
            missing: 0,
            ended: false,
        }
    }

    fn has_news(&mut self) -> bool {
        if self.current.is_none() {
            match self.segments.try_recv() {
                Ok(segment) => self.current = Some(segment),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => self.ended = true,
            }
        }
        self.current
            .as_ref()
            .is_some_and(|segment| segment.reader.available() > 0 || segment.reader.is_abandoned())
    }

    fn drain(&mut self, mut segment: Segment, take: &mut impl FnMut(LiveBlock<'_>)) -> Segment {
        if segment.reader.available() == 0 {
            return segment;
        }
        let base = self.base(&segment);
        segment.base = Some(base);
        let Segment { reader, converter, to, .. } = &mut segment;
        let mut pass = self.passing(base, *to, take);
        reader.read_available(|at, raw| converter.process(at, raw, &mut pass));
        segment
    }

    /// Ends a segment: hands on what the resampler still holds, and accounts for what never came.
    fn close(&mut self, segment: &mut Segment, take: &mut impl FnMut(LiveBlock<'_>)) {
        let Some(base) = segment.base else { return };
        let Segment { converter, to, .. } = &mut *segment;
        converter.finish(self.passing(base, *to, take));
        let stats = segment.reader.stats();
        let all = stats.written + stats.lost + stats.skipped;
        self.end = base + first_output(all, segment.from.sample_rate(), segment.to.sample_rate());
        self.last_beat = segment.health.last_beat().map(|time| segment.clock.apply(time));
    }

    /// The stream's index of the segment's first sample.
    fn base(&self, segment: &Segment) -> SampleIndex {
        segment.base.unwrap_or_else(|| {
            let away = match (self.last_beat, segment.health.first_sample()) {
                (Some(last), Some(first)) => segment.clock.apply(first).saturating_sub(last),
                _ => Duration::ZERO,
            };
            self.end + super::backend::samples_in(away, segment.to.sample_rate().hz())
        })
    }

    /// What becomes of a segment's converted samples.
    fn passing(
        &mut self,
        base: SampleIndex,
        format: StreamFormat,
        take: &mut impl FnMut(LiveBlock<'_>),
    ) -> impl FnMut(SampleIndex, &[f32]) {
        move |at, interleaved| {
            let at = base + at.0;
            let samples = at.0.saturating_sub(self.next.0);
            let gap = (samples > 0).then(|| StreamGap {
                samples,
                seconds: format.sample_rate().seconds(samples),
                cause: if self.next.0 < base.0 { GapCause::Reopened } else { GapCause::Dropout },
            });
            self.gaps += u64::from(gap.is_some());
            self.missing += samples;
            let length = (interleaved.len() / format.channels()) as u64;
            self.read += length;
            self.next = at + length;
            take(LiveBlock { at, interleaved, format, gap });
        }
    }
}

impl fmt::Debug for LiveInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveInput")
            .field("format", &self.format())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// What was read from a [`LiveInput`], in samples per channel of the stream; `next = read + missing`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct InputStats {
    /// Index of the sample after the last one read.
    pub next: SampleIndex,
    /// How many were read.
    pub read: u64,
    /// How many gaps there were.
    pub gaps: u64,
    /// How many samples are missing in them.
    pub missing: u64,
}

/// What one opened device gives, until it is closed.
pub(crate) struct Segment {
    reader: QueueReader,
    converter: Converter,
    from: StreamFormat,
    to: StreamFormat,
    health: Arc<StreamHealth>,
    clock: ClockShift,
    /// The stream's index of the first sample, once one came.
    base: Option<SampleIndex>,
}

/// How segments are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SegmentConfig {
    pub(crate) channels: Channels,
    pub(crate) quality: ResampleQuality,
    pub(crate) buffer: Duration,
}

impl SegmentConfig {
    /// The two ends of a device's queue, from the device's format to the stream's.
    pub(crate) fn connect(
        &self,
        from: StreamFormat,
        to: StreamFormat,
        health: Arc<StreamHealth>,
        clock: ClockShift,
    ) -> Result<(Feed, Segment), ConfigError> {
        let capacity = from.sample_rate().samples(self.buffer.as_secs_f64()).max(1) as usize;
        let (writer, reader) = sample_queue(&QueueConfig::new(from.channels(), capacity))?;
        let converter = Converter::new(self.channels, from, to, self.quality)?;
        let feed = Feed { writer, channels: from.channels() };
        Ok((feed, Segment { reader, converter, from, to, health, clock, base: None }))
    }
}

/// The device's end of the queue.
#[derive(Debug)]
pub(crate) struct Feed {
    writer: QueueWriter,
    channels: usize,
}

impl InputSink for Feed {
    fn data(&mut self, info: &CallbackInfo, interleaved: &[f32]) {
        if info.lost > 0 {
            self.writer.skip(info.lost);
        }
        // A host that breaks off within a sample must not bring the audio thread down.
        let whole = interleaved.len() / self.channels * self.channels;
        self.writer.write(&interleaved[..whole]);
    }

    fn room(&self) -> usize {
        self.writer.room()
    }
}
