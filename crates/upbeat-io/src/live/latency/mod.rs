//! The round trip through a sound card, measured.

mod code;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use upbeat_core::ConfigError;
use upbeat_window::{QueueConfig, QueueReader, QueueWriter, sample_queue};

use self::code::{code, find};
use super::{
    Backend, CallbackInfo, DeviceError, DeviceId, InputSink, OpenStream, OutputFill, StreamHealth,
    StreamRequest,
};
use crate::StreamFormat;

/// What to measure.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LatencyConfig {
    /// Where the code is heard.
    pub input: DeviceId,
    /// Where it is played.
    pub output: DeviceId,
    /// What to ask both devices for.
    pub request: StreamRequest,
    /// How many times to play the code. Default: 10.
    pub repeats: usize,
    /// How loud, full scale 1. Default: 0.25.
    pub level: f32,
    /// The longest latency looked for. Default: 500 ms.
    pub longest: Duration,
}

impl LatencyConfig {
    /// From `output` through a cable, the air or the sound server to `input`.
    #[must_use]
    pub fn new(input: DeviceId, output: DeviceId) -> Self {
        Self {
            input,
            output,
            request: StreamRequest::default(),
            repeats: 10,
            level: 0.25,
            longest: Duration::from_millis(500),
        }
    }
}

/// What was found. Times in ms.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LatencyReport {
    /// What can be said.
    pub verdict: LatencyVerdict,
    /// The path of each code that was heard.
    pub paths: Vec<f64>,
    /// How many codes were played.
    pub played: usize,
    /// By how much the input's clock runs faster than the output's, in millionths; at least three codes are needed. Two
    /// parts of one card have one clock, 0.
    pub drift_ppm: Option<f64>,
    /// The device's own opinion of its input's part, as far as it has one.
    pub input: Option<Duration>,
    /// The device's own opinion of its output's part.
    pub output: Option<Duration>,
    /// How many callbacks of both came too late while measuring.
    pub xruns: u64,
}

/// What can be said of a round trip.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum LatencyVerdict {
    /// The code came back the same way each time.
    Found(RoundTrip),
    /// It was not heard, or not often enough to be sure: there is no way from the output to the input, or it is
    /// longer than what was looked for.
    NoLoop,
    /// It was heard, at times that do not fit each other: samples were lost, or the latency changes.
    Unsteady,
}

/// A latency, in ms.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct RoundTrip {
    /// The path: the median time from the instant the first sample of an output block is asked for to the instant the last of
    /// an input block is delivered, as if blocks were one sample long. Driver, converters, cable.
    pub path: f64,
    /// What blocks add, in the mean: half of each.
    pub blocks: f64,
    /// The middle half of all codes differ by this much.
    pub spread: f64,
}

impl RoundTrip {
    /// The whole: the mean time from the callback that is asked for a sample to the callback that is given it.
    #[must_use]
    pub fn total(self) -> f64 {
        self.path + self.blocks
    }
}

/// A measurement under way.
///
/// A pseudo-random code is played several times, at uneven intervals, so that a latency longer than an interval cannot
/// be taken for a short one, and looked for in what is heard, to a fraction of a sample. Both streams count their samples;
/// what sample was due when is known from the times of the callbacks, of which the promptest within a second counts,
/// since a callback may be late but not early.
///
/// [`measure_latency`] does it all.
pub struct LatencyMeter {
    config: LatencyConfig,
    code: Vec<f32>,
    starts: Arc<[u64]>,
    reader: QueueReader,
    heard: Vec<f32>,
    formats: (StreamFormat, StreamFormat),
    marks: (Arc<Marks>, Arc<Marks>),
    health: (Arc<StreamHealth>, Arc<StreamHealth>),
    _streams: (Box<dyn OpenStream>, Box<dyn OpenStream>),
}

impl LatencyMeter {
    /// Opens both devices and begins to play.
    ///
    /// # Errors
    ///
    /// If a device cannot be opened, both have different rates, or a setting is out of its range.
    pub fn start(backend: &dyn Backend, config: &LatencyConfig) -> Result<Self, DeviceError> {
        let LatencyConfig { repeats, level, longest, .. } = *config;
        ConfigError::require((3..=100).contains(&repeats), "repeats", "from 3 to 100", repeats)?;
        ConfigError::require(level > 0.0 && level <= 1.0, "level", "above 0, at most 1", level)?;
        let in_range = (Duration::from_millis(10)..=Duration::from_secs(2)).contains(&longest);
        ConfigError::require(in_range, "longest", "from 10 ms to 2 s", format!("{longest:?}"))?;
        let health = (Arc::new(StreamHealth::new()), Arc::new(StreamHealth::new()));
        let marks = (Arc::new(Marks::new()), Arc::new(Marks::new()));

        let made = Arc::new(std::sync::Mutex::new(None));
        let (slot, in_marks) = (Arc::clone(&made), Arc::clone(&marks.0));
        let connect = move |format: StreamFormat| {
            let capacity = format.sample_rate().samples(QUEUE) as usize;
            let (writer, reader) = sample_queue(&QueueConfig::new(1, capacity))?;
            *slot.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(reader);
            Ok(Box::new(Recorder { writer, marks: in_marks, channels: format.channels() }) as _)
        };
        let request = config.request;
        let input = backend.open_input(
            &config.input,
            &request,
            Arc::clone(&health.0),
            Box::new(connect),
        )?;
        let reader = made.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let missing = || DeviceError::Backend("the input was opened without a format".into());
        let reader = reader.ok_or_else(missing)?;

        let rate = input.format().sample_rate();
        let code = code();
        let starts: Arc<[u64]> = starts(config, rate.hz(), code.len() as u64).into();
        let player = Player {
            code: code.iter().map(|x| level * x).collect(),
            starts: Arc::clone(&starts),
            next: 0,
            channels: 1,
            marks: Arc::clone(&marks.1),
        };
        let connect = move |format: StreamFormat| {
            let same = format.sample_rate() == rate;
            ConfigError::require(
                same,
                "sample_rate",
                &format!("that of the input, {rate}"),
                format.sample_rate(),
            )?;
            Ok(Box::new(Player { channels: format.channels(), ..player }) as _)
        };
        let request = StreamRequest { sample_rate: Some(rate), ..request };
        let output = backend.open_output(
            &config.output,
            &request,
            Arc::clone(&health.1),
            Box::new(connect),
        )?;
        Ok(Self {
            config: config.clone(),
            code,
            starts,
            reader,
            heard: Vec::new(),
            formats: (input.format(), output.format()),
            marks,
            health,
            _streams: (input, output),
        })
    }

    /// Takes what was heard; whether all that is to be heard was. Call it at least every few seconds.
    pub fn poll(&mut self) -> bool {
        let Self { reader, heard, .. } = self;
        reader.read_available(|at, block| {
            heard.resize(at.0 as usize, 0.0);
            heard.extend_from_slice(block);
        });
        let rate = self.formats.0.sample_rate();
        let last = self.starts.last().map_or(0, |start| start + self.code.len() as u64);
        let tail = rate.samples(self.config.longest.as_secs_f64() + 0.2);
        let played = self.marks.1.last().is_some_and(|mark| mark.0 >= last + tail);
        played && self.heard.len() as u64 > last + tail
    }

    /// How long the measurement takes.
    #[must_use]
    pub fn duration(&self) -> Duration {
        let last = self.starts.last().copied().unwrap_or(0) + self.code.len() as u64;
        let seconds = self.formats.0.sample_rate().seconds(last);
        Duration::from_secs_f64(seconds + 0.5) + self.config.longest
    }

    /// What can be said by what was heard so far.
    #[must_use]
    pub fn report(mut self) -> LatencyReport {
        self.poll();
        let rate = self.formats.0.sample_rate().as_f64();
        let mut paths = Vec::new();
        let mut pairs = Vec::new();
        for &start in &*self.starts {
            let Some(found) = self.look(start, rate) else { continue };
            paths.push(1e3 * found.path);
            pairs.push((start as f64, found.index));
        }
        let (input, output) = (self.health.0.stats(), self.health.1.stats());
        let blocks = f64::midpoint(self.marks.0.mean_block(), self.marks.1.mean_block());
        LatencyReport {
            verdict: verdict(&paths, self.starts.len(), 1e3 * blocks / rate),
            drift_ppm: slope(&pairs).map(|slope| 1e6 * (slope - 1.0)),
            paths,
            played: self.starts.len(),
            input: input.latency,
            output: output.latency,
            xruns: input.xruns + output.xruns,
        }
    }

    /// Looks for the code that was played from output sample `start` on.
    fn look(&self, start: u64, rate: f64) -> Option<Heard> {
        // When sample 0 of each stream would have been due, had the stream always been as prompt as it was at best in
        // the seconds around.
        let asked = start as f64 / rate + self.marks.1.origin(start, rate)?;
        let guess = ((asked - self.marks.0.origin_at(asked, rate)?) * rate).max(0.0) as u64;
        let origin = self.marks.0.origin(guess, rate)?;
        let first = ((asked - origin - EARLIEST) * rate).floor().max(0.0) as usize;
        let length = ((EARLIEST + self.config.longest.as_secs_f64()) * rate) as usize;
        let end = (first + length + self.code.len()).min(self.heard.len());
        let peak = find(&self.code, self.heard.get(first..end)?)?;
        let index = first as f64 + peak.at;
        let path = index / rate + origin - asked;
        (peak.clearness >= CLEAR && peak.likeness >= LIKE).then_some(Heard { path, index })
    }
}

struct Heard {
    path: f64,
    index: f64,
}

/// Measures the round trip, which takes a few seconds.
///
/// # Errors
///
/// If a device cannot be opened, both have different rates, or a setting is out of its range.
pub fn measure_latency(
    backend: &dyn Backend,
    config: &LatencyConfig,
) -> Result<LatencyReport, DeviceError> {
    let mut meter = LatencyMeter::start(backend, config)?;
    let until = std::time::Instant::now() + meter.duration() + PATIENCE;
    while !meter.poll() && std::time::Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(meter.report())
}

impl std::fmt::Debug for LatencyMeter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LatencyMeter").field("config", &self.config).finish_non_exhaustive()
    }
}

/// When to play: after a second to settle, and then at uneven intervals that are longer than what is looked for.
fn starts(config: &LatencyConfig, rate: u32, code: u64) -> Vec<u64> {
    let longest = config.longest.as_secs_f64() + 2.0 * EARLIEST;
    let interval = (longest * f64::from(rate)) as u64 + code;
    let step = u64::from(rate) * 23 / 1000;
    let mut at = u64::from(rate);
    let uneven = (0..config.repeats as u64).map(|n| n * 7 % 11);
    let mut start = |n| {
        let here = at;
        at += interval + n * step;
        here
    };
    uneven.map(&mut start).collect()
}

fn verdict(paths: &[f64], played: usize, blocks: f64) -> LatencyVerdict {
    if paths.len() < 3 || paths.len() * 10 < played * 7 {
        return LatencyVerdict::NoLoop;
    }
    let mut sorted = paths.to_vec();
    sorted.sort_by(f64::total_cmp);
    let quantile = |q: f64| sorted[((sorted.len() - 1) as f64 * q).round() as usize];
    let middle = sorted.len() / 2;
    let median = if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        0.5 * (sorted[middle - 1] + sorted[middle])
    };
    let close = sorted.iter().filter(|path| (*path - median).abs() <= 1.0).count();
    if close * 10 < played * 7 {
        return LatencyVerdict::Unsteady;
    }
    LatencyVerdict::Found(RoundTrip {
        path: median,
        blocks,
        spread: quantile(0.75) - quantile(0.25),
    })
}

/// The slope of a line through the pairs that leaves out jumps: the median of the slopes of all pairs of pairs.
fn slope(pairs: &[(f64, f64)]) -> Option<f64> {
    let mut slopes: Vec<f64> = Vec::new();
    for (n, a) in pairs.iter().enumerate() {
        slopes.extend(pairs[n + 1..].iter().map(|b| (b.1 - a.1) / (b.0 - a.0)));
    }
    slopes.sort_by(f64::total_cmp);
    (pairs.len() >= 3).then(|| slopes[slopes.len() / 2])
}

/// When which sample was asked for or delivered; written by a callback.
struct Marks {
    count: AtomicUsize,
    sample: Box<[AtomicU64]>,
    time: Box<[AtomicU64]>,
}

impl Marks {
    fn new() -> Self {
        let many = || (0..MARKS).map(|_| AtomicU64::new(0)).collect();
        Self { count: AtomicUsize::new(0), sample: many(), time: many() }
    }

    fn push(&self, sample: u64, time: Duration) {
        let count = self.count.load(Ordering::Relaxed);
        if let (Some(to_sample), Some(to_time)) = (self.sample.get(count), self.time.get(count)) {
            to_sample.store(sample, Ordering::Relaxed);
            let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            to_time.store(time, Ordering::Relaxed);
            self.count.store(count + 1, Ordering::Release);
        }
    }

    /// Samples and times in s.
    fn all(&self) -> impl Iterator<Item = (u64, f64)> {
        let count = self.count.load(Ordering::Acquire);
        let sample = self.sample[..count].iter().map(|n| n.load(Ordering::Relaxed));
        sample.zip(self.time[..count].iter().map(|t| t.load(Ordering::Relaxed) as f64 * 1e-9))
    }

    fn last(&self) -> Option<(u64, f64)> {
        self.all().last()
    }

    /// The time of sample 0, by the promptest callback within a second of `sample`.
    fn origin(&self, sample: u64, rate: f64) -> Option<f64> {
        let near = self.all().filter(|(n, _)| n.abs_diff(sample) as f64 <= NEAR * rate);
        near.map(|(n, time)| time - n as f64 / rate).min_by(f64::total_cmp)
    }

    /// The same around a time.
    fn origin_at(&self, at: f64, rate: f64) -> Option<f64> {
        let near = self.all().filter(|(_, time)| (time - at).abs() <= NEAR);
        near.map(|(n, time)| time - n as f64 / rate).min_by(f64::total_cmp)
    }

    /// Samples per callback.
    fn mean_block(&self) -> f64 {
        let mut all = self.all();
        let first = all.next().unwrap_or_default();
        let (last, count) = all.fold((first, 0_u32), |(_, count), mark| (mark, count + 1));
        (last.0 - first.0) as f64 / f64::from(count.max(1))
    }
}

struct Recorder {
    writer: QueueWriter,
    marks: Arc<Marks>,
    channels: usize,
}

impl InputSink for Recorder {
    fn data(&mut self, info: &CallbackInfo, interleaved: &[f32]) {
        self.writer.skip(info.lost);
        for sample in interleaved.chunks_exact(self.channels) {
            self.writer.write(&sample[..1]);
        }
        // With the last sample the block is there.
        self.marks.push(self.writer.next().0, info.time);
    }
}

struct Player {
    code: Vec<f32>,
    starts: Arc<[u64]>,
    next: u64,
    channels: usize,
    marks: Arc<Marks>,
}

impl OutputFill for Player {
    fn fill(&mut self, info: &CallbackInfo, interleaved: &mut [f32]) {
        self.marks.push(self.next, info.time);
        for sample in interleaved.chunks_exact_mut(self.channels) {
            let begun = self.starts.partition_point(|start| *start <= self.next);
            let start = begun.checked_sub(1).map(|index| self.starts[index]);
            let x = start.and_then(|start| self.code.get((self.next - start) as usize));
            sample.fill(x.copied().unwrap_or(0.0));
            self.next += 1;
        }
    }
}

/// Seconds of sound that may wait for [`LatencyMeter::poll`].
const QUEUE: f64 = 10.0;
/// How many callbacks are remembered; blocks of 32 samples at 48 kHz give 1500 a second.
const MARKS: usize = 1 << 17;
/// How much clearer than chance a code must be: among 50 000 places noise reaches about 5.
const CLEAR: f64 = 10.0;
/// How far callbacks may be away, in s, by which a sample's time is told. Longer finds a prompter one on a busy machine,
/// shorter forgives more drift.
const NEAR: f64 = 1.0;
/// How much like the code it must be: it may be 10 dB below the noise.
const LIKE: f64 = 0.3;
/// A path may be this much shorter than nothing, in s, since time stamps are not perfect.
const EARLIEST: f64 = 0.02;
/// How long to wait beyond the length of the measurement.
const PATIENCE: Duration = Duration::from_secs(3);
