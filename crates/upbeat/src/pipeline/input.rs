//! Where a pipeline's samples come from.

use std::fmt;
use std::time::{Duration, Instant};

use upbeat_core::SampleIndex;
use upbeat_io::live::{LiveInput, StreamSupervisor};
use upbeat_io::{IoError, Source, StreamFormat};
use upbeat_window::QueueReader;

use crate::Error;

/// What a [`Pipeline`](crate::Pipeline) hears.
pub struct Input {
    format: StreamFormat,
    feed: Feed,
    /// What keeps a live stream going.
    pub(super) supervisor: Option<StreamSupervisor>,
}

enum Feed {
    Source { source: Box<dyn Source>, clock: Option<Clock>, buffer: Box<[f32]> },
    Queue(QueueReader),
    Live(Box<LiveInput>),
}

/// What there was to hear.
pub(super) enum Heard {
    /// Some blocks.
    Blocks,
    /// Nothing for now, and when there may be something.
    Nothing(Duration),
    /// The end.
    End,
}

impl Input {
    /// Samples per channel read from a source at once.
    pub const BLOCK: usize = 512;

    /// Samples per channel taken from a queue at most before commands are looked for.
    pub(super) const AT_ONCE: usize = 4 * Self::BLOCK;

    /// A source as a sound card would give it: no faster than it is heard, in blocks of
    /// [`BLOCK`](Self::BLOCK).
    #[must_use]
    pub fn real_time(source: impl Source + 'static) -> Self {
        Self::source(Box::new(source), Some(Clock::default()))
    }

    /// A source as fast as it can be analysed. Waits for slow listeners instead of dropping what they miss.
    #[must_use]
    pub fn at_full_speed(source: impl Source + 'static) -> Self {
        Self::source(Box::new(source), None)
    }

    /// What a thread of the application, an audio callback for instance, writes into a
    /// [`sample_queue`](upbeat_window::sample_queue). The stream ends when its writer is dropped.
    #[must_use]
    pub fn queue(reader: QueueReader, format: StreamFormat) -> Self {
        Self { format, feed: Feed::Queue(reader), supervisor: None }
    }

    /// A sound card, or any other device of a back end, kept going by a supervisor whatever becomes of it.
    ///
    /// Waits until the device is open, at most `patience`, to know its format.
    ///
    /// ```
    /// use std::{sync::Arc, time::Duration};
    ///
    /// use upbeat::core::SampleRate;
    /// use upbeat::io::StreamFormat;
    /// use upbeat::io::live::{MockBackend, MockDevice, StreamSupervisor, SupervisorConfig};
    /// use upbeat::{Input, Pipeline, PipelineConfig};
    ///
    /// let backend = MockBackend::new(); // `CardBackend` for a real one, with the feature `device`
    /// backend.plug(MockDevice::input("mic", StreamFormat::mono(SampleRate::new(48_000)?)));
    ///
    /// let (supervisor, live) =
    ///     StreamSupervisor::input(Arc::new(backend), SupervisorConfig::default())?;
    /// let input = Input::live(supervisor, live, Duration::from_secs(5))?;
    /// let pipeline = Pipeline::builder(PipelineConfig::new(&input)).start(input)?;
    /// pipeline.stop();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If no device could be opened in that time.
    pub fn live(
        supervisor: StreamSupervisor,
        live: LiveInput,
        patience: Duration,
    ) -> Result<Self, Error> {
        let Some(format) = live.wait_format(patience) else {
            let why = supervisor.status().last_error;
            let reason = why.map_or("none was found".to_owned(), |error| error.to_string());
            return Err(Error::NoDevice { reason });
        };
        Ok(Self { format, feed: Feed::Live(Box::new(live)), supervisor: Some(supervisor) })
    }

    /// The rate and the channels.
    #[must_use]
    pub const fn format(&self) -> StreamFormat {
        self.format
    }

    fn source(source: Box<dyn Source>, clock: Option<Clock>) -> Self {
        let format = source.format();
        let buffer = vec![0.0; Self::BLOCK * format.channels()].into();
        Self { format, feed: Feed::Source { source, clock, buffer }, supervisor: None }
    }

    /// Whether slow listeners may be waited for.
    pub(super) const fn waits(&self) -> bool {
        matches!(self.feed, Feed::Source { clock: None, .. })
    }

    /// Samples per channel that have come and were not taken.
    pub(super) fn waiting(&self) -> usize {
        match &self.feed {
            Feed::Source { .. } => 0,
            Feed::Queue(reader) => reader.available(),
            Feed::Live(live) => live.available(),
        }
    }

    /// Takes what there is.
    pub(super) fn hear(
        &mut self,
        mut take: impl FnMut(SampleIndex, &[f32]),
    ) -> Result<Heard, IoError> {
        let rate = self.format.sample_rate();
        match &mut self.feed {
            Feed::Source { source, clock, buffer } => {
                if let Some(early) = clock.as_ref().and_then(Clock::early) {
                    return Ok(Heard::Nothing(early));
                }
                let Some(block) = source.read(buffer)? else { return Ok(Heard::End) };
                if let Some(clock) = clock {
                    let samples = block.interleaved.len() / self.format.channels();
                    clock.pass(rate.seconds(samples as u64));
                }
                take(block.at, block.interleaved);
                Ok(Heard::Blocks)
            }
            Feed::Queue(reader) => {
                let abandoned = reader.is_abandoned();
                if reader.read(Self::AT_ONCE, take) > 0 {
                    Ok(Heard::Blocks)
                } else if abandoned {
                    Ok(Heard::End)
                } else {
                    Ok(Heard::Nothing(Duration::from_millis(1)))
                }
            }
            Feed::Live(live) => {
                if live.read(|block| take(block.at, block.interleaved)) > 0 {
                    Ok(Heard::Blocks)
                } else if live.has_ended() {
                    Ok(Heard::End)
                } else {
                    Ok(Heard::Nothing(Duration::from_millis(1)))
                }
            }
        }
    }

    /// A pause: what comes meanwhile is not heard.
    pub(super) fn skip(&mut self) -> Duration {
        match &mut self.feed {
            Feed::Source { clock, .. } => {
                if let Some(clock) = clock {
                    clock.restart();
                }
            }
            Feed::Queue(reader) => {
                reader.read_available(|_, _| {});
            }
            Feed::Live(live) => {
                live.read(|_| {});
            }
        }
        Duration::from_millis(5)
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input").field("format", &self.format).finish_non_exhaustive()
    }
}

/// When the next block is due.
#[derive(Default)]
pub(super) struct Clock {
    due: Option<Instant>,
}

impl Clock {
    /// How long it still takes.
    fn early(&self) -> Option<Duration> {
        let left = self.due?.checked_duration_since(Instant::now())?;
        (!left.is_zero()).then_some(left)
    }

    /// A block of that length was taken. Where a second was missed, it is not made up for.
    fn pass(&mut self, seconds: f64) {
        let now = Instant::now();
        let due = self.due.filter(|due| now.saturating_duration_since(*due).as_secs() < 1);
        self.due = Some(due.unwrap_or(now) + Duration::from_secs_f64(seconds));
    }

    fn restart(&mut self) {
        self.due = None;
    }
}
