use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::backend::duration_of;
use super::{CallbackInfo, FaultKind};
use crate::StreamFormat;
use Ordering::{Acquire, Relaxed, Release};

/// How an open stream fares: written by its callbacks, read by anyone, without waiting on either side.
///
/// Nothing here allocates or locks: [`fault`](Self::fault) may be called hundreds of thousands of times a second, as
/// some hosts do when a device is gone.
#[derive(Debug)]
pub struct StreamHealth {
    rate: AtomicU32,
    channels: AtomicUsize,
    callbacks: AtomicU64,
    samples: AtomicU64,
    lost: AtomicU64,
    block: AtomicU64,
    /// When the first sample was there, and when the first block was, in ns.
    first_sample: AtomicU64,
    first_beat: AtomicU64,
    first_block: AtomicU64,
    last_beat: AtomicU64,
    jitter_sum: AtomicU64,
    jitter_max: AtomicU64,
    latency: AtomicU64,
    underruns: AtomicU64,
    silence: AtomicU64,
    errors_in_a_row: AtomicU32,
    faults: [AtomicU64; FaultKind::COUNT],
    dead: AtomicU8,
    ended: AtomicBool,
    default_changed: AtomicBool,
    message: FirstMessage,
}

impl StreamHealth {
    /// So many unexplained errors without samples in between mean that the stream is dead.
    pub const ERRORS_IN_A_ROW: u32 = 50;

    /// Of a stream that is not open yet.
    #[must_use]
    pub fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            rate: AtomicU32::new(0),
            channels: AtomicUsize::new(0),
            callbacks: zero(),
            samples: zero(),
            lost: zero(),
            block: zero(),
            first_sample: zero(),
            first_beat: zero(),
            first_block: zero(),
            last_beat: zero(),
            jitter_sum: zero(),
            jitter_max: zero(),
            latency: AtomicU64::new(u64::MAX),
            underruns: zero(),
            silence: zero(),
            errors_in_a_row: AtomicU32::new(0),
            faults: Default::default(),
            dead: AtomicU8::new(ALIVE),
            ended: AtomicBool::new(false),
            default_changed: AtomicBool::new(false),
            message: FirstMessage::new(),
        }
    }

    /// Says what the stream is opened with; before the first [`beat`](Self::beat).
    pub fn opened(&self, format: StreamFormat) {
        self.rate.store(format.sample_rate().hz(), Relaxed);
        self.channels.store(format.channels(), Relaxed);
    }

    /// A block of `samples` per channel has come. For the audio thread, one at a time.
    pub fn beat(&self, info: &CallbackInfo, samples: usize) {
        let (now, samples) = (nanos(info.time), samples as u64);
        let callbacks = self.callbacks.load(Relaxed);
        let length = nanos(duration_of(samples, self.rate.load(Relaxed)));
        if callbacks == 0 {
            // What was lost before the first block belongs to the stream, too.
            let begun = duration_of(samples + info.lost, self.rate.load(Relaxed));
            self.first_sample.store(now.saturating_sub(nanos(begun)), Relaxed);
            self.first_beat.store(now, Relaxed);
            self.first_block.store(samples, Relaxed);
        } else {
            let between = now.saturating_sub(self.last_beat.load(Relaxed));
            let deviation = between.abs_diff(length);
            add(&self.jitter_sum, deviation);
            self.jitter_max.fetch_max(deviation, Relaxed);
        }
        if let Some(latency) = info.latency {
            self.latency.store(nanos(latency), Relaxed);
        }
        self.last_beat.store(now, Relaxed);
        self.block.store(samples, Relaxed);
        add(&self.samples, samples);
        add(&self.lost, info.lost);
        self.errors_in_a_row.store(0, Relaxed);
        self.callbacks.store(callbacks + 1, Release);
    }

    /// `samples` per channel were left out on the way. For the audio thread.
    pub(crate) fn lose(&self, samples: u64) {
        add(&self.lost, samples);
    }

    /// An output found `missing` samples per channel too few and played silence instead. For the audio thread.
    pub fn underrun(&self, missing: u64) {
        add(&self.underruns, 1);
        add(&self.silence, missing);
    }

    /// Something went wrong. For any thread; never waits. The first message is kept, cut to 120 bytes.
    pub fn fault(&self, kind: FaultKind, message: &str) {
        self.faults[kind as usize].fetch_add(1, Relaxed);
        match kind {
            FaultKind::Xrun | FaultKind::RealtimeDenied => return,
            FaultKind::DefaultChanged => return self.default_changed.store(true, Release),
            FaultKind::DeviceLost | FaultKind::Invalidated => self.kill(kind),
            FaultKind::Backend => {
                if self.errors_in_a_row.fetch_add(1, Relaxed) + 1 == Self::ERRORS_IN_A_ROW {
                    self.kill(kind);
                }
            }
        }
        self.message.keep(message);
    }

    /// The stream has ended by itself, as a file does.
    pub fn end(&self) {
        self.ended.store(true, Release);
    }

    /// Whether the stream has ended by itself.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended.load(Acquire)
    }

    /// What killed the stream; `None` while it lives.
    #[must_use]
    pub fn death(&self) -> Option<FaultKind> {
        FaultKind::from_index(usize::from(self.dead.load(Acquire)))
    }

    /// What was counted so far.
    #[must_use]
    pub fn stats(&self) -> StreamStats {
        let callbacks = self.callbacks.load(Acquire);
        let samples = self.samples.load(Relaxed);
        let (first, last) = (self.first_beat.load(Relaxed), self.last_beat.load(Relaxed));
        let later = samples.saturating_sub(self.first_block.load(Relaxed));
        let seconds = last.saturating_sub(first) as f64 * 1e-9;
        let between = callbacks.saturating_sub(1);
        let latency = self.latency.load(Relaxed);
        let count = |kind: FaultKind| self.faults[kind as usize].load(Relaxed);
        StreamStats {
            callbacks,
            samples,
            lost: self.lost.load(Relaxed),
            block: self.block.load(Relaxed) as usize,
            last_callback: (callbacks > 0).then(|| Duration::from_nanos(last)),
            measured_rate: (seconds >= 0.5).then(|| later as f64 / seconds),
            mean_jitter: Duration::from_nanos(
                self.jitter_sum.load(Relaxed).checked_div(between).unwrap_or(0),
            ),
            max_jitter: Duration::from_nanos(self.jitter_max.load(Relaxed)),
            latency: (latency != u64::MAX).then(|| Duration::from_nanos(latency)),
            xruns: count(FaultKind::Xrun),
            errors: count(FaultKind::Backend)
                + count(FaultKind::DeviceLost)
                + count(FaultKind::Invalidated),
            underruns: self.underruns.load(Relaxed),
            silence: self.silence.load(Relaxed),
        }
    }

    /// The first message of an error, if there was one.
    #[must_use]
    pub fn first_message(&self) -> Option<String> {
        self.message.read()
    }

    /// When the first sample was there; `None` before the first block.
    pub(crate) fn first_sample(&self) -> Option<Duration> {
        let any = self.callbacks.load(Acquire) > 0;
        any.then(|| Duration::from_nanos(self.first_sample.load(Relaxed)))
    }

    /// When the last block was there; `None` before the first.
    pub(crate) fn last_beat(&self) -> Option<Duration> {
        let any = self.callbacks.load(Acquire) > 0;
        any.then(|| Duration::from_nanos(self.last_beat.load(Relaxed)))
    }

    /// How long a block of the last size lasts.
    pub(crate) fn period(&self) -> Duration {
        duration_of(self.block.load(Relaxed), self.rate.load(Relaxed))
    }

    /// How many callbacks came too late.
    #[cfg_attr(not(feature = "device"), expect(dead_code, reason = "only sound cards have them"))]
    pub(crate) fn xruns(&self) -> u64 {
        self.faults[FaultKind::Xrun as usize].load(Relaxed)
    }

    /// Whether the host said that the default device has changed, since this was asked last.
    pub(crate) fn take_default_changed(&self) -> bool {
        self.default_changed.swap(false, Acquire)
    }

    fn kill(&self, kind: FaultKind) {
        let _ = self.dead.compare_exchange(ALIVE, kind as u8, Release, Relaxed);
    }
}

impl Default for StreamHealth {
    fn default() -> Self {
        Self::new()
    }
}

/// What was counted on one open stream, in samples per channel where not said otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct StreamStats {
    /// How many blocks came.
    pub callbacks: u64,
    /// How many samples they had.
    pub samples: u64,
    /// How many samples were lost on the way, as far as the host knows.
    pub lost: u64,
    /// How many samples the last block had.
    pub block: usize,
    /// When the last block came, by [`Backend::now`](super::Backend::now).
    pub last_callback: Option<Duration>,
    /// Samples per second by the computer's clock, once half a second was measured.
    pub measured_rate: Option<f64>,
    /// How far the time between two blocks is from the length of a block, in the mean.
    pub mean_jitter: Duration,
    /// The same at its worst.
    pub max_jitter: Duration,
    /// The device's part of the latency, where the host says.
    pub latency: Option<Duration>,
    /// How many callbacks came too late.
    pub xruns: u64,
    /// How many errors were reported, other than those.
    pub errors: u64,
    /// How many blocks of an output were not filled in time.
    pub underruns: u64,
    /// How many samples of silence it played for them.
    pub silence: u64,
}

/// The first message, kept without allocating.
#[derive(Debug)]
struct FirstMessage {
    taken: AtomicBool,
    /// How many bytes there are, once they are.
    length: AtomicUsize,
    bytes: [AtomicU8; MESSAGE],
}

impl FirstMessage {
    fn new() -> Self {
        let bytes = std::array::from_fn(|_| AtomicU8::new(0));
        Self { taken: AtomicBool::new(false), length: AtomicUsize::new(0), bytes }
    }

    fn keep(&self, message: &str) {
        if self.taken.load(Relaxed) || self.taken.swap(true, Relaxed) {
            return;
        }
        for (to, from) in self.bytes.iter().zip(message.bytes()) {
            to.store(from, Relaxed);
        }
        self.length.store(message.len().min(MESSAGE), Release);
    }

    fn read(&self) -> Option<String> {
        let length = self.length.load(Acquire);
        let bytes: Vec<u8> = self.bytes[..length].iter().map(|byte| byte.load(Relaxed)).collect();
        (length > 0).then(|| String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Adds to a counter that no other thread writes.
fn add(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(n), Relaxed);
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

const MESSAGE: usize = 120;
const ALIVE: u8 = u8::MAX;

#[cfg(test)]
mod tests {
    use super::*;
    use upbeat_core::SampleRate;

    #[test]
    fn a_storm_of_errors_kills_a_stream_and_single_ones_do_not() {
        let health = StreamHealth::new();
        health.opened(StreamFormat::stereo(SampleRate::new(48_000).unwrap()));
        for block in 0..200 {
            health.fault(FaultKind::Backend, "poll returned -5");
            health.beat(&CallbackInfo::at(Duration::from_millis(10 * block)), 480);
        }
        assert_eq!(health.death(), None);
        for error in 0..StreamHealth::ERRORS_IN_A_ROW {
            assert_eq!(health.death(), None, "{error}");
            health.fault(FaultKind::Backend, "another");
        }
        assert_eq!(health.death(), Some(FaultKind::Backend));
        health.fault(FaultKind::DeviceLost, "later");
        assert_eq!(health.death(), Some(FaultKind::Backend), "the first cause stays");
        assert_eq!(health.first_message().as_deref(), Some("poll returned -5"));
        assert_eq!(health.stats().errors, 200 + 50 + 1);
    }

    #[test]
    fn rate_and_jitter_are_measured_between_blocks() {
        let health = StreamHealth::new();
        health.opened(StreamFormat::mono(SampleRate::new(48_000).unwrap()));
        for block in 0..101 {
            let late = if block == 50 { 3 } else { 0 };
            let time = Duration::from_millis(1000 + 10 * block + late);
            health.beat(&CallbackInfo::at(time), 480);
        }
        let stats = health.stats();
        assert_eq!(stats.measured_rate, Some(48_000.0));
        assert_eq!(stats.max_jitter, Duration::from_millis(3));
        assert_eq!(stats.mean_jitter, Duration::from_micros(60));
        assert_eq!(health.first_sample(), Some(Duration::from_millis(990)));
    }

    #[test]
    fn messages_are_cut_not_refused() {
        let health = StreamHealth::new();
        assert_eq!(health.first_message(), None);
        health.fault(FaultKind::Invalidated, &"ü".repeat(100));
        assert_eq!(health.first_message().unwrap(), "ü".repeat(60));
    }
}
