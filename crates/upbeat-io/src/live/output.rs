use std::fmt;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use upbeat_core::{ConfigError, SampleIndex};
use upbeat_window::{QueueConfig, QueueReader, QueueWriter, sample_queue};

use super::channels::Converter;
use super::port::{LOOK, wait_format};
use super::{CallbackInfo, Channels, OutputFill, StreamHealth};
use crate::{ResampleQuality, StreamFormat};

/// The producer's end of a supervised output: takes blocks of one format, whatever the device of the moment plays.
///
/// For one thread. What the device asks for and is not there is played as silence, and counted in
/// [`StreamStats::underruns`](super::StreamStats::underruns); the beginning and the end of the stream do not count.
///
/// # Examples
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use upbeat_core::SampleRate;
/// use upbeat_io::StreamFormat;
/// use upbeat_io::live::{MockBackend, MockDevice, StreamSupervision, SupervisorConfig};
///
/// let mock = MockBackend::new();
/// mock.plug(MockDevice::output("mock:speaker", StreamFormat::mono(SampleRate::new(48_000)?)));
/// let (mut supervision, mut live) =
///     StreamSupervision::output(Arc::new(mock.clone()), SupervisorConfig::default())?;
/// assert_eq!(live.write(&[0.5; 100]), 0); // no device yet
/// supervision.step();
/// assert_eq!(live.write(&[0.5; 100]), 100);
/// mock.advance(Duration::from_millis(10));
/// supervision.step();
/// assert!(supervision.status().stats.underruns > 0); // more was asked for
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
pub struct LiveOutput {
    segments: Receiver<OutputSegment>,
    current: Option<OutputSegment>,
    format: Arc<OnceLock<StreamFormat>>,
    written: u64,
}

impl LiveOutput {
    /// Takes `interleaved` samples, from the first on as many as there is room for, and returns how many per channel.
    /// Takes none while there is no device. Never waits; allocates only where a device was opened anew.
    ///
    /// # Panics
    ///
    /// If the block is not a whole number of samples of all channels.
    pub fn write(&mut self, interleaved: &[f32]) -> usize {
        let room = self.room();
        let Some(segment) = &mut self.current else { return 0 };
        let channels = segment.from.channels();
        assert_eq!(interleaved.len() % channels, 0, "a block holds samples of all channels");
        let taken = room.min(interleaved.len() / channels);
        let OutputSegment { writer, converter, next, .. } = segment;
        converter.process(SampleIndex(*next), &interleaved[..taken * channels], |_, block| {
            writer.write(block);
        });
        *next += taken as u64;
        self.written += taken as u64;
        taken
    }

    /// How many samples per channel [`write`](Self::write) takes now.
    pub fn room(&mut self) -> usize {
        self.current = self.segments.try_iter().last().or(self.current.take());
        let open = self.current.as_ref().filter(|segment| !segment.writer.is_abandoned());
        let Some(OutputSegment { writer, from, to, slack, .. }) = open else { return 0 };
        let room = writer.room().saturating_sub(*slack) as u64;
        (room * u64::from(from.sample_rate().hz()) / u64::from(to.sample_rate().hz())) as usize
    }

    /// How many samples per channel, at the device's rate, wait to be played.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.current.as_ref().map_or(0, |segment| {
            let stats = segment.writer.stats();
            stats.fill as usize
        })
    }

    /// Waits until there is room for `samples` per channel, at most `timeout`; whether there is. Looks every
    /// millisecond.
    pub fn wait_room(&mut self, samples: usize, timeout: Duration) -> bool {
        let until = Instant::now() + timeout;
        while self.room() < samples {
            if Instant::now() >= until {
                return false;
            }
            std::thread::sleep(LOOK);
        }
        true
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

    /// How many samples per channel were taken so far.
    #[must_use]
    pub const fn written(&self) -> u64 {
        self.written
    }

    pub(crate) fn new(
        segments: Receiver<OutputSegment>,
        format: Arc<OnceLock<StreamFormat>>,
    ) -> Self {
        Self { segments, current: None, format, written: 0 }
    }
}

impl fmt::Debug for LiveOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveOutput")
            .field("format", &self.format())
            .field("written", &self.written)
            .finish_non_exhaustive()
    }
}

/// The way to one opened device.
pub(crate) struct OutputSegment {
    writer: QueueWriter,
    converter: Converter,
    from: StreamFormat,
    to: StreamFormat,
    /// How many samples may come out of the converter beyond the ratio of the rates.
    slack: usize,
    /// How many samples went in.
    next: u64,
}

impl OutputSegment {
    /// The two ends of a queue that holds `buffer`, from the stream's format to the device's.
    pub(crate) fn connect(
        from: StreamFormat,
        to: StreamFormat,
        quality: ResampleQuality,
        buffer: Duration,
        health: Arc<StreamHealth>,
    ) -> Result<(OutputFeed, Self), ConfigError> {
        let ratio = to.sample_rate().as_f64() / from.sample_rate().as_f64();
        let slack = if ratio == 1.0 { 0 } else { (128.0 * ratio).ceil() as usize };
        let capacity = to.sample_rate().samples(buffer.as_secs_f64()).max(1) as usize + slack;
        let (writer, reader) = sample_queue(&QueueConfig::new(to.channels(), capacity))?;
        let converter = Converter::new(Channels::Count(to.channels()), from, to, quality)?;
        let feed = OutputFeed { reader, channels: to.channels(), health, has_begun: false };
        Ok((feed, Self { writer, converter, from, to, slack, next: 0 }))
    }
}

/// The device's end of an output's queue.
#[derive(Debug)]
pub(crate) struct OutputFeed {
    reader: QueueReader,
    channels: usize,
    health: Arc<StreamHealth>,
    has_begun: bool,
}

impl OutputFill for OutputFeed {
    fn fill(&mut self, _: &CallbackInfo, interleaved: &mut [f32]) {
        let mut done = 0;
        self.reader.read(interleaved.len() / self.channels, |_, piece| {
            interleaved[done..done + piece.len()].copy_from_slice(piece);
            done += piece.len();
        });
        self.has_begun |= done > 0;
        let rest = &mut interleaved[done..];
        rest.fill(0.0);
        if !rest.is_empty() && self.has_begun && !self.reader.is_abandoned() {
            self.health.underrun((rest.len() / self.channels) as u64);
        }
    }
}
