use std::fmt;
use std::sync::Arc;

use upbeat_core::{ConfigError, Continuity, SampleIndex, SampleRate, Stage, sanitize};
use upbeat_fft::{Complex, RealToComplex, plan_forward};
use upbeat_window::{Symmetry, WindowFunction};

/// Frames per second, whatever the rate of the samples.
pub(crate) const FRAME_RATE: f64 = FRAMES_PER_SECOND as f64;
const FRAMES_PER_SECOND: u64 = 100;
/// Bands of [`Bands`].
pub(crate) const BANDS: usize = 32;
/// How much earlier the sound is that the onset strength of a frame tells of, in seconds.
pub(crate) const ONSET_DELAY: f64 = 0.03;

/// Cuts a stream into windows of 46 ms that end every 10 ms: frame `k` ends `k + 1` hundredths of a second
/// after the start, rounded to samples, so that the frames of one sound are the same at any rate.
///
/// What lies before the start of the stream is silence; a gap is a new start.
#[derive(Clone, Debug)]
pub(crate) struct FrameClock {
    rate: SampleRate,
    window: usize,
    /// Room for two windows, so that samples move to the front once per window.
    buffer: Box<[f32]>,
    end: usize,
    from: SampleIndex,
    frames: u64,
    heard: u64,
    continuity: Continuity,
}

impl FrameClock {
    pub(crate) fn new(rate: SampleRate) -> Self {
        let window = smooth_length(0.046_44 * rate.as_f64());
        Self {
            rate,
            window,
            buffer: vec![0.0; 2 * window].into(),
            end: window,
            from: SampleIndex(0),
            frames: 0,
            heard: 0,
            continuity: Continuity::default(),
        }
    }

    /// Samples per window.
    pub(crate) const fn window(&self) -> usize {
        self.window
    }

    /// Whether the block that starts at `at` starts anew, after a gap or at all; to be asked before
    /// [`push`](Self::push).
    pub(crate) fn starts(&self, at: SampleIndex) -> bool {
        self.continuity.next() != Some(at)
    }

    /// Calls `emit` with the number of each frame and its samples.
    pub(crate) fn push(
        &mut self,
        at: SampleIndex,
        samples: &[f32],
        mut emit: impl FnMut(u64, &[f32]),
    ) {
        if self.starts(at) {
            self.buffer.fill(0.0);
            self.end = self.window;
            (self.from, self.frames, self.heard) = (at, 0, 0);
        }
        self.continuity.advance(at, samples.len() as u64);
        let mut rest = samples;
        while !rest.is_empty() {
            if self.end == self.buffer.len() {
                self.buffer.copy_within(self.window.., 0);
                self.end = self.window;
            }
            let due = frame_end(self.rate, self.frames) - self.heard;
            let room = self.buffer.len() - self.end;
            let (taken, after) = rest.split_at((due as usize).min(room).min(rest.len()));
            for (slot, sample) in self.buffer[self.end..].iter_mut().zip(taken) {
                *slot = sanitize(*sample).unwrap_or(0.0);
            }
            self.end += taken.len();
            self.heard += taken.len() as u64;
            rest = after;
            if taken.len() as u64 == due {
                emit(self.frames, &self.buffer[self.end - self.window..self.end]);
                self.frames += 1;
            }
        }
    }

    pub(crate) fn reset(&mut self) {
        self.continuity = Continuity::default();
    }
}

/// The even number without prime factors above 7 that is nearest to `length`, at least 16.
fn smooth_length(length: f64) -> usize {
    let smooth = |n: &usize| {
        let mut n = *n;
        for p in [2, 3, 5, 7] {
            while n.is_multiple_of(p) {
                n /= p;
            }
        }
        n == 1
    };
    let length = (length / 2.0).round().max(8.0) as usize;
    let below = (1..=length).rev().find(smooth).unwrap_or(8);
    let above = (length..=2 * length).find(smooth).unwrap_or(length);
    2 * if above - length < length - below { above } else { below }
}

/// How strong the sound of a window is in each of [`BANDS`] bands, relative to how loud it has been.
///
/// The magnitudes of the spectrum (Hann window) are gathered by 64 triangles, evenly spaced on HTK's mel
/// scale from 30 to 7000 Hz and at least one bin wide to each side, two of which are a band `m_b`.
/// `x_b = ln(1 + 20 m_b / level)`, where `level` is the mean of the `m_b` or, if larger, what is left of
/// earlier ones; it falls by half in 3 s.
#[derive(Clone)]
pub(crate) struct Bands {
    plan: Arc<dyn RealToComplex<f32>>,
    window: Arc<[f32]>,
    frame: Box<[f32]>,
    spectrum: Box<[Complex<f32>]>,
    scratch: Box<[Complex<f32>]>,
    magnitude: Box<[f32]>,
    /// First bin and weights of each band.
    rows: Arc<[(usize, Box<[f32]>)]>,
    level: f32,
    out: [f32; BANDS],
}

impl Bands {
    pub(crate) fn new(rate: SampleRate, length: usize) -> Result<Self, ConfigError> {
        let plan = plan_forward(length);
        let table = WindowFunction::Hann.table_f64(length, Symmetry::Periodic)?;
        let sum: f64 = table.iter().sum();
        let rows = rows(rate, length);
        let bins = rows.iter().map(|(first, row)| first + row.len()).max().unwrap_or(0);
        Ok(Self {
            // A sine of amplitude 1 has magnitude 1.
            window: table.iter().map(|w| (2.0 * w / sum) as f32).collect(),
            frame: vec![0.0; length].into(),
            spectrum: plan.make_output_vec().into(),
            scratch: plan.make_scratch_vec().into(),
            magnitude: vec![0.0; bins].into(),
            plan,
            rows: rows.into(),
            level: 0.0,
            out: [0.0; BANDS],
        })
    }

    /// The levels of the bands, and the mean of the `m_b`, an amplitude.
    pub(crate) fn push(&mut self, samples: &[f32]) -> (&[f32; BANDS], f32) {
        for ((out, x), w) in self.frame.iter_mut().zip(samples).zip(&*self.window) {
            *out = x * w;
        }
        self.plan
            .process_with_scratch(&mut self.frame, &mut self.spectrum, &mut self.scratch)
            .expect("the buffers were made for this plan");
        for (m, x) in self.magnitude.iter_mut().zip(&*self.spectrum) {
            *m = (x.re * x.re + x.im * x.im).sqrt();
        }
        for (out, (first, row)) in self.out.iter_mut().zip(&*self.rows) {
            let bins = &self.magnitude[*first..][..row.len()];
            *out = bins.iter().zip(row).map(|(m, w)| m * w).sum();
        }
        let mean = self.out.iter().sum::<f32>() / BANDS as f32;
        self.level = (self.level * LEVEL_DECAY).max(mean);
        let scale = 20.0 / self.level.max(SILENCE);
        for x in &mut self.out {
            *x = (*x * scale).ln_1p();
        }
        (&self.out, mean)
    }

    pub(crate) fn reset(&mut self) {
        self.level = 0.0;
    }
}

impl fmt::Debug for Bands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bands").field("n_fft", &self.frame.len()).finish_non_exhaustive()
    }
}

fn rows(rate: SampleRate, n_fft: usize) -> Vec<(usize, Box<[f32]>)> {
    let bin_width = rate.as_f64() / n_fft as f64;
    let mel = |hz: f64| 2595.0 * (1.0 + hz / 700.0).log10();
    let hz = |mel: f64| 700.0 * (10.0_f64.powf(mel / 2595.0) - 1.0);
    let (from, to) = (mel(30.0), mel(TOP));
    let n = 2 * BANDS;
    let edge = |i: usize| hz(from + (to - from) * i as f64 / (n + 1) as f64);
    let triangle = |i: usize, f: f64| {
        let centre = edge(i + 1);
        let low = edge(i).min(centre - bin_width);
        let high = edge(i + 2).max(centre + bin_width);
        ((f - low) / (centre - low)).min((high - f) / (high - centre)).max(0.0)
    };
    let weight = |b: usize, bin: usize| {
        let f = bin as f64 * bin_width;
        triangle(2 * b, f) + triangle(2 * b + 1, f)
    };
    let bins = n_fft / 2 + 1;
    (0..BANDS)
        .map(|b| {
            let first = (0..bins).find(|bin| weight(b, *bin) > 0.0).unwrap_or(0);
            let end = (first..bins).find(|bin| weight(b, *bin) <= 0.0).unwrap_or(bins);
            (first, (first..end).map(|bin| weight(b, bin) as f32).collect())
        })
        .collect()
}

/// Where the bands end, in Hz: also a sound sampled at 16 kHz has all of them.
const TOP: f64 = 7000.0;
/// `level` falls by half in 3 s.
const LEVEL_DECAY: f32 = 0.997_692_1;
/// What counts as loud at least: about −90 dB in each band.
const SILENCE: f32 = 3e-5;

/// How strong a sound is in each of 32 bands, a hundred times a second at any sample rate: what
/// [`BeatTracker`](super::BeatTracker) and its network listen to.
///
/// Takes samples (mono), and emits [`BANDS`](Self::BANDS) values from the lowest band on, at the last sample that
/// each tells of; no latency. Frame `k` is about the 46 ms before `(k + 1) / 100` s: the magnitudes of its
/// spectrum (Hann window) are gathered by 64 triangles, evenly spaced on HTK's mel scale from 30 to 7000 Hz
/// and at least one bin wide to each side; two of them are a band `m_b`. `x_b = ln(1 + 20 m_b / level)`, where
/// `level` is the mean of the `m_b` or, if larger, what is left of earlier ones; it falls by half in 3 s.
/// Before the stream, and after a gap, all is silence.
#[derive(Clone, Debug)]
pub struct BeatSpectrum {
    clock: FrameClock,
    bands: Bands,
}

impl BeatSpectrum {
    /// Values emitted per frame.
    pub const BANDS: usize = BANDS;

    /// Plans the transform, and allocates all that will ever be needed.
    ///
    /// # Errors
    ///
    /// If the rate is below 1000 Hz or above 1 MHz.
    pub fn new(sample_rate: SampleRate) -> Result<Self, ConfigError> {
        let hz = sample_rate.hz();
        let fits = (1000..=1_000_000).contains(&hz);
        ConfigError::require(fits, "sample_rate", "from 1000 Hz to 1 MHz", hz)?;
        let clock = FrameClock::new(sample_rate);
        let bands = Bands::new(sample_rate, clock.window())?;
        Ok(Self { clock, bands })
    }

    /// Where frame 0 of a block that starts at `at` begins.
    pub(crate) fn from(&self, at: SampleIndex) -> SampleIndex {
        if self.clock.starts(at) { at } else { self.clock.from }
    }

    /// Calls `emit` with the number of each frame since the start or the last gap, its bands, and its mean
    /// amplitude; with a number of 0, all before is to be forgotten.
    pub(crate) fn frames(
        &mut self,
        at: SampleIndex,
        samples: &[f32],
        mut emit: impl FnMut(u64, &[f32; BANDS], f32),
    ) {
        let Self { clock, bands } = self;
        if clock.starts(at) {
            bands.reset();
        }
        clock.push(at, samples, |number, window| {
            let (levels, mean) = bands.push(window);
            emit(number, levels, mean);
        });
    }
}

impl Stage for BeatSpectrum {
    type In = [f32];
    type Out = [f32];

    fn process(
        &mut self,
        at: SampleIndex,
        samples: &[f32],
        mut emit: impl FnMut(SampleIndex, &[f32]),
    ) {
        let rate = self.clock.rate;
        let from = self.from(at);
        self.frames(at, samples, |number, bands, _| {
            emit(from + (frame_end(rate, number) - 1), bands);
        });
    }

    fn reset(&mut self) {
        self.clock.reset();
    }
}

/// How many samples lie between the start and the end of a frame.
pub(crate) fn frame_end(rate: SampleRate, number: u64) -> u64 {
    ((number + 1) * u64::from(rate.hz()) + FRAMES_PER_SECOND / 2) / FRAMES_PER_SECOND
}

/// How likely a frame is the start of a sound, from 0.02 to 0.6.
///
/// The flux `o = mean_b max(0, x_b[k] − x_b[k − 2])`, smoothed over three frames (¼, ½, ¼), is put between
/// its mean (half-life 1.5 s) and its peak (half-life 2 s).
#[derive(Clone, Debug)]
pub(crate) struct Onset {
    /// The last two frames of bands.
    past: [[f32; BANDS]; 2],
    flux: [f32; 3],
    mean: f32,
    peak: f32,
    low: f32,
    seen: u32,
}

impl Onset {
    pub(crate) const fn new() -> Self {
        Self { past: [[0.0; BANDS]; 2], flux: [0.0; 3], mean: 0.0, peak: 0.0, low: 0.0, seen: 0 }
    }

    pub(crate) fn push(&mut self, bands: &[f32; BANDS]) -> f32 {
        let [before, last] = self.past;
        let rise: f32 = bands.iter().zip(&before).map(|(x, y)| (x - y).max(0.0)).sum();
        let low = bands[..LOW].iter().zip(&before).map(|(x, y)| (x - y).max(0.0)).sum::<f32>();
        self.low = low / LOW as f32;
        self.past = [last, *bands];
        self.seen = self.seen.saturating_add(1);
        // The first windows hold the step from nothing to something.
        let rise = if self.seen > 8 { rise / BANDS as f32 } else { 0.0 };
        self.flux = [self.flux[1], self.flux[2], rise];
        let smooth = 0.25 * self.flux[0] + 0.5 * self.flux[1] + 0.25 * self.flux[2];
        self.mean += MEAN_RATE * (smooth - self.mean);
        self.peak = (self.peak * PEAK_DECAY).max(smooth);
        let height = (smooth - self.mean) / (self.peak - self.mean + 1e-6);
        (0.6 * height.clamp(0.0, 1.0)).clamp(0.02, 0.98)
    }

    /// The flux of the bands below 300 Hz in the last frame.
    pub(crate) const fn low_rise(&self) -> f32 {
        self.low
    }
}

/// Bands below 300 Hz.
const LOW: usize = 4;
/// 1 − 0.5^(1/150).
const MEAN_RATE: f32 = 0.004_610_3;
/// 0.5^(1/200).
const PEAK_DECAY: f32 = 0.996_540_3;

#[cfg(test)]
mod tests {
    use super::*;
    use upbeat_testkit::signal;

    fn rate(hz: u32) -> SampleRate {
        SampleRate::new(hz).expect("not 0")
    }

    #[test]
    fn frames_end_every_hundredth_of_a_second_at_any_rate() {
        for hz in [1000, 16_000, 22_050, 44_100, 48_000, 96_000] {
            let mut clock = FrameClock::new(rate(hz));
            let mut seen = Vec::new();
            let samples: Vec<f32> = (0..hz).map(|n| n as f32).collect();
            clock.push(SampleIndex(5), &samples, |k, window| {
                seen.push((k, window[window.len() - 1]));
            });
            assert_eq!(seen.len(), 100, "at {hz} Hz");
            for (n, (k, newest)) in seen.iter().enumerate() {
                assert_eq!(*k, n as u64);
                let end = ((n + 1) as f64 * f64::from(hz) / 100.0 + 0.5).floor();
                assert_eq!(f64::from(*newest), end - 1.0);
            }
        }
    }

    #[test]
    fn windows_are_about_46_ms_of_fast_lengths() {
        for (hz, length) in [(16_000, 750), (22_050, 1024), (44_100, 2048), (48_000, 2240)] {
            assert_eq!(FrameClock::new(rate(hz)).window(), length);
        }
    }

    fn levels(hz: u32, f0: f64, partials: usize, gain: f64) -> [f32; BANDS] {
        let tone = signal::tone(f0, partials, 0.05 * gain, hz, hz as usize / 2);
        let mut spectrum = BeatSpectrum::new(rate(hz)).expect("a usual rate");
        let mut last = [0.0; BANDS];
        spectrum.process(SampleIndex(0), &tone, |_, bands| last.copy_from_slice(bands));
        last
    }

    #[test]
    fn a_tone_is_in_its_band() {
        let at = levels(44_100, 1000.0, 1, 1.0);
        let loudest = (0..BANDS).max_by(|a, b| at[*a].total_cmp(&at[*b])).expect("there are bands");
        // 1000 Hz are 1000 mel; bands are 82.4 mel wide and begin at 46 mel.
        assert!(loudest.abs_diff(11) <= 1, "{loudest}");
    }

    #[test]
    fn levels_depend_neither_on_gain_nor_on_the_rate() {
        let at = levels(44_100, 120.0, 58, 1.0);
        for (hz, gain) in [(44_100, 5.0), (16_000, 1.0), (22_050, 1.0), (48_000, 0.2)] {
            for (a, b) in levels(hz, 120.0, 58, gain).iter().zip(&at) {
                assert!((a - b).abs() < 0.03 * (1.0 + b), "{a}, not {b}, at {hz} Hz");
            }
        }
    }

    #[test]
    fn onsets_stand_out() {
        let mut onset = Onset::new();
        let quiet = [0.1; BANDS];
        let mut strengths = Vec::new();
        for k in 0..400 {
            let bands = if k % 50 < 5 { [2.0; BANDS] } else { quiet };
            strengths.push(onset.push(&bands));
        }
        let (on, off) = (strengths[350..354].iter().copied(), strengths[360..395].iter().copied());
        assert!(on.fold(0.0, f32::max) > 0.5);
        assert!(off.fold(0.0, f32::max) < 0.05);
    }
}
