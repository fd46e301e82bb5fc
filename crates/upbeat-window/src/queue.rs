use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ringbuf::traits::{Consumer, Observer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};
use upbeat_core::{ConfigError, Mix, SampleIndex};

/// Settings of [`sample_queue`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueConfig {
    /// Channels of the interleaved samples, from 1 to [`Mix::MAX_CHANNELS`].
    pub channels: usize,
    /// How many samples per channel the queue holds, at least 1; times `channels` at most 2²⁶.
    pub capacity: usize,
    /// How many gaps may wait in the queue, from 1 to 65 536. Where more come, samples are refused
    /// until the reader has passed a gap, so that each one is still told exactly. Default: 256.
    pub max_gaps: usize,
    /// Index of the first sample. Default: 0.
    pub start: SampleIndex,
}

impl QueueConfig {
    /// A queue of `capacity` samples of `channels` channels, whose first sample has index 0.
    #[must_use]
    pub const fn new(channels: usize, capacity: usize) -> Self {
        Self { channels, capacity, max_gaps: 256, start: SampleIndex(0) }
    }

    fn check(&self) -> Result<(), ConfigError> {
        let Self { channels, capacity, max_gaps, .. } = *self;
        ConfigError::require(channels >= 1, "channels", "at least 1", channels)?;
        ConfigError::require(channels <= Mix::MAX_CHANNELS, "channels", "at most 1024", channels)?;
        ConfigError::require(capacity >= 1, "capacity", "at least 1", capacity)?;
        let fits = capacity <= MAX_VALUES / channels;
        ConfigError::require(fits, "capacity", "at most 67108864 / channels", capacity)?;
        let gaps = 1..=MAX_GAPS;
        ConfigError::require(gaps.contains(&max_gaps), "max_gaps", "from 1 to 65536", max_gaps)
    }
}

/// A lock-free queue of interleaved samples from one thread to another: the way out of an audio callback.
///
/// The writer never waits: what does not fit is lost and counted, but never forgotten, since the sample
/// index goes on counting through it. The reader gets contiguous pieces with the index of their first
/// sample, none of which straddles a gap: a loss shows as a piece that does not start where the last one
/// ended, which every [`Stage`](upbeat_core::Stage) understands. Neither side allocates or locks.
///
/// # Errors
///
/// If a setting is out of its range.
///
/// # Examples
///
/// ```
/// use upbeat_window::{QueueConfig, sample_queue};
///
/// let (mut writer, mut reader) = sample_queue(&QueueConfig::new(2, 3))?; // 3 samples of 2 channels
/// assert_eq!(writer.write(&[0.0, 0.5, 0.1, 0.6]), 2);
/// assert_eq!(writer.write(&[0.2, 0.7, 0.3, 0.8, 0.4, 0.9]), 1); // two are lost
///
/// let mut pieces = Vec::new();
/// reader.read_available(|at, interleaved| pieces.push((at.0, interleaved.to_vec())));
/// writer.write(&[0.5, 1.0]);
/// reader.read_available(|at, interleaved| pieces.push((at.0, interleaved.to_vec())));
/// assert_eq!(pieces, [(0, vec![0.0, 0.5, 0.1, 0.6, 0.2, 0.7]), (5, vec![0.5, 1.0])]);
/// assert_eq!(reader.stats().lost, 2);
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
pub fn sample_queue(config: &QueueConfig) -> Result<(QueueWriter, QueueReader), ConfigError> {
    config.check()?;
    let QueueConfig { channels, capacity, max_gaps, start } = *config;
    let (mut samples_in, mut samples_out) = HeapRb::new(channels * capacity).split();
    // Touches every page now, so that the audio thread is not the first to do it.
    samples_in.push_iter(std::iter::repeat(0.0));
    samples_out.clear();
    let (gaps_in, gaps_out) = HeapRb::new(max_gaps).split();
    let monitor = QueueMonitor { shared: Arc::new(Shared::new(capacity as u64)) };
    let writer = QueueWriter {
        samples: samples_in,
        gaps: gaps_in,
        channels,
        written: 0,
        next: start,
        missing: 0,
        monitor: monitor.clone(),
    };
    let reader = QueueReader {
        samples: samples_out,
        gaps: gaps_out,
        channels,
        taken: 0,
        next: start,
        monitor,
    };
    Ok((writer, reader))
}

/// The side of a [`sample_queue`] that samples go into; for the audio thread.
pub struct QueueWriter {
    samples: HeapProd<f32>,
    gaps: HeapProd<Gap>,
    channels: usize,
    /// How many samples of all channels went into the queue.
    written: u64,
    /// Index of the next sample to come.
    next: SampleIndex,
    /// How many samples before `next` did not go in, since the last that did.
    missing: u64,
    monitor: QueueMonitor,
}

impl QueueWriter {
    /// Writes as much of `interleaved` as fits, from its beginning; the rest is lost and counted.
    ///
    /// Returns how many samples per channel went in. Never blocks.
    ///
    /// # Panics
    ///
    /// If the block is not a whole number of samples of all channels.
    pub fn write(&mut self, interleaved: &[f32]) -> usize {
        assert_eq!(interleaved.len() % self.channels, 0, "a block holds samples of all channels");
        let offered = interleaved.len() / self.channels;
        let held = self.samples.occupied_len() / self.channels;
        let room = self.samples.capacity().get() / self.channels - held;
        let fits = offered.min(room);
        let written = if fits > 0 && self.tell_gap() { fits } else { 0 };
        self.samples.push_slice(&interleaved[..written * self.channels]);

        let lost = (offered - written) as u64;
        self.written += written as u64;
        self.missing += lost;
        self.next += offered as u64;
        let counters = &self.monitor.shared.writer;
        counters.written.store(self.written, Relaxed);
        raise(&counters.high_water, (held + written) as u64);
        if lost > 0 {
            add(&counters.lost, lost);
            add(&counters.overruns, 1);
        }
        written
    }

    /// Passes over `samples` samples that the source itself has lost: the reader sees a gap of as many.
    pub fn skip(&mut self, samples: u64) {
        self.missing = self.missing.wrapping_add(samples);
        self.next += samples;
        add(&self.monitor.shared.writer.skipped, samples);
    }

    /// Index of the next sample that [`write`](Self::write) takes.
    #[must_use]
    pub const fn next(&self) -> SampleIndex {
        self.next
    }

    /// How many samples per channel the next [`write`](Self::write) has room for, at least.
    #[must_use]
    pub fn room(&self) -> usize {
        self.samples.vacant_len() / self.channels
    }

    /// Whether the reader is gone: what is written now, nobody will hear.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        !self.samples.read_is_held()
    }

    /// What has passed through the queue so far.
    #[must_use]
    pub fn stats(&self) -> QueueStats {
        self.monitor.stats()
    }

    /// A handle for a third thread that wants to see the statistics.
    #[must_use]
    pub fn monitor(&self) -> QueueMonitor {
        self.monitor.clone()
    }

    /// Tells the reader of the samples missing before those to be written next. `false` if it cannot be
    /// told, because too many gaps wait; then nothing may be written.
    fn tell_gap(&mut self) -> bool {
        if self.missing == 0 {
            return true;
        }
        // Pushed before the samples behind the gap: a reader that sees those sees the gap as well.
        let told = self.gaps.try_push(Gap { after: self.written, lost: self.missing }).is_ok();
        if told {
            self.missing = 0;
        }
        told
    }
}

impl fmt::Debug for QueueWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueWriter").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

/// The side of a [`sample_queue`] that samples come out of; for the analysis thread.
pub struct QueueReader {
    samples: HeapCons<f32>,
    gaps: HeapCons<Gap>,
    channels: usize,
    /// How many samples of all channels left the queue, read or dropped.
    taken: u64,
    /// Index of the next sample, but for gaps not yet passed.
    next: SampleIndex,
    monitor: QueueMonitor,
}

impl QueueReader {
    /// Reads `samples` samples per channel, or as many as there are; fewer count as an underrun.
    ///
    /// `take` gets them without a copy, in contiguous interleaved pieces, each with the index of its
    /// first sample. No piece straddles a gap. Returns how many samples per channel were read.
    pub fn read(&mut self, samples: usize, take: impl FnMut(SampleIndex, &[f32])) -> usize {
        let read = self.read_at_most(samples, take);
        if read < samples {
            add(&self.monitor.shared.reader.underruns, 1);
        }
        read
    }

    /// Reads all samples there are, as [`read`](Self::read); none is no underrun.
    pub fn read_available(&mut self, take: impl FnMut(SampleIndex, &[f32])) -> usize {
        self.read_at_most(self.available(), take)
    }

    /// Drops the oldest samples, so that at most `limit` per channel wait; returns how many it dropped.
    ///
    /// The next piece read starts that much later: to the stages behind it, a gap.
    pub fn drop_to_latency(&mut self, limit: usize) -> usize {
        let dropped = self.available().saturating_sub(limit);
        self.leave(dropped);
        self.pass_gaps();
        add(&self.monitor.shared.reader.dropped, dropped as u64);
        dropped
    }

    /// How many samples per channel wait to be read.
    #[must_use]
    pub fn available(&self) -> usize {
        self.samples.occupied_len() / self.channels
    }

    /// Whether the writer is gone: when nothing is [`available`](Self::available) after this was true, the
    /// stream has ended.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        !self.samples.write_is_held()
    }

    /// What has passed through the queue so far.
    #[must_use]
    pub fn stats(&self) -> QueueStats {
        self.monitor.stats()
    }

    /// A handle for a third thread that wants to see the statistics.
    #[must_use]
    pub fn monitor(&self) -> QueueMonitor {
        self.monitor.clone()
    }

    fn read_at_most(&mut self, most: usize, mut take: impl FnMut(SampleIndex, &[f32])) -> usize {
        let mut read = 0;
        while read < most {
            let run = self.samples.as_slices().0.len() / self.channels;
            if run == 0 {
                break;
            }
            // Looked at after the samples: the gap before a sample seen is seen too.
            let until_gap = self.pass_gaps();
            let length = run.min(most - read).min(until_gap);
            take(self.next, &self.samples.as_slices().0[..length * self.channels]);
            self.leave(length);
            read += length;
        }
        add(&self.monitor.shared.reader.read, read as u64);
        read
    }

    /// Takes the oldest `samples` samples per channel off the queue.
    fn leave(&mut self, samples: usize) {
        self.samples.skip(samples * self.channels);
        self.taken += samples as u64;
        self.next += samples as u64;
    }

    /// Moves the index over the gaps that lie before the oldest sample; returns how many samples there
    /// are before the next gap.
    fn pass_gaps(&mut self) -> usize {
        while let Some(gap) = self.gaps.try_peek() {
            if let Some(until @ 1..) = gap.after.checked_sub(self.taken) {
                return usize::try_from(until).unwrap_or(usize::MAX);
            }
            self.next += gap.lost;
            self.gaps.skip(1);
        }
        usize::MAX
    }
}

impl fmt::Debug for QueueReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueReader").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

/// Shows the statistics of a [`sample_queue`] to any thread.
#[derive(Clone, Debug)]
pub struct QueueMonitor {
    shared: Arc<Shared>,
}

impl QueueMonitor {
    /// What has passed through the queue so far.
    ///
    /// While both sides are at work, single numbers may be one call newer than others.
    #[must_use]
    pub fn stats(&self) -> QueueStats {
        let Shared { capacity, writer, reader } = &*self.shared;
        let (read, dropped) = (reader.read.load(Relaxed), reader.dropped.load(Relaxed));
        let written = writer.written.load(Relaxed);
        QueueStats {
            capacity: *capacity,
            fill: written.saturating_sub(read + dropped).min(*capacity),
            high_water: writer.high_water.load(Relaxed),
            written,
            lost: writer.lost.load(Relaxed),
            overruns: writer.overruns.load(Relaxed),
            skipped: writer.skipped.load(Relaxed),
            read,
            dropped,
            underruns: reader.underruns.load(Relaxed),
        }
    }
}

/// What has passed through a [`sample_queue`], in samples per channel where not said otherwise.
///
/// `written + lost + skipped` is where the writer stands, `written = read + dropped + fill`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueStats {
    /// How many samples the queue holds at most.
    pub capacity: u64,
    /// How many wait to be read.
    pub fill: u64,
    /// The most that have waited after any write.
    pub high_water: u64,
    /// How many went in.
    pub written: u64,
    /// How many did not fit.
    pub lost: u64,
    /// How many writes did not fit as a whole.
    pub overruns: u64,
    /// How many the source itself had lost, as told to [`QueueWriter::skip`].
    pub skipped: u64,
    /// How many were read.
    pub read: u64,
    /// How many were dropped by [`QueueReader::drop_to_latency`].
    pub dropped: u64,
    /// How many reads found fewer samples than they asked for.
    pub underruns: u64,
}

/// Samples lost at one place of the stream.
#[derive(Clone, Copy, Debug)]
struct Gap {
    /// How many samples of all channels went into the queue before the gap.
    after: u64,
    /// How many are missing there.
    lost: u64,
}

/// Counters of both sides, each with one thread that writes it.
#[derive(Debug)]
struct Shared {
    capacity: u64,
    writer: WriterCounters,
    reader: ReaderCounters,
}

/// On cache lines of its own, so that one side does not slow the other down.
#[derive(Debug, Default)]
#[repr(align(128))]
struct WriterCounters {
    written: AtomicU64,
    lost: AtomicU64,
    overruns: AtomicU64,
    skipped: AtomicU64,
    high_water: AtomicU64,
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct ReaderCounters {
    read: AtomicU64,
    dropped: AtomicU64,
    underruns: AtomicU64,
}

impl Shared {
    fn new(capacity: u64) -> Self {
        Self { capacity, writer: WriterCounters::default(), reader: ReaderCounters::default() }
    }
}

/// Adds to a counter that no other thread writes: a plain load and store are enough.
fn add(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(n), Relaxed);
}

/// Raises a counter that no other thread writes to `n`, if it is lower.
fn raise(counter: &AtomicU64, n: u64) {
    if counter.load(Relaxed) < n {
        counter.store(n, Relaxed);
    }
}

/// The most values the queue is made for, all channels together: 256 MiB.
const MAX_VALUES: usize = 1 << 26;
const MAX_GAPS: usize = 1 << 16;
