//! Energy: how loud the music is for what it has been, where that goes, and when it changes.

use std::fmt;

use upbeat_core::{ConfigError, Continuity, SampleIndex, SampleRate, Stage, sanitize};
use upbeat_features::loudness::LoudnessMeter;

/// Settings of [`EnergyTracker`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct EnergyConfig {
    /// The rate of the samples.
    pub sample_rate: SampleRate,
    /// How many channels are interleaved.
    pub channels: usize,
    /// How many decibels the level must change for a transition, from 1 to 40. Default: 4.2.
    pub threshold: f32,
    /// How long the new level must have lasted before a transition is announced, in seconds from 0.5 to 8.
    /// Default: 3.5. Sooner is less certain: with 2 s, three in ten announcements were wrong in the trials
    /// of `docs/accuracy-harmony.md`.
    pub confirm: f64,
}

impl EnergyConfig {
    /// The usual settings for interleaved samples.
    #[must_use]
    pub const fn new(sample_rate: SampleRate, channels: usize) -> Self {
        Self { sample_rate, channels, threshold: 4.2, confirm: 3.5 }
    }
}

/// What the energy does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EnergyKind {
    /// It has been growing steadily for 6 s: something may be coming.
    Build,
    /// It rose to a new level at the end of a build.
    Drop,
    /// It rose to a new level.
    Rise,
    /// It fell to a new level.
    Fall,
    /// Nothing has changed for 8 s after a transition.
    Stable,
}

impl fmt::Display for EnergyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Build => "build",
            Self::Drop => "drop",
            Self::Rise => "rise",
            Self::Fall => "fall",
            Self::Stable => "stable",
        })
    }
}

/// A change of the energy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EnergyTransition {
    /// What changed.
    pub kind: EnergyKind,
    /// Where: the border between the old level and the new one, where a build began, or since when all
    /// has been stable.
    pub at: SampleIndex,
    /// How many decibels louder it is after than before.
    pub change: f32,
    /// The chance that the change is one when looked at afterwards (4 s against 4 s). Of a build, that a drop ends it:
    /// `(2 + d) / (4 + b)` where `d` of the `b` builds of this stream so far have been ended by one.
    pub confidence: f32,
}

/// The energy at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Energy {
    /// Loudness of the last second, in LUFS; `None` in silence and at the very start.
    pub loudness: Option<f32>,
    /// The same from 0 to 1: from the 5th to the 95th percentile of the last minute or so, which are
    /// taken to lie at least 6 dB apart. `None` before 3 s of sound.
    pub energy: Option<f32>,
    /// What `energy` is expected to be in 2 s.
    pub forecast: Option<f32>,
    /// What is announced now.
    pub transition: Option<EnergyTransition>,
}

/// Follows the energy of a stream, and announces where it changes.
///
/// Consumes interleaved samples and emits an [`Energy`] for every 0.1 s, at that tenth's first sample.
///
/// *Loudness* is BS.1770's (see [`LoudnessMeter`]), averaged over the last second. *Energy* is its place
/// in the range of the loudness heard, each moment of which counts for half as much after a minute.
/// The *forecast* for 2 s ahead leans back towards the mean of the last 8 s by 0.6 of the distance
/// (11 % closer than "as now" on 32 clips, `docs/accuracy-harmony.md`).
///
/// A *transition* lies where the level of the `confirm` seconds after differs by `threshold` dB or more
/// from the level of the 4 s before, and by more than 0.3 s to either side of it; not within 3 s
/// of the last one, nor in the first 4 s. It is announced `confirm + 0.3` s after its place. A *build*
/// is announced while it goes on: over the last 6 s, each second is at least 1 dB louder than the one
/// before, or so are its frequencies above 3 kHz, by 6 dB in all and by no more than 0.4 of that at once.
/// A rise within 4 s of the end of a build is its *drop*, and is announced 1.3 s after it if the level
/// jumps by 6 dB within that time.
///
/// Latency: that of the loudness. Transitions tell of earlier samples, as said.
///
/// # Examples
///
/// ```
/// use upbeat_core::{SampleIndex, SampleRate, Stage};
/// use upbeat_predict::energy::{EnergyConfig, EnergyKind, EnergyTracker};
///
/// let rate = SampleRate::new(8000)?;
/// let mut tracker = EnergyTracker::new(&EnergyConfig::new(rate, 1))?;
/// // 440 Hz, 12 dB louder after 10 s.
/// let samples: Vec<f32> = (0..160_000)
///     .map(|n| {
///         let amplitude = if n < 80_000 { 0.1 } else { 0.4 };
///         amplitude * (n as f32 * 0.345_575).sin()
///     })
///     .collect();
/// let mut found = Vec::new();
/// tracker.process(SampleIndex(0), &samples, |_, energy| found.extend(energy.transition));
/// assert_eq!(found[0].kind, EnergyKind::Rise);
/// assert!((found[0].at.seconds(rate) - 10.0).abs() < 0.3);
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
pub struct EnergyTracker {
    meter: LoudnessMeter,
    highs: Highs,
    channels: usize,
    /// Samples per tenth of a second.
    tenth: usize,
    /// Samples of the tenth at hand that have come.
    filled: usize,
    track: Track,
    continuity: Continuity,
}

impl EnergyTracker {
    /// Allocates all that will ever be needed.
    ///
    /// # Errors
    ///
    /// If [`LoudnessMeter`] cannot work at this rate or with so many channels, or `threshold` or
    /// `confirm` is out of its range.
    pub fn new(config: &EnergyConfig) -> Result<Self, ConfigError> {
        let EnergyConfig { sample_rate, channels, threshold, confirm } = *config;
        let sound = (1.0..=40.0).contains(&threshold);
        ConfigError::require(sound, "threshold", "from 1 to 40 dB", threshold)?;
        let sound = (0.5..=8.0).contains(&confirm);
        ConfigError::require(sound, "confirm", "from 0.5 to 8 s", confirm)?;
        let tenth = sample_rate.samples(0.1).max(1) as usize;
        Ok(Self {
            meter: LoudnessMeter::new(sample_rate, channels)?,
            highs: Highs::new(sample_rate),
            channels,
            tenth,
            filled: 0,
            track: Track::new(threshold, (confirm * 10.0).round() as usize, tenth as u64),
            continuity: Continuity::default(),
        })
    }

    fn forget(&mut self) {
        self.highs.clear();
        self.filled = 0;
        self.track.forget();
    }
}

impl Stage for EnergyTracker {
    type In = [f32];
    type Out = Energy;

    /// # Panics
    ///
    /// If the block is not a whole number of samples of all channels.
    fn process(
        &mut self,
        at: SampleIndex,
        samples: &[f32],
        mut emit: impl FnMut(SampleIndex, &Energy),
    ) {
        assert!(samples.len().is_multiple_of(self.channels), "samples of all channels");
        let length = samples.len() / self.channels;
        if self.continuity.advance(at, length as u64).is_some() {
            self.forget();
        }
        let (mut at, mut rest) = (at, samples);
        loop {
            let (piece, after) =
                rest.split_at(((self.tenth - self.filled) * self.channels).min(rest.len()));
            let taken = piece.len() / self.channels;
            self.filled = (self.filled + taken) % self.tenth;
            self.highs.hear(piece, self.channels);
            let Self { meter, highs, track, .. } = self;
            meter.process(at, piece, |at, loudness| {
                emit(at, &track.push(at, loudness.momentary, highs.take()));
            });
            at += taken as u64;
            rest = after;
            if rest.is_empty() {
                return;
            }
        }
    }

    fn reset(&mut self) {
        self.meter.reset();
        self.forget();
        self.continuity = Continuity::default();
    }

    fn latency(&self) -> u64 {
        self.meter.latency()
    }
}

impl fmt::Debug for EnergyTracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnergyTracker").field("channels", &self.channels).finish_non_exhaustive()
    }
}

/// The power above 3 kHz, of the sum of all channels, by a one-pole filter.
#[derive(Clone, Debug)]
struct Highs {
    smoothing: f32,
    low: f32,
    power: f64,
}

impl Highs {
    fn new(rate: SampleRate) -> Self {
        let turn = std::f64::consts::TAU * 3000.0 / rate.as_f64();
        Self { smoothing: (1.0 - (-turn).exp()) as f32, low: 0.0, power: 0.0 }
    }

    fn hear(&mut self, samples: &[f32], channels: usize) {
        for sample in samples.chunks_exact(channels) {
            let sum: f32 = sample.iter().map(|x| sanitize(*x).unwrap_or(0.0)).sum();
            self.low += self.smoothing * (sum - self.low);
            self.power += f64::from(sum - self.low).powi(2);
        }
    }

    fn take(&mut self) -> f32 {
        std::mem::take(&mut self.power) as f32
    }

    fn clear(&mut self) {
        (self.low, self.power) = (0.0, 0.0);
    }
}

/// What is known of the past, tenth by tenth.
#[derive(Clone, Debug)]
struct Track {
    threshold: f32,
    confirm: usize,
    tenth: u64,
    levels: History,
    highs: History,
    range: Range,
    /// Differences of level by age of their border, `confirm` and 1 s after it: now and up to 0.6 s ago.
    slow: Peaks,
    fast: Peaks,
    /// How many tenths ago the last transition lay, and whether it was announced that all is stable.
    since: usize,
    stable: bool,
    /// How many tenths ago the last build was still going on.
    since_build: usize,
    /// How many builds have ended, and how many of them with a drop.
    builds: u32,
    drops: u32,
}

impl Track {
    fn new(threshold: f32, confirm: usize, tenth: u64) -> Self {
        Self {
            threshold,
            confirm,
            tenth,
            levels: History::new(),
            highs: History::new(),
            range: Range::new(),
            slow: Peaks::default(),
            fast: Peaks::default(),
            since: LONG_AGO,
            stable: true,
            since_build: LONG_AGO,
            builds: 0,
            drops: 0,
        }
    }

    fn forget(&mut self) {
        self.levels.clear();
        self.highs.clear();
        self.range = Range::new();
        (self.slow, self.fast) = (Peaks::default(), Peaks::default());
        (self.since, self.stable, self.since_build) = (LONG_AGO, true, LONG_AGO);
        (self.builds, self.drops) = (0, 0);
    }

    fn push(&mut self, at: SampleIndex, momentary: Option<f32>, highs: f32) -> Energy {
        // Momentary loudness is the mean of four tenths; its floor is that of the meter.
        let level = momentary.map_or(0.0, |lufs| 10f32.powf(lufs / 10.0));
        self.levels.push(level);
        self.highs.push(highs);
        self.since = (self.since + 1).min(LONG_AGO);
        self.since_build = (self.since_build + 1).min(LONG_AGO);

        let loudness = decibels(self.levels.mean(0, 10)).filter(|l| *l > FLOOR);
        self.range.push(loudness);
        let energy = self.range.place(loudness);
        let forecast = energy.and_then(|_| {
            let settled = decibels(self.levels.mean(0, 80))?;
            let now = loudness.unwrap_or(FLOOR);
            self.range.place(Some(settled + 0.4 * (now - settled)))
        });
        Energy { loudness, energy, forecast, transition: self.transition(at) }
    }

    fn transition(&mut self, at: SampleIndex) -> Option<EnergyTransition> {
        let slow = self.difference(self.confirm);
        let fast = self.difference(FAST);
        let slow = self.slow.push(slow).filter(|d| d.abs() >= self.threshold);
        let fast = self.fast.push(fast).filter(|d| *d >= FAST_THRESHOLD);
        // Momentary loudness lags by 1.5 tenths; the border is between two tenths.
        let tenth = self.tenth;
        let place =
            |back: usize| SampleIndex((at.0 + tenth / 2).saturating_sub(back as u64 * tenth));
        let since_build = self.since_build;
        let ended = |back: usize| since_build <= back + BUILD_TO_DROP;

        for (found, back) in [(fast.filter(|_| ended(FAST)), FAST), (slow, self.confirm)] {
            let back = back + Peaks::REACH;
            let Some(change) = found.filter(|_| self.since >= back + REST) else { continue };
            let kind = if change < 0.0 {
                EnergyKind::Fall
            } else if ended(back) {
                EnergyKind::Drop
            } else {
                EnergyKind::Rise
            };
            let transition = EnergyTransition {
                kind,
                at: place(back),
                change,
                confidence: confidence(change, self.threshold),
            };
            (self.since, self.stable) = (back, false);
            self.end_build(kind == EnergyKind::Drop);
            return Some(transition);
        }
        // What has grown by a transition has not grown steadily.
        if let Some(change) = self.build().filter(|_| self.since >= BUILD) {
            let begins = self.since_build == LONG_AGO;
            self.since_build = 0;
            if begins {
                let at = place(BUILD);
                return Some(EnergyTransition {
                    kind: EnergyKind::Build,
                    at,
                    change,
                    confidence: (2 + self.drops) as f32 / (4 + self.builds) as f32,
                });
            }
        } else if self.since_build > BUILD_TO_DROP + self.confirm + Peaks::REACH {
            self.end_build(false);
        }
        if !self.stable && self.since >= STABLE {
            self.stable = true;
            let at = place(self.since);
            return Some(EnergyTransition {
                kind: EnergyKind::Stable,
                at,
                change: 0.0,
                confidence: 1.0,
            });
        }
        None
    }

    fn end_build(&mut self, with_drop: bool) {
        if self.since_build < LONG_AGO {
            self.builds += 1;
            self.drops += u32::from(with_drop);
        }
        self.since_build = LONG_AGO;
    }

    /// Level of the last `after` tenths over that of the 4 s before them, in decibels.
    fn difference(&self, after: usize) -> Option<f32> {
        if self.levels.seen < after + BEFORE {
            return None;
        }
        let after_level = decibels(self.levels.mean(0, after)).unwrap_or(FLOOR);
        let before_level = decibels(self.levels.mean(after, BEFORE)).unwrap_or(FLOOR);
        Some(after_level.max(FLOOR) - before_level.max(FLOOR))
    }

    /// By how much the last 6 s have grown, if they have done so steadily.
    fn build(&self) -> Option<f32> {
        [&self.levels, &self.highs].into_iter().filter_map(History::growth).reduce(f32::max)
    }
}

/// Powers of the last 12 s, by tenths, the newest last.
#[derive(Clone, Debug)]
struct History {
    powers: Box<[f32]>,
    seen: usize,
}

impl History {
    fn new() -> Self {
        Self { powers: vec![0.0; LENGTH].into(), seen: 0 }
    }

    fn push(&mut self, power: f32) {
        self.powers.copy_within(1.., 0);
        self.powers[LENGTH - 1] = power;
        self.seen = (self.seen + 1).min(LENGTH);
    }

    /// The mean of `tenths`, the newest of them `back` tenths ago, as far as they were heard.
    fn mean(&self, back: usize, tenths: usize) -> f32 {
        let end = LENGTH - back;
        let start = end - tenths.min(self.seen.saturating_sub(back)).max(1);
        self.powers[start..end].iter().sum::<f32>() / (end - start) as f32
    }

    fn growth(&self) -> Option<f32> {
        if self.seen < BUILD {
            return None;
        }
        let mut levels = [0.0; BUILD / 10];
        for (second, level) in levels.iter_mut().rev().enumerate() {
            *level = decibels(self.mean(10 * second, 10))?;
        }
        let total = levels[levels.len() - 1] - levels[0];
        let steady = levels.windows(2).all(|l| (1.0..=0.4 * total).contains(&(l[1] - l[0])));
        (total >= 6.0 && steady).then_some(total)
    }

    fn clear(&mut self) {
        self.powers.fill(0.0);
        self.seen = 0;
    }
}

/// Finds peaks of a sequence: values that none within [`REACH`](Self::REACH) of them exceeds in size.
#[derive(Clone, Debug, Default)]
struct Peaks([Option<f32>; 2 * Peaks::REACH + 1]);

impl Peaks {
    const REACH: usize = 3;

    /// Takes the next value; returns the one [`REACH`](Self::REACH) before it if it is a peak.
    fn push(&mut self, value: Option<f32>) -> Option<f32> {
        self.0.rotate_left(1);
        self.0[2 * Self::REACH] = value;
        let middle = self.0[Self::REACH]?;
        let highest = self.0.iter().flatten().all(|other| other.abs() <= middle.abs());
        highest.then_some(middle)
    }
}

/// How often each loudness was heard, in steps of 1 dB; each counts for half as much after a minute.
#[derive(Clone, Debug)]
struct Range {
    counts: [f32; Range::STEPS],
    sum: f32,
}

impl Range {
    /// From −70 to +10 LUFS.
    const STEPS: usize = 80;

    fn new() -> Self {
        Self { counts: [0.0; Self::STEPS], sum: 0.0 }
    }

    fn push(&mut self, loudness: Option<f32>) {
        let Some(loudness) = loudness else { return };
        for count in &mut self.counts {
            *count *= KEEP;
        }
        self.counts[((loudness - FLOOR) as usize).min(Self::STEPS - 1)] += 1.0;
        self.sum = self.sum * KEEP + 1.0;
    }

    /// Where `loudness` lies, from 0 to 1; silence is 0.
    fn place(&self, loudness: Option<f32>) -> Option<f32> {
        if self.sum < 30.0 * KEEP.powi(30) {
            return None;
        }
        let (low, high) = (self.quantile(0.05), self.quantile(0.95));
        let middle = 0.5 * (low + high);
        let half = (0.5 * (high - low)).max(3.0);
        let place = (loudness.unwrap_or(FLOOR) - (middle - half)) / (2.0 * half);
        Some(place.clamp(0.0, 1.0))
    }

    fn quantile(&self, share: f32) -> f32 {
        let (wanted, mut sum) = (share * self.counts.iter().sum::<f32>(), 0.0);
        for (step, count) in self.counts.iter().enumerate() {
            if sum + count >= wanted && *count > 0.0 {
                return FLOOR + step as f32 + (wanted - sum) / count;
            }
            sum += count;
        }
        FLOOR + Self::STEPS as f32
    }
}

/// The share of changes of this size that were changes when looked at afterwards.
fn confidence(change: f32, threshold: f32) -> f32 {
    // About .73 near the threshold, .92 from 1 dB above it on: 121 announcements, docs/accuracy-harmony.md.
    (0.73 + 0.19 * (change.abs() - threshold)).min(0.92)
}

fn decibels(power: f32) -> Option<f32> {
    (power > 0.0).then(|| 10.0 * power.log10())
}

/// The softest loudness that counts, in LUFS.
const FLOOR: f32 = -70.0;
/// A second's power is forgotten by half in a minute, tenth by tenth.
const KEEP: f32 = 0.998_845_4;
/// In tenths of a second: what is compared, kept, and waited for.
const BEFORE: usize = 40;
const LENGTH: usize = 128;
const FAST: usize = 10;
const FAST_THRESHOLD: f32 = 6.0;
const REST: usize = 30;
const BUILD: usize = 60;
const BUILD_TO_DROP: usize = 40;
const STABLE: usize = 80;
const LONG_AGO: usize = 10_000;
